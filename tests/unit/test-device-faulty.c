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
#include "device-rig.h"
#include "device/faulty.h"
#include "device/memory.h"

#define SIZE (64u << 10)

static struct device *open_faulty(struct faulty_options options, uint32_t align_bytes)
{
	struct memory_options memory = { .size_bytes = SIZE, .align_bytes = align_bytes, .seed = 5 };
	struct device *inner, *dev;

	ck_assert_int_eq(memory_device_open("memory", &memory, &inner), 0);
	ck_assert_int_eq(faulty_device_open(inner, &options, &dev), 0);
	ck_assert_ptr_eq(faulty_device_inner(dev), inner);
	return dev;
}

static void open_rig(struct rig *rig, struct faulty_options options)
{
	rig_open_device(rig, open_faulty(options, 512), "faulty", 16);
}

static void add_rule(struct rig *rig, const char *text)
{
	struct cwt_error err = { "" };
	struct faulty_rule rule;

	ck_assert_msg(!faulty_rule_parse(text, &rule, &err), "%s", err.text);
	ck_assert_int_eq(faulty_device_add_rule(rig->dev, &rule), 0);
}

/* A transfer that the test looks at while it is under way. */
struct watched { struct device_io io; bool is_done; int error; uint8_t bytes[4096]; };

static void watched_done(struct device_io *io)
{
	struct watched *w = container_of(io, struct watched, io);

	w->is_done = true;
	w->error = io->error;
}

static void watched_submit(struct rig *rig, struct watched *w, enum device_op op, uint64_t offset_bytes, uint32_t len_bytes)
{
	w->io = (struct device_io){ .dev = rig->dev, .op = op, .offset_bytes = offset_bytes, .len_bytes = len_bytes,
				    .buf = w->bytes, .done = watched_done };
	w->is_done = false;
	list_init(&w->io.node);
	device_submit(rig->q, &w->io);
	device_queue_kick(rig->q);
}

static uint8_t *inner_bytes(struct rig *rig)
{
	return memory_device_bytes(faulty_device_inner(rig->dev));
}

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
			int error = i % 4 == 0 ? device_write(rig.dev, 0, buf, 512) : i % 4 == 1 ? device_flush(rig.dev) :
				    i % 4 == 2 ? rig_transfer(&rig, DEVICE_WRITE, 512, buf, 512) :
						 device_zero(rig.dev, DEVICE_ZERO, 0, 512);

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
	ck_assert_int_eq(device_write(rig.dev, 4096, buf, 512), 0);	/* the second rule skips its first match: this one */
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
		error = i % 2 ? rig_transfer(&rig, DEVICE_WRITE, 1024, new, 2048) : device_write(rig.dev, 1024, new, 2048);
		ck_assert_int_eq(error, -EIO);
		while (nr_new < 2048 && inner_bytes(&rig)[1024 + nr_new] == new[nr_new])
			nr_new++;
		if (i % 3 == 0)
			ck_assert_int_eq(memcmp(inner_bytes(&rig) + 1024, old, 2048), 0);
		if (i % 3 == 1)
			ck_assert_uint_eq(nr_new, 2048);
		if (i % 3 == 2) {
			ck_assert_uint_lt(nr_new, 2048);
			ck_assert_int_eq(memcmp(inner_bytes(&rig) + 1024 + nr_new + 1, old + nr_new + 1, 2047 - nr_new), 0);
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

struct flusher { struct device *dev; atomic_int result; };

static void *flush_once(void *arg)
{
	struct flusher *f = arg;

	atomic_store(&f->result, device_flush(f->dev));
	return NULL;
}

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
		"", "write", ":", ":error=EIO", "write:", "write:skip=1", "erase:error=EIO", "write+:x", "write:error",
		"write:error=", "write:error=EWRONG", "write:error=5", "write:error=EIO,delay=5", "write:error=EIO,hold",
		"write:delay=5,after", "write:error=EIO,after,partway", "write:delay=-1", "write:delay=5x", "write:delay=5K",
		"write:delay=99999999999", "write:error=EIO,skip=", "write:error=EIO,skip= 1", "write:error=EIO,offset=1M",
		"write:error=EIO,offset=1Q,len=1", "write:error=EIO,len=99999999999999999999", "write:error=EIO,len=18446744073709551615K",
		"write:error=EIO,offset=18446744073709551615,len=2", "write:error=EIO,colour=red", "write:error=EIO,=3",
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
 * ------------------------------------------------------------------ power
 */
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
			ck_abort_msg("unit %u, byte %u is 0x%02x, expected 0x%02x", n, i, inner_bytes(rig)[n * UNIT + i], value);
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
			enum faulty_fate fates[] = { first ? FATE_PRESENT : FATE_ABSENT, second ? FATE_PRESENT : FATE_ABSENT };
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
		memset(inner_bytes(&rig), 0, SIZE);
		ck_assert_int_eq(device_write(rig.dev, 100, buf, sizeof(buf)), 0);
		faulty_device_power_cut(rig.dev, (enum faulty_fate[]){ FATE_TORN }, &sectors);
		for (unsigned i = 0; i < 2048; i++)
			ck_assert_uint_eq(inner_bytes(&rig)[i], i >= 100 && i < ends[sectors] ? 0x77 : 0);
		rig_close(&rig);
	}
}
END_TEST

/* The write has reached the device but its caller has not been told: a flush issued now need not cover it, so it does not. */
START_TEST(a_flush_covers_only_writes_completed_before_it_was_issued)
{
	struct watched told, untold;
	struct rig rig;

	open_rig(&rig, (struct faulty_options){ .volatile_writes = true, .stepped = true });
	memset(inner_bytes(&rig), 0, SIZE);
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
	memset(inner_bytes(&rig), 0, SIZE);
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
	memset(inner_bytes(&rig), 0, SIZE);
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

/* By seed every fate occurs, the same seed gives the same state, and nothing but old, new or a torn mixture is ever there. */
START_TEST(fates_by_seed_are_repeatable_and_legal)
{
	unsigned nr_old = 0, nr_new = 0, nr_torn = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint8_t first[8 * UNIT];

		for (unsigned run = 0; run < 2; run++) {
			struct rig rig;

			open_rig(&rig, (struct faulty_options){ .volatile_writes = true, .seed = seed });
			memset(inner_bytes(&rig), 0, SIZE);
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
	watched_submit(&rig, &a, DEVICE_READ, SIZE - 511, 512);
}
END_TEST

START_TEST(submitting_what_is_in_flight_is_caught)
{
	struct watched a;
	struct rig rig;

	rig_open_device(&rig, faulty_device_inner(open_faulty((struct faulty_options){ 0 }, 512)), "memory", 4);
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
	tcase_add_test(tc, what_is_held_waits_for_release);
	tcase_add_test(tc, rules_parse_from_text);
	tcase_add_test(tc, wrong_rules_are_refused_with_a_line);
	tcase_add_test(tc, stepped_transfers_take_effect_in_the_order_of_the_steps);
	tcase_add_test(tc, a_cut_keeps_what_was_flushed_and_decides_the_rest_by_fate);
	tcase_add_test(tc, overlapping_unflushed_writes_survive_in_every_legal_combination);
	tcase_add_test(tc, a_write_is_torn_at_sectors_of_the_device);
	tcase_add_test(tc, a_flush_covers_only_writes_completed_before_it_was_issued);
	tcase_add_test(tc, a_write_completed_during_a_flush_is_not_covered);
	tcase_add_test(tc, a_failed_flush_covers_nothing_unless_it_fails_after);
	tcase_add_test(tc, a_transfer_pending_at_the_cut_never_takes_effect);
	tcase_add_test(tc, fates_by_seed_are_repeatable_and_legal);
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
