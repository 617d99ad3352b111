/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The race of 2013, and its relatives: two things meet in one block, the second one at every single step of the first.  After each,
 * cache and origin must be equal and the last write must be what is read.
 */
#include "engine-rig.h"

#include <stdlib.h>

#define BLOCK 4096u

/* Begin first, let steps things happen, begin second, settle.  False: first had ended before second began. */
struct meeting {
	enum cwt_op op;
	uint64_t offset, len;
	unsigned loop;
	uint8_t byte;
};

static bool meet(const struct rig_options *o, bool warm, bool early, const struct meeting *first, const struct meeting *second, unsigned steps)
{
	struct rig_request *a, *b;
	bool in_time = true;
	struct rig rig;

	rig_start(&rig, o);
	if (warm)
		rig_warm(&rig, 0, 2);
	rig.early = early;
	a = rig_begin(&rig, first->loop, first->op, first->offset, first->len, first->byte);
	for (unsigned i = 0; i < steps && in_time; i++)
		in_time = rig_step(&rig);
	b = rig_begin(&rig, second->loop, second->op, second->offset, second->len, second->byte);
	rig_settle(&rig);
	ck_assert(a->done && b->done);
	ck_assert_int_eq(a->r.result, (int64_t)first->len);
	ck_assert_int_eq(b->r.result, (int64_t)second->len);
	if (first->op != CWT_READ)
		rig_expect(&rig, first->offset, first->len, first->op == CWT_WRITE ? first->byte : 0);
	if (second->op != CWT_READ)
		rig_expect(&rig, second->offset, second->len, second->op == CWT_WRITE ? second->byte : 0);
	rig_free(a);
	rig_free(b);
	rig_check(&rig);
	for (uint32_t i = 0; i < 2; i++)
		rig_do(&rig, CWT_READ, (uint64_t)i * BLOCK, BLOCK, 0);
	rig_check(&rig);
	rig_end(&rig);
	return in_time;
}

static void meet_at_every_step(const struct rig_options *o, bool warm, struct meeting first, struct meeting second)
{
	unsigned steps = 0;

	for (unsigned i = 0; i < 2 * RIG_LOOPS; i++) {
		second.loop = i / 2;
		for (steps = 0; meet(o, warm, i % 2, &first, &second, steps); steps++)
			ck_assert_uint_lt(steps, 1000);
		ck_assert_uint_gt(steps, 3);	/* the first one did have steps to meet at */
	}
}

static const struct rig_options plain, aligned = { .align = 512 }, odd = { .origin_size = 5 * BLOCK + 7, .align = 512 },
	around = { .mode = CWT_WRITEAROUND };

START_TEST(a_write_at_any_step_of_its_blocks_promotion_leaves_both_equal)
{
	const struct meeting promotion = { CWT_READ, 0, BLOCK, 0, 0 };

	meet_at_every_step(&plain, false, promotion, (struct meeting){ CWT_WRITE, 0, BLOCK, 0, 0xaa });
	meet_at_every_step(&aligned, false, promotion, (struct meeting){ CWT_WRITE, 100, 1000, 0, 0xab });
	meet_at_every_step(&odd, false, promotion, (struct meeting){ CWT_WRITE, BLOCK - 1, 2, 0, 0xac });
	meet_at_every_step(&around, false, promotion, (struct meeting){ CWT_WRITE, 5, 6, 0, 0xad });
}
END_TEST

START_TEST(a_promotion_at_any_step_of_a_write_leaves_both_equal)
{
	const struct meeting promotion = { CWT_READ, 0, BLOCK, 0, 0 };

	meet_at_every_step(&plain, false, (struct meeting){ CWT_WRITE, 0, BLOCK, 0, 0xba }, promotion);
	meet_at_every_step(&aligned, false, (struct meeting){ CWT_WRITE, 511, 2, 0, 0xbb }, promotion);
	meet_at_every_step(&plain, false, (struct meeting){ CWT_WRITE, 0, 2 * BLOCK, 0, 0xbc }, promotion);
}
END_TEST

START_TEST(overlapping_writes_reach_the_cache_in_the_order_of_the_origin)
{
	meet_at_every_step(&plain, true, (struct meeting){ CWT_WRITE, 0, BLOCK, 0, 0xca },
			   (struct meeting){ CWT_WRITE, 1000, 1000, 0, 0xcb });
	meet_at_every_step(&aligned, true, (struct meeting){ CWT_WRITE, 1000, 1000, 0, 0xcc },
			   (struct meeting){ CWT_WRITE, 0, BLOCK, 0, 0xcd });
	meet_at_every_step(&plain, true, (struct meeting){ CWT_WRITE, 10, 2 * BLOCK - 20, 0, 0xce },
			   (struct meeting){ CWT_WRITE, BLOCK - 1, 2, 0, 0xcf });
}
END_TEST

START_TEST(neighbours_in_one_sector_do_not_undo_each_other)
{
	meet_at_every_step(&aligned, true, (struct meeting){ CWT_WRITE, 0, 100, 0, 0xda },
			   (struct meeting){ CWT_WRITE, 100, 100, 0, 0xdb });
	meet_at_every_step(&aligned, false, (struct meeting){ CWT_WRITE, 300, 1, 0, 0xdc },
			   (struct meeting){ CWT_WRITE, 301, 1, 0, 0xdd });
}
END_TEST

/* Units larger than a page, up to a whole block. */
START_TEST(neighbours_in_one_large_unit_do_not_undo_each_other)
{
	for (uint32_t align = 2 * BLOCK; align <= 4 * BLOCK; align *= 2) {
		const struct rig_options large = { .block_size = 4 * BLOCK, .align = align };

		meet_at_every_step(&large, true, (struct meeting){ CWT_WRITE, 0, BLOCK, 0, 0xda },
				   (struct meeting){ CWT_WRITE, BLOCK, BLOCK, 0, 0xdb });
		meet_at_every_step(&large, false, (struct meeting){ CWT_WRITE, 3 * BLOCK, BLOCK, 0, 0xdc },
				   (struct meeting){ CWT_WRITE, 2 * BLOCK, BLOCK, 0, 0xdd });
	}
}
END_TEST

START_TEST(a_punch_at_any_step_of_a_write_or_promotion_leaves_both_equal)
{
	meet_at_every_step(&plain, true, (struct meeting){ CWT_WRITE, 0, BLOCK, 0, 0xea },
			   (struct meeting){ CWT_PUNCH, 0, 2 * BLOCK, 0, 0 });
	meet_at_every_step(&plain, false, (struct meeting){ CWT_READ, 0, BLOCK, 0, 0 },
			   (struct meeting){ CWT_ZERO, 100, BLOCK, 0, 0 });
	meet_at_every_step(&plain, true, (struct meeting){ CWT_PUNCH, 0, 2 * BLOCK, 0, 0 },
			   (struct meeting){ CWT_WRITE, BLOCK - 10, 20, 0, 0xeb });
	meet_at_every_step(&plain, true, (struct meeting){ CWT_PUNCH, 0, 2 * BLOCK, 0, 0 },
			   (struct meeting){ CWT_ZERO, BLOCK, BLOCK, 0, 0 });
}
END_TEST

/* Everything dropped, by message, at any step of a promotion and of a write. */
START_TEST(dropping_everything_at_any_step_leaves_both_equal)
{
	static const enum cwt_op ops[] = { CWT_READ, CWT_WRITE };

	for (unsigned warm = 0; warm < 2; warm++)
	for (unsigned i = 0; i < 2; i++) {
		bool in_time = true;

		for (unsigned steps = 0; in_time; steps++) {
			struct rig_request *a;
			struct rig rig;

			rig_start(&rig, &plain);
			if (warm)
				rig_warm(&rig, 0, 2);
			a = rig_begin(&rig, 0, ops[i], 0, BLOCK, 0x33);
			for (unsigned s = 0; s < steps && in_time; s++)
				in_time = rig_step(&rig);
			ck_assert_int_eq(cwt_message(rig.e, "drop", NULL), 0);
			rig_settle(&rig);
			ck_assert_int_eq(a->r.result, BLOCK);
			if (ops[i] == CWT_WRITE)
				rig_expect(&rig, 0, BLOCK, 0x33);
			rig_free(a);
			rig_check(&rig);
			rig_do(&rig, CWT_READ, 0, BLOCK, 0);
			rig_check(&rig);
			rig_end(&rig);
		}
	}
}
END_TEST

/* A small storm: random requests on two loops, devices finishing in random order, checked at every rest. */
static void storm(uint64_t seed)
{
	static const struct { uint32_t block, align; } units[] = { { BLOCK, 1 }, { BLOCK, 512 }, { 4 * BLOCK, 2 * BLOCK },
		{ BLOCK, 512 }, { 4 * BLOCK, 4 * BLOCK } };
	struct rig_options o = { .origin_size = 10 * BLOCK + 99, .nr_cblocks = 3, .block_size = units[seed % 5].block,
		.align = units[seed % 5].align,
		.mode = seed % 7 == 6 ? CWT_WRITEAROUND : CWT_WRITETHROUGH, .policy = seed & 2 ? "clock" : "lru" };
	struct random r = { seed };
	struct rig rig;

	rig_start(&rig, &o);
	for (unsigned round = 0; round < 30; round++) {
		struct rig_request *q[12];
		unsigned nr = 1 + (unsigned)random_below(&r, 12);
		uint64_t taken = 0;

		/* Writes to disjoint thirds of blocks, so that the expectation does not depend on the order; reads anywhere. */
		for (unsigned i = 0; i < nr; i++) {
			uint64_t third = random_below(&r, 30);
			bool write = random_below(&r, 2) && !(taken >> third & 1);
			uint64_t offset = third * (BLOCK / 3) + random_below(&r, 100), len = 1 + random_below(&r, BLOCK / 3 - 100);
			uint8_t byte = (uint8_t)random_next(&r);

			taken |= (uint64_t)write << third;
			if (!write) {
				offset = random_below(&r, o.origin_size - 1);
				len = 1 + random_below(&r, 3 * BLOCK);
			}
			rig.early = (seed + i) % 3;
			q[i] = rig_begin(&rig, (unsigned)random_below(&r, RIG_LOOPS), write ? CWT_WRITE : CWT_READ, offset, len, byte);
			if (write)
				rig_expect(&rig, offset, len, byte);
			for (uint64_t s = random_below(&r, 4); s; s--) {
				struct device *dev = random_below(&r, 2) ? rig.dev.origin : rig.dev.cache;
				unsigned pending = faulty_device_nr_pending(dev);

				if (pending)
					faulty_device_step(dev, (unsigned)random_below(&r, pending));
				else
					rig_step(&rig);
			}
		}
		rig_settle(&rig);
		for (unsigned i = 0; i < nr; i++) {
			ck_assert_int_gt(q[i]->r.result, 0);
			rig_free(q[i]);
		}
		rig_check(&rig);
		if (random_below(&r, 10) == 0) {
			ck_assert_int_eq(rig_stop(&rig), 0);
			ck_assert_int_eq(rig_open(&rig, false), 0);
			rig_check(&rig);
		}
	}
	rig_end(&rig);
}

START_TEST(a_storm_of_requests_in_any_order_leaves_both_equal)
{
	storm((uint64_t)_i * 7919 + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-races");
	TCase *tc = tcase_create("races");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_write_at_any_step_of_its_blocks_promotion_leaves_both_equal);
	tcase_add_test(tc, a_promotion_at_any_step_of_a_write_leaves_both_equal);
	tcase_add_test(tc, overlapping_writes_reach_the_cache_in_the_order_of_the_origin);
	tcase_add_test(tc, neighbours_in_one_sector_do_not_undo_each_other);
	tcase_add_test(tc, neighbours_in_one_large_unit_do_not_undo_each_other);
	tcase_add_test(tc, a_punch_at_any_step_of_a_write_or_promotion_leaves_both_equal);
	tcase_add_test(tc, dropping_everything_at_any_step_leaves_both_equal);
	tcase_add_loop_test(tc, a_storm_of_requests_in_any_order_leaves_both_equal, 0, 60);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
