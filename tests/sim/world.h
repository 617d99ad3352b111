/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One run: the disks, the engine that lives on them just now, the requests under way, and the oracle that watches.
 *
 * Everything is done by one thread, one step at a time.  A failure prints the seed, what was seen and how to see it
 * again, and ends the process.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "config.h"
#include "disks.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "oracle.h"

/* What has been met, over all seeds of a process: a simulator that never gets anywhere finds nothing. */
#define SIM_COVERAGE(C) \
	C(events) C(requests) C(early_answers) C(early_lost) C(sync_writes) C(lives) C(rests) C(kills) C(power_cuts) C(last_operations) C(recoveries_cut) C(clean_stops) \
	C(warm_starts) C(kept_after_kill) C(kept_after_power) C(rotten) \
	C(block_requests) C(read_hits) C(read_misses) C(write_hits) C(write_misses) C(bypassed) C(promotions) \
	C(demotions) C(invalidations) C(fills_voided) C(fills_failed) C(origin_read_errors) C(origin_write_errors) \
	C(origin_flush_errors) C(cache_read_errors) C(cache_write_errors) C(cache_flush_errors) C(metadata_errors) C(commits)
struct coverage {
#define C(name) uint64_t name;
	SIM_COVERAGE(C)
#undef C
};
extern struct coverage coverage;

#define SIM_LOOPS 2
#define SIM_EPOCH_NS INT64_C(1700000000000000001)	/* of the real clock, at the beginning of a run */
#define SIM_CBLOCKS_MAX 16

struct world {
	struct config c;
	struct disks disks;
	struct oracle oracle;
	struct random random;		/* of the event under way */
	unsigned event;
	uint64_t now_ms, boot;

	struct cwt *e;			/* NULL between lives */
	struct store_devices handles;
	struct cwt_loop *loop[SIM_LOOPS];
	bool read_only;
	uint32_t kept[SIM_CBLOCKS_MAX];	/* by cblock: the block mapped there, in memory and in the last commit */
	bool power_last;		/* what disks_arm() stands for */
	struct list requests;		/* under way */
	struct list released;		/* given back, and kept to see that it happens once; of this life, since its last rest */
	unsigned nr_requests, nr_submitted;
	uint64_t faults_at_start[NR_STORES];
	uint32_t flush_failed_at;	/* oracle's time of a failed flush of the origin in this life; 0: none, or origin-ok */
};

extern bool sim_verbose;
_Noreturn void sim_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_note(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void world_init(struct world *w, uint64_t seed, uint32_t without);
void world_free(struct world *w);	/* no engine is living */

/* A new life; crashes on its way, and then tries again, where the seed says so. */
void world_start(struct world *w, bool reset);
/* Let it die now. */
void world_crash(struct world *w, bool power);
/* The disks have said that the last operation is over: bury the engine.  False: they live. */
bool world_bury(struct world *w);
/* Everything under way ends; all checks.  False: it died meanwhile, and lives again. */
bool world_rest(struct world *w);
/* An orderly stop and a new start. */
void world_restart(struct world *w);
/* The last stop of a run. */
void world_end(struct world *w);

/*
 * Every mapping of a block in whose cell nobody is equals the origin; and note what a kill must leave.  After every
 * event.
 */
void world_look(struct world *w);

#endif
