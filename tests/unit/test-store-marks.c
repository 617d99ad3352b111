/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unclean starts: a kill drops what the busy marks say, a power cut what the region marks say, and nothing else. */
#include "metadata-fixture.h"

#include <errno.h>
#include <pthread.h>

static struct trio t;
static struct model a, b, kept;
static struct snapshot clean_a;
static uint8_t busy[PAGE_BYTES];
static struct store_options power;

static void setup(bool volatile_writes)
{
	trio_open(&t, volatile_writes);
	model_fill(&a, 1);
	model_fill(&b, 2);
	trio_prepare(&t, &a);
	snapshot_take(&t, &clean_a);
	power = default_options;
	power.warm_after_power = true;
}

static void teardown(void)
{
	snapshot_free(&clean_a);
	trio_close(&t);
}

static void back_to_a(void)
{
	faulty_device_clear_rules(t.dev.metadata);
	faulty_device_clear_rules(t.dev.cache);
	snapshot_restore(&t, &clean_a);
	device_flush(t.dev.metadata);
	device_flush(t.dev.cache);
}

/* A run that commits b, with every fifth cblock of the first 500 busy when it is killed; kept is what must survive. */
static void run_and_kill(void)
{
	enum store_start how;
	struct store *s;

	back_to_a();
	s = start(&t, &how);
	ck_assert_int_eq(commit_model(s, &b, ALL_PAGES, 0), 0);
	busy_clear(busy, store_marks_key(s), 0, BUSY_UNITS_PER_PAGE);
	kept = b;
	for (uint32_t c = 0; c < 500; c += 5) {
		busy_flip(busy, store_marks_key(s), c);
		kept.entry[c].oblock = OBLOCK(BLOCK_NONE);
	}
	ck_assert_int_eq(store_write_marks(s, 0, busy), 0);
	store_close(s);
}

static void assert_loads(struct store *s, const struct model *m)
{
	struct model loaded, disk;

	model_load(&loaded, s);
	model_read(&disk, &t);
	ck_assert(model_equals(&loaded, m));
	ck_assert(model_equals(&disk, m));
}

START_TEST(a_kill_drops_exactly_the_busy_mappings)
{
	enum store_start how;
	struct store *s;

	setup(false);
	run_and_kill();
	for (int i = 0; i < 3; i++) {		/* the marks are cleared, the drops stay */
		s = kill_start(&t, &how);
		ck_assert_int_eq(how, START_WARM_KILL);
		assert_loads(s, &kept);
		store_close(s);
	}
	teardown();
}
END_TEST

START_TEST(another_boot_or_another_store_after_a_kill_is_cold)
{
	struct device *other;
	enum store_start how;

	setup(false);
	run_and_kill();
	store_close(start(&t, &how));
	ck_assert_int_eq(how, START_COLD_UNCLEAN);
	run_and_kill();
	ck_assert_int_eq(
		memory_device_open("copy", &(struct memory_options){ .size_bytes = ORIGIN_BYTES, .seed = 7 }, &other),
		0);
	ck_assert_int_eq(device_tag(other, clean_a.tag, NULL), 0);
	device_close(t.dev.origin);
	t.dev.origin = other;
	store_close(kill_start(&t, &how));
	ck_assert(how == START_COLD_UNCLEAN || how == START_COLD_ORIGIN_CHANGED);
	teardown();
}
END_TEST

START_TEST(a_kill_at_any_step_of_a_commit_leaves_the_old_or_the_new_state_warm)
{
	setup(false);
	for (int n = 0, ret = 1; ret > 0; n++) {
		enum store_start how;
		struct store *s;

		back_to_a();
		s = start(&t, &how);
		ck_assert_int_eq(commit_begin_pages(s, &b, ALL_PAGES, 0), 0);
		for (int i = 0; i < n && ret > 0; i++)
			ret = store_commit_step(s);
		store_close(s);
		s = kill_start(&t, &how);
		ck_assert_int_eq(how, START_WARM_KILL);
		assert_loads(s, n >= 4 ? &b : &a);	/* three pages, then the first superblock copy */
		store_close(s);
	}
	teardown();
}
END_TEST

/* Every call from the n-th on fails: the process is as good as killed.  What was busy never comes back. */
START_TEST(a_kill_at_any_call_of_a_recovery_keeps_the_drops)
{
	bool hit = true;

	setup(false);
	for (uint64_t n = 0; hit; n++) {
		struct faulty_rule rule = { .kinds = FAULTY_WRITE | FAULTY_FLUSH | FAULTY_ZERO,
					    .skip = n,
					    .error = -EIO,
					    .effect = n % 2 ? FAULTY_FAIL_AFTER : FAULTY_FAIL };
		uint64_t faults = faulty_device_counts(t.dev.metadata).faults;
		enum store_start how;
		struct cwt_error err;
		struct model loaded;
		struct store *s;

		run_and_kill();
		ck_assert_int_eq(faulty_device_add_rule(t.dev.metadata, &rule), 0);
		if (!try_kill_start(&t, &s, &how, &err))
			store_close(s);
		hit = faulty_device_counts(t.dev.metadata).faults != faults;
		faulty_device_clear_rules(t.dev.metadata);
		s = kill_start(&t, &how);
		model_load(&loaded, s);
		ck_assert(model_is_subset(&loaded, &kept));
		if (how == START_WARM_KILL)
			ck_assert(model_equals(&loaded, &kept));
		store_close(s);
	}
	teardown();
}
END_TEST

/* Region 0 holds oblocks 0 to 1023, region 1 the rest. */
static void keep_regions(const struct model *m, uint8_t marked)
{
	kept = *m;
	for (size_t c = 0; c < ARRAY_SIZE(kept.entry); c++)
		if (kept.entry[c].oblock.v != BLOCK_NONE && marked >> (kept.entry[c].oblock.v / 1024) & 1)
			kept.entry[c].oblock = OBLOCK(BLOCK_NONE);
}

static void run_with_region_marks(uint8_t marked)
{
	uint8_t bits[PAGE_BYTES - 64] = { marked };
	enum store_start how;
	struct cwt_error err;
	struct store *s;

	back_to_a();
	ck_assert_msg(!try_start(&t, &power, &s, &how, &err), "%s", err.text);
	ck_assert_uint_eq(store_region_shift(s), 22);
	ck_assert_int_eq(commit_model(s, &b, ALL_PAGES, COMMIT_FLUSH), 0);
	ck_assert_int_eq(store_write_region_marks(s, 0, bits), 0);
	ck_assert_int_eq(device_flush(t.dev.metadata), 0);
	store_close(s);
	faulty_device_power_cut(t.dev.metadata, NULL, NULL);
	faulty_device_power_on(t.dev.metadata);
}

START_TEST(a_power_cut_drops_exactly_the_marked_regions)
{
	setup(true);
	for (uint8_t marked = 0; marked < 4; marked++) {
		enum store_start how;
		struct cwt_error err;
		struct store *s;

		run_with_region_marks(marked);
		keep_regions(&b, marked);
		ck_assert_msg(!try_start(&t, &power, &s, &how, &err), "%s", err.text);
		ck_assert_int_eq(how, START_WARM_POWER);
		assert_loads(s, &kept);
		store_close(s);
	}
	teardown();
}
END_TEST

/* R4: a start after a power cut that is killed at its n-th call; whoever starts next is in the same boot, and asks other marks. */
START_TEST(a_kill_at_any_call_of_a_recovery_from_a_power_cut_keeps_the_drops)
{
	bool hit = true;

	setup(true);
	for (uint64_t n = 0; hit; n++) {
		struct faulty_rule rule = { .kinds = FAULTY_WRITE | FAULTY_FLUSH | FAULTY_ZERO,
					    .skip = n,
					    .error = -EIO,
					    .effect = n % 2 ? FAULTY_FAIL_AFTER : FAULTY_FAIL };
		uint64_t faults = faulty_device_counts(t.dev.metadata).faults;
		enum store_start how;
		struct cwt_error err;
		struct model loaded;
		struct store *s;

		run_with_region_marks(1);
		keep_regions(&b, 1);
		ck_assert_int_eq(faulty_device_add_rule(t.dev.metadata, &rule), 0);
		if (!try_start(&t, &power, &s, &how, &err))
			store_close(s);
		hit = faulty_device_counts(t.dev.metadata).faults != faults;
		faulty_device_clear_rules(t.dev.metadata);
		s = kill_start(&t, &how);
		ck_assert(how == START_WARM_KILL || how == START_WARM_POWER);
		model_load(&loaded, s);
		ck_assert(model_equals(&loaded, &kept));
		store_close(s);
	}
	teardown();
}
END_TEST

START_TEST(a_page_of_region_marks_that_does_not_verify_counts_as_all_marked)
{
	enum store_start how;
	struct cwt_error err;
	struct store *s;

	setup(true);
	run_with_region_marks(0);
	bytes_of(t.dev.metadata)[327680 + 3000] ^= 1;
	keep_regions(&b, 3);
	ck_assert_msg(!try_start(&t, &power, &s, &how, &err), "%s", err.text);
	ck_assert_int_eq(how, START_WARM_POWER);
	assert_loads(s, &kept);
	store_close(s);
	teardown();
}
END_TEST

START_TEST(region_marks_of_a_run_that_did_not_keep_them_are_not_believed)
{
	enum store_start how;
	struct cwt_error err;
	struct store *s;

	setup(true);
	back_to_a();
	s = start(&t, &how);
	ck_assert_int_eq(commit_model(s, &b, ALL_PAGES, COMMIT_FLUSH), 0);
	store_close(s);
	ck_assert_msg(!try_start(&t, &power, &s, &how, &err), "%s", err.text);
	ck_assert_int_eq(how, START_COLD_UNCLEAN);
	store_close(s);
	teardown();
}
END_TEST

/* Each way alone is enough: the superblock; without it the label; without both the origin's tag. */
START_TEST(mappings_made_void_stay_void)
{
	const struct faulty_rule rule = { .kinds = FAULTY_WRITE, .effect = FAULTY_FAIL, .error = -EIO };

	setup(false);
	for (int nr_failing = 0; nr_failing < 3; nr_failing++) {
		enum store_start how;
		struct model loaded, none;
		struct store *s;

		back_to_a();
		s = start(&t, &how);
		ck_assert_int_eq(commit_model(s, &b, ALL_PAGES, 0), 0);
		if (nr_failing >= 1)
			ck_assert_int_eq(faulty_device_add_rule(t.dev.metadata, &rule), 0);
		if (nr_failing >= 2)
			ck_assert_int_eq(faulty_device_add_rule(t.dev.cache, &rule), 0);
		ck_assert_int_eq(store_void(s), 0);
		ck_assert_int_eq(commit_model(s, &b, ALL_PAGES, 0), -EROFS);
		store_close(s);
		faulty_device_clear_rules(t.dev.metadata);
		faulty_device_clear_rules(t.dev.cache);
		s = kill_start(&t, &how);
		model_load(&loaded, s);
		model_clear(&none);
		ck_assert(model_equals(&loaded, &none));
		store_close(s);
	}
	teardown();
}
END_TEST

static void *write_marks_in_a_loop(void *store)
{
	uint8_t bits[PAGE_BYTES] = { 0 };

	for (int i = 0; i < 2000; i++) {
		bits[0] = (uint8_t)i;
		if (store_write_marks(store, 0, bits) || store_write_region_marks(store, 0, bits) ||
		    store_write_lease(store, &(struct lease){ .until_ns = i }) || !store_generation(store) || store_commit_outcome_unknown(store))
			return store;
	}
	return NULL;
}

/* For ThreadSanitizer: what the seam allows side by side shares nothing unprotected. */
START_TEST(marks_are_written_beside_commits)
{
	enum store_start how;
	pthread_t thread;
	struct store *s;
	void *failed;

	setup(false);
	s = start(&t, &how);
	ck_assert_int_eq(pthread_create(&thread, NULL, write_marks_in_a_loop, s), 0);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(commit_model(s, &a, ALL_PAGES, i % 2 ? COMMIT_FLUSH : 0), 0);
	ck_assert_int_eq(pthread_join(thread, &failed), 0);
	ck_assert_ptr_null(failed);
	store_close(s);
	teardown();
}
END_TEST

RUN("store-marks", 120, a_kill_drops_exactly_the_busy_mappings, another_boot_or_another_store_after_a_kill_is_cold,
    a_kill_at_any_step_of_a_commit_leaves_the_old_or_the_new_state_warm,
    a_kill_at_any_call_of_a_recovery_keeps_the_drops, a_power_cut_drops_exactly_the_marked_regions,
    a_kill_at_any_call_of_a_recovery_from_a_power_cut_keeps_the_drops,
    a_page_of_region_marks_that_does_not_verify_counts_as_all_marked,
    region_marks_of_a_run_that_did_not_keep_them_are_not_believed, mappings_made_void_stay_void,
    marks_are_written_beside_commits)
