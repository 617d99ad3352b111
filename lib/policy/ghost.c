/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/ghost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/random.h"

int ghost_open(struct ghost *g, uint64_t nr_entries, uint64_t seed)
{
	cwt_assert(nr_entries > 0);
	g->nr_buckets = (uint32_t)div_round_up(nr_entries, GHOST_WAYS_MAX);
	g->nr_ways = (uint32_t)div_round_up(nr_entries, g->nr_buckets);
	g->seed = seed;
	g->prints = calloc((size_t)g->nr_buckets * g->nr_ways, sizeof(*g->prints));
	return g->prints ? 0 : -ENOMEM;
}

void ghost_close(struct ghost *g)
{
	free(g->prints);
	g->prints = NULL;
}

/* The bucket comes from the hash's upper half, the fingerprint from its lower: the two are independent. */
static uint16_t *bucket_of(const struct ghost *g, oblock_t o, uint16_t *print)
{
	struct random r = { .state = g->seed ^ ((uint64_t)o.v << 32 | o.v) };
	uint64_t hash = random_next(&r);
	uint64_t bucket = ((hash >> 32) * g->nr_buckets) >> 32;

	*print = (uint16_t)hash ? (uint16_t)hash : 1;
	return g->prints + bucket * g->nr_ways;
}

static uint32_t find(const struct ghost *g, const uint16_t *bucket, uint16_t print)
{
	uint32_t i = 0;

	while (i < g->nr_ways && bucket[i] != print)
		i++;
	return i;
}

bool ghost_has(const struct ghost *g, oblock_t o)
{
	uint16_t print;
	const uint16_t *bucket = bucket_of(g, o, &print);

	return find(g, bucket, print) < g->nr_ways;
}

void ghost_add(struct ghost *g, oblock_t o)
{
	uint16_t print;
	uint16_t *bucket = bucket_of(g, o, &print);

	g->is_used = true;
	memmove(bucket + 1, bucket, (g->nr_ways - 1) * sizeof(*bucket));
	bucket[0] = print;
}

void ghost_remove(struct ghost *g, oblock_t o)
{
	uint16_t print;
	uint16_t *bucket = bucket_of(g, o, &print);
	uint32_t i = g->is_used ? find(g, bucket, print) : g->nr_ways;

	if (i == g->nr_ways)
		return;
	memmove(bucket + i, bucket + i + 1, (g->nr_ways - 1 - i) * sizeof(*bucket));
	bucket[g->nr_ways - 1] = 0;
}

size_t ghost_bytes(const struct ghost *g)
{
	return (size_t)g->nr_buckets * g->nr_ways * sizeof(*g->prints);
}
