/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Synchronous writes (I11): answered after a flush of the origin that was issued when their origin legs had ended, with the
 * flush's errno if it fails; with both ways of being answered (released() or not).
 */
#include "engine-rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u

static struct rig rig;

/* Blocks [0, 3) are mapped; requests are synchronous from now on. */
static void start(bool early)
{
	static const struct rig_options o = { .nr_cblocks = 8 };

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 3);
	rig.early = early;
	rig.sync = true;
}

static void end(void)
{
	rig.sync = false;
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, rig.o.origin_size, 0), (int64_t)rig.o.origin_size);
	rig_check(&rig);
	rig_end(&rig);
}

static uint64_t nr_flushes(void) { return faulty_device_counts(rig.dev.origin).flushes; }

/* Turns and transfers, but no job: so no flush. */
static void settle_without_jobs(void)
{
	bool did;

	do {
		did = false;
		for (int i = 0; i < RIG_LOOPS; i++)
			did |= cwt_loop_turn(rig.loop[i]) > 0;
		for (; faulty_device_nr_pending(rig.dev.origin); did = true)
			faulty_device_step(rig.dev.origin, 0);
		for (; faulty_device_nr_pending(rig.dev.cache); did = true)
			faulty_device_step(rig.dev.cache, 0);
	} while (did);
}

static void run_flush_and_turn(void)
{
	ck_assert(engine_step_job(rig.e));
	for (int i = 0; i < RIG_LOOPS; i++)
		while (cwt_loop_turn(rig.loop[i]))
			;
}

/* A hit, a miss, both over several blocks, and zeros. */
static const struct { enum cwt_op op; uint64_t offset, len; } kinds[] = {
	{ CWT_WRITE, 100, 1000 }, { CWT_WRITE, 5 * BLOCK, 10 }, { CWT_WRITE, BLOCK + 1, 4 * BLOCK }, { CWT_PUNCH, BLOCK, 2 * BLOCK },
	{ CWT_ZERO, 17, 3 * BLOCK },
};

START_TEST(a_synchronous_write_is_answered_by_a_flush_after_it)
{
	for (unsigned i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		enum cwt_op op = kinds[i / 2].op;
		struct rig_request *q;
		uint64_t before;

		start(i % 2);
		before = nr_flushes();
		q = rig_begin(&rig, 0, op, kinds[i / 2].offset, kinds[i / 2].len, 0x51);
		settle_without_jobs();
		if (op != CWT_WRITE)
			run_flush_and_turn();	/* the job is its fallocate */
		ck_assert(!q->done);
		ck_assert_uint_eq(nr_flushes(), before);
		run_flush_and_turn();
		ck_assert_uint_eq(nr_flushes(), before + 1);
		ck_assert_int_eq(q->r.result, (int64_t)kinds[i / 2].len);
		rig_expect(&rig, kinds[i / 2].offset, kinds[i / 2].len, op == CWT_WRITE ? 0x51 : 0);
		rig_free(q);	/* released, too */
		end();
	}
}
END_TEST

START_TEST(synchronous_writes_and_fsyncs_that_wait_share_a_flush)
{
	struct rig_request *q[4];
	uint64_t before;

	start(true);
	before = nr_flushes();
	for (unsigned i = 0; i < 3; i++)
		q[i] = rig_begin(&rig, i % RIG_LOOPS, CWT_WRITE, 2 * i * BLOCK, BLOCK, 0x52);
	settle_without_jobs();
	q[3] = rig_begin(&rig, 1, CWT_FLUSH, 0, 0, 0);
	run_flush_and_turn();
	ck_assert_uint_eq(nr_flushes(), before + 1);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(q[i]->r.result, i < 3 ? BLOCK : 0);
		rig_free(q[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		rig_expect(&rig, 2 * i * BLOCK, BLOCK, 0x52);
	end();
}
END_TEST

/* Its errno to those that wait, and from then on to every synchronous write; others go on, and so does reading (E2). */
START_TEST(a_failed_flush_is_the_synchronous_writes_error_until_origin_ok)
{
	for (unsigned early = 0; early < 2; early++) {
		struct rig_request *q[2];

		start(early);
		rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -ENOSPC);
		q[0] = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x53);
		q[1] = rig_begin(&rig, 1, CWT_WRITE, 5 * BLOCK, BLOCK, 0x53);
		rig_settle(&rig);
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_int_eq(q[i]->r.result, -ENOSPC);
			rig_expect(&rig, 5 * i * BLOCK, BLOCK, 0x53);	/* of memory nothing is lost */
			rig_free(q[i]);
		}
		ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
		ck_assert_int_eq(rig_status(&rig).bypass, CWT_BYPASS_ORIGIN_FLUSH);
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x53), -ENOSPC);
		ck_assert_int_eq(rig_do(&rig, CWT_PUNCH, BLOCK, BLOCK, 0), -ENOSPC);
		rig_expect(&rig, BLOCK, BLOCK, 0);
		rig.sync = false;
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, 5, 0x54), 5);
		rig.sync = true;
		ck_assert_int_eq(rig_do(&rig, CWT_FLUSH, 0, 0, 0), -ENOSPC);
		ck_assert_int_eq(cwt_message(rig.e, "origin-ok", NULL), 0);
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x55), BLOCK);
		end();
	}
}
END_TEST

/* I14: what succeeded is a prefix, and that is durable; of nothing there is nothing to flush. */
START_TEST(the_prefix_of_a_synchronous_write_is_flushed_too)
{
	for (unsigned early = 0; early < 2; early++) {
		struct faulty_rule rule = { .kinds = FAULTY_WRITE, .error = -EIO, .offset_bytes = BLOCK, .len_bytes = BLOCK };
		struct faulty_rule no_flush = { .kinds = FAULTY_FLUSH, .error = -ENOSPC, .times = 1 };
		struct rig_request *q;
		uint64_t before;

		start(early);
		ck_assert_int_eq(faulty_device_add_rule(rig.dev.origin, &rule), 0);
		before = nr_flushes();
		q = rig_begin(&rig, 0, CWT_WRITE, 0, 2 * BLOCK, 0x56);
		settle_without_jobs();
		ck_assert(!q->done);
		run_flush_and_turn();
		ck_assert_uint_eq(nr_flushes(), before + 1);
		ck_assert_int_eq(q->r.result, BLOCK);
		rig_expect(&rig, 0, BLOCK, 0x56);
		rig_free(q);
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, BLOCK, BLOCK, 0x56), -EIO);
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 100 * BLOCK, 1, 0x56), -EFBIG);
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, 0, 0x56), 0);
		ck_assert_uint_eq(nr_flushes(), before + 1);
		ck_assert_int_eq(faulty_device_add_rule(rig.dev.origin, &no_flush), 0);
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, 2 * BLOCK, 0x56), -ENOSPC);
		ck_assert_int_eq(cwt_message(rig.e, "origin-ok", NULL), 0);
		faulty_device_clear_rules(rig.dev.origin);
		end();
	}
}
END_TEST

static struct rig_request *with_both_legs(bool cache_first)
{
	struct rig_request *q = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x57);

	rig_expect(&rig, 0, BLOCK, 0x57);
	while (cwt_loop_turn(rig.loop[0]))
		;
	faulty_device_step(rig.dev.origin, 0);
	while (cwt_loop_turn(rig.loop[0]))
		;
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 1);
	if (cache_first) {
		faulty_device_step(rig.dev.cache, 0);
		while (cwt_loop_turn(rig.loop[0]))
			;
	}
	ck_assert(!q->done);
	ck_assert(!q->released);
	run_flush_and_turn();
	ck_assert(q->done);
	ck_assert_int_eq(q->r.result, BLOCK);
	return q;
}

/* With a released() the flush does not wait for the cache leg, nor that for the flush; the buffer is ours after both. */
START_TEST(the_cache_leg_goes_on_beside_the_flush)
{
	struct rig_request *q;

	start(true);
	q = with_both_legs(false);
	ck_assert(!q->released);
	ck_assert_uint_eq(q->buf[BLOCK - 1], 0x57);
	rig_settle(&rig);
	rig_free(q);
	q = with_both_legs(true);
	rig_free(q);
	ck_assert(rig_mapped(&rig, 0));
	end();
}
END_TEST

/* Nor does the flush's failure hurt it: the block is gone, its leg is not. */
START_TEST(a_cache_leg_survives_the_failure_of_its_writes_flush)
{
	struct rig_request *q;

	start(true);
	rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x58);
	rig_expect(&rig, 0, BLOCK, 0x58);
	while (cwt_loop_turn(rig.loop[0]))
		;
	faulty_device_step(rig.dev.origin, 0);
	while (cwt_loop_turn(rig.loop[0]))
		;
	run_flush_and_turn();
	ck_assert_int_eq(q->r.result, -EIO);
	ck_assert(!q->released);
	ck_assert(!rig_mapped(&rig, 0));
	rig_settle(&rig);
	rig_free(q);
	ck_assert_int_eq(cwt_message(rig.e, "origin-ok", NULL), 0);
	end();
}
END_TEST

START_TEST(a_read_asks_for_no_flush)
{
	uint64_t before;

	start(true);
	before = nr_flushes();
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, 6 * BLOCK, 0), 6 * BLOCK);
	ck_assert_uint_eq(nr_flushes(), before);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-sync");
	TCase *tc = tcase_create("sync");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_synchronous_write_is_answered_by_a_flush_after_it);
	tcase_add_test(tc, synchronous_writes_and_fsyncs_that_wait_share_a_flush);
	tcase_add_test(tc, a_failed_flush_is_the_synchronous_writes_error_until_origin_ok);
	tcase_add_test(tc, the_prefix_of_a_synchronous_write_is_flushed_too);
	tcase_add_test(tc, the_cache_leg_goes_on_beside_the_flush);
	tcase_add_test(tc, a_cache_leg_survives_the_failure_of_its_writes_flush);
	tcase_add_test(tc, a_read_asks_for_no_flush);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
