/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What blocks: flushes of the origin, fallocate, and the commit, on threads of their own.
 *
 * A job is embedded in whatever it belongs to and posted once; a job thread calls run(), which may block and may post
 * again.  The commit thread has no queue: it wakes at the commit interval, or when it is kicked, and writes late clears
 * of marks.
 *
 * In a stepped engine there are no threads; jobs_step() runs the oldest job on the caller's.
 */
#ifndef CWT_ENGINE_JOBS_H
#define CWT_ENGINE_JOBS_H

#include <pthread.h>

#include "base/list.h"

#define JOB_THREADS 2u	/* one for a slow flush, one for what comes meanwhile */

struct cwt;

struct job {
	struct list node;		/* list_init() once */
	void (*run)(struct cwt *e, struct job *job);
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t cond;		/* of job threads; CLOCK_MONOTONIC */
	pthread_cond_t commit_cond;	/* of the commit thread */
	struct list queue;
	bool commit_kicked, stop;
	pthread_t threads[JOB_THREADS], commit_thread;
	unsigned nr_threads;
	bool have_commit_thread;
};

void jobs_init(struct cwt *e);
void jobs_exit(struct cwt *e);		/* after the last commit, which may kick another */
int jobs_start(struct cwt *e);		/* stepped: no thread.  Negative errno of pthread_create */
void jobs_stop(struct cwt *e);		/* runs what is queued to its end, joins */
void jobs_post(struct cwt *e, struct job *job);		/* any thread, also under cwt.lock */
void jobs_kick_commit(struct cwt *e);			/* likewise */
bool jobs_step(struct cwt *e);		/* run the oldest job here; false: none */

#endif
