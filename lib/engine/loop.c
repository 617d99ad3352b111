/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mutant.h"
#include "engine/door.h"
#include "engine/engine.h"
#include "engine/flush.h"
#include "engine/read.h"
#include "engine/writethrough.h"
#include "engine/zero.h"

/*
 * ------------------------------------------------------------------ one turn, in the order in which things happen
 */

static void loop_sort_in(struct cwt_loop *loop, struct block_request *b)
{
	switch (b->state) {
	case BREQ_DECIDE:
		list_add_tail(&loop->ready, &b->node);
		break;
	case BREQ_FILL_COPY:
		list_add_tail(&loop->copies, &b->node);
		break;
	case BREQ_RETRY:
		list_add_tail(&loop->retry, &b->node);
		break;
	default:
		if (b->zero)
			zero_mark_done(b);
		else
			wt_mark_done(b);
	}
}

/* What others have posted.  The flag spares the lock; it is set after the posting and read before the wait. */
static int loop_take_inbox(struct cwt_loop *loop)
{
	struct list breqs = LIST_INIT(breqs), zeros = LIST_INIT(zeros);
	struct list *n;
	int nr = 0;

	if (!atomic_exchange(&loop->inbox_full, false))
		return 0;
	pthread_mutex_lock(&loop->inbox_lock);
	list_splice_tail(&breqs, &loop->inbox_breqs);
	list_splice_tail(&zeros, &loop->inbox_zeros);
	list_splice_tail(&loop->answers, &loop->inbox_answers);
	pthread_mutex_unlock(&loop->inbox_lock);
	while ((n = list_pop(&breqs))) {
		struct block_request *b = list_entry(n, struct block_request, node);

		loop_sort_in(loop, b);
		nr++;
	}
	while ((n = list_pop(&zeros))) {
		zero_finish(list_entry(n, struct zero_chunk, node));
		nr++;
	}
	return nr + !list_empty(&loop->answers);
}

static int loop_copy(struct cwt_loop *loop)
{
	struct list *n;
	int nr = 0;

	for (; (n = list_pop(&loop->copies)); nr++)
		fill_copy(list_entry(n, struct block_request, node));
	return nr;
}

static bool loop_needs_lock(const struct cwt_loop *loop)
{
	return !list_empty(&loop->ended) || !list_empty(&loop->fills_ended) || !list_empty(&loop->retry) ||
	       !list_empty(&loop->ready) || doors_passable(loop);
}

/*
 * Ended first, since they let others in and give their block requests back; new requests last, behind everything that
 * is already under way.
 */
static int loop_work_locked(struct cwt_loop *loop)
{
	struct list *n;
	int nr = 0;

	for (; (n = list_pop(&loop->ended)); nr++)
		breq_leave_locked(list_entry(n, struct block_request, node));
	for (; (n = list_pop(&loop->fills_ended)); nr++)
		fill_step_locked(list_entry(n, struct fill, node));
	for (; (n = list_pop(&loop->retry)); nr++)
		read_retry_locked(list_entry(n, struct block_request, node));
	for (; (n = list_pop(&loop->ready)); nr++)
		breq_decide_locked(list_entry(n, struct block_request, node));
	return nr + doors_pass_locked(loop);
}

static void loop_send_outbox(struct cwt_loop *loop)
{
	struct list *n;

	while ((n = list_pop(&loop->outbox))) {
		struct cwt_loop *to = list_entry(n, struct block_request, node)->loop;

		loop_post(to, &to->inbox_breqs, n);
	}
}

/* The worker stage. */
static int loop_work(struct cwt_loop *loop)
{
	int nr = 0;

	wt_worker(loop);
	nr += loop_copy(loop);
	if (loop_needs_lock(loop)) {
		pthread_mutex_lock(&loop->engine->lock);
		nr += loop_work_locked(loop);
		pthread_mutex_unlock(&loop->engine->lock);
		loop_send_outbox(loop);
		nr += loop_copy(loop);
	}
	return nr;
}

/* Marks first: no origin leg may be ahead of the mark that covers it (B2). */
static int loop_submit(struct cwt_loop *loop)
{
	struct list *n;
	int nr = 0;

	if (list_empty(&loop->to_submit) && list_empty(&loop->zero_ready))
		return device_queue_kick(loop->queue);
	if (!mutant_is(MUTANT_MARK_AFTER_LEG))
		marks_write_urgent(loop->engine);
	if (loop->writes_origin || !list_empty(&loop->zero_ready))
		origin_lease(loop->engine);
	loop->writes_origin = false;
	for (; (n = list_pop(&loop->to_submit)); nr++)
		device_submit(loop->queue, list_entry(n, struct device_io, node));
	for (; (n = list_pop(&loop->zero_ready)); nr++)
		zero_post(list_entry(n, struct zero_chunk, node));
	device_queue_kick(loop->queue);
	if (mutant_is(MUTANT_MARK_AFTER_LEG))
		marks_write_urgent(loop->engine);
	return nr;
}

/* After the work, which may have been the last of a synchronous write. */
static int loop_sync(struct cwt_loop *loop)
{
	struct list *n;
	int nr = 0;

	for (; (n = list_pop(&loop->syncs)); nr++)
		flush_begin(loop, request_of_node(n));
	return nr;
}

static int loop_answer(struct cwt_loop *loop)
{
	struct list answers = LIST_INIT(answers);
	struct list *n;
	int nr = 0;

	list_splice_tail(&answers, &loop->answers);
	for (; (n = list_pop(&answers)); nr++)
		request_finish(loop, request_of_node(n));
	return nr;
}

int cwt_loop_turn(struct cwt_loop *loop)
{
	int nr = 0;

	if (loop->may_have_waited && !loop->edge_triggered)
		device_queue_drain_fd(loop->queue);
	for (unsigned round = 0; round < LOOP_ROUNDS_MAX; round++) {
		int did = device_queue_reap(loop->queue) + loop_take_inbox(loop);

		nr += loop_answer(loop);	/* early answers: their users need not wait while the cache legs are issued */
		did += loop_work(loop);
		did += loop_sync(loop);
		did += loop_submit(loop);
		nr += did;
		if (!did)
			break;
	}
	nr += loop_answer(loop);
	loop->may_have_waited = nr == 0;
	return nr;
}

/*
 * ------------------------------------------------------------------ from and to other threads
 */
void loop_post(struct cwt_loop *loop, struct list *inbox, struct list *node)
{
	pthread_mutex_lock(&loop->inbox_lock);
	list_add_tail(inbox, node);
	atomic_store(&loop->inbox_full, true);
	device_queue_wake(loop->queue);	/* under the lock: the loop is not closed before its last request is released */
	pthread_mutex_unlock(&loop->inbox_lock);
}

void loop_hand_over_locked(struct cwt_loop *from, struct block_request *b)
{
	if (b->loop == from)
		loop_sort_in(from, b);
	else
		list_add_tail(&from->outbox, &b->node);
}

void loop_granted_locked(struct cwt_loop *from, struct granted *granted)
{
	for (struct hold *h = granted->first; h; h = h->next_granted) {
		struct block_request *b = list_entry(h, struct block_request, hold);

		cwt_assert(b->state == BREQ_PARKED);
		b->state = BREQ_DECIDE;
		loop_hand_over_locked(from, b);
	}
}

void cwt_submit(struct cwt_loop *loop, struct cwt_request *request)
{
	request_begin(loop, request);
}

int cwt_loop_fd(const struct cwt_loop *loop)
{
	return device_queue_fd(loop->queue);
}

void cwt_loop_fd_edge_triggered(struct cwt_loop *loop)
{
	loop->edge_triggered = true;
}

void cwt_loop_wake(struct cwt_loop *loop)
{
	device_queue_wake(loop->queue);
}

/*
 * ------------------------------------------------------------------ open, close
 */
static void loop_init_lists(struct cwt_loop *loop)
{
	struct list *const lists[] = { &loop->incoming, &loop->ready, &loop->deferred_writethrough, &loop->retry,
		&loop->copies, &loop->ended, &loop->fills_ended, &loop->outbox, &loop->zero_ready, &loop->to_submit, &loop->syncs,
		&loop->answers, &loop->free_breqs, &loop->free_fills, &loop->free_zeros, &loop->inbox_breqs, &loop->inbox_zeros,
		&loop->inbox_answers };

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		list_init(lists[i]);
}

static void loop_init_pools(struct cwt_loop *loop)
{
	for (unsigned i = 0; i < BREQS_PER_LOOP; i++) {
		loop->breqs[i].loop = loop;
		list_init(&loop->breqs[i].node);
		list_init(&loop->breqs[i].io.node);
		list_add_tail(&loop->free_breqs, &loop->breqs[i].node);
	}
	doors_init(loop);
	for (unsigned i = 0; i < loop->nr_fills; i++) {
		struct fill *f = &loop->fills[i];

		f->loop = loop;
		f->buf = loop->fill_memory + (size_t)i * loop->engine->block_size;
		list_init(&f->node);
		list_init(&f->all_node);
		list_init(&f->readers);
		list_init(&f->io.node);
		list_add_tail(&loop->free_fills, &f->node);
	}
	for (unsigned i = 0; i < ZEROS_PER_LOOP; i++) {
		loop->zeros[i].loop = loop;
		list_init(&loop->zeros[i].node);
		list_init(&loop->zeros[i].job.node);
		list_add_tail(&loop->free_zeros, &loop->zeros[i].node);
	}
}

static void loop_free(struct cwt_loop *loop)
{
	if (loop->queue)
		device_queue_close(loop->queue);
	if (loop->fill_memory)
		munmap(loop->fill_memory, loop->fill_memory_bytes);
	free(loop->breqs);
	free(loop->fills);
	free(loop->zeros);
	pthread_mutex_destroy(&loop->inbox_lock);
	free(loop);
}

static int loop_alloc(struct cwt_loop *loop)
{
	uint32_t block_size = loop->engine->block_size;

	loop->nr_fills = MAX(MIN(FILL_BYTES_PER_LOOP / block_size, FILLS_PER_LOOP_MAX), FILLS_PER_LOOP_MIN);
	loop->fill_memory_bytes = (size_t)loop->nr_fills * block_size;
	loop->breqs = calloc(BREQS_PER_LOOP, sizeof(*loop->breqs));
	loop->fills = calloc(loop->nr_fills, sizeof(*loop->fills));
	loop->zeros = calloc(ZEROS_PER_LOOP, sizeof(*loop->zeros));
	loop->fill_memory = mmap(NULL, loop->fill_memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (loop->fill_memory == MAP_FAILED)
		loop->fill_memory = NULL;
	if (!loop->breqs || !loop->fills || !loop->zeros || !loop->fill_memory)
		return -ENOMEM;
	(void)madvise(loop->fill_memory, loop->fill_memory_bytes, MADV_DONTDUMP);
	(void)madvise(loop->fill_memory, loop->fill_memory_bytes, MADV_POPULATE_WRITE);
	return device_queue_open(DEVICE_SLOTS_PER_LOOP + loop->nr_fills, &loop->queue);
}

static int loop_attach(struct cwt_loop *loop)
{
	int ret = device_queue_attach(loop->queue, loop->engine->dev.origin);

	return ret ? ret : device_queue_attach(loop->queue, loop->engine->dev.cache);
}

/*
 * Cells are shared by all loops, so a slab stays when its loop is closed: there are as many slabs as there ever were
 * loops at once.
 */
static int loop_register_locked(struct cwt_loop *loop)
{
	struct cwt *e = loop->engine;

	if (e->nr_loops == CWT_LOOPS_MAX)
		return -ENOSPC;
	if (e->nr_loops == e->nr_cell_slabs) {
		struct cell *slab = calloc(HOLDS_PER_LOOP_MAX, sizeof(*slab));

		if (!slab)
			return -ENOMEM;
		cells_add(&e->cells, slab, HOLDS_PER_LOOP_MAX);
		e->cell_slabs[e->nr_cell_slabs++] = slab;
	}
	e->nr_loops++;
	e->loops_bytes += loop->fill_memory_bytes + BREQS_PER_LOOP * sizeof(*loop->breqs);
	return 0;
}

static int loop_register(struct cwt_loop *loop)
{
	int ret;

	pthread_mutex_lock(&loop->engine->lock);
	ret = loop_register_locked(loop);
	pthread_mutex_unlock(&loop->engine->lock);
	return ret;
}

static void loop_unregister(struct cwt_loop *loop)
{
	struct cwt *e = loop->engine;

	pthread_mutex_lock(&e->lock);
	e->nr_loops--;
	e->loops_bytes -= loop->fill_memory_bytes + BREQS_PER_LOOP * sizeof(*loop->breqs);
	pthread_mutex_unlock(&e->lock);
}

int cwt_loop_open(struct cwt *cwt, struct cwt_loop **out)
{
	struct cwt_loop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (!loop)
		return -ENOMEM;
	loop->engine = cwt;
	loop->may_have_waited = true;
	pthread_mutex_init(&loop->inbox_lock, NULL);
	loop_init_lists(loop);
	ret = loop_alloc(loop);
	if (!ret)
		ret = loop_attach(loop);
	if (!ret)
		ret = loop_register(loop);
	if (ret) {
		loop_free(loop);
		return ret;
	}
	loop_init_pools(loop);
	*out = loop;
	return 0;
}

/* A fill may still be under way, whose readers were all answered. */
bool cwt_loop_busy(const struct cwt_loop *loop)
{
	return loop->nr_requests || atomic_load(&loop->nr_fills_busy) || !doors_idle(loop);
}

/* The caller's requests are answered and released, but a fill may still write the cache, or serve another loop's reader. */
void cwt_loop_close(struct cwt_loop *loop)
{
	cwt_assert(!loop->nr_requests);
	loop->edge_triggered = false;	/* poll() here is not */
	while (cwt_loop_busy(loop)) {
		struct pollfd pfd = { .fd = device_queue_fd(loop->queue), .events = POLLIN };

		if (!cwt_loop_turn(loop))
			poll(&pfd, 1, 1);
	}
	loop_unregister(loop);
	loop_free(loop);
}

/* Whatever the devices still give back is only recorded: nothing is written any more. */
void engine_abandon_loop(struct cwt_loop *loop)
{
	while (device_queue_reap(loop->queue))
		;
	loop_unregister(loop);
	loop_free(loop);
}
