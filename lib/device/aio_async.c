/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See aio_internal.h. */
#include <errno.h>
#include <libaio.h>
#include <unistd.h>

#include "base/bits.h"
#include "device/aio_internal.h"

#define ASYNC_TRIES 3		/* a store may answer before we look */

/* True: it was still under way when io_submit returned.  It has ended when this returns. */
static bool read_was_under_way(io_context_t ctx, int fd, void *buf, uint32_t len_bytes)
{
	struct iocb iocb, *iocbs[] = { &iocb };
	struct timespec zero = { 0, 0 };
	struct io_event event;
	int ret;

	io_prep_pread(&iocb, fd, buf, len_bytes, 0);
	do {
		ret = io_submit(ctx, 1, iocbs);
	} while (ret == -EINTR);
	if (ret != 1 || io_getevents(ctx, 0, 1, &event, &zero) == 1)
		return false;
	while (io_getevents(ctx, 1, 1, &event, NULL) != 1)
		;
	return true;
}

bool aio_is_async(const struct aio_device *a)
{
	uint8_t room[2 * AIO_MEM_ALIGN_MAX];
	uint32_t len = MIN(a->dev.info.align_bytes, AIO_MEM_ALIGN_MAX);
	bool async = false;
	io_context_t ctx = NULL;

	if (a->dev.info.size_bytes < len || io_setup(1, &ctx))
		return false;
	for (int i = 0; i < ASYNC_TRIES && !async; i++)
		async = read_was_under_way(ctx, a->fd, room + (-(uintptr_t)room & (AIO_MEM_ALIGN_MAX - 1)), len);
	io_destroy(ctx);
	return async;
}
