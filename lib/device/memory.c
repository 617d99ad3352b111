/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/random.h"

struct memory_device {
	struct device dev;
	uint8_t tag[DEVICE_TAG_BYTES];
	pthread_mutex_t lock;		/* protects bytes and times */
	uint8_t *bytes;
	int64_t mtime_ns, ctime_ns;	/* likewise */
	int64_t (*now_ns)(void *ctx);
	void *ctx;
	uint64_t ino;
	int lost;			/* lock: what the next question about write-back is answered */
};

static atomic_uint_fast64_t memory_next_ino = 1;

static struct memory_device *memory_of(struct device *dev)
{
	return container_of(dev, struct memory_device, dev);
}

static int64_t memory_now_ns(const struct memory_device *m)
{
	struct timespec ts;

	if (m->now_ns)
		return m->now_ns(m->ctx);
	clock_gettime(CLOCK_REALTIME, &ts);
	return MAX((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec, m->ctime_ns + 1);
}

static void memory_changed(struct memory_device *m)
{
	m->mtime_ns = m->ctime_ns = memory_now_ns(m);
}

static int memory_rw(struct device *dev, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes)
{
	struct memory_device *m = memory_of(dev);

	pthread_mutex_lock(&m->lock);
	if (op == DEVICE_READ) {
		memcpy(buf, m->bytes + offset_bytes, len_bytes);
	} else {
		memcpy(m->bytes + offset_bytes, buf, len_bytes);
		memory_changed(m);
	}
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static void memory_submit(struct device *dev, struct device_queue *q, struct device_io *io)
{
	device_io_done_later(q, io, memory_rw(dev, io->op, io->offset_bytes, io->buf, io->len_bytes));
}

static int memory_write_back(struct device *dev, bool begin)
{
	struct memory_device *m = memory_of(dev);
	int error;

	(void)begin;
	pthread_mutex_lock(&m->lock);
	error = m->lost;
	m->lost = 0;
	pthread_mutex_unlock(&m->lock);
	return error;
}

static int memory_flush(struct device *dev)
{
	return memory_write_back(dev, true);
}

static int memory_zero(struct device *dev, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes)
{
	struct memory_device *m = memory_of(dev);

	(void)op;
	pthread_mutex_lock(&m->lock);
	memset(m->bytes + offset_bytes, 0, len_bytes);
	memory_changed(m);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int memory_tag(struct device *dev, const void *set, void *get)
{
	struct memory_device *m = memory_of(dev);

	pthread_mutex_lock(&m->lock);
	if (get)
		memcpy(get, m->tag, sizeof(m->tag));
	if (set) {
		memcpy(m->tag, set, sizeof(m->tag));
		m->ctime_ns = memory_now_ns(m);
	}
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int memory_identity(struct device *dev, struct device_identity *id)
{
	struct memory_device *m = memory_of(dev);

	pthread_mutex_lock(&m->lock);
	id->ino = m->ino;
	id->birth_ns = m->ino;
	id->size_bytes = dev->info.size_bytes;
	id->mount_id = id->fsid = 1;
	id->mtime_ns = m->mtime_ns;
	id->ctime_ns = m->ctime_ns;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static void memory_close(struct device *dev)
{
	struct memory_device *m = memory_of(dev);

	pthread_mutex_destroy(&m->lock);
	free(m->bytes);
	free(m);
}

static const struct device_ops memory_ops = {
	.name = "memory",
	.submit = memory_submit,
	.rw = memory_rw,
	.flush = memory_flush,
	.zero = memory_zero,
	.identity = memory_identity,
	.tag = memory_tag,
	.close = memory_close,
	.write_back = memory_write_back,
};

uint8_t *memory_device_bytes(struct device *dev)
{
	cwt_assert(dev->ops == &memory_ops);
	return memory_of(dev)->bytes;
}

void memory_device_lose(struct device *dev, int error)
{
	struct memory_device *m = memory_of(dev);

	pthread_mutex_lock(&m->lock);
	m->lost = error;
	pthread_mutex_unlock(&m->lock);
}

void memory_device_touch(struct device *dev, int64_t mtime_ns, int64_t ctime_ns)
{
	struct memory_device *m = memory_of(dev);

	cwt_assert(dev->ops == &memory_ops);
	pthread_mutex_lock(&m->lock);
	m->mtime_ns = mtime_ns;
	m->ctime_ns = ctime_ns;
	pthread_mutex_unlock(&m->lock);
}

static void fill_with_garbage(uint8_t *bytes, uint64_t size_bytes, uint64_t seed)
{
	struct random random = { seed };

	for (uint64_t at = 0; at < size_bytes; at += 8) {
		uint64_t word = random_next(&random);

		memcpy(bytes + at, &word, MIN(8, size_bytes - at));
	}
}

int memory_device_open(const char *name, const struct memory_options *options, struct device **out)
{
	struct memory_device *m = calloc(1, sizeof(*m));
	uint32_t align = options->align_bytes ? options->align_bytes : 1;

	cwt_assert(is_power_of_2(align));
	if (!m)
		return -ENOMEM;
	m->bytes = calloc(1, options->size_bytes ? options->size_bytes : 1);
	if (!m->bytes) {
		free(m);
		return -ENOMEM;
	}
	if (options->seed)
		fill_with_garbage(m->bytes, options->size_bytes, options->seed);
	pthread_mutex_init(&m->lock, NULL);
	m->now_ns = options->now_ns;
	m->ctx = options->ctx;
	memory_changed(m);
	m->ino = atomic_fetch_add(&memory_next_ino, 1);
	m->dev.ops = &memory_ops;
	m->dev.info = (struct device_info){
		.size_bytes = options->size_bytes,
		.align_bytes = align,
		.read_only = options->read_only,
		.fast = true,
		.buffered = options->buffered,
	};
	snprintf(m->dev.name, sizeof(m->dev.name), "%s", name);
	*out = &m->dev;
	return 0;
}
