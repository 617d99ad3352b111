/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ghost: the fingerprints of blocks that missed lately and are not cached.
 *
 * Buckets of up to 32 fingerprints of 16 bits, each bucket a FIFO of its share of the blocks (the newest first), so
 * that a lookup reads one or two cache lines, and nothing but the fingerprints themselves is stored: 2 bytes per entry,
 * no ring, no hash chains.  Two prices, both small.  A block is remembered for as long as its bucket takes to fill:
 * with 32 entries mostly within a fifth of the mean (up to 32 entries there is one bucket, and the FIFO is exact).  And
 * another block may have the same fingerprint in the same bucket: one lookup in 2000 is "seen" of a block that was not.
 *
 * Locking: the owner's.  Nothing is allocated after ghost_open().
 */
#ifndef CWT_POLICY_GHOST_H
#define CWT_POLICY_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/types.h"

#define GHOST_WAYS_MAX 32u

struct ghost {
	uint16_t *prints;	/* nr_buckets rows of nr_ways, the newest first; 0: empty */
	uint32_t nr_buckets, nr_ways;
	bool is_used;		/* something was ever added: a start asks for nothing but removals, millions of them */
	uint64_t seed;
};

/* At least nr_entries entries, and less than one per bucket more; nr_entries > 0.  -ENOMEM. */
int ghost_open(struct ghost *g, uint64_t nr_entries, uint64_t seed);
void ghost_close(struct ghost *g);

bool ghost_has(const struct ghost *g, oblock_t o);
void ghost_add(struct ghost *g, oblock_t o);	/* the bucket's oldest is forgotten */
void ghost_remove(struct ghost *g, oblock_t o);	/* need not be there */
size_t ghost_bytes(const struct ghost *g);	/* of prints */

#endif
