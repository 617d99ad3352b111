/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one reader of a metadata: superblock copies, mapping pages, the cache's label.  The store opens with it, check
 * and dump report with it; so they cannot differ about what a metadata says.  Reads only.
 *
 * Context: any thread that may block.  Memory: one buffer of a MiB while scanning.
 */
#ifndef CWT_METADATA_READER_H
#define CWT_METADATA_READER_H

#include "device/device.h"
#include "metadata/format.h"

/*
 * What is looked at to call a store blank.  Of a file: all that is data; if that is more than BLANK_FILE_BYTES, it is not
 * looked through, and counts as not blank.  Of a block device up to BLANK_DISK_BYTES: all.  Of a larger one:
 * BLANK_END_BYTES at both ends, and BLANK_SAMPLE_BYTES at each power of two, where file systems keep copies of what is
 * at their beginning, and at BLANK_SAMPLES places in between.
 */
#define BLANK_FILE_BYTES (UINT64_C(4) << 30)
#define BLANK_DISK_BYTES (UINT64_C(256) << 20)
#define BLANK_END_BYTES (UINT64_C(16) << 20)
#define BLANK_SAMPLE_BYTES (UINT64_C(64) << 10)
#define BLANK_SAMPLES 256u

struct superblock_pair {
	enum page_verdict verdict[SUPERBLOCK_COPIES];
	struct superblock sb[SUPERBLOCK_COPIES];	/* where the verdict is PAGE_OK */
	bool formatting;	/* a copy says that a format was begun and not finished */
	int newest;		/* the copy to believe (R3); -1: none verifies */
	bool reserved_used[SUPERBLOCK_COPIES];	/* a later version's bytes are there */
	int error;		/* of an unreadable copy */
};

void superblock_pair_read(struct device *metadata, struct superblock_pair *pair);

/*
 * The pair's newest superblock, checked (superblock_check).  -EINVAL: blank, foreign, broken, unfinished or unknown;
 * -EIO ...: both copies unreadable.  err has the line.
 */
int superblock_pair_choose(struct device *metadata, const struct superblock_pair *pair, bool for_writing,
			   struct superblock *sb, struct cwt_error *err);

/* Has nobody written anything to it?  As far as BLANK_* say; a store that was made just now is blank by itself. */
int reader_is_blank(struct device *dev, bool *blank);

/*
 * What a slot of a mapping page is, judged by the superblock:
 *
 *	EMPTY		zeros
 *	COMMITTED	verifies, generation from the floor to the superblock's
 *	VOID		verifies, generation below the floor: dropped
 *	UNFINISHED	verifies, generation above the superblock's: of a commit that did not end
 *	ROTTEN		anything else: torn, overwritten, of another metadata
 *	UNREADABLE	the device gave an error
 */
enum slot_state { SLOT_EMPTY, SLOT_COMMITTED, SLOT_VOID, SLOT_UNFINISHED, SLOT_ROTTEN, SLOT_UNREADABLE };

struct slot {
	enum slot_state state;
	uint64_t generation;	/* not for EMPTY, ROTTEN, UNREADABLE */
	uint64_t checksum;	/* likewise */
};

/*
 * The identity page.  Its slots are judged as those of a mapping page are, but that the superblock names the one that
 * counts by its digest: any other of a generation up to the superblock's is VOID.
 */
struct identity_pages {
	struct slot slot[IDENTITY_SLOTS];
	int valid;		/* -1: none, and nothing is known of the stores */
	struct identity identity;	/* of the valid one; else all "not known" */
	bool reserved_used;	/* of the valid one */
};

void identity_read(struct device *metadata, const struct superblock *sb, struct identity_pages *pages);

/*
 * The busy marks (busy_marks.h), whole pages of them.  What cannot be read or does not verify is all marked.  nr_bad, if
 * given, counts such units.  -ENOMEM.
 */
int busy_marks_read(struct device *metadata, const struct superblock *sb, uint8_t **units, uint64_t *nr_bad);

/* False: it cannot be read, is torn or rotten. */
bool lease_read(struct device *metadata, const struct superblock *sb, struct lease *lease);
uint64_t lease_offset(const struct superblock *sb);

struct scan_page {
	uint32_t number;	/* of the mapping page: its first cblock is number * MAPPING_ENTRIES */
	struct slot slot[2];
	int valid;		/* the newest committed slot; -1: none, the page maps nothing */
	const uint8_t *bytes;	/* the valid slot's, verified; NULL if none.  Until the callback returns */
};

/* A non-zero return stops the scan and is returned. */
typedef int scan_fn(void *ctx, const struct scan_page *page);

/* Every mapping page in order, by large reads.  Device errors make slots UNREADABLE; -ENOMEM. */
int mapping_scan(struct device *metadata, const struct superblock *sb, scan_fn *fn, void *ctx);

#endif
