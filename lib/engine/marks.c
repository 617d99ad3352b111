/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/marks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/log.h"
#include "base/mutant.h"
#include "engine/engine.h"
#include "engine/migration.h"

#define MARK_PAGE_BYTES STORE_MARK_PAGE_BYTES

int marks_init(struct marks *m, uint32_t nr_cblocks, uint64_t key)
{
	memset(m, 0, sizeof(*m));
	pthread_mutex_init(&m->io_lock, NULL);
	m->nr_pages = (uint32_t)div_round_up(nr_cblocks, STORE_MARKS_PER_PAGE);
	m->key = key;
	m->units = calloc(m->nr_pages, MARK_PAGE_BYTES);
	m->urgent = calloc(m->nr_pages / 8 + 1, 1);
	m->stale = calloc(m->nr_pages / 8 + 1, 1);
	m->page = malloc(MARK_PAGE_BYTES);
	if (!m->units || !m->urgent || !m->stale || !m->page) {
		marks_free(m);
		return -ENOMEM;
	}
	busy_clear(m->units, key, 0, (uint64_t)m->nr_pages * BUSY_UNITS_PER_PAGE);
	return 0;
}

void marks_free(struct marks *m)
{
	free(m->units);
	free(m->urgent);
	free(m->stale);
	free(m->page);
	pthread_mutex_destroy(&m->io_lock);
}

size_t marks_bytes(const struct marks *m)
{
	return (size_t)m->nr_pages * MARK_PAGE_BYTES;
}

bool marks_test(const struct marks *m, cblock_t c)
{
	return busy_test(m->units, c.v);
}

void marks_set(struct marks *m, cblock_t c)
{
	uint32_t page = c.v / STORE_MARKS_PER_PAGE;

	if (busy_test(m->units, c.v))
		return;		/* visible, or its page is urgent already */
	busy_flip(m->units, m->key, c.v);
	if (!bitmap_test(m->urgent, page)) {
		bitmap_set(m->urgent, page);
		atomic_fetch_add(&m->nr_urgent, 1);
	}
}

/*
 * A bit that is cleared and set again before its page was written needs no write for itself, but the page may be urgent
 * for others, and a set after this makes it urgent again: so nothing is lost by leaving the clear for later.
 */
void marks_clear(struct marks *m, cblock_t c)
{
	uint32_t page = c.v / STORE_MARKS_PER_PAGE;

	if (!busy_test(m->units, c.v))
		return;
	busy_flip(m->units, m->key, c.v);
	if (!bitmap_test(m->stale, page)) {
		bitmap_set(m->stale, page);
		m->nr_stale++;
	}
}

/* Find a page in the bitmap at or after from.  Expects cwt.lock. */
static bool next_page(const uint8_t *pages, uint32_t nr_pages, uint32_t *from)
{
	while (*from < nr_pages && !bitmap_test(pages, *from))
		*from += pages[*from >> 3] ? 1 : 8 - (*from & 7);
	return *from < nr_pages;
}

/*
 * W5: a mark that is not visible protects nothing.  Everything is dropped, and no commit will say otherwise in this
 * run.
 */
__attribute__((format(printf, 2, 3)))
static void marks_failed(struct cwt *e, const char *fmt, ...)
{
	char reason[sizeof(e->bypass_reason)];
	va_list ap;
	bool first = !e->marks.failed;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	e->marks.failed = true;
	if (first && engine_void(e))
		log_error("%s: nothing is left that could say what differs: after a kill the cache may be stale, start with --reset",
			  e->dev.metadata->name);
	pthread_mutex_lock(&e->lock);
	e->stats.metadata_errors++;
	if (first) {
		e->commit.dead = true;
		bypass_start_locked(e, CWT_BYPASS_METADATA, "%s", reason);
	}
	pthread_mutex_unlock(&e->lock);
}

/* Write each page of the bitmap which, once. */
static void marks_write(struct cwt *e, bool urgent_ones)
{
	struct marks *m = &e->marks;
	uint32_t page = 0;

	pthread_mutex_lock(&m->io_lock);
	for (;; page++) {
		bool was_urgent = false, off = false, found;
		int err;

		pthread_mutex_lock(&e->lock);
		found = next_page(urgent_ones ? m->urgent : m->stale, m->nr_pages, &page);
		if (found) {
			off = m->off;
			memcpy(m->page, m->units + (size_t)page * MARK_PAGE_BYTES, MARK_PAGE_BYTES);
			was_urgent = bitmap_test(m->urgent, page);
			bitmap_clear(m->urgent, page);
			m->nr_stale -= bitmap_test(m->stale, page);
			bitmap_clear(m->stale, page);
		}
		pthread_mutex_unlock(&e->lock);
		if (!found)
			break;
		err = off ? 0 : store_write_marks(e->store, page, m->page);
		if (err && !mutant_is(MUTANT_FAILED_MARK_IGNORED))
			marks_failed(e, "busy marks page %u could not be written: %s", page, strerror(-err));
		if (was_urgent)
			atomic_fetch_sub(&m->nr_urgent, 1);
	}
	pthread_mutex_unlock(&m->io_lock);
}

void marks_lost(struct cwt *e, int error)
{
	pthread_mutex_lock(&e->marks.io_lock);
	marks_failed(e, "writes to %s were answered and then lost: %s", e->dev.metadata->name, strerror(-error));
	pthread_mutex_unlock(&e->marks.io_lock);
	marks_write_urgent(e);
}

void marks_write_urgent(struct cwt *e)
{
	if (marks_urgent(&e->marks))
		marks_write(e, true);
}

void marks_write_stale(struct cwt *e)
{
	uint32_t nr_stale;

	pthread_mutex_lock(&e->lock);
	nr_stale = e->marks.nr_stale;
	pthread_mutex_unlock(&e->lock);
	if (nr_stale)
		marks_write(e, false);
}
