/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Flush: fsync means the origin (I11).
 *
 * A flush covers what was answered before it was issued, so a request that comes while one is under way waits for the
 * next; all that wait share one.  Flushes of the origin are serialized, and none is issued until a failure has been
 * handled (E1).
 *
 * Synchronous writes wait here, too, beside the fsyncs.  They come when their origin legs have ended, each in full, so
 * the rule for both is one: answered by a flush that is issued after they came, never by one under way.  Good, the
 * flush leaves the answer that the legs gave; failed, it takes its place.
 *
 * A failure is answered to all that wait, and from then on to every flush until `origin-ok` or a remount, since nobody
 * knows which acknowledged bytes are gone; everything cached is dropped and the cache bypassed (E2).
 */
#ifndef CWT_ENGINE_FLUSH_H
#define CWT_ENGINE_FLUSH_H

#include "engine/request.h"

/* r is a flush, or a synchronous request whose result is known. */
void flush_begin(struct cwt_loop *loop, struct cwt_request *r);
/*
 * Flush the origin.  A failure is handled before anybody else can issue a flush.  Blocks; expects at most
 * commit.run_lock.
 */
int flush_origin(struct cwt *e);
/* `origin-ok`. */
void flush_origin_ok_locked(struct cwt *e);

#endif
