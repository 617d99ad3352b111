/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three memory devices, metadata and cache behind faulty ones, and a model of the mappings to compare with.
 * Small: 3 mapping pages, the last one not full; an origin whose last block is not full.
 */
#ifndef METADATA_FIXTURE_H
#define METADATA_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "device/faulty.h"
#include "device/memory.h"
#include "metadata/check.h"
#include "metadata/dump.h"
#include "metadata/format.h"
#include "metadata/reader.h"
#include "metadata/store.h"

#define BS 4096u
#define NR_CBLOCKS 746u
#define NR_PAGES 3u
#define ORIGIN_BYTES (2000u * BS - 1000u)
#define CACHE_BYTES ((NR_CBLOCKS + 1) * (uint64_t)BS)

struct trio { struct store_devices dev; };

/* What is mapped: entry[c].oblock.v == BLOCK_NONE for free. */
struct model { struct store_entry entry[NR_PAGES * STORE_ENTRIES_PER_PAGE]; };

void trio_open(struct trio *t, bool volatile_writes);		/* blank cache and metadata, garbage origin */
void trio_close(struct trio *t);
uint8_t *bytes_of(struct device *dev);				/* of the memory device below */
void trio_format(struct trio *t);
void trio_touch_origin(struct trio *t);				/* its times change */

/* Content of metadata and cache and the tag of the origin, to go back to. */
struct snapshot { uint8_t *metadata, *cache, tag[DEVICE_TAG_BYTES]; struct device_identity origin; };
void snapshot_take(struct trio *t, struct snapshot *s);
void snapshot_restore(struct trio *t, const struct snapshot *s);
bool snapshot_equals(struct trio *t, const struct snapshot *s);
void snapshot_free(struct snapshot *s);

/* Each in a boot of its own, so that an unclean start is cold; kill_start() comes after a kill, in the same one.  Must
 * succeed. */
struct store *start(struct trio *t, enum store_start *how);
struct store *kill_start(struct trio *t, enum store_start *how);
int try_kill_start(struct trio *t, struct store **s, enum store_start *how, struct cwt_error *err);
int try_start(struct trio *t, const struct store_options *o, struct store **s, enum store_start *how,
	      struct cwt_error *err);
extern const struct store_options default_options;

void model_clear(struct model *m);
void model_fill(struct model *m, uint64_t seed);		/* about half mapped, oblocks distinct */
bool model_equals(const struct model *a, const struct model *b);
bool model_is_subset(const struct model *a, const struct model *of);
void model_load(struct model *m, struct store *s);		/* by store_load() */
void model_read(struct model *m, struct trio *t); /* by the text form: what the disk says, whatever a start decides */

int commit_begin_pages(struct store *s, const struct model *m, unsigned pages_mask, unsigned flags);
int commit_model(struct store *s, const struct model *m, unsigned pages_mask, unsigned flags);	/* to the end */
#define ALL_PAGES 7u

/* A clean metadata with this model, as a stop leaves it. */
void trio_prepare(struct trio *t, const struct model *m);

int run_suite(const char *name, const TTest *const *tests, size_t nr_tests, int timeout_s);
#define RUN(name, timeout_s, ...) \
	int main(void) \
	{ \
		const TTest *const tests[] = { __VA_ARGS__ }; \
		return run_suite(name, tests, ARRAY_SIZE(tests), timeout_s); \
	}

#endif
