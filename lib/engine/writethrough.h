/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writethrough: one request, to the origin first, and when that has succeeded a worker takes it from the deferred
 * writethrough queue and writes it to the cache; then it is answered, or, if it has a released(), before that, as soon
 * as the origin has it.
 *
 *	wt_start_locked    decided, under the cell's hold: hit or miss; the cblock is marked busy (W2)
 *	wt_origin_done     device context: the origin has it.  Miss: ended.  Hit: deferred; an early answer is due
 *	wt_worker          the worker stage: start the cache legs
 *	wt_cache_done      device context: the cache has it: ended
 *
 * Why this order, and why the hold: a write that asked "is this block cached?" before it was counted as in flight could
 * miss a promotion in between and leave the cache stale for ever; two copies sent in parallel could leave the cache
 * newer than an origin that failed.  Here the hold is taken before the decision (I1) and kept past the last leg, fills
 * and demotions respect it, and the cache leg starts only after the origin leg succeeded for every byte (I3).
 *
 * Why the answer may come between the legs: only the caller learns of it.  The hold keeps every read and every
 * overlapping write of the range until the cache leg has ended (W1), a demotion needs a quiet block, the marks stand
 * (B1, C1), and a flush asks the origin, which has the data.  The buffer is the engine's until released(), so the cache
 * leg needs no copy; a full pool of the caller's is the back-pressure, as before.  Reads could be served from the buffer
 * meanwhile; they wait instead, for one write of the fast store.
 *
 * Failures (W4): the mapping is removed in memory before the answer.  Origin leg: the origin's errno.  Cache leg:
 * success, since the origin has the data; answered early, nobody is told, and those who wait in the cell find a miss.
 *
 * Writearound, passthrough and a bypass are the same with one leg: a hit writes the origin and drops the mapping.
 */
#ifndef CWT_ENGINE_WRITETHROUGH_H
#define CWT_ENGINE_WRITETHROUGH_H

#include "engine/request.h"

/* loop->ready, after the wait for the region mark, which may have failed. */
void wt_mark_done(struct block_request *b);
/* Hit or miss, for any request that changes the origin (zero.c too): a hit takes its cblock as a writer. */
void write_decide_locked(struct block_request *b);
void wt_start_locked(struct block_request *b);
void wt_worker(struct cwt_loop *loop);		/* returns with loop->deferred_writethrough empty */

#endif
