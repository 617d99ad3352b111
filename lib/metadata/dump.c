/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metadata/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "metadata/check.h"
#include "metadata/reader.h"

void uuid_format(const uint8_t uuid[16], char text[UUID_TEXT_BYTES])
{
	char *at = text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		at += snprintf(at, 3, "%02x", uuid[i]);
	}
}

static void dump_header(const struct check_result *r, FILE *out)
{
	const struct superblock *sb = &r->sb;
	char uuid[UUID_TEXT_BYTES];

	uuid_format(sb->uuid, uuid);
	fprintf(out, "cachewt_metadata %u\nuuid %s\n", sb->version, uuid);
	fprintf(out, "block_size %u\nnr_cblocks %u\norigin_size %" PRIu64 "\n", sb->block_size_bytes, sb->nr_cblocks,
		sb->origin_size_bytes);
	fprintf(out, "generation %" PRIu64 "\nsession %016" PRIx64 "\nclean %s\n", sb->generation, sb->session,
		sb->state & STATE_CLEAN ? "yes" : "no");
	fprintf(out, "damaged %s\nnr_mapped %" PRIu64 "\n", r->nr_damage ? "yes" : "no", r->nr_mapped);
}

struct dump { FILE *out; uint32_t nr_cblocks; };

static int dump_page(void *ctx, const struct scan_page *page)
{
	const struct dump *d = ctx;

	if (page->valid < 0)
		return 0;
	for (uint32_t i = 0; i < mapping_nr_entries(d->nr_cblocks, page->number); i++) {
		struct mapping m = mapping_get(page->bytes, i);

		if (m.flags)
			fprintf(d->out, "mapping %" PRIu64 " %" PRIu64 " %u\n",
				(uint64_t)page->number * MAPPING_ENTRIES + i, m.oblock, m.hint);
	}
	return ferror(d->out) ? -EIO : 0;
}

int metadata_dump(struct device *metadata, FILE *out, struct cwt_error *err)
{
	struct check_result r;
	int ret = metadata_check(metadata, NULL, &r, err);

	if (ret)
		return ret;
	dump_header(&r, out);
	ret = mapping_scan(metadata, &r.sb, dump_page, &(struct dump){ out, r.sb.nr_cblocks });
	if (!ret && fflush(out))
		ret = -errno;
	if (ret)
		return error_set(err, ret, "%s: the text form cannot be written: %s (is the disk full?)",
				 metadata->name, strerror(-ret));
	return 0;
}
