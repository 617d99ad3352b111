/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metadata/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

#define SCAN_PAGES 128u		/* mapping pages per read: with two slots each, 1 MiB */

static void superblock_copy_read(struct device *metadata, int copy, struct superblock_pair *pair)
{
	uint64_t offset = superblock_page(copy) * PAGE_BYTES, size = device_info(metadata)->size_bytes;
	uint8_t sector[SECTOR_BYTES] = { 0 };	/* a truncated one still shows by its magic whose it was */
	int ret;

	if (offset >= size) {
		pair->verdict[copy] = PAGE_FOREIGN;
		return;
	}
	ret = device_read(metadata, offset, sector, MIN(sizeof(sector), size - offset));
	if (ret) {
		pair->verdict[copy] = PAGE_UNREADABLE;
		pair->error = ret;
		return;
	}
	pair->verdict[copy] = superblock_decode(sector, copy, &pair->sb[copy]);
	pair->reserved_used[copy] = !superblock_reserved_is_zero(sector);
	pair->formatting |= formatting_verify(sector, copy);
}

void superblock_pair_read(struct device *metadata, struct superblock_pair *pair)
{
	memset(pair, 0, sizeof(*pair));
	pair->newest = -1;
	for (int i = 0; i < SUPERBLOCK_COPIES; i++) {
		superblock_copy_read(metadata, i, pair);
		if (pair->verdict[i] == PAGE_OK &&
		    (pair->newest < 0 || pair->sb[i].generation > pair->sb[pair->newest].generation))
			pair->newest = i;
	}
}

static bool pair_has(const struct superblock_pair *pair, enum page_verdict verdict)
{
	return pair->verdict[0] == verdict || pair->verdict[1] == verdict;
}

int superblock_pair_choose(struct device *metadata, const struct superblock_pair *pair, bool for_writing,
			   struct superblock *sb, struct cwt_error *err)
{
	const char *name = metadata->name;

	if (pair->newest >= 0) {
		*sb = pair->sb[pair->newest];
		return superblock_check(sb, device_info(metadata)->size_bytes, for_writing, name, err);
	}
	if (pair->formatting)
		return error_set(err, -EINVAL,
				 "%s: formatting of this metadata was begun and not finished (format it again, or "
				 "--reset)",
				 name);
	if (pair_has(pair, PAGE_BROKEN))
		return error_set(err, -EINVAL,
				 "%s: the metadata is damaged: neither copy of its superblock verifies (--reset drops "
				 "the cached contents and starts cold)",
				 name);
	if (pair_has(pair, PAGE_UNREADABLE))
		return error_set(err, pair->error,
				 "%s: the metadata cannot be read: %s (check the disk; or another --metadata)", name,
				 strerror(-pair->error));
	if (pair->verdict[0] == PAGE_ZERO)
		return error_set(err, -EINVAL, "%s: the metadata is blank (format it first)", name);
	return error_set(err, -EINVAL,
			 "%s: not a metadata of cachewtfs: its magic is not there (give another --metadata path)",
			 name);
}

/*
 * ------------------------------------------------------------------ blank
 */
#define BLANK_READ_BYTES (1u << 20)

/* *blank goes to false at the first byte that is not zero. */
static int range_is_blank(struct device *dev, uint8_t *buf, uint64_t begin, uint64_t end, bool *blank)
{
	int ret = 0;

	for (; begin < end && *blank && !ret; begin += BLANK_READ_BYTES) {
		size_t len = MIN(end - begin, BLANK_READ_BYTES);

		ret = device_read(dev, begin, buf, len);
		*blank = !ret && bytes_are_zero(buf, len);
	}
	return ret;
}

static int file_is_blank(struct device *dev, uint8_t *buf, bool *blank)
{
	uint64_t begin = 0, end = 0, size = device_info(dev)->size_bytes, left = BLANK_FILE_BYTES;
	int ret = 0;

	while (end < size && *blank && !ret) {
		ret = device_next_data(dev, end, &begin, &end);
		if (!ret && end - begin > left)
			*blank = false;
		else if (!ret)
			ret = range_is_blank(dev, buf, begin, end, blank);
		left -= MIN(left, end - begin);
	}
	return ret;
}

static int disk_is_blank(struct device *dev, uint8_t *buf, bool *blank)
{
	uint64_t size = device_info(dev)->size_bytes;
	int ret;

	if (size <= BLANK_DISK_BYTES)
		return range_is_blank(dev, buf, 0, size, blank);
	ret = range_is_blank(dev, buf, 0, BLANK_END_BYTES, blank);
	if (!ret)
		ret = range_is_blank(dev, buf, size - BLANK_END_BYTES, size, blank);
	for (uint64_t at = BLANK_END_BYTES; at < size - BLANK_END_BYTES && *blank && !ret; at *= 2)
		ret = range_is_blank(dev, buf, at, at + BLANK_SAMPLE_BYTES, blank);
	for (unsigned i = 1; i < BLANK_SAMPLES && *blank && !ret; i++) {
		uint64_t at = round_down_to(size / BLANK_SAMPLES * i, BLANK_SAMPLE_BYTES);

		ret = range_is_blank(dev, buf, at, at + BLANK_SAMPLE_BYTES, blank);
	}
	return ret;
}

int reader_is_blank(struct device *dev, bool *blank)
{
	uint8_t *buf;
	int ret;

	*blank = true;
	if (device_info(dev)->fresh)
		return 0;
	buf = aligned_alloc(PAGE_BYTES, BLANK_READ_BYTES);
	if (!buf)
		return -ENOMEM;
	ret = device_info(dev)->is_block ? disk_is_blank(dev, buf, blank) : file_is_blank(dev, buf, blank);
	free(buf);
	return ret;
}

/* Part of a device whose large read failed: find out which pages can be read. */
static void read_page_by_page(struct device *metadata, uint64_t offset, uint8_t *buf, uint32_t nr, bool *unreadable)
{
	for (uint32_t i = 0; i < nr; i++)
		unreadable[i] = device_read(metadata, offset + (uint64_t)i * PAGE_BYTES, buf + (size_t)i * PAGE_BYTES,
					    PAGE_BYTES) != 0;
}

static struct slot slot_judge(const struct superblock *sb, const uint8_t *bytes, enum page_type type, uint64_t number,
			      uint64_t floor_generation)
{
	struct page_header h;
	enum page_verdict v = page_verify(bytes, PAGE_BYTES, type, number, &h);
	struct slot slot = { .state = v == PAGE_ZERO ? SLOT_EMPTY : SLOT_ROTTEN };

	if (v != PAGE_OK || memcmp(h.uuid, sb->uuid, UUID_BYTES))
		return slot;
	slot.generation = h.generation;
	slot.checksum = page_checksum(bytes);
	if (h.generation > sb->generation)
		slot.state = SLOT_UNFINISHED;
	else if (h.generation < floor_generation)
		slot.state = SLOT_VOID;
	else
		slot.state = SLOT_COMMITTED;
	return slot;
}

static int newest_committed(const struct slot slot[2])
{
	bool has0 = slot[0].state == SLOT_COMMITTED, has1 = slot[1].state == SLOT_COMMITTED;

	if (has0 && has1)
		return slot[1].generation > slot[0].generation;
	return has0 ? 0 : has1 ? 1 : -1;
}

static int scan_one(const struct superblock *sb, const struct region *region, uint32_t number, const uint8_t *bytes,
		    const bool *unreadable, scan_fn *fn, void *ctx)
{
	struct scan_page page = { .number = number };

	for (int i = 0; i < 2; i++) {
		if (unreadable[i])
			page.slot[i].state = SLOT_UNREADABLE;
		else
			page.slot[i] = slot_judge(sb, bytes + i * PAGE_BYTES, PAGE_MAPPING,
						  mapping_slot_page(region, number, i), sb->floor_generation);
	}
	page.valid = newest_committed(page.slot);
	if (page.valid >= 0)
		page.bytes = bytes + page.valid * PAGE_BYTES;
	return fn(ctx, &page);
}

int mapping_scan(struct device *metadata, const struct superblock *sb, scan_fn *fn, void *ctx)
{
	const struct region *region = superblock_region(sb, REGION_MAPPING);
	uint32_t nr_pages = (uint32_t)nr_mapping_pages_of(sb->nr_cblocks);
	bool unreadable[2 * SCAN_PAGES];
	uint8_t *buf = malloc(2 * SCAN_PAGES * PAGE_BYTES);
	int ret = 0;

	if (!buf)
		return -ENOMEM;
	for (uint32_t first = 0; first < nr_pages && !ret; first += SCAN_PAGES) {
		uint32_t nr = MIN(nr_pages - first, SCAN_PAGES);
		uint64_t offset = mapping_slot_page(region, first, 0) * PAGE_BYTES;

		memset(unreadable, 0, sizeof(unreadable));
		if (device_read(metadata, offset, buf, (size_t)nr * 2 * PAGE_BYTES))
			read_page_by_page(metadata, offset, buf, 2 * nr, unreadable);
		for (uint32_t i = 0; i < nr && !ret; i++)
			ret = scan_one(sb, region, first + i, buf + (size_t)i * 2 * PAGE_BYTES, unreadable + 2 * i, fn,
				       ctx);
	}
	free(buf);
	return ret;
}

/*
 * ------------------------------------------------------------------ identity, busy marks, lease
 */
static void identity_slot_read(struct device *metadata, const struct superblock *sb, int i, struct identity_pages *pages)
{
	uint64_t number = identity_slot_page(superblock_region(sb, REGION_IDENTITY), i);
	struct slot *slot = &pages->slot[i];
	uint8_t bytes[PAGE_BYTES];

	if (device_read(metadata, number * PAGE_BYTES, bytes, sizeof(bytes))) {
		slot->state = SLOT_UNREADABLE;
		return;
	}
	*slot = slot_judge(sb, bytes, PAGE_IDENTITY, number, 0);
	if (slot->state != SLOT_COMMITTED)
		return;
	if (identity_digest_of(bytes) != sb->identity_digest) {
		slot->state = SLOT_VOID;
		return;
	}
	if (pages->valid >= 0 || identity_decode(bytes, &pages->identity))
		return;
	pages->valid = i;
	pages->reserved_used = !identity_reserved_is_zero(bytes);
}

void identity_read(struct device *metadata, const struct superblock *sb, struct identity_pages *pages)
{
	memset(pages, 0, sizeof(*pages));
	pages->valid = -1;
	for (unsigned i = 0; i < IDENTITY_SLOTS; i++)
		identity_slot_read(metadata, sb, (int)i, pages);
}

/* One page of them; returns how many units are bad. */
static unsigned busy_page_read(struct device *metadata, const struct superblock *sb, uint64_t key, uint64_t page,
			       uint8_t *units)
{
	uint64_t offset = superblock_region(sb, REGION_BUSY_MARKS)->offset_bytes + page * PAGE_BYTES;
	bool readable = !device_read(metadata, offset, units, PAGE_BYTES);
	unsigned nr_bad = 0;

	for (unsigned i = 0; i < BUSY_UNITS_PER_PAGE; i++) {
		uint8_t *unit = units + i * BUSY_UNIT_BYTES;

		if (readable && busy_verify(unit, key, page * BUSY_UNITS_PER_PAGE + i))
			continue;
		memset(unit, 0xff, BUSY_UNIT_BYTES);
		nr_bad++;
	}
	return nr_bad;
}

int busy_marks_read(struct device *metadata, const struct superblock *sb, uint8_t **units, uint64_t *nr_bad)
{
	uint64_t nr_pages = nr_busy_pages_of(sb->nr_cblocks) - 1, key = busy_key(sb->uuid), bad = 0;

	*units = malloc(nr_pages * PAGE_BYTES);
	if (!*units)
		return -ENOMEM;
	for (uint64_t i = 0; i < nr_pages; i++)
		bad += busy_page_read(metadata, sb, key, i, *units + i * PAGE_BYTES);
	if (nr_bad)
		*nr_bad = bad;
	return 0;
}

uint64_t lease_offset(const struct superblock *sb)
{
	return superblock_region(sb, REGION_BUSY_MARKS)->offset_bytes + (nr_busy_pages_of(sb->nr_cblocks) - 1) * PAGE_BYTES;
}

bool lease_read(struct device *metadata, const struct superblock *sb, struct lease *lease)
{
	uint8_t sector[SECTOR_BYTES];

	*lease = (struct lease){ 0 };
	return !device_read(metadata, lease_offset(sb), sector, sizeof(sector)) && lease_decode(sector, sb->uuid, lease);
}
