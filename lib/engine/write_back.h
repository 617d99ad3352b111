/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stores that are reached through the page cache (device_info.buffered) answer a write before they have it.  When the
 * write-back fails, the kernel gives the page up as clean, a later read gets what the store had before, and nobody is
 * told who does not ask.  So the engine asks.
 *
 * The cache.  A write that is lost must end in "not cached" (I12), also when the process is killed before it has asked,
 * or when another program's sync has taken the error:
 *
 *	a mapped cblock is	since				its busy mark
 *	unflushed		a write to it has ended		stays set (B4): a start after a kill drops it
 *	flushing		a flush was issued after that	stays set
 *	neither			that flush was good		is what B1 says
 *
 * A fill needs no mark: its mapping is committed only after a good flush (C8), and before that a kill forgets it.
 * Each commit flushes the cache after its snapshot, and one is due when something is unflushed.  A flush that fails is
 * E3, and a bypass: until the failure was noticed, a page that had been given up was read as it is in the store.  To
 * keep that time short the error is also asked for between commits.
 *
 * The metadata.  Marks and commits live in its page cache.  If they are lost, what a start after a kill reads is old,
 * whole and wrong.  So every interval its write-back is begun, and its error asked for ten times a second; then all
 * mappings are made void by another way (W5), and the cache is bypassed.
 *
 * What is left: a kill in the tenth of a second after a write-back of the metadata has failed, when another program's
 * sync has taken the error in the meantime.
 *
 * Locking: functions ending in _locked expect cwt.lock; the others expect no lock, and may block.
 */
#ifndef CWT_ENGINE_WRITE_BACK_H
#define CWT_ENGINE_WRITE_BACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/types.h"

struct cwt;

struct write_back {
	uint8_t *unflushed, *flushing;	/* bitmaps of cblocks; NULL: the cache is not buffered */
	uint32_t nr_unflushed;		/* bits in unflushed */
	uint64_t metadata_begun_ms;	/* when its write-back was begun last; the commit thread's */
};

int write_back_init(struct cwt *e);		/* -ENOMEM */
void write_back_exit(struct cwt *e);

/* The last writer of the mapped cblock c leaves.  True: its mark stays. */
bool write_back_written_locked(struct cwt *e, cblock_t c);
static inline bool write_back_flush_due_locked(const struct write_back *wb) { return wb->nr_unflushed > 0; }

/* Around a flush of the cache. */
void write_back_flush_begin_locked(struct cwt *e);
void write_back_flush_end_locked(struct cwt *e, int error);

/* Has anything been lost?  Every MARKS_STALE_MS.  True: yes, and it was dealt with. */
bool write_back_ask(struct cwt *e);

#endif
