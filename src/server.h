/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all threads of a mount share.  Set up by main before the loops start and constant afterwards, but for the
 * atomics.
 *
 * Threads: main waits for signals and events; the loops serve requests; `queries` asks the origin's file system for
 * attributes and holes, `messages` gives messages to the engine, `statuses` makes the status, `invalidations` has the
 * kernel drop pages (only with -o page_cache=on).  These may block, so a loop only hands work to them.
 */
#ifndef CWT_SRC_SERVER_H
#define CWT_SRC_SERVER_H

#include <fuse_lowlevel.h>
#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "memory.h"
#include "options.h"
#include "warnings.h"
#include "worker.h"

struct server {
	const struct options *options;
	struct cwt *cwt;
	struct fuse_session *session;
	uint64_t size_bytes;		/* of the image */
	uint32_t block_size_bytes;
	uint32_t busy_poll_us;		/* how long a loop looks for work before it sleeps */
	uint32_t uid, gid;		/* of the mounting user: the folders and control files are his */
	struct timespec start_time;
	bool io_flusher;		/* the threads are */
	struct warnings *warnings;

	int stop_fd;			/* eventfd: readable when stopping has become true, to wake the loops */
	int event_fd;			/* eventfd: readable when ready or ended has become true */
	atomic_bool stopping;		/* the loops are to end */
	atomic_bool ready;		/* the kernel has been answered: the mount works */
	atomic_bool ended;		/* the kernel has let go of the mount */
	atomic_int locked;		/* enum memory_locked; becomes known after ready */
	atomic_bool by_ring;		/* requests come by the rings: -o io_uring, and it was not refused */
	atomic_uint nr_handles;		/* open files, of the image and of control files */
	struct worker queries, messages, statuses, invalidations;
	struct rings *rings;		/* NULL: without -o io_uring */
	unsigned nr_workers;		/* that were started, in this order */
};

/* A request that one of the workers answers.  At the head of what run() frees, with g_free(). */
struct server_job {
	struct job job;
	struct server *server;
	fuse_req_t req;
};

int server_open(struct server *server, const struct options *options, struct cwt_error *err);
void server_close(struct server *server);	/* waits for the jobs; also after a failed open */

/* Any thread.  Ready; the mount is gone (tells other owners that we are about to end); the loops are to end. */
void server_ready(struct server *server);
void server_ended(struct server *server);
void server_stop_loops(struct server *server);

/* A handler's: have the worker run job, or, if the request was brought by a ring, run it now. */
void server_start_job(struct worker *worker, struct server_job *job);

/* Before the loops are told to end: what is under way may wait for them.  From now on nothing is invalidated. */
void server_stop_invalidating(struct server *server);

#endif
