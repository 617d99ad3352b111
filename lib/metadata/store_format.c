/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making an empty metadata.  While it is made both superblock copies say "formatting", durably, so that a crash leaves
 * neither a mix of old and new nor something that looks foreign: it is formatted again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bits.h"
#include "metadata/reader.h"
#include "metadata/store_internal.h"

#define ZERO_CHUNK_BYTES (1u << 20)

static int zero_by_writing(struct device *dev, uint64_t offset_bytes, uint64_t len_bytes)
{
	uint8_t *zeros = calloc(1, ZERO_CHUNK_BYTES);
	int ret = 0;

	if (!zeros)
		return -ENOMEM;
	while (len_bytes && !ret) {
		uint64_t n = MIN(len_bytes, ZERO_CHUNK_BYTES);

		ret = device_write(dev, offset_bytes, zeros, n);
		offset_bytes += n;
		len_bytes -= n;
	}
	free(zeros);
	return ret;
}

/* DEVICE_ZERO, not PUNCH: the file stays allocated, so that no commit meets a full disk. */
int metadata_zero(struct device *metadata, uint64_t offset_bytes, uint64_t len_bytes)
{
	int ret = device_zero(metadata, DEVICE_ZERO, offset_bytes, len_bytes);

	return ret == -EOPNOTSUPP ? zero_by_writing(metadata, offset_bytes, len_bytes) : ret;
}

/* The chunk is whole pages: the numbers of its units go on from one to the next. */
static int write_clear_units(struct device *metadata, const struct superblock *sb, uint64_t offset_bytes, uint64_t nr_pages)
{
	uint64_t key = busy_key(sb->uuid), chunk = MIN(nr_pages, ZERO_CHUNK_BYTES / PAGE_BYTES);
	uint8_t *units = malloc(chunk * PAGE_BYTES);
	int ret = units ? 0 : -ENOMEM;

	for (uint64_t at = 0; at < nr_pages && !ret; at += chunk) {
		uint64_t nr = MIN(nr_pages - at, chunk);

		busy_clear(units, key, at * BUSY_UNITS_PER_PAGE, nr * BUSY_UNITS_PER_PAGE);
		ret = device_write(metadata, offset_bytes + at * PAGE_BYTES, units, nr * PAGE_BYTES);
	}
	free(units);
	return ret;
}

/* Sealed: zeros would say "all marked". */
int metadata_clear_busy(struct device *metadata, const struct superblock *sb)
{
	static const struct lease none;
	uint8_t sector[SECTOR_BYTES];
	int ret = write_clear_units(metadata, sb, superblock_region(sb, REGION_BUSY_MARKS)->offset_bytes,
				    nr_busy_pages_of(sb->nr_cblocks) - 1);

	lease_encode(&none, sb->uuid, sector);
	return ret ? ret : device_write(metadata, lease_offset(sb), sector, sizeof(sector));
}

static int write_formatting(struct device *metadata)
{
	uint8_t sector[SECTOR_BYTES];
	int ret = 0;

	for (int i = 0; i < SUPERBLOCK_COPIES && !ret; i++) {
		formatting_encode(i, sector);
		ret = device_write(metadata, superblock_page(i) * PAGE_BYTES, sector, sizeof(sector));
	}
	return ret ? ret : device_flush(metadata);
}

/* Everything but the first sector of each superblock page. */
static int zero_all(struct device *metadata, uint64_t end_bytes)
{
	int ret = 0;

	for (int i = 0; i < SUPERBLOCK_COPIES && !ret; i++) {
		uint64_t from = superblock_page(i) * PAGE_BYTES + SECTOR_BYTES;
		uint64_t to = i + 1 < SUPERBLOCK_COPIES ? superblock_page(i + 1) * PAGE_BYTES : end_bytes;

		ret = metadata_zero(metadata, from, to - from);
	}
	return ret;
}

static int write_region_marks(struct device *metadata, const struct superblock *sb)
{
	static const uint8_t clear[PAGE_BYTES - 64];
	const struct region *region = superblock_region(sb, REGION_REGION_MARKS);
	uint64_t first = region->offset_bytes / PAGE_BYTES;
	uint8_t page[PAGE_BYTES];
	int ret = 0;

	for (uint64_t i = 0; i < region->len_bytes / PAGE_BYTES && !ret; i++) {
		region_marks_encode(sb->uuid, first + i, 0, clear, page);
		ret = device_write(metadata, (first + i) * PAGE_BYTES, page, sizeof(page));
	}
	return ret;
}

/* Last of all, each copy durable before the next. */
static int write_superblocks(struct device *metadata, const struct superblock *sb)
{
	uint8_t sector[SECTOR_BYTES];
	int ret = 0;

	for (int i = SUPERBLOCK_COPIES - 1; i >= 0 && !ret; i--) {
		superblock_encode(sb, i, sector);
		ret = device_write(metadata, superblock_page(i) * PAGE_BYTES, sector, sizeof(sector));
		if (!ret)
			ret = device_flush(metadata);
	}
	return ret;
}

static int format_write(struct device *metadata, const struct superblock *sb, uint64_t size_bytes)
{
	int ret = write_formatting(metadata);

	if (!ret)
		ret = zero_all(metadata, size_bytes);
	if (!ret)
		ret = metadata_clear_busy(metadata, sb);
	if (!ret)
		ret = write_region_marks(metadata, sb);
	if (!ret)
		ret = device_flush(metadata);
	return ret ? ret : write_superblocks(metadata, sb);
}

static void superblock_init(struct superblock *sb, const struct store_geometry *geo)
{
	memset(sb, 0, sizeof(*sb));
	sb->generation = 1;
	sb->version = FORMAT_VERSION;
	sb->block_size_bytes = geo->block_size_bytes;
	sb->nr_cblocks = geo->nr_cblocks;
	sb->origin_size_bytes = geo->origin_size_bytes;
	memcpy(sb->uuid, geo->uuid, UUID_BYTES);
}

static int geometry_check(const char *name, const struct store_geometry *geo, struct cwt_error *err)
{
	uint32_t bs = geo->block_size_bytes;

	if (!is_power_of_2(bs) || bs < BLOCK_SIZE_MIN || bs > BLOCK_SIZE_MAX)
		return error_set(err, -EINVAL, "%s: a block size of %u bytes (use a power of two from %u to %u)", name,
				 bs, BLOCK_SIZE_MIN, BLOCK_SIZE_MAX);
	if (!geo->nr_cblocks || geo->nr_cblocks > BLOCK_MAX)
		return error_set(err, -EINVAL,
				 "%s: a cache of %u blocks (1 to %u are possible; choose another cache size)", name,
				 geo->nr_cblocks, BLOCK_MAX);
	if (!geo->origin_size_bytes)
		return error_set(err, -EINVAL, "%s: the origin is empty (there is nothing to cache)", name);
	if (nr_oblocks_of(geo->origin_size_bytes, bs) > BLOCK_MAX)
		return error_set(err, -EINVAL,
				 "%s: the origin's %llu bytes are more than %u blocks of %u bytes (use a larger "
				 "--block-size)",
				 name, (unsigned long long)geo->origin_size_bytes, BLOCK_MAX, bs);
	return 0;
}

int store_format(struct device *metadata, struct store_geometry *geo, struct cwt_error *err)
{
	uint64_t has = device_info(metadata)->size_bytes, needs;
	struct superblock sb;
	int ret = geometry_check(metadata->name, geo, err);

	if (ret)
		return ret;
	if (getrandom(geo->uuid, sizeof(geo->uuid), 0) != (ssize_t)sizeof(geo->uuid))
		return error_set(err, -EIO, "%s: no random numbers for a UUID (check the system)", metadata->name);
	superblock_init(&sb, geo);
	sb.region_shift = region_shift_default(geo->block_size_bytes);
	needs = superblock_lay_out(&sb);
	if (has < needs)
		return error_set(err, -EINVAL,
				 "%s: the metadata has %llu bytes, %llu are needed (make it larger, or the cache "
				 "smaller)",
				 metadata->name, (unsigned long long)has, (unsigned long long)needs);
	ret = format_write(metadata, &sb, needs);
	if (ret)
		return error_set(err, ret, "%s: formatting failed: %s (check the disk, then format again)",
				 metadata->name, strerror(-ret));
	return 0;
}
