/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making every mapping void when marks can no longer be kept (W5).  Three ways, each durable by itself, each on another
 * part of the machine where possible; the next start meets any of them before it believes a mapping:
 *
 *	superblock	floor generation above everything: all slots are void.  Not when a commit's superblock may be half written
 *	label		the cache's label of a session that never was: "the cache is of another session"
 *	tag		the origin's tag is somebody else's: "the origin was written by another"
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "metadata/store_internal.h"

static int void_by_superblock(struct store *s)
{
	struct superblock sb = s->sb;
	uint8_t sector[SECTOR_BYTES];
	int ret = 0;

	if (store_commit_outcome_unknown(s) || s->commit.state >= STEP_FIRST)
		return -EROFS;
	sb.generation++;
	sb.floor_generation = sb.generation + 1;	/* slots of a commit under way carry this generation */
	sb.set_digest = 0;
	sb.state &= ~STATE_CLEAN;
	for (int i = 0; i < SUPERBLOCK_COPIES && !ret; i++) {
		int copy = i == 0 ? store_first_copy(s) : !store_first_copy(s);

		superblock_encode(&sb, copy, sector);
		ret = device_write(s->dev.metadata, superblock_page(copy) * PAGE_BYTES, sector, sizeof(sector));
		if (!ret)
			ret = device_flush(s->dev.metadata);
	}
	return ret;
}

static int void_by_label(struct store *s)
{
	struct label label = { .session = ~s->sb.session, .block_size_bytes = s->sb.block_size_bytes,
			       .nr_cblocks = s->sb.nr_cblocks };
	uint8_t page[PAGE_BYTES];
	int ret;

	memcpy(label.uuid, s->sb.uuid, UUID_BYTES);
	label_encode(&label, page);
	ret = device_write(s->dev.cache, 0, page, sizeof(page));
	return ret ? ret : device_flush(s->dev.cache);
}

static int void_by_tag(struct store *s)
{
	uint8_t tag[DEVICE_TAG_BYTES];

	if (device_info(s->dev.origin)->read_only)
		return -EROFS;
	origin_tag_encode(s->sb.uuid, ~s->sb.session, tag);
	return device_tag(s->dev.origin, tag, NULL);
}

int store_void(struct store *s)
{
	int ret = void_by_superblock(s);

	atomic_store(&s->outcome_unknown, true);	/* whatever happened: no commit after this */
	if (ret)
		ret = void_by_label(s);
	if (ret)
		ret = void_by_tag(s);
	if (ret)
		log_error("%s: the mappings could not be made void: %s", s->dev.metadata->name, strerror(-ret));
	return ret;
}
