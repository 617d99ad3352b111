/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The front door (engine/door.h): one large or slow request does not hold up others, and is not held up for ever by them. */
#include "engine-rig.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
#define NR_BLOCKS 4096u
#define LARGE (256u * BLOCK)
#define NR_LARGE 8u			/* more blocks than any door has slots */

/* Blocks 0 and 1 are cached. */
static void start(struct rig *rig)
{
	struct rig_options o = { .origin_size = (uint64_t)NR_BLOCKS * BLOCK, .nr_cblocks = 256 };

	rig_start(rig, &o);
	rig_warm(rig, 0, 2);
}

static void end(struct rig *rig)
{
	rig_check(rig);
	rig_end(rig);
}

/* Let q end by what the cache does alone: neither a job nor a transfer of the origin. */
static void end_by_the_cache(struct rig *rig, struct rig_request *q)
{
	for (unsigned i = 0; !q->done; i++) {
		ck_assert_msg(i < 10000, "it waits for what was there before it");
		cwt_loop_turn(rig->loop[0]);
		if (faulty_device_nr_pending(rig->dev.cache))
			faulty_device_step(rig->dev.cache, 0);
	}
}

static void expect_cached_read(struct rig *rig)
{
	struct rig_request *q = rig_begin(rig, 0, CWT_READ, BLOCK / 2, BLOCK, 0);

	end_by_the_cache(rig, q);
	ck_assert_int_eq(q->r.result, BLOCK);
	ck_assert(!memcmp(q->buf, rig->expect + BLOCK / 2, BLOCK));
	rig_free(q);
}

static void begin_large(struct rig *rig, enum cwt_op op, struct rig_request **q)
{
	for (unsigned i = 0; i < NR_LARGE; i++)
		q[i] = rig_begin(rig, 0, op, LARGE + (uint64_t)i * LARGE, LARGE, 0x51);
	for (unsigned i = 0; i < 4; i++)
		cwt_loop_turn(rig->loop[0]);
}

static void end_large(struct rig *rig, struct rig_request **q)
{
	rig_settle(rig);
	for (unsigned i = 0; i < NR_LARGE; i++) {
		ck_assert_int_eq(q[i]->r.result, LARGE);
		if (q[i]->r.op == CWT_WRITE)
			rig_expect(rig, q[i]->r.offset_bytes, LARGE, 0x51);
		rig_free(q[i]);
	}
}

START_TEST(a_cached_read_passes_a_punch_of_the_whole_disk)
{
	struct rig_request *punch;
	struct rig rig;

	start(&rig);
	punch = rig_begin(&rig, 0, CWT_PUNCH, 2 * BLOCK, (NR_BLOCKS - 2ull) * BLOCK, 0);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_uint_eq(rig.loop[0]->doors[DOOR_ZEROS].nr_free, 0);
	expect_cached_read(&rig);
	ck_assert(!punch->done);
	rig_settle(&rig);
	ck_assert_int_eq(punch->r.result, (NR_BLOCKS - 2ll) * BLOCK);
	rig_expect(&rig, 2 * BLOCK, (NR_BLOCKS - 2ull) * BLOCK, 0);
	rig_free(punch);
	end(&rig);
}
END_TEST

START_TEST(a_cached_read_passes_large_writes_to_an_origin_that_does_not_answer)
{
	struct rig_request *q[NR_LARGE];
	struct rig rig;

	start(&rig);
	begin_large(&rig, CWT_WRITE, q);
	ck_assert_uint_eq(rig.loop[0]->doors[DOOR_WRITES].nr_free, 0);
	expect_cached_read(&rig);
	ck_assert(!q[0]->done);
	end_large(&rig, q);
	end(&rig);
}
END_TEST

START_TEST(a_cached_read_passes_large_reads_of_an_origin_that_does_not_answer)
{
	struct rig_request *q[NR_LARGE];
	struct rig rig;

	start(&rig);
	begin_large(&rig, CWT_READ, q);
	ck_assert_uint_eq(rig.loop[0]->doors[DOOR_READS].nr_free, 0);
	expect_cached_read(&rig);
	ck_assert(!q[0]->done);
	end_large(&rig, q);
	end(&rig);
}
END_TEST

START_TEST(a_large_read_passes_large_writes_to_an_origin_that_does_not_answer)
{
	struct rig_request *q[NR_LARGE], *read;
	struct rig rig;

	start(&rig);
	rig_warm(&rig, 0, 8);
	begin_large(&rig, CWT_WRITE, q);
	read = rig_begin(&rig, 0, CWT_READ, 0, 8 * BLOCK, 0);
	end_by_the_cache(&rig, read);
	ck_assert(!q[0]->done);
	rig_free(read);
	end_large(&rig, q);
	end(&rig);
}
END_TEST

START_TEST(a_punch_passes_large_writes_and_they_pass_it)
{
	struct rig_request *q[NR_LARGE], *punch, *write;
	struct rig rig;

	start(&rig);
	begin_large(&rig, CWT_WRITE, q);
	punch = rig_begin(&rig, 0, CWT_PUNCH, 20ull * LARGE / 2, 8 * BLOCK, 0);
	for (unsigned i = 0; !punch->done; i++) {
		ck_assert_uint_lt(i, 100);
		cwt_loop_turn(rig.loop[0]);
		engine_step_job(rig.e);
	}
	ck_assert(!q[0]->done);
	rig_expect(&rig, punch->r.offset_bytes, 8 * BLOCK, 0);
	rig_free(punch);
	end_large(&rig, q);

	punch = rig_begin(&rig, 0, CWT_PUNCH, 2 * BLOCK, 12 * (uint64_t)LARGE, 0);
	cwt_loop_turn(rig.loop[0]);
	write = rig_begin(&rig, 0, CWT_WRITE, 14 * (uint64_t)LARGE, LARGE, 0x52);
	for (unsigned i = 0; !write->done; i++) {
		ck_assert_uint_lt(i, 10000);
		cwt_loop_turn(rig.loop[0]);
		if (faulty_device_nr_pending(rig.dev.origin))
			faulty_device_step(rig.dev.origin, 0);
	}
	ck_assert(!punch->done);
	rig_expect(&rig, write->r.offset_bytes, LARGE, 0x52);
	rig_free(write);
	rig_settle(&rig);
	rig_expect(&rig, 2 * BLOCK, 12 * (uint64_t)LARGE, 0);
	rig_free(punch);
	end(&rig);
}
END_TEST

/* Each kind in turn is the one that others pass, at every moment: whoever ends is replaced by one of its kind. */
static void pass_for_ever(enum cwt_op op, uint64_t len)
{
	struct rig_request *small[DOOR_NARROW_SLOTS + 50], *q[NR_LARGE], *last;
	const unsigned nr_small = sizeof(small) / sizeof(small[0]);
	struct rig rig;

	start(&rig);
	begin_large(&rig, CWT_WRITE, q);
	for (unsigned i = 0; i < nr_small; i++)
		small[i] = rig_begin(&rig, 0, CWT_READ, (NR_BLOCKS - 1ull - i % 100) * BLOCK, 512, 0);
	last = rig_begin(&rig, 0, op, 15ull * LARGE, len, 0x53);
	for (unsigned steps = 0; !last->done; steps++) {
		ck_assert_msg(steps < 200000, "passed for ever");
		for (unsigned i = 0; i < nr_small; i++) {
			if (!small[i]->done)
				continue;
			rig_free(small[i]);
			small[i] = rig_begin(&rig, 0, CWT_READ, (NR_BLOCKS - 1ull - steps % 100) * BLOCK, 512, 0);
		}
		rig_step(&rig);
	}
	rig_expect(&rig, last->r.offset_bytes, len, op == CWT_WRITE ? 0x53 : 0);
	rig_free(last);
	end_large(&rig, q);
	for (unsigned i = 0; i < nr_small; i++)
		rig_free(small[i]);
	end(&rig);
}

START_TEST(who_is_passed_gets_on_with_what_its_own_kind_gives_back)
{
	pass_for_ever(CWT_WRITE, 200 * BLOCK);
	pass_for_ever(CWT_PUNCH, 200 * BLOCK);
}
END_TEST

/* I13: what was taken is given back to whom it was taken from. */
START_TEST(every_door_has_all_its_slots_again_at_the_end)
{
	static const enum cwt_op ops[] = { CWT_READ, CWT_WRITE, CWT_PUNCH, CWT_ZERO };
	struct rig_request *q[64];
	struct rig rig;

	start(&rig);
	for (unsigned i = 0; i < 64; i++)
		q[i] = rig_begin(&rig, i % RIG_LOOPS, ops[i % 4], (uint64_t)(i * 37 % 500) * 1000, 1 + i * i * 1000, 0);
	rig_settle(&rig);
	for (unsigned i = 0; i < 64; i++)
		rig_free(q[i]);
	for (unsigned i = 0; i < RIG_LOOPS; i++)
		ck_assert(doors_idle(rig.loop[i]));
	memcpy(rig.expect, memory_device_bytes(rig.origin_memory), rig.o.origin_size);
	end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-door");
	TCase *tc = tcase_create("door");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_cached_read_passes_a_punch_of_the_whole_disk);
	tcase_add_test(tc, a_cached_read_passes_large_writes_to_an_origin_that_does_not_answer);
	tcase_add_test(tc, a_cached_read_passes_large_reads_of_an_origin_that_does_not_answer);
	tcase_add_test(tc, a_large_read_passes_large_writes_to_an_origin_that_does_not_answer);
	tcase_add_test(tc, a_punch_passes_large_writes_and_they_pass_it);
	tcase_add_test(tc, who_is_passed_gets_on_with_what_its_own_kind_gives_back);
	tcase_add_test(tc, every_door_has_all_its_slots_again_at_the_end);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
