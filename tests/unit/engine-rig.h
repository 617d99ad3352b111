/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A rig for engine tests: the real engine and store over memory devices inside faulty ones, stepped by one thread.
 *
 * Nothing happens by itself: rig_step() lets the next thing happen (a device finishes its oldest transfer, a job runs, a loop
 * turns), rig_settle() lets everything happen.  The rig keeps the image as it should be (expect), for requests that succeed.
 */
#ifndef ENGINE_RIG_H
#define ENGINE_RIG_H

#include <check.h>

#include "device/faulty.h"
#include "device/memory.h"
#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "engine/migration.h"

#define RIG_LOOPS 2

struct rig_options {
	uint64_t origin_size;		/* bytes; 0: 8 blocks */
	uint32_t block_size;		/* 0: 4096 */
	uint32_t nr_cblocks;		/* 0: 4 */
	uint32_t align;			/* of origin and cache; 0: 1 */
	const char *policy;		/* NULL: lru, which promotes at every miss */
	enum cwt_mode mode;
	bool read_only, warm_after_power, cache_buffered;
	bool threads;			/* jobs and commits have theirs: then engine_step_job() is not to be called */
};

struct rig {
	struct rig_options o;
	struct device *origin_memory, *cache_memory, *metadata_memory;	/* survive restarts */
	struct store_devices dev;	/* the faulty ones around them */
	struct cwt *e;
	struct cwt_loop *loop[RIG_LOOPS];
	uint8_t *expect;
	uint64_t now_ms, boot;
	bool early;			/* requests begun from now on have a released() */
	bool sync;			/* ... or are synchronous */
	struct cwt_error err;
};

struct rig_request {
	struct cwt_request r;
	bool done, released;
	uint8_t *buf;			/* spoilt when it is ours again */
};

void rig_start(struct rig *rig, const struct rig_options *o);	/* formats, opens; asserts */
int rig_open(struct rig *rig, bool reset);			/* after rig_stop() or rig_kill(); the error of engine_open() */
int rig_stop(struct rig *rig);					/* settles, closes cleanly; the error of cwt_close() */
void rig_kill(struct rig *rig);					/* as kill -9: what devices have done stays */
void rig_end(struct rig *rig);					/* rig_kill() if open, and free */

/* Begin a request on a loop; the buffer of a write is filled with byte. */
struct rig_request *rig_begin(struct rig *rig, unsigned loop, enum cwt_op op, uint64_t offset, uint64_t len, uint8_t byte);
void rig_free(struct rig_request *q);

bool rig_step(struct rig *rig);		/* false: nothing was left to do */
void rig_settle(struct rig *rig);

/* Begin, settle, and the result; a read is compared with expect, a write that succeeded goes into it. */
int64_t rig_do(struct rig *rig, enum cwt_op op, uint64_t offset, uint64_t len, uint8_t byte);
void rig_expect(struct rig *rig, uint64_t offset, uint64_t len, uint8_t byte);

/* The origin is as expected, every mapping's content equals the origin, and the books balance. */
void rig_check(struct rig *rig);
bool rig_mapped(struct rig *rig, uint32_t oblock);
/* Promote blocks [first, first + nr) by reading them. */
void rig_warm(struct rig *rig, uint32_t first, uint32_t nr);

struct cwt_status rig_status(struct rig *rig);
/* A faulty device around inner, which is left open when it is closed. */
struct device *rig_wrap(struct device *inner, bool stepped, bool read_only);
/* The n-th matching operation from now on fails; kinds of faulty.h. */
void rig_fail(struct device *dev, unsigned kinds, uint64_t skip, uint64_t times, int error);

#endif
