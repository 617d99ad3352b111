/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Delays of queued transfers: one thread per device, started with the first rule that delays, so that no queue ever
 * waits.
 */
#include <errno.h>
#include <time.h>

#include "base/bits.h"
#include "device/faulty_internal.h"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Hand over what is due; returns when the next one is, UINT64_MAX if there is none. */
static uint64_t release_due_locked(struct faulty *f, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	list_for_each_safe(node, &f->delayed) {
		struct faulty_transfer *t = list_entry(node, struct faulty_transfer, node);

		if (t->due_ms > now) {
			next = MIN(next, t->due_ms);
			continue;
		}
		list_del(&t->node);
		faulty_make_ready_locked(t);
	}
	return next;
}

static void *timer_main(void *arg)
{
	struct faulty *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->timer_stop) {
		uint64_t next = release_due_locked(f, now_ms());
		struct timespec ts = { (time_t)(next / 1000), (long)(next % 1000) * 1000000 };

		if (next == UINT64_MAX)
			pthread_cond_wait(&f->timer_wake, &f->lock);
		else
			pthread_cond_timedwait(&f->timer_wake, &f->lock, &ts);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

int faulty_timer_start(struct faulty *f)
{
	int err;

	pthread_mutex_lock(&f->lock);
	err = f->timer_running ? 0 : pthread_create(&f->timer, NULL, timer_main, f);
	f->timer_running = !err;
	pthread_mutex_unlock(&f->lock);
	return -err;
}

void faulty_timer_stop(struct faulty *f)
{
	if (!f->timer_running)
		return;
	pthread_mutex_lock(&f->lock);
	f->timer_stop = true;
	pthread_cond_signal(&f->timer_wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->timer, NULL);
}

void faulty_timer_add_locked(struct faulty *f, struct faulty_transfer *t)
{
	t->due_ms = now_ms() + t->verdict.delay_ms;
	list_add_tail(&f->delayed, &t->node);
	pthread_cond_signal(&f->timer_wake);
}
