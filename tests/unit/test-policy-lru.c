/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is lru's own: the order in which blocks are demoted, compared with a list that is moved at every use. */
#include <check.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/random.h"
#include "policy/policy.h"

#define NR 200u

static struct policy *open_lru(uint32_t nr_cblocks)
{
	struct cwt_error err = { "" };
	struct policy *p;

	ck_assert_msg(!policy_create("lru", nr_cblocks, 1, &p, &err), "%s", err.text);
	return p;
}

static uint32_t victim(struct policy *p)
{
	cblock_t c;

	ck_assert(p->ops->victim(p, &c));
	return c.v;
}

static void miss(struct policy *p, uint32_t o)
{
	ck_assert_int_eq(p->ops->miss(p, OBLOCK(o), o % 2, o % 3 == 0), POLICY_PROMOTE);
}

START_TEST(every_miss_is_promoted)
{
	struct policy *p = open_lru(8);

	for (uint32_t o = 0; o < 1000; o++)
		miss(p, o);
	policy_destroy(p);
}
END_TEST

/* With a miss between any two hits nothing shares a stamp, and the order is exact. */
START_TEST(victims_come_in_the_order_of_last_use)
{
	struct random r = { .state = 1 };
	struct policy *p = open_lru(NR);
	uint64_t used[NR], now = 0;
	uint32_t c;

	for (c = 0; c < NR; c++) {
		p->ops->mapped(p, CBLOCK(c), OBLOCK(c), 0);
		used[c] = ++now;
	}
	for (int n = 0; n < 20000; n++) {
		uint32_t oldest = 0;

		miss(p, 1000 + (uint32_t)n);
		if (random_below(&r, 4)) {
			c = (uint32_t)random_below(&r, NR);
			policy_hit(p, CBLOCK(c), false);
			used[c] = ++now;
			continue;
		}
		for (c = 1; c < NR; c++)
			if (used[c] < used[oldest])
				oldest = c;
		ck_assert_uint_eq(victim(p), oldest);
		p->ops->unmapped(p, CBLOCK(oldest));
		p->ops->mapped(p, CBLOCK(oldest), OBLOCK(1000 + n), 0);
		used[oldest] = ++now;
	}
	policy_destroy(p);
}
END_TEST

START_TEST(a_cblock_unmapped_and_mapped_again_is_new)
{
	struct policy *p = open_lru(3);

	for (uint32_t c = 0; c < 3; c++)
		p->ops->mapped(p, CBLOCK(c), OBLOCK(c), 0);
	p->ops->unmapped(p, CBLOCK(0));			/* invalidated: its heap entry is old */
	p->ops->mapped(p, CBLOCK(0), OBLOCK(10), 0);
	ck_assert_uint_eq(victim(p), 1);
	ck_assert_uint_eq(victim(p), 2);
	ck_assert_uint_eq(victim(p), 0);
	policy_destroy(p);
}
END_TEST

/* All of many blocks were hit since: bounded work, and still a mapped one that was not just hit again. */
START_TEST(many_stale_keys_do_not_make_the_newest_the_victim)
{
	const uint32_t nr = 10000;
	struct policy *p = open_lru(nr);
	uint32_t c;

	for (c = 0; c < nr; c++)
		p->ops->mapped(p, CBLOCK(c), OBLOCK(c), 0);
	for (c = 0; c < nr; c++) {
		miss(p, nr + c);
		policy_hit(p, CBLOCK(c), false);
	}
	for (int n = 0; n < 100; n++)
		ck_assert_uint_lt(victim(p), nr - 1);
	policy_destroy(p);
}
END_TEST

START_TEST(hints_fall_with_age_and_are_never_0_for_a_mapped_block)
{
	struct policy *p = open_lru(NR);
	uint8_t last = 0;

	for (uint32_t c = 0; c < NR - 1; c++)
		p->ops->mapped(p, CBLOCK(c), OBLOCK(c), 0);
	for (uint32_t c = 0; c < NR - 1; c++) {
		uint8_t hint = p->ops->hint(p, CBLOCK(c));

		ck_assert_uint_ge(hint, MAX(last, 1));
		last = hint;
	}
	ck_assert_uint_eq(p->ops->hint(p, CBLOCK(0)), 1);
	ck_assert_uint_eq(p->ops->hint(p, CBLOCK(NR - 2)), POLICY_HINT_MAX);
	ck_assert_uint_eq(p->ops->hint(p, CBLOCK(NR - 1)), 0);
	policy_destroy(p);
}
END_TEST

START_TEST(loaded_blocks_go_by_hint_and_before_all_promoted_ones)
{
	struct policy *p = open_lru(4);

	p->ops->mapped(p, CBLOCK(0), OBLOCK(0), 200);
	p->ops->mapped(p, CBLOCK(1), OBLOCK(1), 3);
	p->ops->mapped(p, CBLOCK(2), OBLOCK(2), POLICY_HINT_MAX);
	p->ops->mapped(p, CBLOCK(3), OBLOCK(3), 0);
	ck_assert_uint_eq(victim(p), 1);
	ck_assert_uint_eq(victim(p), 0);
	ck_assert_uint_eq(victim(p), 2);
	ck_assert_uint_eq(victim(p), 3);
	policy_destroy(p);
}
END_TEST

static Suite *lru_suite(void)
{
	Suite *s = suite_create("policy lru");
	TCase *t = tcase_create("order");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, every_miss_is_promoted);
	tcase_add_test(t, victims_come_in_the_order_of_last_use);
	tcase_add_test(t, a_cblock_unmapped_and_mapped_again_is_new);
	tcase_add_test(t, many_stale_keys_do_not_make_the_newest_the_victim);
	tcase_add_test(t, hints_fall_with_age_and_are_never_0_for_a_mapped_block);
	tcase_add_test(t, loaded_blocks_go_by_hint_and_before_all_promoted_ones);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(lru_suite());
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
