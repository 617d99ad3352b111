/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes themselves: arrays of bytes only, so no compiler pads or aligns them; read and written with get_leN,
 * put_leN.  For format.c and superblock.c; everyone else uses the values of format.h.
 */
#ifndef CWT_METADATA_FORMAT_DISK_H
#define CWT_METADATA_FORMAT_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "metadata/format.h"

struct disk_header {
	uint8_t magic[8];
	uint8_t checksum[8];		/* XXH3-64 of all that follows */
	uint8_t type[4];
	uint8_t reserved1[4];
	uint8_t number[8];
	uint8_t generation[8];
	uint8_t uuid[UUID_BYTES];
	uint8_t reserved2[8];
};

struct disk_region { uint8_t offset_bytes[8], len_bytes[8], kind[4], flags[4]; };

struct disk_superblock {
	struct disk_header header;
	uint8_t version[4];
	uint8_t state[4];
	uint8_t compat[8], ro_compat[8], incompat[8];
	uint8_t block_size_bytes[4];
	uint8_t nr_cblocks[4];
	uint8_t origin_size_bytes[8];
	uint8_t set_digest[8];
	uint8_t floor_generation[8];
	uint8_t session[8], old_session[8];
	uint8_t boot_id[2][8];
	uint8_t commit_time_ns[8];
	uint8_t identity_digest[8];
	uint8_t region_shift[4];
	uint8_t nr_regions[4];
	uint8_t reserved[40];
	struct disk_region regions[REGIONS_MAX];
};

struct disk_mapping {
	uint8_t oblock_and_flags[8];	/* oblock in the low 48 bits, flags above */
	uint8_t hint;
	uint8_t reserved[7];
};

struct disk_place { uint8_t dev[8], ino[8], rdev[8], birth_ns[8], mount_id[8], fsid[8], diskseq[8], reserved[8]; };

struct disk_identity {
	struct disk_header header;
	struct disk_place places[PLACES];
	uint8_t origin_kind[4];
	uint8_t origin_known[4];
	uint8_t origin_seq[8];
	uint8_t origin_size_bytes[8], origin_ino[8];
	uint8_t origin_mtime_ns[8], origin_ctime_ns[8];
	uint8_t origin_tag[8];
	uint8_t origin_path_digest[8], cache_path_digest[8];
	uint8_t reserved1[56];
	uint8_t ids[IDENTITY_IDS][8];
	uint8_t origin_path[IDENTITY_PATH_BYTES];
	uint8_t cache_path[IDENTITY_PATH_BYTES];
	uint8_t reserved2[PAGE_BYTES - 2560];
};

/* No header: the marks beside it have none either, and it is written as often. */
struct disk_lease {
	uint8_t until_ns[8];
	struct { uint8_t e_seq[8], t1_ns[8]; } since[2];
	uint8_t clock_ns[8];
	uint8_t reserved[456];
	uint8_t checksum[8];	/* XXH3-64 of what stands before it, with a seed that the metadata's UUID gives */
};

struct disk_label {
	struct disk_header header;
	uint8_t session[8];
	uint8_t block_size_bytes[4];
	uint8_t nr_cblocks[4];
};

struct disk_runtime {
	struct disk_header header;
	uint8_t pid[4];
	uint8_t state[4];
};

_Static_assert(sizeof(struct disk_header) == 64, "header");
_Static_assert(offsetof(struct disk_header, type) == 16, "the checksum covers type and what follows");
_Static_assert(sizeof(struct disk_superblock) == SECTOR_BYTES, "the superblock fills one sector");
_Static_assert(offsetof(struct disk_superblock, regions) == 224, "superblock, region table");
_Static_assert(sizeof(struct disk_place) == 64, "place");
_Static_assert(offsetof(struct disk_identity, origin_kind) == 256, "identity, places");
_Static_assert(offsetof(struct disk_identity, ids) == 384, "identity, origin");
_Static_assert(offsetof(struct disk_identity, reserved2) == 2560, "identity, paths");
_Static_assert(sizeof(struct disk_identity) == PAGE_BYTES, "identity page");
_Static_assert(sizeof(struct disk_lease) == SECTOR_BYTES, "lease");
_Static_assert(sizeof(struct disk_mapping) == 16, "mapping entry");
_Static_assert(64 + MAPPING_ENTRIES * sizeof(struct disk_mapping) == PAGE_BYTES, "mapping page");
_Static_assert(sizeof(struct disk_label) == 80, "label");
_Static_assert(sizeof(struct disk_runtime) == 72, "runtime page");

#endif
