/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What there is: the three stores, what the process keeps in memory, and the words used by all events.
 *
 * Every sector of the origin begins with a value of its own, every write brings a new one, and GARBAGE is what an
 * unused cblock holds; so equal values mean equal data.  A sector has a visible value and a set of values ("may")
 * that a power cut can leave: the one last made durable and each one stored since.  A flush makes the visible value
 * the only one.
 */

/* The size of the world, and the budgets that end it: see run-model.sh for the configurations. */
#ifndef POWER
#define POWER 0			/* 0: --warm-after kill, 1: --warm-after power */
#endif
#ifndef BLOCKS
#define BLOCKS 2		/* oblocks */
#endif
#ifndef CBLOCKS
#define CBLOCKS 1
#endif
#ifndef SECTORS
#define SECTORS 1		/* in a block */
#endif
#ifndef REGIONS
#define REGIONS BLOCKS		/* 1: one region mark for all blocks */
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FILLS
#define FILLS 1
#endif
#ifndef DEMOTIONS
#define DEMOTIONS 1
#endif
#ifndef COMMITS
#define COMMITS 2
#endif
#ifndef FSYNCS
#define FSYNCS 0		/* by the user; the property of fsync is checked when there are any */
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CUTS
#define CUTS 1			/* of power */
#endif
#ifndef ROTS
#define ROTS 0			/* superblock copies that rot while nothing runs */
#endif
#ifndef ROT_SLOTS
#define ROT_SLOTS 0		/* slots that do: only with DIGEST */
#endif
#ifndef FAIL_ORIGIN
#define FAIL_ORIGIN 0		/* failing origin legs, cache legs, origin flushes, cache flushes, metadata writes */
#endif
#ifndef FAIL_CACHE
#define FAIL_CACHE 0
#endif
#ifndef FAIL_ORIGIN_FLUSH
#define FAIL_ORIGIN_FLUSH 0
#endif
#ifndef FAIL_CACHE_FLUSH
#define FAIL_CACHE_FLUSH 0
#endif
#ifndef FAIL_METADATA
#define FAIL_METADATA 0
#endif
#ifndef DIGEST
#define DIGEST 0		/* 1: the superblock holds the set digest; 0: each rule must do without its help */
#endif
#ifndef ONE_PAGE
#define ONE_PAGE 0		/* 1: all cblocks' pages are written together, as if all were in one */
#endif
#ifndef VOID_FILLS
#define VOID_FILLS 0		/* F1's other way: 1: a write voids the fill of its block, 0: it waits for it */
#endif

#define SECTS (BLOCKS * SECTORS)
#define CSECTS (CBLOCKS * SECTORS)
#define GARBAGE 7
#define BLOCK(s) ((s) / SECTORS)
#if REGIONS == 1
#define REGION(b) 1
#else
#define REGION(b) (1 << (b))
#endif
#define ALL_BLOCKS ((1 << BLOCKS) - 1)
#define ALL_CBLOCKS ((1 << CBLOCKS) - 1)

/* ---- The stores --------------------------------------------------------------------------------------- */

byte origin[SECTS], origin_may[SECTS];
byte cache[CSECTS], cache_may[CSECTS];

/* Metadata: two slots for each cblock's page (which holds one mapping), two superblock copies.  0: erased or torn. */
byte slot[2 * CBLOCKS], slot_durable[2 * CBLOCKS];
byte super[2], super_durable[2];
#define PAGE(gen, mapping) ((gen) << 2 | (mapping))
#define PAGE_GEN(page) ((page) >> 2)
#define PAGE_MAPPING(page) ((page) & 3)		/* block + 1, or 0 */
#define SUPER(gen, clean, id) ((gen) << 3 | (clean) << 2 | (id))
#define SUPER_GEN(sb) ((sb) >> 3)
#define SUPER_CLEAN(sb) ((sb) >> 2 & 1)
#define SUPER_BOOT(sb) ((sb) & 3)
#define NEWEST (SUPER_GEN(super[1]) > SUPER_GEN(super[0]) -> 1 : 0)
#if DIGEST
byte digest[2 * CBLOCKS];	/* of copy k: the pages of its generation, themselves; [2 * c + k] */
#endif

byte busy;			/* busy marks, visible; never flushed */
byte region, region_durable;	/* region marks, visible and durable */
bool void_all;			/* W5, R2: durably noted elsewhere that no mapping counts; the next start finds it */
byte boot;			/* the boot id of now */

/* ---- The process: all of it is lost by a kill --------------------------------------------------------- */

/*
 * phase	what happens			next
 * DOWN		no process			LOADED
 * LOADED	read, drops decided		ERASED
 * ERASED	dead slots erased		PAGED
 * PAGED	changed pages written		DURABLE
 * DURABLE	flushed				FIRST
 * FIRST	first superblock copy written	SECOND
 * SECOND	flushed, second copy written	RUN
 * RUN		serving				DOWN, by a stop
 */
#define DOWN 0
#define LOADED 1
#define ERASED 2
#define PAGED 3
#define DURABLE 4
#define FIRST 5
#define SECOND 6
#define RUN 7
byte phase;
byte start;			/* what recovery found */
#define SAME_BOOT 1
#define OTHER_BOOT 2
#define CLEAN 3

byte map[CBLOCKS];		/* block + 1, or 0 */
byte state[CBLOCKS];
#define FREE 0
#define MAPPED 1
#define REMOVED 2		/* not mapped, but the committed generation may say so */
#define LEAVING 3		/* the removal is committed, a request that decided on it is in flight */
#define FILLING 4

byte committed[CBLOCKS];	/* the mapping in the last committed generation */
byte committed_slot;		/* bit c: which slot holds it */
byte generation;

/* A request: one sector, one leg after the other. */
typedef writer {
	byte stage;
	byte sector;
	byte value;
	byte c			/* cblock + 1 of a hit, 0 of a miss: its one decision */
};
writer w[2];
#define IDLE 0
#define DECIDED 1		/* without W1_DECIDE only: looked up, not yet in flight */
#define MARKING 2		/* its region mark is stored */
#define FLUSHING 3		/* a flush of it has been issued */
#define AT_ORIGIN 4
#define AT_CACHE 5

/* The fill: from the read of the origin to the end of the cache write. */
byte filling;			/* 0: no, 1: read from the origin, 2: stored in the cache, not yet complete */
bool fill_void;
byte fill_block, fill_c, fill_value[SECTORS];

byte unflushed;			/* E1's D: blocks written since the last good origin flush */
byte unflushed_cache;		/* cblocks written since the last good cache flush */
byte known;			/* regions whose mark is known to be durable */
byte failed;			/* an origin flush has failed and is not handled yet: by FSYNC or by the COMMIT */
#define BY_FSYNC 1
#define BY_COMMIT 2
bool frozen;			/* the metadata is never written again in this run */
bool unmarked;			/* not even busy marks can be stored */
bool stopping;

/* The commit: see commit.pml. */
byte step;
byte snapshot[CBLOCKS];		/* the copied pages */
byte removed;			/* R */
byte clearable;			/* K */
byte dirty, redo;		/* pages to write; pages of failed attempts */
byte late_clear;		/* without F3_CLEAR only: marks to be cleared after their cblocks became free */

/* ---- What the user was told --------------------------------------------------------------------------- */

#if FSYNCS
byte recent[SECTS];		/* the value last answered, and those of the writes that entered after it */
byte allowed[SECTS];		/* what any crash may leave: "recent" at the last completed fsync, and later writes */
bool sticky;			/* E2 */
#endif

/* ---- Budgets, choices and scratch --------------------------------------------------------------------- */

byte writes, fills, demotions, commits, fsyncs, stops, kills, cuts, rots, rot_slots;	/* spent */
byte bad_origin, bad_cache, bad_origin_flush, bad_cache_flush, bad_metadata;

byte x;				/* the choice an event is made with; 0 between events */
byte b, c, i, j, k, n, r, u;	/* inside one d_step only; also 0 between events */

inline choose(limit)
{
	if
	:: x = 0
	:: limit > 1 -> x = 1
	:: limit > 2 -> x = 2
	:: limit > 3 -> x = 3
	fi
}

/* ---- Words -------------------------------------------------------------------------------------------- */

#define AT(i, s) (w[i].stage > DECIDED && w[i].sector == (s))
#define IN_FLIGHT(s) (AT(0, s) || AT(1, s))
#define WRITES_BLOCK(i, o) (w[i].stage > DECIDED && BLOCK(w[i].sector) == (o))
#define WRITING(o) (WRITES_BLOCK(0, o) || WRITES_BLOCK(1, o))
#define USES(i, cb) (w[i].stage > DECIDED && w[i].c == (cb) + 1)
#define USED(cb) (USES(0, cb) || USES(1, cb))
#if CBLOCKS == 1
#define IN(pages, o) (pages[0] == (o) + 1)
#else
#define IN(pages, o) (pages[0] == (o) + 1 || pages[1] == (o) + 1)
#endif
#define PARKED (w[0].stage == IDLE && w[1].stage == IDLE && !filling)
#define BIT(n) (1 << (n))

inline flush_metadata()
{
	for (i : 0 .. 2 * CBLOCKS - 1) {
		slot_durable[i] = slot[i]
	}
	super_durable[0] = super[0];
	super_durable[1] = super[1];
	region_durable = region
}

/*
 * A flush counts from its issue: nothing that ends later is covered (see "Durable").  Its return is the next event,
 * and what happens between the two is the same as if it happened before the next step.  Writes in flight stay in D
 * (E1).
 */
inline flush_origin()
{
	for (i : 0 .. SECTS - 1) {
		origin_may[i] = BIT(origin[i])
	}
	unflushed = 0;
	for (i : 0 .. 1) {
		if
		:: RULE(E1_FLIGHT) && w[i].stage > DECIDED && w[i].stage <= AT_ORIGIN && (RULE(E1_MISSES) || w[i].c) ->
			unflushed = unflushed | BIT(BLOCK(w[i].sector))
		:: else
		fi
	}
}

inline flush_cache()
{
	for (i : 0 .. CSECTS - 1) {
		cache_may[i] = BIT(cache[i])
	}
	unflushed_cache = (filling -> BIT(fill_c) : 0);
	for (i : 0 .. 1) {
		if
		:: w[i].stage > DECIDED && w[i].c -> unflushed_cache = unflushed_cache | BIT(w[i].c - 1)
		:: else
		fi
	}
}

/*
 * B1 is a definition, so the marks in memory need no state of their own: what is stored is computed here.  B2 and
 * B3: this runs before any leg is issued, and at any other time ("timer").
 */
#define MARKED_BY(i, cb) (USES(i, cb) && (RULE(W2_MARK) || w[i].stage == AT_CACHE) && \
	(RULE(B1_LEGS) || w[i].stage != AT_CACHE))

inline store_busy_page(timer)
{
	for (i : 0 .. CBLOCKS - 1) {
		if
		:: unmarked
		:: !unmarked && (MARKED_BY(0, i) || MARKED_BY(1, i) || (late_clear & BIT(i)) ||
		   (state[i] == REMOVED && RULE(B1_REMOVED) && (timer || RULE(B2_FIRST)))) -> busy = busy | BIT(i)
		:: else -> busy = busy & ~BIT(i)
		fi
	}
}

/* Take a mapping away in memory: a demotion, or an invalidation by an error. */
inline unmap(cb)
{
	if
	:: state[cb] == MAPPED ->
		map[cb] = 0;
		state[cb] = REMOVED
	:: else
	fi
}
