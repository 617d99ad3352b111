/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread for work that may block, in the order in which it was given.  How much waits is bounded by the requests that
 * the kernel has under way.
 */
#ifndef CWT_SRC_WORKER_H
#define CWT_SRC_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"

/* Embedded by the caller; run() is called once, on the worker's thread, and frees it. */
struct job {
	struct list node;
	void (*run)(struct job *job);
};

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct list jobs;	/* protected by lock */
	bool stopping;		/* protected by lock */
};

int worker_start(struct worker *worker);	/* 0, or a negative errno: nothing was started */
void worker_stop(struct worker *worker);	/* runs what is left; pushes may go on, in vain.  Twice: nothing */
void worker_destroy(struct worker *worker);	/* after worker_stop() and the last push */
bool worker_push(struct worker *worker, struct job *job);	/* any thread.  false: stopped, the job is not taken */

#endif
