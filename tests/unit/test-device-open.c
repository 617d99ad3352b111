/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening files and block devices: locks, wrong input, making a store. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "device-rig.h"
#include "device/aio.h"

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
	aio_device_keep(dev);
	return dev;
}

/*
 * ------------------------------------------------------------------ open: locks
 */
START_TEST(a_second_writer_and_a_reader_beside_a_writer_are_refused)
{
	static const uint64_t sizes[] = { 65536, 10007 }; /* 10007: the lock is shared with the tail's descriptor */
	struct aio_options reader = { .read_only = true };
	const char *file = make_test_file(test_disk_dir(), sizes[_i], 1);
	struct device *writer = open_ok(file, &(struct aio_options){ 0 }, NULL), *one, *two;
	uint8_t byte;

	ck_assert_int_eq(open_error(file, &(struct aio_options){ 0 }, "in use by another process"), -EBUSY);
	ck_assert_int_eq(open_error(file, &(struct aio_options){ .buffered = true }, "in use by another process"),
			 -EBUSY);
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

/* What a start that fails later leaves: a file that it has made goes, one that the user has made stays, empty. */
START_TEST(what_was_made_and_not_kept_is_undone_by_close)
{
	struct aio_options options = { .create = true, .size_bytes = 1 << 20 };
	const char *name = test_file_name(test_disk_dir());
	char other[300];
	struct device *dev;
	struct stat st;

	ck_assert_int_eq(aio_device_open(name, &options, &dev, NULL, NULL), 0);
	device_close(dev);
	ck_assert_int_eq(access(name, F_OK), -1);

	ck_assert_int_eq(close(open(name, O_CREAT | O_RDWR, 0600)), 0);
	ck_assert_int_eq(aio_device_open(name, &options, &dev, NULL, NULL), 0);
	device_close(dev);
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_int_eq(st.st_size, 0);

	snprintf(other, sizeof(other), "%s.other", name);
	ck_assert_int_eq(rename(name, other), 0);		/* through a link, which stays as well */
	ck_assert_int_eq(symlink(other, name), 0);
	ck_assert_int_eq(aio_device_open(name, &options, &dev, NULL, NULL), 0);
	device_close(dev);
	ck_assert_int_eq(lstat(name, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	unlink(name);
	unlink(other);

	ck_assert_int_eq(aio_device_open(name, &options, &dev, NULL, NULL), 0);
	ck_assert_int_eq(rename(name, other), 0);		/* another file has come to the name */
	ck_assert_int_eq(close(open(name, O_CREAT | O_RDWR, 0600)), 0);
	device_close(dev);
	ck_assert_int_eq(access(name, F_OK), 0);
	unlink(name);
	unlink(other);
}
END_TEST

START_TEST(no_file_is_made_in_dev)
{
	struct aio_options options = { .create = true, .size_bytes = 1 << 20 };

	ck_assert_int_eq(open_error("/dev/cachewtfs-nosuch", &options, "no file is made in /dev"), -ENOENT);
	ck_assert_int_eq(access("/dev/cachewtfs-nosuch", F_OK), -1);
	ck_assert_int_eq(open_error("/dev/../dev/./cachewtfs-nosuch", &options, "no file is made in /dev"), -ENOENT);
	if (dir_is_in_memory("/dev/shm")) {
		const char *name = test_file_name("/dev/shm");

		device_close(open_ok(name, &options, NULL));
		ck_assert_int_eq(access(name, F_OK), 0);
		unlink(name);
	}
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
	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
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

int main(void)
{
	Suite *suite = suite_create("device-open");
	TCase *tc = tcase_create("files and block devices");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_second_writer_and_a_reader_beside_a_writer_are_refused, 0, 2);
	tcase_add_test(tc, every_byte_is_locked_and_the_tail_by_its_own_descriptor);
	tcase_add_test(tc, the_owner_of_a_plain_lock_is_named);
	tcase_add_test(tc, a_block_device_has_one_owner);
	tcase_add_test(tc, what_is_not_a_store_is_refused_with_a_line);
	tcase_add_test(tc, a_file_without_permission_is_refused);
	tcase_add_test(tc, a_missing_or_empty_store_is_made_and_fully_allocated);
	tcase_add_test(tc, what_was_made_and_not_kept_is_undone_by_close);
	tcase_add_test(tc, no_file_is_made_in_dev);
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
