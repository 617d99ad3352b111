/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine: the only place where devices, metadata and policies meet.
 *
 * A request comes in through a loop (loop.c), is split at block borders (request.c), and each *block request* enters
 * its block's cell (cells.c), looks the block up (map.c) and goes its way: read.c, writethrough.c, zero.c.  Promotion,
 * demotion and invalidation are migration.c; the marks that cover writes under way marks.c; flush.c and commit.c make
 * things durable; jobs.c runs what blocks.  Each file reads from top to bottom in the order in which things happen.
 *
 * Threads.  Any number of loops, each one thread; job threads, which may block; callers of status and messages.  In
 * tests nothing is started: the same code is stepped by one thread.
 *
 * Lock order, outermost first; no lock is held across I/O, a callback or a wait, with the four exceptions that are
 * said:
 *	marks.io_lock	one writer of mark pages at a time.  Held across a buffered write of 4 KiB, which is its purpose (B2)
 *	commit.run_lock	one commit at a time.  Held across its I/O, by threads that may block, and by engine_void()
 *	origin_watch.lease_lock	one writer of the lease.  Held across a buffered write of 512 bytes, likewise
 *	flush.io_lock	one flush of the origin at a time, until a failure of it was handled (E1).  Held across the flush
 *	cwt.lock	cells, map, policy, marks in memory, fills, flush and commit state, statistics
 *	jobs.lock	the queue of jobs
 *	loop.inbox_lock	what other threads post to a loop
 * Everything else in a loop belongs to its thread.
 *
 * What must always hold is numbered I1 to I17 in HACKING.md, and W, L, B, F, C, E, R, S in cachewtfs-internals(7).
 */
#ifndef CWT_ENGINE_ENGINE_H
#define CWT_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/mutant.h"
#include "cachewt.h"
#include "device/device.h"
#include "engine/cells.h"
#include "engine/jobs.h"
#include "engine/map.h"
#include "engine/marks.h"
#include "engine/origin_watch.h"
#include "engine/regions.h"
#include "engine/write_back.h"
#include "metadata/store.h"
#include "policy/policy.h"

/* What a test replaces: time, threads, the machine's boot. */
struct engine_env {
	uint64_t (*now_ms)(void *ctx);	/* NULL: CLOCK_MONOTONIC */
	int64_t (*real_ns)(void *ctx);	/* NULL: CLOCK_REALTIME */
	void *ctx;
	uint64_t boot_id[2];
	int64_t boot_time_ns;		/* CLOCK_REALTIME at which it began; 0: not known */
	uint32_t pid;
	bool stepped;			/* no threads: jobs are run by engine_step_job() */
	uint64_t seed;
};

struct engine_options {
	enum cwt_mode mode;
	const char *policy;		/* NULL: the default */
	uint32_t commit_interval_ms;	/* 0: the default */
	bool read_only, trust_origin, reset;
	bool warm_after_power;		/* keep what a power cut did not touch: region marks, flushes at commits */
	struct engine_env env;
};

struct engine_stats {
	uint64_t block_requests;	/* counted when they enter their cells */
	uint64_t nr_undecided;		/* of these, those that wait for the decision; it counts one of the five below (I17) */
	uint64_t read_hits, read_misses, write_hits, write_misses, bypassed;
	uint64_t promotions, demotions, invalidations, fills_voided, fills_failed;
	uint64_t origin_read_errors, origin_write_errors, origin_flush_errors;
	uint64_t cache_read_errors, cache_write_errors, cache_flush_errors, metadata_errors;
	uint64_t commits, last_commit_ms;
};

/* flush.c: fsync requests wait here, not in a cell. */
struct flush_state {
	struct list waiting;		/* of struct request, for the next flush */
	struct list current;		/* answered by the flush under way */
	bool running;
	int sticky_error;		/* I11: until `origin-ok` or a remount */
	pthread_mutex_t io_lock;	/* around flush_origin()'s flush; the fields above are cwt.lock's */
	struct job job;
};

/* commit.c.  cwt.lock, but where it says otherwise. */
enum commit_step { COMMIT_IDLE, COMMIT_FLUSH_CACHE, COMMIT_FLUSH_ORIGIN, COMMIT_STORE };

struct engine_commit {
	uint8_t *dirty_pages;		/* bitmap: changed since they were last in a snapshot */
	uint8_t *snapshot_pages;	/* bitmap: in the commit under way, dirty again if it is aborted */
	uint32_t nr_pages, nr_dirty;
	bool changed;			/* anything to commit */
	bool wanted;			/* do not wait for the interval: free cblocks run low */
	unsigned nr_failed;		/* since the last one that succeeded */
	uint64_t retry_ms;		/* engine_now_ms(): none before */
	enum commit_step step;		/* run_lock */
	unsigned flags;			/* run_lock: COMMIT_FLUSH, COMMIT_CLEAN */
	bool origin_lost;		/* a flush of the origin failed since the snapshot (E2) */
	pthread_mutex_t run_lock;	/* one commit at a time; outermost, held by threads that may block */
	bool dead;			/* outcome unknown, or a mark failed: the metadata is not written any more in this run */
};

/*
 * read.c: passes over blocks that the policy did not want.  A reader that goes through a block in several reads has wanted
 * it once: only the first of them is a miss for the policy.
 */
#define PASSES 16u
struct read_pass { oblock_t oblock; uint32_t lo, hi; };	/* bytes of the block read so far */

struct cwt {
	/* constant after open */
	struct store_devices dev;
	struct store *store;
	uint32_t block_size, block_shift;	/* bytes */
	uint32_t align;				/* the larger alignment of the two stores; never above block_size (I4) */
	uint64_t origin_size;			/* bytes */
	uint32_t nr_oblocks, nr_cblocks;
	uint32_t free_target;			/* free cblocks that demotion keeps ready */
	struct engine_options options;
	char start_reason[160];
	int origin_fd;				/* -1: not a file */
	const char *origin_io, *cache_io;	/* how they are reached: aio_device_path_name() */

	pthread_mutex_t lock;			/* everything from here to jobs */
	struct cells cells;
	struct map map;
	struct policy *policy;
	struct list fills;			/* under way */
	struct read_pass passes[PASSES];
	unsigned next_pass;			/* the oldest */
	struct engine_stats stats;
	struct flush_state flush;
	struct engine_commit commit;
	enum cwt_bypass bypass;
	char bypass_reason[128];
	bool bypass_unlogged;
	unsigned cache_trouble;			/* leaky count of cache errors */
	unsigned nr_loops, nr_cell_slabs;
	struct cell *cell_slabs[CWT_LOOPS_MAX];
	uint64_t nr_in_cells;			/* block requests under way */
	size_t loops_bytes;

	struct regions regions;
	struct write_back write_back;

	struct origin_watch origin_watch;
	struct marks marks;			/* its own lock for I/O, cwt.lock for the rest */
	struct jobs jobs;
};

/*
 * Open over devices that are open, locked and formatted; they belong to the engine from then on, also when this fails.
 * Errors as cwt_open().
 */
int engine_open(const struct store_devices *devices, const struct engine_options *options, struct cwt **out,
		struct cwt_error *err);

/*
 * I4: a write is widened to the alignment of the stores and held as that, within its block.  Where a store's unit is
 * larger than a block, its read-modify-write would reach into the neighbours, which nobody holds.  So such a store is
 * refused: -EINVAL with a line, which ends with remedy.
 */
int engine_check_align(const struct device *dev, uint32_t block_size_bytes, const char *remedy, struct cwt_error *err);

/* Stepped engines: run the oldest job, or the commit if it is due; false: there was nothing to do. */
bool engine_step_job(struct cwt *e);

/*
 * What kill -9 leaves behind: memory is freed, nothing is written.  For tests; the devices stay open and go back to the
 * caller.  Loops are abandoned first.
 */
void engine_abandon(struct cwt *e);
void engine_abandon_loop(struct cwt_loop *loop);

/*
 * Make every mapping void, durably, when marks can no longer say what differs (W5): by the superblock, else the cache's
 * label, else the origin's tag.  0, or the error of the last way.  No commit follows in this run.  Blocks; expects at
 * most marks.io_lock.
 */
int engine_void(struct cwt *e);

uint64_t engine_now_ms(const struct cwt *e);
int64_t engine_real_ns(const struct cwt *e);
/* The real time at which this boot began: changes when somebody sets the clock. */
int64_t engine_clock_ns(const struct cwt *e);

/* Length of a block: block_size, but for the last one of an odd-sized origin (I6). */
static inline uint32_t engine_block_len(const struct cwt *e, oblock_t o)
{
	uint64_t begin = (uint64_t)o.v << e->block_shift;

	if (mutant_is(MUTANT_PAST_ODD_END))
		return e->block_size;
	return e->origin_size - begin < e->block_size ? (uint32_t)(e->origin_size - begin) : e->block_size;
}

static inline uint64_t engine_origin_offset(const struct cwt *e, oblock_t o) { return (uint64_t)o.v << e->block_shift; }

#endif
