/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fault table of HACKING.md, row by row: what the user is told, what becomes of the mapping, and that nothing stale is read. */
#include "engine-rig.h"
#include "metadata/store_internal.h"

#include <errno.h>
#include <stdlib.h>

#define BLOCK 4096u

static struct rig rig;

static void setup(void) { rig_start(&rig, NULL); }

static void setup_aligned(void)
{
	static const struct rig_options o = { .align = 512, .origin_size = 8 * BLOCK };

	rig_start(&rig, &o);
}

static void teardown(void) { rig_end(&rig); }

/* The origin's content after a failed write is whatever it is: take it as the expectation. */
static void expect_what_the_origin_has(void)
{
	memcpy(rig.expect, memory_device_bytes(rig.origin_memory), rig.o.origin_size);
}

START_TEST(origin_error_unmaps_the_block)
{
	static const enum faulty_effect effects[] = { FAULTY_FAIL, FAULTY_FAIL_AFTER, FAULTY_FAIL_PARTWAY };
	struct faulty_rule rule = { .kinds = FAULTY_WRITE, .times = 1, .error = -ENOSPC, .effect = effects[_i] };

	rig_warm(&rig, 0, 1);
	faulty_device_add_rule(rig.dev.origin, &rule);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x11), -ENOSPC);
	ck_assert(!rig_mapped(&rig, 0));
	expect_what_the_origin_has();
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, BLOCK, 0), BLOCK);
	rig_check(&rig);
	ck_assert_uint_eq(rig_status(&rig).origin_write_errors, 1);
}
END_TEST

START_TEST(origin_error_starts_no_cache_leg)
{
	uint64_t before;

	rig_warm(&rig, 0, 1);
	before = faulty_device_counts(rig.dev.cache).writes;
	rig_fail(rig.dev.origin, FAULTY_WRITE, 0, 1, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, 100, 0x12), -EIO);
	ck_assert_uint_eq(faulty_device_counts(rig.dev.cache).writes, before);
}
END_TEST

START_TEST(origin_errors_of_a_miss_reach_the_user_and_cache_nothing)
{
	rig_fail(rig.dev.origin, FAULTY_WRITE, 0, 1, -EDQUOT);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x13), -EDQUOT);
	rig_fail(rig.dev.origin, FAULTY_READ, 0, 0, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, BLOCK, BLOCK, 0), -EIO);
	ck_assert(!rig_mapped(&rig, 0));
	ck_assert(!rig_mapped(&rig, 1));
	ck_assert_uint_eq(rig_status(&rig).origin_read_errors, 1);
}
END_TEST

START_TEST(cache_write_error_is_a_success_for_the_user)
{
	static const enum faulty_effect effects[] = { FAULTY_FAIL, FAULTY_FAIL_AFTER, FAULTY_FAIL_PARTWAY };
	struct faulty_rule rule = { .kinds = FAULTY_WRITE, .times = 1, .error = -ENOSPC, .effect = effects[_i] };

	rig_warm(&rig, 0, 1);
	faulty_device_add_rule(rig.dev.cache, &rule);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 10, 1000, 0x14), 1000);
	ck_assert(!rig_mapped(&rig, 0));
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, BLOCK, 0), BLOCK);
	rig_check(&rig);
	ck_assert_uint_eq(rig_status(&rig).cache_write_errors, 1);
}
END_TEST

START_TEST(cache_read_error_is_answered_by_the_origin)
{
	rig_warm(&rig, 0, 1);
	rig_fail(rig.dev.cache, FAULTY_READ, 0, 1, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 5, 100, 0), 100);
	ck_assert(!rig_mapped(&rig, 0));
	ck_assert_uint_eq(rig_status(&rig).cache_read_errors, 1);
	rig_check(&rig);
}
END_TEST

/* Both sides bad: then the user gets the origin's errno, not the cache's. */
START_TEST(cache_and_origin_read_errors_give_the_origins_errno)
{
	rig_warm(&rig, 0, 1);
	rig_fail(rig.dev.cache, FAULTY_READ, 0, 1, -ENXIO);
	rig_fail(rig.dev.origin, FAULTY_READ, 0, 1, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 5, 100, 0), -EIO);
}
END_TEST

/* A bad sector elsewhere in the block fails the fill, not the reader. */
START_TEST(a_failed_fill_is_not_the_readers_error)
{
	struct faulty_rule rule = { .kinds = FAULTY_READ, .error = -EIO, .offset_bytes = 2048, .len_bytes = 512 };

	faulty_device_add_rule(rig.dev.origin, &rule);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, 512, 0), 512);
	ck_assert(!rig_mapped(&rig, 0));
	ck_assert_uint_eq(rig_status(&rig).fills_failed, 1);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 2048, 512, 0), -EIO);
}
END_TEST

START_TEST(a_fill_that_the_cache_refuses_maps_nothing)
{
	rig_fail(rig.dev.cache, FAULTY_WRITE, 0, 1, -ENOSPC);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, BLOCK, 0), BLOCK);
	ck_assert(!rig_mapped(&rig, 0));
	ck_assert_uint_eq(rig_status(&rig).nr_free, 4);
	rig_warm(&rig, 0, 1);
	rig_check(&rig);
}
END_TEST

START_TEST(repeated_cache_errors_bypass_it_until_a_message)
{
	rig_fail(rig.dev.cache, FAULTY_WRITE, 0, 0, -EIO);
	for (unsigned i = 0; i < 40; i++)
		ck_assert_int_eq(rig_do(&rig, CWT_READ, (i % 8) * BLOCK, BLOCK, 0), BLOCK);
	ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_CACHE_ERRORS);
	ck_assert_uint_gt(rig_status(&rig).bypassed, 0);
	faulty_device_clear_rules(rig.dev.cache);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, BLOCK, 0), BLOCK);
	ck_assert(!rig_mapped(&rig, 0));
	ck_assert_int_eq(cwt_message(rig.e, "cache-ok", NULL), 0);
	rig_warm(&rig, 0, 1);
	rig_check(&rig);
}
END_TEST

START_TEST(a_failed_origin_flush_is_sticky_until_origin_ok)
{
	rig_warm(&rig, 0, 2);
	rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_FLUSH, 0, 0, 0), -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_FLUSH, 0, 0, 0), -EIO);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
	ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_ORIGIN_FLUSH);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x15), BLOCK);
	ck_assert_int_eq(cwt_message(rig.e, "cache-ok", NULL), -EBUSY);
	ck_assert_int_eq(cwt_message(rig.e, "origin-ok", NULL), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_FLUSH, 0, 0, 0), 0);
	rig_warm(&rig, 0, 1);
	rig_check(&rig);
}
END_TEST

/* Whoever waits when the flush fails is told; whoever comes while it runs gets a flush of its own, or the error. */
START_TEST(every_waiting_fsync_is_told_of_the_failed_flush)
{
	struct rig_request *q[3];

	rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	for (unsigned i = 0; i < 3; i++)
		q[i] = rig_begin(&rig, i % RIG_LOOPS, CWT_FLUSH, 0, 0, 0);
	rig_settle(&rig);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(q[i]->r.result, -EIO);
		rig_free(q[i]);
	}
	cwt_message(rig.e, "origin-ok", NULL);
}
END_TEST

START_TEST(trouble_with_the_cache_never_fails_an_fsync)
{
	rig_warm(&rig, 0, 1);
	rig_fail(rig.dev.cache, FAULTY_ANY, 0, 0, -EIO);
	rig_fail(rig.dev.metadata, FAULTY_ANY, 0, 0, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x16), BLOCK);
	ck_assert_int_eq(rig_do(&rig, CWT_FLUSH, 0, 0, 0), 0);
	faulty_device_clear_rules(rig.dev.cache);
	faulty_device_clear_rules(rig.dev.metadata);
	rig_kill(&rig);
	ck_assert_int_eq(rig_open(&rig, false), 0);
}
END_TEST

START_TEST(a_mark_that_cannot_be_written_bypasses_the_cache)
{
	rig_warm(&rig, 0, 2);
	rig_fail(rig.dev.metadata, FAULTY_WRITE, 0, 0, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x17), BLOCK);
	ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_METADATA);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
	faulty_device_clear_rules(rig.dev.metadata);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, BLOCK, 0), BLOCK);
	ck_assert_int_ne(rig_stop(&rig), 0);	/* and such a run is never called clean */
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
	rig_check(&rig);
}
END_TEST

/* At the pages of mappings: the outcome is sure, so it is tried again, and again. */
START_TEST(commits_that_keep_failing_are_tried_less_and_less_and_bypass_the_cache)
{
	const struct region *mapping = superblock_region(&rig.e->store->sb, REGION_MAPPING);
	struct faulty_rule rule = { .kinds = FAULTY_WRITE, .effect = FAULTY_FAIL, .error = -EIO,
		.offset_bytes = mapping->offset_bytes, .len_bytes = mapping->len_bytes };
	uint64_t commits, begin_ms = rig.now_ms;

	rig_warm(&rig, 0, 2);
	ck_assert_int_eq(faulty_device_add_rule(rig.dev.metadata, &rule), 0);
	rig_warm(&rig, 2, 2);
	for (; rig.now_ms < begin_ms + 60000; rig.now_ms += 50) {
		(void)rig_do(&rig, CWT_READ, (rig.now_ms / 50 % 8) * BLOCK, BLOCK, 0);
		while (engine_step_job(rig.e))
			;
	}
	ck_assert_uint_ge(rig_status(&rig).metadata_errors, 6);
	ck_assert_uint_le(rig_status(&rig).metadata_errors, 15);
	ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_METADATA);
	ck_assert_ptr_nonnull(strstr(rig_status(&rig).bypass_reason, "5 commits"));
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);

	/* And when the disk works again what was dropped is committed: the stop is a clean one. */
	faulty_device_clear_rules(rig.dev.metadata);
	commits = rig_status(&rig).commits;
	rig.now_ms += 10000;
	while (engine_step_job(rig.e))
		;
	ck_assert_uint_gt(rig_status(&rig).commits, commits);
	ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_METADATA);
	rig_check(&rig);
}
END_TEST

/* One that fails now and then is nothing to give up for. */
START_TEST(a_commit_that_succeeds_starts_the_count_of_failures_anew)
{
	for (unsigned i = 0; i < 8; i++) {
		rig_fail(rig.dev.metadata, FAULTY_WRITE, 0, 1, -EIO);
		rig.e->commit.wanted = true;
		ck_assert_int_ne(cwt_message(rig.e, "commit", NULL), 0);
		faulty_device_clear_rules(rig.dev.metadata);
		if (rig.e->commit.dead)
			break;
		rig.now_ms += 10000;
		ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
		ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_NONE);
		rig_warm(&rig, i % 4, 1);
		ck_assert_int_eq(cwt_message(rig.e, "invalidate 0 99999", NULL), 0);
	}
	(void)rig_stop(&rig);
	ck_assert_int_eq(rig_open(&rig, false), 0);
}
END_TEST

START_TEST(a_flush_of_the_cache_that_keeps_failing_bypasses_it)
{
	struct rig_options o = { .warm_after_power = true };
	struct rig r;

	rig_start(&r, &o);
	rig_fail(r.dev.cache, FAULTY_FLUSH, 0, 0, -EIO);
	for (unsigned i = 0; i < 600; i++) {
		(void)rig_do(&r, CWT_READ, (i % 8) * BLOCK, BLOCK, 0);
		r.now_ms += 50;
	}
	ck_assert_int_eq(rig_status(&r).bypass, CWT_BYPASS_CACHE_ERRORS);
	ck_assert_uint_le(rig_status(&r).cache_flush_errors, 20);
	ck_assert_uint_eq(rig_status(&r).metadata_errors, 0);
	faulty_device_clear_rules(r.dev.cache);
	ck_assert_int_eq(cwt_message(r.e, "cache-ok", NULL), 0);
	rig_check(&r);
	rig_end(&r);
}
END_TEST

/* Every single operation of the metadata fails in turn, over a run of promotions, writes, demotions and commits. */
START_TEST(any_failing_metadata_write_leaves_the_data_right)
{
	for (unsigned n = 0; ; n++) {
		struct rig r;
		uint64_t faults;

		rig_start(&r, NULL);
		rig_fail(r.dev.metadata, FAULTY_ANY, n, 1, -EIO);
		for (unsigned i = 0; i < 24; i++) {
			ck_assert_int_eq(rig_do(&r, CWT_READ, (i % 8) * BLOCK, BLOCK, 0), BLOCK);
			ck_assert_int_eq(rig_do(&r, CWT_WRITE, (i % 5) * BLOCK + 7, 100, (uint8_t)i), 100);
			r.now_ms += 2000;
			rig_check(&r);
		}
		rig_settle(&r);
		faults = faulty_device_counts(r.dev.metadata).faults;
		rig_stop(&r);
		ck_assert_int_eq(rig_open(&r, false), 0);
		for (unsigned i = 0; i < 8; i++)
			ck_assert_int_eq(rig_do(&r, CWT_READ, i * BLOCK, BLOCK, 0), BLOCK);
		rig_check(&r);
		rig_end(&r);
		if (!faults)
			break;
		ck_assert_uint_lt(n, 1000);
	}
}
END_TEST

/* The same for every operation of the cache and of the origin, with the user's view checked at each answer. */
START_TEST(any_failing_cache_operation_is_invisible)
{
	for (unsigned n = 0; ; n++) {
		struct rig r;
		uint64_t faults;

		rig_start(&r, NULL);
		rig_fail(r.dev.cache, FAULTY_ANY, n, 2, -EIO);
		for (unsigned i = 0; i < 12; i++) {
			ck_assert_int_eq(rig_do(&r, CWT_READ, (i % 5) * BLOCK + 3, BLOCK, 0), BLOCK);
			ck_assert_int_eq(rig_do(&r, CWT_WRITE, (i % 3) * BLOCK + 7, BLOCK, (uint8_t)i), BLOCK);
			rig_check(&r);
		}
		faults = faulty_device_counts(r.dev.cache).faults;
		rig_stop(&r);
		ck_assert_int_eq(rig_open(&r, false), 0);
		rig_check(&r);
		rig_end(&r);
		if (!faults)
			break;
		ck_assert_uint_lt(n, 1000);
	}
}
END_TEST

START_TEST(a_punch_that_fails_drops_the_mapping)
{
	rig_warm(&rig, 0, 2);
	rig_fail(rig.dev.origin, FAULTY_ZERO, 0, 1, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_PUNCH, 0, 2 * BLOCK, 0), -EIO);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
	expect_what_the_origin_has();
	rig_check(&rig);
}
END_TEST

START_TEST(where_the_origin_cannot_punch_zeros_are_written)
{
	rig_warm(&rig, 0, 3);
	rig_fail(rig.dev.origin, FAULTY_ZERO, 0, 0, -EOPNOTSUPP);
	ck_assert_int_eq(rig_do(&rig, CWT_PUNCH, 0, BLOCK, 0), -EOPNOTSUPP);
	ck_assert(rig_mapped(&rig, 0));
	ck_assert_int_eq(rig_do(&rig, CWT_ZERO, 100, 2 * BLOCK, 0), 2 * BLOCK);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, 4 * BLOCK, 0), 4 * BLOCK);
	rig_check(&rig);
}
END_TEST

/* After a kill the page cache may hold what nobody flushed; a clean mark must not vouch for copies of it. */
START_TEST(a_clean_stop_of_a_read_only_mount_flushes_the_origin)
{
	ck_assert_int_eq(rig_stop(&rig), 0);
	rig.o.read_only = true;
	ck_assert_int_eq(rig_open(&rig, false), 0);
	rig_warm(&rig, 0, 2);
	rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	ck_assert_int_eq(rig_stop(&rig), -EIO);
	ck_assert_int_eq(rig_open(&rig, false), 0);
}
END_TEST

/* E2, E3: the process may end right after, and the next start on the same boot goes by the marks. */
/* A buffered cache: what is not flushed may be lost without a word, so the engine asks. */
static void start_buffered(void)
{
	rig_end(&rig);
	rig_start(&rig, &(struct rig_options){ .cache_buffered = true });
	rig_warm(&rig, 0, 3);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
}

/* As the kernel does it: the write was answered, and what is read later is what was there before. */
static void lose_writes(struct device *memory, const uint8_t *before)
{
	memcpy(memory_device_bytes(memory), before, device_info(memory)->size_bytes);
	memory_device_lose(memory, -EIO);
}

static uint8_t *copy_of(struct device *memory)
{
	uint8_t *copy = malloc(device_info(memory)->size_bytes);

	memcpy(copy, memory_device_bytes(memory), device_info(memory)->size_bytes);
	return copy;
}

/* By whichever of the two it is told: by the flush of the next commit, or when it is asked for in between. */
START_TEST(a_buffered_cache_that_has_lost_writes_is_dropped_and_bypassed)
{
	uint8_t *before;

	start_buffered();
	before = copy_of(rig.cache_memory);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x71), BLOCK);
	lose_writes(rig.cache_memory, before);
	free(before);
	if (_i) {
		ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), -EIO);
	} else {
		ck_assert(engine_step_job(rig.e));
	}
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
	ck_assert_uint_eq(rig_status(&rig).cache_flush_errors, 1);
	ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_CACHE_ERRORS);
	rig_do(&rig, CWT_READ, 0, 8 * BLOCK, 0);
	ck_assert_int_eq(cwt_message(rig.e, "cache-ok", NULL), 0);
	rig_warm(&rig, 0, 3);
	ck_assert_uint_gt(rig_status(&rig).nr_mapped, 0);
	rig_check(&rig);
}
END_TEST

/* Nothing but a hit was written: nothing is there to commit, and the flush has to be made all the same. */
START_TEST(a_buffered_cache_is_flushed_in_time_and_any_other_is_not)
{
	uint64_t flushes;

	for (unsigned buffered = 0; buffered < 2; buffered++) {
		rig_end(&rig);
		rig_start(&rig, &(struct rig_options){ .cache_buffered = buffered });
		rig_warm(&rig, 0, 3);
		ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x72), BLOCK);
		flushes = faulty_device_counts(rig.dev.cache).flushes;
		rig.now_ms += CWT_COMMIT_INTERVAL_MS_DEFAULT - 1;
		rig_settle(&rig);
		ck_assert_uint_eq(faulty_device_counts(rig.dev.cache).flushes, flushes);
		rig.now_ms += 1;
		rig_settle(&rig);
		ck_assert_uint_eq(faulty_device_counts(rig.dev.cache).flushes, flushes + buffered);
		rig.now_ms += CWT_COMMIT_INTERVAL_MS_DEFAULT;
		rig_settle(&rig);
		ck_assert_uint_eq(faulty_device_counts(rig.dev.cache).flushes, flushes + buffered);
	}
}
END_TEST

/*
 * Another program's sync was told of the failure, and then we are killed: the flush of the next start is told nothing.
 * What had been flushed is kept.
 */
START_TEST(a_kill_drops_what_a_buffered_cache_was_written_since_its_flush)
{
	uint8_t *before;

	start_buffered();
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, BLOCK, BLOCK, 0x73), BLOCK);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	marks_write_stale(rig.e);
	before = copy_of(rig.cache_memory);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x74), BLOCK);
	marks_write_stale(rig.e);		/* had it been cleared, that would be visible */
	lose_writes(rig.cache_memory, before);
	memory_device_lose(rig.cache_memory, 0);
	free(before);
	rig_kill(&rig);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 2);
	ck_assert(rig_mapped(&rig, 1));
	rig_check(&rig);
	rig_do(&rig, CWT_READ, 0, 8 * BLOCK, 0);
	rig_check(&rig);
}
END_TEST

/* The metadata has lost commits and marks: what a start in the same boot would read is whole, and old. */
START_TEST(lost_writes_of_the_metadata_make_all_mappings_void)
{
	uint8_t *before;

	rig_warm(&rig, 0, 4);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	before = copy_of(rig.metadata_memory);
	rig_warm(&rig, 4, 4);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	rig_warm(&rig, 0, 4);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	lose_writes(rig.metadata_memory, before);
	free(before);
	ck_assert(engine_step_job(rig.e));
	ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_METADATA);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
	rig_do(&rig, CWT_READ, 0, 8 * BLOCK, 0);
	rig_kill(&rig);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
	rig_check(&rig);
}
END_TEST

START_TEST(what_a_failed_flush_dropped_is_marked_before_a_failed_stop_ends)
{
	rig_warm(&rig, 0, 3);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	rig_fail(_i ? rig.dev.cache : rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	ck_assert_int_eq(rig_stop(&rig), -EIO);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
}
END_TEST

START_TEST(what_a_failed_fsync_dropped_is_marked_before_it_is_answered)
{
	rig_warm(&rig, 0, 3);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	ck_assert_int_eq(rig_do(&rig, CWT_FLUSH, 0, 0, 0), -EIO);
	rig_kill(&rig);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
}
END_TEST

/* E_VOID: what it dropped cannot be committed any more, and marks are of no use where the disk has lost their like. */
START_TEST(a_failed_fsync_after_a_commit_of_unknown_outcome_leaves_no_mapping)
{
	struct rig_options o = { .warm_after_power = _i };
	struct rig r;
	int ret = 1;

	rig_start(&r, &o);
	rig_warm(&r, 0, 2);
	ck_assert_int_eq(cwt_message(r.e, "commit", NULL), 0);
	rig_warm(&r, 2, 1);
	while (ret == 1 && !store_commit_superblock_issued(r.e->store))
		ret = engine_commit_step(r.e, 0);
	ck_assert_int_eq(ret, 1);
	rig_fail(r.dev.metadata, FAULTY_WRITE | FAULTY_FLUSH, 0, 1, -EIO);
	ck_assert_int_lt(engine_commit_step(r.e, 0), 0);
	ck_assert(store_commit_outcome_unknown(r.e->store));
	rig_fail(r.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	ck_assert_int_eq(rig_do(&r, CWT_FLUSH, 0, 0, 0), -EIO);
	rig_kill(&r);
	r.boot += (unsigned)_i;
	ck_assert_int_eq(rig_open(&r, false), 0);
	ck_assert_uint_eq(rig_status(&r).nr_mapped, 0);
	rig_check(&r);
	rig_end(&r);
}
END_TEST

/* E2: the snapshot may hold mappings of data that is gone; made durable, with their marks cleared, a power cut would show it. */
START_TEST(a_commit_under_way_is_given_up_when_a_flush_fails)
{
	struct rig_request *q;
	uint64_t commits;
	int ret;

	ck_assert_int_eq(rig_stop(&rig), 0);
	rig.o.warm_after_power = _i;
	ck_assert_int_eq(rig_open(&rig, false), 0);
	rig_warm(&rig, 0, 2);
	rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x15);
	commits = rig_status(&rig).commits;
	ck_assert_int_eq(engine_commit_step(rig.e, 0), 1);
	rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	q = rig_begin(&rig, 0, CWT_FLUSH, 0, 0, 0);
	ck_assert(jobs_step(rig.e));
	while ((ret = engine_commit_step(rig.e, 0)) == 1)
		;
	ck_assert_int_lt(ret, 0);
	ck_assert_uint_eq(rig_status(&rig).commits, commits);
	rig_settle(&rig);
	ck_assert_int_eq(q->r.result, -EIO);
	rig_free(q);
	ck_assert_int_eq(cwt_message(rig.e, "origin-ok", NULL), 0);
	rig_warm(&rig, 0, 2);
	rig_check(&rig);
}
END_TEST

/* E3: a cache whose flush has failed may hold what it held before, and a hit that is under way would read that. */
START_TEST(a_hit_whose_mapping_is_dropped_meanwhile_is_answered_by_the_origin)
{
	struct rig_request *q;

	rig_warm(&rig, 0, 1);
	q = rig_begin(&rig, 0, CWT_READ, 0, BLOCK, 0);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 1);
	ck_assert_int_eq(cwt_message(rig.e, "drop", NULL), 0);
	memset(memory_device_bytes(rig.cache_memory) + BLOCK, 0x77, 4 * BLOCK);
	rig_settle(&rig);
	ck_assert_int_eq(q->r.result, BLOCK);
	ck_assert(!memcmp(q->buf, rig.expect, BLOCK));
	rig_free(q);
	rig_check(&rig);
}
END_TEST

/* E2: an fsync's failed flush may have lost what the commit's own flush, which comes after it and succeeds, no longer sees. */
START_TEST(a_commit_in_whose_midst_an_fsync_fails_is_given_up)
{
	struct rig_options o = { .warm_after_power = true };
	struct rig_request *q;
	struct rig r;
	int ret = 1;

	rig_start(&r, &o);
	rig_warm(&r, 0, 2);
	ck_assert_int_eq(cwt_message(r.e, "commit", NULL), 0);
	ck_assert_int_eq(rig_do(&r, CWT_WRITE, 0, 10, 0x69), 10);
	for (int i = 0; i < _i; i++)
		ret = engine_commit_step(r.e, 0);
	ck_assert_int_eq(ret, 1);
	rig_fail(r.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	q = rig_begin(&r, 0, CWT_FLUSH, 0, 0, 0);
	ck_assert(jobs_step(r.e));
	while (ret == 1)
		ret = engine_commit_step(r.e, 0);
	ck_assert_int_eq(ret, -EIO);
	rig_settle(&r);
	ck_assert_int_eq(q->r.result, -EIO);
	rig_free(q);
	rig_kill(&r);
	r.boot++;
	ck_assert_int_eq(rig_open(&r, false), 0);
	ck_assert_msg(!rig_mapped(&r, 0), "the region of a write that a flush has lost is marked no longer");
	rig_end(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-faults");
	TCase *tc = tcase_create("faults"), *ta = tcase_create("aligned");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, origin_error_unmaps_the_block, 0, 3);
	tcase_add_test(tc, origin_error_starts_no_cache_leg);
	tcase_add_test(tc, origin_errors_of_a_miss_reach_the_user_and_cache_nothing);
	tcase_add_loop_test(tc, cache_write_error_is_a_success_for_the_user, 0, 3);
	tcase_add_test(tc, cache_read_error_is_answered_by_the_origin);
	tcase_add_test(tc, cache_and_origin_read_errors_give_the_origins_errno);
	tcase_add_test(tc, a_fill_that_the_cache_refuses_maps_nothing);
	tcase_add_test(tc, repeated_cache_errors_bypass_it_until_a_message);
	tcase_add_test(tc, a_failed_origin_flush_is_sticky_until_origin_ok);
	tcase_add_test(tc, every_waiting_fsync_is_told_of_the_failed_flush);
	tcase_add_test(tc, trouble_with_the_cache_never_fails_an_fsync);
	tcase_add_test(tc, a_mark_that_cannot_be_written_bypasses_the_cache);
	tcase_add_test(tc, commits_that_keep_failing_are_tried_less_and_less_and_bypass_the_cache);
	tcase_add_test(tc, a_commit_that_succeeds_starts_the_count_of_failures_anew);
	tcase_add_test(tc, a_flush_of_the_cache_that_keeps_failing_bypasses_it);
	tcase_add_test(tc, any_failing_metadata_write_leaves_the_data_right);
	tcase_add_test(tc, any_failing_cache_operation_is_invisible);
	tcase_add_test(tc, a_punch_that_fails_drops_the_mapping);
	tcase_add_test(tc, where_the_origin_cannot_punch_zeros_are_written);
	tcase_add_test(tc, a_clean_stop_of_a_read_only_mount_flushes_the_origin);
	tcase_add_loop_test(tc, what_a_failed_flush_dropped_is_marked_before_a_failed_stop_ends, 0, 2);
	tcase_add_loop_test(tc, a_buffered_cache_that_has_lost_writes_is_dropped_and_bypassed, 0, 2);
	tcase_add_test(tc, a_buffered_cache_is_flushed_in_time_and_any_other_is_not);
	tcase_add_test(tc, a_kill_drops_what_a_buffered_cache_was_written_since_its_flush);
	tcase_add_test(tc, lost_writes_of_the_metadata_make_all_mappings_void);
	tcase_add_loop_test(tc, a_failed_fsync_after_a_commit_of_unknown_outcome_leaves_no_mapping, 0, 2);
	tcase_add_test(tc, what_a_failed_fsync_dropped_is_marked_before_it_is_answered);
	tcase_add_loop_test(tc, a_commit_under_way_is_given_up_when_a_flush_fails, 0, 2);
	tcase_add_test(tc, a_hit_whose_mapping_is_dropped_meanwhile_is_answered_by_the_origin);
	tcase_add_loop_test(tc, a_commit_in_whose_midst_an_fsync_fails_is_given_up, 1, 4);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(ta, setup_aligned, teardown);
	tcase_add_test(ta, a_failed_fill_is_not_the_readers_error);
	suite_add_tcase(s, ta);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
