/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commit: make the mappings durable, all or nothing (C1 to C9).
 *
 *	IDLE           snapshot: changed pages copied, REMOVED becomes COMMITTING, at one instant (C1)
 *	FLUSH_CACHE    with COMMIT_FLUSH: data before mappings (I8, C3); and where the cache is buffered (write_back.h)
 *	FLUSH_ORIGIN   only with COMMIT_FLUSH
 *	STORE          the store's own steps: pages, superblocks (C4, C5); then the removed cblocks become free (C6)
 *
 * When the outcome is sure to be "no", everything goes back to dirty and removed, and is tried again (C9), after a pause
 * that doubles with each failure; after COMMIT_FAILURES_MAX of them the cache is bypassed, and the tries go on, so that
 * what was dropped comes to be committed when the disk works again.  When the outcome is not known, the cache is bypassed
 * for good and the metadata is not written any more.
 *
 * A commit runs on the commit thread, or on that of a message or of the stop; one at a time, by commit.run_lock.  It
 * holds cwt.lock for the copies and for the end only.
 */
#ifndef CWT_ENGINE_COMMIT_H
#define CWT_ENGINE_COMMIT_H

#include "base/types.h"

#define COMMIT_RETRY_MS 100u		/* the first pause */
#define COMMIT_RETRY_MAX_MS 10000u
#define COMMIT_FAILURES_MAX 5u
#define COMMIT_PAGES_MAX 4096u		/* changed pages at which migrations wait for a commit: 16 MiB of copies */

struct cwt;

int engine_commit_init(struct cwt *e);		/* -ENOMEM */
void engine_commit_exit(struct cwt *e);

/* c's entry has changed. */
void commit_page_dirty_locked(struct cwt *e, cblock_t c);
/* Do not wait for the interval. */
void commit_want_locked(struct cwt *e);
/* Is it time?  Expects no lock. */
bool engine_commit_due(struct cwt *e);

/* A whole commit; flags as store_commit_begin().  0 or the error.  Blocks. */
int engine_commit_run(struct cwt *e, unsigned flags);
/* The last one of an orderly stop (S1): hints too, everything flushed, the clean mark. */
int engine_commit_clean(struct cwt *e);
/*
 * One step of it, at most one device call: 1 more to do, 0 ended well or nothing to do, or the error.  For tests;
 * engine_commit_run() is these.
 */
int engine_commit_step(struct cwt *e, unsigned flags);

/* E3: writes to the cache are lost, nobody knows which.  Expects no lock. */
void cache_lost(struct cwt *e, int error);

#endif
