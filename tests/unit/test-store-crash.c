/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A commit is all or nothing, and a start as well: the n-th call fails for n = 0, 1, 2 ... until none does; the process
 * ends between any two steps; the power is cut there with every fate of the writes not yet flushed.  After each, the
 * metadata says exactly the old or exactly the new state, and a start is warm only with the state of a clean stop.
 */
#include "metadata-fixture.h"

#include <errno.h>

/* Three versions: a is what the last clean stop left, b and c are the commits of the run. */
static struct trio t;
static struct model a, b, c, none;
static struct snapshot clean_a;

static void setup(bool volatile_writes)
{
	trio_open(&t, volatile_writes);
	model_clear(&none);
	model_fill(&a, 1);
	b = a;
	for (uint32_t i = 0; i < STORE_ENTRIES_PER_PAGE; i++) {		/* removals, and what was removed elsewhere */
		b.entry[i].oblock = OBLOCK(BLOCK_NONE);
		b.entry[2 * STORE_ENTRIES_PER_PAGE + i % 200] = a.entry[i];
	}
	model_fill(&c, 3);
	trio_prepare(&t, &a);
	snapshot_take(&t, &clean_a);
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
	faulty_device_power_on(t.dev.metadata);
	faulty_device_power_on(t.dev.cache);
	snapshot_restore(&t, &clean_a);
}

static bool clean_on_disk(void)
{
	struct check_result r;
	struct cwt_error err;

	ck_assert_msg(!metadata_check(t.dev.metadata, NULL, &r, &err), "%s", err.text);
	ck_assert(r.digest_matches);
	return r.sb.state & STATE_CLEAN;
}

/* A start after whatever happened: warm with exactly what the disk says if that is a clean stop, else nothing. */
static void assert_next_start(void)
{
	bool clean = clean_on_disk();
	struct model disk, loaded;
	enum store_start how;
	struct check_result r;
	struct store *s;

	model_read(&disk, &t);
	s = start(&t, &how);
	ck_assert_int_eq(how == START_WARM_CLEAN, clean);
	model_load(&loaded, s);
	ck_assert(model_equals(&loaded, clean ? &disk : &none));
	store_close(s);
	model_read(&loaded, &t);
	ck_assert(model_equals(&loaded, clean ? &disk : &none));
	ck_assert_int_eq(metadata_check(t.dev.metadata, NULL, &r, NULL), 0);
	ck_assert_uint_eq(r.nr_damage, 0);		/* and both superblock copies are whole again */
	ck_assert(!(r.sb.state & STATE_CLEAN));
}

static bool disk_is_one_of(const struct model *x, const struct model *y)
{
	struct model disk;

	model_read(&disk, &t);
	return model_equals(&disk, x) || model_equals(&disk, y);
}

/*
 * The run under test: start, commit b, commit c as the clean stop.  A void attempt is repeated once, as the engine
 * does.  *last is what the disk must hold, *next what it may hold instead if the outcome is unknown.
 */
struct run { const struct model *last, *next; bool started; };

static int commit_retrying(struct store *s, const struct model *m, unsigned flags)
{
	int ret = commit_model(s, m, ALL_PAGES, flags);

	if (ret && !store_commit_outcome_unknown(s))
		ret = commit_model(s, m, ALL_PAGES, flags);
	return ret;
}

static void run(struct run *r, unsigned flags)
{
	enum store_start how;
	struct cwt_error err;
	struct store *s;

	*r = (struct run){ &a, &a, false };
	if (try_start(&t, &default_options, &s, &how, &err)) {
		ck_assert_msg(strchr(err.text, '('), "no line");
		r->next = &none;	/* if the fault was read as damage, or met the first commit */
		return;
	}
	r->started = true;
	if (how != START_WARM_CLEAN)
		r->last = &none;
	r->next = &b;
	if (!commit_retrying(s, &b, flags)) {
		r->last = &b;
		r->next = &c;
		if (!commit_retrying(s, &c, COMMIT_CLEAN))
			r->last = &c;
	}
	if (store_commit_outcome_unknown(s)) {
		ck_assert_int_eq(commit_model(s, &c, ALL_PAGES, 0), -EROFS);
	}
	store_close(s);
}

static void fail_every_call(unsigned kinds, enum faulty_effect effect, bool of_cache)
{
	for (uint64_t n = 0; ; n++) {
		struct faulty_rule rule = { .kinds = kinds, .skip = n, .times = 1, .effect = effect, .error = -EIO };
		struct device *dev = of_cache ? t.dev.cache : t.dev.metadata;
		uint64_t faults = faulty_device_counts(dev).faults;
		struct run r;

		back_to_a();
		ck_assert_int_eq(faulty_device_add_rule(dev, &rule), 0);
		run(&r, COMMIT_FLUSH);
		faulty_device_clear_rules(dev);
		ck_assert_msg(disk_is_one_of(r.last, r.next), "call %llu", (unsigned long long)n);
		assert_next_start();
		if (faulty_device_counts(dev).faults == faults) {
			ck_assert(r.started && r.last == &c);
			ck_assert_uint_gt(n, 0);
			return;
		}
	}
}

START_TEST(a_failing_write_leaves_the_old_or_the_new_state)
{
	setup(false);
	fail_every_call(FAULTY_WRITE, FAULTY_FAIL, false);
	fail_every_call(FAULTY_WRITE, FAULTY_FAIL_AFTER, false);
	fail_every_call(FAULTY_WRITE, FAULTY_FAIL_PARTWAY, false);
	fail_every_call(FAULTY_WRITE, FAULTY_FAIL, true);
	teardown();
}
END_TEST

START_TEST(a_failing_flush_leaves_the_old_or_the_new_state)
{
	setup(false);
	fail_every_call(FAULTY_FLUSH, FAULTY_FAIL, false);
	fail_every_call(FAULTY_FLUSH, FAULTY_FAIL_AFTER, false);
	fail_every_call(FAULTY_FLUSH, FAULTY_FAIL, true);
	teardown();
}
END_TEST

START_TEST(a_failing_read_at_start_is_an_error_or_a_cold_start)
{
	setup(false);
	fail_every_call(FAULTY_READ | FAULTY_ZERO, FAULTY_FAIL, false);
	fail_every_call(FAULTY_READ, FAULTY_FAIL, true);
	teardown();
}
END_TEST

START_TEST(a_failure_before_the_superblock_is_void_and_after_it_unknown)
{
	enum store_start how;
	struct store *s;

	setup(false);
	for (uint64_t n = 0; n < 8; n++) {		/* pages 0 to 2, flush, copy, flush, copy, flush */
		struct faulty_rule rule = { .kinds = FAULTY_WRITE | FAULTY_FLUSH,
					    .skip = n,
					    .times = 1,
					    .effect = FAULTY_FAIL,
					    .error = -ENOSPC };

		back_to_a();
		s = start(&t, &how);
		ck_assert_int_eq(faulty_device_add_rule(t.dev.metadata, &rule), 0);
		ck_assert_int_eq(commit_model(s, &b, ALL_PAGES, COMMIT_FLUSH), -ENOSPC);
		ck_assert_int_eq(store_commit_outcome_unknown(s), n >= 4);
		store_close(s);
	}
	teardown();
}
END_TEST

/*
 * A superblock write that arrives in part, on a device whose sectors are not atomic: with one copy rotten, or older,
 * the other is all there is, and must not be the one that is written first.
 */
START_TEST(the_only_good_superblock_copy_is_never_overwritten_first)
{
	setup(false);
	for (unsigned i = 0; i < 2 * 6 * 20; i++) {		/* how much arrives is random: 20 times each */
		struct faulty_rule rule = { .kinds = FAULTY_WRITE, .skip = i / 2 % 6, .effect = FAULTY_FAIL_PARTWAY,
					    .error = -EIO };
		struct superblock_pair pair;
		enum store_start how;
		struct cwt_error err;
		struct store *s;

		back_to_a();
		memset(bytes_of(t.dev.metadata) + superblock_page((int)i % 2) * PAGE_BYTES, 0x5A, SECTOR_BYTES);
		ck_assert_int_eq(faulty_device_add_rule(t.dev.metadata, &rule), 0);
		if (!try_start(&t, &default_options, &s, &how, &err))
			store_close(s);
		faulty_device_clear_rules(t.dev.metadata);
		superblock_pair_read(t.dev.metadata, &pair);
		ck_assert_int_ge(pair.newest, 0);
		assert_next_start();
	}
	teardown();
}
END_TEST

/* Once and again: the old session stays the one that the label carries. */
START_TEST(a_start_that_ends_before_the_label_still_knows_its_cache)
{
	struct faulty_rule rule = { .kinds = FAULTY_WRITE, .effect = FAULTY_FAIL, .error = -EIO };
	enum store_start how;
	struct cwt_error err;
	struct store *s;

	setup(false);
	ck_assert_int_eq(faulty_device_add_rule(t.dev.cache, &rule), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(try_start(&t, &default_options, &s, &how, &err), -EIO);
	faulty_device_clear_rules(t.dev.cache);
	s = start(&t, &how);
	ck_assert_int_eq(how, START_COLD_UNCLEAN);	/* not CACHE_CHANGED */
	store_close(s);
	teardown();
}
END_TEST

/* The engine gives up an attempt (a flush of the origin failed): beginning anew makes it void. */
START_TEST(an_attempt_given_up_before_the_superblock_is_void)
{
	enum store_start how;
	struct store *s;
	uint64_t generation;

	setup(false);
	for (int steps = 0; steps <= 4; steps++) {
		back_to_a();
		s = start(&t, &how);
		generation = store_generation(s);
		ck_assert_int_eq(commit_begin_pages(s, &b, ALL_PAGES, COMMIT_FLUSH), 0);
		for (int i = 0; i < steps; i++)
			ck_assert_int_eq(store_commit_step(s), 1);
		ck_assert(!store_commit_superblock_issued(s));
		ck_assert(disk_is_one_of(&a, &a));
		ck_assert_int_eq(commit_model(s, &c, ALL_PAGES, 0), 0);
		ck_assert_uint_eq(store_generation(s), generation + 1);
		ck_assert(disk_is_one_of(&c, &c));
		ck_assert_int_eq(commit_begin_pages(s, &b, 1, 0), 0);
		ck_assert_int_eq(store_commit_step(s), 1);
		ck_assert_int_eq(store_commit_step(s), 1);
		ck_assert(store_commit_superblock_issued(s));
		store_close(s);
	}
	teardown();
}
END_TEST

/* A kill: what was written is visible, what was not is not; no flush is needed for that. */
START_TEST(a_kill_between_any_two_steps_leaves_the_old_or_the_new_state)
{
	setup(false);
	for (unsigned flags = 0; flags <= COMMIT_CLEAN; flags++) {
		for (int n = 0, ret = 1; ret > 0; n++) {
			enum store_start how;
			struct store *s;

			back_to_a();
			s = start(&t, &how);
			ck_assert_int_eq(commit_begin_pages(s, &b, 5, flags), 0);
			for (int i = 0; i < n && ret > 0; i++)
				ret = store_commit_step(s);
			store_close(s);
			ck_assert(disk_is_one_of(ret ? &a : &b, &b));
			assert_next_start();
		}
	}
	teardown();
}
END_TEST

/* Every fate of nr writes: present, absent, torn after some sectors.  False when all have been had. */
#define NR_FATES 6u
static bool next_fates(unsigned *digits, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (++digits[i] < NR_FATES)
			return true;
		digits[i] = 0;
	}
	return false;
}

#define UNFLUSHED_MAX 8u
static void cut(struct device *dev, const unsigned *digits)
{
	static const uint32_t sectors[NR_FATES] = { 0, 0, 1, 4, 7, 8 };
	enum faulty_fate fates[UNFLUSHED_MAX];
	uint32_t torn[UNFLUSHED_MAX];

	for (unsigned i = 0; i < UNFLUSHED_MAX; i++) {
		fates[i] = digits[i] == 0 ? FATE_PRESENT : digits[i] == 1 ? FATE_ABSENT : FATE_TORN;
		torn[i] = sectors[digits[i]];
	}
	faulty_device_power_cut(dev, fates, torn);
	faulty_device_power_on(dev);
}

static void forget_log(void)
{
	device_flush(t.dev.metadata);
	device_flush(t.dev.cache);
}

/* Steps of the clean stop, then a cut.  True when the commit had ended. */
static bool stop_and_cut(int nr_steps, const unsigned *digits, unsigned *nr_unflushed)
{
	enum store_start how;
	struct store *s;
	int ret = 1;

	back_to_a();
	forget_log();
	s = start(&t, &how);
	ck_assert_int_eq(how, START_WARM_CLEAN);
	forget_log();		/* the cleared marks, the runtime page */
	ck_assert_int_eq(commit_begin_pages(s, &b, 5, COMMIT_CLEAN), 0);
	for (int i = 0; i < nr_steps && ret > 0; i++)
		ret = store_commit_step(s);
	ck_assert_int_ge(ret, 0);
	store_close(s);
	*nr_unflushed = faulty_device_nr_unflushed(t.dev.metadata);
	ck_assert_uint_le(*nr_unflushed, 3);	/* identity and two pages */
	cut(t.dev.metadata, digits);
	return !ret;
}

START_TEST(a_power_cut_at_any_step_of_a_clean_stop_leaves_the_old_or_the_new_state)
{
	bool ended = false;
	unsigned nr_states = 0;

	setup(true);
	for (int n = 0; !ended; n++) {
		unsigned digits[UNFLUSHED_MAX] = { 0 }, nr_unflushed;

		do {
			ended = stop_and_cut(n, digits, &nr_unflushed);
			ck_assert(disk_is_one_of(ended ? &b : &a, &b));
			if (ended)
				ck_assert(clean_on_disk());
			assert_next_start();
			nr_states++;
		} while (next_fates(digits, nr_unflushed));
	}
	ck_assert_uint_gt(nr_states, 36);
	teardown();
}
END_TEST

/* Leave an unfinished commit behind, then cut the power at every call of the recovery as well. */
static void leave_unfinished_commit(void)
{
	enum store_start how;
	struct store *s;

	back_to_a();
	s = start(&t, &how);
	ck_assert_int_eq(commit_begin_pages(s, &b, ALL_PAGES, COMMIT_FLUSH), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(store_commit_step(s), 1);
	store_close(s);
	forget_log();
}

/* The n-th call of metadata (or cache) fails without effect, and the power goes with it. */
static bool recover_and_cut(const struct snapshot *from, uint64_t n, bool of_cache, const unsigned *digits,
			    unsigned *nr_unflushed)
{
	struct device *dev = of_cache ? t.dev.cache : t.dev.metadata;
	struct faulty_rule rule = {
		.kinds = FAULTY_WRITE | FAULTY_FLUSH | FAULTY_ZERO, .skip = n, .effect = FAULTY_FAIL, .error = -EIO
	};
	uint64_t faults = faulty_device_counts(dev).faults;
	enum store_start how;
	struct cwt_error err;
	struct store *s;
	bool hit;

	back_to_a();
	snapshot_restore(&t, from);
	forget_log();
	ck_assert_int_eq(faulty_device_add_rule(dev, &rule), 0);
	if (!try_start(&t, &default_options, &s, &how, &err))
		store_close(s);
	hit = faulty_device_counts(dev).faults != faults;
	faulty_device_clear_rules(dev);
	*nr_unflushed = MIN(faulty_device_nr_unflushed(t.dev.metadata), 4);
	cut(t.dev.metadata, digits);
	cut(t.dev.cache, digits);
	return hit;
}

static void cut_every_call_of_a_start(const struct snapshot *from, const struct model *before)
{
	for (int of_cache = 0; of_cache < 2; of_cache++) {
		bool hit = true;

		for (uint64_t n = 0; hit; n++) {
			unsigned digits[UNFLUSHED_MAX] = { 0 }, nr_unflushed;

			do {
				hit = recover_and_cut(from, n, of_cache, digits, &nr_unflushed);
				ck_assert(disk_is_one_of(before, &none));
				assert_next_start();
			} while (next_fates(digits, nr_unflushed));
		}
	}
}

START_TEST(a_power_cut_at_any_call_of_a_recovery_is_recovered_from)
{
	struct snapshot unfinished;

	setup(true);
	leave_unfinished_commit();
	ck_assert(disk_is_one_of(&a, &a));
	snapshot_take(&t, &unfinished);
	cut_every_call_of_a_start(&unfinished, &a);
	snapshot_free(&unfinished);
	teardown();
}
END_TEST

START_TEST(a_power_cut_at_any_call_of_a_warm_start_is_recovered_from)
{
	setup(true);
	cut_every_call_of_a_start(&clean_a, &a);
	teardown();
}
END_TEST

/* Not flushed until the stop: at a cut anything may have arrived, and the start is cold, sound, and usable. */
START_TEST(a_power_cut_among_unflushed_commits_starts_cold)
{
	setup(true);
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct random random = { seed };
		struct model loaded;
		enum store_start how;
		struct store *s;

		back_to_a();
		forget_log();
		s = start(&t, &how);
		for (uint64_t i = random_below(&random, 8) + 1; i; i--)
			ck_assert_int_eq(commit_model(s, i & 1 ? &b : &c, ALL_PAGES, 0), 0);
		store_close(s);
		faulty_device_power_cut(t.dev.metadata, NULL, NULL);
		faulty_device_power_cut(t.dev.cache, NULL, NULL);
		faulty_device_power_on(t.dev.metadata);
		faulty_device_power_on(t.dev.cache);
		s = start(&t, &how);
		ck_assert(how == START_COLD_UNCLEAN || how == START_COLD_DAMAGED);
		model_read(&loaded, &t);
		ck_assert(model_equals(&loaded, &none));
		ck_assert_int_eq(commit_model(s, &b, ALL_PAGES, COMMIT_CLEAN), 0);
		store_close(s);
		s = start(&t, &how);
		ck_assert_int_eq(how, START_WARM_CLEAN);
		model_load(&loaded, s);
		ck_assert(model_equals(&loaded, &b));
		store_close(s);
	}
	teardown();
}
END_TEST

/* A format is cut anywhere: what is found is the old metadata, nothing (to be formatted again), or the new. */
START_TEST(a_power_cut_at_any_call_of_a_format_leaves_old_blank_or_new)
{
	setup(true);
	for (uint64_t n = 0; ; n++) {
		struct faulty_rule rule = { .kinds = FAULTY_WRITE | FAULTY_FLUSH | FAULTY_ZERO,
					    .skip = n,
					    .effect = FAULTY_FAIL,
					    .error = -EIO };
		struct store_geometry geo = { .block_size_bytes = BS, .nr_cblocks = NR_CBLOCKS,
					      .origin_size_bytes = ORIGIN_BYTES };
		enum store_kind kind;
		struct model disk;
		int ret;

		back_to_a();
		forget_log();
		ck_assert_int_eq(faulty_device_add_rule(t.dev.metadata, &rule), 0);
		ret = store_format(t.dev.metadata, &geo, NULL);
		faulty_device_clear_rules(t.dev.metadata);
		faulty_device_power_cut(t.dev.metadata, NULL, NULL);
		faulty_device_power_on(t.dev.metadata);
		ck_assert_int_eq(store_probe_metadata(t.dev.metadata, &kind), 0);
		ck_assert_int_ne(kind, STORE_FOREIGN);
		if (kind == STORE_OURS) {
			model_read(&disk, &t);
			ck_assert(model_equals(&disk, ret && n <= 2 ? &a : &none));
		}
		if (!ret)
			break;
	}
	teardown();
}
END_TEST

RUN("store-crash", 300, a_failing_write_leaves_the_old_or_the_new_state,
    a_failing_flush_leaves_the_old_or_the_new_state, a_failing_read_at_start_is_an_error_or_a_cold_start,
    a_failure_before_the_superblock_is_void_and_after_it_unknown,
    the_only_good_superblock_copy_is_never_overwritten_first, a_start_that_ends_before_the_label_still_knows_its_cache,
    an_attempt_given_up_before_the_superblock_is_void, a_kill_between_any_two_steps_leaves_the_old_or_the_new_state,
    a_power_cut_at_any_step_of_a_clean_stop_leaves_the_old_or_the_new_state,
    a_power_cut_at_any_call_of_a_recovery_is_recovered_from, a_power_cut_at_any_call_of_a_warm_start_is_recovered_from,
    a_power_cut_among_unflushed_commits_starts_cold, a_power_cut_at_any_call_of_a_format_leaves_old_blank_or_new)
