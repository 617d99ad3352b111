/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt format: make an empty metadata, before the first mount. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cachewt_tool.h"
#include "device/aio.h"
#include "metadata/reader.h"
#include "metadata/store.h"

struct format_args {
	char *cache_size, *cblocks, *origin_size, *block_size;
};

/* What the options ask for, checked; false: wrong usage, said. */
static bool geometry_from(const struct subcommand *sub, const struct format_args *a, struct store_geometry *geo)
{
	uint64_t block_bytes = BLOCK_SIZE_DEFAULT, cache_bytes, nr;

	if (!a->origin_size || !a->cache_size == !a->cblocks) {
		tool_usage(sub, "--origin-size and one of --cache-size and --cblocks are needed");
		return false;
	}
	if ((a->block_size && !tool_size_arg(sub, "--block-size", a->block_size, &block_bytes)) ||
	    !tool_size_arg(sub, "--origin-size", a->origin_size, &geo->origin_size_bytes))
		return false;
	if (block_bytes < BLOCK_SIZE_MIN || block_bytes > BLOCK_SIZE_MAX || block_bytes & (block_bytes - 1)) {
		tool_usage(sub, "--block-size: %" PRIu64 " is not a power of two from %u to %u", block_bytes, BLOCK_SIZE_MIN,
			   BLOCK_SIZE_MAX);
		return false;
	}
	geo->block_size_bytes = (uint32_t)block_bytes;
	if (!geo->origin_size_bytes || (geo->origin_size_bytes - 1) / block_bytes >= BLOCK_MAX) {
		tool_usage(sub, "--origin-size: %" PRIu64 " is not from 1 byte to %" PRIu64 ", which is %u blocks",
			   geo->origin_size_bytes, (uint64_t)BLOCK_MAX * block_bytes, BLOCK_MAX);
		return false;
	}
	if (a->cblocks) {
		if (!tool_size_arg(sub, "--cblocks", a->cblocks, &nr))
			return false;
	} else {
		if (!tool_size_arg(sub, "--cache-size", a->cache_size, &cache_bytes))
			return false;
		nr = cache_bytes / block_bytes ? cache_bytes / block_bytes - 1 : 0;	/* the first block is the label */
	}
	if (!nr || nr > BLOCK_MAX) {
		tool_usage(sub, "%s: that is %" PRIu64 " cblocks, allowed are 1 to %u", a->cblocks ? "--cblocks" : "--cache-size", nr,
			   BLOCK_MAX);
		return false;
	}
	geo->nr_cblocks = (uint32_t)nr;
	return true;
}

/* An existing file is taken only if it is blank and large enough: a mistyped path must not cost anybody a disk. */
static int check_existing(struct device *metadata, uint64_t needed_bytes, struct cwt_error *err)
{
	struct superblock_pair pair;
	enum store_kind kind;
	int ret = store_probe_metadata(metadata, &kind);

	if (ret)
		return error_set(err, ret, "%s: cannot be read: %s", metadata->name, g_strerror(-ret));
	superblock_pair_read(metadata, &pair);
	if (kind == STORE_OURS && !(pair.formatting && pair.newest < 0))	/* unless a format was interrupted */
		return error_set(err, -EEXIST, "%s: is a metadata already (remove it first; to start cold: cachewtfs --reset)",
				 metadata->name);
	if (kind == STORE_FOREIGN)
		return error_set(err, -EEXIST, "%s: is neither blank nor a metadata (give another path)", metadata->name);
	if (device_info(metadata)->size_bytes < needed_bytes)
		return error_set(err, -ENOSPC, "%s: has %" PRIu64 " bytes, expected at least %" PRIu64 " (remove it first)",
				 metadata->name, device_info(metadata)->size_bytes, needed_bytes);
	return 0;
}

static int format(const char *path, struct store_geometry *geo)
{
	struct aio_options options = { .create = true, .buffered = true };
	bool made = false;
	struct device *metadata;
	struct cwt_error err;
	int ret;

	options.size_bytes = store_metadata_size(geo->nr_cblocks, geo->origin_size_bytes, geo->block_size_bytes);
	ret = aio_device_open(path, &options, &metadata, &made, &err);
	if (ret)
		return tool_fail("%s", err.text);
	if (!made)
		ret = check_existing(metadata, options.size_bytes, &err);
	if (!ret)
		ret = store_format(metadata, geo, &err);
	if (!ret)
		aio_device_keep(metadata);
	device_close(metadata);
	if (ret)
		return tool_fail("%s", err.text);
	printf("%s: %" PRIu32 " cblocks of %" PRIu32 " bytes for an origin of %" PRIu64 " bytes; the cache needs %" PRIu64 " bytes\n", path,
	       geo->nr_cblocks, geo->block_size_bytes, geo->origin_size_bytes,
	       ((uint64_t)geo->nr_cblocks + 1) * geo->block_size_bytes);
	return TOOL_OK;
}

static int format_run(const struct subcommand *sub, int argc, char **argv)
{
	struct format_args a = { 0 };
	const GOptionEntry entries[] = {
		{ "cache-size", 0, 0, G_OPTION_ARG_STRING, &a.cache_size, "Size of the cache", "SIZE" },
		{ "cblocks", 0, 0, G_OPTION_ARG_STRING, &a.cblocks, "Or the number of its blocks, without the label", "NUMBER" },
		{ "origin-size", 0, 0, G_OPTION_ARG_STRING, &a.origin_size, "Size of the origin, exact to the byte", "SIZE" },
		{ "block-size", 0, 0, G_OPTION_ARG_STRING, &a.block_size, "Power of two, 4K to 2M (default: 64K)", "SIZE" },
		{ 0 },
	};
	char **args = tool_parse(sub, argc, argv, entries);
	struct store_geometry geo = { 0 };
	int status = TOOL_USAGE;

	if (args && geometry_from(sub, &a, &geo))
		status = format(args[0], &geo);
	g_strfreev(args);
	g_free(a.cache_size);
	g_free(a.cblocks);
	g_free(a.origin_size);
	g_free(a.block_size);
	return status;
}

const struct subcommand cmd_format = {
	.name = "format", .args = "METADATA", .nr_args_min = 1, .nr_args_max = 1,
	.summary = "Make an empty metadata",
	.help = "SIZE is as 10G, 1.5G, 10GB.  METADATA is made, or is a blank file or block device.  A mount does this by itself: format is\n"
		"for those who want to do it before.\n",
	.run = format_run,
};
