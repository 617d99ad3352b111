/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is clock's own: the ghost's admission, and the order in which the hand demotes. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "policy/ghost.h"
#include "policy/policy.h"

static struct policy *open_clock(const char *spec, uint32_t nr_cblocks)
{
	struct cwt_error err = { "" };
	struct policy *p;

	ck_assert_msg(!policy_create(spec, nr_cblocks, 1, &p, &err), "%s", err.text);
	return p;
}

static struct policy *open_full(uint32_t nr_cblocks)
{
	struct policy *p = open_clock("clock", nr_cblocks);

	for (uint32_t c = 0; c < nr_cblocks; c++)
		p->ops->mapped(p, CBLOCK(c), OBLOCK(c), 0);
	return p;
}

static enum policy_advice miss(struct policy *p, uint32_t o) { return p->ops->miss(p, OBLOCK(o), false, false); }

static uint32_t victim(struct policy *p)
{
	cblock_t c;

	ck_assert(p->ops->victim(p, &c));
	return c.v;
}

START_TEST(the_second_miss_is_promoted)
{
	struct policy *p = open_full(64);

	ck_assert_int_eq(miss(p, 1000), POLICY_SKIP);
	ck_assert_int_eq(miss(p, 1001), POLICY_SKIP);
	ck_assert_int_eq(miss(p, 1000), POLICY_PROMOTE);
	policy_destroy(p);
}
END_TEST

START_TEST(refused_advice_is_given_again)
{
	struct policy *p = open_full(64);

	miss(p, 1000);
	ck_assert_int_eq(miss(p, 1000), POLICY_PROMOTE);
	ck_assert_int_eq(miss(p, 1000), POLICY_PROMOTE);
	policy_destroy(p);
}
END_TEST

START_TEST(a_demoted_block_must_miss_twice_again)
{
	struct policy *p = open_full(64);

	miss(p, 1000);
	ck_assert_int_eq(miss(p, 1000), POLICY_PROMOTE);
	p->ops->unmapped(p, CBLOCK(5));
	p->ops->mapped(p, CBLOCK(5), OBLOCK(1000), 0);
	p->ops->unmapped(p, CBLOCK(5));
	ck_assert_int_eq(miss(p, 1000), POLICY_SKIP);
	policy_destroy(p);
}
END_TEST

START_TEST(a_write_miss_counts_as_the_first)
{
	struct policy *p = open_full(64);

	ck_assert_int_eq(p->ops->miss(p, OBLOCK(1000), true, false), POLICY_SKIP);
	ck_assert_int_eq(miss(p, 1000), POLICY_PROMOTE);
	policy_destroy(p);
}
END_TEST

/* 64 cblocks, half as many entries: one bucket, and so an exact FIFO. */
START_TEST(the_ghost_remembers_half_as_many_misses_as_cblocks)
{
	struct policy *p = open_full(64);

	for (uint32_t o = 1000; o < 1033; o++)
		ck_assert_int_eq(miss(p, o), POLICY_SKIP);
	for (uint32_t o = 1001; o < 1033; o++)
		ck_assert_int_eq(miss(p, o), POLICY_PROMOTE);
	ck_assert_int_eq(miss(p, 1000), POLICY_SKIP);
	policy_destroy(p);
}
END_TEST

START_TEST(ghost_percent_sets_how_many_are_remembered)
{
	static const struct { const char *spec; uint32_t remembered; } cases[] = {
		{ "clock,ghost=1", 1 }, { "clock,ghost=10", 1 }, { "clock,ghost=100", 8 }, { "clock,ghost=400", 32 },
		{ "clock,ghost=10,ghost=50", 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy *p = open_clock(cases[i].spec, 8);
		uint32_t n = cases[i].remembered;

		for (uint32_t o = 1000; o <= 1000 + n; o++)
			ck_assert_int_eq(miss(p, o), POLICY_SKIP);
		ck_assert_int_eq(miss(p, 1001), POLICY_PROMOTE);
		ck_assert_int_eq(miss(p, 1000), POLICY_SKIP);
		policy_destroy(p);
	}
}
END_TEST

START_TEST(a_wrong_ghost_percent_names_value_and_range)
{
	static const char *const wrong[] = {
		"0", "401", "-1", "", "x", "50%", "5 0", "0x10", "99999999999", "4294967297",
	};
	struct cwt_error err;
	struct policy *p;
	char spec[64];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(spec, sizeof(spec), "clock,ghost=%s", wrong[i]);
		err.text[0] = '\0';
		ck_assert_int_eq(policy_create(spec, 64, 1, &p, &err), -EINVAL);
		snprintf(spec, sizeof(spec), "\"ghost=%s\"", wrong[i]);
		ck_assert_msg(strstr(err.text, spec) && strstr(err.text, "1 to 400"), "%s", err.text);
	}
	ck_assert_int_eq(policy_create("clock,", 64, 1, &p, &err), -EINVAL);
	ck_assert_int_eq(policy_create("clock,ghost", 64, 1, &p, &err), -EINVAL);
	ck_assert_int_eq(policy_create("clock,ghost=50,", 64, 1, &p, &err), -EINVAL);
	ck_assert_int_eq(policy_create("clock,ghost=50,,ghost=50", 64, 1, &p, &err), -EINVAL);
}
END_TEST

/* A scan of blocks that never return: after the free cblocks nothing but the rare twin of a fingerprint is promoted. */
START_TEST(a_scan_is_not_promoted)
{
	struct policy *p = open_full(10000);
	uint32_t nr_promoted = 0;

	for (uint32_t o = 100000; o < 200000; o++)
		nr_promoted += miss(p, o) == POLICY_PROMOTE;
	ck_assert_uint_lt(nr_promoted, 100);	/* expected 49: 32 in 65536 */
	policy_destroy(p);
}
END_TEST

/* Blocks that return within half of the memory are all found, in spite of uneven buckets. */
START_TEST(buckets_forget_little_too_early)
{
	struct ghost g;
	uint32_t nr_lost = 0;

	ck_assert_int_eq(ghost_open(&g, 6400, 1), 0);
	ck_assert_uint_eq(ghost_bytes(&g), 2 * 6400);
	for (uint32_t o = 0; o < 100000; o++) {
		ghost_add(&g, OBLOCK(o));
		if (o >= 3200)
			nr_lost += !ghost_has(&g, OBLOCK(o - 3200));
	}
	ck_assert_uint_lt(nr_lost, 100);	/* a bucket gets 32 or more where 16 are expected: 2 in 10000 */
	ghost_close(&g);
}
END_TEST

START_TEST(removing_a_fingerprint_leaves_the_others)
{
	struct ghost g;

	ck_assert_int_eq(ghost_open(&g, 8, 1), 0);
	for (uint32_t o = 0; o < 8; o++)
		ghost_add(&g, OBLOCK(o));
	ghost_remove(&g, OBLOCK(3));
	ghost_remove(&g, OBLOCK(100));
	for (uint32_t o = 0; o < 8; o++)
		ck_assert_int_eq(ghost_has(&g, OBLOCK(o)), o != 3);
	ghost_add(&g, OBLOCK(8));		/* takes the room of 3 */
	ck_assert(ghost_has(&g, OBLOCK(0)));
	ghost_add(&g, OBLOCK(9));		/* takes the oldest's */
	ck_assert(!ghost_has(&g, OBLOCK(0)));
	ck_assert(ghost_has(&g, OBLOCK(1)));
	ghost_close(&g);
}
END_TEST

START_TEST(the_hand_takes_the_unused_in_turn)
{
	struct policy *p = open_full(8);

	policy_hit(p, CBLOCK(0), false);
	policy_hit(p, CBLOCK(2), true);
	ck_assert_uint_eq(victim(p), 1);
	ck_assert_uint_eq(victim(p), 3);
	policy_destroy(p);
}
END_TEST

START_TEST(three_hits_survive_three_rounds_and_more_hits_no_more)
{
	struct policy *p = open_full(2);

	for (int i = 0; i < 100; i++)
		policy_hit(p, CBLOCK(0), false);
	for (int round = 0; round < 3; round++) {	/* the hand: past 0, to 1, which is demoted and mapped anew */
		ck_assert_uint_eq(victim(p), 1);
		p->ops->unmapped(p, CBLOCK(1));
		p->ops->mapped(p, CBLOCK(1), OBLOCK(100), 0);
	}
	ck_assert_uint_eq(victim(p), 0);
	policy_destroy(p);
}
END_TEST

START_TEST(hints_are_the_clock_bits)
{
	struct policy *p = open_full(8);

	for (int n = 0; n < 5; n++) {
		ck_assert_uint_eq(p->ops->hint(p, CBLOCK(3)), MIN(n, 3));
		policy_hit(p, CBLOCK(3), false);
	}
	p->ops->unmapped(p, CBLOCK(3));
	p->ops->mapped(p, CBLOCK(3), OBLOCK(9), 2);
	ck_assert_uint_eq(p->ops->hint(p, CBLOCK(3)), 2);
	p->ops->unmapped(p, CBLOCK(3));
	p->ops->mapped(p, CBLOCK(3), OBLOCK(9), POLICY_HINT_MAX);	/* written by another policy */
	ck_assert_uint_eq(p->ops->hint(p, CBLOCK(3)), 3);
	policy_destroy(p);
}
END_TEST

/* A million cblocks, all hot: one proposal changes at most some hundred counts. */
START_TEST(a_proposal_looks_at_some_hundred_cblocks_only)
{
	const uint32_t nr = 1 << 20;
	struct policy *p = open_clock("clock", nr);
	uint32_t nr_changed = 0;

	for (uint32_t c = 0; c < nr; c++)
		p->ops->mapped(p, CBLOCK(c), OBLOCK(c), 3);
	victim(p);
	for (uint32_t c = 0; c < nr; c++)
		nr_changed += p->ops->hint(p, CBLOCK(c)) != 3;
	ck_assert_uint_gt(nr_changed, 0);
	ck_assert_uint_le(nr_changed, 512);
	policy_destroy(p);
}
END_TEST

START_TEST(memory_is_at_most_six_bytes_per_cblock)
{
	struct policy *p = open_clock("clock", 1 << 20);

	ck_assert_uint_le(p->ops->bytes(p), 6ull << 20);
	ck_assert_uint_le(p->ops->bytes(p), (2ull << 20) + (1ull << 18));	/* what the head of clock.c says: 2.1 */
	policy_destroy(p);
}
END_TEST

static Suite *clock_suite(void)
{
	Suite *s = suite_create("policy clock");
	TCase *admission = tcase_create("admission"), *demotion = tcase_create("demotion");

	tcase_add_test(admission, the_second_miss_is_promoted);
	tcase_add_test(admission, refused_advice_is_given_again);
	tcase_add_test(admission, a_demoted_block_must_miss_twice_again);
	tcase_add_test(admission, a_write_miss_counts_as_the_first);
	tcase_add_test(admission, the_ghost_remembers_half_as_many_misses_as_cblocks);
	tcase_add_test(admission, ghost_percent_sets_how_many_are_remembered);
	tcase_add_test(admission, a_wrong_ghost_percent_names_value_and_range);
	tcase_add_test(admission, a_scan_is_not_promoted);
	tcase_add_test(admission, buckets_forget_little_too_early);
	tcase_add_test(admission, removing_a_fingerprint_leaves_the_others);
	suite_add_tcase(s, admission);
	tcase_set_timeout(demotion, 60);
	tcase_add_test(demotion, the_hand_takes_the_unused_in_turn);
	tcase_add_test(demotion, three_hits_survive_three_rounds_and_more_hits_no_more);
	tcase_add_test(demotion, hints_are_the_clock_bits);
	tcase_add_test(demotion, a_proposal_looks_at_some_hundred_cblocks_only);
	tcase_add_test(demotion, memory_is_at_most_six_bytes_per_cblock);
	suite_add_tcase(s, demotion);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(clock_suite());
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
