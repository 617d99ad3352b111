/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A start, from what is on disk to one durable, unclean commit (R3 to R5).
 *
 * read the slots  ->  start_decide()  ->  erase what an unfinished commit left  ->  superblock g + 1 with the drops,
 * the boot and both sessions  ->  label  ->  the origin's tag  ->  superblock g + 2 with the new session only, and the
 * tag  ->  clear the marks
 *
 * All mappings are dropped at once by raising the floor generation: slots below it are void, whatever they hold.  That
 * is one sector, whatever the size of the cache, and as atomic as the superblock is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mutant.h"
#include "metadata/reader.h"
#include "metadata/store_internal.h"

/* Which mappings survive.  In the order of certainty: what the user said, what can never match, what may not. */
enum store_start start_decide(const struct start_facts *f)
{
	if (f->reset)
		return START_COLD_RESET;
	if (f->never_started)
		return START_COLD_NEW;
	if (f->label_blank || !f->label_matches)
		return START_COLD_CACHE_CHANGED;
	if (f->damaged)
		return START_COLD_DAMAGED;
	if (!f->tag_matches)
		return START_COLD_ORIGIN_CHANGED;
	if (f->clean)
		return f->origin_ours ? START_WARM_CLEAN : START_COLD_ORIGIN_CHANGED;
	if (!f->same_boot && !f->region_marks_kept)
		return START_COLD_UNCLEAN;
	if (!f->origin_ours)
		return START_COLD_ORIGIN_CHANGED;
	return f->same_boot ? START_WARM_KILL : START_WARM_POWER;
}

static int erase_later(struct recovery *r, uint64_t page)
{
	if (r->nr_erase == r->room_erase) {
		size_t room = r->room_erase ? 2 * r->room_erase : 64;
		uint64_t *erase = realloc(r->erase, room * sizeof(*erase));

		if (!erase)
			return -ENOMEM;
		r->erase = erase;
		r->room_erase = room;
	}
	r->erase[r->nr_erase++] = page;
	return 0;
}

static bool entry_is_good(struct recovery *r, const struct mapping *m, uint64_t nr_oblocks)
{
	if (!mapping_is_sane(m, nr_oblocks))
		return false;
	if (!m->flags)
		return true;
	if (bitmap_test(r->oblocks_seen, m->oblock))
		return false;
	bitmap_set(r->oblocks_seen, m->oblock);
	return true;
}

struct read_ctx { struct store *s; struct recovery *r; };

static bool must_drop(const struct read_ctx *ctx, uint32_t c, const struct mapping *m)
{
	const struct superblock *sb = &ctx->s->sb;

	if (ctx->r->busy)
		return busy_test(ctx->r->busy, c) && !mutant_is(MUTANT_BUSY_MARKS_IGNORED);
	return ctx->r->by_region && bitmap_test(ctx->s->region_marks,
						m->oblock >> (sb->region_shift - log2_of(sb->block_size_bytes)));
}

static void read_entries(const struct read_ctx *ctx, const struct scan_page *page)
{
	const struct superblock *sb = &ctx->s->sb;
	uint64_t nr_oblocks = nr_oblocks_of(sb->origin_size_bytes, sb->block_size_bytes);

	uint32_t nr = mapping_nr_entries(sb->nr_cblocks, page->number);

	for (uint32_t i = 0; i < MAPPING_ENTRIES; i++) {
		struct mapping m = mapping_get(page->bytes, i);

		if (!entry_is_good(ctx->r, &m, nr_oblocks) || (i >= nr && m.flags)) {
			ctx->r->bad_entry = true;	/* and nothing is asked about it: its oblock may be any number */
			continue;
		}
		if (!m.flags)
			continue;
		ctx->r->nr_mapped++;
		if (must_drop(ctx, page->number * MAPPING_ENTRIES + i, &m)) {
			ctx->r->nr_dropped++;
			ctx->s->pages[page->number] |= PAGE_DROPS;
		}
	}
}

/* An unreadable slot is erased as well: it may hold the generation of the next commit, and come back to be believed. */
static int read_page(void *opaque, const struct scan_page *page)
{
	struct read_ctx *ctx = opaque;
	struct store *s = ctx->s;
	const struct region *region = superblock_region(&s->sb, REGION_MAPPING);

	for (int i = 0; i < 2; i++) {
		enum slot_state state = page->slot[i].state;
		int ret = 0;

		if (state == SLOT_UNFINISHED || state == SLOT_UNREADABLE)
			ret = erase_later(ctx->r, mapping_slot_page(region, page->number, i));
		if (ret)
			return ret;
	}
	if (page->valid < 0)
		return 0;
	s->checksums[page->number] = page->slot[page->valid].checksum;
	s->pages[page->number] = PAGE_COMMITTED | (page->valid ? PAGE_SLOT : 0);
	ctx->r->digest ^= s->checksums[page->number];
	if (ctx->r->oblocks_seen)
		read_entries(ctx, page);
	return 0;
}

int recovery_read(struct store *s, struct recovery *r, bool judge_entries)
{
	if (judge_entries) {
		r->oblocks_seen = calloc(nr_oblocks_of(s->sb.origin_size_bytes, s->sb.block_size_bytes) / 8 + 1, 1);
		if (!r->oblocks_seen)
			return -ENOMEM;
	}
	return mapping_scan(s->dev.metadata, &s->sb, read_page, &(struct read_ctx){ s, r });
}

/* Its slots: which one counts, and which have to go. */
int recovery_read_identity(struct store *s, struct recovery *r, bool *known)
{
	const struct region *region = superblock_region(&s->sb, REGION_IDENTITY);
	struct identity_pages pages;
	int ret = 0;

	identity_read(s->dev.metadata, &s->sb, &pages);
	for (unsigned i = 0; i < IDENTITY_SLOTS && !ret; i++)
		if (pages.slot[i].state == SLOT_UNFINISHED || pages.slot[i].state == SLOT_UNREADABLE)
			ret = erase_later(r, identity_slot_page(region, (int)i));
	s->identity = pages.identity;
	s->identity_slot = pages.valid;
	if (pages.valid >= 0)
		identity_encode(&s->identity, s->sb.uuid, 0, 0, s->identity_page);	/* as it would be written today */
	*known = pages.valid >= 0;
	return ret;
}

void recovery_free(struct recovery *r)
{
	free(r->erase);
	free(r->oblocks_seen);
	free(r->busy);
}

static int erase_unfinished(struct store *s, const struct recovery *r)
{
	static const uint8_t zeros[PAGE_BYTES];
	int ret = 0;

	for (size_t i = 0; i < r->nr_erase && !ret && !mutant_is(MUTANT_SLOTS_NOT_ERASED); i++)
		ret = device_write(s->dev.metadata, r->erase[i] * PAGE_BYTES, zeros, sizeof(zeros));
	return ret || !r->nr_erase ? ret : device_flush(s->dev.metadata);
}

static void forget_all_pages(struct store *s)
{
	memset(s->checksums, 0, s->nr_pages * sizeof(*s->checksums));
	memset(s->pages, 0, s->nr_pages);
}

/* The pages that lose mappings, without them. */
static int commit_page_without_drops(void *opaque, const struct scan_page *page)
{
	struct store_entry entries[MAPPING_ENTRIES];
	struct read_ctx *ctx = opaque;
	struct store *s = ctx->s;

	if (!(s->pages[page->number] & PAGE_DROPS))
		return 0;
	s->pages[page->number] &= (uint8_t)~PAGE_DROPS;
	if (page->valid < 0 || page->slot[page->valid].checksum != s->checksums[page->number])
		return -EIO;
	for (uint32_t i = 0; i < mapping_nr_entries(s->sb.nr_cblocks, page->number); i++) {
		struct mapping m = mapping_get(page->bytes, i);
		bool keep = m.flags && !must_drop(ctx, page->number * MAPPING_ENTRIES + i, &m);

		entries[i].oblock = OBLOCK(keep ? m.oblock : BLOCK_NONE);
		entries[i].hint = keep ? m.hint : 0;
	}
	return store_commit_page(s, page->number, entries);
}

/* r, if given: with the drops that it found, in the same commit as the new boot id (R4). */
static int commit_superblock(struct store *s, const struct superblock *next, const struct identity *identity,
			     struct recovery *r)
{
	uint64_t generation = s->sb.generation + 1;
	int ret = 0;

	store_commit_begin(s, COMMIT_FLUSH);
	s->commit.next = *next;
	s->commit.next.generation = generation;
	store_commit_identity(s, identity);
	if (r && r->nr_dropped)
		ret = mapping_scan(s->dev.metadata, &s->sb, commit_page_without_drops, &(struct read_ctx){ s, r });
	return ret ? ret : commit_run(s);
}

static int write_label(struct store *s)
{
	uint8_t page[PAGE_BYTES];
	struct label label = { .session = s->sb.session, .block_size_bytes = s->sb.block_size_bytes,
			       .nr_cblocks = s->sb.nr_cblocks };
	int ret;

	memcpy(label.uuid, s->sb.uuid, UUID_BYTES);
	label_encode(&label, page);
	ret = device_write(s->dev.cache, 0, page, sizeof(page));
	return ret ? ret : device_flush(s->dev.cache);
}

/* R5, R6: of the run that has ended, and only now that what they said is in the mappings. */
static int clear_marks(struct store *s, bool power)
{
	int ret = store_marks_clear_busy(s);

	if (!ret && power && !s->keep_region_marks)
		ret = store_marks_clear_regions(s);
	return ret;
}

static int failed(struct device *dev, int error, const char *what, struct cwt_error *err)
{
	return error_set(err, error, "%s: %s: %s (check the disk; the cached contents are not used)", dev->name, what,
			 strerror(-error));
}

/* next, identity: what to make true, with session and old_session set; floor, digest and tag are decided here. */
int recovery_write(struct store *s, struct recovery *r, const struct superblock *next, const struct identity *identity,
		   struct cwt_error *err)
{
	struct superblock sb = *next;
	struct identity id = *identity;
	int ret = erase_unfinished(s, r);

	if (ret)
		return failed(s->dev.metadata, ret, "erasing an unfinished commit failed", err);
	if (!start_is_warm(s->start)) {
		forget_all_pages(s);
		r->nr_dropped = 0;
		sb.set_digest = 0;
		sb.floor_generation = s->sb.generation + 1;
	}
	s->sb.state &= ~STATE_CLEAN;	/* in memory: the store is in use from here on */
	if (mutant_is(MUTANT_BOOT_BEFORE_DROPS))
		ret = commit_superblock(s, &sb, &id, NULL);
	if (!ret)
		ret = commit_superblock(s, &sb, &id, r);	/* both copies unclean, durably: so later commits need no flush (C8) */
	if (ret)
		return failed(s->dev.metadata, ret, "the first commit failed", err);
	ret = write_label(s);
	if (ret)
		return failed(s->dev.cache, ret, "the cache's label cannot be written", err);
	sb = s->sb;
	sb.old_session = sb.session;
	ret = origin_write_tag(s, &id);
	if (!ret)
		ret = commit_superblock(s, &sb, &id, NULL);
	if (!ret)
		ret = clear_marks(s, sb.state & STATE_REGION_MARKS);
	if (ret)
		return failed(s->dev.metadata, ret, "the first commit failed", err);
	return 0;
}
