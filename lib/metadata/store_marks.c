/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written beside the commits and never waits for one: busy marks, region marks, the lease. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "metadata/reader.h"
#include "metadata/store_internal.h"

#define REGION_BITS_BYTES (STORE_REGIONS_PER_PAGE / 8)
_Static_assert(STORE_MARK_PAGE_BYTES == PAGE_BYTES, "a page of the seam is a page on disk");
_Static_assert(STORE_REGIONS_PER_PAGE == REGION_MARKS_PER_PAGE, "a page of the seam is a page on disk");

int store_marks_init(struct store *s)
{
	const struct region *busy = superblock_region(&s->sb, REGION_BUSY_MARKS);
	const struct region *regions = superblock_region(&s->sb, REGION_REGION_MARKS);

	s->busy_offset_bytes = busy->offset_bytes;
	s->nr_busy_pages = (uint32_t)(busy->len_bytes / PAGE_BYTES);
	s->regions_offset_bytes = regions->offset_bytes;
	s->nr_region_pages = (uint32_t)nr_region_mark_pages_of(s->sb.origin_size_bytes, s->sb.region_shift);
	s->region_marks = calloc(s->nr_region_pages, REGION_BITS_BYTES);
	return s->region_marks ? 0 : -ENOMEM;
}

/*
 * ------------------------------------------------------------------ busy marks
 *
 * After a commit of unknown outcome too: they are what makes the next start drop everything that either outcome maps
 * (W5).
 */
uint64_t store_marks_key(const struct store *s) { return busy_key(s->geo.uuid); }

int store_write_marks(struct store *s, uint32_t mark_page, const uint8_t *units)
{
	cwt_assert(mark_page < s->nr_busy_pages - 1);	/* the last one is the lease's */
	return device_write(s->dev.metadata, s->busy_offset_bytes + (uint64_t)mark_page * PAGE_BYTES, units, PAGE_BYTES);
}

int store_marks_load_busy(struct store *s, uint8_t **units)
{
	return busy_marks_read(s->dev.metadata, &s->sb, units, NULL);
}

/* The lease with them: it is of the run that ended. */
int store_marks_clear_busy(struct store *s)
{
	return metadata_clear_busy(s->dev.metadata, &s->sb);
}

/*
 * ------------------------------------------------------------------ region marks
 */
unsigned store_region_shift(const struct store *s) { return s->sb.region_shift; }

void store_get_region_marks(const struct store *s, uint8_t *bits)
{
	memcpy(bits, s->region_marks, (size_t)s->nr_region_pages * REGION_BITS_BYTES);
}

int store_write_region_marks(struct store *s, uint32_t page, const uint8_t *bits)
{
	uint64_t number = s->regions_offset_bytes / PAGE_BYTES + page;
	uint8_t bytes[PAGE_BYTES];	/* nothing here reads s->sb: a commit may be changing it */

	cwt_assert(page < s->nr_region_pages);
	region_marks_encode(s->geo.uuid, number, store_generation(s), bits, bytes);
	return device_write(s->dev.metadata, number * PAGE_BYTES, bytes, sizeof(bytes));
}

/* A page that does not verify, or cannot be read, counts as all marked. */
void store_marks_load_regions(struct store *s)
{
	for (uint32_t page = 0; page < s->nr_region_pages; page++) {
		uint64_t number = s->regions_offset_bytes / PAGE_BYTES + page;
		uint8_t bytes[PAGE_BYTES], *bits = s->region_marks + (size_t)page * REGION_BITS_BYTES;

		if (device_read(s->dev.metadata, number * PAGE_BYTES, bytes, sizeof(bytes)) ||
		    region_marks_verify(bytes, s->sb.uuid, number) != PAGE_OK)
			memset(bits, 0xff, REGION_BITS_BYTES);
		else
			region_marks_bits(bytes, bits);
	}
}

int store_marks_clear_regions(struct store *s)
{
	int ret = 0;

	memset(s->region_marks, 0, (size_t)s->nr_region_pages * REGION_BITS_BYTES);
	for (uint32_t page = 0; page < s->nr_region_pages && !ret; page++)
		ret = store_write_region_marks(s, page, s->region_marks + (size_t)page * REGION_BITS_BYTES);
	return ret;
}

/*
 * ------------------------------------------------------------------ the lease
 */
int store_write_lease(struct store *s, const struct lease *lease)
{
	uint64_t offset = s->busy_offset_bytes + (uint64_t)(s->nr_busy_pages - 1) * PAGE_BYTES;
	uint8_t sector[SECTOR_BYTES];	/* nothing here reads s->sb: a commit may be changing it */

	lease_encode(lease, s->geo.uuid, sector);
	return device_write(s->dev.metadata, offset, sector, sizeof(sector));
}

bool store_marks_load_lease(struct store *s, struct lease *lease)
{
	return lease_read(s->dev.metadata, &s->sb, lease);
}
