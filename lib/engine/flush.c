/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/flush.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mutant.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "engine/migration.h"

static void flush_run(struct cwt *e, struct job *job);

static void flush_set_result(struct cwt_request *r, int error)
{
	if (error || r->op == CWT_FLUSH)
		r->result = r->error = error;
}

void flush_begin(struct cwt_loop *loop, struct cwt_request *r)
{
	struct cwt *e = loop->engine;
	struct request *p = request_priv(r);
	bool start = false;
	int error;

	pthread_mutex_lock(&e->lock);
	error = e->flush.sticky_error;
	if (!error && !e->options.read_only) {
		list_add_tail(&e->flush.waiting, &p->node);
		start = !e->flush.running;
		e->flush.running = true;
	}
	pthread_mutex_unlock(&e->lock);
	if (start) {
		e->flush.job.run = flush_run;
		jobs_post(e, &e->flush.job);
	}
	if (error || e->options.read_only) {
		flush_set_result(r, error);
		list_add_tail(&loop->answers, &p->node);
	}
}

/*
 * E2.  A commit under way has copied mappings whose data may be gone; it must not vouch for them, nor clear their
 * marks.
 */
static void flush_failed_locked(struct cwt *e, int error)
{
	e->flush.sticky_error = mutant_is(MUTANT_FLUSH_ERROR_FORGOTTEN) ? 0 : error;
	e->stats.origin_flush_errors++;
	e->commit.origin_lost = true;
	regions_keep_locked(e);
	if (!mutant_is(MUTANT_FLUSH_FAILURE_KEEPS))
		bypass_start_locked(e, CWT_BYPASS_ORIGIN_FLUSH, "flush of the origin failed: %s", strerror(-error));
}

/*
 * The kernel tells of a failed write-back once for each open file, so a flush after a failed one may succeed although
 * bytes are lost: the sticky error is asked again when the lock is held, and the next flush is issued only when the
 * failure before it was handled.
 */
int flush_origin(struct cwt *e)
{
	int error, sticky_error;
	uint64_t begun;

	pthread_mutex_lock(&e->flush.io_lock);
	pthread_mutex_lock(&e->lock);
	sticky_error = e->flush.sticky_error;
	begun = origin_flush_begin_locked(e);
	pthread_mutex_unlock(&e->lock);
	error = sticky_error ? sticky_error : device_flush(e->dev.origin);
	if (error && !sticky_error) {
		pthread_mutex_lock(&e->lock);
		flush_failed_locked(e, error);
		pthread_mutex_unlock(&e->lock);
	} else if (!error) {
		pthread_mutex_lock(&e->lock);
		origin_flush_done_locked(e, begun);
		pthread_mutex_unlock(&e->lock);
	}
	pthread_mutex_unlock(&e->flush.io_lock);
	if (error && !sticky_error)
		log_error("%s: flush failed, every fsync fails until `cachewt message MOUNT origin-ok` or a remount: %s",
			  e->dev.origin->name, strerror(-error));
	return error;
}

/* One answer to each; posted without the lock. */
static void flush_answer(struct list *answered, int error)
{
	struct list *n;

	while ((n = list_pop(answered))) {
		struct cwt_loop *loop = list_entry(n, struct request, node)->loop;

		flush_set_result(request_of_node(n), error);
		loop_post(loop, &loop->inbox_answers, n);
	}
}

static void flush_run(struct cwt *e, struct job *job)
{
	struct list answered = LIST_INIT(answered);
	bool again, frozen;
	int error;

	pthread_mutex_lock(&e->lock);
	list_splice_tail(&e->flush.current, &e->flush.waiting);
	error = e->flush.sticky_error;
	frozen = e->commit.dead;
	pthread_mutex_unlock(&e->lock);

	if (!error) {
		error = flush_origin(e);
		if (error && frozen && !mutant_is(MUTANT_FROZEN_KEEPS))
			(void)engine_void(e);	/* E_VOID: no commit will ever say what was dropped */
	}

	pthread_mutex_lock(&e->lock);
	list_splice_tail(&answered, &e->flush.current);
	if (mutant_is(MUTANT_FLUSH_ANSWERS_LATER))
		list_splice_tail(&answered, &e->flush.waiting);
	again = !list_empty(&e->flush.waiting);
	e->flush.running = again;
	pthread_mutex_unlock(&e->lock);
	if (error)
		marks_write_urgent(e);	/* of what was dropped: a stop or a kill after this must find them */
	flush_answer(&answered, error);
	if (again)
		jobs_post(e, job);
}

void flush_origin_ok_locked(struct cwt *e)
{
	e->flush.sticky_error = 0;
	(void)bypass_end_locked(e, CWT_BYPASS_ORIGIN_FLUSH);
}
