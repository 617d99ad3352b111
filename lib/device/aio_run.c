/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See aio_internal.h.  After: the merging of requests in block layers, reduced to neighbours in the queue. */
#include "base/bits.h"
#include "device/aio_internal.h"

/* Straight: no bounce buffer, not the tail. */
static bool io_is_straight(const struct aio_device *a, const struct device_io *io)
{
	uint32_t align = a->dev.info.align_bytes;

	if (a->path == AIO_PATH_MEMORY)
		return true;
	return a->path == AIO_PATH_DIRECT && io->offset_bytes + io->len_bytes <= a->tail_begin &&
	       !((io->offset_bytes | io->len_bytes) & (align - 1)) && !((uintptr_t)io->buf & (a->mem_align_bytes - 1));
}

static bool run_fits(const struct aio_run *run, const struct device_io *io)
{
	const struct device_io *first = aio_run_first(run);

	return io->dev == first->dev && io->op == first->op && io->offset_bytes == first->offset_bytes + run->len_bytes &&
	       run->len_bytes + io->len_bytes <= AIO_RUN_BYTES_MAX && io_is_straight(aio_device_of(io->dev), io);
}

/* False: there is no room for another buffer. */
static bool run_add_buffer(struct aio_run *run, const struct device_io *io)
{
	struct iovec *last = run->nr_iov ? &run->iov[run->nr_iov - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == io->buf) {
		last->iov_len += io->len_bytes;
		return true;
	}
	if (run->nr_iov == AIO_RUN_IOVS)
		return false;
	run->iov[run->nr_iov++] = (struct iovec){ .iov_base = io->buf, .iov_len = io->len_bytes };
	return true;
}

static void run_add(struct aio_run *run, struct list *queue)
{
	struct device_io *io = list_entry(list_pop(queue), struct device_io, node);

	run->nr_ios++;
	run->len_bytes += io->len_bytes;
	list_add_tail(&run->ios, &io->node);
}

void aio_run_take(struct aio_run *run, struct list *queue, bool alone)
{
	const struct device_io *io = list_entry(queue->next, struct device_io, node);
	bool may_grow = !alone && io_is_straight(aio_device_of(io->dev), io);

	list_init(&run->ios);
	run->nr_ios = run->nr_iov = 0;
	run->len_bytes = 0;
	run_add_buffer(run, io);
	run_add(run, queue);
	while (may_grow && !list_empty(queue)) {
		io = list_entry(queue->next, struct device_io, node);
		if (!run_fits(run, io) || !run_add_buffer(run, io))
			break;
		run_add(run, queue);
	}
}

bool aio_run_do(const struct aio_run *run)
{
	const struct device_io *first = aio_run_first(run);
	struct aio_device *a = aio_device_of(first->dev);
	ssize_t n;

	if (first->op == DEVICE_READ)
		n = preadv(a->fd, run->iov, (int)run->nr_iov, (off_t)first->offset_bytes);
	else
		n = pwritev(a->fd, run->iov, (int)run->nr_iov, (off_t)first->offset_bytes);
	return n >= 0 && (size_t)n == run->len_bytes;
}
