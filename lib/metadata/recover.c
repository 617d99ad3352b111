/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A start, from what is on disk to one durable, unclean commit (R3 to R5).
 *
 * read the slots  ->  start_decide()  ->  erase what an unfinished commit left  ->  superblock g + 1 with the drops, the boot and
 * both sessions  ->  label  ->  superblock g + 2 with the new session only  ->  clear the busy marks
 *
 * All mappings are dropped at once by raising the floor generation: slots below it are void, whatever they hold.  That is
 * one sector, whatever the size of the cache, and as atomic as the superblock is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "metadata/reader.h"
#include "metadata/store_internal.h"

/* Which mappings survive.  The order is the order of certainty: what the user said, what can never match, what may not. */
enum store_start start_decide(const struct start_facts *f)
{
	if (f->reset)
		return START_COLD_RESET;
	if (f->never_started)
		return START_COLD_NEW;
	if (f->label_blank || !f->label_matches)
		return START_COLD_CACHE_CHANGED;
	if (!f->clean)
		return START_COLD_UNCLEAN;
	if (f->damaged)
		return START_COLD_DAMAGED;
	if (!f->origin_matches)
		return START_COLD_ORIGIN_CHANGED;
	return START_WARM_CLEAN;
}

void fingerprint_take(struct superblock *sb, const struct device_info *info, const struct device_identity *id)
{
	sb->origin_kind = info->is_block ? ORIGIN_BLOCK_DEVICE : ORIGIN_FILE;
	sb->origin_mtime_ns = info->is_block ? 0 : id->mtime_ns;
	sb->origin_ctime_ns = info->is_block ? 0 : id->ctime_ns;
}

/* The size was compared before.  Device and inode are not compared: a file may be moved, and numbers change between boots. */
bool fingerprint_matches(const struct superblock *sb, const struct device_info *info, const struct device_identity *id)
{
	struct superblock now = { 0 };

	fingerprint_take(&now, info, id);
	return now.origin_kind == sb->origin_kind && now.origin_mtime_ns == sb->origin_mtime_ns &&
	       now.origin_ctime_ns == sb->origin_ctime_ns;
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
	if (m->flags & ~MAPPING_FLAGS_KNOWN || m->oblock >= nr_oblocks || bitmap_test(r->oblocks_seen, m->oblock))
		return false;
	bitmap_set(r->oblocks_seen, m->oblock);
	return true;
}

struct read_ctx { struct store *s; struct recovery *r; };

static void read_entries(const struct read_ctx *ctx, const struct scan_page *page)
{
	const struct superblock *sb = &ctx->s->sb;
	uint64_t nr_oblocks = nr_oblocks_of(sb->origin_size_bytes, sb->block_size_bytes);

	for (uint32_t i = 0; i < mapping_nr_entries(sb->nr_cblocks, page->number); i++) {
		struct mapping m = mapping_get(page->bytes, i);

		if (!m.flags)
			continue;
		if (!entry_is_good(ctx->r, &m, nr_oblocks))
			ctx->r->bad_entry = true;
		ctx->r->nr_mapped++;
	}
}

/* An unreadable slot is erased as well: if it came back, with the generation of a commit still to be made, it would be believed. */
static int read_page(void *opaque, const struct scan_page *page)
{
	struct read_ctx *ctx = opaque;
	struct store *s = ctx->s;

	for (int i = 0; i < 2; i++) {
		enum slot_state state = page->slot[i].state;
		int ret = 0;

		if (state == SLOT_UNFINISHED || state == SLOT_UNREADABLE)
			ret = erase_later(ctx->r, mapping_slot_page(superblock_region(&s->sb, REGION_MAPPING), page->number, i));
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
	memset(r, 0, sizeof(*r));
	if (judge_entries) {
		r->oblocks_seen = calloc(nr_oblocks_of(s->sb.origin_size_bytes, s->sb.block_size_bytes) / 8 + 1, 1);
		if (!r->oblocks_seen)
			return -ENOMEM;
	}
	return mapping_scan(s->dev.metadata, &s->sb, read_page, &(struct read_ctx){ s, r });
}

void recovery_free(struct recovery *r)
{
	free(r->erase);
	free(r->oblocks_seen);
}

static int erase_unfinished(struct store *s, const struct recovery *r)
{
	static const uint8_t zeros[PAGE_BYTES];
	int ret = 0;

	for (size_t i = 0; i < r->nr_erase && !ret; i++)
		ret = device_write(s->dev.metadata, r->erase[i] * PAGE_BYTES, zeros, sizeof(zeros));
	return ret || !r->nr_erase ? ret : device_flush(s->dev.metadata);
}

static void forget_all_pages(struct store *s)
{
	memset(s->checksums, 0, s->nr_pages * sizeof(*s->checksums));
	memset(s->pages, 0, s->nr_pages);
}

static int commit_superblock(struct store *s, const struct superblock *next)
{
	uint64_t generation = s->sb.generation + 1;

	store_commit_begin(s, COMMIT_FLUSH);
	s->commit.next = *next;
	s->commit.next.generation = generation;
	return commit_run(s);
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

static int clear_busy_marks(struct store *s)
{
	return metadata_zero(s->dev.metadata, s->busy_offset_bytes, (uint64_t)s->nr_busy_pages * PAGE_BYTES);
}

static int failed(struct device *dev, int error, const char *what, struct cwt_error *err)
{
	return error_set(err, error, "%s: %s: %s (check the disk; the cached contents are not used)", dev->name, what,
			 strerror(-error));
}

/* next: the superblock to make true, with session and old_session set; floor and digest are decided here. */
int recovery_write(struct store *s, const struct recovery *r, const struct superblock *next, struct cwt_error *err)
{
	struct superblock sb = *next;
	int ret = erase_unfinished(s, r);

	if (ret)
		return failed(s->dev.metadata, ret, "erasing an unfinished commit failed", err);
	if (!start_is_warm(s->start)) {
		forget_all_pages(s);
		sb.set_digest = 0;
		sb.floor_generation = s->sb.generation + 1;
	}
	s->sb.state &= ~STATE_CLEAN;	/* in memory: the store is in use from here on */
	ret = commit_superblock(s, &sb);
	if (ret)
		return failed(s->dev.metadata, ret, "the first commit failed", err);
	ret = write_label(s);
	if (ret)
		return failed(s->dev.cache, ret, "the cache's label cannot be written", err);
	sb = s->sb;
	sb.old_session = sb.session;
	ret = commit_superblock(s, &sb);
	if (!ret)
		ret = clear_busy_marks(s);
	if (ret)
		return failed(s->dev.metadata, ret, "the first commit failed", err);
	return 0;
}
