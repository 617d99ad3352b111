/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The oracle: what a read may return, for every byte of the image.
 *
 * Every write is a *version* of the bytes it covers, with bytes of its own (oracle_fill()), so that what is read
 * names the write it came from.  The image is cut into segments at the borders of all writes and reads; each keeps
 * its versions, newest last, and of each when it was certainly gone for those who read later:
 *
 *	a write under way	may be seen or not
 *	a write that succeeded	from its answer on, everything that was over before it began is gone
 *	a write that failed	may have happened or not, until a read says which
 *	a read			of what was over before the read began, only what it saw is left; so two reads with no write
 *				between them agree, across demotions, kills and restarts alike
 *	a kill			ends all writes under way, as if they had failed
 *	a power cut		brings back, for once, whatever was not gone when the last good flush was asked for
 *	a synchronous write	that succeeded: what was over before it began is gone for good
 *	a lost flush		(a failed one that takes data with it) does the same for what is not under way
 *
 * Time is a counter of the oracle's own; no two events share a value.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_NEVER UINT32_MAX

struct version { uint32_t write, gone_at, for_good; };	/* for_good: no power cut brings it back, 0 or 1 */

struct segment {
	uint32_t lo;			/* ends where the next begins */
	uint32_t nr, room;
	struct version *v;
};

struct written {
	uint32_t submitted, ended;	/* ORACLE_NEVER: under way */
	bool zeros;
	uint64_t key;
};

struct oracle {
	uint32_t size;
	struct segment *seg;		/* one more than nr_segs, the last one beginning at size */
	uint32_t nr_segs, room_segs;
	struct written *writes;		/* [0]: what the origin held at first */
	uint32_t nr_writes, room_writes;
	uint32_t now;
	uint32_t durable;		/* what was gone then does not come back at a power cut */
	uint32_t nr_reads;		/* under way */
	char why[1024];			/* after a check that failed */
};

void oracle_init(struct oracle *o, uint32_t size, uint64_t seed);
void oracle_free(struct oracle *o);

/* The bytes of version write at [lo, lo + len). */
void oracle_fill(const struct oracle *o, uint32_t write, uint32_t lo, void *buf, uint32_t len);

uint32_t oracle_write_begin(struct oracle *o, uint32_t lo, uint32_t hi, bool zeros);
/* [lo, upto) succeeded, [upto, hi) may have happened. */
void oracle_write_end(struct oracle *o, uint32_t write, uint32_t lo, uint32_t upto);
/* After that: it was synchronous, so that [lo, upto) is durable. */
void oracle_write_lasts(struct oracle *o, uint32_t write, uint32_t lo, uint32_t upto);
/* Refused: nothing has happened. */
void oracle_write_refused(struct oracle *o, uint32_t write, uint32_t lo, uint32_t hi);

uint32_t oracle_read_begin(struct oracle *o);
void oracle_read_gone(struct oracle *o);	/* killed, or without data */
/* The data of a read that began at since: false, and why, when there is no such read. */
bool oracle_read_end(struct oracle *o, uint32_t since, uint32_t lo, const uint8_t *data, uint32_t len);

uint32_t oracle_flush_begin(struct oracle *o);
void oracle_flush_end(struct oracle *o, uint32_t since);	/* success */

void oracle_kill(struct oracle *o);
void oracle_power_cut(struct oracle *o);	/* after oracle_kill() */
void oracle_flush_lost(struct oracle *o);

/* At rest: the content of the whole origin is what it is; then forget what cannot come back. */
bool oracle_rest(struct oracle *o, const uint8_t *origin);

#endif
