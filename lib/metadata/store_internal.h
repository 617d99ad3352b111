/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The live store's state, for the files store*.c, recover.c and commit.c. */
#ifndef CWT_METADATA_STORE_INTERNAL_H
#define CWT_METADATA_STORE_INTERNAL_H

#include <stdatomic.h>

#include "metadata/format.h"
#include "metadata/store.h"

#define CHUNK_PAGES 1024u	/* a commit's copies are in chunks of 4 MiB; the first one stays for good */

/* Of each mapping page: one byte, and beside it the checksum of its committed version. */
enum {
	PAGE_SLOT = 1,		/* which slot holds the committed version; if there is none, the one to write first */
	PAGE_COMMITTED = 2,	/* there is one */
	PAGE_COPIED = 4,	/* the running commit has a copy */
	PAGE_STALE = 8,		/* an attempt that ended void wrote its other slot: the next commit must hold it (C9) */
	PAGE_DROPS = 16,	/* recovery drops some of its mappings */
};

/*
 *	state			device call of a step			when
 *	IDLE			-
 *	COLLECTING		-					begin .. first step
 *	IDENTITY		its page, to its other slot	C4	if it changes
 *	PAGES			one page, to its other slot	C4	as long as there are pages
 *	PAGES_FLUSH		flush					COMMIT_FLUSH
 *	FIRST, FIRST_FLUSH	superblock copy; flush		C5	always; COMMIT_FLUSH
 *	SECOND, SECOND_FLUSH	the other copy; flush		C5	always; COMMIT_FLUSH
 *
 * A failure up to PAGES_FLUSH makes the attempt void; one from FIRST on leaves the outcome unknown (C9).
 */
enum commit_state {
	STEP_IDLE, STEP_COLLECTING, STEP_IDENTITY, STEP_PAGES, STEP_PAGES_FLUSH, STEP_FIRST, STEP_FIRST_FLUSH,
	STEP_SECOND, STEP_SECOND_FLUSH, STEP_COMMITTED,
};

struct commit_chunk {
	uint32_t page[CHUNK_PAGES];
	uint8_t (*bytes)[PAGE_BYTES];	/* CHUNK_PAGES of them */
};

struct commit {
	enum commit_state state;
	unsigned flags;
	uint32_t nr;			/* copies */
	uint32_t at;			/* the next to write */
	struct commit_chunk **chunks;	/* room for every page's */
	uint32_t nr_chunks;		/* allocated */
	struct superblock next;		/* what this commit makes true */
	struct identity identity;	/* likewise */
	uint8_t identity_page[PAGE_BYTES];	/* its page, once it is clear that it has to be written */
	bool writes_identity;
};

struct store {
	struct store_devices dev;
	struct store_geometry geo;
	struct superblock sb;		/* as committed */
	atomic_uint_fast64_t generation;	/* its generation, for any thread */
	uint64_t busy_offset_bytes;	/* the region of busy marks */
	uint32_t nr_busy_pages;		/* the last one is the lease's */
	uint64_t regions_offset_bytes;	/* the region of region marks */
	uint32_t nr_region_pages;
	uint8_t *region_marks;		/* bits, as they stand after the start */
	uint64_t copy_generation[SUPERBLOCK_COPIES];	/* what the copies on disk hold; 0: nothing that verifies */
	uint32_t nr_pages;
	uint64_t *checksums;		/* of each page's committed version */
	uint8_t *pages;			/* PAGE_... of each page */
	uint32_t nr_stale;
	struct identity identity;	/* as committed */
	uint8_t identity_page[PAGE_BYTES];	/* its page; of what was found at open, only if identity_slot says so */
	int identity_slot;		/* the one that holds it; -1: none, and nothing is known */
	struct commit commit;
	atomic_bool outcome_unknown;	/* read by whoever writes marks */
	bool keep_region_marks;		/* R6: they stay as they were found */
	bool may_load;			/* nothing was committed since open */
	enum store_start start;
	uint64_t nr_mapped, nr_dropped;	/* that survived the start; that an unclean one dropped */
	char reason[160];
	int64_t (*real_ns)(void *ctx);	/* as store_options */
	void *clock_ctx;
	int64_t clock_ns;
};

int64_t store_now_ns(const struct store *s);	/* CLOCK_REALTIME, or the test's */
int commit_init(struct store *s);	/* the memory of a commit: -ENOMEM */
void commit_destroy(struct store *s);
int commit_run(struct store *s);	/* step until the end */
int store_first_copy(const struct store *s);	/* the superblock copy to write first (C5) */

/* store_marks.c */
int store_marks_init(struct store *s);	/* -ENOMEM */
int store_marks_load_busy(struct store *s, uint8_t **units);	/* *units is to be freed, also on error */
int store_marks_clear_busy(struct store *s);
void store_marks_load_regions(struct store *s);
int store_marks_clear_regions(struct store *s);
bool store_marks_load_lease(struct store *s, struct lease *lease);	/* false: unknown */

/* What is found at a start, before anything is written; and what it means. */
struct start_facts {
	bool reset;
	bool never_started;
	bool label_blank, label_matches;
	uint64_t label_session;		/* if it matches */
	bool clean;
	bool damaged;			/* the set digest, the identity, or a mapping that cannot be */
	bool origin_ours;		/* as it was left, or may be from our last writes (R2), or it is trusted */
	const char *origin_why;		/* if not */
	bool tag_matches;		/* nobody else had the origin meanwhile, as far as its tag tells (R2) */
	bool boot_id_equal;
	bool same_boot;			/* R1, with the fsync of all three stores */
	bool region_marks_kept;		/* by the last owner */
};
enum store_start start_decide(const struct start_facts *facts);
static inline bool start_is_warm(enum store_start start) { return start <= START_WARM_POWER; }

/* store_origin.c */
bool places_equal(const struct store *s, const struct place *a, const struct place *b);
void origin_state_take(const struct device *origin, const struct device_identity *id, struct origin_state *state);
int origin_ids_take(struct store *s, struct identity *id);	/* -ENOMEM */
/* The facts of the origin; next says what is there.  Expects what the stores say of boot and clean stop. */
void origin_judge(struct store *s, const struct store_options *o, struct start_facts *f, struct identity *next);
int origin_write_tag(struct store *s, struct identity *id);

/* What the slots on disk say. */
struct recovery {
	uint64_t digest;		/* of the slots chosen */
	uint64_t nr_mapped;
	bool bad_entry;			/* an oblock beyond the origin or mapped twice, a cblock beyond the cache, ... */
	uint64_t *erase;		/* page numbers of the slots to erase */
	size_t nr_erase, room_erase;
	uint8_t *oblocks_seen;
	uint8_t *busy;			/* START_WARM_KILL: mappings of these cblocks are dropped; units of busy_marks.h */
	bool by_region;			/* START_WARM_POWER: mappings in marked regions are */
	uint64_t nr_dropped;
};
/* R3, the reading half: fills s->pages too. */
int recovery_read(struct store *s, struct recovery *r, bool judge_entries);
int recovery_read_identity(struct store *s, struct recovery *r, bool *known);
int recovery_write(struct store *s, struct recovery *r, const struct superblock *next, const struct identity *identity,
		   struct cwt_error *err);
void recovery_free(struct recovery *r);

int metadata_clear_busy(struct device *metadata, const struct superblock *sb);	/* sealed, all clear; an empty lease */
int metadata_zero(struct device *metadata, uint64_t offset_bytes, uint64_t len_bytes); /* by the fastest way there is */

#endif
