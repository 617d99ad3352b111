/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The three stores as machines that can die: each a memory device inside a faulty one with a volatile write cache,
 * which outlive every engine; and *handles* around them, one set per life of an engine.
 *
 * A kill leaves what was completed where it is, unflushed, so that a power cut after a restart may still take it;
 * what was in flight happens, does not happen, or happens in some of its sectors.  A power cut is a kill, and then
 * each unflushed write is present, absent or torn.  So is each of a buffered cache at a kill: its write-back has failed,
 * and another program was told.
 *
 * Dying in a blocking call: disks_arm(n) makes the n-th operation from now on the last one.  It happens, happens in
 * part, or does not; from then on every handle refuses everything, and the world abandons the engine as soon as it
 * gets the control back.
 */
#ifndef SIM_DISKS_H
#define SIM_DISKS_H

#include "base/random.h"
#include "device/faulty.h"
#include "device/memory.h"
#include "metadata/store.h"

enum disk { ORIGIN, CACHE, METADATA, NR_STORES };
extern const char *const store_names[NR_STORES];

struct in_flight;

struct disks {
	struct device *memory[NR_STORES], *faulty[NR_STORES];	/* faulty is around memory, and closes it */
	struct random random;
	int64_t now_ns;				/* what the files' times are taken from */
	bool dead;
	uint64_t ops_left;			/* until the last one; 0: not armed */
	bool lose[NR_STORES];			/* the next flush fails, and takes unflushed writes with it */
	uint64_t nr_losses[NR_STORES];
	uint64_t nr_ops;			/* so far, of all kinds */
	struct in_flight *in_flight;		/* between disks_die() and disks_survive() */
	unsigned nr_in_flight;
	void (*flush_failed)(void *ctx, enum disk store, bool lost);
	void *ctx;
};

void disks_open(struct disks *d, const uint64_t size[NR_STORES], const uint32_t align[NR_STORES], uint64_t seed);
void disks_close(struct disks *d);
uint8_t *disks_bytes(struct disks *d, enum disk store);

/* Handles for an engine, which closes them, or disks_close_handles() after engine_abandon(). */
void disks_handles(struct disks *d, bool read_only, struct store_devices *out);
void disks_close_handles(struct store_devices *handles);

/* Queued transfers of origin and cache. */
unsigned disks_nr_pending(struct disks *d);
void disks_step(struct disks *d, unsigned n);	/* the n-th of all of them */

void disks_arm(struct disks *d, uint64_t nr_ops);
void disks_disarm(struct disks *d);
uint64_t disks_nr_faults(struct disks *d, enum disk store);	/* so far, losses included */
void disks_clear_faults(struct disks *d);

/* Before the loops are abandoned: from here on nothing has an effect; what is in flight is noted, and answered. */
void disks_die(struct disks *d);
/* After it: what was in flight may happen; power: unflushed writes may be undone.  Then the disks are as new. */
void disks_survive(struct disks *d, bool power);

#endif
