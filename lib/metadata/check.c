/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metadata/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "metadata/dump.h"
#include "metadata/reader.h"

struct check {
	struct device *metadata;
	FILE *out;
	struct check_result *result;
	uint64_t digest;
	uint64_t nr_oblocks;
	uint8_t *oblocks_seen;
};

static void say(struct check *c, const char *kind, const char *fmt, va_list ap)
{
	if (!c->out)
		return;
	fputs(kind, c->out);
	vfprintf(c->out, fmt, ap);
	fputc('\n', c->out);
}

static void __attribute__((format(printf, 2, 3))) damage(struct check *c, const char *fmt, ...)
{
	va_list ap;

	c->result->nr_damage++;
	va_start(ap, fmt);
	say(c, "damage: ", fmt, ap);
	va_end(ap);
}

static void __attribute__((format(printf, 2, 3))) note(struct check *c, const char *fmt, ...)
{
	va_list ap;

	c->result->nr_notes++;
	va_start(ap, fmt);
	say(c, "note: ", fmt, ap);
	va_end(ap);
}

static const char *verdict_text(enum page_verdict v)
{
	switch (v) {
	case PAGE_ZERO: return "is zeros";
	case PAGE_FOREIGN: return "has no magic";
	case PAGE_UNREADABLE: return "cannot be read";
	default: return "does not verify";
	}
}

static void check_superblocks(struct check *c, const struct superblock_pair *pair)
{
	const struct superblock *sb = &c->result->sb;

	for (int i = 0; i < SUPERBLOCK_COPIES; i++)
		if (pair->verdict[i] != PAGE_OK)
			damage(c, "superblock copy %d %s", i, verdict_text(pair->verdict[i]));
		else if (memcmp(pair->sb[i].uuid, sb->uuid, UUID_BYTES))
			damage(c, "superblock copy %d is of another metadata", i);
		else if (pair->sb[i].generation != sb->generation)
			note(c, "superblock copy %d has generation %" PRIu64 ": the last commit did not end", i,
			     pair->sb[i].generation);
	if (sb->compat & ~(uint64_t)COMPAT_KNOWN || sb->ro_compat & ~(uint64_t)RO_COMPAT_KNOWN)
		note(c, "features unknown to this program: compat 0x%" PRIx64 ", ro_compat 0x%" PRIx64, sb->compat,
		     sb->ro_compat);
	for (int i = 0; i < SUPERBLOCK_COPIES; i++)
		if (pair->verdict[i] == PAGE_OK && pair->reserved_used[i])
			note(c, "superblock copy %d: reserved bytes are not zero", i);
	if (sb->session != sb->old_session)
		note(c, "the last start did not end");
}

static void check_identity(struct check *c)
{
	struct identity_pages pages;

	identity_read(c->metadata, &c->result->sb, &pages);
	c->result->identity = pages.identity;
	c->result->identity_known = pages.valid >= 0;
	for (int i = 0; i < (int)IDENTITY_SLOTS; i++)
		if (pages.slot[i].state == SLOT_UNREADABLE)
			damage(c, "identity page, slot %d cannot be read", i);
		else if (pages.slot[i].state == SLOT_ROTTEN)
			note(c, "identity page, slot %d does not verify (torn, or rotten)", i);
		else if (pages.slot[i].state == SLOT_UNFINISHED)
			note(c, "identity page, slot %d has generation %" PRIu64 ", of a commit that did not end", i,
			     pages.slot[i].generation);
	if (pages.valid < 0 && c->result->sb.session)
		damage(c, "the identity page is lost or rotten: nothing is known of the stores, the next start is cold");
	if (pages.reserved_used)
		note(c, "identity page: reserved bytes are not zero");
}

/* Not damage: they are not flushed, so after a power cut they may be anything, and then they do not count. */
static int check_busy_marks(struct check *c)
{
	struct lease lease;
	uint8_t *units;
	uint64_t nr_bad;
	int ret = busy_marks_read(c->metadata, &c->result->sb, &units, &nr_bad);

	free(units);
	if (ret)
		return ret;
	if (nr_bad)
		note(c, "%" PRIu64 " sectors of busy marks do not verify: count as all marked", nr_bad);
	if (!lease_read(c->metadata, &c->result->sb, &lease))
		note(c, "the lease does not verify");
	return 0;
}

static void check_region_marks(struct check *c)
{
	const struct superblock *sb = &c->result->sb;
	const struct region *region = superblock_region(sb, REGION_REGION_MARKS);
	uint64_t nr = nr_region_mark_pages_of(sb->origin_size_bytes, sb->region_shift);
	uint8_t bytes[PAGE_BYTES];

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t number = region->offset_bytes / PAGE_BYTES + i;
		enum page_verdict v = PAGE_UNREADABLE;

		if (!device_read(c->metadata, number * PAGE_BYTES, bytes, sizeof(bytes)))
			v = region_marks_verify(bytes, sb->uuid, number);
		if (v != PAGE_OK)
			damage(c, "page %" PRIu64 " of region marks %s: counts as all marked", number, verdict_text(v));
	}
}

static void check_entry(struct check *c, uint64_t cblock, const struct mapping *m)
{
	if (!(m->flags & MAPPING_FLAG_MAPPED) || m->flags & ~MAPPING_FLAGS_KNOWN)
		damage(c, "cblock %" PRIu64 ": flags 0x%x do not exist", cblock, (unsigned)m->flags);
	if (m->oblock >= c->nr_oblocks) {
		damage(c, "cblock %" PRIu64 ": oblock %" PRIu64 " is beyond the origin's %" PRIu64, cblock, m->oblock,
		       c->nr_oblocks);
		return;
	}
	if (bitmap_test(c->oblocks_seen, m->oblock))
		damage(c, "cblock %" PRIu64 ": oblock %" PRIu64 " is mapped twice", cblock, m->oblock);
	bitmap_set(c->oblocks_seen, m->oblock);
}

static void check_entries(struct check *c, const struct scan_page *page)
{
	uint32_t nr = mapping_nr_entries(c->result->sb.nr_cblocks, page->number);

	for (uint32_t i = 0; i < MAPPING_ENTRIES; i++) {
		uint64_t cblock = (uint64_t)page->number * MAPPING_ENTRIES + i;
		struct mapping m = mapping_get(page->bytes, i);

		if (!mapping_reserved_is_zero(page->bytes, i))
			note(c, "cblock %" PRIu64 ": reserved bytes are not zero", cblock);
		if (!m.flags && !mapping_is_sane(&m, c->nr_oblocks))
			damage(c, "cblock %" PRIu64 " is free, and its entry is not zeros", cblock);
		if (!m.flags)
			continue;
		if (i >= nr) {
			damage(c, "cblock %" PRIu64 " is mapped, and there are only %u", cblock,
			       c->result->sb.nr_cblocks);
			continue;
		}
		c->result->nr_mapped++;
		check_entry(c, cblock, &m);
	}
}

static int check_page(void *ctx, const struct scan_page *page)
{
	struct check *c = ctx;

	for (int i = 0; i < 2; i++) {
		const struct slot *slot = &page->slot[i];

		if (slot->state == SLOT_UNREADABLE)
			damage(c, "mapping page %u, slot %d cannot be read", page->number, i);
		else if (slot->state == SLOT_ROTTEN)
			note(c, "mapping page %u, slot %d does not verify (torn, or rotten)", page->number, i);
		else if (slot->state == SLOT_UNFINISHED)
			note(c, "mapping page %u, slot %d has generation %" PRIu64 ", of a commit that did not end",
			     page->number, i, slot->generation);
	}
	if (page->valid < 0)
		return 0;
	c->digest ^= page->slot[page->valid].checksum;
	check_entries(c, page);
	return 0;
}

static void check_summary(struct check *c)
{
	const struct check_result *r = c->result;
	char uuid[UUID_TEXT_BYTES];

	if (!c->out)
		return;
	uuid_format(r->sb.uuid, uuid);
	fprintf(c->out, "metadata %s: generation %" PRIu64 ", session %016" PRIx64 ", %s\n", uuid, r->sb.generation,
		r->sb.session, r->sb.state & STATE_CLEAN ? "clean" : "unclean");
	fprintf(c->out, "%" PRIu64 " of %u blocks mapped, %" PRIu64 " notes, %" PRIu64 " damages: %s\n", r->nr_mapped,
		r->sb.nr_cblocks, r->nr_notes, r->nr_damage, r->nr_damage ? "damaged" : "sound");
}

int metadata_check(struct device *metadata, FILE *out, struct check_result *result, struct cwt_error *err)
{
	struct check c = { .metadata = metadata, .out = out, .result = result };
	struct superblock_pair pair;
	int ret;

	memset(result, 0, sizeof(*result));
	superblock_pair_read(metadata, &pair);
	ret = superblock_pair_choose(metadata, &pair, false, &result->sb, err);
	if (ret)
		return ret;
	c.nr_oblocks = nr_oblocks_of(result->sb.origin_size_bytes, result->sb.block_size_bytes);
	c.oblocks_seen = calloc(c.nr_oblocks / 8 + 1, 1);
	ret = c.oblocks_seen ? 0 : -ENOMEM;
	if (!ret) {
		check_superblocks(&c, &pair);
		check_identity(&c);
		check_region_marks(&c);
		ret = check_busy_marks(&c);
	}
	if (!ret)
		ret = mapping_scan(metadata, &result->sb, check_page, &c);
	free(c.oblocks_seen);
	if (ret)
		return error_set(err, ret, "%s: cannot be checked: %s (free some memory)", metadata->name,
				 strerror(-ret));
	result->digest_matches = c.digest == result->sb.set_digest;
	if (!result->digest_matches)
		damage(&c, "the mapping pages give the set digest %016" PRIx64 ", the superblock says %016" PRIx64
		       ": a page is lost or rotten", c.digest, result->sb.set_digest);
	check_summary(&c);
	return 0;
}
