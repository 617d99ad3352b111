/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The volatile write cache of the faulty device: what flushes cover, what a power cut leaves. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "faulty-rig.h"

#define UNIT 4096u

static void write_unit(struct rig *rig, unsigned n, int value)
{
	uint8_t buf[UNIT];

	memset(buf, value, UNIT);
	ck_assert_int_eq(device_write(rig->dev, n * UNIT, buf, UNIT), 0);
}

static void expect_unit(struct rig *rig, unsigned n, int value)
{
	for (unsigned i = 0; i < UNIT; i++)
		if (inner_bytes(rig)[n * UNIT + i] != value)
			ck_abort_msg("unit %u, byte %u is 0x%02x, expected 0x%02x", n, i,
				     inner_bytes(rig)[n * UNIT + i], value);
}

START_TEST(a_cut_keeps_what_was_flushed_and_decides_the_rest_by_fate)
{
	static const enum faulty_fate fates[] = { FATE_ABSENT, FATE_PRESENT, FATE_TORN, FATE_ABSENT };
	static const uint32_t torn[] = { 0, 0, 3, 0 };
	uint8_t buf[16];
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .volatile_writes = true });
	for (unsigned n = 0; n < 5; n++)
		write_unit(&rig, n, 0x10);
	ck_assert_uint_eq(faulty_device_nr_unflushed(rig.dev), 5);
	ck_assert_int_eq(device_flush(rig.dev), 0);
	ck_assert_uint_eq(faulty_device_nr_unflushed(rig.dev), 0);
	for (unsigned n = 1; n < 4; n++)
		write_unit(&rig, n, 0x20);
	ck_assert_int_eq(device_zero(rig.dev, DEVICE_PUNCH, 4 * UNIT, UNIT), 0);
	expect_unit(&rig, 4, 0);
	faulty_device_power_cut(rig.dev, fates, torn);

	expect_unit(&rig, 0, 0x10);
	expect_unit(&rig, 1, 0x10);
	expect_unit(&rig, 2, 0x20);
	for (unsigned i = 0; i < UNIT; i++)
		ck_assert_uint_eq(inner_bytes(&rig)[3 * UNIT + i], i < 3 * 512 ? 0x20 : 0x10);
	expect_unit(&rig, 4, 0x10);

	ck_assert_int_eq(device_read(rig.dev, 0, buf, 16), -EIO);
	ck_assert_int_eq(device_write(rig.dev, 0, buf, 16), -EIO);
	ck_assert_int_eq(device_flush(rig.dev), -EIO);
	ck_assert_int_eq(device_zero(rig.dev, DEVICE_ZERO, 0, 16), -EIO);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 0, buf, 16), -EIO);
	faulty_device_power_on(rig.dev);
	ck_assert_int_eq(device_read(rig.dev, 0, buf, 16), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(overlapping_unflushed_writes_survive_in_every_legal_combination)
{
	for (unsigned first = 0; first < 2; first++) {
		for (unsigned second = 0; second < 2; second++) {
			enum faulty_fate fates[] = { first ? FATE_PRESENT : FATE_ABSENT,
						     second ? FATE_PRESENT : FATE_ABSENT };
			struct rig rig;

			open_rig(&rig, (struct faulty_options){ .volatile_writes = true });
			write_unit(&rig, 0, 0x10);
			ck_assert_int_eq(device_flush(rig.dev), 0);
			write_unit(&rig, 0, 0x20);
			write_unit(&rig, 0, 0x30);
			faulty_device_power_cut(rig.dev, fates, NULL);
			expect_unit(&rig, 0, second ? 0x30 : first ? 0x20 : 0x10);
			rig_close(&rig);
		}
	}
}
END_TEST

START_TEST(a_write_is_torn_at_sectors_of_the_device)
{
	static const uint64_t ends[] = { 100, 512, 1024, 1300, 1300 };
	uint8_t buf[1200];

	memset(buf, 0x77, sizeof(buf));
	for (uint32_t sectors = 0; sectors < ARRAY_SIZE(ends); sectors++) {
		struct rig rig;

		open_rig(&rig, (struct faulty_options){ .volatile_writes = true });
		memset(inner_bytes(&rig), 0, FAULTY_RIG_BYTES);
		ck_assert_int_eq(device_write(rig.dev, 100, buf, sizeof(buf)), 0);
		faulty_device_power_cut(rig.dev, (enum faulty_fate[]){ FATE_TORN }, &sectors);
		for (unsigned i = 0; i < 2048; i++)
			ck_assert_uint_eq(inner_bytes(&rig)[i], i >= 100 && i < ends[sectors] ? 0x77 : 0);
		rig_close(&rig);
	}
}
END_TEST

/*
 * The write has reached the device but its caller has not been told: a flush issued now need not cover it, so it does
 * not.
 */
START_TEST(a_flush_covers_only_writes_completed_before_it_was_issued)
{
	struct watched told, untold;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .volatile_writes = true, .stepped = true });
	memset(inner_bytes(&rig), 0, FAULTY_RIG_BYTES);
	memset(told.bytes, 0x51, 4096);
	memset(untold.bytes, 0x52, 4096);
	watched_submit(&rig, &told, DEVICE_WRITE, 0, 4096);
	watched_submit(&rig, &untold, DEVICE_WRITE, 4096, 4096);
	faulty_device_step(rig.dev, 0);
	ck_assert_int_eq(device_queue_reap(rig.q), 1);
	faulty_device_step(rig.dev, 0);
	ck_assert_int_eq(device_flush(rig.dev), 0);
	ck_assert_uint_eq(faulty_device_nr_unflushed(rig.dev), 1);
	faulty_device_power_cut(rig.dev, (enum faulty_fate[]){ FATE_ABSENT }, NULL);
	expect_unit(&rig, 0, 0x51);
	expect_unit(&rig, 1, 0);
	faulty_device_power_on(rig.dev);
	ck_assert_int_eq(device_queue_reap(rig.q), 1);
	ck_assert_int_eq(untold.error, -EIO);	/* nobody is told of success after the lights went out */
	rig_close(&rig);
}
END_TEST

/* A write that completes while the flush is under way (held) is not covered by it. */
START_TEST(a_write_completed_during_a_flush_is_not_covered)
{
	struct flusher flusher;
	pthread_t thread;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .volatile_writes = true });
	flusher.dev = rig.dev;
	atomic_init(&flusher.result, 1);
	memset(inner_bytes(&rig), 0, FAULTY_RIG_BYTES);
	write_unit(&rig, 0, 0x61);
	add_rule(&rig, "flush:hold");
	ck_assert_int_eq(pthread_create(&thread, NULL, flush_once, &flusher), 0);
	while (!faulty_device_counts(rig.dev).flushes)
		usleep(1000);
	write_unit(&rig, 1, 0x62);
	faulty_device_release(rig.dev);
	pthread_join(thread, NULL);
	ck_assert_int_eq(atomic_load(&flusher.result), 0);
	ck_assert_uint_eq(faulty_device_nr_unflushed(rig.dev), 1);
	faulty_device_power_cut(rig.dev, (enum faulty_fate[]){ FATE_ABSENT }, NULL);
	expect_unit(&rig, 0, 0x61);
	expect_unit(&rig, 1, 0);
	rig_close(&rig);
}
END_TEST

START_TEST(a_failed_flush_covers_nothing_unless_it_fails_after)
{
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .volatile_writes = true });
	write_unit(&rig, 0, 1);
	add_rule(&rig, "flush:error=EIO,times=1");
	add_rule(&rig, "flush:error=EIO,after,times=1");
	ck_assert_int_eq(device_flush(rig.dev), -EIO);
	ck_assert_uint_eq(faulty_device_nr_unflushed(rig.dev), 1);
	ck_assert_int_eq(device_flush(rig.dev), -EIO);
	ck_assert_uint_eq(faulty_device_nr_unflushed(rig.dev), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(a_transfer_pending_at_the_cut_never_takes_effect)
{
	struct watched w;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .volatile_writes = true, .stepped = true });
	memset(inner_bytes(&rig), 0, FAULTY_RIG_BYTES);
	memset(w.bytes, 0x71, 4096);
	watched_submit(&rig, &w, DEVICE_WRITE, 0, 4096);
	faulty_device_power_cut(rig.dev, NULL, NULL);
	faulty_device_power_on(rig.dev);
	faulty_device_step(rig.dev, 0);
	ck_assert_int_eq(device_queue_reap(rig.q), 1);
	ck_assert_int_eq(w.error, -EIO);
	expect_unit(&rig, 0, 0);
	rig_close(&rig);
}
END_TEST

/*
 * By seed every fate occurs, the same seed gives the same state, and nothing but old, new or a torn mixture is ever
 * there.
 */
START_TEST(fates_by_seed_are_repeatable_and_legal)
{
	unsigned nr_old = 0, nr_new = 0, nr_torn = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint8_t first[8 * UNIT];

		for (unsigned run = 0; run < 2; run++) {
			struct rig rig;

			open_rig(&rig, (struct faulty_options){ .volatile_writes = true, .seed = seed });
			memset(inner_bytes(&rig), 0, FAULTY_RIG_BYTES);
			for (unsigned n = 0; n < 8; n++)
				write_unit(&rig, n, 0x80);
			faulty_device_power_cut(rig.dev, NULL, NULL);
			if (run)
				ck_assert_int_eq(memcmp(first, inner_bytes(&rig), sizeof(first)), 0);
			memcpy(first, inner_bytes(&rig), sizeof(first));
			rig_close(&rig);
		}
		for (unsigned n = 0; n < 8; n++) {
			unsigned nr_sectors = 0;

			for (unsigned s = 0; s < UNIT / 512; s++) {
				uint8_t *sector = first + n * UNIT + s * 512;

				ck_assert(sector[0] == 0 || (sector[0] == 0x80 && nr_sectors == s));
				ck_assert_int_eq(memcmp(sector, sector + 1, 511), 0);
				nr_sectors += sector[0] == 0x80;
			}
			nr_old += !nr_sectors;
			nr_new += nr_sectors == UNIT / 512;
			nr_torn += nr_sectors && nr_sectors < UNIT / 512;
		}
	}
	ck_assert_uint_gt(nr_old, 40);
	ck_assert_uint_gt(nr_new, 40);
	ck_assert_uint_gt(nr_torn, 40);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device-power");
	TCase *tc = tcase_create("power");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_cut_keeps_what_was_flushed_and_decides_the_rest_by_fate);
	tcase_add_test(tc, overlapping_unflushed_writes_survive_in_every_legal_combination);
	tcase_add_test(tc, a_write_is_torn_at_sectors_of_the_device);
	tcase_add_test(tc, a_flush_covers_only_writes_completed_before_it_was_issued);
	tcase_add_test(tc, a_write_completed_during_a_flush_is_not_covered);
	tcase_add_test(tc, a_failed_flush_covers_nothing_unless_it_fails_after);
	tcase_add_test(tc, a_transfer_pending_at_the_cut_never_takes_effect);
	tcase_add_test(tc, fates_by_seed_are_repeatable_and_legal);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
