/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is special to files and block devices in transfers: what happens when the system refuses or does less than it
 * was asked for, and that a file never changes its size.
 *
 * io_setup and io_submit below stand in front of libaio's, so that the tests can make the system refuse, do less than
 * it was asked for, or hide its ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "device-rig.h"
#include "device/aio.h"

static struct {
	int setup_error;
	bool hide_ring;
	int submit_error;		/* for the next nr_submit_errors calls */
	unsigned nr_submit_errors;
	unsigned refuse_nth;		/* the n-th iocb from now on is refused with -EBADF; 0: none */
	unsigned take_at_most;		/* 0: all */
	size_t shorten_to;		/* bytes that each iocb is cut to; 0: none */
	unsigned nr_submits, nr_iocbs;
} kernel;

int io_setup(int nr, io_context_t *ctx)
{
	if (kernel.setup_error)
		return kernel.setup_error;
	if (syscall(SYS_io_setup, nr, ctx))
		return -errno;
	if (kernel.hide_ring)
		((unsigned *)*ctx)[4] = 0;	/* the magic */
	return 0;
}

static void shorten(struct iocb *iocb)
{
	if (iocb->aio_lio_opcode == IO_CMD_PREADV || iocb->aio_lio_opcode == IO_CMD_PWRITEV)
		iocb->u.v.nr = 1;
	else if (iocb->u.c.nbytes > kernel.shorten_to)
		iocb->u.c.nbytes = kernel.shorten_to;
}

int io_submit(io_context_t ctx, long nr, struct iocb **iocbs)
{
	long ret;

	kernel.nr_submits++;
	if (kernel.nr_submit_errors) {
		kernel.nr_submit_errors--;
		return kernel.submit_error;
	}
	if (kernel.take_at_most && nr > (long)kernel.take_at_most)
		nr = kernel.take_at_most;
	for (long i = 0; i < nr; i++) {
		if (kernel.refuse_nth && !--kernel.refuse_nth) {
			if (!i)
				return -EBADF;
			kernel.refuse_nth = 1;
			nr = i;
			break;
		}
		if (kernel.shorten_to)
			shorten(iocbs[i]);
		kernel.nr_iocbs++;
	}
	ret = syscall(SYS_io_submit, ctx, nr, iocbs);
	return ret < 0 ? -errno : (int)ret;
}

/* False, having said so, where the disk of this machine has no O_DIRECT. */
static bool open_direct_rig(struct rig *rig, uint64_t size_bytes, unsigned max_in_flight)
{
	const char *file = make_test_file(test_disk_dir(), size_bytes, 1);
	struct cwt_error err = { "" };
	struct device *dev;

	ck_assert_msg(!aio_device_open(file, &(struct aio_options){ 0 }, &dev, NULL, &err), "%s", err.text);
	if (strcmp(aio_device_path_name(dev), "direct")) {
		device_close(dev);
		if (dir_is_in_memory(test_disk_dir()))
			fprintf(stderr, "skipped: %s is in memory\n", test_disk_dir());
		else
			skip_because("O_DIRECT in $TMPDIR or /var/tmp");
		return false;
	}
	rig_open_device(rig, dev, "aio direct", max_in_flight);
	return true;
}

static struct device *open_ok(const char *path, const struct aio_options *options, bool *created)
{
	struct cwt_error err = { "" };
	struct device *dev = NULL;
	int ret = aio_device_open(path, options, &dev, created, &err);

	ck_assert_msg(!ret, "%s", err.text);
	return dev;
}

/*
 * ------------------------------------------------------------------ the system refuses
 */
struct counted { struct device_io io; int error; bool is_done; };

static void counted_done(struct device_io *io)
{
	struct counted *c = container_of(io, struct counted, io);

	c->error = io->error;
	c->is_done = true;
}

/* Even pages first, then the odd ones: none follows its neighbour, so each is a system transfer of its own. */
static unsigned nth_page(unsigned n, unsigned nr)
{
	return n < (nr + 1) / 2 ? 2 * n : 2 * (n - (nr + 1) / 2) + 1;
}

static void submit_pages(struct rig *rig, struct counted *c, unsigned nr, uint8_t *buf)
{
	for (unsigned n = 0; n < nr; n++) {
		unsigned i = nth_page(n, nr);

		c[i] = (struct counted){ .io = { .dev = rig->dev, .op = DEVICE_WRITE, .offset_bytes = i * 4096,
						 .len_bytes = 4096, .buf = buf + i * 4096, .done = counted_done } };
		list_init(&c[i].io.node);
		device_submit(rig->q, &c[i].io);
	}
}

static void expect_pages(struct rig *rig, struct counted *c, unsigned nr, const uint8_t *buf)
{
	rig_settle(rig);
	for (unsigned i = 0; i < nr; i++) {
		ck_assert(c[i].is_done);
		ck_assert_int_eq(c[i].error, 0);
	}
	memcpy(rig->shadow, buf, nr * 4096);
	rig_expect_shadow(rig);
}

START_TEST(one_kick_is_one_io_submit)
{
	uint8_t *buf = aligned_alloc(4096, 32 * 4096);
	struct counted c[32];
	struct rig rig;

	if (open_direct_rig(&rig, 1 << 20, 32)) {
		fill_pattern(buf, 32 * 4096, 2);
		submit_pages(&rig, c, 32, buf);
		ck_assert_uint_eq(kernel.nr_submits, 0);
		ck_assert_int_eq(device_queue_kick(rig.q), 32);
		ck_assert_uint_eq(kernel.nr_submits, 1);
		ck_assert_uint_eq(kernel.nr_iocbs, 32);
		expect_pages(&rig, c, 32, buf);
		ck_assert_uint_eq(kernel.nr_submits, 1);
		rig_close(&rig);
	}
	free(buf);
}
END_TEST

START_TEST(io_submit_without_room_is_tried_again)
{
	uint8_t *buf = aligned_alloc(4096, 32 * 4096);
	struct counted c[32];
	struct rig rig;

	if (open_direct_rig(&rig, 1 << 20, 32)) {
		for (unsigned n = 1; n < 6; n++) {
			kernel.submit_error = -EAGAIN;
			kernel.nr_submit_errors = n;
			fill_pattern(buf, 32 * 4096, n);
			submit_pages(&rig, c, 32, buf);
			expect_pages(&rig, c, 32, buf);
		}
		for (unsigned n = 1; n < 6; n++) {
			kernel.take_at_most = n;
			fill_pattern(buf, 32 * 4096, n + 10);
			submit_pages(&rig, c, 32, buf);
			expect_pages(&rig, c, 32, buf);
		}
		rig_close(&rig);
	}
	free(buf);
}
END_TEST

START_TEST(an_iocb_that_is_refused_fails_alone)
{
	uint8_t *buf = aligned_alloc(4096, 8 * 4096);
	struct counted c[8];
	struct rig rig;

	if (open_direct_rig(&rig, 1 << 20, 32)) {
		for (unsigned n = 1; n <= 8; n++) {
			fill_pattern(buf, 8 * 4096, n);
			submit_pages(&rig, c, 8, buf);
			kernel.refuse_nth = n;
			rig_settle(&rig);
			for (unsigned i = 0; i < 8; i++) {
				ck_assert_int_eq(c[i].error, i == nth_page(n - 1, 8) ? -EBADF : 0);
				if (!c[i].error)
					memcpy(rig.shadow + i * 4096, buf + i * 4096, 4096);
			}
			rig_expect_shadow(&rig);
		}
		rig_close(&rig);
	}
	free(buf);
}
END_TEST

/*
 * The n-th system transfer of an unaligned write (head, tail, store) is refused, for every n: the error comes up,
 * nothing leaks.
 */
START_TEST(any_step_of_a_read_modify_write_may_fail)
{
	uint8_t buf[3000];
	unsigned nr_failed = 0;
	struct rig rig;
	int error;

	if (!open_direct_rig(&rig, 1 << 20, 4))
		return;
	fill_pattern(buf, sizeof(buf), 4);
	for (unsigned n = 1; ; n++) {
		kernel.refuse_nth = n;
		error = rig_transfer(&rig, DEVICE_WRITE, 4000, buf, sizeof(buf));
		if (!error)
			break;
		ck_assert_int_eq(error, -EBADF);
		rig_expect_shadow(&rig);
		nr_failed++;
	}
	kernel.refuse_nth = 0;
	ck_assert_uint_eq(nr_failed, 3);
	rig_expect_shadow(&rig);
	rig_close(&rig);
}
END_TEST

START_TEST(short_transfers_are_continued)
{
	uint8_t *buf = aligned_alloc(4096, 256 << 10), *got = aligned_alloc(4096, 256 << 10);
	struct rig rig;

	if (open_direct_rig(&rig, 10007 + (1 << 20), 8)) {
		for (size_t cut = 512; cut <= 16384; cut *= 2) {
			kernel.shorten_to = cut;
			fill_pattern(buf, 256 << 10, cut);
			ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, 4096, buf, 200 << 10), 0);
			ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, (1 << 20) + 777, buf + 1, 9230), 0);
			rig_expect_shadow(&rig);
			memset(got, 0, 256 << 10);
			ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 100, got, 150 << 10), 0);
			ck_assert_int_eq(memcmp(got, rig.shadow + 100, 150 << 10), 0);
		}
		rig_close(&rig);
	}
	free(buf);
	free(got);
}
END_TEST

START_TEST(an_unknown_ring_is_read_by_system_call)
{
	uint8_t *buf = aligned_alloc(4096, 32 * 4096);
	struct counted c[32];
	struct rig rig;

	kernel.hide_ring = true;
	if (open_direct_rig(&rig, 1 << 20, 100)) {
		fill_pattern(buf, 32 * 4096, 2);
		submit_pages(&rig, c, 32, buf);
		expect_pages(&rig, c, 32, buf);
		ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, 4000, buf, 3000), 0);
		rig_expect_shadow(&rig);
		rig_close(&rig);
	}
	free(buf);
}
END_TEST

START_TEST(without_an_aio_context_threads_do_the_work)
{
	uint8_t *buf = aligned_alloc(4096, 32 * 4096);
	struct counted c[32];
	struct rig rig;

	kernel.setup_error = -EAGAIN;
	if (open_direct_rig(&rig, 10007 + (1 << 20), 8)) {
		fill_pattern(buf, 32 * 4096, 2);
		submit_pages(&rig, c, 32, buf);
		expect_pages(&rig, c, 32, buf);
		ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, (1 << 20) + 777, buf + 1, 9230), 0);
		rig_expect_shadow(&rig);
		ck_assert_uint_eq(kernel.nr_submits, 0);
		rig_close(&rig);
	}
	free(buf);
}
END_TEST

/*
 * ------------------------------------------------------------------ runs
 */
#define RUN_PAGES 8u

/* Neighbours in ascending order; the buffers follow each other, or are the pages of buf in reverse. */
static void submit_run(struct rig *rig, struct counted *c, enum device_op op, uint64_t offset, uint8_t *buf, bool reverse)
{
	for (unsigned i = 0; i < RUN_PAGES; i++) {
		c[i] = (struct counted){ .io = { .dev = rig->dev, .op = op, .offset_bytes = offset + i * 4096, .len_bytes = 4096,
						 .buf = buf + (reverse ? RUN_PAGES - 1 - i : i) * 4096, .done = counted_done } };
		list_init(&c[i].io.node);
		device_submit(rig->q, &c[i].io);
	}
}

static void expect_run(struct rig *rig, struct counted *c, uint64_t offset, bool reverse)
{
	rig_settle(rig);
	for (unsigned i = 0; i < RUN_PAGES; i++) {
		ck_assert(c[i].is_done);
		ck_assert_int_eq(c[i].error, 0);
	}
	for (unsigned i = 0; i < RUN_PAGES; i++) {
		const uint8_t *page = (const uint8_t *)c[0].io.buf + (reverse ? -(ptrdiff_t)i : (ptrdiff_t)i) * 4096;

		if (c[i].io.op == DEVICE_WRITE)
			memcpy(rig->shadow + offset + i * 4096, page, 4096);
		ck_assert_int_eq(memcmp(rig->shadow + offset + i * 4096, page, 4096), 0);
	}
	rig_expect_shadow(rig);
}

/* _i: 0 one buffer, 1 as many as transfers; 2, 3: and the system does only a part of it. */
START_TEST(neighbours_are_one_system_transfer)
{
	uint8_t *buf = aligned_alloc(4096, RUN_PAGES * 4096);
	bool reverse = _i & 1, shortened = _i & 2;
	struct counted c[RUN_PAGES];
	struct rig rig;

	if (open_direct_rig(&rig, 1 << 20, 32)) {
		kernel.shorten_to = shortened ? 4096 : 0;
		for (int op = DEVICE_READ; op <= DEVICE_WRITE; op++) {
			fill_pattern(buf, RUN_PAGES * 4096, 7);
			kernel.nr_iocbs = 0;
			submit_run(&rig, c, op, 64 << 10, buf, reverse);
			ck_assert_int_eq(device_queue_kick(rig.q), RUN_PAGES);
			ck_assert_uint_eq(kernel.nr_iocbs, 1);
			expect_run(&rig, c, 64 << 10, reverse);
			ck_assert_uint_eq(kernel.nr_iocbs, shortened ? 1 + RUN_PAGES : 1);
		}
		rig_close(&rig);
	}
	free(buf);
}
END_TEST

START_TEST(neighbours_of_a_refused_run_go_down_one_by_one)
{
	uint8_t *buf = aligned_alloc(4096, RUN_PAGES * 4096);
	struct counted c[RUN_PAGES];
	struct rig rig;

	if (open_direct_rig(&rig, 1 << 20, 2)) {	/* two slots: they have to take turns */
		fill_pattern(buf, RUN_PAGES * 4096, 7);
		kernel.refuse_nth = 1;
		submit_run(&rig, c, DEVICE_WRITE, 0, buf, true);
		expect_run(&rig, c, 0, true);
		rig_close(&rig);
	}
	free(buf);
}
END_TEST

/* _i: 0 direct, 1 in memory.  What is still there is read, what is not fails: as if each were alone. */
START_TEST(in_a_run_each_has_its_own_error)
{
	const char *file = make_test_file(_i ? "/dev/shm" : test_disk_dir(), 1 << 20, 1);
	uint8_t *buf = aligned_alloc(4096, RUN_PAGES * 4096);
	struct counted c[RUN_PAGES];
	struct rig rig;

	memset(buf, 0, RUN_PAGES * 4096);	/* valgrind does not see libaio fill it */
	rig_open_device(&rig, open_ok(file, &(struct aio_options){ 0 }, NULL), "a file that shrinks", 16);
	ck_assert_int_eq(truncate(file, (64 << 10) + 3 * 4096), 0);
	submit_run(&rig, c, DEVICE_READ, 64 << 10, buf, true);
	rig_settle(&rig);
	for (unsigned i = 0; i < RUN_PAGES; i++) {
		ck_assert_int_eq(c[i].error, i < 3 ? 0 : -EIO);
		if (i < 3)
			ck_assert_int_eq(memcmp(c[i].io.buf, rig.shadow + (64 << 10) + i * 4096, 4096), 0);
	}
	submit_run(&rig, c, DEVICE_WRITE, 64 << 10, buf, false);
	rig_settle(&rig);
	for (unsigned i = 0; i < RUN_PAGES; i++)
		ck_assert_int_eq(c[i].error, -EIO);
	rig_close(&rig);
	free(buf);
}
END_TEST

/*
 * ------------------------------------------------------------------ the size
 */
struct watch { const char *file; off_t size; atomic_bool stop; atomic_uint nr_wrong; };

static void *watch_size(void *arg)
{
	struct watch *w = arg;
	struct stat st;

	while (!atomic_load(&w->stop)) {
		if (stat(w->file, &st) || st.st_size != w->size)
			atomic_fetch_add(&w->nr_wrong, 1);
		usleep(1);		/* under valgrind only one thread runs at a time, and we would be it */
	}
	return NULL;
}

/* 10007 bytes, over all three paths: writes that end at, before and around the end, while another thread looks. */
START_TEST(a_file_of_10007_bytes_has_10007_bytes_at_every_moment)
{
	const char *file = make_test_file(_i == 1 ? "/dev/shm" : test_disk_dir(), 10007, 1);
	struct watch w = { .file = file, .size = 10007 };
	struct device *dev = open_ok(file, &(struct aio_options){ .force_pool = _i == 2 }, NULL);
	static uint8_t buf[10007];
	pthread_t thread;
	struct rig rig;

	rig_open_device(&rig, dev, aio_device_path_name(dev), 8);
	ck_assert_int_eq(pthread_create(&thread, NULL, watch_size, &w), 0);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t offset = 10006 - i * 40;

		fill_pattern(buf, sizeof(buf), i);
		ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, offset, buf, (uint32_t)(10007 - offset)), 0);
		if (!(i % 10))
			ck_assert_int_eq(device_write(dev, offset / 2, buf, 10007 - offset / 2), 0);
		if (!(i % 10))
			memcpy(rig.shadow + offset / 2, buf, 10007 - offset / 2);
		if (!(i % 50) && !device_zero(dev, DEVICE_PUNCH, 9000, 1007))
			memset(rig.shadow + 9000, 0, 1007);
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(atomic_load(&w.nr_wrong), 0);
	rig_expect_shadow(&rig);
	rig_close(&rig);
}
END_TEST

/*
 * The tail is buffered, what is before it in the same page must not be direct: else the page's write-back would undo
 * it. Writes on both sides of the last whole unit, many in flight; then the page cache is dropped and the file read.
 */
START_TEST(the_buffered_tail_does_not_undo_direct_writes_before_it)
{
	enum { ROUNDS = 60, PIECES = 10 };
	static uint8_t bytes[PIECES][1024], all[10007];
	struct counted c[PIECES];
	struct rig rig;
	int fd;

	if (!open_direct_rig(&rig, 10007, 16))
		return;
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < PIECES; i++) {		/* 512-byte units 7680.. up to the end, all at once */
			uint64_t offset = 5120 + i * 512;
			uint32_t len = (uint32_t)MIN(512, 10007 - offset);

			if (rig.align_bytes > 512)
				break;
			fill_pattern(bytes[i], len, round * 100 + i);
			memcpy(rig.shadow + offset, bytes[i], len);
			c[i] = (struct counted){ .io = { .dev = rig.dev, .op = DEVICE_WRITE, .offset_bytes = offset,
							 .len_bytes = len, .buf = bytes[i], .done = counted_done } };
			list_init(&c[i].io.node);
			device_submit(rig.q, &c[i].io);
		}
		rig_settle(&rig);
		ck_assert_int_eq(device_flush(rig.dev), 0);
		fd = aio_device_fd(rig.dev);
		ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		rig_expect_shadow(&rig);
	}
	ck_assert_int_eq(device_read(rig.dev, 0, all, 10007), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(a_file_that_has_shrunk_gives_EIO_and_does_not_grow_again)
{
	static const char *const dirs[] = { NULL, "/dev/shm", NULL };
	const char *file = make_test_file(dirs[_i] ? dirs[_i] : test_disk_dir(), 65536, 1);
	struct device *dev = open_ok(file, &(struct aio_options){ .force_pool = _i == 2 }, NULL);
	static uint8_t buf[8192] __attribute__((aligned(4096)));
	struct stat st;
	struct rig rig;

	rig_open_device(&rig, dev, aio_device_path_name(dev), 8);
	ck_assert_int_eq(truncate(file, 10007), 0);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 0, buf, 8192), 0);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 8192, buf, 8192), -EIO);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 9000, buf, 3000), -EIO);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_READ, 32768, buf, 8192), -EIO);
	ck_assert_int_eq(rig_transfer(&rig, DEVICE_WRITE, 32768, buf, 8192), -EIO);
	ck_assert_int_eq(device_read(dev, 8192, buf, 8192), -EIO);
	ck_assert_int_eq(device_write(dev, 32768, buf, 8192), -EIO);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_int_eq(st.st_size, 10007);
	rig_close(&rig);
}
END_TEST

START_TEST(two_devices_share_a_queue_and_one_io_submit)
{
	static uint8_t buf[2][4096] __attribute__((aligned(4096)));
	const char *other_file = make_test_file(test_disk_dir(), 65536, 1);
	struct counted c[2];
	struct device *other;
	struct rig rig;

	if (!open_direct_rig(&rig, 65536, 16))
		return;
	other = open_ok(other_file, &(struct aio_options){ 0 }, NULL);
	ck_assert_int_eq(device_queue_attach(rig.q, other), 0);
	for (unsigned i = 0; i < 2; i++) {
		fill_pattern(buf[i], 4096, 50 + i);
		c[i] = (struct counted){ .io = { .dev = i ? other : rig.dev, .op = DEVICE_WRITE, .offset_bytes = 4096,
						 .len_bytes = 4096, .buf = buf[i], .done = counted_done } };
		list_init(&c[i].io.node);
		device_submit(rig.q, &c[i].io);
	}
	rig_settle(&rig);
	ck_assert_uint_eq(kernel.nr_submits, 1);
	memcpy(rig.shadow + 4096, buf[0], 4096);
	rig_expect_shadow(&rig);
	ck_assert_int_eq(device_read(other, 4096, buf[0], 4096), 0);
	ck_assert_int_eq(memcmp(buf[0], buf[1], 4096), 0);
	device_queue_close(rig.q);
	device_close(other);
	ck_assert_int_eq(device_queue_open(1, &rig.q), 0);
	rig_close(&rig);
}
END_TEST

static void forget_faults(void)
{
	memset(&kernel, 0, sizeof(kernel));
}

int main(void)
{
	Suite *suite = suite_create("device-aio");
	TCase *tc = tcase_create("files and block devices");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, forget_faults, forget_faults);
	tcase_add_test(tc, one_kick_is_one_io_submit);
	tcase_add_test(tc, io_submit_without_room_is_tried_again);
	tcase_add_test(tc, an_iocb_that_is_refused_fails_alone);
	tcase_add_test(tc, any_step_of_a_read_modify_write_may_fail);
	tcase_add_test(tc, short_transfers_are_continued);
	tcase_add_test(tc, an_unknown_ring_is_read_by_system_call);
	tcase_add_test(tc, without_an_aio_context_threads_do_the_work);
	tcase_add_test(tc, two_devices_share_a_queue_and_one_io_submit);
	tcase_add_loop_test(tc, neighbours_are_one_system_transfer, 0, 4);
	tcase_add_test(tc, neighbours_of_a_refused_run_go_down_one_by_one);
	tcase_add_loop_test(tc, in_a_run_each_has_its_own_error, 0, 2);
	tcase_add_loop_test(tc, a_file_of_10007_bytes_has_10007_bytes_at_every_moment, 0, 3);
	tcase_add_test(tc, the_buffered_tail_does_not_undo_direct_writes_before_it);
	tcase_add_loop_test(tc, a_file_that_has_shrunk_gives_EIO_and_does_not_grow_again, 0, 3);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
