/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every policy must keep (policy.h), run over all of them.  A policy is driven as the engine drives it, with a
 * model of which cblocks are mapped beside it; sizes go from one cblock to some thousands.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "policy/policy.h"

/*
 * ------------------------------------------------------------------ counted allocations
 *
 * The linker puts these before malloc and its kin (policy.mk), also for Check's own calls: so only what a policy
 * allocates is counted, between counting = true and false.
 */
static _Thread_local bool counting;
static uint64_t nr_allocations, allocated_bytes, fail_in;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool count_allocation(size_t size)
{
	if (!counting)
		return true;
	nr_allocations++;
	allocated_bytes += size;
	return !fail_in || --fail_in;
}

void *__wrap_malloc(size_t size) { return count_allocation(size) ? __real_malloc(size) : NULL; }
void *__wrap_calloc(size_t n, size_t size) { return count_allocation(n * size) ? __real_calloc(n, size) : NULL; }
void *__wrap_realloc(void *old, size_t size) { return count_allocation(size) ? __real_realloc(old, size) : NULL; }

static int counted_create(const char *spec, uint32_t nr_cblocks, struct policy **out, struct cwt_error *err)
{
	int r;

	counting = true;
	r = policy_create(spec, nr_cblocks, 1, out, err);
	counting = false;
	return r;
}

/*
 * ------------------------------------------------------------------ a policy and what the engine knows beside it
 */
#define CBLOCKS_MAX 5000u
static const uint32_t sizes[] = { 1, 2, 3, 63, 64, 65, 1000, CBLOCKS_MAX };

struct rig {
	struct policy *p;
	uint32_t nr_cblocks, nr_mapped;
	bool mapped[CBLOCKS_MAX];
};

static const struct policy_ops *ops_of(int i) { return policy_all[i]; }

static int nr_policies(void)
{
	int n = 0;

	while (policy_all[n])
		n++;
	return n;
}

static void rig_open(struct rig *rig, const char *spec, uint32_t nr_cblocks)
{
	struct cwt_error err = { "" };

	memset(rig, 0, sizeof(*rig));
	rig->nr_cblocks = nr_cblocks;
	ck_assert_msg(!counted_create(spec, nr_cblocks, &rig->p, &err), "%s", err.text);
}

static void rig_close(struct rig *rig) { policy_destroy(rig->p); }

static void rig_map(struct rig *rig, uint32_t c, uint32_t o, uint8_t hint)
{
	counting = true;
	rig->p->ops->mapped(rig->p, CBLOCK(c), OBLOCK(o), hint);
	counting = false;
	rig->mapped[c] = true;
	rig->nr_mapped++;
}

static void rig_unmap(struct rig *rig, uint32_t c)
{
	counting = true;
	rig->p->ops->unmapped(rig->p, CBLOCK(c));
	counting = false;
	rig->mapped[c] = false;
	rig->nr_mapped--;
}

static enum policy_advice rig_miss(struct rig *rig, uint32_t o, bool is_write)
{
	enum policy_advice advice;

	counting = true;
	advice = rig->p->ops->miss(rig->p, OBLOCK(o), is_write, rig->nr_mapped < rig->nr_cblocks);
	counting = false;
	ck_assert(advice == POLICY_SKIP || advice == POLICY_PROMOTE);
	return advice;
}

static void rig_hit(struct rig *rig, uint32_t c, bool is_write)
{
	counting = true;
	policy_hit(rig->p, CBLOCK(c), is_write);
	counting = false;
}

static uint8_t rig_hint(struct rig *rig, uint32_t c)
{
	uint8_t hint;

	counting = true;
	hint = rig->p->ops->hint(rig->p, CBLOCK(c));
	counting = false;
	return hint;
}

static void rig_map_all(struct rig *rig)
{
	for (uint32_t c = 0; c < rig->nr_cblocks; c++)
		rig_map(rig, c, c, 0);
}

/* A proposal, checked; false if there is none, which is right only when nothing is mapped. */
static bool rig_victim(struct rig *rig, uint32_t *out)
{
	cblock_t c = CBLOCK(BLOCK_NONE);
	bool any;

	counting = true;
	any = rig->p->ops->victim(rig->p, &c);
	counting = false;
	if (!any) {
		ck_assert_uint_eq(rig->nr_mapped, 0);
		return false;
	}
	ck_assert_uint_lt(c.v, rig->nr_cblocks);
	ck_assert(rig->mapped[c.v]);
	*out = c.v;
	return true;
}

static uint32_t rig_free_cblock(const struct rig *rig)
{
	for (uint32_t c = 0; c < rig->nr_cblocks; c++)
		if (!rig->mapped[c])
			return c;
	return BLOCK_NONE;
}

/* One random thing that the engine may do. */
static void rig_random_step(struct rig *rig, struct random *r)
{
	uint32_t c = (uint32_t)random_below(r, rig->nr_cblocks), o = (uint32_t)random_below(r, 4 * rig->nr_cblocks);
	bool is_write = random_below(r, 2);

	switch (random_below(r, 8)) {
	case 0 ... 2:		/* also of an unmapped cblock: a late hit */
		rig_hit(rig, c, is_write);
		break;
	case 3 ... 5:
		if (rig_miss(rig, o, is_write) == POLICY_PROMOTE && rig->nr_mapped < rig->nr_cblocks)
			rig_map(rig, rig_free_cblock(rig), o, 0);
		break;
	case 6:			/* refused now and then */
		if (rig_victim(rig, &c) && random_below(r, 4))
			rig_unmap(rig, c);
		break;
	case 7:			/* invalidated */
		if (rig->mapped[c])
			rig_unmap(rig, c);
		break;
	}
}

/*
 * ------------------------------------------------------------------ the contract
 */
START_TEST(advice_and_victims_stay_within_bounds_under_random_use)
{
	struct random r = { .state = 7 };
	struct rig rig;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		rig_open(&rig, ops_of(_i)->name, sizes[i]);
		for (int n = 0; n < 4000; n++)
			rig_random_step(&rig, &r);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(an_empty_cache_has_no_victim)
{
	struct rig rig;
	uint32_t c;

	rig_open(&rig, ops_of(_i)->name, 100);
	ck_assert(!rig_victim(&rig, &c));
	rig_map(&rig, 42, 1, 0);
	rig_unmap(&rig, 42);
	ck_assert(!rig_victim(&rig, &c));
	rig_close(&rig);
}
END_TEST

START_TEST(the_only_mapped_cblock_is_the_victim)
{
	struct rig rig;
	uint32_t c;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		rig_open(&rig, ops_of(_i)->name, sizes[i]);
		rig_map(&rig, sizes[i] - 1, 1, POLICY_HINT_MAX);
		ck_assert(rig_victim(&rig, &c));
		ck_assert(rig_victim(&rig, &c));	/* and again: there is no other to propose first */
		rig_close(&rig);
	}
}
END_TEST

/* As many proposals as there are mapped cblocks, all refused: a permutation, whatever was hit before. */
START_TEST(a_refused_victim_returns_after_all_others)
{
	struct random r = { .state = 3 };
	bool proposed[CBLOCKS_MAX];
	struct rig rig;
	uint32_t c;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		rig_open(&rig, ops_of(_i)->name, sizes[i]);
		rig_map_all(&rig);
		for (uint32_t n = 0; n < 2 * sizes[i]; n++)
			rig_hit(&rig, (uint32_t)random_below(&r, sizes[i]), false);
		memset(proposed, 0, sizeof(proposed));
		for (uint32_t n = 0; n < sizes[i]; n++) {
			ck_assert(rig_victim(&rig, &c));
			ck_assert_msg(!proposed[c], "%u cblocks: %u proposed again at call %u", sizes[i], c, n);
			proposed[c] = true;
		}
		rig_close(&rig);
	}
}
END_TEST

START_TEST(a_block_that_is_always_hit_is_not_the_victim)
{
	struct rig rig;
	uint32_t c;

	rig_open(&rig, ops_of(_i)->name, 100);
	rig_map_all(&rig);
	for (uint32_t n = 0; n < 1000; n++) {
		rig_hit(&rig, 17, n % 2);
		ck_assert(rig_victim(&rig, &c));
		ck_assert_uint_ne(c, 17);
		rig_unmap(&rig, c);
		rig_miss(&rig, 1000 + n, false);
		rig_map(&rig, c, 1000 + n, 0);
	}
	rig_close(&rig);
}
END_TEST

START_TEST(a_miss_is_promoted_while_cblocks_are_free)
{
	struct rig rig;

	rig_open(&rig, ops_of(_i)->name, 100);
	for (uint32_t o = 0; o < 100; o++) {
		ck_assert_int_eq(rig_miss(&rig, o, false), POLICY_PROMOTE);
		rig_map(&rig, o, o, 0);
	}
	rig_close(&rig);
}
END_TEST

/* The bits kept across a restart order the blocks as use did: what was hit outlives what was not. */
START_TEST(hints_keep_the_hit_half_over_a_restart)
{
	struct rig before, after;
	uint32_t c;

	rig_open(&before, ops_of(_i)->name, 100);
	rig_map_all(&before);
	rig_miss(&before, 1000, false);
	for (uint32_t n = 0; n < 100; n += 2)
		rig_hit(&before, n, false);
	rig_open(&after, ops_of(_i)->name, 100);
	for (uint32_t n = 0; n < 100; n++)
		rig_map(&after, n, n, rig_hint(&before, n));
	for (int n = 0; n < 50; n++) {
		ck_assert(rig_victim(&after, &c));
		ck_assert_msg(c % 2, "%u was hit, and is demoted before half were", c);
		rig_unmap(&after, c);
	}
	rig_close(&before);
	rig_close(&after);
}
END_TEST

START_TEST(nothing_is_allocated_after_create)
{
	struct random r = { .state = 9 };
	uint64_t before;
	struct rig rig;

	rig_open(&rig, ops_of(_i)->name, 1000);
	ck_assert_uint_gt(nr_allocations, 0);	/* the counters are linked in */
	before = nr_allocations;
	for (int n = 0; n < 10000; n++)
		rig_random_step(&rig, &r);
	for (uint32_t c = 0; c < 1000; c++)
		rig_hint(&rig, c);
	ck_assert_uint_eq(nr_allocations, before);
	rig_close(&rig);
}
END_TEST

START_TEST(bytes_is_what_was_allocated_and_within_16_per_cblock)
{
	static const uint32_t nr_cblocks[] = { 1, 33, 1000, 1 << 20 };
	struct policy *p;

	for (size_t i = 0; i < ARRAY_SIZE(nr_cblocks); i++) {
		allocated_bytes = 0;
		ck_assert_int_eq(counted_create(ops_of(_i)->name, nr_cblocks[i], &p, NULL), 0);
		ck_assert_uint_eq(p->ops->bytes(p), allocated_bytes);
		ck_assert_uint_le(p->ops->bytes(p), 16ull * nr_cblocks[i] + 512);
		policy_destroy(p);
	}
}
END_TEST

START_TEST(out_of_memory_at_any_allocation_is_enomem_with_a_line)
{
	struct policy *p = NULL;
	struct cwt_error err;
	int r, n = 0;

	do {
		fail_in = (uint64_t)++n;
		err.text[0] = '\0';
		r = counted_create(ops_of(_i)->name, 1000, &p, &err);
		if (r) {
			ck_assert_int_eq(r, -ENOMEM);
			ck_assert_ptr_nonnull(strstr(err.text, ops_of(_i)->name));
		}
	} while (r);
	ck_assert_int_gt(n, 1);
	fail_in = 0;
	policy_destroy(p);
}
END_TEST

START_TEST(an_unknown_option_is_named_in_one_line)
{
	static const char *const wrong[] = { "nonsense=1", "nonsense", "=5", ",", " ghost=5" };
	struct cwt_error err;
	struct policy *p;
	char spec[64];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(spec, sizeof(spec), "%s,%s", ops_of(_i)->name, wrong[i]);
		err.text[0] = '\0';
		ck_assert_int_eq(policy_create(spec, 100, 1, &p, &err), -EINVAL);
		ck_assert_ptr_nonnull(strstr(err.text, ops_of(_i)->name));
		ck_assert_ptr_null(strchr(err.text, '\n'));
	}
	ck_assert_int_eq(policy_create("clock,nonsense=1", 100, 1, &p, NULL), -EINVAL);	/* err may be NULL */
}
END_TEST

START_TEST(help_is_one_line)
{
	ck_assert_uint_gt(strlen(ops_of(_i)->help), 0);
	ck_assert_ptr_null(strchr(ops_of(_i)->help, '\n'));
}
END_TEST

/* For ThreadSanitizer: hits from two threads, beside everything else under one lock (here: on one thread). */
static _Atomic bool hitters_stop;

static void *hitter(void *arg)
{
	struct rig *rig = arg;
	struct random r = { .state = (uint64_t)(uintptr_t)&r };

	while (!hitters_stop)
		policy_hit(rig->p, CBLOCK(random_below(&r, rig->nr_cblocks)), false);
	return NULL;
}

START_TEST(hits_run_beside_everything_else)
{
	struct random r = { .state = 5 };
	pthread_t threads[2];
	struct rig rig;

	rig_open(&rig, ops_of(_i)->name, 300);
	hitters_stop = false;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hitter, &rig), 0);
	for (int n = 0; n < 10000; n++) {
		rig_random_step(&rig, &r);
		rig_hint(&rig, (uint32_t)n % 300);
	}
	hitters_stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	rig_close(&rig);
}
END_TEST

/*
 * ------------------------------------------------------------------ the registry
 */
START_TEST(an_unknown_policy_names_those_there_are)
{
	static const char *const wrong[] = { "", "cloc", "clockk", "smq", ",", "Clock" };
	struct cwt_error err;
	struct policy *p;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		err.text[0] = '\0';
		ck_assert_int_eq(policy_create(wrong[i], 100, 1, &p, &err), -EINVAL);
		for (int n = 0; n < nr_policies(); n++)
			ck_assert_ptr_nonnull(strstr(err.text, ops_of(n)->name));
	}
}
END_TEST

START_TEST(the_default_is_one_of_them)
{
	struct policy *p;

	ck_assert_int_eq(policy_create(POLICY_DEFAULT, 100, 1, &p, NULL), 0);
	ck_assert_str_eq(p->ops->name, POLICY_DEFAULT);
	policy_destroy(p);
	policy_destroy(NULL);
}
END_TEST

static Suite *policy_suite(void)
{
	Suite *s = suite_create("policy contract");
	TCase *each = tcase_create("each policy"), *registry = tcase_create("registry");
	int n = nr_policies();

	tcase_set_timeout(each, 120);
	tcase_add_loop_test(each, advice_and_victims_stay_within_bounds_under_random_use, 0, n);
	tcase_add_loop_test(each, an_empty_cache_has_no_victim, 0, n);
	tcase_add_loop_test(each, the_only_mapped_cblock_is_the_victim, 0, n);
	tcase_add_loop_test(each, a_refused_victim_returns_after_all_others, 0, n);
	tcase_add_loop_test(each, a_block_that_is_always_hit_is_not_the_victim, 0, n);
	tcase_add_loop_test(each, a_miss_is_promoted_while_cblocks_are_free, 0, n);
	tcase_add_loop_test(each, hints_keep_the_hit_half_over_a_restart, 0, n);
	tcase_add_loop_test(each, nothing_is_allocated_after_create, 0, n);
	tcase_add_loop_test(each, bytes_is_what_was_allocated_and_within_16_per_cblock, 0, n);
	tcase_add_loop_test(each, out_of_memory_at_any_allocation_is_enomem_with_a_line, 0, n);
	tcase_add_loop_test(each, an_unknown_option_is_named_in_one_line, 0, n);
	tcase_add_loop_test(each, help_is_one_line, 0, n);
	tcase_add_loop_test(each, hits_run_beside_everything_else, 0, n);
	suite_add_tcase(s, each);
	tcase_add_test(registry, an_unknown_policy_names_those_there_are);
	tcase_add_test(registry, the_default_is_one_of_them);
	suite_add_tcase(s, registry);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(policy_suite());
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
