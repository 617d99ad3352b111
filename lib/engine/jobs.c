/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/jobs.h"

#include <time.h>

#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/migration.h"

static const unsigned job_threads[NR_JOB_KINDS] = {
	[JOB_WAIT] = JOB_WAIT_THREADS,
	[JOB_MARKS] = JOB_MARKS_THREADS,
	[JOB_BULK] = JOB_BULK_THREADS,
};

static struct job *jobs_pop(struct jobs *jobs, enum job_kind kind)
{
	struct list *n = list_pop(&jobs->queue[kind]);

	return n ? list_entry(n, struct job, node) : NULL;
}

static void job_thread_run(struct cwt *e, enum job_kind kind)
{
	struct jobs *jobs = &e->jobs;
	struct job *job;

	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		job = jobs_pop(jobs, kind);
		if (job) {
			pthread_mutex_unlock(&jobs->lock);
			job->run(e, job);
			pthread_mutex_lock(&jobs->lock);
		} else if (jobs->stop) {
			break;
		} else {
			pthread_cond_wait(&jobs->cond[kind], &jobs->lock);
		}
	}
	pthread_mutex_unlock(&jobs->lock);
}

static void *job_thread_wait(void *e)
{
	job_thread_run(e, JOB_WAIT);
	return NULL;
}

static void *job_thread_marks(void *e)
{
	job_thread_run(e, JOB_MARKS);
	return NULL;
}

static void *job_thread_bulk(void *e)
{
	job_thread_run(e, JOB_BULK);
	return NULL;
}

static void *(*const job_thread_mains[NR_JOB_KINDS])(void *e) = {
	[JOB_WAIT] = job_thread_wait,
	[JOB_MARKS] = job_thread_marks,
	[JOB_BULK] = job_thread_bulk,
};

static struct timespec deadline_after(uint32_t ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

/*
 * Wakes every MARKS_STALE_MS: a bound on late clears, for the lease and for looks at the origin, and cheap
 * when there is nothing to do.
 */
static void *commit_thread(void *arg)
{
	struct cwt *e = arg;
	struct jobs *jobs = &e->jobs;

	pthread_mutex_lock(&jobs->lock);
	while (!jobs->stop) {
		struct timespec deadline = deadline_after(MARKS_STALE_MS);

		if (!jobs->commit_kicked)
			pthread_cond_timedwait(&jobs->commit_cond, &jobs->lock, &deadline);
		jobs->commit_kicked = false;
		pthread_mutex_unlock(&jobs->lock);
		bypass_log(e);
		write_back_ask(e);
		marks_write_stale(e);
		origin_watch_tick(e);
		if (engine_commit_due(e))
			engine_commit_run(e, 0);
		pthread_mutex_lock(&jobs->lock);
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

void jobs_init(struct cwt *e)
{
	struct jobs *jobs = &e->jobs;
	pthread_condattr_t attr;

	pthread_mutex_init(&jobs->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&jobs->commit_cond, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned kind = 0; kind < NR_JOB_KINDS; kind++) {
		pthread_cond_init(&jobs->cond[kind], NULL);
		list_init(&jobs->queue[kind]);
	}
}

void jobs_exit(struct cwt *e)
{
	for (unsigned kind = 0; kind < NR_JOB_KINDS; kind++)
		pthread_cond_destroy(&e->jobs.cond[kind]);
	pthread_cond_destroy(&e->jobs.commit_cond);
	pthread_mutex_destroy(&e->jobs.lock);
}

/* Without region marks nobody has any to write. */
static unsigned nr_threads_of(const struct cwt *e, enum job_kind kind)
{
	return kind == JOB_MARKS && !e->options.warm_after_power ? 0 : job_threads[kind];
}

static int jobs_start_kind(struct cwt *e, enum job_kind kind)
{
	struct jobs *jobs = &e->jobs;
	int ret = 0;

	for (unsigned n = nr_threads_of(e, kind); n && !ret; n--) {
		ret = -pthread_create(&jobs->threads[jobs->nr_threads], NULL, job_thread_mains[kind], e);
		if (!ret)
			jobs->nr_threads++;
	}
	return ret;
}

int jobs_start(struct cwt *e)
{
	struct jobs *jobs = &e->jobs;
	int ret = 0;

	if (e->options.env.stepped)
		return 0;
	for (unsigned kind = 0; kind < NR_JOB_KINDS && !ret; kind++)
		ret = jobs_start_kind(e, kind);
	if (!ret)
		ret = -pthread_create(&jobs->commit_thread, NULL, commit_thread, e);
	if (!ret)
		jobs->have_commit_thread = true;
	else
		jobs_stop(e);
	return ret;
}

void jobs_stop(struct cwt *e)
{
	struct jobs *jobs = &e->jobs;

	pthread_mutex_lock(&jobs->lock);
	jobs->stop = true;
	for (unsigned kind = 0; kind < NR_JOB_KINDS; kind++)
		pthread_cond_broadcast(&jobs->cond[kind]);
	pthread_cond_broadcast(&jobs->commit_cond);
	pthread_mutex_unlock(&jobs->lock);
	while (jobs->nr_threads)
		pthread_join(jobs->threads[--jobs->nr_threads], NULL);
	if (jobs->have_commit_thread)
		pthread_join(jobs->commit_thread, NULL);
	jobs->have_commit_thread = false;
	while (jobs_step(e))
		;
}

void jobs_post(struct cwt *e, struct job *job)
{
	struct jobs *jobs = &e->jobs;

	pthread_mutex_lock(&jobs->lock);
	job->number = jobs->nr_posted++;
	list_add_tail(&jobs->queue[job->kind], &job->node);
	pthread_cond_signal(&jobs->cond[job->kind]);
	pthread_mutex_unlock(&jobs->lock);
}

void jobs_kick_commit(struct cwt *e)
{
	struct jobs *jobs = &e->jobs;

	pthread_mutex_lock(&jobs->lock);
	jobs->commit_kicked = true;
	pthread_cond_signal(&jobs->commit_cond);
	pthread_mutex_unlock(&jobs->lock);
}

static struct job *jobs_pop_oldest(struct jobs *jobs)
{
	struct job *oldest = NULL;

	for (unsigned kind = 0; kind < NR_JOB_KINDS; kind++) {
		struct job *job;

		if (list_empty(&jobs->queue[kind]))
			continue;
		job = list_entry(jobs->queue[kind].next, struct job, node);
		if (!oldest || job->number < oldest->number)
			oldest = job;
	}
	return oldest ? jobs_pop(jobs, oldest->kind) : NULL;
}

bool jobs_step(struct cwt *e)
{
	struct job *job;

	pthread_mutex_lock(&e->jobs.lock);
	job = jobs_pop_oldest(&e->jobs);
	pthread_mutex_unlock(&e->jobs.lock);
	if (job)
		job->run(e, job);
	return job != NULL;
}
