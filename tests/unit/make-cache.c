/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For test-tool.sh: fill a cache by hand, without an engine.
 *
 *	make-cache fill ORIGIN CACHE METADATA clean|unclean [CBLOCK=OBLOCK ...]
 *		copy these blocks, commit these mappings, stop; METADATA is formatted, CACHE is made if missing
 *	make-cache hold METADATA serving|stopping MILLISECONDS
 *		be an owner: lock it, say so on stdout, hold it for a time
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "device/aio.h"
#include "metadata/store.h"

static struct cwt_error err;

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "make-cache: %s: %s: %s\n", what, strerror(-ret), err.text);
	exit(99);
}

static struct device *open_store(const char *path, bool buffered, uint64_t size_bytes)
{
	struct aio_options options = { .buffered = buffered, .create = size_bytes, .size_bytes = size_bytes };
	struct device *dev;

	must(aio_device_open(path, &options, &dev, NULL, &err), path);
	aio_device_keep(dev);
	return dev;
}

static uint64_t block_len(const struct store_geometry *geo, uint64_t oblock)
{
	uint64_t left = geo->origin_size_bytes - oblock * geo->block_size_bytes;

	return left < geo->block_size_bytes ? left : geo->block_size_bytes;
}

static void copy_block(const struct store_devices *dev, const struct store_geometry *geo, cblock_t c, uint64_t oblock)
{
	uint64_t len = block_len(geo, oblock);
	void *block = malloc(len);

	must(block ? 0 : -ENOMEM, "malloc");
	must(device_read(dev->origin, oblock * geo->block_size_bytes, block, len), "origin");
	must(device_write(dev->cache, store_cache_offset(c, geo->block_size_bytes), block, len), "cache");
	free(block);
}

/* All pages in one commit, as an orderly stop does it; unclean stops one mark short of that. */
static void commit(struct store *store, const struct store_entry *entries, bool clean)
{
	int ret;

	store_commit_begin(store, COMMIT_FLUSH | (clean ? COMMIT_CLEAN : 0));
	for (uint32_t page = 0; page < store_nr_pages(store); page++)
		must(store_commit_page(store, page, entries + (size_t)page * STORE_ENTRIES_PER_PAGE), "page");
	do {
		ret = store_commit_step(store);
		must(ret, "commit");
	} while (ret);
}

static int fill(int argc, char **argv)
{
	struct store_devices dev = { .metadata = open_store(argv[4], true, 0) };
	const struct store_options options = { .boot_id = { 1, 2 }, .pid = (uint32_t)getpid() };
	struct store_entry *entries;
	struct store_geometry geo;
	enum store_start start;
	struct store *store;

	must(store_read_geometry(dev.metadata, &geo, &err), "geometry");
	dev.origin = open_store(argv[2], false, 0);
	dev.cache = open_store(argv[3], false, (geo.nr_cblocks + 1ull) * geo.block_size_bytes);
	must(store_open(&dev, &options, &store, &start, &err), "open");
	entries = calloc((size_t)store_nr_pages(store) * STORE_ENTRIES_PER_PAGE, sizeof(*entries));
	must(entries ? 0 : -ENOMEM, "malloc");
	for (size_t i = 0; i < (size_t)store_nr_pages(store) * STORE_ENTRIES_PER_PAGE; i++)
		entries[i].oblock = OBLOCK(BLOCK_NONE);
	for (int i = 6; i < argc; i++) {
		unsigned c, o;

		must(sscanf(argv[i], "%u=%u", &c, &o) == 2 && c < geo.nr_cblocks ? 0 : -EINVAL, argv[i]);
		copy_block(&dev, &geo, CBLOCK(c), o);
		entries[c] = (struct store_entry){ .oblock = OBLOCK(o), .hint = 1 };
	}
	must(device_flush(dev.cache), "cache");
	commit(store, entries, !strcmp(argv[5], "clean"));
	free(entries);
	store_close(store);
	device_close(dev.origin);
	device_close(dev.cache);
	device_close(dev.metadata);
	return 0;
}

static int hold(char **argv)
{
	struct device *metadata = open_store(argv[2], true, 0);
	struct store_runtime rt = { .pid = (uint32_t)getpid(), .state = STORE_RUNTIME_SERVING };
	unsigned ms = (unsigned)atoi(argv[4]);
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	if (!strcmp(argv[3], "stopping"))
		rt.state = STORE_RUNTIME_STOPPING;
	must(store_write_runtime(metadata, &rt), "runtime page");
	puts("held");
	fflush(stdout);
	nanosleep(&pause, NULL);
	device_close(metadata);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 6 && !strcmp(argv[1], "fill"))
		return fill(argc, argv);
	if (argc == 5 && !strcmp(argv[1], "hold"))
		return hold(argv);
	fputs("usage: make-cache fill|hold ...\n", stderr);
	return 2;
}
