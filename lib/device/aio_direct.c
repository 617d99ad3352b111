/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The source that all aio devices of a queue share: one AIO context, so that one kick is one io_submit; completions are
 * read from the ring that the kernel shares with us, without a system call; what comes back from pools is collected
 * beside it.
 *
 *	list			holds			leaves it when
 *	queued			device_io		kick or reap finds a free slot, which takes a run of them
 *	singles			device_io		as queued, and before it, but each for itself: its run failed
 *	memory_queued		device_io		kick: it is moved there and then, tmpfs does not sleep
 *	starved			slot			another slot gives its bounce buffer back
 *	ready			slot			io_submit took it
 *	(the kernel)		slot			its event is in the ring
 *	(a pool)		slot			its job is in returned
 *
 * A transfer takes at most one bounce buffer and waits for nothing while it holds one but its own I/O, so the starved
 * move on.
 *
 * Locking: returned is protected by returned_lock; the rest belongs to the queue's thread.
 */
#include <errno.h>

#include "base/bits.h"
#include "device/aio_source.h"

void aio_source_submit(struct aio_device *a, struct device_queue *q, struct device_io *io)
{
	struct aio_source *s = aio_source_find(q);

	cwt_assert(s);			/* attached */
	list_add_tail(a->path == AIO_PATH_MEMORY ? &s->memory_queued : &s->queued, &io->node);
}

/*
 * ------------------------------------------------------------------ a slot's way through its transfer
 */
static void slot_to_pool(struct aio_slot *slot, uint64_t offset_bytes, void *buf, size_t len_bytes)
{
	slot->job.a = slot->t.a;
	slot->job.op = slot->t.op;
	slot->job.offset_bytes = offset_bytes;
	slot->job.buf = buf;
	slot->job.len_bytes = len_bytes;
	slot->job.source = slot->source;
	aio_pool_submit(slot->t.a->pool, &slot->job);
}

static void slot_prepare(struct aio_slot *slot, enum device_op op, int fd, struct iovec *iov, unsigned nr,
			 uint64_t offset_bytes)
{
	if (nr > 1 && op == DEVICE_READ)
		io_prep_preadv(&slot->iocb, fd, iov, (int)nr, (long long)offset_bytes);
	else if (nr > 1)
		io_prep_pwritev(&slot->iocb, fd, iov, (int)nr, (long long)offset_bytes);
	else if (op == DEVICE_READ)
		io_prep_pread(&slot->iocb, fd, iov->iov_base, iov->iov_len, (long long)offset_bytes);
	else
		io_prep_pwrite(&slot->iocb, fd, iov->iov_base, iov->iov_len, (long long)offset_bytes);
	slot->iocb.data = slot;
	io_set_eventfd(&slot->iocb, device_queue_fd(slot->source->q));
	list_add_tail(&slot->source->ready, &slot->node);
}

static void slot_to_kernel(struct aio_slot *slot)
{
	struct aio_sub *sub = &slot->t.sub;
	struct iovec iov = { sub->buf, sub->len_bytes };

	slot_prepare(slot, sub->op, sub->fd, &iov, 1, sub->offset_bytes);
}

static void slot_run_to_kernel(struct aio_slot *slot)
{
	const struct device_io *first = aio_run_first(&slot->run);

	slot_prepare(slot, first->op, aio_device_of(first->dev)->fd, slot->run.iov, slot->run.nr_iov, first->offset_bytes);
}

static void slot_advance(struct aio_slot *slot);

/* The buffer goes to who waits for one, else back to the pool. */
static void slot_give_bounce_back(struct aio_slot *slot)
{
	struct aio_source *s = slot->source;
	struct list *node;

	if (!slot->t.bounce)
		return;
	s->bounces[s->nr_bounces++] = slot->t.bounce;
	slot->t.bounce = NULL;
	node = list_pop(&s->starved);
	if (node)
		slot_advance(list_entry(node, struct aio_slot, node));
}

static void slot_finish(struct aio_slot *slot, int error)
{
	struct aio_source *s = slot->source;
	struct list *node;

	slot_give_bounce_back(slot);
	if (error && slot->run.nr_ios > 1) {
		list_splice_tail(&s->singles, &slot->run.ios);
		s->nr_checked = 0;	/* perhaps it has just shrunk */
	}
	while ((node = list_pop(&slot->run.ios)))
		device_io_done_later(s->q, list_entry(node, struct device_io, node), error);
	list_add_tail(&s->free_slots, &slot->node);
}

/* Do what the transfer wants next.  A slot that is given a bounce buffer goes on to I/O: the recursion ends there. */
static void slot_advance(struct aio_slot *slot)
{
	struct aio_source *s = slot->source;
	enum aio_want want = aio_transfer_next(&slot->t);

	if (want == AIO_WANT_BOUNCE) {
		if (!s->nr_bounces) {
			list_add_tail(&s->starved, &slot->node);
			return;
		}
		slot->t.bounce = s->bounces[--s->nr_bounces];
		want = aio_transfer_next(&slot->t);
	}
	if (want == AIO_FINISHED)
		slot_finish(slot, 0);
	else if (slot->t.sub.direct)
		slot_to_kernel(slot);
	else
		slot_to_pool(slot, slot->t.sub.offset_bytes, slot->t.sub.buf, slot->t.sub.len_bytes);
}

static void slot_did(struct aio_slot *slot, ssize_t result)
{
	int error;

	if (slot->run.nr_ios > 1) {
		slot_finish(slot, result >= 0 && (size_t)result == slot->run.len_bytes ? 0 : -EIO);
		return;
	}
	error = aio_transfer_did(&slot->t, result);
	if (error)
		slot_finish(slot, error);
	else
		slot_advance(slot);
}

/* Writes that go down together are checked together: a system call less for each. */
static int check_size_once(struct aio_source *s, struct aio_device *a)
{
	int error;

	for (unsigned i = 0; i < s->nr_checked; i++)
		if (s->checked[i].a == a)
			return s->checked[i].error;
	error = aio_check_size(a);
	if (s->nr_checked < AIO_CHECKED_MAX) {
		s->checked[s->nr_checked].a = a;
		s->checked[s->nr_checked++].error = error;
	}
	return error;
}

/* Returns how many transfers it took from queue. */
static unsigned slot_start(struct aio_slot *slot, struct list *queue)
{
	struct device_io *io = list_entry(queue->next, struct device_io, node);
	struct aio_device *a = aio_device_of(io->dev);
	int error;

	slot->whole_job = a->path == AIO_PATH_POOL || !slot->source->have_ctx;
	aio_run_take(&slot->run, queue, queue == &slot->source->singles || slot->whole_job);
	aio_transfer_init(&slot->t, a, io->op, io->offset_bytes, io->buf, io->len_bytes);
	if (slot->whole_job) {
		slot_to_pool(slot, io->offset_bytes, io->buf, io->len_bytes);
		return 1;
	}
	error = io->op == DEVICE_WRITE ? check_size_once(slot->source, a) : 0;
	if (error)
		slot_finish(slot, error);
	else if (slot->run.nr_ios > 1)
		slot_run_to_kernel(slot);
	else
		slot_advance(slot);
	return slot->run.nr_ios;
}

/*
 * ------------------------------------------------------------------ kick
 */
static int dispatch_queue(struct aio_source *s, struct list *queue)
{
	unsigned nr = 0;

	while (!list_empty(queue) && !list_empty(&s->free_slots))
		nr += slot_start(list_entry(list_pop(&s->free_slots), struct aio_slot, node), queue);
	return (int)nr;
}

static void memory_do(struct aio_source *s, struct aio_run *run)
{
	const struct device_io *first = aio_run_first(run);
	struct aio_device *a = aio_device_of(first->dev);
	int error = first->op == DEVICE_WRITE ? check_size_once(s, a) : 0;
	bool whole = !error && run->nr_ios > 1 && aio_run_do(run);
	struct list *node;

	while ((node = list_pop(&run->ios))) {
		struct device_io *io = list_entry(node, struct device_io, node);

		device_io_done_later(s->q, io, error || whole ? error :
				     aio_transfer_do(a, io->op, io->offset_bytes, io->buf, io->len_bytes));
	}
}

static int source_dispatch(struct aio_source *s)
{
	int nr;

	s->nr_checked = 0;
	nr = dispatch_queue(s, &s->singles) + dispatch_queue(s, &s->queued);
	while (!list_empty(&s->memory_queued)) {
		struct aio_run run;

		aio_run_take(&run, &s->memory_queued, false);
		nr += (int)run.nr_ios;
		memory_do(s, &run);
	}
	return nr;
}

/* The kernel took the first nr of the ready list, in order. */
static void ready_taken(struct aio_source *s, int nr)
{
	s->nr_in_kernel += (unsigned)nr;
	while (nr--)
		list_pop(&s->ready);
}

/*
 * One io_submit for all that is ready.  A short count means that the next one was refused, and asking again tells why:
 * for lack of room it is kept for the next kick or reap, else that transfer fails and the others go on.
 */
static void source_io_submit(struct aio_source *s)
{
	while (!list_empty(&s->ready)) {
		long nr = 0;
		int ret;

		list_for_each(node, &s->ready)
			s->iocbs[nr++] = &list_entry(node, struct aio_slot, node)->iocb;
		ret = io_submit(s->ctx, nr, s->iocbs);
		if (ret > 0) {
			ready_taken(s, ret);
		} else if (ret == 0 || ret == -EAGAIN) {
			if (!s->nr_in_kernel)
				device_queue_wake(s->q);	/* no completion will */
			return;
		} else if (ret != -EINTR) {
			slot_finish(list_entry(list_pop(&s->ready), struct aio_slot, node), ret);
			dispatch_queue(s, &s->singles);		/* if it was a run: its members now, nobody else will */
		}
	}
}

int aio_source_kick(struct device_queue_source *source)
{
	struct aio_source *s = container_of(source, struct aio_source, source);
	int nr = source_dispatch(s);

	source_io_submit(s);
	return nr;
}

/*
 * ------------------------------------------------------------------ reap
 */
static void source_event(struct aio_source *s, const struct io_event *event)
{
	struct aio_slot *slot = event->data;

	cwt_assert(s->nr_in_kernel);
	s->nr_in_kernel--;
	slot_did(slot, (ssize_t)(long)event->res);
}

static void source_reap_ring(struct aio_source *s)
{
	unsigned head = s->ring->head;

	while (head != __atomic_load_n(&s->ring->tail, __ATOMIC_ACQUIRE)) {
		struct io_event event = s->ring->events[head];

		head = (head + 1) % s->ring->nr;
		__atomic_store_n(&s->ring->head, head, __ATOMIC_RELEASE);
		source_event(s, &event);
	}
}

static void source_reap_getevents(struct aio_source *s)
{
	struct timespec zero = { 0, 0 };
	struct io_event events[64];
	int nr;

	do {
		nr = io_getevents(s->ctx, 0, ARRAY_SIZE(events), events, &zero);
		for (int i = 0; i < nr; i++)
			source_event(s, &events[i]);
	} while (nr == ARRAY_SIZE(events) || nr == -EINTR);
}

static void source_reap_returned(struct aio_source *s)
{
	struct list returned, *node;

	list_init(&returned);
	pthread_mutex_lock(&s->returned_lock);
	list_splice_tail(&returned, &s->returned);
	pthread_mutex_unlock(&s->returned_lock);
	while ((node = list_pop(&returned))) {
		struct aio_job *job = list_entry(node, struct aio_job, node);
		struct aio_slot *slot = container_of(job, struct aio_slot, job);

		if (slot->whole_job || job->error)
			slot_finish(slot, job->error);
		else
			slot_did(slot, (ssize_t)job->len_bytes);
	}
}

/* The wake is under the lock: once the queue's thread has seen the job, it may answer it and close the queue. */
void aio_source_return(struct aio_job *job)
{
	struct aio_source *s = job->source;

	pthread_mutex_lock(&s->returned_lock);
	if (list_empty(&s->returned))
		device_queue_wake(s->q);
	list_add_tail(&s->returned, &job->node);
	pthread_mutex_unlock(&s->returned_lock);
}

/*
 * What ended goes to the queue, which answers it; here freed slots and the next steps of read-modify-writes are put to
 * use.
 */
int aio_source_reap(struct device_queue_source *source)
{
	struct aio_source *s = container_of(source, struct aio_source, source);

	if (s->nr_in_kernel && s->ring)
		source_reap_ring(s);
	else if (s->nr_in_kernel)
		source_reap_getevents(s);
	source_reap_returned(s);
	if (!list_empty(&s->free_slots) && !(list_empty(&s->queued) && list_empty(&s->singles)))
		source_dispatch(s);
	if (!list_empty(&s->ready))
		source_io_submit(s);
	return 0;
}
