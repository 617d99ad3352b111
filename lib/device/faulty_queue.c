/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queued transfers of the faulty device: the life that faulty_internal.h draws, the source in a queue, stepping.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "device/faulty_internal.h"

#define SCRIBBLE_OFFSET 0xDEADDEADDEADDEADu
#define SCRIBBLE_LEN 0xDEADDEADu

static const struct device_queue_source_ops faulty_source_ops;

static struct faulty_transfer *transfer_get_locked(struct faulty *f)
{
	struct list *node = list_pop(&f->unused);
	struct faulty_transfer *t;

	if (node)
		return list_entry(node, struct faulty_transfer, node);
	t = calloc(1, sizeof(*t));
	cwt_assert(t);			/* a device for tests: there is nothing sensible to do without memory */
	list_init(&t->node);
	list_init(&t->inner.node);
	return t;
}

static void transfer_finish(struct faulty_transfer *t, int error)
{
	t->error = error;
	list_add_tail(&t->source->finished, &t->node);
}

/* The caller is told now; from here on a flush covers the write, and the range is free. */
static void transfer_answer(struct faulty_transfer *t)
{
	struct faulty *f = t->f;
	struct device_queue *q = t->source->q;
	struct device_io *io = t->io;
	int error = t->error;

	pthread_mutex_lock(&f->lock);
	if (t->nr_cuts != f->nr_cuts)
		error = -EIO;
	else
		faulty_write_completed_locked(f, t->write);
	list_del(&t->range.node);
	list_add_tail(&f->unused, &t->node);
	pthread_mutex_unlock(&f->lock);

	faulty_spoil_failed_read(io->op, error, io->buf, io->len_bytes);
	io->offset_bytes = SCRIBBLE_OFFSET;
	io->len_bytes = SCRIBBLE_LEN;
	io->buf = (void *)(uintptr_t)SCRIBBLE_OFFSET;
	device_io_done(q, io, error);
}

static void transfer_inner_done(struct device_io *inner)
{
	struct faulty_transfer *t = container_of(inner, struct faulty_transfer, inner);

	t->error = faulty_verdict_fails(&t->verdict) ? t->verdict.error : inner->error;
	transfer_answer(t);
}

static bool transfer_may_run(struct faulty_transfer *t)
{
	bool may;

	pthread_mutex_lock(&t->f->lock);
	may = t->f->powered && t->nr_cuts == t->f->nr_cuts;
	pthread_mutex_unlock(&t->f->lock);
	return may;
}

/* Take effect now, at once. */
static void transfer_run_sync(struct faulty_transfer *t)
{
	struct device_io *io = t->io;
	int error = faulty_move_bytes(t->f, &t->verdict, io->op, io->offset_bytes, io->buf, io->len_bytes, &t->write);

	transfer_finish(t, error);
}

/* Not stepped: let it go to the inner device, as far as the verdict lets it.  Queue's thread. */
static void transfer_start(struct faulty_transfer *t)
{
	uint64_t len = faulty_verdict_bytes(&t->verdict, t->io->len_bytes);

	if (!transfer_may_run(t)) {
		transfer_finish(t, -EIO);
		return;
	}
	if (t->f->options.volatile_writes || !len) {
		transfer_run_sync(t);
		return;
	}
	t->inner.dev = t->f->inner;
	t->inner.op = t->io->op;
	t->inner.offset_bytes = t->io->offset_bytes;
	t->inner.len_bytes = (uint32_t)len;
	t->inner.buf = t->io->buf;
	t->inner.done = transfer_inner_done;
	device_submit(t->source->q, &t->inner);
}

static struct faulty_verdict judge_transfer_locked(struct faulty *f, const struct device_io *io)
{
	return faulty_judge_locked(f, io->op == DEVICE_WRITE ? FAULTY_WRITE : FAULTY_READ, io->offset_bytes,
				   io->len_bytes);
}

void faulty_submit(struct device *dev, struct device_queue *q, struct device_io *io)
{
	struct faulty *f = faulty_of(dev);
	struct device_queue_source *source = device_queue_find_source(q, &faulty_source_ops);
	struct faulty_transfer *t;
	bool start = false;

	cwt_assert(source);		/* attached */
	pthread_mutex_lock(&f->lock);
	t = transfer_get_locked(f);
	t->f = f;
	t->source = container_of(source, struct faulty_source, source);
	t->io = io;
	t->write = NULL;
	t->nr_cuts = f->nr_cuts;
	t->verdict = (struct faulty_verdict){ 0 };
	(*(io->op == DEVICE_WRITE ? &f->counts.writes : &f->counts.reads))++;
	faulty_range_enter_locked(f, &t->range, io->op == DEVICE_WRITE, io->offset_bytes, io->len_bytes);
	if (f->options.stepped) {
		list_add_tail(&f->pending, &t->node);
		f->nr_pending++;
	} else {
		t->verdict = judge_transfer_locked(f, io);
		if (t->verdict.hit && t->verdict.effect == FAULTY_HOLD)
			list_add_tail(&f->held, &t->node);
		else if (t->verdict.hit && t->verdict.effect == FAULTY_DELAY)
			faulty_timer_add_locked(f, t);
		else
			start = true;
	}
	pthread_mutex_unlock(&f->lock);
	if (start)
		transfer_start(t);
}

/*
 * ------------------------------------------------------------------ the source: one per queue for all faulty devices
 */
/* The wake is under the lock: once the queue's thread has seen t, it may answer it and close the queue. */
void faulty_make_ready_locked(struct faulty_transfer *t)
{
	struct faulty_source *source = t->source;

	pthread_mutex_lock(&source->lock);
	list_add_tail(&source->ready, &t->node);
	device_queue_wake(source->q);
	pthread_mutex_unlock(&source->lock);
}

static void source_start_ready(struct faulty_source *source)
{
	struct list ready, *node;

	list_init(&ready);
	pthread_mutex_lock(&source->lock);
	list_splice_tail(&ready, &source->ready);
	pthread_mutex_unlock(&source->lock);
	if (list_empty(&ready))
		return;
	while ((node = list_pop(&ready)))
		transfer_start(list_entry(node, struct faulty_transfer, node));
	device_queue_kick(source->q);	/* nobody else knows that there is something to kick */
}

static int source_reap(struct device_queue_source *s)
{
	struct faulty_source *source = container_of(s, struct faulty_source, source);
	struct list finished, *node;
	int nr = 0;

	source_start_ready(source);
	list_init(&finished);
	list_splice_tail(&finished, &source->finished);
	while ((node = list_pop(&finished))) {
		transfer_answer(list_entry(node, struct faulty_transfer, node));
		nr++;
	}
	return nr;
}

static void source_close(struct device_queue_source *s)
{
	struct faulty_source *source = container_of(s, struct faulty_source, source);

	pthread_mutex_destroy(&source->lock);
	free(source);
}

static const struct device_queue_source_ops faulty_source_ops = {
	.kind = "faulty",
	.reap = source_reap,
	.close = source_close,
};

int faulty_attach(struct device *dev, struct device_queue *q)
{
	struct faulty_source *source;

	if (!device_queue_find_source(q, &faulty_source_ops)) {
		source = calloc(1, sizeof(*source));
		if (!source)
			return -ENOMEM;
		source->source.ops = &faulty_source_ops;
		source->q = q;
		pthread_mutex_init(&source->lock, NULL);
		list_init(&source->ready);
		list_init(&source->finished);
		device_queue_add_source(q, &source->source);
	}
	return device_queue_attach(q, faulty_of(dev)->inner);
}

/*
 * ------------------------------------------------------------------ stepping
 */
unsigned faulty_device_nr_pending(struct device *dev)
{
	struct faulty *f = faulty_of(dev);
	unsigned nr;

	pthread_mutex_lock(&f->lock);
	nr = f->nr_pending;
	pthread_mutex_unlock(&f->lock);
	return nr;
}

static struct faulty_transfer *pending_locked(struct faulty *f, unsigned n)
{
	struct list *node = f->pending.next;

	cwt_assert(n < f->nr_pending);
	while (n--)
		node = node->next;
	return list_entry(node, struct faulty_transfer, node);
}

const struct device_io *faulty_device_pending(struct device *dev, unsigned n)
{
	struct faulty *f = faulty_of(dev);
	const struct device_io *io;

	pthread_mutex_lock(&f->lock);
	io = pending_locked(f, n)->io;
	pthread_mutex_unlock(&f->lock);
	return io;
}

void faulty_device_step(struct device *dev, unsigned n)
{
	struct faulty *f = faulty_of(dev);
	struct faulty_transfer *t;

	pthread_mutex_lock(&f->lock);
	t = pending_locked(f, n);
	list_del(&t->node);
	f->nr_pending--;
	t->verdict = judge_transfer_locked(f, t->io);
	pthread_mutex_unlock(&f->lock);
	if (transfer_may_run(t))
		transfer_run_sync(t);
	else
		transfer_finish(t, -EIO);
}
