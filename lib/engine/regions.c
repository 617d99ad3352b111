/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/regions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/mutant.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "engine/migration.h"

#define REGION_PAGE_BYTES (STORE_REGIONS_PER_PAGE / 8)

int regions_init(struct cwt *e, bool on)
{
	struct regions *r = &e->regions;
	unsigned shift = store_region_shift(e->store);

	list_init(&r->waiting);
	list_init(&r->job.node);
	r->on = on;
	if (!on)
		return 0;
	r->block_shift = shift - e->block_shift;
	r->nr = (uint32_t)div_round_up(e->origin_size, UINT64_C(1) << shift);
	r->nr_pages = (uint32_t)div_round_up(r->nr, STORE_REGIONS_PER_PAGE);
	r->marked = calloc(r->nr_pages, REGION_PAGE_BYTES);
	r->durable = calloc(r->nr_pages, REGION_PAGE_BYTES);
	r->candidates = calloc(r->nr_pages, REGION_PAGE_BYTES);
	r->dirty_pages = calloc(r->nr_pages / 8 + 1, 1);
	r->needed = calloc(r->nr, sizeof(*r->needed));
	r->writers = calloc(r->nr, sizeof(*r->writers));
	if (!r->marked || !r->durable || !r->candidates || !r->dirty_pages || !r->needed || !r->writers)
		return -ENOMEM;
	/* R6: after a same-boot start the marks stay as they were found, and are as durable as they were. */
	store_get_region_marks(e->store, r->marked);
	for (uint32_t i = 0; i < r->nr; i++)
		r->nr_marked += bitmap_test(r->marked, i);
	memcpy(r->durable, r->marked, (size_t)r->nr_pages * REGION_PAGE_BYTES);
	return 0;
}

void regions_free(struct regions *r)
{
	free(r->marked);
	free(r->durable);
	free(r->candidates);
	free(r->dirty_pages);
	free(r->needed);
	free(r->writers);
}

size_t regions_bytes(const struct regions *r)
{
	return 3u * r->nr_pages * REGION_PAGE_BYTES + r->nr * (sizeof(*r->needed) + sizeof(*r->writers));
}

static uint32_t region_of(const struct regions *r, oblock_t o)
{
	return (uint32_t)((uint64_t)o.v >> r->block_shift);	/* a region may be larger than 2^32 blocks */
}

void regions_need_locked(struct cwt *e, oblock_t o)
{
	if (e->regions.nr)
		e->regions.needed[region_of(&e->regions, o)]++;
}

void regions_unneed_locked(struct cwt *e, oblock_t o)
{
	if (!e->regions.nr)
		return;
	cwt_assert(e->regions.needed[region_of(&e->regions, o)] > 0);
	e->regions.needed[region_of(&e->regions, o)]--;
}

static void regions_run(struct cwt *e, struct job *job);

static void regions_start_locked(struct cwt *e)
{
	if (e->regions.running)
		return;
	e->regions.running = true;
	e->regions.job.run = regions_run;
	e->regions.job.kind = JOB_MARKS;
	jobs_post(e, &e->regions.job);
}

bool regions_enter_locked(struct cwt *e, struct block_request *b)
{
	struct regions *r = &e->regions;
	uint32_t region;

	if (!r->nr)
		return true;
	region = region_of(r, b->oblock);
	r->writers[region]++;
	if (!mutant_is(MUTANT_REGION_KEPT_IN_SET))
		bitmap_clear(r->candidates, region);	/* C2 */
	if (!r->on || !r->needed[region] || bitmap_test(r->durable, region))
		return true;
	if (!bitmap_test(r->marked, region)) {
		bitmap_set(r->marked, region);
		r->nr_marked++;
		bitmap_set(r->dirty_pages, region / STORE_REGIONS_PER_PAGE);
	}
	b->state = BREQ_MARK_WAIT;
	list_add_tail(&r->waiting, &b->node);
	regions_start_locked(e);
	return false;
}

void regions_leave_locked(struct cwt *e, oblock_t o)
{
	if (!e->regions.nr)
		return;
	cwt_assert(e->regions.writers[region_of(&e->regions, o)] > 0);
	e->regions.writers[region_of(&e->regions, o)]--;
}

/*
 * ------------------------------------------------------------------ the job: dirty pages, one flush, and those who
 * wait are let go
 */
static bool regions_next_dirty_locked(struct regions *r, uint32_t *page)
{
	while (*page < r->nr_pages && !bitmap_test(r->dirty_pages, *page))
		++*page;
	return *page < r->nr_pages;
}

/* Write the dirty pages; written gets the bits that went out set. */
static int regions_write(struct cwt *e, uint8_t *written)
{
	struct regions *r = &e->regions;
	int error = 0;

	for (uint32_t page = 0; !error; page++) {
		uint8_t *bits = NULL;

		pthread_mutex_lock(&e->lock);
		if (regions_next_dirty_locked(r, &page)) {
			bits = written + (size_t)page * REGION_PAGE_BYTES;
			memcpy(bits, r->marked + (size_t)page * REGION_PAGE_BYTES, REGION_PAGE_BYTES);
			bitmap_clear(r->dirty_pages, page);
		}
		pthread_mutex_unlock(&e->lock);
		if (!bits)
			break;
		error = store_write_region_marks(e->store, page, bits);
	}
	return error;
}

/*
 * On disk is `written`, durably: true of a bit that is marked, also if it was cleared and set again meanwhile, since
 * only we write.
 */
static void regions_durable_locked(struct regions *r, const uint8_t *written)
{
	for (size_t i = 0; i < (size_t)r->nr_pages * REGION_PAGE_BYTES; i++)
		r->durable[i] |= written[i] & r->marked[i];
}

/* W5.  Expects no lock. */
static void regions_failed(struct cwt *e, int error)
{
	int void_error;

	log_error("%s: region marks cannot be written: %s", e->dev.metadata->name, strerror(-error));
	void_error = engine_void(e);
	pthread_mutex_lock(&e->lock);
	e->stats.metadata_errors++;
	e->commit.dead = true;
	e->regions.hopeless = void_error != 0;
	bypass_start_locked(e, CWT_BYPASS_METADATA, "region marks could not be written: %s", strerror(-error));
	pthread_mutex_unlock(&e->lock);
}

/* Let go whoever waits and may; those whose mark came after the pages were copied wait for the next round. */
static bool regions_release(struct cwt *e, struct list *released)
{
	struct regions *r = &e->regions;
	bool again;

	pthread_mutex_lock(&e->lock);
	list_for_each_safe(n, &r->waiting) {
		struct block_request *b = list_entry(n, struct block_request, node);
		bool durable = bitmap_test(r->durable, region_of(r, b->oblock));

		if (r->on && !r->hopeless && !durable)
			continue;
		b->error = r->on && !durable ? -EIO : 0;
		list_del(&b->node);
		list_add_tail(released, &b->node);
	}
	again = !list_empty(&r->waiting);
	r->running = again;
	pthread_mutex_unlock(&e->lock);
	return again;
}

static void regions_run(struct cwt *e, struct job *job)
{
	struct regions *r = &e->regions;
	uint8_t *written = calloc(r->nr_pages, REGION_PAGE_BYTES);
	struct list released = LIST_INIT(released);
	struct list *n;
	bool wanted;
	int error = written ? regions_write(e, written) : -ENOMEM;

	pthread_mutex_lock(&e->lock);
	wanted = !list_empty(&r->waiting);
	pthread_mutex_unlock(&e->lock);
	if (!error && wanted)
		error = mutant_is(MUTANT_REGION_MARK_NOT_FLUSHED) ? 0 : device_flush(e->dev.metadata);
	if (error && wanted) {
		regions_failed(e, error);
	} else if (!error && wanted) {
		pthread_mutex_lock(&e->lock);
		regions_durable_locked(r, written);
		pthread_mutex_unlock(&e->lock);
	}
	free(written);
	if (regions_release(e, &released))
		jobs_post(e, job);
	while ((n = list_pop(&released))) {
		struct cwt_loop *loop = list_entry(n, struct block_request, node)->loop;

		loop_post(loop, &loop->inbox_breqs, n);
	}
}

/*
 * ------------------------------------------------------------------ the commit's part
 */
void regions_snapshot_locked(struct cwt *e)
{
	struct regions *r = &e->regions;

	for (uint32_t i = 0; i < r->nr; i++)
		if (bitmap_test(r->marked, i) && !r->writers[i])
			bitmap_set(r->candidates, i);
		else
			bitmap_clear(r->candidates, i);
}

void regions_committed_locked(struct cwt *e)
{
	struct regions *r = &e->regions;
	bool any = false;

	for (uint32_t i = 0; i < r->nr; i++) {
		if (!bitmap_test(r->candidates, i))
			continue;
		bitmap_clear(r->marked, i);
		r->nr_marked--;
		bitmap_clear(r->durable, i);
		bitmap_set(r->dirty_pages, i / STORE_REGIONS_PER_PAGE);
		any = true;
	}
	regions_keep_locked(e);
	if (any && r->on)
		regions_start_locked(e);
}

void regions_keep_locked(struct cwt *e)
{
	if (e->regions.nr)
		memset(e->regions.candidates, 0, (size_t)e->regions.nr_pages * REGION_PAGE_BYTES);
}

void regions_off_locked(struct cwt *e)
{
	e->regions.on = false;
}
