/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/mutant.h"
#include "engine/engine.h"
#include "engine/flush.h"
#include "engine/migration.h"

int engine_commit_init(struct cwt *e)
{
	struct engine_commit *cs = &e->commit;

	pthread_mutex_init(&cs->run_lock, NULL);
	cs->nr_pages = store_nr_pages(e->store);
	cs->dirty_pages = calloc(cs->nr_pages / 8 + 1, 1);
	cs->snapshot_pages = calloc(cs->nr_pages / 8 + 1, 1);
	return cs->dirty_pages && cs->snapshot_pages ? 0 : -ENOMEM;
}

void engine_commit_exit(struct cwt *e)
{
	free(e->commit.dirty_pages);
	free(e->commit.snapshot_pages);
	pthread_mutex_destroy(&e->commit.run_lock);
}

void commit_page_dirty_locked(struct cwt *e, cblock_t c)
{
	uint32_t page = store_page_of(c);

	if (bitmap_test(e->commit.dirty_pages, page))
		return;
	bitmap_set(e->commit.dirty_pages, page);
	e->commit.nr_dirty++;
}

void commit_want_locked(struct cwt *e)
{
	if (e->commit.wanted || e->commit.dead)
		return;
	e->commit.wanted = true;
	jobs_kick_commit(e);
}

bool engine_commit_due(struct cwt *e)
{
	uint64_t now = engine_now_ms(e);
	bool due;

	pthread_mutex_lock(&e->lock);
	due = !e->commit.dead && now >= e->commit.retry_ms &&
	      (e->commit.wanted || ((e->commit.nr_dirty || e->regions.nr_marked || write_back_flush_due_locked(&e->write_back)) &&
		now - e->stats.last_commit_ms >= e->options.commit_interval_ms));
	pthread_mutex_unlock(&e->lock);
	return due;
}

/*
 * ------------------------------------------------------------------ C1: the snapshot
 */
static int commit_copy_page_locked(struct cwt *e, uint32_t page)
{
	struct store_entry entries[STORE_ENTRIES_PER_PAGE];
	uint32_t first = page * STORE_ENTRIES_PER_PAGE;
	uint32_t nr = MIN(STORE_ENTRIES_PER_PAGE, e->nr_cblocks - first);

	for (uint32_t i = 0; i < nr; i++) {
		cblock_t c = CBLOCK(first + i);
		bool mapped = map_cb(&e->map, c)->state == CB_MAPPED;

		entries[i].oblock = OBLOCK(mapped ? map_cb(&e->map, c)->oblock : BLOCK_NONE);
		entries[i].hint = mapped ? e->policy->ops->hint(e->policy, c) : 0;
	}
	return store_commit_page(e->store, page, entries);
}

/* What was in the snapshot is dirty again; of the removed, none is free. */
static void commit_take_back_locked(struct cwt *e)
{
	struct engine_commit *cs = &e->commit;

	map_commit_abort(&e->map);
	for (uint32_t page = 0; page < cs->nr_pages; page++)
		if (bitmap_test(cs->snapshot_pages, page))
			commit_page_dirty_locked(e, CBLOCK(page * STORE_ENTRIES_PER_PAGE));
	memset(cs->snapshot_pages, 0, cs->nr_pages / 8 + 1);
}

static int commit_snapshot(struct cwt *e)
{
	struct engine_commit *cs = &e->commit;
	int error = 0;

	pthread_mutex_lock(&e->lock);
	regions_snapshot_locked(e);
	if (mutant_is(MUTANT_REGIONS_CLEARED_EARLY))
		regions_committed_locked(e);
	cs->wanted = cs->origin_lost = false;
	e->stats.last_commit_ms = engine_now_ms(e);	/* of the attempt: a failing one is not repeated at once */
	store_commit_begin(e->store, cs->flags);
	origin_commit_begin_locked(e);
	if (!mutant_is(MUTANT_LATER_REMOVALS_FREED))
		map_commit_begin(&e->map);
	for (uint32_t page = 0; page < cs->nr_pages && !error; page++) {
		if (!bitmap_test(cs->dirty_pages, page))
			continue;
		bitmap_clear(cs->dirty_pages, page);
		cs->nr_dirty--;
		bitmap_set(cs->snapshot_pages, page);
		error = commit_copy_page_locked(e, page);
	}
	pthread_mutex_unlock(&e->lock);
	if (!error)
		origin_commit_begun(e);
	return error;
}

/*
 * ------------------------------------------------------------------ C3
 */
void cache_lost(struct cwt *e, int error)
{
	static struct log_limit limit;

	pthread_mutex_lock(&e->lock);
	e->stats.cache_flush_errors++;
	if (!mutant_is(MUTANT_CACHE_FLUSH_FAILURE_KEEPS))
		drop_all_locked(e);	/* E3: nobody knows which of it is on the disk */
	if (e->write_back.unflushed)	/* and until now it may have been read */
		bypass_start_locked(e, CWT_BYPASS_CACHE_ERRORS, "the cache %s has lost writes: %s", e->dev.cache->name,
				    strerror(-error));
	pthread_mutex_unlock(&e->lock);
	log_limited(&limit, LOG_LEVEL_WARNING, "%s: flush failed, its contents are dropped: %s", e->dev.cache->name,
		    strerror(-error));
}

static int commit_flush_cache(struct cwt *e)
{
	int error;

	pthread_mutex_lock(&e->lock);
	write_back_flush_begin_locked(e);
	pthread_mutex_unlock(&e->lock);
	error = mutant_is(MUTANT_CACHE_NOT_FLUSHED) ? 0 : device_flush(e->dev.cache);
	if (error)
		cache_lost(e, error);
	pthread_mutex_lock(&e->lock);
	write_back_flush_end_locked(e, error);
	pthread_mutex_unlock(&e->lock);
	return error;
}

/*
 * ------------------------------------------------------------------ the end: C6, C9
 */
static void commit_done_locked(struct cwt *e)
{
	cblock_t c;

	if (mutant_is(MUTANT_LATER_REMOVALS_FREED))
		map_commit_begin(&e->map);
	while (c = map_commit_next(&e->map), !cblock_is_none(c)) {
		if (!mutant_is(MUTANT_REGION_UNNEEDED_EARLY))
			regions_unneed_locked(e, OBLOCK(map_cb(&e->map, c)->oblock));
		if (map_cb(&e->map, c)->users && !mutant_is(MUTANT_REUSE_UNDER_READER))
			continue;	/* the last of them frees it: cblock_put_locked() */
		marks_clear(&e->marks, c);
		map_free_limbo(&e->map, c);
	}
	memset(e->commit.snapshot_pages, 0, e->commit.nr_pages / 8 + 1);
	e->stats.commits++;
	e->commit.nr_failed = 0;
	e->commit.retry_ms = 0;
	origin_commit_end_locked(e, true, false);
	regions_committed_locked(e);
	migration_balance_locked(e);
}

/*
 * Whatever it was, it is tried again later and later.  A failure of the metadata or of the cache's flush that stays is
 * trouble that somebody has to look at: the cache is of little use without commits, which alone give cblocks back.
 */
static void commit_retry_locked(struct cwt *e, enum commit_step step, int error)
{
	struct engine_commit *cs = &e->commit;

	cs->retry_ms = engine_now_ms(e) + MIN(COMMIT_RETRY_MS << MIN(cs->nr_failed, 16u), COMMIT_RETRY_MAX_MS);
	if (++cs->nr_failed != COMMIT_FAILURES_MAX)
		return;
	if (step == COMMIT_STORE)
		bypass_start_locked(e, CWT_BYPASS_METADATA, "%u commits to %s failed, one after the other: %s", cs->nr_failed,
				    e->dev.metadata->name, strerror(-error));
	else if (step == COMMIT_FLUSH_CACHE)
		bypass_start_locked(e, CWT_BYPASS_CACHE_ERRORS, "%u flushes of %s failed, one after the other: %s",
				    cs->nr_failed, e->dev.cache->name, strerror(-error));
}

static void commit_failed_locked(struct cwt *e, enum commit_step step, int error)
{
	if (step == COMMIT_STORE)
		e->stats.metadata_errors++;
	commit_take_back_locked(e);
	regions_keep_locked(e);
	commit_retry_locked(e, step, error);
	origin_commit_end_locked(e, false, store_commit_outcome_unknown(e->store));
	if (!store_commit_outcome_unknown(e->store))
		return;
	e->commit.dead = true;
	bypass_start_locked(e, CWT_BYPASS_METADATA, "a commit to %s failed: %s", e->dev.metadata->name, strerror(-error));
}

/* The store has logged what went wrong with it. */
static int engine_commit_end(struct cwt *e, int error)
{
	static struct log_limit limit;
	enum commit_step step = e->commit.step;

	pthread_mutex_lock(&e->lock);
	e->commit.step = COMMIT_IDLE;
	if (error)
		commit_failed_locked(e, step, error);
	else
		commit_done_locked(e);
	pthread_mutex_unlock(&e->lock);
	if (error && step != COMMIT_STORE)
		log_limited(&limit, LOG_LEVEL_ERROR, "%s: commit failed: %s", e->dev.metadata->name, strerror(-error));
	return error;
}

int engine_commit_step(struct cwt *e, unsigned flags)
{
	struct engine_commit *cs = &e->commit;
	bool dead, lost;
	int ret;

	pthread_mutex_lock(&e->lock);
	dead = cs->dead;
	lost = cs->origin_lost;
	pthread_mutex_unlock(&e->lock);
	if (dead)
		return cs->step == COMMIT_IDLE ? -EROFS : engine_commit_end(e, -EROFS);
	if (lost && cs->step != COMMIT_IDLE && !store_commit_superblock_issued(e->store)) {
		cs->step = COMMIT_FLUSH_ORIGIN;		/* it is the origin's failure, wherever we were */
		return engine_commit_end(e, -EIO);	/* E2 */
	}
	switch (cs->step) {
	case COMMIT_IDLE:
		cs->flags = flags | (e->options.warm_after_power ? COMMIT_FLUSH : 0);
		ret = commit_snapshot(e);
		if (ret)
			return engine_commit_end(e, ret);
		cs->step = cs->flags & COMMIT_FLUSH || e->write_back.unflushed ? COMMIT_FLUSH_CACHE : COMMIT_STORE;
		return 1;
	case COMMIT_FLUSH_CACHE:
		ret = commit_flush_cache(e);
		if (ret)
			return engine_commit_end(e, ret);
		cs->step = cs->flags & COMMIT_FLUSH ? COMMIT_FLUSH_ORIGIN : COMMIT_STORE;
		return 1;
	case COMMIT_FLUSH_ORIGIN:
		/* Read-only too: an earlier mount may have died before its flush (R6). */
		ret = mutant_is(MUTANT_ORIGIN_NOT_FLUSHED) ? 0 : flush_origin(e);
		if (!ret && cs->flags & COMMIT_CLEAN && !origin_commit_clean(e))
			ret = -ESTALE;
		if (ret)
			return engine_commit_end(e, ret);
		cs->step = COMMIT_STORE;
		return 1;
	case COMMIT_STORE:
		ret = store_commit_step(e->store);
		return ret == 1 ? 1 : engine_commit_end(e, ret);
	}
	cwt_assert(!"a step");
	return -EINVAL;
}

/*
 * Hits change hints and dirty no page, so a stop writes all pages, in commits of bounded size; the clean one is the
 * last.
 */
int engine_commit_clean(struct cwt *e)
{
	struct engine_commit *cs = &e->commit;
	int ret = 0;

	for (uint32_t page = 0; page < cs->nr_pages && !ret; page++) {
		bool full;

		pthread_mutex_lock(&e->lock);
		commit_page_dirty_locked(e, CBLOCK(page * STORE_ENTRIES_PER_PAGE));
		full = cs->nr_dirty >= COMMIT_PAGES_MAX;
		pthread_mutex_unlock(&e->lock);
		if (full)
			ret = engine_commit_run(e, 0);
	}
	return ret ? ret : engine_commit_run(e, COMMIT_FLUSH | COMMIT_CLEAN);
}

int engine_commit_run(struct cwt *e, unsigned flags)
{
	int ret;

	pthread_mutex_lock(&e->commit.run_lock);
	do
		ret = engine_commit_step(e, flags);
	while (ret == 1);
	pthread_mutex_unlock(&e->commit.run_lock);
	if (ret)
		marks_write_urgent(e);	/* of what a failed flush has dropped: the process may end now */
	return ret;
}
