/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A queue's aio source, from its first device to its end. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/log.h"
#include "device/aio_source.h"

static void source_close(struct device_queue_source *source)
{
	struct aio_source *s = container_of(source, struct aio_source, source);

	if (s->have_ctx)
		io_destroy(s->ctx);
	if (s->bounce_memory)
		munmap(s->bounce_memory, AIO_NR_BOUNCES * AIO_BOUNCE_BYTES);
	pthread_mutex_destroy(&s->returned_lock);
	free(s->slots);
	free(s->iocbs);
	free(s);
}

static const struct device_queue_source_ops aio_source_ops = {
	.kind = "aio",
	.kick = aio_source_kick,
	.reap = aio_source_reap,
	.close = source_close,
};

struct aio_source *aio_source_find(struct device_queue *q)
{
	struct device_queue_source *s = device_queue_find_source(q, &aio_source_ops);

	return s ? container_of(s, struct aio_source, source) : NULL;
}

static int source_open(struct device_queue *q, struct aio_source **out)
{
	unsigned nr = device_queue_max_in_flight(q);
	struct aio_source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->slots = calloc(nr, sizeof(*s->slots));
	s->iocbs = calloc(nr, sizeof(struct iocb *));
	if (!s->slots || !s->iocbs) {
		free(s->slots);
		free(s->iocbs);
		free(s);
		return -ENOMEM;
	}
	s->source.ops = &aio_source_ops;
	s->q = q;
	s->nr_slots = nr;
	list_init(&s->queued);
	list_init(&s->singles);
	list_init(&s->memory_queued);
	list_init(&s->free_slots);
	list_init(&s->starved);
	list_init(&s->ready);
	list_init(&s->returned);
	pthread_mutex_init(&s->returned_lock, NULL);
	for (unsigned i = 0; i < nr; i++) {
		s->slots[i].source = s;
		list_init(&s->slots[i].job.node);
		list_init(&s->slots[i].node);
		list_init(&s->slots[i].run.ios);
		list_add_tail(&s->free_slots, &s->slots[i].node);
	}
	device_queue_add_source(q, &s->source);
	*out = s;
	return 0;
}

static int source_make_bounces(struct aio_source *s)
{
	size_t len = AIO_NR_BOUNCES * AIO_BOUNCE_BYTES;
	uint8_t *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	s->bounce_memory = memory;
	for (size_t i = 0; i < AIO_NR_BOUNCES; i++)
		s->bounces[i] = memory + i * AIO_BOUNCE_BYTES;
	s->nr_bounces = AIO_NR_BOUNCES;
	return 0;
}

/*
 * Once per queue.  Without a context (fs.aio-max-nr used up, forbidden in a container) the pool serves the queue,
 * slower.
 */
static void source_make_ctx(struct aio_source *s, const char *name)
{
	struct aio_ring *ring;
	int ret;

	s->asked_for_ctx = true;
	ret = io_setup((int)s->nr_slots, &s->ctx);
	if (ret < 0) {
		log_warning("%s: no AIO context (%s): using threads, which are slower (see sysctl fs.aio-max-nr)", name,
			    ret == -EAGAIN ? "the system's limit is reached" : "refused by the system");
		return;
	}
	s->have_ctx = true;
	ring = (struct aio_ring *)s->ctx;
	if (ring->magic == AIO_RING_MAGIC && !ring->incompat_features)
		s->ring = ring;
}

static int device_need_pool(struct aio_device *a)
{
	int err = 0;

	pthread_mutex_lock(&a->pool_lock);
	if (!a->pool)
		err = aio_pool_open(a->nr_pool_threads_max, &a->pool);
	pthread_mutex_unlock(&a->pool_lock);
	return err;
}

int aio_source_attach(struct aio_device *a, struct device_queue *q)
{
	struct aio_source *s = aio_source_find(q);
	int err = s ? 0 : source_open(q, &s);

	if (!err && a->path == AIO_PATH_DIRECT && !s->bounce_memory)
		err = source_make_bounces(s);
	if (err || a->path == AIO_PATH_MEMORY)
		return err;
	if (a->path == AIO_PATH_DIRECT && !s->asked_for_ctx)
		source_make_ctx(s, a->dev.name);
	if (a->path == AIO_PATH_POOL || !s->have_ctx || a->tail_fd >= 0)
		err = device_need_pool(a);
	return err;
}
