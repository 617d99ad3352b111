/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The metadata's format on disk, as pure functions: bytes in, values out, no I/O, no state, any thread.
 * cachewt-metadata(5) is the same in tables.
 *
 * Every page but those of the busy marks (busy_marks.h) begins with a header: magic, checksum, type, its own page number, generation
 * and the metadata's UUID.  So a page of another kind, place or metadata is never accepted, however whole it is.
 *
 * Nothing here trusts its input: every decoder takes arbitrary bytes and answers with a verdict.
 */
#ifndef CWT_METADATA_FORMAT_H
#define CWT_METADATA_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/types.h"
#include "metadata/busy_marks.h"
#include "metadata/identity.h"

#define FORMAT_VERSION 2u
#define PAGE_BYTES 4096u
#define SECTOR_BYTES 512u		/* the superblock and the label fit one: it arrives whole or not at all */
#define REGION_ALIGN_BYTES 65536u
#define UUID_BYTES 16u
#define GENERATION_MAX (UINT64_MAX >> 1)
#define GENERATION_ROOM (1ull << 32)	/* a superblock has at least this many commits before it */

enum page_type { PAGE_SUPERBLOCK = 1, PAGE_MAPPING, PAGE_LABEL, PAGE_RUNTIME, PAGE_REGION_MARKS, PAGE_FORMATTING,
		 PAGE_IDENTITY };

/* What a page turned out to be.  The reader of a device adds UNREADABLE. */
enum page_verdict {
	PAGE_OK,
	PAGE_ZERO,		/* nothing but zeros: never written, or erased */
	PAGE_FOREIGN,		/* neither zeros nor our magic */
	PAGE_BROKEN,		/* our magic, but the checksum, type or page number is not what it should be */
	PAGE_UNREADABLE,
};

struct page_header {
	enum page_type type;
	uint64_t number;	/* its own page number in its file */
	uint64_t generation;
	uint8_t uuid[UUID_BYTES];
};

/* Write header and checksum of a page whose other bytes are in place.  len_bytes is what the checksum covers. */
void page_seal(uint8_t *page, size_t len_bytes, const struct page_header *h);
/* Of the page with this type and number?  *h (may be NULL) is filled for PAGE_OK only. */
enum page_verdict page_verify(const uint8_t *page, size_t len_bytes, enum page_type type, uint64_t number,
			      struct page_header *h);
uint64_t page_checksum(const uint8_t *page);	/* as the header says; for a page that verified */
bool bytes_are_zero(const uint8_t *bytes, size_t len_bytes);

/*
 * ------------------------------------------------------------------ superblock
 */
#define SUPERBLOCK_COPIES 2
static inline uint64_t superblock_page(int copy) { return (uint64_t)copy * (REGION_ALIGN_BYTES / PAGE_BYTES); }
#define RUNTIME_PAGE (2u * (REGION_ALIGN_BYTES / PAGE_BYTES))

/* The numbers from 6 to 9 are spoken for: pins, checksums, restart record, warm list.  This version lays out none. */
enum region_kind { REGION_RUNTIME = 1, REGION_BUSY_MARKS, REGION_REGION_MARKS, REGION_MAPPING, REGION_IDENTITY };
#define REGION_REQUIRED 1u	/* flag: whoever does not know this kind must not use the metadata */
#define REGIONS_MAX 12u

struct region {
	uint64_t offset_bytes;	/* a multiple of REGION_ALIGN_BYTES */
	uint64_t len_bytes;
	uint32_t kind;
	uint32_t flags;
};

/* Feature flags known to this version.  Unknown compat: ignored.  Unknown ro_compat or incompat: refused. */
#define COMPAT_KNOWN 0u
#define RO_COMPAT_KNOWN 0u
#define INCOMPAT_KNOWN 0u

#define STATE_CLEAN 1u		/* the last owner stopped in order */
#define STATE_REGION_MARKS 2u	/* the last owner kept the region marks (--warm-after power) */
#define STATES_KNOWN (STATE_CLEAN | STATE_REGION_MARKS)

struct superblock {
	uint64_t generation;
	uint8_t uuid[UUID_BYTES];
	uint32_t version;
	uint32_t state;			/* STATE_... */
	uint64_t compat, ro_compat, incompat;
	uint32_t block_size_bytes;
	uint32_t nr_cblocks;
	uint64_t origin_size_bytes;
	uint64_t set_digest;		/* XOR of the checksums of all pages' valid slots */
	uint64_t floor_generation;	/* slots below it are void: how all mappings are dropped by one sector */
	uint64_t session, old_session;	/* equal but while a start is under way; 0: never started */
	uint64_t boot_id[2];
	int64_t commit_time_ns;		/* CLOCK_REALTIME; for people */
	uint64_t identity_digest;	/* of the identity page that counts; 0: there is none */
	uint32_t region_shift;		/* a region mark stands for 1 << this many bytes of the origin */
	uint32_t nr_regions;
	struct region regions[REGIONS_MAX];
};

void superblock_encode(const struct superblock *sb, int copy, uint8_t sector[SECTOR_BYTES]);
/* Checksum and place only; superblock_check() judges the values. */
enum page_verdict superblock_decode(const uint8_t sector[SECTOR_BYTES], int copy, struct superblock *sb);
/*
 * Do the values make sense, for a metadata file of this size?  0 or -EINVAL with a line that begins with name.
 * for_writing also refuses features that only a reader may ignore.
 */
int superblock_check(const struct superblock *sb, uint64_t metadata_size_bytes, bool for_writing, const char *name,
		     struct cwt_error *err);
/* Place the regions for this geometry (block size, cblocks, origin size, region_shift).  Returns the file's size. */
uint64_t superblock_lay_out(struct superblock *sb);
const struct region *superblock_region(const struct superblock *sb, enum region_kind kind);	/* NULL: none */
/* The region_shift for this origin: the default, raised to the block size. */
uint32_t region_shift_default(uint32_t block_size_bytes);

uint64_t nr_oblocks_of(uint64_t origin_size_bytes, uint32_t block_size_bytes);
uint64_t nr_mapping_pages_of(uint32_t nr_cblocks);
uint64_t nr_busy_pages_of(uint32_t nr_cblocks);
uint64_t nr_region_mark_pages_of(uint64_t origin_size_bytes, uint32_t region_shift);

bool superblock_reserved_is_zero(const uint8_t sector[SECTOR_BYTES]);

/* The page that both superblock copies hold while a metadata is being formatted: whatever it held is gone. */
void formatting_encode(int copy, uint8_t sector[SECTOR_BYTES]);
bool formatting_verify(const uint8_t sector[SECTOR_BYTES], int copy);

/*
 * ------------------------------------------------------------------ mapping pages
 */
#define MAPPING_ENTRIES 252u
#define MAPPING_FLAG_MAPPED 1u
#define MAPPING_FLAGS_KNOWN 1u

struct mapping {
	uint64_t oblock;	/* 48 bits on disk */
	uint16_t flags;		/* MAPPING_FLAG_...; 0: the cblock is free, and so are the other fields */
	uint8_t hint;
};

/* Page and slot as a page number of the metadata. */
static inline uint64_t mapping_slot_page(const struct region *r, uint32_t page, int slot)
{
	return r->offset_bytes / PAGE_BYTES + 2 * (uint64_t)page + (unsigned)slot;
}

/* How many entries page has: all but the last have MAPPING_ENTRIES. */
uint32_t mapping_nr_entries(uint32_t nr_cblocks, uint32_t page);
void mapping_put(uint8_t *page, unsigned i, const struct mapping *m);
struct mapping mapping_get(const uint8_t *page, unsigned i);
/* Flags that there are, an oblock that the origin has, or nothing at all. */
bool mapping_is_sane(const struct mapping *m, uint64_t nr_oblocks);
bool mapping_reserved_is_zero(const uint8_t *page, unsigned i);

/*
 * ------------------------------------------------------------------ identity
 */
#define IDENTITY_SLOTS 2u
/* Two slots, as a mapping page has; the one that counts is told by the superblock's identity_digest. */
static inline uint64_t identity_slot_page(const struct region *r, int slot)
{
	return r->offset_bytes / PAGE_BYTES + (unsigned)slot;
}

void identity_encode(const struct identity *id, const uint8_t uuid[UUID_BYTES], uint64_t number, uint64_t generation,
		     uint8_t page[PAGE_BYTES]);
/* Of a page that verified.  -EINVAL: its values cannot be; then *id is all "not known". */
int identity_decode(const uint8_t page[PAGE_BYTES], struct identity *id);
bool identity_reserved_is_zero(const uint8_t page[PAGE_BYTES]);
uint64_t identity_digest_of(const uint8_t page[PAGE_BYTES]);	/* never 0 */

/*
 * ------------------------------------------------------------------ label, runtime page, region marks, lease
 */
struct label {
	uint8_t uuid[UUID_BYTES];	/* of the metadata */
	uint64_t session;
	uint32_t block_size_bytes;
	uint32_t nr_cblocks;
};

void label_encode(const struct label *label, uint8_t page[PAGE_BYTES]);
enum page_verdict label_decode(const uint8_t page[PAGE_BYTES], struct label *label);

/* The origin's tag: who may have written it last.  0 is the digest of no tag. */
void origin_tag_encode(const uint8_t uuid[UUID_BYTES], uint64_t session, uint8_t tag[UUID_BYTES + 8]);
uint64_t origin_tag_digest(const uint8_t tag[UUID_BYTES + 8]);

/* The lease: one sector, the first of the last page of the busy marks' region.  False: torn, rotten, another's. */
void lease_encode(const struct lease *lease, const uint8_t uuid[UUID_BYTES], uint8_t sector[SECTOR_BYTES]);
bool lease_decode(const uint8_t sector[SECTOR_BYTES], const uint8_t uuid[UUID_BYTES], struct lease *lease);

struct runtime { uint32_t pid, state; };
void runtime_encode(const struct runtime *rt, uint8_t page[PAGE_BYTES]);
enum page_verdict runtime_decode(const uint8_t page[PAGE_BYTES], struct runtime *rt);

/*
 * A page of region marks: header, then one bit for each of REGION_MARKS_PER_PAGE regions of the origin.  A page that
 * does not verify counts as all marked; so one slot is enough, a torn write only costs warmth.
 */
#define REGION_MARKS_PER_PAGE ((PAGE_BYTES - 64u) * 8u)
void region_marks_encode(const uint8_t uuid[UUID_BYTES], uint64_t number, uint64_t generation,
			 const uint8_t bits[PAGE_BYTES - 64], uint8_t page[PAGE_BYTES]);
void region_marks_bits(const uint8_t page[PAGE_BYTES], uint8_t bits[PAGE_BYTES - 64]);	/* of a page that verified */
enum page_verdict region_marks_verify(const uint8_t page[PAGE_BYTES], const uint8_t uuid[UUID_BYTES], uint64_t number);

#endif
