/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Region marks, only with --warm-after power: one bit per region of the origin that says "origin and cache may differ
 * here, and a power cut would not tell" (W3, C1, C2, C7).
 *
 * Before the origin leg of a write to a block that is mapped, or is mapped in what is durable, its region's mark must
 * be durable.  `needed` counts, per region, the cblocks whose mapping is visible or whose removal is not committed;
 * that covers a block mapped in memory, in the last generation, and in the snapshot of a running commit, so a write
 * into a region with needed == 0 needs no mark.
 *
 *	marked   durable
 *	0        0        nothing to say
 *	1        0        set in memory: its page is dirty; writes of the region wait (BREQ_MARK_WAIT)
 *	1        1        a flush issued after the page was written has returned: writes pass
 *	0        0        cleared by a commit (C7); the page is dirty, but nobody waits for it
 *
 * One job writes dirty pages and flushes; all that wait share one flush. Clearing needs no flush: an old set bit is
 * only warmth lost.  A set after a clear goes through the job again, and the job is the only writer, so the last write
 * of a page is never an older one.
 *
 * Clearing: a commit takes as candidates the marked regions without a write in flight at its snapshot (C1); a write
 * that enters later takes its region out (C2); after the commit, which has flushed origin and cache in between, what is
 * left is cleared (C7).
 *
 * When a mark cannot be made durable, every mapping is made void durably by another way (W5: store_void()), and only if
 * that fails too do the writes that wait fail with EIO.
 *
 * Locking: all fields by cwt.lock; the job holds none across its I/O.
 */
#ifndef CWT_ENGINE_REGIONS_H
#define CWT_ENGINE_REGIONS_H

#include "base/types.h"
#include "engine/jobs.h"
#include "engine/request.h"

struct regions {
	bool on;			/* --warm-after power, and mappings are not void for good */
	bool hopeless;			/* no way is left to say it durably: writes that need a mark fail */
	uint32_t nr_marked;		/* as marked says: something for a commit to clear */
	uint32_t nr, block_shift;	/* a region is 1 << block_shift blocks */
	uint32_t nr_pages;
	uint8_t *marked, *durable, *candidates;	/* bitmaps over regions */
	uint8_t *dirty_pages;		/* bitmap over mark pages */
	uint32_t *needed, *writers;	/* per region */
	struct list waiting;		/* block requests, for the next flush */
	bool running;
	struct job job;
};

int regions_init(struct cwt *e, bool on);	/* -ENOMEM */
void regions_free(struct regions *r);
size_t regions_bytes(const struct regions *r);

/* A mapping of o becomes visible, or its removal is committed. */
void regions_need_locked(struct cwt *e, oblock_t o);
void regions_unneed_locked(struct cwt *e, oblock_t o);

/* A write of o was decided: true when its origin leg may be issued; else it is kept until its mark is durable. */
bool regions_enter_locked(struct cwt *e, struct block_request *b);
/* It has left. */
void regions_leave_locked(struct cwt *e, oblock_t o);

/* C1 and C7. */
void regions_snapshot_locked(struct cwt *e);
void regions_committed_locked(struct cwt *e);
/* The commit was aborted, or a flush failed: clear none (E2, E3). */
void regions_keep_locked(struct cwt *e);
/* All mappings are void durably: no mark is needed any more; the waiting are let go by the job. */
void regions_off_locked(struct cwt *e);

#endif
