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

/* Length of the UTF-8 character at text; 0: there is none, or it is a control character (C0, DEL, C1). */
static unsigned character(const uint8_t *text)
{
	unsigned len = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;

	if (text[0] < 0x20 || text[0] == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0))
		return 0;
	for (unsigned i = 1; i < len; i++)
		if (text[i] >> 6 != 2)
			return 0;
	return len;
}

/* What a terminal might take for a command, or a reader for the end of the line, as octal numbers. */
static void dump_path(const char *key, const char *path, FILE *out)
{
	const uint8_t *at = (const uint8_t *)path;

	if (!*at)
		return;
	fprintf(out, "%s ", key);
	while (*at) {
		unsigned len = *at == '\\' ? 0 : character(at);

		if (len)
			fwrite(at, 1, len, out);
		else
			fprintf(out, "\\%03o", *at);
		at += len ? len : 1;
	}
	fputc('\n', out);
}

static void dump_places(const struct identity *id, FILE *out)
{
	static const char *const names[PLACES] = { "origin", "cache", "metadata" };

	for (int i = 0; i < PLACES; i++) {
		const struct place *p = &id->places[i];

		fprintf(out, "place_%s %" PRIx64 " %" PRIu64 " %" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIx64 " %" PRIu64 "\n",
			names[i], p->dev, p->ino, p->rdev, p->birth_ns, p->mount_id, p->fsid, p->diskseq);
	}
}

static void dump_origin(const struct identity *id, FILE *out)
{
	static const char *const kinds[] = { "unknown", "file", "block_device" };
	static const char *const ids[IDENTITY_IDS] = { "wwn", "serial", "partition_uuid", "table_uuid", "file_system_uuid",
						       "first_mib", "last_mib" };
	const struct origin_state *o = &id->origin;

	fprintf(out, "origin_kind %s\n", kinds[id->origin_kind]);
	if (o->known)
		fprintf(out, "origin_state %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n", o->seq, o->size_bytes,
			o->ino, o->mtime_ns, o->ctime_ns);
	fprintf(out, "origin_tag %016" PRIx64 "\n", id->origin_tag);
	for (int i = 0; i < (int)IDENTITY_IDS; i++)
		if (id->ids[i] && ids[i])
			fprintf(out, "origin_id %s %016" PRIx64 "\n", ids[i], id->ids[i]);
		else if (id->ids[i])
			fprintf(out, "origin_id %d %016" PRIx64 "\n", i, id->ids[i]);
}

/* What is not known has no line. */
static void dump_identity(const struct check_result *r, FILE *out)
{
	if (!r->identity_known)
		return;
	dump_places(&r->identity, out);
	dump_origin(&r->identity, out);
	dump_path("origin_path", r->identity.origin_path, out);
	dump_path("cache_path", r->identity.cache_path, out);
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
	dump_identity(&r, out);
	ret = mapping_scan(metadata, &r.sb, dump_page, &(struct dump){ out, r.sb.nr_cblocks });
	if (!ret && fflush(out))
		ret = -errno;
	if (ret)
		return error_set(err, ret, "%s: the text form cannot be written: %s (is the disk full?)",
				 metadata->name, strerror(-ret));
	return 0;
}
