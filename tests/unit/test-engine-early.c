/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes that are answered when the origin has them: what may happen between the answer and the end of the cache leg, and
 * that nobody can tell the difference.
 */
#include "engine-rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u

static void turn(struct rig *rig)
{
	for (int i = 0; i < RIG_LOOPS; i++)
		while (cwt_loop_turn(rig->loop[i]))
			;
}

/* Blocks [0, 3) are mapped and committed; requests are answered early from now on. */
static void start(struct rig *rig, const struct rig_options *o)
{
	rig_start(rig, o);
	rig_warm(rig, 0, 3);
	ck_assert_int_eq(cwt_message(rig->e, "commit", NULL), 0);
	rig->early = true;
}

/* A write that is answered, its cache legs issued and not ended. */
static struct rig_request *answered_write(struct rig *rig, uint64_t offset, uint64_t len, uint8_t byte)
{
	struct rig_request *q = rig_begin(rig, 0, CWT_WRITE, offset, len, byte);

	while (!q->done) {
		turn(rig);
		if (faulty_device_nr_pending(rig->dev.origin))
			faulty_device_step(rig->dev.origin, 0);
		else if (!q->done)
			ck_assert(engine_step_job(rig->e));	/* the flush of its region mark */
	}
	turn(rig);
	ck_assert_int_eq(q->r.result, (int64_t)len);
	ck_assert(!q->released);
	ck_assert_uint_gt(faulty_device_nr_pending(rig->dev.cache), 0);
	rig_expect(rig, offset, len, byte);
	return q;
}

static void end(struct rig *rig)
{
	for (uint32_t o = 0; o < rig->e->nr_oblocks; o++)
		rig_do(rig, CWT_READ, (uint64_t)o * BLOCK, engine_block_len(rig->e, OBLOCK(o)), 0);
	rig_check(rig);
	rig_end(rig);
}

/* The rig spoils a buffer that is given back: given back too early, the cache gets that. */
START_TEST(a_write_is_answered_between_its_legs_and_released_after_both)
{
	struct rig_request *q;
	struct rig rig;

	start(&rig, NULL);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x41);
	turn(&rig);
	ck_assert(!q->done);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.origin), 1);
	faulty_device_step(rig.dev.origin, 0);
	turn(&rig);
	ck_assert(q->done);
	ck_assert(!q->released);
	ck_assert_uint_eq(q->buf[BLOCK - 1], 0x41);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 1);
	faulty_device_step(rig.dev.cache, 0);
	ck_assert(!q->released);
	turn(&rig);
	ck_assert(q->released);
	rig_expect(&rig, 0, BLOCK, 0x41);
	rig_free(q);
	ck_assert(rig_mapped(&rig, 0));
	end(&rig);
}
END_TEST

/* W1: the cache still has the old data, and would give it. */
START_TEST(a_read_between_answer_and_cache_leg_waits_and_sees_the_new_data)
{
	struct rig_request *write, *same, *other;
	struct rig rig;

	start(&rig, NULL);
	write = answered_write(&rig, 100, 1000, 0x42);
	same = rig_begin(&rig, 1, CWT_READ, 0, BLOCK, 0);
	other = rig_begin(&rig, 1, CWT_READ, 1100, 100, 0);
	turn(&rig);
	ck_assert_uint_eq(rig_status(&rig).parked, 1);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 2);	/* the leg, and the read of what nobody writes */
	faulty_device_step(rig.dev.cache, 1);
	turn(&rig);
	ck_assert(other->done);
	ck_assert(!same->done);
	rig_settle(&rig);
	ck_assert(!memcmp(same->buf, rig.expect, BLOCK));
	ck_assert_uint_eq(rig_status(&rig).write_hits, 1);
	rig_free(write);
	rig_free(same);
	rig_free(other);
	end(&rig);
}
END_TEST

/* I4: else the second one's cache leg could be ahead of the first one's. */
START_TEST(an_overlapping_write_waits_for_the_cache_leg_of_an_answered_one)
{
	struct rig_request *first, *second, *beside;
	struct rig rig;

	start(&rig, NULL);
	first = answered_write(&rig, 0, 2000, 0x43);
	second = rig_begin(&rig, 1, CWT_WRITE, 1000, 2000, 0x44);
	beside = rig_begin(&rig, 1, CWT_WRITE, 3000, 1000, 0x45);
	turn(&rig);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.origin), 1);
	faulty_device_step(rig.dev.origin, 0);
	turn(&rig);
	ck_assert(beside->done);
	ck_assert(!second->done);
	rig_settle(&rig);
	rig_expect(&rig, 1000, 2000, 0x44);
	rig_expect(&rig, 3000, 1000, 0x45);
	rig_free(first);
	rig_free(second);
	rig_free(beside);
	ck_assert(rig_mapped(&rig, 0));
	end(&rig);
}
END_TEST

/* W4, I12: too late to tell anybody, and not needed. */
START_TEST(a_cache_leg_that_fails_after_the_answer_unmaps_the_block)
{
	struct rig_request *write, *read;
	struct rig rig;

	start(&rig, NULL);
	rig_fail(rig.dev.cache, FAULTY_WRITE, 0, 1, -EIO);
	write = answered_write(&rig, 0, BLOCK, 0x46);
	read = rig_begin(&rig, 0, CWT_READ, 0, BLOCK, 0);
	turn(&rig);
	faulty_device_step(rig.dev.cache, 0);
	turn(&rig);
	ck_assert(write->released);
	ck_assert_int_eq(write->r.result, BLOCK);
	ck_assert(!rig_mapped(&rig, 0));
	rig_settle(&rig);
	ck_assert_int_eq(read->r.result, BLOCK);
	ck_assert(!memcmp(read->buf, rig.expect, BLOCK));
	ck_assert_uint_eq(rig_status(&rig).cache_write_errors, 1);
	rig_free(write);
	rig_free(read);
	end(&rig);
}
END_TEST

/* Let the origin legs of a write to three blocks end in the order given; the leg of block 1 fails. */
static void fail_the_middle(const unsigned order[3])
{
	struct faulty_rule rule = { .kinds = FAULTY_WRITE, .times = 1, .error = -EIO, .offset_bytes = BLOCK, .len_bytes = BLOCK };
	struct rig_request *q;
	struct rig rig;

	start(&rig, NULL);
	ck_assert_int_eq(faulty_device_add_rule(rig.dev.origin, &rule), 0);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, 3 * BLOCK, 0x47);
	turn(&rig);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!q->done);
		ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.origin), 3 - i);
		faulty_device_step(rig.dev.origin, order[i]);
		turn(&rig);
	}
	ck_assert(q->done);
	ck_assert_int_eq(q->r.result, BLOCK);
	ck_assert(!q->released);
	ck_assert(!rig_mapped(&rig, 1));	/* before the answer: who was told may read at once */
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 2);
	rig_settle(&rig);
	ck_assert_int_eq(q->r.result, BLOCK);
	rig_expect(&rig, 0, BLOCK, 0x47);
	rig_expect(&rig, 2 * BLOCK, BLOCK, 0x47);
	rig_free(q);
	end(&rig);
}

/* I14.  order: of those that are left, which one ends next. */
START_TEST(an_early_answer_is_the_prefix_that_the_origin_has)
{
	static const unsigned orders[][3] = { { 0, 0, 0 }, { 0, 1, 0 }, { 1, 0, 0 }, { 1, 1, 0 }, { 2, 0, 0 }, { 2, 1, 0 } };

	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		fail_the_middle(orders[i]);
}
END_TEST

/* Of a request that is not cut up whole, as the pool is used up, what is under way is not all. */
START_TEST(a_write_larger_than_the_pool_is_answered_when_all_of_it_is_on_the_origin)
{
	struct rig_options o = { .origin_size = (BREQS_PER_LOOP + 100ull) * BLOCK, .nr_cblocks = 8 };
	struct rig_request *q;
	struct rig rig;

	start(&rig, &o);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, o.origin_size, 0x48);
	while (turn(&rig), !q->done)
		faulty_device_step(rig.dev.origin, 0);
	ck_assert_int_eq(q->r.result, (int64_t)o.origin_size);
	rig_expect(&rig, 0, o.origin_size, 0x48);
	ck_assert(!memcmp(memory_device_bytes(rig.origin_memory), rig.expect, o.origin_size));
	ck_assert(!q->released);
	rig_settle(&rig);
	rig_free(q);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* rig_free() asks whether each was released, once and after its answer. */
START_TEST(requests_with_nothing_to_follow_are_released_with_their_answer)
{
	struct rig_options ro = { .read_only = true }, around = { .mode = CWT_WRITEAROUND };
	struct rig rig;

	start(&rig, NULL);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 10, 2 * BLOCK, 0), 2 * BLOCK);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 100 * BLOCK, 1, 0), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 5 * BLOCK, BLOCK, 0x49), BLOCK);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 100 * BLOCK, 1, 0), -EFBIG);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, 0, 0), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_FLUSH, 0, 0, 0), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_PUNCH, 100, BLOCK, 0), BLOCK);
	ck_assert_int_eq(rig_do(&rig, CWT_ZERO, BLOCK, 2 * BLOCK, 0), 2 * BLOCK);
	end(&rig);
	start(&rig, &around);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, 2 * BLOCK, 0x4a), 2 * BLOCK);
	end(&rig);
	start(&rig, &ro);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, 1, 0), -EROFS);
	rig_end(&rig);
}
END_TEST

/* I11: an fsync asks the origin, which has it. */
START_TEST(an_fsync_does_not_wait_for_the_cache_leg_of_an_answered_write)
{
	struct rig_request *write, *flush;
	struct rig rig;

	start(&rig, NULL);
	write = answered_write(&rig, 0, BLOCK, 0x4b);
	flush = rig_begin(&rig, 0, CWT_FLUSH, 0, 0, 0);
	while (!flush->done) {
		ck_assert(engine_step_job(rig.e));
		turn(&rig);
	}
	ck_assert_int_eq(flush->r.result, 0);
	ck_assert(!write->released);
	rig_settle(&rig);
	rig_free(write);
	rig_free(flush);
	end(&rig);
}
END_TEST

/* S1: a loop is closed when everything is released, so the cache has it all, and the next start is warm. */
START_TEST(a_stop_after_an_early_answer_ends_the_cache_leg_first)
{
	struct rig_request *q;
	struct rig rig;

	start(&rig, NULL);
	q = answered_write(&rig, 0, 2 * BLOCK, 0x4c);
	ck_assert_int_eq(rig_stop(&rig), 0);
	rig_free(q);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	for (uint32_t o = 0; o < 3; o++)
		ck_assert(rig_mapped(&rig, o));
	end(&rig);
}
END_TEST

static void die_and_expect_unmapped(struct rig *rig, struct rig_request *q, bool power)
{
	rig_kill(rig);
	rig->boot += power;
	free(q->buf);
	free(q);
	ck_assert_int_eq(rig_open(rig, false), 0);
	ck_assert(!rig_mapped(rig, 0));
	end(rig);
}

/* B1 */
START_TEST(a_kill_between_answer_and_cache_leg_shows_the_new_data)
{
	struct rig_request *q;
	struct rig rig;

	start(&rig, NULL);
	q = answered_write(&rig, 0, BLOCK, 0x4d);
	marks_write_stale(rig.e);
	die_and_expect_unmapped(&rig, q, false);
}
END_TEST

/* C1: a commit in between flushes the cache before the leg has ended, so it must not clear the region's mark. */
START_TEST(a_commit_between_answer_and_cache_leg_keeps_the_region_mark)
{
	struct rig_options o = { .nr_cblocks = 8, .warm_after_power = true };
	struct rig_request *q;
	struct rig rig;

	start(&rig, &o);
	q = answered_write(&rig, 0, BLOCK, 0x4e);
	ck_assert_int_eq(cwt_message(rig.e, "invalidate 8192 1", NULL), 0);	/* something to commit */
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	while (engine_step_job(rig.e))
		;
	die_and_expect_unmapped(&rig, q, true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-early");
	TCase *tc = tcase_create("early");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_write_is_answered_between_its_legs_and_released_after_both);
	tcase_add_test(tc, a_read_between_answer_and_cache_leg_waits_and_sees_the_new_data);
	tcase_add_test(tc, an_overlapping_write_waits_for_the_cache_leg_of_an_answered_one);
	tcase_add_test(tc, a_cache_leg_that_fails_after_the_answer_unmaps_the_block);
	tcase_add_test(tc, an_early_answer_is_the_prefix_that_the_origin_has);
	tcase_add_test(tc, a_write_larger_than_the_pool_is_answered_when_all_of_it_is_on_the_origin);
	tcase_add_test(tc, requests_with_nothing_to_follow_are_released_with_their_answer);
	tcase_add_test(tc, an_fsync_does_not_wait_for_the_cache_leg_of_an_answered_write);
	tcase_add_test(tc, a_stop_after_an_early_answer_ends_the_cache_leg_first);
	tcase_add_test(tc, a_kill_between_answer_and_cache_leg_shows_the_new_data);
	tcase_add_test(tc, a_commit_between_answer_and_cache_leg_keeps_the_region_mark);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
