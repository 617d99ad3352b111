/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The contract of device.h, over every kind of device. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/random.h"
#include "device-rig.h"
#include "device/aio.h"
#include "device/faulty.h"

#define ODD_SIZE 10007u
#define BIG_SIZE ((3u << 20) + 777)

/* Ranges that have been somebody's bug: single bytes, edges of units, across units, the tail, everything. */
static const struct { uint64_t offset, len; } ranges[] = {
	{ 0, 1 },       { 1, 1 },       { 511, 1 },   { 511, 2 },     { 512, 512 },   { 0, 512 },     { 0, 4096 },
	{ 4096, 4096 }, { 4095, 2 },    { 100, 300 }, { 100, 412 },   { 100, 413 },   { 100, 5000 },  { 700, 824 },
	{ 513, 1022 },  { 1, 9727 },    { 0, 9728 },  { 9727, 1 },    { 9727, 2 },    { 9728, 1 },    { 9728, 279 },
	{ 9729, 278 },  { 9000, 1007 }, { 10006, 1 }, { 8191, 1816 }, { 8192, 1815 }, { 8192, 1024 }, { 7168, 2048 },
	{ 0, 10007 },   { 1, 10006 },   { 0, 10006 },
};

START_TEST(any_range_reads_back_what_was_written)
{
	static const unsigned misalignments[] = { 0, 1, 512, 1536 };
	uint8_t *buf = aligned_alloc(4096, 16384), *got = aligned_alloc(4096, 16384);
	struct rig rig;

	if (!rig_open(&rig, &device_makers[_i], ODD_SIZE, 8))
		goto out;
	for (unsigned i = 0; i < ARRAY_SIZE(ranges) * ARRAY_SIZE(misalignments); i++) {
		uint64_t offset = ranges[i % ARRAY_SIZE(ranges)].offset, len = ranges[i % ARRAY_SIZE(ranges)].len;
		unsigned shift = misalignments[i / ARRAY_SIZE(ranges)];

		if (offset >= rig.size_bytes)
			continue;
		len = MIN(len, rig.size_bytes - offset);
		fill_pattern(buf, 16384, i + 1);
		ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, offset, buf + shift, (uint32_t)len), 0);
		rig_expect_shadow(&rig);
		fill_pattern(got, 16384, 9);
		ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, offset, got + shift, (uint32_t)len), 0);
		ck_assert_int_eq(memcmp(got + shift, buf + shift, len), 0);
		fill_pattern(buf, 16384, 9);		/* nothing outside the range was touched */
		ck_assert_int_eq(memcmp(got, buf, shift), 0);
		ck_assert_int_eq(memcmp(got + shift + len, buf + shift + len, 16384 - shift - len), 0);
	}
	rig_close(&rig);
out:
	free(buf);
	free(got);
}
END_TEST

START_TEST(synchronous_calls_take_any_range_too)
{
	uint8_t *buf = aligned_alloc(4096, 16384), *got = aligned_alloc(4096, 16384);
	struct rig rig;

	if (!rig_open(&rig, &device_makers[_i], ODD_SIZE, 8))
		goto out;
	for (unsigned i = 0; i < ARRAY_SIZE(ranges) * 2; i++) {
		uint64_t offset = ranges[i / 2].offset, len = ranges[i / 2].len;
		unsigned shift = i % 2;

		if (offset >= rig.size_bytes)
			continue;
		len = MIN(len, rig.size_bytes - offset);
		fill_pattern(buf, 16384, i + 1);
		ck_assert_int_eq(device_write(rig.dev, offset, buf + shift, len), 0);
		memcpy(rig.shadow + offset, buf + shift, len);
		rig_expect_shadow(&rig);
		memset(got, 0, 16384);
		ck_assert_int_eq(device_read(rig.dev, offset, got + shift, len), 0);
		ck_assert_int_eq(memcmp(got + shift, buf + shift, len), 0);
	}
	ck_assert_int_eq(device_read(rig.dev, rig.size_bytes, got, 0), 0);
	ck_assert_int_eq(device_write(rig.dev, rig.size_bytes, got, 0), 0);
	ck_assert_int_eq(device_flush(rig.dev), 0);
	rig_close(&rig);
out:
	free(buf);
	free(got);
}
END_TEST

/*
 * ------------------------------------------------------------------ random operations against the shadow copy
 */
#define FUZZ_SLOTS 32u
#define FUZZ_LEN_MAX (160u << 10)

struct fuzz_slot {
	struct device_io io;
	struct fuzz *fuzz;
	bool busy;
	enum device_op op;
	uint64_t offset, len;
	unsigned shift;
	uint8_t *bytes, *expected;
};

struct fuzz {
	struct rig *rig;
	struct random random;
	struct fuzz_slot slots[FUZZ_SLOTS];
	unsigned nr_done;
	int fd;
};

static void fuzz_check_size(struct fuzz *fuzz)
{
	struct device_identity id;

	ck_assert_int_eq(device_identity(fuzz->rig->dev, &id), 0);
	ck_assert_uint_eq(id.size_bytes, fuzz->rig->size_bytes);
}

static void fuzz_done(struct device_io *io)
{
	struct fuzz_slot *s = container_of(io, struct fuzz_slot, io);

	ck_assert_int_eq(io->error, 0);
	ck_assert_msg(s->op == DEVICE_WRITE || !memcmp(s->bytes + s->shift, s->expected, s->len),
		      "%s: read of %llu+%llu differs", s->fuzz->rig->maker_name, (unsigned long long)s->offset,
		      (unsigned long long)s->len);
	s->busy = false;
	s->fuzz->nr_done++;
}

static bool fuzz_range_free(struct fuzz *fuzz, enum device_op op, uint64_t offset, uint64_t len)
{
	uint64_t begin = round_down_to(offset, fuzz->rig->align_bytes);
	uint64_t end = round_up_to(offset + len, fuzz->rig->align_bytes);

	for (unsigned i = 0; i < FUZZ_SLOTS; i++) {
		struct fuzz_slot *s = &fuzz->slots[i];

		if (s->busy && (op == DEVICE_WRITE || s->op == DEVICE_WRITE) &&
		    begin < round_up_to(s->offset + s->len, fuzz->rig->align_bytes) &&
		    round_down_to(s->offset, fuzz->rig->align_bytes) < end)
			return false;
	}
	return true;
}

/* Short and long, aligned and not, often near the end. */
static void fuzz_choose_range(struct fuzz *fuzz, uint64_t *offset, uint64_t *len)
{
	uint64_t size = fuzz->rig->size_bytes;

	*len = 1 + random_below(&fuzz->random, random_below(&fuzz->random, 3) ? 6000 : FUZZ_LEN_MAX);
	*len = MIN(*len, size);
	*offset = random_below(&fuzz->random, size - *len + 1);
	if (!random_below(&fuzz->random, 6))
		*offset = size - *len;
	if (random_below(&fuzz->random, 2)) {
		*offset = round_down_to(*offset, 512);
		*len = MIN(round_up_to(*len, 512), size - *offset);
	}
	*len = MIN(*len, FUZZ_LEN_MAX);
}

static void fuzz_submit(struct fuzz *fuzz, struct fuzz_slot *s)
{
	enum device_op op = random_below(&fuzz->random, 2) ? DEVICE_WRITE : DEVICE_READ;

	fuzz_choose_range(fuzz, &s->offset, &s->len);
	if (!fuzz_range_free(fuzz, op, s->offset, s->len))
		return;
	s->op = op;
	s->shift = random_below(&fuzz->random, 3) ? 0 : (unsigned)random_below(&fuzz->random, 1024);
	if (op == DEVICE_WRITE) {
		fill_pattern(s->bytes + s->shift, s->len, random_next(&fuzz->random));
		memcpy(fuzz->rig->shadow + s->offset, s->bytes + s->shift, s->len);
	} else {
		memcpy(s->expected, fuzz->rig->shadow + s->offset, s->len);
	}
	s->busy = true;
	s->io.dev = fuzz->rig->dev;
	s->io.op = op;
	s->io.offset_bytes = s->offset;
	s->io.len_bytes = (uint32_t)s->len;
	s->io.buf = s->bytes + s->shift;
	s->io.done = fuzz_done;
	device_submit(fuzz->rig->q, &s->io);
}

/* A synchronous call beside queued transfers, under the same range rule. */
static void fuzz_sync(struct fuzz *fuzz)
{
	enum device_op op = random_below(&fuzz->random, 2) ? DEVICE_WRITE : DEVICE_READ;
	static uint8_t bytes[FUZZ_LEN_MAX];
	uint64_t offset, len;

	fuzz_choose_range(fuzz, &offset, &len);
	if (!fuzz_range_free(fuzz, op, offset, len))
		return;
	if (op == DEVICE_WRITE) {
		fill_pattern(bytes, len, random_next(&fuzz->random));
		ck_assert_int_eq(device_write(fuzz->rig->dev, offset, bytes, len), 0);
		memcpy(fuzz->rig->shadow + offset, bytes, len);
	} else {
		ck_assert_int_eq(device_read(fuzz->rig->dev, offset, bytes, len), 0);
		ck_assert_int_eq(memcmp(bytes, fuzz->rig->shadow + offset, len), 0);
	}
}

static void fuzz_zero(struct fuzz *fuzz)
{
	enum device_zero_op op = random_below(&fuzz->random, 2) ? DEVICE_PUNCH : DEVICE_ZERO;
	uint64_t offset, len;
	int err;

	fuzz_choose_range(fuzz, &offset, &len);
	if (!fuzz_range_free(fuzz, DEVICE_WRITE, offset, len))
		return;
	err = device_zero(fuzz->rig->dev, op, offset, len);
	ck_assert(!err || err == -EOPNOTSUPP);
	if (!err)
		memset(fuzz->rig->shadow + offset, 0, len);
}

static void fuzz_run(struct rig *rig, uint64_t seed, unsigned nr_steps)
{
	struct fuzz *fuzz = calloc(1, sizeof(*fuzz));

	fuzz->rig = rig;
	fuzz->random.state = seed;
	for (unsigned i = 0; i < FUZZ_SLOTS; i++) {
		struct fuzz_slot *s = &fuzz->slots[i];

		s->fuzz = fuzz;
		s->bytes = aligned_alloc(4096, FUZZ_LEN_MAX + 4096);
		s->expected = malloc(FUZZ_LEN_MAX);
		memset(s->bytes, 0, FUZZ_LEN_MAX + 4096);
		list_init(&s->io.node);
	}
	/* A pool of one thread on a busy machine ends few in so many steps: then there are more steps. */
	for (unsigned step = 0; step < nr_steps || fuzz->nr_done <= nr_steps / 20; step++) {
		struct fuzz_slot *s = &fuzz->slots[random_below(&fuzz->random, FUZZ_SLOTS)];

		if (!s->busy)
			fuzz_submit(fuzz, s);
		if (!random_below(&fuzz->random, 8))
			device_queue_kick(rig->q);
		if (!random_below(&fuzz->random, 8))
			device_queue_reap(rig->q);
		if (!random_below(&fuzz->random, 16))
			fuzz_sync(fuzz);
		if (!random_below(&fuzz->random, 40))
			fuzz_zero(fuzz);
		if (!random_below(&fuzz->random, 64))
			ck_assert_int_eq(device_flush(rig->dev), 0);
		fuzz_check_size(fuzz);
	}
	rig_settle(rig);
	ck_assert_uint_gt(fuzz->nr_done, nr_steps / 20);
	for (unsigned i = 0; i < FUZZ_SLOTS; i++) {
		free(fuzz->slots[i].bytes);
		free(fuzz->slots[i].expected);
	}
	free(fuzz);
	rig_expect_shadow(rig);
}

START_TEST(random_operations_match_a_shadow_copy)
{
	const char *text = getenv("TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 20130101u + (uint64_t)_i;
	struct rig rig;

	fprintf(stderr, "%s: TEST_SEED=%llu\n", device_makers[_i].name, (unsigned long long)seed);
	if (rig_open(&rig, &device_makers[_i], ODD_SIZE, 8)) {
		fuzz_run(&rig, seed, 3000);
		rig_close(&rig);
	}
	if (rig_open(&rig, &device_makers[_i], BIG_SIZE, 16)) {
		fuzz_run(&rig, seed + 1, 3000);
		rig_close(&rig);
	}
}
END_TEST

/*
 * ------------------------------------------------------------------ single rules of the contract
 */
START_TEST(neighbours_in_one_sector_do_not_undo_each_other)
{
	struct rig rig;
	uint8_t byte;

	if (!rig_open(&rig, &device_makers[_i], ODD_SIZE, 8))
		return;
	for (uint32_t i = 0; i < 600 && i < rig.size_bytes; i++) {
		uint64_t offset = i < 300 ? 4000 + i : rig.size_bytes - 1 - (i - 300);

		byte = (uint8_t)(i * 7);
		if (i % 2)
			ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, offset, &byte, 1), 0);
		else
			ck_assert_int_eq(device_write(rig.dev, offset, &byte, 1), 0);
		rig.shadow[offset] = byte;
	}
	rig_expect_shadow(&rig);
	rig_close(&rig);
}
END_TEST

struct counted { struct device_io io; unsigned *nr_done; };

static void counted_done(struct device_io *io)
{
	struct counted *c = container_of(io, struct counted, io);

	ck_assert_int_eq(io->error, 0);
	(*c->nr_done)++;
}

/* More than the queue gives the system at once, or more than there are bounce buffers; every one unaligned. */
static void submit_many(struct rig *rig)
{
	enum { NR_MOST = 200, LEN = 5000 };
	const unsigned stride = MAX(8192u, rig->align_bytes), nr = MIN(NR_MOST, (unsigned)(rig->size_bytes / stride));
	struct counted *c = calloc(NR_MOST, sizeof(*c));
	uint8_t *buf = malloc(NR_MOST * LEN);
	unsigned nr_done = 0;

	ck_assert_uint_gt(nr, 150);
	fill_pattern(buf, NR_MOST * LEN, 5);
	for (unsigned i = 0; i < nr; i++) {
		c[i].nr_done = &nr_done;
		c[i].io = (struct device_io){ .dev = rig->dev, .op = DEVICE_WRITE, .offset_bytes = i * stride + 1,
					      .len_bytes = LEN, .buf = buf + i * LEN, .done = counted_done };
		list_init(&c[i].io.node);
		device_submit(rig->q, &c[i].io);
		memcpy(rig->shadow + i * stride + 1, buf + i * LEN, LEN);
	}
	ck_assert_uint_ge(device_queue_in_flight(rig->q), nr);
	ck_assert_uint_eq(nr_done, 0);		/* done() is called from reap only */
	rig_settle(rig);
	ck_assert_uint_eq(nr_done, nr);
	rig_expect_shadow(rig);
	free(c);
	free(buf);
}

START_TEST(more_transfers_than_the_queue_is_deep_wait_and_all_end)
{
	struct rig rig;

	if (!rig_open(&rig, &device_makers[_i], BIG_SIZE, 4))
		return;
	submit_many(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(more_transfers_than_there_are_bounce_buffers_wait_and_all_end)
{
	struct rig rig;

	if (!rig_open(&rig, &device_makers[_i], BIG_SIZE, 100))
		return;
	submit_many(&rig);
	rig_close(&rig);
}
END_TEST

struct chain { struct device_io io; struct rig *rig; unsigned nr_left; uint64_t next_offset; uint8_t bytes[700]; };

static void chain_fill_in(struct chain *c)
{
	c->io.dev = c->rig->dev;
	c->io.op = DEVICE_WRITE;
	c->io.offset_bytes = c->next_offset;
	c->io.len_bytes = sizeof(c->bytes);
	c->io.buf = c->bytes;
}

static void chain_done(struct device_io *io)
{
	struct chain *c = container_of(io, struct chain, io);

	ck_assert_int_eq(io->error, 0);
	memcpy(c->rig->shadow + c->next_offset, c->bytes, sizeof(c->bytes));
	if (!c->nr_left--)
		return;
	c->next_offset = (c->next_offset + 333) % (c->rig->size_bytes - sizeof(c->bytes));
	fill_pattern(c->bytes, sizeof(c->bytes), c->next_offset);
	chain_fill_in(c);
	device_submit(c->rig->q, io);
}

START_TEST(done_may_submit_the_same_object_again)
{
	struct chain c = { .nr_left = 60, .io = { .done = chain_done } };
	struct rig rig;

	if (!rig_open(&rig, &device_makers[_i], ODD_SIZE, 8))
		return;
	c.rig = &rig;
	fill_pattern(c.bytes, sizeof(c.bytes), 1);
	list_init(&c.io.node);
	chain_fill_in(&c);
	device_submit(rig.q, &c.io);
	rig_settle(&rig);
	ck_assert_uint_eq(c.nr_left + 1, 0);
	rig_expect_shadow(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(punched_and_zeroed_ranges_read_back_zeros)
{
	struct rig rig;

	if (!rig_open(&rig, &device_makers[_i], BIG_SIZE, 8))
		return;
	for (unsigned i = 0; i < 14; i++) {
		static const uint64_t lens[] = { 1, 511, 512, 5000, 4096, 70001, 200000 };
		uint64_t offset = i * 210000 + (i % 3) * 77, len = lens[i % 7];
		int err = device_zero(rig.dev, i < 7 ? DEVICE_PUNCH : DEVICE_ZERO, offset, len);

		ck_assert_msg(!err || err == -EOPNOTSUPP, "%s: %s", rig.maker_name, strerror(-err));
		if (!err)
			memset(rig.shadow + offset, 0, len);
		rig_expect_shadow(&rig);
	}
	ck_assert_int_eq(device_zero(rig.dev, DEVICE_PUNCH, 5, 0), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(a_read_only_device_reads_and_refuses_to_write)
{
	struct device *dev = device_makers[_i].make(ODD_SIZE, true);
	uint8_t before[600], after[600];
	struct rig rig;

	if (!dev)
		return;
	rig_open_device(&rig, dev, device_makers[_i].name, 8);
	ck_assert(dev->info.read_only);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 1000, before, 600), 0);
	ck_assert_int_eq(device_write(dev, 1000, rig.shadow, 600), -EROFS);
	ck_assert_int_eq(device_zero(dev, DEVICE_ZERO, 1000, 600), -EROFS);
	ck_assert_int_eq(device_flush(dev), 0);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 1000, after, 600), 0);
	ck_assert_int_eq(memcmp(before, after, 600), 0);
	rig_expect_shadow(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(the_identity_stays_and_tells_of_writes)
{
	struct device_identity first, second;
	uint8_t bytes[10] = { 1, 2, 3 };
	struct rig rig;

	if (!rig_open(&rig, &device_makers[_i], ODD_SIZE, 8))
		return;
	ck_assert_int_eq(device_identity(rig.dev, &first), 0);
	ck_assert_uint_eq(first.size_bytes, rig.size_bytes);
	ck_assert(first.ino || first.rdev);
	usleep(20000);			/* the clock of file times ticks in milliseconds */
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, 3, bytes, 10), 0);
	ck_assert_int_eq(device_flush(rig.dev), 0);
	ck_assert_int_eq(device_identity(rig.dev, &second), 0);
	ck_assert_uint_eq(first.dev, second.dev);
	ck_assert_uint_eq(first.ino, second.ino);
	ck_assert_uint_eq(first.rdev, second.rdev);
	ck_assert_uint_eq(first.birth_ns, second.birth_ns);
	ck_assert(rig.dev->info.is_block || second.mtime_ns > first.mtime_ns);
	rig_close(&rig);
}
END_TEST

static void *wake_after_a_while(void *arg)
{
	usleep(30000);
	device_queue_wake(arg);
	return NULL;
}

START_TEST(wake_ends_a_wait_and_the_fd_drains)
{
	pthread_t thread;
	struct rig rig;

	if (!rig_open(&rig, &device_makers[_i], ODD_SIZE, 8))
		return;
	ck_assert_int_eq(pthread_create(&thread, NULL, wake_after_a_while, rig.q), 0);
	ck_assert_int_eq(rig_reap(&rig, 20000), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(read(device_queue_fd(rig.q), (uint64_t[]){ 0 }, 8), -1);
	ck_assert_int_eq(errno, EAGAIN);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device-contract");
	TCase *tc = tcase_create("every device");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, any_range_reads_back_what_was_written, 0, nr_device_makers);
	tcase_add_loop_test(tc, synchronous_calls_take_any_range_too, 0, nr_device_makers);
	tcase_add_loop_test(tc, random_operations_match_a_shadow_copy, 0, nr_device_makers);
	tcase_add_loop_test(tc, neighbours_in_one_sector_do_not_undo_each_other, 0, nr_device_makers);
	tcase_add_loop_test(tc, more_transfers_than_the_queue_is_deep_wait_and_all_end, 0, nr_device_makers);
	tcase_add_loop_test(tc, more_transfers_than_there_are_bounce_buffers_wait_and_all_end, 0, nr_device_makers);
	tcase_add_loop_test(tc, done_may_submit_the_same_object_again, 0, nr_device_makers);
	tcase_add_loop_test(tc, punched_and_zeroed_ranges_read_back_zeros, 0, nr_device_makers);
	tcase_add_loop_test(tc, a_read_only_device_reads_and_refuses_to_write, 0, nr_device_makers);
	tcase_add_loop_test(tc, the_identity_stays_and_tells_of_writes, 0, nr_device_makers);
	tcase_add_loop_test(tc, wake_ends_a_wait_and_the_fd_drains, 0, nr_device_makers);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
