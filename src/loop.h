/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop threads: each receives requests, gives them to the engine, turns the engine's loop and answers, all on one
 * thread, in turns:
 *
 *	receive until there are none, or TURN_REQUESTS, or no slot is left
 *	cwt_loop_turn(): reap, worker stage, submit, answer
 *	nothing done: wait for the FUSE descriptor (exclusively: one loop wakes for one request) and for the engine
 *
 * After: the run-to-completion loops of network servers; a hop to another thread costs more than a cached read.
 */
#ifndef CWT_SRC_LOOP_H
#define CWT_SRC_LOOP_H

#include "pool.h"
#include "server.h"

#define TURN_REQUESTS 60u

struct loops;

/*
 * Main thread.  start: pools, threads and the engine's loops; nothing is received yet.  At least one loop is open on
 * success; fewer than nr if there are too few AIO contexts.  Errors: -ENOMEM, -EAGAIN, with a line.
 * run: serve the FUSE descriptor.
 * join: after server_stop_loops(), or when the mount has ended; also if run was never called.
 */
int loops_start(struct server *server, unsigned nr, struct loops **out, struct cwt_error *err);
void loops_run(struct loops *loops, int fuse_fd);
void loops_join(struct loops *loops);

/*
 * For the handlers of requests, on a loop's thread.  A slot is given back by loop_finish(); slot->request is the
 * handler's to fill.  Or for a request that was brought by a ring (ring.h), on its thread: then loop_submit() returns
 * when it was answered, and NULL instead of a slot means that it was answered already, with an error.
 *
 * loop_slot    for a request whose answer has len bytes (0: none): a small one, or the one it was received in.
 * loop_slot_of_write  one that holds the len bytes at *data, which lie in the received slot; *data is moved with them.
 */
struct slot *loop_slot(fuse_req_t req, size_t len);
struct slot *loop_slot_of_write(fuse_req_t req, const char **data, size_t len);

/* Submit slot->request; its done(), or released() if it has one, must call loop_finish(). */
void loop_submit(struct slot *slot);
void loop_finish(struct slot *slot);

#endif
