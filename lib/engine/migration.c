/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/migration.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mutant.h"
#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/loop.h"

/*
 * ------------------------------------------------------------------ promotion
 */
static void fill_device_done(struct device_io *io)
{
	struct fill *f = list_entry(io, struct fill, io);

	f->error = io->error;
	list_add_tail(&f->loop->fills_ended, &f->node);
}

static void fill_io(struct fill *f, struct device *dev, enum device_op op, uint64_t offset_bytes)
{
	f->io.dev = dev;
	f->io.op = op;
	f->io.offset_bytes = offset_bytes;
	f->io.len_bytes = f->len;
	f->io.buf = f->buf;
	f->io.done = fill_device_done;
	list_add_tail(&f->loop->to_submit, &f->io.node);
}

/* A free cblock, unless so much is uncommitted that a snapshot would grow too large. */
static cblock_t fill_take_cblock_locked(struct cwt *e)
{
	cblock_t c = CBLOCK(BLOCK_NONE);

	if (e->commit.nr_dirty < COMMIT_PAGES_MAX)
		c = map_take_free(&e->map);
	migration_balance_locked(e);
	return c;
}

bool fill_start_locked(struct block_request *b)
{
	struct cwt_loop *loop = b->loop;
	struct cwt *e = loop->engine;
	uint32_t len = engine_block_len(e, b->oblock), hold_end = mutant_is(MUTANT_FILL_HOLDS_NOTHING) ? 1 : e->block_size;
	struct fill *f;
	cblock_t c;

	if (list_empty(&loop->free_fills))
		return false;
	f = list_entry(loop->free_fills.next, struct fill, node);
	if (!cell_try_enter(&e->cells, b->oblock, &f->hold, HOLD_READ, 0, hold_end))
		return false;
	c = fill_take_cblock_locked(e);
	if (cblock_is_none(c)) {
		struct granted granted = { NULL, NULL };

		cell_leave(&e->cells, &f->hold, &granted);
		cwt_assert(!granted.first);	/* it was granted beside every waiter, so nobody waited for it */
		return false;
	}
	list_del(&f->node);
	atomic_fetch_add(&loop->nr_fills_busy, 1);
	f->state = FILL_READING;
	f->oblock = b->oblock;
	f->cblock = c;
	f->len = len;
	f->nr_users = 1;
	f->void_it = false;
	f->hold.cell->fill = f;
	list_add_tail(&e->fills, &f->all_node);
	b->state = BREQ_FILL_WAIT;
	list_add_tail(&f->readers, &b->node);
	fill_io(f, e->dev.origin, DEVICE_READ, engine_origin_offset(e, f->oblock));
	return true;
}

static void fill_serve_locked(struct fill *f, struct block_request *b)
{
	f->nr_users++;
	b->fill = f;
	b->state = BREQ_FILL_COPY;
}

bool fill_join_locked(struct fill *f, struct block_request *b)
{
	if (f->void_it)
		return false;
	if (f->state == FILL_READING) {
		b->state = BREQ_FILL_WAIT;
		list_add_tail(&f->readers, &b->node);
		return true;
	}
	cwt_assert(f->state == FILL_WRITING);
	fill_serve_locked(f, b);
	list_add_tail(&b->loop->copies, &b->node);
	return true;
}

void fill_copy(struct block_request *b)
{
	cwt_assert(b->state == BREQ_FILL_COPY);
	memcpy(b->buf, b->fill->buf + b->lo, b->hi - b->lo);
	breq_end(b, 0);
}

void fill_put_locked(struct fill *f)
{
	cwt_assert(f->nr_users > 0);
	if (--f->nr_users)
		return;
	cwt_assert(f->state == FILL_ENDED);
	f->state = FILL_FREE;
	/* Another loop's thread may be here: free_fills is touched under cwt.lock only. */
	list_add_head(&f->loop->free_fills, &f->node);
	atomic_fetch_sub(&f->loop->nr_fills_busy, 1);
}

/* The mapping becomes visible, whole, or not at all (I6); then the writes that waited are let in (I5). */
static void fill_finish_locked(struct fill *f)
{
	struct cwt *e = f->loop->engine;
	struct granted granted = { NULL, NULL };

	cwt_assert(list_empty(&f->readers));
	f->hold.cell->fill = NULL;
	list_del(&f->all_node);
	f->void_it &= !mutant_is(MUTANT_VOID_FILL_PUBLISHED);
	if (!f->void_it && (!f->error || mutant_is(MUTANT_FAILED_FILL_PUBLISHED))) {
		map_publish(&e->map, f->cblock, f->oblock);
		e->policy->ops->mapped(e->policy, f->cblock, f->oblock, 0);
		regions_need_locked(e, f->oblock);
		commit_page_dirty_locked(e, f->cblock);
		e->stats.promotions++;
	} else {
		map_unfill(&e->map, f->cblock);
		if (f->void_it)
			e->stats.fills_voided++;
		else
			e->stats.fills_failed++;
	}
	f->state = FILL_ENDED;
	cell_leave(&e->cells, &f->hold, &granted);
	loop_granted_locked(f->loop, &granted);
	fill_put_locked(f);
}

/*
 * The origin read has ended.  Of a failed one the user sees only the origin's answer for what he asked for, so every
 * reader asks for itself: another sector of the block may be the bad one.
 */
static void fill_read_ended_locked(struct fill *f)
{
	struct cwt *e = f->loop->engine;
	bool bad = f->error || f->void_it;
	struct list *n;

	while ((n = list_pop(&f->readers))) {
		struct block_request *b = list_entry(n, struct block_request, node);

		if (bad)
			b->state = BREQ_RETRY;
		else
			fill_serve_locked(f, b);
		loop_hand_over_locked(f->loop, b);
	}
	if (bad) {
		fill_finish_locked(f);
		return;
	}
	f->state = FILL_WRITING;
	fill_io(f, e->dev.cache, DEVICE_WRITE, store_cache_offset(f->cblock, e->block_size));
}

void fill_step_locked(struct fill *f)
{
	if (f->state == FILL_READING) {
		fill_read_ended_locked(f);
		return;
	}
	cwt_assert(f->state == FILL_WRITING);
	if (f->error) {
		f->loop->engine->stats.cache_write_errors++;
		cache_error_locked(f->loop->engine);
	}
	fill_finish_locked(f);
}

/*
 * ------------------------------------------------------------------ demotion and invalidation
 */
void cblock_remove_locked(struct cwt *e, cblock_t c, enum removal why)
{
	if (mutant_is(MUTANT_REGION_UNNEEDED_EARLY))
		regions_unneed_locked(e, OBLOCK(map_cb(&e->map, c)->oblock));
	map_remove(&e->map, c);
	e->policy->ops->unmapped(e->policy, c);
	if (!mutant_is(MUTANT_REMOVAL_NOT_MARKED))
		marks_set(&e->marks, c);
	commit_page_dirty_locked(e, c);
	if (why == REMOVAL_DEMOTION)
		e->stats.demotions++;
	else
		e->stats.invalidations++;
}

#define VICTIM_TRIES 32u

static bool demote_one_locked(struct cwt *e)
{
	cblock_t c;

	for (unsigned i = 0; i < VICTIM_TRIES && e->policy->ops->victim(e->policy, &c); i++) {
		if (cell_find(&e->cells, OBLOCK(map_cb(&e->map, c)->oblock)))
			continue;	/* in use: L1 */
		cblock_remove_locked(e, c, REMOVAL_DEMOTION);
		return true;
	}
	return false;
}

/* A cache of very few cblocks keeps none free; it demotes one when a promotion has found none. */
void migration_balance_locked(struct cwt *e)
{
	struct map *map = &e->map;
	uint32_t target = e->free_target;

	if (!target && !map->free.nr)
		target = 1;
	while (map->free.nr + map->removed.nr + map->committing.nr < target && e->commit.nr_dirty < COMMIT_PAGES_MAX)
		if (!demote_one_locked(e))
			break;
	if (map->removed.nr && map->free.nr <= target / 2)
		commit_want_locked(e);
	if (e->commit.nr_dirty >= COMMIT_PAGES_MAX)
		commit_want_locked(e);
}

void drop_all_locked(struct cwt *e)
{
	for (uint32_t i = 0; i < e->map.nr_cblocks && e->map.nr_mapped; i++)
		if (map_cb(&e->map, CBLOCK(i))->state == CB_MAPPED)
			cblock_remove_locked(e, CBLOCK(i), REMOVAL_INVALIDATION);
	list_for_each(n, &e->fills)
		list_entry(n, struct fill, all_node)->void_it = true;
}

/*
 * ------------------------------------------------------------------ bypass
 *
 * A leaky count: each error of the cache adds 8, each success takes 1 away; at 128 the cache is given up.  So sixteen
 * errors in a row do it, and so does one in eight for long; a bad sector alone does not.
 */
#define CACHE_TROUBLE_ERROR 8u
#define CACHE_TROUBLE_MAX 128u

void cache_error_locked(struct cwt *e)
{
	e->cache_trouble += CACHE_TROUBLE_ERROR;
	if (e->cache_trouble < CACHE_TROUBLE_MAX)
		return;
	e->cache_trouble = 0;
	bypass_start_locked(e, CWT_BYPASS_CACHE_ERRORS, "too many errors of the cache %s", e->dev.cache->name);
}

void cache_success_locked(struct cwt *e)
{
	if (e->cache_trouble)
		e->cache_trouble--;
}

static bool bypass_is_final(enum cwt_bypass why)
{
	return why == CWT_BYPASS_METADATA || why == CWT_BYPASS_ORIGIN_FLUSH;
}

void bypass_start_locked(struct cwt *e, enum cwt_bypass why, const char *fmt, ...)
{
	va_list ap;

	if (why != CWT_BYPASS_MESSAGE)
		drop_all_locked(e);
	if (e->bypass == CWT_BYPASS_METADATA || (bypass_is_final(e->bypass) && !bypass_is_final(why)))
		return;
	e->bypass = why;
	e->bypass_unlogged = true;
	va_start(ap, fmt);
	vsnprintf(e->bypass_reason, sizeof(e->bypass_reason), fmt, ap);
	va_end(ap);
}

void bypass_log(struct cwt *e)
{
	char reason[sizeof(e->bypass_reason)];
	bool unlogged;

	pthread_mutex_lock(&e->lock);
	unlogged = e->bypass_unlogged;
	e->bypass_unlogged = false;
	memcpy(reason, e->bypass_reason, sizeof(reason));
	pthread_mutex_unlock(&e->lock);
	if (unlogged)
		log_warning("the cache is bypassed, all requests go to the origin: %s", reason);
}

int bypass_end_locked(struct cwt *e, enum cwt_bypass why)
{
	if (e->bypass != why)
		return e->bypass == CWT_BYPASS_NONE ? 0 : -EBUSY;
	e->bypass = CWT_BYPASS_NONE;
	e->bypass_unlogged = false;
	e->bypass_reason[0] = '\0';
	return 0;
}
