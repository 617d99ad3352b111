/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is special to files and block devices: how they are opened and locked, what happens when the system refuses, and that
 * a file never changes its size.
 *
 * io_setup and io_submit below stand in front of libaio's, so that the tests can make the system refuse, do less than it was
 * asked for, or hide its ring.
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
		if (kernel.shorten_to && iocbs[i]->u.c.nbytes > kernel.shorten_to)
			iocbs[i]->u.c.nbytes = kernel.shorten_to;
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
		skip_because("O_DIRECT in $TMPDIR or /var/tmp");
		return false;
	}
	rig_open_device(rig, dev, "aio direct", max_in_flight);
	return true;
}

static int open_error(const char *path, const struct aio_options *options, const char *expected_words)
{
	struct cwt_error err = { "" };
	struct device *dev = NULL;
	int ret = aio_device_open(path, options, &dev, NULL, &err);

	ck_assert_ptr_null(dev);
	ck_assert_int_lt(ret, 0);
	ck_assert_msg(!strncmp(err.text, path, strlen(path)), "the line does not begin with the path: %s", err.text);
	ck_assert_msg(!strchr(err.text, '\n'), "%s", err.text);
	ck_assert_msg(err.text[strlen(err.text) - 1] == ')', "no remedy: %s", err.text);
	ck_assert_msg(strstr(err.text, expected_words) != NULL, "not '%s': %s", expected_words, err.text);
	return ret;
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

static void submit_pages(struct rig *rig, struct counted *c, unsigned nr, uint8_t *buf)
{
	for (unsigned i = 0; i < nr; i++) {
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
				ck_assert_int_eq(c[i].error, i + 1 == n ? -EBADF : 0);
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

/* The n-th system transfer of an unaligned write (head, tail, store) is refused, for every n: the error comes up, nothing leaks. */
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
 * ------------------------------------------------------------------ the size
 */
struct watch { const char *file; off_t size; atomic_bool stop; atomic_uint nr_wrong; };

static void *watch_size(void *arg)
{
	struct watch *w = arg;
	struct stat st;

	while (!atomic_load(&w->stop))
		if (stat(w->file, &st) || st.st_size != w->size)
			atomic_fetch_add(&w->nr_wrong, 1);
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
 * The tail is buffered, what is before it in the same page must not be direct: else the page's write-back would undo it.
 * Writes on both sides of the last whole unit, many in flight; then the page cache is dropped and the file read.
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

/*
 * ------------------------------------------------------------------ open: locks
 */
START_TEST(a_second_writer_and_a_reader_beside_a_writer_are_refused)
{
	static const uint64_t sizes[] = { 65536, 10007 };	/* 10007: the lock is shared with the tail's descriptor */
	struct aio_options reader = { .read_only = true };
	const char *file = make_test_file(test_disk_dir(), sizes[_i], 1);
	struct device *writer = open_ok(file, &(struct aio_options){ 0 }, NULL), *one, *two;
	uint8_t byte;

	ck_assert_int_eq(open_error(file, &(struct aio_options){ 0 }, "in use by another process"), -EBUSY);
	ck_assert_int_eq(open_error(file, &(struct aio_options){ .buffered = true }, "in use by another process"), -EBUSY);
	ck_assert_int_eq(open_error(file, &reader, "in use by another process"), -EBUSY);
	one = open_ok(file, &(struct aio_options){ .read_only = true, .no_lock = true }, NULL);
	ck_assert_int_eq(device_read(one, 0, &byte, 1), 0);
	device_close(one);
	ck_assert_int_eq(open_error(file, &(struct aio_options){ 0 }, "in use by another process"), -EBUSY);
	device_close(writer);

	one = open_ok(file, &reader, NULL);
	two = open_ok(file, &reader, NULL);
	ck_assert_int_eq(open_error(file, &(struct aio_options){ 0 }, "in use by another process"), -EBUSY);
	device_close(one);
	ck_assert_int_eq(open_error(file, &(struct aio_options){ 0 }, "in use by another process"), -EBUSY);
	device_close(two);
	device_close(open_ok(file, &(struct aio_options){ 0 }, NULL));
	remove_test_files();
}
END_TEST

/* R0: no byte is left unlocked, and each descriptor that does I/O holds a part. */
START_TEST(every_byte_is_locked_and_the_tail_by_its_own_descriptor)
{
	const char *file = make_test_file(test_disk_dir(), 10007, 1);
	struct device *dev = open_ok(file, &(struct aio_options){ 0 }, NULL);
	off_t starts[] = { 0, 5000, 10006, (off_t)1 << 62, INT64_MAX - 1 };
	int fd = open(file, O_RDWR | O_CLOEXEC);

	for (unsigned i = 0; i < ARRAY_SIZE(starts); i++) {
		struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = starts[i], .l_len = 1 };

		ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &lock), 0);
		ck_assert_int_eq(lock.l_type, F_WRLCK);
		if (!strcmp(aio_device_path_name(dev), "direct"))
			ck_assert_int_eq(lock.l_start, i < 3 ? 0 : (off_t)1 << 62);
	}
	close(fd);
	device_close(dev);
	remove_test_files();
}
END_TEST

START_TEST(the_owner_of_a_plain_lock_is_named)
{
	const char *file = make_test_file(test_disk_dir(), 10007, 1);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char expected[64];
	int ready[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		int fd = open(file, O_RDWR);

		if (fd < 0 || fcntl(fd, F_SETLK, &lock) || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	snprintf(expected, sizeof(expected), "in use by process %d (", (int)pid);
	ck_assert_int_eq(open_error(file, &(struct aio_options){ 0 }, expected), -EBUSY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	device_close(open_ok(file, &(struct aio_options){ 0 }, NULL));
	close(ready[0]);
	close(ready[1]);
	remove_test_files();
}
END_TEST

START_TEST(a_block_device_has_one_owner)
{
	for (int i = 0; i < nr_device_makers; i++) {
		struct device *dev;
		char name[256];

		if (strcmp(device_makers[i].name, "aio, block device of 512-byte sectors"))
			continue;
		dev = device_makers[i].make(1 << 20, false);
		if (!dev)
			return;
		strcpy(name, dev->name);
		ck_assert_int_eq(open_error(name, &(struct aio_options){ 0 }, "in use: mounted, or claimed"), -EBUSY);
		ck_assert_int_eq(open_error(name, &(struct aio_options){ .read_only = true }, "in use: "), -EBUSY);
		device_close(dev);
		remove_test_files();
		return;
	}
	ck_abort_msg("the maker has another name now");
}
END_TEST

/*
 * ------------------------------------------------------------------ open: wrong input
 */
START_TEST(what_is_not_a_store_is_refused_with_a_line)
{
	struct aio_options plain = { 0 }, create = { .create = true, .size_bytes = 65536 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *name = test_file_name(test_disk_dir()), *link_name;
	char below[512];
	int fd;

	ck_assert_int_eq(open_error(name, &plain, "does not exist"), -ENOENT);
	ck_assert_int_eq(open_error(test_disk_dir(), &plain, "is a directory"), -EISDIR);
	ck_assert_int_eq(open_error(test_disk_dir(), &create, "is a directory"), -EISDIR);
	ck_assert_int_eq(open_error("/dev/null", &plain, "a character device"), -EINVAL);
	snprintf(below, sizeof(below), "%s/x", name);
	ck_assert_int_eq(open_error(below, &create, "its directory does not exist"), -ENOENT);

	ck_assert_int_eq(mkfifo(name, 0600), 0);	/* nobody at the other end: this must not wait for one */
	ck_assert_int_eq(open_error(name, &plain, "a FIFO"), -EINVAL);
	ck_assert_int_eq(open_error(name, &(struct aio_options){ .read_only = true }, "a FIFO"), -EINVAL);
	unlink(name);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(open_error(name, &plain, "a socket"), -EINVAL);
	close(fd);
	unlink(name);

	link_name = test_file_name(test_disk_dir());
	ck_assert_int_eq(symlink(name, link_name), 0);
	ck_assert_int_eq(open_error(link_name, &plain, "does not exist"), -ENOENT);
	ck_assert_int_eq(open_error(link_name, &create, "a symbolic link to nothing"), -EEXIST);
	ck_assert_int_eq(access(name, F_OK), -1);
	remove_test_files();
}
END_TEST

static void as_nobody(void (*fn)(const char *file), const char *file)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(2);
		fn(file);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
}

static void expect_no_permission(const char *file)
{
	struct cwt_error err = { "" };
	struct device *dev;
	int ret = aio_device_open(file, &(struct aio_options){ 0 }, &dev, NULL, &err);

	if (ret != -EACCES || !strstr(err.text, "permission denied (read and write"))
		_exit(3);
}

START_TEST(a_file_without_permission_is_refused)
{
	const char *file = make_test_file(test_disk_dir(), 4096, 1);

	ck_assert_int_eq(chmod(file, 0400), 0);
	as_nobody(expect_no_permission, file);
	remove_test_files();
}
END_TEST

/*
 * ------------------------------------------------------------------ open: making a store
 */
START_TEST(a_missing_or_empty_store_is_made_and_fully_allocated)
{
	struct aio_options options = { .create = true, .size_bytes = 1 << 20 };
	const char *name = test_file_name(test_disk_dir());
	struct device *dev;
	struct stat st;
	bool created;

	dev = open_ok(name, &options, &created);
	ck_assert(created);
	ck_assert_uint_eq(dev->info.size_bytes, 1 << 20);
	device_close(dev);
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_ge(st.st_blocks, (1 << 20) / 512);

	options.size_bytes = 2 << 20;			/* an existing one keeps its size */
	dev = open_ok(name, &options, &created);
	ck_assert(!created);
	ck_assert_uint_eq(dev->info.size_bytes, 1 << 20);
	device_close(dev);

	ck_assert_int_eq(truncate(name, 0), 0);
	options.create = false;
	dev = open_ok(name, &options, &created);
	ck_assert(created);
	ck_assert_uint_eq(dev->info.size_bytes, 2 << 20);
	device_close(dev);

	ck_assert_int_eq(truncate(name, 0), 0);
	dev = open_ok(name, &(struct aio_options){ 0 }, &created);
	ck_assert(!created);
	ck_assert_uint_eq(dev->info.size_bytes, 0);
	device_close(dev);
	remove_test_files();
}
END_TEST

static void expect_nothing_left(const char *name, int expected_error)
{
	struct aio_options options = { .create = true, .size_bytes = 64 << 20 };
	struct stat st;
	int fd;

	ck_assert_int_eq(open_error(name, &options, "67108864 bytes cannot be allocated"), expected_error);
	ck_assert_int_eq(access(name, F_OK), -1);		/* made by us: gone again */
	fd = open(name, O_CREAT | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(open_error(name, &options, "67108864 bytes cannot be allocated"), expected_error);
	ck_assert_int_eq(fstat(fd, &st), 0);			/* was there: stays, empty as it was */
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(st.st_blocks, 0);
	close(fd);
	unlink(name);
}

START_TEST(a_store_too_big_for_the_limits_leaves_nothing_behind)
{
	struct rlimit old, limit;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){ 1 << 20, old.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect_nothing_left(test_file_name(test_disk_dir()), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
}
END_TEST

START_TEST(a_full_disk_leaves_nothing_behind)
{
	char dir[] = "/var/tmp/cachewtfs-unit-XXXXXX", name[64];

	if (geteuid() || (getenv("CK_FORK") && !strcmp(getenv("CK_FORK"), "no"))) {
		fprintf(stderr, "skipped: mounting a small tmpfs needs root, and a process of its own\n");
		return;
	}
	ck_assert_ptr_nonnull(mkdtemp(dir));
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, "tmpfs", 0, "size=4M")) {
		skip_because("a mount namespace");
	} else {
		snprintf(name, sizeof(name), "%s/store", dir);
		expect_nothing_left(name, -ENOSPC);
		umount(dir);
	}
	rmdir(dir);
}
END_TEST

START_TEST(buffered_is_never_direct)
{
	const char *file = make_test_file(test_disk_dir(), 65536, 1);
	struct device *dev = open_ok(file, &(struct aio_options){ .buffered = true }, NULL);

	ck_assert_str_ne(aio_device_path_name(dev), "direct");
	ck_assert_uint_eq(dev->info.align_bytes, 1);
	ck_assert_int_eq(fcntl(aio_device_fd(dev), F_GETFL) & (O_DIRECT | O_NONBLOCK), 0);
	device_close(dev);
	remove_test_files();
}
END_TEST

START_TEST(an_empty_store_opens_with_size_0)
{
	const char *file = make_test_file(test_disk_dir(), 0, 1);
	struct device *dev = open_ok(file, &(struct aio_options){ 0 }, NULL);

	ck_assert_uint_eq(dev->info.size_bytes, 0);
	ck_assert_int_eq(device_read(dev, 0, (char[]){ 0 }, 0), 0);
	ck_assert_int_eq(device_flush(dev), 0);
	device_close(dev);
	remove_test_files();
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
	tcase_add_loop_test(tc, a_file_of_10007_bytes_has_10007_bytes_at_every_moment, 0, 3);
	tcase_add_test(tc, the_buffered_tail_does_not_undo_direct_writes_before_it);
	tcase_add_loop_test(tc, a_file_that_has_shrunk_gives_EIO_and_does_not_grow_again, 0, 3);
	tcase_add_loop_test(tc, a_second_writer_and_a_reader_beside_a_writer_are_refused, 0, 2);
	tcase_add_test(tc, every_byte_is_locked_and_the_tail_by_its_own_descriptor);
	tcase_add_test(tc, the_owner_of_a_plain_lock_is_named);
	tcase_add_test(tc, a_block_device_has_one_owner);
	tcase_add_test(tc, what_is_not_a_store_is_refused_with_a_line);
	tcase_add_test(tc, a_file_without_permission_is_refused);
	tcase_add_test(tc, a_missing_or_empty_store_is_made_and_fully_allocated);
	tcase_add_test(tc, a_store_too_big_for_the_limits_leaves_nothing_behind);
	tcase_add_test(tc, a_full_disk_leaves_nothing_behind);
	tcase_add_test(tc, buffered_is_never_direct);
	tcase_add_test(tc, an_empty_store_opens_with_size_0);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
