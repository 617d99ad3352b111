/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/writethrough.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mutant.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "engine/regions.h"

static void wt_origin_done(struct device_io *io);
static void wt_cache_done(struct device_io *io);

/* wt_worker() writes the cache. */
static void wt_defer(struct block_request *b)
{
	b->state = BREQ_DEFERRED;
	list_add_tail(&b->loop->deferred_writethrough, &b->node);
}

static void wt_origin_leg(struct block_request *b)
{
	struct cwt *e = b->loop->engine;

	if (mutant_is(MUTANT_CACHE_FIRST) && !cblock_is_none(b->cblock) && !b->drop_mapping && b->state != BREQ_CACHE_LEG) {
		wt_defer(b);
		return;
	}
	b->state = BREQ_ORIGIN_LEG;
	b->loop->writes_origin = true;
	breq_io(b, e->dev.origin, DEVICE_WRITE, engine_origin_offset(e, b->oblock), wt_origin_done);
}

void write_decide_locked(struct block_request *b)
{
	struct cwt *e = b->loop->engine;
	cblock_t c = mutant_is(MUTANT_DECIDE_BEFORE_ENTERING) ? b->cblock : map_lookup(&e->map, b->oblock);

	e->stats.nr_undecided--;
	origin_leg_begin_locked(e);
	if (!cblock_is_none(c)) {
		b->cblock = c;
		cblock_get_locked(e, c, true);
	}
	if (e->bypass) {
		e->stats.bypassed++;
	} else if (!cblock_is_none(c)) {
		e->stats.write_hits++;
		policy_hit(e->policy, c, true);
	} else {
		e->stats.write_misses++;
		(void)e->policy->ops->miss(e->policy, b->oblock, true, false);
	}
}

void wt_start_locked(struct block_request *b)
{
	struct cwt *e = b->loop->engine;

	write_decide_locked(b);
	b->drop_mapping = e->options.mode != CWT_WRITETHROUGH || e->bypass;
	if (regions_enter_locked(e, b))
		wt_origin_leg(b);
}

void wt_mark_done(struct block_request *b)
{
	cwt_assert(b->state == BREQ_MARK_WAIT);
	if (!b->error) {
		wt_origin_leg(b);
		return;
	}
	b->drop_mapping = true;
	breq_end(b, b->error);
}

static void wt_origin_failed(struct block_request *b, int error)
{
	static struct log_limit limit;
	struct cwt *e = b->loop->engine;

	log_limited(&limit, LOG_LEVEL_ERROR, "%s: write of %u bytes at %llu failed: %s", e->dev.origin->name, b->hi - b->lo,
		    (unsigned long long)engine_origin_offset(e, b->oblock) + b->lo, strerror(-error));
	b->drop_mapping = !mutant_is(MUTANT_ORIGIN_ERROR_KEEPS);
	breq_end(b, error);
}

/* The origin has the data.  Device context: record and queue, no I/O. */
static void wt_origin_done(struct device_io *io)
{
	struct block_request *b = breq_of_io(io);

	cwt_assert(b->state == BREQ_ORIGIN_LEG);
	if (io->error) {
		wt_origin_failed(b, io->error);
	} else if (cblock_is_none(b->cblock) || b->drop_mapping || mutant_is(MUTANT_CACHE_FIRST)) {
		b->drop_mapping &= !mutant_is(MUTANT_WRITEAROUND_KEEPS);
		breq_end(b, 0);
	} else {
		breq_on_origin(b);
		wt_defer(b);
	}
}

void wt_worker(struct cwt_loop *loop)
{
	struct cwt *e = loop->engine;
	struct list *n;

	while ((n = list_pop(&loop->deferred_writethrough))) {
		struct block_request *b = list_entry(n, struct block_request, node);

		cwt_assert(b->state == BREQ_DEFERRED);
		if (mutant_is(MUTANT_MARK_CLEARED_EARLY))
			marks_clear(&e->marks, b->cblock);
		b->state = BREQ_CACHE_LEG;
		breq_io(b, e->dev.cache, DEVICE_WRITE, store_cache_offset(b->cblock, e->block_size), wt_cache_done);
	}
}

static void wt_cache_done(struct device_io *io)
{
	static struct log_limit limit;
	struct block_request *b = breq_of_io(io);
	struct cwt *e = b->loop->engine;

	cwt_assert(b->state == BREQ_CACHE_LEG);
	if (io->error) {
		log_limited(&limit, LOG_LEVEL_WARNING, "%s: write of block %u failed, it is not cached any more: %s",
			    e->dev.cache->name, b->cblock.v, strerror(-io->error));
		b->cache_error = io->error;
		b->drop_mapping = !mutant_is(MUTANT_CACHE_ERROR_KEEPS);
	}
	if (mutant_is(MUTANT_CACHE_FIRST))
		wt_origin_leg(b);
	else
		breq_end(b, mutant_is(MUTANT_CACHE_ERROR_ANSWERED) ? b->cache_error : 0);
}
