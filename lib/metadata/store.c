/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The open store: loading, the runtime page, and what can be asked.  store_open.c opens, commit.c commits. */
#include "metadata/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "metadata/reader.h"
#include "metadata/store_internal.h"

uint64_t store_metadata_size(uint32_t nr_cblocks, uint64_t origin_size_bytes, uint32_t block_size_bytes)
{
	struct superblock sb = { .nr_cblocks = nr_cblocks, .origin_size_bytes = origin_size_bytes,
				 .block_size_bytes = block_size_bytes,
				 .region_shift = region_shift_default(block_size_bytes) };

	return superblock_lay_out(&sb);
}

uint32_t store_nr_cblocks(uint64_t cache_size_bytes, uint32_t block_size_bytes)
{
	uint64_t nr = cache_size_bytes / block_size_bytes;

	return nr < 2 ? 0 : (uint32_t)MIN(nr - 1, BLOCK_MAX);
}

const char *store_start_reason(const struct store *s) { return s->reason; }
const struct store_geometry *store_geometry(const struct store *s) { return &s->geo; }
uint32_t store_nr_pages(const struct store *s) { return s->nr_pages; }
const struct identity *store_identity(const struct store *s) { return &s->identity; }
uint64_t store_generation(const struct store *s) { return atomic_load(&s->generation); }

struct load_ctx {
	struct store *s;
	int (*fn)(void *ctx, cblock_t c, struct store_entry e);
	void *fn_ctx;
};

/* The page must still be what open saw: nobody else may have written it, and the disk may not have lost it. */
static int load_page(void *opaque, const struct scan_page *page)
{
	struct load_ctx *ctx = opaque;
	struct store *s = ctx->s;
	int ret = 0;

	if (!(s->pages[page->number] & PAGE_COMMITTED))
		return page->valid < 0 ? 0 : -EIO;
	if (page->valid < 0 || page->slot[page->valid].checksum != s->checksums[page->number])
		return -EIO;
	for (uint32_t i = 0; i < mapping_nr_entries(s->sb.nr_cblocks, page->number) && !ret; i++) {
		struct mapping m = mapping_get(page->bytes, i);

		if (m.flags)
			ret = ctx->fn(ctx->fn_ctx, CBLOCK(page->number * MAPPING_ENTRIES + i),
				      (struct store_entry){ .oblock = OBLOCK(m.oblock), .hint = m.hint });
	}
	return ret;
}

int store_load(struct store *s, int (*fn)(void *ctx, cblock_t c, struct store_entry e), void *ctx)
{
	cwt_assert(s->may_load);
	if (!s->nr_mapped)
		return 0;
	return mapping_scan(s->dev.metadata, &s->sb, load_page, &(struct load_ctx){ s, fn, ctx });
}

static bool has_runtime_page(struct device *metadata)
{
	return device_info(metadata)->size_bytes >= ((uint64_t)RUNTIME_PAGE + 1) * PAGE_BYTES;
}

int store_write_runtime(struct device *metadata, const struct store_runtime *rt)
{
	uint8_t page[PAGE_BYTES];

	if (!has_runtime_page(metadata))
		return -EINVAL;
	runtime_encode(&(struct runtime){ .pid = rt->pid, .state = rt->state }, page);
	return device_write(metadata, (uint64_t)RUNTIME_PAGE * PAGE_BYTES, page, sizeof(page));
}

int store_read_runtime(struct device *metadata, struct store_runtime *rt)
{
	uint8_t page[PAGE_BYTES];
	struct runtime disk;
	int ret;

	*rt = (struct store_runtime){ .state = STORE_RUNTIME_NONE };
	if (!has_runtime_page(metadata))
		return 0;
	ret = device_read(metadata, (uint64_t)RUNTIME_PAGE * PAGE_BYTES, page, sizeof(page));
	if (ret)
		return ret;
	if (runtime_decode(page, &disk) == PAGE_OK && disk.state <= STORE_RUNTIME_STOPPING)
		*rt = (struct store_runtime){ .pid = disk.pid, .state = disk.state };
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	commit_destroy(s);
	free(s->region_marks);
	free(s->checksums);
	free(s->pages);
	free(s);
}
