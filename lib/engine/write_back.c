/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/write_back.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/log.h"
#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/migration.h"

int write_back_init(struct cwt *e)
{
	struct write_back *wb = &e->write_back;

	if (!device_info(e->dev.cache)->buffered)
		return 0;
	wb->unflushed = calloc(e->nr_cblocks / 8 + 1, 1);
	wb->flushing = calloc(e->nr_cblocks / 8 + 1, 1);
	return wb->unflushed && wb->flushing ? 0 : -ENOMEM;
}

void write_back_exit(struct cwt *e)
{
	free(e->write_back.unflushed);
	free(e->write_back.flushing);
}

static void set_unflushed_locked(struct write_back *wb, uint32_t c)
{
	if (bitmap_test(wb->unflushed, c))
		return;
	bitmap_set(wb->unflushed, c);
	wb->nr_unflushed++;
}

bool write_back_written_locked(struct cwt *e, cblock_t c)
{
	if (!e->write_back.unflushed)
		return false;
	set_unflushed_locked(&e->write_back, c.v);
	return true;
}

/* What is written from now on is not covered by this flush. */
void write_back_flush_begin_locked(struct cwt *e)
{
	struct write_back *wb = &e->write_back;
	uint8_t *was = wb->unflushed;

	if (!was)
		return;
	wb->unflushed = wb->flushing;	/* empty between flushes */
	wb->flushing = was;
	wb->nr_unflushed = 0;
}

/* The mark of one that has a writer, or was written again, or removed, is that one's. */
static void flushed_locked(struct cwt *e, uint32_t c)
{
	const struct cblock_info *cb = map_cb(&e->map, CBLOCK(c));

	if (!bitmap_test(e->write_back.unflushed, c) && !cb->writers && cb->state == CB_MAPPED)
		marks_clear(&e->marks, CBLOCK(c));
}

void write_back_flush_end_locked(struct cwt *e, int error)
{
	struct write_back *wb = &e->write_back;

	for (uint32_t c = 0; wb->flushing && c < e->nr_cblocks; c++) {
		if (!wb->flushing[c / 8]) {
			c |= 7;
			continue;
		}
		if (!bitmap_test(wb->flushing, c))
			continue;
		bitmap_clear(wb->flushing, c);
		if (error)
			set_unflushed_locked(wb, c);
		else
			flushed_locked(e, c);
	}
}

/*
 * ------------------------------------------------------------------ asking
 */
static bool ask_cache(struct cwt *e)
{
	int error = e->write_back.unflushed ? device_write_back(e->dev.cache, false) : 0;

	if (!error)
		return false;
	cache_lost(e, error);
	marks_write_urgent(e);
	return true;
}

static bool ask_metadata(struct cwt *e)
{
	uint64_t now_ms = engine_now_ms(e);
	bool begin = now_ms - e->write_back.metadata_begun_ms >= e->options.commit_interval_ms;
	int error;

	if (begin)
		e->write_back.metadata_begun_ms = now_ms;
	error = device_write_back(e->dev.metadata, begin);
	if (error)
		marks_lost(e, error);
	return error != 0;
}

bool write_back_ask(struct cwt *e)
{
	bool lost = ask_cache(e);

	return ask_metadata(e) || lost;
}
