/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The superblock: its bytes, its region table, and whether its values make sense. */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "metadata/format.h"
#include "metadata/format_disk.h"

/* 4 MiB: an origin of 1 TiB has 256 Ki regions, nine pages of marks. */
#define REGION_SHIFT_DEFAULT 22u
/* Of the largest origin there can be: 2^32 blocks of 2 MiB. */
#define REGION_SHIFT_MAX 53u
_Static_assert((uint64_t)BLOCK_MAX * BLOCK_SIZE_MAX < 1ull << REGION_SHIFT_MAX, "one region is enough for every origin");

static void regions_encode(const struct region *r, uint32_t nr, struct disk_region *d)
{
	for (uint32_t i = 0; i < nr; i++) {
		put_le64(d[i].offset_bytes, r[i].offset_bytes);
		put_le64(d[i].len_bytes, r[i].len_bytes);
		put_le32(d[i].kind, r[i].kind);
		put_le32(d[i].flags, r[i].flags);
	}
}

static void regions_decode(const struct disk_region *d, struct region *r)
{
	for (uint32_t i = 0; i < REGIONS_MAX; i++)
		r[i] = (struct region){ .offset_bytes = get_le64(d[i].offset_bytes),
					.len_bytes = get_le64(d[i].len_bytes),
					.kind = get_le32(d[i].kind),
					.flags = get_le32(d[i].flags) };
}

void superblock_encode(const struct superblock *sb, int copy, uint8_t sector[SECTOR_BYTES])
{
	struct disk_superblock *d = (struct disk_superblock *)sector;
	struct page_header h = { .type = PAGE_SUPERBLOCK,
				 .number = superblock_page(copy),
				 .generation = sb->generation };

	cwt_assert(sb->nr_regions <= REGIONS_MAX);
	memset(d, 0, sizeof(*d));
	put_le32(d->version, sb->version);
	put_le32(d->state, sb->state);
	put_le64(d->compat, sb->compat);
	put_le64(d->ro_compat, sb->ro_compat);
	put_le64(d->incompat, sb->incompat);
	put_le32(d->block_size_bytes, sb->block_size_bytes);
	put_le32(d->nr_cblocks, sb->nr_cblocks);
	put_le64(d->origin_size_bytes, sb->origin_size_bytes);
	put_le64(d->set_digest, sb->set_digest);
	put_le64(d->floor_generation, sb->floor_generation);
	put_le64(d->session, sb->session);
	put_le64(d->old_session, sb->old_session);
	put_le64(d->boot_id[0], sb->boot_id[0]);
	put_le64(d->boot_id[1], sb->boot_id[1]);
	put_le64(d->commit_time_ns, (uint64_t)sb->commit_time_ns);
	put_le64(d->identity_digest, sb->identity_digest);
	put_le32(d->region_shift, sb->region_shift);
	regions_encode(sb->regions, sb->nr_regions, d->regions);
	put_le32(d->nr_regions, sb->nr_regions);
	memcpy(h.uuid, sb->uuid, UUID_BYTES);
	page_seal(sector, SECTOR_BYTES, &h);
}

enum page_verdict superblock_decode(const uint8_t sector[SECTOR_BYTES], int copy, struct superblock *sb)
{
	const struct disk_superblock *d = (const struct disk_superblock *)sector;
	struct page_header h;
	enum page_verdict v = page_verify(sector, SECTOR_BYTES, PAGE_SUPERBLOCK, superblock_page(copy), &h);

	if (v != PAGE_OK)
		return v;
	memset(sb, 0, sizeof(*sb));
	sb->generation = h.generation;
	memcpy(sb->uuid, h.uuid, UUID_BYTES);
	sb->version = get_le32(d->version);
	sb->state = get_le32(d->state);
	sb->compat = get_le64(d->compat);
	sb->ro_compat = get_le64(d->ro_compat);
	sb->incompat = get_le64(d->incompat);
	sb->block_size_bytes = get_le32(d->block_size_bytes);
	sb->nr_cblocks = get_le32(d->nr_cblocks);
	sb->origin_size_bytes = get_le64(d->origin_size_bytes);
	sb->set_digest = get_le64(d->set_digest);
	sb->floor_generation = get_le64(d->floor_generation);
	sb->session = get_le64(d->session);
	sb->old_session = get_le64(d->old_session);
	sb->boot_id[0] = get_le64(d->boot_id[0]);
	sb->boot_id[1] = get_le64(d->boot_id[1]);
	sb->commit_time_ns = (int64_t)get_le64(d->commit_time_ns);
	sb->identity_digest = get_le64(d->identity_digest);
	sb->region_shift = get_le32(d->region_shift);
	regions_decode(d->regions, sb->regions);
	sb->nr_regions = get_le32(d->nr_regions);
	return PAGE_OK;
}

bool superblock_reserved_is_zero(const uint8_t sector[SECTOR_BYTES])
{
	const struct disk_superblock *d = (const struct disk_superblock *)sector;

	return bytes_are_zero(d->reserved, sizeof(d->reserved));
}

void formatting_encode(int copy, uint8_t sector[SECTOR_BYTES])
{
	memset(sector, 0, SECTOR_BYTES);
	page_seal(sector, SECTOR_BYTES,
		  &(struct page_header){ .type = PAGE_FORMATTING, .number = superblock_page(copy) });
}

bool formatting_verify(const uint8_t sector[SECTOR_BYTES], int copy)
{
	return page_verify(sector, SECTOR_BYTES, PAGE_FORMATTING, superblock_page(copy), NULL) == PAGE_OK;
}

uint64_t nr_oblocks_of(uint64_t origin_size_bytes, uint32_t block_size_bytes)
{
	return div_round_up(origin_size_bytes, block_size_bytes);
}

/* One page more than the bits need: the lease's. */
uint64_t nr_busy_pages_of(uint32_t nr_cblocks)
{
	return div_round_up(nr_cblocks, BUSY_MARKS_PER_PAGE) + 1;
}

uint64_t nr_region_mark_pages_of(uint64_t origin_size_bytes, uint32_t region_shift)
{
	return div_round_up(div_round_up(origin_size_bytes, 1ull << region_shift), REGION_MARKS_PER_PAGE);
}

uint32_t region_shift_default(uint32_t block_size_bytes)
{
	return MAX(REGION_SHIFT_DEFAULT, log2_of(block_size_bytes));
}

static uint64_t region_add(struct superblock *sb, uint64_t offset, uint64_t nr_pages, enum region_kind kind)
{
	cwt_assert(sb->nr_regions < REGIONS_MAX);
	sb->regions[sb->nr_regions++] = (struct region){ .offset_bytes = offset, .len_bytes = nr_pages * PAGE_BYTES,
							 .kind = kind, .flags = REGION_REQUIRED };
	return round_up_to(offset + nr_pages * PAGE_BYTES, REGION_ALIGN_BYTES);
}

/* nr_mark_pages: of the region marks; a metadata that was fitted to another origin (--reset) has more than it needs. */
static uint64_t lay_out(struct superblock *sb, uint64_t nr_mark_pages)
{
	uint64_t at = (uint64_t)RUNTIME_PAGE * PAGE_BYTES;

	sb->nr_regions = 0;
	at = region_add(sb, at, 1, REGION_RUNTIME);
	at = region_add(sb, at, IDENTITY_SLOTS, REGION_IDENTITY);
	at = region_add(sb, at, nr_busy_pages_of(sb->nr_cblocks), REGION_BUSY_MARKS);
	at = region_add(sb, at, nr_mark_pages, REGION_REGION_MARKS);
	return region_add(sb, at, 2 * nr_mapping_pages_of(sb->nr_cblocks), REGION_MAPPING);
}

uint64_t superblock_lay_out(struct superblock *sb)
{
	return lay_out(sb, nr_region_mark_pages_of(sb->origin_size_bytes, sb->region_shift));
}

const struct region *superblock_region(const struct superblock *sb, enum region_kind kind)
{
	for (uint32_t i = 0; i < sb->nr_regions; i++)
		if (sb->regions[i].kind == kind)
			return &sb->regions[i];
	return NULL;
}

static int features_check(const struct superblock *sb, bool for_writing, const char *name, struct cwt_error *err)
{
	if (sb->version != FORMAT_VERSION)
		return error_set(err, -EINVAL,
				 "%s: metadata format %u, this program knows %u (--reset drops the cached contents and "
				 "makes it anew, or remove cache and metadata)",
				 name, sb->version, FORMAT_VERSION);
	if (sb->incompat & ~(uint64_t)INCOMPAT_KNOWN)
		return error_set(err, -EINVAL,
				 "%s: the metadata has incompatible features 0x%llx unknown to this program "
				 "(use a newer one, or --reset to drop the cached contents)",
				 name, (unsigned long long)(sb->incompat & ~(uint64_t)INCOMPAT_KNOWN));
	if (for_writing && sb->ro_compat & ~(uint64_t)RO_COMPAT_KNOWN)
		return error_set(err, -EINVAL,
				 "%s: the metadata has features 0x%llx that this program can only read, and it has "
				 "to write (use a newer one, or --reset to drop the cached contents)",
				 name, (unsigned long long)(sb->ro_compat & ~(uint64_t)RO_COMPAT_KNOWN));
	return 0;
}

static bool geometry_is_sane(const struct superblock *sb)
{
	return is_power_of_2(sb->block_size_bytes) && sb->block_size_bytes >= BLOCK_SIZE_MIN &&
	       sb->block_size_bytes <= BLOCK_SIZE_MAX && sb->nr_cblocks && sb->nr_cblocks <= BLOCK_MAX &&
	       sb->origin_size_bytes && nr_oblocks_of(sb->origin_size_bytes, sb->block_size_bytes) <= BLOCK_MAX &&
	       sb->region_shift >= log2_of(sb->block_size_bytes) && sb->region_shift <= REGION_SHIFT_MAX &&
	       sb->generation && sb->generation <= GENERATION_MAX - GENERATION_ROOM &&
	       sb->floor_generation <= sb->generation + 1 && !(sb->state & ~STATES_KNOWN);
}

static bool regions_overlap(const struct region *a, const struct region *b)
{
	return a->offset_bytes < b->offset_bytes + b->len_bytes && b->offset_bytes < a->offset_bytes + a->len_bytes;
}

/* Each in its place: whole pages behind the superblocks, apart from each other; sums cannot overflow. */
static bool regions_are_placed(const struct superblock *sb)
{
	if (sb->nr_regions > REGIONS_MAX)
		return false;
	for (uint32_t i = 0; i < sb->nr_regions; i++) {
		const struct region *r = &sb->regions[i];

		if (r->offset_bytes % REGION_ALIGN_BYTES || r->len_bytes % PAGE_BYTES ||
		    r->offset_bytes < SUPERBLOCK_COPIES * REGION_ALIGN_BYTES || r->offset_bytes > INT64_MAX ||
		    r->len_bytes > INT64_MAX)
			return false;
		for (uint32_t j = 0; j < i; j++)
			if (regions_overlap(r, &sb->regions[j]) || r->kind == sb->regions[j].kind)
				return false;
	}
	return true;
}

/*
 * The regions of the kinds that this version knows are exactly where it would put them, and as long.  Only the length of
 * the region marks is the table's own, and they suffice.  Others may follow.
 */
static bool regions_are_ours(const struct superblock *sb)
{
	const struct region *marks = superblock_region(sb, REGION_REGION_MARKS);
	uint64_t needed = nr_region_mark_pages_of(sb->origin_size_bytes, sb->region_shift);
	struct superblock own = *sb;

	if (!marks || marks->len_bytes / PAGE_BYTES < needed)
		return false;
	lay_out(&own, marks->len_bytes / PAGE_BYTES);
	return sb->nr_regions >= own.nr_regions && !memcmp(sb->regions, own.regions, own.nr_regions * sizeof(*own.regions));
}

int superblock_check(const struct superblock *sb, uint64_t metadata_size_bytes, bool for_writing, const char *name,
		     struct cwt_error *err)
{
	int ret = features_check(sb, for_writing, name, err);

	if (ret)
		return ret;
	if (!geometry_is_sane(sb) || !regions_are_placed(sb) || !regions_are_ours(sb))
		return error_set(err, -EINVAL,
				 "%s: the metadata's superblock verifies, but its values make no sense (--reset drops "
				 "the cached contents and starts cold)",
				 name);
	for (uint32_t i = 0; i < sb->nr_regions; i++) {
		const struct region *r = &sb->regions[i];

		if ((r->kind < REGION_RUNTIME || r->kind > REGION_IDENTITY) && r->flags & REGION_REQUIRED)
			return error_set(err, -EINVAL,
					 "%s: the metadata has a required region of kind %u unknown to this program "
					 "(use a newer one, or --reset to drop the cached contents)",
					 name, r->kind);
		if (r->offset_bytes + r->len_bytes > metadata_size_bytes)
			return error_set(err, -EINVAL,
					 "%s: the metadata is truncated: %llu bytes, its regions need %llu (--reset drops "
					 "the cached contents and starts anew)",
					 name, (unsigned long long)metadata_size_bytes,
					 (unsigned long long)(r->offset_bytes + r->len_bytes));
	}
	return 0;
}
