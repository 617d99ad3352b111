/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bounded pool of threads, one per device that needs it, so that a store which hangs holds up nobody else.  Threads
 * are started as jobs find none idle.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "device/aio_internal.h"

struct aio_pool {
	pthread_mutex_t lock;		/* protects all below */
	pthread_cond_t wake;
	struct list jobs;
	unsigned nr_jobs;
	unsigned nr_threads, nr_threads_max, nr_idle;
	bool stop;
	pthread_t threads[AIO_POOL_THREADS_MAX];
};

static void *pool_main(void *arg)
{
	struct aio_pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct list *node = list_pop(&pool->jobs);
		struct aio_job *job;

		if (!node) {
			if (pool->stop)
				break;
			pool->nr_idle++;
			pthread_cond_wait(&pool->wake, &pool->lock);
			pool->nr_idle--;
			continue;
		}
		pool->nr_jobs--;
		pthread_mutex_unlock(&pool->lock);
		job = list_entry(node, struct aio_job, node);
		job->error = aio_transfer_run(job->a, job->op, job->offset_bytes, job->buf, job->len_bytes);
		aio_source_return(job);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* 0 or a negative errno; with at least one thread running, failing to start another is no trouble. */
static int start_thread_locked(struct aio_pool *pool)
{
	int err = pthread_create(&pool->threads[pool->nr_threads], NULL, pool_main, pool);

	if (!err)
		pool->nr_threads++;
	return -err;
}

void aio_pool_submit(struct aio_pool *pool, struct aio_job *job)
{
	pthread_mutex_lock(&pool->lock);
	list_add_tail(&pool->jobs, &job->node);
	pool->nr_jobs++;
	if (pool->nr_jobs > pool->nr_idle && pool->nr_threads < pool->nr_threads_max)
		start_thread_locked(pool);
	pthread_cond_signal(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}

int aio_pool_open(unsigned nr_threads_max, struct aio_pool **out)
{
	struct aio_pool *pool = calloc(1, sizeof(*pool));
	int err;

	if (!pool)
		return -ENOMEM;
	pool->nr_threads_max = MIN(nr_threads_max, AIO_POOL_THREADS_MAX);
	cwt_assert(pool->nr_threads_max);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	list_init(&pool->jobs);
	pthread_mutex_lock(&pool->lock);
	err = start_thread_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	if (err) {
		aio_pool_close(pool);
		return err;
	}
	*out = pool;
	return 0;
}

void aio_pool_close(struct aio_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	cwt_assert(list_empty(&pool->jobs));
	pool->stop = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->nr_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
