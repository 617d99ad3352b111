/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cachewt verify: does every mapped block of the cache have the content of the origin?
 *
 * It reads the mappings as they were committed.  After an unclean stop these may be of blocks that were just being written, or of
 * places that were removed and not yet committed; their busy marks say so, and so does the line about a difference.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "cachewt_stores.h"
#include "metadata/reader.h"
#include "metadata/store.h"

#include "cachewt_tool.h"

struct verify_paths { const char *origin, *cache, *metadata; };

struct verify {
	struct device *metadata, *cache, *origin;
	struct superblock sb;
	uint8_t *busy;			/* busy_marks.h */
	uint8_t *origin_block, *cache_block;
	uint64_t digest;		/* of the mapping pages seen */
	uint64_t nr_equal, nr_different, nr_unreadable;
};

static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t len_bytes)
{
	size_t i = 0;

	if (!memcmp(a, b, len_bytes))
		return len_bytes;
	while (a[i] == b[i])
		i++;
	return i;
}

static void report(const struct verify *v, cblock_t c, uint64_t oblock, const char *what, uint64_t offset_bytes)
{
	printf("block %" PRIu64 " in cblock %" PRIu32 ": %s at offset %" PRIu64 " of the origin%s\n", oblock, c.v, what, offset_bytes,
	       busy_test(v->busy, c.v) ? " (marked busy)" : "");
}

/* One mapping.  The last block of an odd-sized origin is cached to its length only: what follows in the cache is nobody's. */
static void compare(struct verify *v, cblock_t c, uint64_t oblock)
{
	uint64_t offset = oblock * v->sb.block_size_bytes;
	size_t len, at;

	if (offset >= v->sb.origin_size_bytes) {
		report(v, c, oblock, "mapped past the end", v->sb.origin_size_bytes);
		v->nr_different++;
		return;
	}
	len = (size_t)MIN((uint64_t)v->sb.block_size_bytes, v->sb.origin_size_bytes - offset);
	if (device_read(v->origin, offset, v->origin_block, len)) {
		report(v, c, oblock, "the origin cannot be read", offset);
		v->nr_unreadable++;
		return;
	}
	if (device_read(v->cache, store_cache_offset(c, v->sb.block_size_bytes), v->cache_block, len)) {
		report(v, c, oblock, "the cache cannot be read", offset);
		v->nr_unreadable++;
		return;
	}
	at = first_difference(v->origin_block, v->cache_block, len);
	if (at < len) {
		report(v, c, oblock, "first difference", offset + at);
		v->nr_different++;
	} else {
		v->nr_equal++;
	}
}

static int compare_page(void *ctx, const struct scan_page *page)
{
	struct verify *v = ctx;
	uint32_t nr = mapping_nr_entries(v->sb.nr_cblocks, page->number);

	if (page->valid < 0)
		return 0;
	v->digest ^= page->slot[page->valid].checksum;
	for (uint32_t i = 0; i < nr; i++) {
		struct mapping m = mapping_get(page->bytes, i);

		if (m.flags & MAPPING_FLAG_MAPPED)
			compare(v, CBLOCK(page->number * MAPPING_ENTRIES + i), m.oblock);
	}
	return 0;
}

static int open_all(struct verify *v, const struct verify_paths *paths, struct cwt_error *err)
{
	struct superblock_pair pair;
	int ret = stores_open_metadata(paths->metadata, &v->metadata, err);

	if (ret)
		return ret;
	superblock_pair_read(v->metadata, &pair);
	ret = superblock_pair_choose(v->metadata, &pair, false, &v->sb, err);
	if (!ret)
		ret = stores_open_data(paths->cache, "cache", &v->cache, err);
	if (!ret)
		ret = stores_check_cache(v->cache, &v->sb, err);
	if (!ret)
		ret = stores_open_data(paths->origin, "origin", &v->origin, err);
	if (!ret)
		ret = stores_check_origin(v->origin, &v->sb, err);
	return ret;
}

static int allocate(struct verify *v, struct cwt_error *err)
{
	v->origin_block = aligned_alloc(4096, v->sb.block_size_bytes);
	v->cache_block = aligned_alloc(4096, v->sb.block_size_bytes);
	return v->origin_block && v->cache_block && !busy_marks_read(v->metadata, &v->sb, &v->busy, NULL) ? 0 :
	       error_set(err, -ENOMEM, "verify: not enough memory");
}

static int compare_all(struct verify *v, struct cwt_error *err)
{
	int ret = allocate(v, err);

	if (ret)
		return ret;
	ret = mapping_scan(v->metadata, &v->sb, compare_page, v);
	if (ret)
		return error_set(err, ret, "%s: %s", v->metadata->name, g_strerror(-ret));
	return 0;
}

static int summary(const struct verify *v)
{
	printf("%" PRIu64 " mappings equal, %" PRIu64 " different", v->nr_equal, v->nr_different);
	if (v->nr_unreadable)
		printf(", %" PRIu64 " unreadable", v->nr_unreadable);
	printf("%s\n", v->sb.state & STATE_CLEAN ? "" : " (the metadata is unclean: the next mount drops at least what is marked busy)");
	if (v->digest != v->sb.set_digest)
		return tool_fail("%s: the mapping pages are damaged: digest %016" PRIx64 ", expected %016" PRIx64
				 " (a mount drops all mappings; cachewt check %s says more)", v->metadata->name, v->digest,
				 v->sb.set_digest, v->metadata->name);
	if (v->nr_different || v->nr_unreadable)
		return tool_fail("cache %s: %" PRIu64 " of %" PRIu64 " blocks are not those of the origin (cachewtfs --reset starts cold)",
				 v->cache->name, v->nr_different + v->nr_unreadable,
				 v->nr_equal + v->nr_different + v->nr_unreadable);
	return TOOL_OK;
}

static int verify_stores(const struct verify_paths *paths)
{
	struct verify v = { 0 };
	struct cwt_error err;
	int status, ret = open_all(&v, paths, &err);

	if (!ret)
		ret = compare_all(&v, &err);
	status = ret ? tool_fail("%s", err.text) : summary(&v);
	free(v.busy);
	free(v.origin_block);
	free(v.cache_block);
	device_close(v.origin);
	device_close(v.cache);
	device_close(v.metadata);
	return status;
}

static int verify_run(const struct subcommand *sub, int argc, char **argv)
{
	char *origin = NULL, *cache = NULL, *metadata = NULL;
	const GOptionEntry entries[] = {
		{ "origin", 0, 0, G_OPTION_ARG_FILENAME, &origin, "The origin", "PATH" },
		{ "cache", 0, 0, G_OPTION_ARG_FILENAME, &cache, "The cache", "PATH" },
		{ "metadata", 0, 0, G_OPTION_ARG_FILENAME, &metadata, "The metadata", "PATH" },
		{ 0 },
	};
	char **args = tool_parse(sub, argc, argv, entries);
	int status = TOOL_USAGE;

	if (args && (!origin || !cache || !metadata))
		tool_usage(sub, "--origin, --cache and --metadata are all needed");
	else if (args)
		status = verify_stores(&(struct verify_paths){ origin, cache, metadata });
	g_strfreev(args);
	g_free(origin);
	g_free(cache);
	g_free(metadata);
	return status;
}

const struct subcommand cmd_verify = {
	.name = "verify", .args = "", .nr_args_min = 0, .nr_args_max = 0,
	.summary = "Compare every cached block with the origin",
	.help = "Reads only.  The exit status is 0 if and only if no block differs.  The cache must not be mounted; a mount that is\n"
		"just stopping is waited for.\n",
	.run = verify_run,
};
