/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What aio_direct.c and aio_attach.c share: the source that all aio devices of a queue share.
 */
#ifndef CWT_DEVICE_AIO_SOURCE_H
#define CWT_DEVICE_AIO_SOURCE_H

#include <libaio.h>

#include "device/aio_internal.h"

/* The head of the memory that an io_context_t points to: the kernel's fs/aio.c has kept it since 2.6. */
struct aio_ring {
	unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_bytes;
	struct io_event events[];
};

#define AIO_RING_MAGIC 0xa10a10a1u

#define AIO_CHECKED_MAX 2u		/* a loop writes the origin and the cache */

struct aio_slot {
	struct list node;
	struct aio_source *source;
	struct aio_run run;		/* what it is doing; of several, t is not used */
	struct aio_transfer t;
	struct iocb iocb;
	struct aio_job job;
	bool whole_job;			/* job is the whole transfer, not its buffered piece */
};

struct aio_source {
	struct device_queue_source source;
	struct device_queue *q;
	io_context_t ctx;
	bool have_ctx;
	bool asked_for_ctx;
	struct aio_ring *ring;		/* NULL: io_getevents */

	struct list queued, singles, memory_queued;
	struct list free_slots, starved, ready;
	struct aio_slot *slots;
	struct iocb **iocbs;		/* nr_slots: the argument of io_submit */
	unsigned nr_slots;
	unsigned nr_in_kernel;
	struct { struct aio_device *a; int error; } checked[AIO_CHECKED_MAX];	/* size checks of this dispatch */
	unsigned nr_checked;

	uint8_t *bounce_memory;
	uint8_t *bounces[AIO_NR_BOUNCES];
	unsigned nr_bounces;

	pthread_mutex_t returned_lock;
	struct list returned;		/* aio_job.node */
};

/* NULL: no aio device is attached yet. */
struct aio_source *aio_source_find(struct device_queue *q);

/* aio_direct.c: the slots of the vtable. */
int aio_source_kick(struct device_queue_source *source);
int aio_source_reap(struct device_queue_source *source);

#endif
