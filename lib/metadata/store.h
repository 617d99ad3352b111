/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The live metadata: which oblock is in which cblock, made durable all or nothing, and the identity of the three
 * stores.
 *
 * The store owns the layout on disk (metadata/format.h, cachewt-metadata(5)); the engine owns the mappings in memory
 * and hands copies of changed pages in.  Rule numbers (C4, R3, ...) are those of cachewtfs-internals(7).
 *
 * Locking: none here.  One thread at a time may be in commit functions (the engine's commit thread), one at a time in
 * store_write_marks() (the engine's marks lock); these two may run beside each other.  open, close: alone.
 */
#ifndef CWT_METADATA_STORE_H
#define CWT_METADATA_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/types.h"
#include "device/device.h"
#include "metadata/busy_marks.h"
#include "metadata/identity.h"

struct store;

struct store_devices { struct device *origin, *cache, *metadata; };

/* Size in bytes that a metadata file must have for this many cblocks and this origin; pure. */
uint64_t store_metadata_size(uint32_t nr_cblocks, uint64_t origin_size_bytes, uint32_t block_size_bytes);
/* How many cblocks a cache of this size holds (its first block is the label); 0 when too small; pure. */
uint32_t store_nr_cblocks(uint64_t cache_size_bytes, uint32_t block_size_bytes);
/* Where cblock c begins in the cache; pure. */
static inline uint64_t store_cache_offset(cblock_t c, uint32_t block_size_bytes)
{
	return ((uint64_t)c.v + 1) * block_size_bytes;
}

/*
 * Is this store blank (new or wiped, as far as reader_is_blank() looks), ours, or foreign?  Reads only.
 * For the metadata: superblock magic in either copy, whole or broken; one whose format was begun and not finished is
 * blank.  For the cache: label magic.  A negative errno of the store, or -ENOMEM.
 */
enum store_kind { STORE_BLANK, STORE_OURS, STORE_FOREIGN };
int store_probe_metadata(struct device *metadata, enum store_kind *kind);
int store_probe_cache(struct device *cache, enum store_kind *kind);

/* What an existing metadata says of itself, before anything is decided or written. */
struct store_geometry {
	uint32_t block_size_bytes;
	uint32_t nr_cblocks;
	uint64_t origin_size_bytes;
	uint8_t uuid[16];
};

/*
 * Reads the superblock only.  -EINVAL: foreign, torn, or a format that this version does not know; err names the
 * remedy.  Where that is --reset, the caller formats anew (R7); so too for a --reset with another block or cache size.
 */
int store_read_geometry(struct device *metadata, struct store_geometry *geo, struct cwt_error *err);

/*
 * Write an empty metadata: everything durable, superblock last, unclean.  The caller has sized the file (fully
 * allocated).  geo->uuid is made here.  The cache's label is not written: the first open does that.
 */
int store_format(struct device *metadata, struct store_geometry *geo, struct cwt_error *err);

struct store_options {
	bool read_only_origin;	/* several may share the origin: no session mark on it */
	bool trust_origin;	/* ignore the origin's times (not its size) */
	bool reset;		/* drop all mappings; an origin of another size becomes this metadata's */
	bool warm_after_power;	/* this run keeps region marks, so that the next start after a power cut can trust the rest */
	uint32_t commit_interval_ms;	/* how old the last durable lease may be after a power cut */
	int64_t boot_time_ns;	/* CLOCK_REALTIME at which this boot began; 0: not known */
	int64_t clock_ns;	/* the same, but of the clock that a test may have replaced: a lease counts against it */
	int64_t (*real_ns)(void *ctx);	/* NULL: CLOCK_REALTIME */
	void *ctx;
	uint64_t boot_id[2];	/* from the environment object, so that tests can reboot */
	uint32_t pid;		/* for the runtime page, which open writes last (SERVING) */
};

/*
 * How the cache starts.  WARM_KILL: unclean, but the same boot, so what the page caches hold is all there; the mappings
 * with a busy mark are dropped.  WARM_POWER: unclean, another boot, region marks were kept; the mappings in marked
 * regions are dropped.  Every value that is not START_WARM_* means: no mapping survived.  store_start_reason() says
 * why.
 */
enum store_start {
	START_WARM_CLEAN, START_WARM_KILL, START_WARM_POWER, START_COLD_NEW, START_COLD_UNCLEAN, START_COLD_ORIGIN_CHANGED,
	START_COLD_CACHE_CHANGED, START_COLD_DAMAGED, START_COLD_RESET,
};

/*
 * Open and recover (R1-R7).  Decides which mappings survive (enum store_start), makes that durable in one commit,
 * unclean (I9), with a new session, and clears the marks, before it returns: after it the engine may serve.  The page
 * memory it needs is allocated here.  Nothing is written before all refusals are decided.
 *   -EINVAL  a foreign or unknown metadata or cache, an origin of another size: err is the line for the user
 *   -EIO ..  the stores' own errors, -ENOMEM: likewise with a line
 */
int store_open(const struct store_devices *devices, const struct store_options *options, struct store **out,
	       enum store_start *start, struct cwt_error *err);
/* One line for log and status, e.g. "warm: clean stop, 1024 blocks". */
const char *store_start_reason(const struct store *s);
const struct store_geometry *store_geometry(const struct store *s);

/* One mapping entry as the engine hands it in and gets it back. */
struct store_entry {
	oblock_t oblock;	/* .v == BLOCK_NONE: cblock not mapped */
	uint8_t hint;
};

#define STORE_ENTRIES_PER_PAGE 252u	/* cblock c is entry c % this of page c / this */

static inline uint32_t store_page_of(cblock_t c) { return c.v / STORE_ENTRIES_PER_PAGE; }
uint32_t store_nr_pages(const struct store *s);

/*
 * The surviving mappings, in cblock order; before the first commit.  Each oblock lies within the origin and comes once.
 * Reads the pages again, by large reads: nothing of them is kept in memory.  -EIO: they are no longer what open
 * verified; the mappings got so far must not be used.  -ENOMEM.  A non-zero return of fn stops and is returned.
 */
int store_load(struct store *s, int (*fn)(void *ctx, cblock_t c, struct store_entry e), void *ctx);

/*
 * A commit (C1, C4, C5).  Between begin and the end: the engine takes the copies of all changed pages at one instant
 * under its lock (page: memory only, each page at most once, never fails for I/O; -ENOMEM drops the commit), then calls
 * step until it returns 0.  Each step makes at most one device call, so that a simulator can cut between any two.
 * Flushes of origin and cache (C3) are the engine's, before the first step.
 *
 * COMMIT_FLUSH flushes the metadata where C4 and C5 say [p, stop]; COMMIT_CLEAN implies it, takes the origin's
 * fingerprint at the first step and sets the clean mark; nothing may be committed after it has succeeded.
 *
 * After a failed step: if store_commit_outcome_unknown(), no function of this store may write again (the store refuses
 * with -EROFS); else the attempt is void, the engine keeps its pages dirty and may begin anew.  The next attempt must
 * hold every page of a void one (C9); the store asserts it.  To give up an attempt whose superblock was not issued
 * (E2), begin anew; one whose superblock was issued has to be stepped to its end.
 */
enum { COMMIT_FLUSH = 1, COMMIT_CLEAN = 2 };
void store_commit_begin(struct store *s, unsigned flags);
/* entries: STORE_ENTRIES_PER_PAGE, on the last page what is left of them. */
int store_commit_page(struct store *s, uint32_t page, const struct store_entry *entries);
int store_commit_step(struct store *s);		/* 1: call again; 0: committed; < 0: failed */
/*
 * Who the stores are, as committed, in commit functions' context; and as this commit shall make it: memory only,
 * between begin and the first step.  Not called: it stays, but that COMMIT_CLEAN and network stores take the origin's
 * state at the first step.
 */
const struct identity *store_identity(const struct store *s);
void store_commit_identity(struct store *s, const struct identity *identity);
/* By the running attempt: it can no longer be given up. */
bool store_commit_superblock_issued(const struct store *s);
bool store_commit_outcome_unknown(const struct store *s);	/* any thread */
uint64_t store_generation(const struct store *s);	/* any thread */

/*
 * Busy marks, one per cblock, in pages of sealed units (busy_marks.h): the caller keeps pages of this form in memory,
 * changes bits with busy_flip() and this key, and has whole pages written.  A buffered write, never flushed, visible
 * when it returns (B2).
 */
#define STORE_MARK_PAGE_BYTES 4096u
#define STORE_MARKS_PER_PAGE BUSY_MARKS_PER_PAGE
uint64_t store_marks_key(const struct store *s);
int store_write_marks(struct store *s, uint32_t mark_page, const uint8_t *units /* STORE_MARK_PAGE_BYTES */);

/*
 * Region marks, for --warm-after power: one bit per 1 << store_region_shift() bytes of the origin, in pages of
 * STORE_REGIONS_PER_PAGE bits.  store_write_region_marks() is not flushed.  One thread at a time; also beside a commit,
 * and after one of unknown outcome.
 */
#define STORE_REGIONS_PER_PAGE 32256u
unsigned store_region_shift(const struct store *s);
void store_get_region_marks(const struct store *s, uint8_t *bits);	/* as they stand after the start; whole pages */
/* bits: STORE_REGIONS_PER_PAGE / 8 bytes. */
int store_write_region_marks(struct store *s, uint32_t page, const uint8_t *bits);

/* Beside the busy marks, visible when it returns, not flushed.  Not beside itself.  A start leaves one of zeros. */
int store_write_lease(struct store *s, const struct lease *lease);

/*
 * Make all mappings void, durably, when marks cannot be kept any more (W5): by the superblock, unless a commit's
 * outcome is unknown or it fails; else by the cache's label; else by the origin's tag.  No commit may follow;
 * store_commit_*() refuse with -EROFS.  Alone among commit functions.
 */
int store_void(struct store *s);

/* The runtime page: owner and state, for whoever finds the store in use.  Advisory; errors are ignored by callers. */
enum store_runtime_state { STORE_RUNTIME_NONE, STORE_RUNTIME_SERVING, STORE_RUNTIME_STOPPING };
struct store_runtime { uint32_t pid; enum store_runtime_state state; };
int store_write_runtime(struct device *metadata, const struct store_runtime *rt);
int store_read_runtime(struct device *metadata, struct store_runtime *rt);

void store_close(struct store *s);	/* frees; writes nothing; NULL is allowed */

#endif
