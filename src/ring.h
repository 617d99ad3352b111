/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * -o io_uring: requests that come by the rings that kernel and libfuse share, instead of by /dev/fuse.
 *
 * libfuse has a thread for each processor then; it takes the requests made on that processor and calls the handlers,
 * one after the other.  Answers from another thread were broken in the first releases of libfuse that have rings, so a
 * handler does everything on that thread: it takes a loop of the engine, submits, turns the loop until its request has
 * ended, and answers.  What else may block (attributes, status, messages) is run there, too, not by a worker.  Buffers
 * are libfuse's: they begin on a page, a WRITE's payload goes to the store as it is and a READ's is read into place.
 *
 * The engine's loops: one for each processor, as many as the engine allows beside those of loop.h; where there are more
 * processors, several share one and take it in turns.  A loop that was left may still have something under way (the
 * cache write of a fill whose readers were answered), which others may wait for: a thread of ours, the caretaker, turns
 * such loops until they are taken again.
 *
 * libfuse falls back to /dev/fuse when it cannot set the rings up: the loops of loop.h are there in any case.
 */
#ifndef CWT_SRC_RING_H
#define CWT_SRC_RING_H

#include "pool.h"
#include "server.h"

struct rings;

/* Main thread.  Was it built with a libfuse that has rings, and does this kernel allow them?  -ENOTSUP with a line. */
int rings_check(struct cwt_error *err);

/*
 * Main thread.  open: at most nr_max loops of the engine, before the mount.
 * close: requests that come from now on are answered ENODEV; returns when those under way were answered.
 * end_threads: after that, of a connection that has ended: libfuse's threads.
 */
int rings_open(struct server *server, unsigned nr_max, struct rings **out, struct cwt_error *err);
void rings_close(struct rings *rings);
void rings_end_threads(struct server *server);

/* Did this request come by a ring?  Then its handler, on libfuse's thread, has to have answered when it returns. */
bool ring_brought(fuse_req_t req);

/*
 * For a request that did: as loop_slot(), loop_submit() and loop_finish(), but ring_slot() takes a loop, and
 * ring_submit() returns when the request has ended.  NULL: it was answered, with an error.
 */
struct slot *ring_slot(fuse_req_t req, size_t len);
void ring_submit(struct slot *slot);
void ring_finish(struct slot *slot);

/* Around what else a handler does on libfuse's thread with the engine.  false: it is being closed. */
bool rings_enter(struct rings *rings);
void rings_leave(struct rings *rings);

#endif
