/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue of one loop thread: an eventfd, the sources of the devices attached to it, and the transfers that ended at
 * submit or kick and wait for the next reap.
 *
 * Locking: none.  All but device_queue_wake() belongs to the owning thread; sources that other threads feed have locks
 * of their own and call device_queue_wake().
 */
#include "device/device.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct device_queue {
	struct list sources;
	struct list finished;		/* device_io.node: ended, done() not yet called */
	unsigned max_in_flight;
	unsigned in_flight;
	int event_fd;
};

int device_queue_open(unsigned max_in_flight, struct device_queue **out)
{
	struct device_queue *q = calloc(1, sizeof(*q));

	cwt_assert(max_in_flight);
	if (!q)
		return -ENOMEM;
	list_init(&q->sources);
	list_init(&q->finished);
	q->max_in_flight = max_in_flight;
	q->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->event_fd < 0) {
		int err = -errno;

		free(q);
		return err;
	}
	*out = q;
	return 0;
}

int device_queue_attach(struct device_queue *q, struct device *dev)
{
	return dev->ops->attach ? dev->ops->attach(dev, q) : 0;
}

void device_submit(struct device_queue *q, struct device_io *io)
{
	cwt_assert(io->dev && io->dev->ops);
	cwt_assert(io->done);
	cwt_assert(io->buf);
	cwt_assert(io->len_bytes);
	cwt_assert(device_range_ok(io->dev, io->offset_bytes, io->len_bytes));
	cwt_assert(io->op == DEVICE_READ || io->op == DEVICE_WRITE);
	cwt_assert(io->op == DEVICE_READ || !io->dev->info.read_only);
	cwt_assert(!list_node_linked(&io->node));
	q->in_flight++;
	io->error = -EINPROGRESS;
	io->dev->ops->submit(io->dev, q, io);
}

int device_queue_kick(struct device_queue *q)
{
	int nr = 0;

	list_for_each(node, &q->sources) {
		struct device_queue_source *s = list_entry(node, struct device_queue_source, node);

		if (s->ops->kick)
			nr += s->ops->kick(s);
	}
	return nr;
}

int device_queue_reap(struct device_queue *q)
{
	struct list finished;
	struct list *node;
	int nr = 0;

	list_for_each(source, &q->sources) {
		struct device_queue_source *s = list_entry(source, struct device_queue_source, node);

		if (s->ops->reap)
			nr += s->ops->reap(s);
	}
	/*
	 * Only what had ended by now: a done() that submits to a device of memory speed must not keep us here for ever.
	 */
	list_init(&finished);
	list_splice_tail(&finished, &q->finished);
	while ((node = list_pop(&finished))) {
		struct device_io *io = list_entry(node, struct device_io, node);

		device_io_done(q, io, io->error);
		nr++;
	}
	return nr;
}

void device_io_done(struct device_queue *q, struct device_io *io, int error)
{
	cwt_assert(!list_node_linked(&io->node));
	cwt_assert(error <= 0);
	cwt_assert(q->in_flight);
	q->in_flight--;
	io->error = error;
	io->done(io);
}

void device_io_done_later(struct device_queue *q, struct device_io *io, int error)
{
	io->error = error;
	list_add_tail(&q->finished, &io->node);
}

int device_queue_fd(const struct device_queue *q)
{
	return q->event_fd;
}

/* The write can only fail when the counter is full, and then the fd is readable, which is what we want. */
void device_queue_wake(struct device_queue *q)
{
	uint64_t one = 1;
	ssize_t n;

	do {
		n = write(q->event_fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

void device_queue_drain_fd(struct device_queue *q)
{
	uint64_t count;
	ssize_t n;

	do {
		n = read(q->event_fd, &count, sizeof(count));
	} while (n < 0 && errno == EINTR);
}

unsigned device_queue_in_flight(const struct device_queue *q)
{
	return q->in_flight;
}

unsigned device_queue_max_in_flight(const struct device_queue *q)
{
	return q->max_in_flight;
}

struct device_queue_source *device_queue_find_source(struct device_queue *q, const struct device_queue_source_ops *ops)
{
	list_for_each(node, &q->sources) {
		struct device_queue_source *s = list_entry(node, struct device_queue_source, node);

		if (s->ops == ops)
			return s;
	}
	return NULL;
}

void device_queue_add_source(struct device_queue *q, struct device_queue_source *s)
{
	cwt_assert(s->ops);
	cwt_assert(!device_queue_find_source(q, s->ops));
	list_init(&s->node);
	list_add_tail(&q->sources, &s->node);
}

void device_queue_close(struct device_queue *q)
{
	struct list *node;

	if (!q)
		return;
	cwt_assert(!q->in_flight);
	while ((node = list_pop(&q->sources))) {
		struct device_queue_source *s = list_entry(node, struct device_queue_source, node);

		s->ops->close(s);
	}
	close(q->event_fd);
	free(q);
}
