/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lru: promote at every miss, demote (nearly) the least recently used.
 *
 * A hit may touch nothing but its own cblock, so it stores the time there and moves no list.  Time is a counter that
 * the calls under the engine's lock advance, one per miss, promotion or proposal: hits between two of these share a
 * stamp, and that is the "nearly".  A heap holds, for each mapped cblock, the stamp it had when last looked at (the
 * key, never newer than the stamp).  When the root's key is its stamp, it is the oldest of all; else its key is brought
 * up to date and it sinks.  At most REFRESH_MAX keys are brought up to date per proposal, then the root is taken.
 *
 * A proposed block gets a new stamp, so a refused one is proposed again only after all others.  An unmapped cblock's
 * entry stays in the heap until it comes to the root, or serves for the cblock's next block.
 *
 * Memory per cblock: stamp 4, heap entry 8, two bits: 12.3 bytes.
 *
 * After: plain LRU, kept as the yardstick for others and to keep the vtable honest.
 */
#include "policy/policy.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "policy/options.h"

#define REFRESH_MAX 256u

struct heap_entry { uint32_t key, cblock; };

struct lru {
	struct policy base;
	uint32_t nr_cblocks, heap_len;
	_Atomic uint32_t now;		/* read by hit(), changed under the engine's lock; begins above all hints */
	_Atomic uint32_t *stamps;
	struct heap_entry *heap;	/* the oldest key at [0] */
	uint8_t *mapped, *in_heap;	/* bitmaps */
};

static struct lru *lru_of(struct policy *p) { return container_of(p, struct lru, base); }

/* Stamps wrap around; a block unused for 2^31 misses has long been demoted. */
static bool older(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }

static uint32_t now_get(const struct lru *l) { return atomic_load_explicit(&l->now, memory_order_relaxed); }

static uint32_t now_advance(struct lru *l)
{
	uint32_t now = now_get(l) + 1;

	atomic_store_explicit(&l->now, now, memory_order_relaxed);
	return now;
}

static uint32_t stamp_get(const struct lru *l, uint32_t c)
{
	return atomic_load_explicit(&l->stamps[c], memory_order_relaxed);
}

static void stamp_set(struct lru *l, uint32_t c, uint32_t stamp)
{
	atomic_store_explicit(&l->stamps[c], stamp, memory_order_relaxed);
}

static void lru_destroy(struct policy *p)
{
	struct lru *l = lru_of(p);

	free(l->stamps);
	free(l->heap);
	free(l->mapped);
	free(l->in_heap);
	free(l);
}

static int lru_create(uint32_t nr_cblocks, uint64_t seed, const char *options, struct policy **out,
		      struct cwt_error *err)
{
	const struct policy_option table[] = { { 0 } };
	int r = policy_options_parse(policy_lru.name, options, table, err);
	struct lru *l;

	(void)seed;
	if (r)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_set(err, -ENOMEM, "policy lru: out of memory");
	l->base.ops = &policy_lru;
	l->nr_cblocks = nr_cblocks;
	l->now = POLICY_HINT_MAX + 1;
	l->stamps = calloc(nr_cblocks, sizeof(*l->stamps));
	l->heap = calloc(nr_cblocks, sizeof(*l->heap));
	l->mapped = calloc(div_round_up(nr_cblocks, 8), 1);
	l->in_heap = calloc(div_round_up(nr_cblocks, 8), 1);
	if (!l->stamps || !l->heap || !l->mapped || !l->in_heap) {
		lru_destroy(&l->base);
		return error_set(err, -ENOMEM, "policy lru: out of memory for %u cblocks", nr_cblocks);
	}
	*out = &l->base;
	return 0;
}

static void lru_hit(struct policy *p, cblock_t c, bool is_write)
{
	struct lru *l = lru_of(p);

	(void)is_write;
	cwt_assert(c.v < l->nr_cblocks);
	stamp_set(l, c.v, now_get(l));
}

static enum policy_advice lru_miss(struct policy *p, oblock_t o, bool is_write, bool cblocks_free)
{
	(void)o;
	(void)is_write;
	(void)cblocks_free;
	now_advance(lru_of(p));
	return POLICY_PROMOTE;
}

static void sink(struct lru *l, uint32_t i)
{
	struct heap_entry e = l->heap[i];

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= l->heap_len)
			break;
		if (child + 1 < l->heap_len && older(l->heap[child + 1].key, l->heap[child].key))
			child++;
		if (!older(l->heap[child].key, e.key))
			break;
		l->heap[i] = l->heap[child];
		i = child;
	}
	l->heap[i] = e;
}

static void push(struct lru *l, struct heap_entry e)
{
	uint32_t i = l->heap_len++;

	for (; i && older(e.key, l->heap[(i - 1) / 2].key); i = (i - 1) / 2)
		l->heap[i] = l->heap[(i - 1) / 2];
	l->heap[i] = e;
}

static void remove_root(struct lru *l)
{
	bitmap_clear(l->in_heap, l->heap[0].cblock);
	l->heap[0] = l->heap[--l->heap_len];
	if (l->heap_len)
		sink(l, 0);
}

/* Hint 0 says that nothing is known: a promotion, just used.  Other hints order what was loaded, before all use. */
static void lru_mapped(struct policy *p, cblock_t c, oblock_t o, uint8_t hint)
{
	struct lru *l = lru_of(p);
	uint32_t stamp = hint ? hint : now_advance(l);

	(void)o;
	cwt_assert(c.v < l->nr_cblocks);
	cwt_assert(!bitmap_test(l->mapped, c.v));
	bitmap_set(l->mapped, c.v);
	stamp_set(l, c.v, stamp);
	if (bitmap_test(l->in_heap, c.v))
		return;
	bitmap_set(l->in_heap, c.v);
	push(l, (struct heap_entry){ stamp, c.v });
}

static void lru_unmapped(struct policy *p, cblock_t c)
{
	struct lru *l = lru_of(p);

	cwt_assert(c.v < l->nr_cblocks);
	cwt_assert(bitmap_test(l->mapped, c.v));
	bitmap_clear(l->mapped, c.v);
}

/* Bring the oldest mapped cblock to the root; false: none is mapped. */
static bool find_oldest(struct lru *l)
{
	uint32_t nr_refreshed = 0;

	while (l->heap_len) {
		uint32_t c = l->heap[0].cblock, stamp = stamp_get(l, c);

		if (!bitmap_test(l->mapped, c)) {
			remove_root(l);
			continue;
		}
		if (stamp == l->heap[0].key || nr_refreshed++ == REFRESH_MAX)
			return true;
		l->heap[0].key = stamp;
		sink(l, 0);
	}
	return false;
}

static bool lru_victim(struct policy *p, cblock_t *out)
{
	struct lru *l = lru_of(p);

	if (!find_oldest(l))
		return false;
	*out = CBLOCK(l->heap[0].cblock);
	l->heap[0].key = now_advance(l);
	stamp_set(l, out->v, l->heap[0].key);
	sink(l, 0);
	return true;
}

/* The age in 255ths of the oldest key's: 255 was just used, 1 is the oldest. */
static uint8_t lru_hint(const struct policy *p, cblock_t c)
{
	const struct lru *l = container_of(p, const struct lru, base);
	uint32_t now = now_get(l);
	uint64_t oldest, age;

	cwt_assert(c.v < l->nr_cblocks);
	if (!l->heap_len || !bitmap_test(l->mapped, c.v))
		return 0;
	oldest = now - l->heap[0].key;
	age = MIN((uint64_t)(uint32_t)(now - stamp_get(l, c.v)), oldest);
	return (uint8_t)(POLICY_HINT_MAX - (oldest ? age * (POLICY_HINT_MAX - 1) / oldest : 0));
}

static size_t lru_bytes(const struct policy *p)
{
	const struct lru *l = container_of(p, const struct lru, base);

	return sizeof(*l) + (size_t)l->nr_cblocks * (sizeof(*l->stamps) + sizeof(*l->heap)) +
	       2 * div_round_up(l->nr_cblocks, 8);
}

const struct policy_ops policy_lru = {
	.name = "lru",
	.help = "promote at every miss, demote the least recently used; no options",
	.create = lru_create,
	.destroy = lru_destroy,
	.hit = lru_hit,
	.miss = lru_miss,
	.mapped = lru_mapped,
	.unmapped = lru_unmapped,
	.victim = lru_victim,
	.hint = lru_hint,
	.bytes = lru_bytes,
};
