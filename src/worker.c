/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See worker.h. */
#include "worker.h"

/* NULL: stopping, and nothing is left. */
static struct job *next_job(struct worker *worker)
{
	struct list *node;

	pthread_mutex_lock(&worker->lock);
	while (list_empty(&worker->jobs) && !worker->stopping)
		pthread_cond_wait(&worker->changed, &worker->lock);
	node = list_pop(&worker->jobs);
	pthread_mutex_unlock(&worker->lock);
	return node ? list_entry(node, struct job, node) : NULL;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct job *job;

	while ((job = next_job(worker)))
		job->run(job);
	return NULL;
}

void worker_destroy(struct worker *worker)
{
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
}

int worker_start(struct worker *worker)
{
	int err;

	list_init(&worker->jobs);
	worker->stopping = false;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	err = -pthread_create(&worker->thread, NULL, worker_main, worker);
	if (err)
		worker_destroy(worker);
	return err;
}

void worker_stop(struct worker *worker)
{
	bool stopped;

	pthread_mutex_lock(&worker->lock);
	stopped = worker->stopping;
	worker->stopping = true;
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	if (!stopped)
		pthread_join(worker->thread, NULL);
}

bool worker_push(struct worker *worker, struct job *job)
{
	bool taken;

	list_init(&job->node);
	pthread_mutex_lock(&worker->lock);
	taken = !worker->stopping;
	if (taken) {
		list_add_tail(&worker->jobs, &job->node);
		pthread_cond_signal(&worker->changed);
	}
	pthread_mutex_unlock(&worker->lock);
	return taken;
}
