/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every legal state of the three files after a power cut, at every moment of a record.
 *
 * At each moment there is the durable content and the writes that no flush has covered, in flight or completed.  Each
 * of these is present, absent, or torn between two of its sectors; a border at which no sector differs in any version
 * makes no other state. Busy marks after a cut are arbitrary: as written, all set, all clear, and random.  A state is
 * the metadata with the cache's label (which recovery reads) and the data of origin and cache (which it never reads:
 * asserted); so each metadata is recovered once, again with a second crash at every operation of that recovery, and
 * all mappings that can come of it are compared with all data that can be beside it.
 *
 * A kill at every moment is done as well: what was completed is there, what was in flight is present, absent or torn;
 * same boot.
 */
#ifndef SIM_STATES_H
#define SIM_STATES_H

#include "record.h"

#define STATES_CBLOCKS 4u
#define STATES_OBLOCKS 6u
#define STATES_BLOCK 4096u
#define STATES_UNFLUSHED_MAX 12u

/* Notes in the record: value names the data, sectors [from, to) of the origin. */
enum { NOTE_WRITE, NOTE_ANSWERED, NOTE_FSYNC, NOTE_FSYNCED };

struct states_counts {
	uint64_t states, kills, recoveries, second_crashes, warm, skipped;
};

struct machine {
	uint8_t *bytes[NR_STORES];	/* durable when the record began */
	uint64_t size[NR_STORES];
	uint8_t tag[DEVICE_TAG_BYTES];
	uint64_t origin_mtime;
	uint64_t boot;
	bool warm_after_power;
};

/* False, and a line on stdout, when a state is recovered wrong. */
bool states_check(const char *name, const struct machine *m, const struct record *r, struct states_counts *counts);

void states_seed_randomness(uint64_t seed);	/* getrandom() of this program */

#endif
