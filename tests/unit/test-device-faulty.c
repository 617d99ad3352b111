/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The faulty device: it is the judge of other tests, so each of its promises is shown here. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "device/aio.h"
#include "faulty-rig.h"

/*
 * ------------------------------------------------------------------ rules
 */
START_TEST(the_nth_operation_fails_and_no_other)
{
	uint8_t buf[512] = { 0 };
	char text[64];
	struct rig rig;

	for (unsigned n = 0; n < 12; n++) {
		open_rig(&rig, (struct faulty_options){ 0 });
		snprintf(text, sizeof(text), "any:error=ENOSPC,skip=%u,times=1", n);
		add_rule(&rig, text);
		for (unsigned i = 0; i < 12; i++) {
			int error = i % 4 == 0   ? device_write(rig.dev, 0, buf, 512)
				    : i % 4 == 1 ? device_flush(rig.dev)
				    : i % 4 == 2 ? rig_transfer(&rig, DEVICE_WRITE, 512, buf, 512)
						 : device_zero(rig.dev, DEVICE_ZERO, 0, 512);

			ck_assert_int_eq(error, i == n ? -ENOSPC : 0);
		}
		ck_assert_uint_eq(faulty_device_counts(rig.dev).faults, 1);
		rig_close(&rig);
	}
}
END_TEST

START_TEST(a_rule_matches_by_kind_range_and_count)
{
	uint8_t buf[1024] = { 0 };
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ 0 });
	add_rule(&rig, "write:error=EROFS,offset=4K,len=512,times=2");
	add_rule(&rig, "write:error=ENXIO,offset=4K,len=512,skip=1,times=1");
	add_rule(&rig, "read:error=EIO,offset=8K,len=1");
	ck_assert_int_eq(device_write(rig.dev, 4096 - 512, buf, 512), 0);
	ck_assert_int_eq(device_write(rig.dev, 4096 + 512, buf, 512), 0);
	ck_assert_int_eq(device_read(rig.dev, 4096, buf, 512), 0);
	ck_assert_int_eq(device_write(rig.dev, 4096 - 512, buf, 513), -EROFS);
	ck_assert_int_eq(device_write(rig.dev, 4096 + 511, buf, 1), -EROFS);
	ck_assert_int_eq(device_write(rig.dev, 4096, buf, 512),
			 0); /* the second rule skips its first match: this one */
	ck_assert_int_eq(device_write(rig.dev, 4096, buf, 512), -ENXIO);
	ck_assert_int_eq(device_write(rig.dev, 4096, buf, 512), 0);
	ck_assert_int_eq(device_read(rig.dev, 8192, buf, 1), -EIO);
	ck_assert_int_eq(device_read(rig.dev, 8193, buf, 1), 0);
	faulty_device_clear_rules(rig.dev);
	ck_assert_int_eq(device_read(rig.dev, 8192, buf, 1), 0);
	for (unsigned i = 0; i < FAULTY_RULES_MAX; i++)
		add_rule(&rig, "flush:error=EIO");
	ck_assert_int_eq(faulty_device_add_rule(rig.dev, &(struct faulty_rule){ .kinds = FAULTY_READ }), -ENOSPC);
	rig_close(&rig);
}
END_TEST

/* Queued and synchronous alike: nothing, everything, or a prefix of the write has been applied. */
START_TEST(a_failed_write_was_applied_not_at_all_or_wholly_or_in_part)
{
	static const char *const words[] = { "write:error=EIO", "write:error=EIO,after", "write:error=EIO,partway" };
	uint8_t old[2048], new[2048];
	unsigned nr_partial = 0;
	struct rig rig;

	fill_pattern(new, sizeof(new), 77);
	for (unsigned i = 0; i < 60; i++) {
		unsigned nr_new = 0;
		int error;

		open_rig(&rig, (struct faulty_options){ .seed = i, .volatile_writes = i % 4 >= 2 });
		memcpy(old, inner_bytes(&rig) + 1024, sizeof(old));
		add_rule(&rig, words[i % 3]);
		error = i % 2 ? rig_transfer(&rig, DEVICE_WRITE, 1024, new, 2048)
			      : device_write(rig.dev, 1024, new, 2048);
		ck_assert_int_eq(error, -EIO);
		while (nr_new < 2048 && inner_bytes(&rig)[1024 + nr_new] == new[nr_new])
			nr_new++;
		if (i % 3 == 0)
			ck_assert_int_eq(memcmp(inner_bytes(&rig) + 1024, old, 2048), 0);
		if (i % 3 == 1)
			ck_assert_uint_eq(nr_new, 2048);
		if (i % 3 == 2) {
			ck_assert_uint_lt(nr_new, 2048);
			ck_assert_int_eq(memcmp(inner_bytes(&rig) + 1024 + nr_new + 1, old + nr_new + 1, 2047 - nr_new),
					 0);
			nr_partial += nr_new > 0;
		}
		rig_close(&rig);
	}
	ck_assert_uint_gt(nr_partial, 10);
}
END_TEST

START_TEST(a_failed_read_leaves_garbage)
{
	uint8_t buf[512], old[512];
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ 0 });
	memcpy(old, rig.shadow, 512);
	add_rule(&rig, "read:error=EIO,after");
	memcpy(buf, old, 512);
	ck_assert_int_eq(device_read(rig.dev, 0, buf, 512), -EIO);
	ck_assert_int_ne(memcmp(buf, old, 512), 0);
	memcpy(buf, old, 512);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 0, buf, 512), -EIO);
	ck_assert_int_ne(memcmp(buf, old, 512), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(the_fields_of_a_finished_transfer_are_garbage)
{
	struct watched w;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ 0 });
	watched_submit(&rig, &w, DEVICE_READ, 4096, 512);
	rig_settle(&rig);
	ck_assert_int_eq(w.error, 0);
	ck_assert_uint_ne(w.io.offset_bytes, 4096);
	ck_assert_uint_ne(w.io.len_bytes, 512);
	ck_assert_ptr_ne(w.io.buf, w.bytes);
	rig_close(&rig);
}
END_TEST

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The thread of the queue is not blocked meanwhile, and the fd becomes readable when the time has come. */
START_TEST(a_delayed_transfer_ends_later_while_others_pass)
{
	struct watched slow, quick;
	struct rig rig;
	uint64_t begin;

	open_rig(&rig, (struct faulty_options){ 0 });
	add_rule(&rig, "write:delay=150,times=1");
	begin = now_ms();
	memset(slow.bytes, 0x11, 4096);
	memset(quick.bytes, 0x22, 4096);
	watched_submit(&rig, &slow, DEVICE_WRITE, 0, 4096);
	watched_submit(&rig, &quick, DEVICE_WRITE, 4096, 4096);
	ck_assert_int_eq(device_queue_reap(rig.q), 1);
	ck_assert(quick.is_done);
	ck_assert(!slow.is_done);
	ck_assert_uint_lt(now_ms() - begin, 150);
	ck_assert_uint_ne(inner_bytes(&rig)[0], 0x11);
	rig_settle(&rig);
	ck_assert_uint_ge(now_ms() - begin, 150);
	ck_assert_int_eq(slow.error, 0);
	ck_assert_uint_eq(inner_bytes(&rig)[0], 0x11);
	add_rule(&rig, "flush:delay=60");
	begin = now_ms();
	ck_assert_int_eq(device_flush(rig.dev), 0);
	ck_assert_uint_ge(now_ms() - begin, 60);
	rig_close(&rig);
}
END_TEST

/* Over files the transfer goes on to the kernel when its time has come, though nobody kicks any more. */
START_TEST(a_delayed_transfer_of_a_file_needs_no_further_kick)
{
	const char *file = make_test_file(_i ? "/dev/shm" : test_disk_dir(), 65536, 1);
	struct faulty_options options = { 0 };
	struct device *inner, *dev;
	struct watched w;
	struct rig rig;

	ck_assert_int_eq(aio_device_open(file, &(struct aio_options){ 0 }, &inner, NULL, NULL), 0);
	ck_assert_int_eq(faulty_device_open(inner, &options, &dev), 0);
	rig_open_device(&rig, dev, "faulty over aio", 4);
	add_rule(&rig, "write:delay=20");
	fill_pattern(w.bytes, 4096, 8);
	memcpy(rig.shadow + 4096, w.bytes, 4096);
	watched_submit(&rig, &w, DEVICE_WRITE, 4096, 4096);
	for (uint64_t begin = now_ms(); !w.is_done && now_ms() - begin < 10000; )
		rig_reap(&rig, 1000);
	ck_assert(w.is_done);
	ck_assert_int_eq(w.error, 0);
	rig_expect_shadow(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(what_is_held_waits_for_release)
{
	struct flusher flusher;
	pthread_t thread;
	struct watched w;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ 0 });
	flusher.dev = rig.dev;
	atomic_init(&flusher.result, 1);
	add_rule(&rig, "write+flush:hold");
	memset(w.bytes, 0x33, 4096);
	watched_submit(&rig, &w, DEVICE_WRITE, 0, 4096);
	ck_assert_int_eq(pthread_create(&thread, NULL, flush_once, &flusher), 0);
	ck_assert_int_eq(rig_reap(&rig, 60), 0);
	ck_assert(!w.is_done);
	ck_assert_uint_ne(inner_bytes(&rig)[0], 0x33);
	while (!faulty_device_counts(rig.dev).flushes)
		usleep(1000);
	usleep(20000);
	ck_assert_int_eq(atomic_load(&flusher.result), 1);
	faulty_device_release(rig.dev);
	rig_settle(&rig);
	pthread_join(thread, NULL);
	ck_assert_int_eq(w.error, 0);
	ck_assert_uint_eq(inner_bytes(&rig)[0], 0x33);
	ck_assert_int_eq(atomic_load(&flusher.result), 0);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, 0, w.bytes, 512), 0);	/* the rule is gone */
	rig_close(&rig);
}
END_TEST

START_TEST(rules_parse_from_text)
{
	struct faulty_rule rule;
	struct cwt_error err;

	ck_assert_int_eq(faulty_rule_parse("write:error=EIO,skip=3,times=1,offset=1M,len=64K", &rule, &err), 0);
	ck_assert_uint_eq(rule.kinds, FAULTY_WRITE);
	ck_assert_int_eq(rule.effect, FAULTY_FAIL);
	ck_assert_int_eq(rule.error, -EIO);
	ck_assert_uint_eq(rule.skip, 3);
	ck_assert_uint_eq(rule.times, 1);
	ck_assert_uint_eq(rule.offset_bytes, 1 << 20);
	ck_assert_uint_eq(rule.len_bytes, 64 << 10);
	ck_assert_int_eq(faulty_rule_parse("read:delay=5", &rule, &err), 0);
	ck_assert_int_eq(rule.effect, FAULTY_DELAY);
	ck_assert_uint_eq(rule.delay_ms, 5);
	ck_assert_int_eq(faulty_rule_parse("any:hold", &rule, &err), 0);
	ck_assert_uint_eq(rule.kinds, FAULTY_ANY);
	ck_assert_int_eq(rule.effect, FAULTY_HOLD);
	ck_assert_int_eq(faulty_rule_parse("zero+flush:error=ENOSPC,partway", &rule, &err), 0);
	ck_assert_uint_eq(rule.kinds, FAULTY_ZERO | FAULTY_FLUSH);
	ck_assert_int_eq(rule.effect, FAULTY_FAIL_PARTWAY);
	ck_assert_int_eq(faulty_rule_parse("read:after,error=EIO", &rule, &err), 0);
	ck_assert_int_eq(rule.effect, FAULTY_FAIL_AFTER);
}
END_TEST

START_TEST(wrong_rules_are_refused_with_a_line)
{
	static const char *const wrong[] = {
		"", "write", ":", ":error=EIO", "write:", "write:skip=1", "erase:error=EIO", "write+:x",
		"write:error", "write:error=", "write:error=EWRONG", "write:error=5",
		"write:error=EIO,delay=5", "write:error=EIO,hold", "write:delay=5,after",
		"write:error=EIO,after,partway", "write:delay=-1", "write:delay=5x", "write:delay=5K",
		"write:delay=99999999999", "write:error=EIO,skip=", "write:error=EIO,skip= 1",
		"write:error=EIO,offset=1M", "write:error=EIO,offset=1Q,len=1",
		"write:error=EIO,len=99999999999999999999", "write:error=EIO,len=18446744073709551615K",
		"write:error=EIO,offset=18446744073709551615,len=2", "write:error=EIO,colour=red",
		"write:error=EIO,=3",
	};
	char too_long[400];
	struct faulty_rule rule;

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct cwt_error err = { "" };

		ck_assert_msg(faulty_rule_parse(wrong[i], &rule, &err) == -EINVAL, "'%s' was taken", wrong[i]);
		ck_assert_msg(!strncmp(err.text, "fault", 5), "'%s': '%s'", wrong[i], err.text);
		ck_assert_int_eq(faulty_rule_parse(wrong[i], &rule, NULL), -EINVAL);
	}
	memset(too_long, 'w', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	ck_assert_int_eq(faulty_rule_parse(too_long, &rule, NULL), -EINVAL);
	too_long[100] = ':';
	too_long[200] = '\0';
	ck_assert_int_eq(faulty_rule_parse(too_long, &rule, NULL), -EINVAL);
}
END_TEST

/*
 * ------------------------------------------------------------------ stepping
 */
START_TEST(stepped_transfers_take_effect_in_the_order_of_the_steps)
{
	struct watched w[3];
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .stepped = true });
	add_rule(&rig, "write:error=EIO,skip=1,times=1");	/* the second to be stepped, not the second submitted */
	for (unsigned i = 0; i < 3; i++) {
		memset(w[i].bytes, 0x40 + (int)i, 4096);
		watched_submit(&rig, &w[i], DEVICE_WRITE, i * 4096, 4096);
	}
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev), 3);
	ck_assert_ptr_eq(faulty_device_pending(rig.dev, 1), &w[1].io);
	ck_assert_int_eq(device_queue_reap(rig.q), 0);
	faulty_device_step(rig.dev, 2);
	ck_assert_uint_eq(inner_bytes(&rig)[8192], 0x42);
	ck_assert_uint_ne(inner_bytes(&rig)[0], 0x40);
	ck_assert(!w[2].is_done);
	ck_assert_int_eq(device_queue_reap(rig.q), 1);
	ck_assert(w[2].is_done);
	ck_assert_ptr_eq(faulty_device_pending(rig.dev, 0), &w[0].io);
	faulty_device_step(rig.dev, 0);
	faulty_device_step(rig.dev, 0);
	ck_assert_int_eq(device_queue_reap(rig.q), 2);
	ck_assert_int_eq(w[0].error, -EIO);
	ck_assert_int_eq(w[1].error, 0);
	ck_assert_uint_ne(inner_bytes(&rig)[0], 0x40);
	ck_assert_uint_eq(inner_bytes(&rig)[4096], 0x41);
	rig_close(&rig);
}
END_TEST

/*
 * ------------------------------------------------------------------ the range rule: these end by an assertion
 */
START_TEST(overlapping_writes_in_flight_are_caught)
{
	struct watched a, b;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .stepped = true });
	watched_submit(&rig, &a, DEVICE_WRITE, 0, 100);
	watched_submit(&rig, &b, DEVICE_WRITE, 200, 100);	/* other bytes, the same unit of 512 */
}
END_TEST

START_TEST(a_read_over_a_write_in_flight_is_caught)
{
	struct watched a, b;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .stepped = true });
	watched_submit(&rig, &a, DEVICE_WRITE, 512, 512);
	watched_submit(&rig, &b, DEVICE_READ, 0, 513);
}
END_TEST

START_TEST(a_synchronous_write_over_a_read_in_flight_is_caught)
{
	struct watched a;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .stepped = true });
	watched_submit(&rig, &a, DEVICE_READ, 512, 512);
	device_write(rig.dev, 1000, a.bytes, 1);
}
END_TEST

START_TEST(zeroing_over_a_write_of_another_queue_is_caught)
{
	struct watched a;
	struct rig rig, other;

	open_rig(&rig, (struct faulty_options){ .stepped = true });
	rig_open_device(&other, rig.dev, "faulty", 4);
	watched_submit(&other, &a, DEVICE_WRITE, 512, 512);
	device_zero(rig.dev, DEVICE_PUNCH, 0, 4096);
}
END_TEST

START_TEST(a_transfer_beyond_the_end_is_caught)
{
	struct watched a;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ 0 });
	watched_submit(&rig, &a, DEVICE_READ, FAULTY_RIG_BYTES - 511, 512);
}
END_TEST

START_TEST(submitting_what_is_in_flight_is_caught)
{
	struct watched a;
	struct rig rig;

	rig_open_device(&rig, faulty_device_inner(open_faulty((struct faulty_options){ 0 })), "memory", 4);
	watched_submit(&rig, &a, DEVICE_READ, 0, 512);
	device_submit(rig.q, &a.io);
}
END_TEST

START_TEST(neighbours_and_shared_reads_are_no_overlap)
{
	struct watched a, b, c;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .stepped = true });
	watched_submit(&rig, &a, DEVICE_WRITE, 0, 512);
	watched_submit(&rig, &b, DEVICE_READ, 512, 512);
	watched_submit(&rig, &c, DEVICE_READ, 600, 100);
	ck_assert_int_eq(device_write(rig.dev, 1024, a.bytes, 512), 0);
	while (faulty_device_nr_pending(rig.dev))
		faulty_device_step(rig.dev, 0);
	rig_settle(&rig);
	ck_assert_int_eq(device_write(rig.dev, 0, a.bytes, 1024), 0);	/* and afterwards the ranges are free */
	rig_close(&rig);
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, the_nth_operation_fails_and_no_other);
	tcase_add_test(tc, a_rule_matches_by_kind_range_and_count);
	tcase_add_test(tc, a_failed_write_was_applied_not_at_all_or_wholly_or_in_part);
	tcase_add_test(tc, a_failed_read_leaves_garbage);
	tcase_add_test(tc, the_fields_of_a_finished_transfer_are_garbage);
	tcase_add_test(tc, a_delayed_transfer_ends_later_while_others_pass);
	tcase_add_loop_test(tc, a_delayed_transfer_of_a_file_needs_no_further_kick, 0, 2);
	tcase_add_test(tc, what_is_held_waits_for_release);
	tcase_add_test(tc, rules_parse_from_text);
	tcase_add_test(tc, wrong_rules_are_refused_with_a_line);
	tcase_add_test(tc, stepped_transfers_take_effect_in_the_order_of_the_steps);
	tcase_add_test(tc, neighbours_and_shared_reads_are_no_overlap);
}

/* They end in abort(), so each needs a process of its own. */
static void add_assertion_tests(TCase *tc)
{
	tcase_add_test_raise_signal(tc, overlapping_writes_in_flight_are_caught, SIGABRT);
	tcase_add_test_raise_signal(tc, a_read_over_a_write_in_flight_is_caught, SIGABRT);
	tcase_add_test_raise_signal(tc, a_synchronous_write_over_a_read_in_flight_is_caught, SIGABRT);
	tcase_add_test_raise_signal(tc, zeroing_over_a_write_of_another_queue_is_caught, SIGABRT);
	tcase_add_test_raise_signal(tc, a_transfer_beyond_the_end_is_caught, SIGABRT);
	tcase_add_test_raise_signal(tc, submitting_what_is_in_flight_is_caught, SIGABRT);
}

int main(void)
{
	Suite *suite = suite_create("device-faulty");
	TCase *tc = tcase_create("the judge");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_set_timeout(tc, 60);
	add_tests(tc);
	if (srunner_fork_status(runner) == CK_FORK)
		add_assertion_tests(tc);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
