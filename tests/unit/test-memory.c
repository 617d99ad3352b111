/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locking memory within a limit, as a user without rights.  Each test is a process of its own. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "memory.h"

#define MIB (1u << 20)

static unsigned nr_warnings;
static char warning[512];

static void note(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	if (level > LOG_LEVEL_WARNING)
		return;
	nr_warnings++;
	snprintf(warning, sizeof(warning), "%s", line);
}

static void setup(void)
{
	nr_warnings = 0;
	log_set_sink(note, NULL, LOG_LEVEL_DEBUG);
}

/* The right to lock what one likes goes with the user. */
static void be_limited(rlim_t soft, rlim_t hard)
{
	struct rlimit limit;

	ck_assert(!getrlimit(RLIMIT_MEMLOCK, &limit));
	ck_assert_msg(limit.rlim_max >= hard, "this test needs a hard limit of locked memory of %lu KiB (ulimit -Hl)",
		      (unsigned long)hard >> 10);
	limit = (struct rlimit){ soft, hard };
	ck_assert(!setrlimit(RLIMIT_MEMLOCK, &limit));
	if (!geteuid())
		ck_assert(!setresuid(65534, 65534, 65534));
}

static unsigned locked_kib(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	unsigned kib = 0;

	ck_assert_ptr_nonnull(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmLck: %u kB", &kib);
	fclose(status);
	return kib;
}

/* Written to, or the compiler does without it. */
static volatile char *make_buffer(size_t len_bytes)
{
	volatile char *buffer = malloc(len_bytes);

	ck_assert(buffer != NULL);
	buffer[len_bytes - 1] = 1;
	return buffer;
}

/* Addresses without memory, as the allocator keeps them for each thread. */
static void waste_addresses(void)
{
	ck_assert(mmap(NULL, 256 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
}

static char *make_file(size_t len_bytes)
{
	char *path = strdup("/tmp/cachewtfs-memory-XXXXXX");
	int fd = mkstemp(path);

	ck_assert(fd >= 0 && !fchmod(fd, 0644) && !posix_fallocate(fd, 0, (off_t)len_bytes));
	close(fd);
	return path;
}

START_TEST(what_is_refused_is_one_warning_with_both_numbers)
{
	if (!memory_can_be_locked())
		return;
	be_limited(0, 0);
	ck_assert_int_eq(memory_lock(), MEMORY_NOT_LOCKED);
	ck_assert_uint_eq(nr_warnings, 1);
	ck_assert_msg(strstr(warning, " KiB are needed, the limit is 0 KiB") != NULL, "%s", warning);
	ck_assert_uint_eq(locked_kib(), 0);
}
END_TEST

START_TEST(the_buffers_are_locked_where_everything_is_too_much)
{
	volatile char *buffer;

	if (!memory_can_be_locked() || getenv("UNDER_VALGRIND"))	/* whose own memory is beyond the limit below */
		return;
	buffer = make_buffer(2 * MIB);
	waste_addresses();
	be_limited(4096, 8 * MIB);	/* the soft limit is raised */
	ck_assert_int_eq(memory_lock(), MEMORY_BUFFERS_LOCKED);
	ck_assert_uint_eq(nr_warnings, 0);
	ck_assert_uint_ge(locked_kib(), 2048);
	ck_assert_uint_le(locked_kib(), 8192);
	ck_assert(!munlockall());
	free((void *)buffer);
}
END_TEST

START_TEST(the_pinned_file_is_locked_alone_if_nothing_else_can_be)
{
	volatile char *buffer;
	char *path;

	if (!memory_can_be_locked())
		return;
	path = make_file(MIB);
	buffer = make_buffer(16 * MIB);
	be_limited(4096, 4 * MIB);
	memory_pin(path);
	ck_assert_int_eq(memory_lock(), MEMORY_NOT_LOCKED);
	ck_assert_uint_eq(nr_warnings, 1);
	ck_assert_uint_eq(locked_kib(), 1024);
	unlink(path);
	free(path);
	free((void *)buffer);
}
END_TEST

START_TEST(a_file_that_cannot_be_pinned_is_no_failure)
{
	memory_pin("/no such file");
	memory_pin("/dev/null");
	memory_pin("/");
	ck_assert_uint_eq(nr_warnings, 0);
}
END_TEST

START_TEST(each_state_has_a_name)
{
	ck_assert_str_eq(memory_locked_name(MEMORY_NOT_LOCKED), "no");
	ck_assert_str_eq(memory_locked_name(MEMORY_BUFFERS_LOCKED), "buffers");
	ck_assert_str_eq(memory_locked_name(MEMORY_LOCKED), "yes");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tcase = tcase_create("limits");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, what_is_refused_is_one_warning_with_both_numbers);
	tcase_add_test(tcase, the_buffers_are_locked_where_everything_is_too_much);
	tcase_add_test(tcase, the_pinned_file_is_locked_alone_if_nothing_else_can_be);
	tcase_add_test(tcase, a_file_that_cannot_be_pinned_is_no_failure);
	tcase_add_test(tcase, each_state_has_a_name);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? 1 : 0;
}
