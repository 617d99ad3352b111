/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metadata-fixture.h"

#include <stdio.h>

#include "base/log.h"
#include "base/random.h"

#define EACH_START_ITS_BOOT 0x1111

const struct store_options default_options = { .boot_id = { EACH_START_ITS_BOOT, 0x2222 }, .pid = 42 };
static uint64_t last_boot;

static struct device *faulty_memory(const char *name, uint64_t size, bool volatile_writes)
{
	struct device *memory, *faulty;

	ck_assert_int_eq(memory_device_open(name, &(struct memory_options){ .size_bytes = size }, &memory), 0);
	ck_assert_int_eq(faulty_device_open(memory,
					    &(struct faulty_options){ .volatile_writes = volatile_writes, .seed = 1 },
					    &faulty),
			 0);
	return faulty;
}

void trio_open(struct trio *t, bool volatile_writes)
{
	struct memory_options origin = { .size_bytes = ORIGIN_BYTES, .seed = 7 };

	ck_assert_int_eq(memory_device_open("origin", &origin, &t->dev.origin), 0);
	t->dev.cache = faulty_memory("cache", CACHE_BYTES, volatile_writes);
	t->dev.metadata = faulty_memory("metadata", store_metadata_size(NR_CBLOCKS, ORIGIN_BYTES, BS), volatile_writes);
}

void trio_close(struct trio *t)
{
	device_close(t->dev.origin);
	device_close(t->dev.cache);
	device_close(t->dev.metadata);
}

uint8_t *bytes_of(struct device *dev)
{
	return memory_device_bytes(strcmp(dev->ops->name, "faulty") ? dev : faulty_device_inner(dev));
}

void trio_format(struct trio *t)
{
	struct store_geometry geo = { .block_size_bytes = BS,
				      .nr_cblocks = NR_CBLOCKS,
				      .origin_size_bytes = ORIGIN_BYTES };
	struct cwt_error err;

	ck_assert_msg(!store_format(t->dev.metadata, &geo, &err), "%s", err.text);
}

void trio_touch_origin(struct trio *t)
{
	uint8_t byte = bytes_of(t->dev.origin)[0];

	ck_assert_int_eq(device_write(t->dev.origin, 0, &byte, 1), 0);
}

static uint8_t *copy_of(struct device *dev)
{
	uint64_t size = device_info(dev)->size_bytes;
	uint8_t *bytes = malloc(size);

	ck_assert_ptr_nonnull(bytes);
	memcpy(bytes, bytes_of(dev), size);
	return bytes;
}

void snapshot_take(struct trio *t, struct snapshot *s)
{
	if (device_tag(t->dev.origin, NULL, s->tag))
		memset(s->tag, 0, sizeof(s->tag));
	ck_assert_int_eq(device_identity(t->dev.origin, &s->origin), 0);
	s->metadata = copy_of(t->dev.metadata);
	s->cache = copy_of(t->dev.cache);
}

void snapshot_restore(struct trio *t, const struct snapshot *s)
{
	memcpy(bytes_of(t->dev.metadata), s->metadata, device_info(t->dev.metadata)->size_bytes);
	memcpy(bytes_of(t->dev.cache), s->cache, device_info(t->dev.cache)->size_bytes);
	if (!device_tag(t->dev.origin, s->tag, NULL))	/* not every origin takes one */
		memory_device_touch(t->dev.origin, s->origin.mtime_ns, s->origin.ctime_ns);
}

bool snapshot_equals(struct trio *t, const struct snapshot *s)
{
	return !memcmp(bytes_of(t->dev.metadata), s->metadata, device_info(t->dev.metadata)->size_bytes) &&
	       !memcmp(bytes_of(t->dev.cache), s->cache, device_info(t->dev.cache)->size_bytes);
}

void snapshot_free(struct snapshot *s)
{
	free(s->metadata);
	free(s->cache);
}

int try_start(struct trio *t, const struct store_options *o, struct store **s, enum store_start *how,
	      struct cwt_error *err)
{
	static uint64_t boot = EACH_START_ITS_BOOT;
	struct store_options options = *o;

	if (options.boot_id[0] == EACH_START_ITS_BOOT)
		options.boot_id[0] = ++boot;
	last_boot = options.boot_id[0];
	*s = NULL;
	err->text[0] = 0;
	return store_open(&t->dev, &options, s, how, err);
}

int try_kill_start(struct trio *t, struct store **s, enum store_start *how, struct cwt_error *err)
{
	struct store_options options = default_options;

	options.boot_id[0] = last_boot;
	return try_start(t, &options, s, how, err);
}

struct store *kill_start(struct trio *t, enum store_start *how)
{
	struct cwt_error err;
	struct store *s;

	ck_assert_msg(!try_kill_start(t, &s, how, &err), "%s", err.text);
	return s;
}

struct store *start(struct trio *t, enum store_start *how)
{
	struct cwt_error err;
	struct store *s;
	int ret = try_start(t, &default_options, &s, how, &err);

	ck_assert_msg(!ret, "store_open: %d %s", ret, err.text);
	return s;
}

void model_clear(struct model *m)
{
	for (size_t c = 0; c < ARRAY_SIZE(m->entry); c++)
		m->entry[c] = (struct store_entry){ .oblock = OBLOCK(BLOCK_NONE) };
}

void model_fill(struct model *m, uint64_t seed)
{
	struct random random = { seed };
	uint32_t oblock = (uint32_t)random_below(&random, 3);

	model_clear(m);
	for (uint32_t c = 0; c < NR_CBLOCKS; c++) {
		if (random_below(&random, 2))
			continue;
		m->entry[c] = (struct store_entry){ .oblock = OBLOCK(oblock), .hint = (uint8_t)random_next(&random) };
		oblock += 1 + (uint32_t)random_below(&random, 3);
	}
	m->entry[NR_CBLOCKS - 1].oblock = OBLOCK(1999); /* the last cblock holds the last oblock, which is not full */
}

static bool entry_equals(struct store_entry a, struct store_entry b)
{
	return a.oblock.v == b.oblock.v && (a.oblock.v == BLOCK_NONE || a.hint == b.hint);
}

bool model_equals(const struct model *a, const struct model *b)
{
	for (size_t c = 0; c < ARRAY_SIZE(a->entry); c++)
		if (!entry_equals(a->entry[c], b->entry[c]))
			return false;
	return true;
}

bool model_is_subset(const struct model *a, const struct model *of)
{
	for (size_t c = 0; c < ARRAY_SIZE(a->entry); c++)
		if (a->entry[c].oblock.v != BLOCK_NONE && !entry_equals(a->entry[c], of->entry[c]))
			return false;
	return true;
}

static int put(void *ctx, cblock_t c, struct store_entry e)
{
	struct model *m = ctx;

	ck_assert_uint_lt(c.v, NR_CBLOCKS);
	ck_assert_uint_eq(m->entry[c.v].oblock.v, BLOCK_NONE);
	m->entry[c.v] = e;
	return 0;
}

void model_load(struct model *m, struct store *s)
{
	model_clear(m);
	ck_assert_int_eq(store_load(s, put, m), 0);
}

void model_read(struct model *m, struct trio *t)
{
	char line[256];
	struct cwt_error err;
	struct check_result r;
	FILE *f = tmpfile();

	model_clear(m);
	ck_assert_ptr_nonnull(f);
	ck_assert_msg(!metadata_check(t->dev.metadata, NULL, &r, &err), "%s", err.text);
	ck_assert(r.digest_matches);
	ck_assert_msg(!metadata_dump(t->dev.metadata, f, &err), "%s", err.text);
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned c, o, hint;

		if (sscanf(line, "mapping %u %u %u", &c, &o, &hint) == 3)
			put(m, CBLOCK(c), (struct store_entry){ OBLOCK(o), (uint8_t)hint });
	}
	fclose(f);
}

int commit_begin_pages(struct store *s, const struct model *m, unsigned pages_mask, unsigned flags)
{
	int ret = 0;

	store_commit_begin(s, flags);
	for (uint32_t p = 0; p < NR_PAGES && !ret; p++)
		if (pages_mask & 1u << p)
			ret = store_commit_page(s, p, m->entry + p * STORE_ENTRIES_PER_PAGE);
	return ret;
}

int commit_model(struct store *s, const struct model *m, unsigned pages_mask, unsigned flags)
{
	int ret = commit_begin_pages(s, m, pages_mask, flags);

	if (ret)
		return ret;
	do
		ret = store_commit_step(s);
	while (ret > 0);
	return ret;
}

void trio_prepare(struct trio *t, const struct model *m)
{
	enum store_start how;
	struct store *s;

	trio_format(t);
	s = start(t, &how);
	ck_assert_int_eq(how, START_COLD_NEW);
	ck_assert_int_eq(commit_model(s, m, ALL_PAGES, COMMIT_CLEAN), 0);
	store_close(s);
}

static void quiet(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

int run_suite(const char *name, const TTest *const *tests, size_t nr_tests, int timeout_s)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int nr_failed;

	log_set_sink(quiet, NULL, LOG_LEVEL_ERROR);	/* failing commits say so, and here they are meant to */
	tcase_set_timeout(tcase, timeout_s);
	for (size_t i = 0; i < nr_tests; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
