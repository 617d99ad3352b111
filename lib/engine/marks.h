/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Busy marks: one bit per cblock that says "origin and cache may differ here, or the mapping on disk is no longer
 * ours".
 *
 * Kept as they are written, in sealed units (metadata/busy_marks.h): a change of a bit changes its unit's seal.
 *
 * busy(c) is set before the origin leg of a write hit and when a mapping is removed; it is clear when no write that
 * decided on c is in flight and the removal, if any, is committed (B1).  The bits live in memory and are written, by
 * pages of 4 KiB, with plain buffered writes that nobody flushes: they outlive the process in the page cache, which is
 * all that a kill needs.
 *
 * Setting may never be late (W2, B2): a page with a newly set bit is *urgent*, and whichever loop issues I/O next
 * writes it first.  nr_urgent goes down only after the write has returned, and the writers are serialized, so a loop
 * that sees zero knows that all bits that its own requests need are visible.  Clearing may be late (B3): such a page is
 * *stale* and is written with the next urgent write of it, or by marks_write_stale() within MARKS_STALE_MS.
 */
#ifndef CWT_ENGINE_MARKS_H
#define CWT_ENGINE_MARKS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/types.h"

#define MARKS_STALE_MS 100u

struct cwt;

struct marks {
	pthread_mutex_t io_lock;	/* outside cwt.lock: one writer of mark pages */
	uint8_t *units;			/* cwt.lock */
	uint64_t key;			/* of their seals */
	uint8_t *urgent, *stale;	/* bitmaps over pages; cwt.lock */
	uint32_t nr_pages;
	uint32_t nr_stale;		/* cwt.lock */
	atomic_uint nr_urgent;		/* pages urgent or being written */
	uint8_t *page;			/* io_lock: a copy while it is written */
	bool failed;			/* io_lock: a mark could not be written */
	bool off;			/* cwt.lock: all mappings are void durably, no mark is needed any more */
};

int marks_init(struct marks *m, uint32_t nr_cblocks, uint64_t key);	/* all clear; -ENOMEM */
void marks_free(struct marks *m);
size_t marks_bytes(const struct marks *m);

/* Expect cwt.lock. */
void marks_set(struct marks *m, cblock_t c);
void marks_clear(struct marks *m, cblock_t c);
bool marks_test(const struct marks *m, cblock_t c);

/*
 * Write all urgent pages; returns when those urgent at the call are visible.  Expects no lock.  A failure is handled
 * here (W5: bypass); the caller goes on.
 */
void marks_write_urgent(struct cwt *e);
static inline bool marks_urgent(struct marks *m) { return atomic_load_explicit(&m->nr_urgent, memory_order_acquire); }
/* W5: writes to the metadata were answered and then lost.  Expects no lock. */
void marks_lost(struct cwt *e, int error);
/* Write the pages with late clears.  Expects no lock. */
void marks_write_stale(struct cwt *e);

#endif
