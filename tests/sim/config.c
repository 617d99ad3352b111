/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/bits.h"

const char *const sim_kind_names[SIM_NR_KINDS] = {
#define K(id, name, of8, weight) name,
	SIM_KINDS(K)
#undef K
};

static const struct { unsigned of8, weight; } kinds[SIM_NR_KINDS] = {
#define K(id, name, of8, weight) { of8, weight },
	SIM_KINDS(K)
#undef K
};

struct random config_random(const struct config *c, uint64_t use)
{
	struct random r = { c->seed * 0x9FB21C651E98DF25u + use * 0xD6E8FEB86659FD93u };

	random_next(&r);
	return r;
}

/* Few blocks, so that everything meets; odd sizes, also smaller than one block. */
static void choose_sizes(struct config *c, struct random *r)
{
	static const uint32_t aligns[] = { 1, 1, 512, 512, 4096 };
	uint32_t nr_oblocks;

	c->block_size = 4096u << (one_in(r, 4) ? random_from(r, 1, 2) : 0);
	c->nr_cblocks = (uint32_t)(one_in(r, 3) ? random_from(r, 1, 3) : random_from(r, 2, 16));
	nr_oblocks = (uint32_t)random_from(r, 1, one_in(r, 4) ? 4 : 24);
	c->origin_size = nr_oblocks * c->block_size;
	if (one_in(r, 2))
		c->origin_size -= (uint32_t)random_below(r, c->block_size);
	c->origin_align = aligns[random_below(r, ARRAY_SIZE(aligns))];
	c->cache_align = aligns[random_below(r, ARRAY_SIZE(aligns))];
}

/*
 * Units larger than a sector, up to a whole block; a cache that is reached through the page cache, which may lose at a
 * kill what was not flushed.  Drawn apart, so that older seeds keep their meaning.
 */
static void choose_stores(struct config *c, struct random *r)
{
	unsigned most = log2_of(c->block_size / 512);

	if (one_in(r, 3))
		c->origin_align = 512u << random_below(r, most + 1);
	if (one_in(r, 3))
		c->cache_align = 512u << random_below(r, most + 1);
	c->cache_buffered = one_in(r, 3);
}

static void choose_options(struct config *c, struct random *r)
{
	static const char *const policies[] = { "lru", "lru", "clock", "clock,ghost=100", "clock,ghost=400" };
	static const uint32_t intervals[] = { 1, 100, 1000, 5000 };

	c->nr_loops = (unsigned)random_from(r, 1, 2);
	c->mode = one_in(r, 8) ? CWT_WRITEAROUND : one_in(r, 16) ? CWT_PASSTHROUGH : CWT_WRITETHROUGH;
	c->policy = policies[random_below(r, ARRAY_SIZE(policies))];
	c->commit_interval_ms = intervals[random_below(r, ARRAY_SIZE(intervals))];
	c->warm_after_power = one_in(r, 2);
	c->region_blocks = 1u << random_below(r, 4);
}

static void choose_workload(struct config *c, struct random *r)
{
	c->nr_events = (unsigned)random_from(r, 40, one_in(r, 4) ? 1000 : 300);
	c->max_requests = (unsigned)random_from(r, 1, one_in(r, 2) ? 4 : 24);
	c->align = (enum sim_align)random_below(r, 3);
	c->hot_blocks = (unsigned)random_from(r, 1, c->nr_cblocks);
	c->read_weight = (unsigned)random_from(r, 1, 8);
	c->write_weight = (unsigned)random_from(r, 1, 8);
}

static void choose_kinds(struct config *c, struct random *r)
{
	for (unsigned k = 0; k < SIM_NR_KINDS; k++) {
		bool has = random_below(r, 8) < kinds[k].of8;
		unsigned factor = (unsigned)random_from(r, 2, 8);

		if (has)
			c->weight[k] = MAX(1u, kinds[k].weight * factor / 4);
	}
}

void config_choose(struct config *c, uint64_t seed, uint32_t without)
{
	struct random r;

	memset(c, 0, sizeof(*c));
	c->seed = seed;
	c->without = without;
	r = config_random(c, UINT64_MAX);
	choose_sizes(c, &r);
	choose_options(c, &r);
	choose_workload(c, &r);
	choose_kinds(c, &r);
	r = config_random(c, UINT64_MAX - 2);
	choose_stores(c, &r);
}

void config_print(const struct config *c)
{
	static const char *const modes[] = { "writethrough", "writearound", "passthrough" };
	static const char *const aligns[] = { "blocks", "sectors", "bytes" };

	printf("seed %llu: origin %u bytes (align %u), %u cblocks of %u (align %u%s), %s, %s, commit every %u ms, %u loops, "
	       "warm after %s (regions of %u blocks); %u events, %u requests at most, of %s, %u hot blocks; off:",
	       (unsigned long long)c->seed, c->origin_size, c->origin_align, c->nr_cblocks, c->block_size, c->cache_align,
	       c->cache_buffered ? ", buffered" : "",
	       modes[c->mode], c->policy, c->commit_interval_ms, c->nr_loops,
	       c->warm_after_power ? "power" : "kill", c->region_blocks, c->nr_events, c->max_requests,
	       aligns[c->align], c->hot_blocks);
	for (unsigned k = 0; k < SIM_NR_KINDS; k++)
		if (!config_has(c, k))
			printf(" %s", sim_kind_names[k]);
	printf("\n");
}
