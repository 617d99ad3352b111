/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/read.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/log.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "engine/migration.h"

static void cache_read_done(struct device_io *io);
static void origin_read_done(struct device_io *io);

static void origin_read(struct block_request *b)
{
	struct cwt *e = b->loop->engine;

	b->state = BREQ_ORIGIN_READ;
	breq_io(b, e->dev.origin, DEVICE_READ, engine_origin_offset(e, b->oblock), origin_read_done);
}

static void read_hit_locked(struct block_request *b, cblock_t c)
{
	struct cwt *e = b->loop->engine;

	e->stats.read_hits++;
	policy_hit(e->policy, c, false);
	b->cblock = c;
	cblock_get_locked(e, c, false);
	b->state = BREQ_CACHE_READ;
	breq_io(b, e->dev.cache, DEVICE_READ, store_cache_offset(c, e->block_size), cache_read_done);
}

/* Does the read go on where an earlier one of the block has ended, or, backwards, has begun? */
static bool pass_continued_locked(struct cwt *e, const struct block_request *b)
{
	for (unsigned i = 0; i < PASSES; i++) {
		struct read_pass *pass = &e->passes[i];

		if (pass->oblock.v != b->oblock.v || !pass->hi || (pass->hi != b->lo && pass->lo != b->hi))
			continue;
		pass->lo = MIN(pass->lo, b->lo);
		pass->hi = MAX(pass->hi, b->hi);
		return true;
	}
	return false;
}

/*
 * Ask the policy, once for each pass over the block: with small reads a scan would else look like two wishes for each
 * block, and take the place of what is really read again.  Advice to promote that came to nothing is asked for again.
 */
static bool read_promotes_locked(struct block_request *b)
{
	struct cwt *e = b->loop->engine;
	bool cblocks_free = e->map.free.nr > e->free_target;

	if (!cblocks_free && pass_continued_locked(e, b))
		return false;
	if (e->policy->ops->miss(e->policy, b->oblock, false, cblocks_free) == POLICY_PROMOTE)
		return true;
	e->passes[e->next_pass++ % PASSES] = (struct read_pass){ b->oblock, b->lo, b->hi };
	return false;
}

static void read_miss_locked(struct block_request *b)
{
	struct cwt *e = b->loop->engine;
	struct fill *f = b->hold.cell->fill;

	e->stats.read_misses++;
	if (f && fill_join_locked(f, b))
		return;
	if (read_promotes_locked(b) && !f && fill_start_locked(b))
		return;
	origin_read(b);
}

void read_start_locked(struct block_request *b)
{
	struct cwt *e = b->loop->engine;
	cblock_t c;

	e->stats.nr_undecided--;
	if (e->bypass || e->options.mode == CWT_PASSTHROUGH) {
		e->stats.bypassed++;
		origin_read(b);
		return;
	}
	c = map_lookup(&e->map, b->oblock);
	if (cblock_is_none(c))
		read_miss_locked(b);
	else
		read_hit_locked(b, c);
}

static void cache_read_done(struct device_io *io)
{
	struct block_request *b = breq_of_io(io);

	cwt_assert(b->state == BREQ_CACHE_READ);
	if (!io->error) {
		breq_end(b, 0);
		return;
	}
	b->cache_error = io->error;
	b->state = BREQ_RETRY;
	list_add_tail(&b->loop->retry, &b->node);
}

void read_retry_locked(struct block_request *b)
{
	struct cwt *e = b->loop->engine;

	cwt_assert(b->state == BREQ_RETRY);
	if (b->cache_error) {
		e->stats.cache_read_errors++;
		cache_error_locked(e);
		if (map_cb(&e->map, b->cblock)->state == CB_MAPPED)
			cblock_remove_locked(e, b->cblock, REMOVAL_INVALIDATION);
		cblock_put_locked(e, b->cblock, false);
		b->cblock = CBLOCK(BLOCK_NONE);
		b->cache_error = 0;
	}
	origin_read(b);
}

bool read_overtaken_locked(struct block_request *b)
{
	struct cwt *e = b->loop->engine;

	if (b->request->op != CWT_READ || cblock_is_none(b->cblock) || map_cb(&e->map, b->cblock)->state == CB_MAPPED)
		return false;
	cblock_put_locked(e, b->cblock, false);
	b->cblock = CBLOCK(BLOCK_NONE);
	origin_read(b);
	return true;
}

static void origin_read_done(struct device_io *io)
{
	struct block_request *b = breq_of_io(io);

	cwt_assert(b->state == BREQ_ORIGIN_READ);
	breq_end(b, io->error);
}
