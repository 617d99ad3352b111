/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format.h"

#include "base/bits.h"
#include "metadata/format.h"

void sim_format(struct device *metadata, uint8_t *bytes, const struct store_geometry *geometry, unsigned region_shift)
{
	struct store_geometry geo = *geometry;
	struct cwt_error err;
	int ret = store_format(metadata, &geo, &err);

	cwt_assert(!ret);
	for (int copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
		uint8_t *sector = bytes + superblock_page(copy) * PAGE_BYTES;
		struct superblock sb;
		enum page_verdict verdict = superblock_decode(sector, copy, &sb);

		cwt_assert(verdict == PAGE_OK);
		sb.region_shift = region_shift;
		superblock_encode(&sb, copy, sector);
	}
}
