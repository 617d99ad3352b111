/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See pool.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/log.h"
#include "pool.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define LARGE_STRIDE (SLOT_HEADER_BYTES + SLOT_LARGE_BYTES + SLOT_TAIL_BYTES)
#define SMALL_STRIDE (SLOT_HEADER_BYTES + SLOT_SMALL_BYTES)

_Static_assert(sizeof(struct slot) <= SLOT_HEADER_BYTES - RECEIVE_BEFORE_BYTES,
	       "a received header would overwrite the slot");

static void populate(void *memory, size_t len)
{
	if (!madvise(memory, len, MADV_POPULATE_WRITE))
		return;
	for (size_t i = 0; i < len; i += 4096)	/* a kernel before 5.14 */
		((volatile char *)memory)[i] = 0;
}

static void pool_add(struct pool *pool, char *at, bool large)
{
	struct slot *slot = (struct slot *)at;

	slot->large = large;
	slot->payload = at + SLOT_HEADER_BYTES;
	pool_put(pool, slot);
}

int pool_open(struct pool *pool, unsigned nr_loops)
{
	unsigned nr_large = MAX(POOL_LARGE_TOTAL / nr_loops, POOL_LARGE_MIN);
	unsigned nr_small = MAX(POOL_SMALL_TOTAL / nr_loops, POOL_SMALL_MIN);
	char *at;

	*pool = (struct pool){ .nr_large = nr_large };
	pool->memory_bytes = (size_t)nr_large * LARGE_STRIDE + (size_t)nr_small * SMALL_STRIDE;
	pool->memory = mmap(NULL, pool->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->memory == MAP_FAILED) {
		pool->memory = NULL;
		return -errno;
	}
	populate(pool->memory, pool->memory_bytes);
	if (madvise(pool->memory, pool->memory_bytes, MADV_DONTDUMP))
		log_debug("pool: buffers will be in core dumps: %s", strerror(errno));

	at = pool->memory;
	for (unsigned n = 0; n < nr_large; n++, at += LARGE_STRIDE)
		pool_add(pool, at, true);
	for (unsigned n = 0; n < nr_small; n++, at += SMALL_STRIDE)
		pool_add(pool, at, false);
	return 0;
}

void pool_close(struct pool *pool)
{
	if (pool->memory)
		munmap(pool->memory, pool->memory_bytes);
	*pool = (struct pool){ 0 };
}

/* Last in, first out: the slot used last is still in the processor's caches. */
struct slot *pool_get_large(struct pool *pool)
{
	struct slot *slot = pool->large;

	if (slot) {
		pool->large = slot->next;
		pool->nr_large_free--;
	}
	return slot;
}

struct slot *pool_get_small(struct pool *pool)
{
	struct slot *slot = pool->small;

	if (slot)
		pool->small = slot->next;
	return slot;
}

void pool_put(struct pool *pool, struct slot *slot)
{
	struct slot **list = slot->large ? &pool->large : &pool->small;

	slot->next = *list;
	*list = slot;
	pool->nr_large_free += slot->large;
}
