/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The live store's state, for the files store*.c, recover.c and commit.c. */
#ifndef CWT_METADATA_STORE_INTERNAL_H
#define CWT_METADATA_STORE_INTERNAL_H

#include <stdatomic.h>

#include "metadata/format.h"
#include "metadata/store.h"

#define CHUNK_PAGES 1024u	/* copies of a commit are kept in chunks of this many pages, 4 MiB; the first one for good */

/* Of each mapping page: one byte, and beside it the checksum of its committed version. */
enum {
	PAGE_SLOT = 1,		/* which slot holds the committed version; without PAGE_COMMITTED: the slot to write first */
	PAGE_COMMITTED = 2,	/* there is one */
	PAGE_COPIED = 4,	/* the running commit has a copy */
	PAGE_STALE = 8,		/* an attempt that ended void wrote its other slot: the next commit must hold it (C9) */
};

/*
 *	state			device call of a step			when
 *	IDLE			-
 *	COLLECTING		-					begin .. first step
 *	TIMES			identity of the origin			COMMIT_CLEAN
 *	PAGES			one page, to its other slot	C4	as long as there are pages
 *	PAGES_FLUSH		flush					COMMIT_FLUSH
 *	FIRST, FIRST_FLUSH	superblock copy; flush		C5	always; COMMIT_FLUSH
 *	SECOND, SECOND_FLUSH	the other copy; flush		C5	always; COMMIT_FLUSH
 *
 * A failure up to PAGES_FLUSH makes the attempt void; one from FIRST on leaves the outcome unknown (C9).
 */
enum commit_state {
	STATE_IDLE, STATE_COLLECTING, STATE_TIMES, STATE_PAGES, STATE_PAGES_FLUSH, STATE_FIRST, STATE_FIRST_FLUSH, STATE_SECOND,
	STATE_SECOND_FLUSH, STATE_COMMITTED,
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
};

struct store {
	struct store_devices dev;
	struct store_geometry geo;
	struct superblock sb;		/* as committed */
	atomic_uint_fast64_t generation;	/* its generation, for any thread */
	uint64_t busy_offset_bytes;	/* the region of busy marks */
	uint32_t nr_busy_pages;
	uint64_t copy_generation[SUPERBLOCK_COPIES];	/* what the copies on disk hold; 0: nothing that verifies */
	uint32_t nr_pages;
	uint64_t *checksums;		/* of each page's committed version */
	uint8_t *pages;			/* PAGE_... of each page */
	uint32_t nr_stale;
	struct commit commit;
	atomic_bool outcome_unknown;	/* read by whoever writes marks */
	bool may_load;			/* nothing was committed since open */
	enum store_start start;
	uint64_t nr_mapped;		/* that survived the start */
	char reason[160];
};

int commit_init(struct store *s);	/* the memory of a commit: -ENOMEM */
void commit_destroy(struct store *s);
int commit_run(struct store *s);	/* step until the end */

/* What is found at a start, before anything is written; and what it means. */
struct start_facts {
	bool reset;
	bool never_started;
	bool label_blank, label_matches;
	uint64_t label_session;		/* if it matches */
	bool clean;
	bool damaged;			/* the set digest, or a mapping that cannot be */
	bool origin_matches;		/* the fingerprint, or it is trusted */
};
enum store_start start_decide(const struct start_facts *facts);
static inline bool start_is_warm(enum store_start start) { return start == START_WARM_CLEAN; }

bool fingerprint_matches(const struct superblock *sb, const struct device_info *info, const struct device_identity *id);
void fingerprint_take(struct superblock *sb, const struct device_info *info, const struct device_identity *id);

/* What the slots on disk say. */
struct recovery {
	uint64_t digest;		/* of the slots chosen */
	uint64_t nr_mapped;
	bool bad_entry;			/* an oblock beyond the origin or mapped twice, or a flag that does not exist */
	uint64_t *erase;		/* page numbers of the slots to erase */
	size_t nr_erase, room_erase;
	uint8_t *oblocks_seen;
};
int recovery_read(struct store *s, struct recovery *r, bool judge_entries);	/* R3, the reading half: fills s->pages too */
int recovery_write(struct store *s, const struct recovery *r, const struct superblock *next, struct cwt_error *err);
void recovery_free(struct recovery *r);

int metadata_zero(struct device *metadata, uint64_t offset_bytes, uint64_t len_bytes);	/* by the fastest way there is */

#endif
