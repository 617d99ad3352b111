/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What blocks: flushes of the origin, fallocate, and the commit, on threads of their own.
 *
 * A job is embedded in whatever it belongs to and posted once; a job thread calls run(), which may block and may post
 * again.  Each kind has a queue and threads of its own, since what one kind waits for is not what the next one does: a
 * write that waits for its region mark, a flush of the metadata, must not wait for a punch and an fsync of a slow origin.
 * No job waits for another job, so each queue empties at the speed of its own store.
 *
 * The commit thread has no queue: it wakes at the commit interval, or when it is kicked, and writes late clears of marks.
 *
 * In a stepped engine there are no threads; jobs_step() runs the oldest job on the caller's.
 */
#ifndef CWT_ENGINE_JOBS_H
#define CWT_ENGINE_JOBS_H

#include <pthread.h>
#include <stdint.h>

#include "base/list.h"

enum job_kind {
	JOB_WAIT,	/* flushes of the origin, and whatever has no other kind: one that is slow, and what comes meanwhile */
	JOB_MARKS,	/* region marks */
	JOB_BULK,	/* fallocate */
	NR_JOB_KINDS,
};

#define JOB_WAIT_THREADS 2u
#define JOB_MARKS_THREADS 1u
#define JOB_BULK_THREADS 2u
#define JOB_THREADS (JOB_WAIT_THREADS + JOB_MARKS_THREADS + JOB_BULK_THREADS)

struct cwt;

struct job {
	struct list node;		/* list_init() once */
	void (*run)(struct cwt *e, struct job *job);
	enum job_kind kind;
	uint64_t number;		/* in the order of posting; jobs.lock */
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t cond[NR_JOB_KINDS];	/* of job threads */
	pthread_cond_t commit_cond;	/* of the commit thread; CLOCK_MONOTONIC */
	struct list queue[NR_JOB_KINDS];
	uint64_t nr_posted;
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
