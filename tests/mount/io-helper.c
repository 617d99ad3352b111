/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The I/O that shell scripts cannot do: many processes or threads at once on one file, and calls whose result matters.
 *
 *	io-helper processes FILE NR WRITES disjoint|overlapping
 *	io-helper threads FILE NR ROUNDS
 *	io-helper pwrite FILE OFFSET LENGTH		prints the result or the errno's name
 *	io-helper seek FILE data|hole OFFSET		likewise
 *	io-helper fsync FILE				likewise
 *	io-helper change-fd LOOP-DEVICE FILE		another backing file of the same size, read-only
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/random.h"

#define WRITERS_MAX 64
#define WRITE_MAX 200000
#define PAGE 4096

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "io-helper: %s: %s\n", what, strerror(errno));
	exit(1);
}

_Noreturn static void wrong(const char *what, uint64_t offset, unsigned found)
{
	fprintf(stderr, "io-helper: %s at %llu: found 0x%02x\n", what, (unsigned long long)offset, found);
	exit(1);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static void write_all(int fd, const uint8_t *buf, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, buf, len, (off_t)offset);

		if (n <= 0)
			die("pwrite");
		buf += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
}

static void read_all(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pread(fd, buf, len, (off_t)offset);

		if (n <= 0)
			die("pread");
		buf += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
}

/*
 * ------------------------------------------------------------------ processes
 *
 * Each writes ranges of random place and length, odd ones too, and reads some of them back.  Disjoint: each its own
 * part of the file, and at the end the part holds the last byte written to every place.  Overlapping: all over the
 * file; a byte then is what one of them wrote there: writer w writes byte w * 3 + 1 + (offset % 3).
 */
static uint8_t overlapping_byte(unsigned writer, uint64_t offset) { return (uint8_t)(writer * 3 + 1 + offset % 3); }

static void write_part(int fd, unsigned writer, unsigned nr_writes, uint64_t begin, uint64_t len)
{
	struct random r = { .state = writer };
	uint8_t *part = malloc(len), *back = malloc(len);

	if (!part || !back)
		die("malloc");
	read_all(fd, part, len, begin);
	for (unsigned i = 0; i < nr_writes; i++) {
		uint64_t at = random_below(&r, len), n = 1 + random_below(&r, WRITE_MAX);

		n = n < len - at ? n : len - at;
		memset(part + at, (int)random_next(&r), n);
		write_all(fd, part + at, n, begin + at);
		if (i % 4)
			continue;
		read_all(fd, back + at, n, begin + at);
		if (memcmp(part + at, back + at, n))
			wrong("not what was just written", begin + at, back[at]);
	}
	read_all(fd, back, len, begin);
	for (uint64_t i = 0; i < len; i++)
		if (part[i] != back[i])
			wrong("not what was written last", begin + i, back[i]);
	free(part);
	free(back);
}

static void write_anywhere(int fd, unsigned writer, unsigned nr_writes, uint64_t size)
{
	struct random r = { .state = writer };
	uint8_t *buf = malloc(WRITE_MAX);

	if (!buf)
		die("malloc");
	for (unsigned i = 0; i < nr_writes; i++) {
		uint64_t at = random_below(&r, size), n = 1 + random_below(&r, WRITE_MAX);

		n = n < size - at ? n : size - at;
		for (uint64_t k = 0; k < n; k++)
			buf[k] = overlapping_byte(writer, at + k);
		write_all(fd, buf, n, at);
	}
	free(buf);
}

static void run_processes(const char *path, unsigned nr, unsigned nr_writes, bool overlapping)
{
	struct stat st;
	bool failed = false;

	if (stat(path, &st))
		die(path);
	for (unsigned w = 0; w < nr; w++) {
		uint64_t part = (uint64_t)st.st_size / nr, len = w + 1 == nr ? (uint64_t)st.st_size - w * part : part;
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		if (overlapping)
			write_anywhere(open_file(path, O_RDWR), w, nr_writes, (uint64_t)st.st_size);
		else
			write_part(open_file(path, O_RDWR), w, nr_writes, w * part, len);
		_exit(0);	/* the parent's memory is no leak of ours */
	}
	for (unsigned w = 0; w < nr; w++) {
		int status;

		if (wait(&status) < 0 || status)
			failed = true;
	}
	if (failed)
		exit(1);
}

static bool byte_is_permitted(uint8_t byte, uint8_t before, uint64_t offset, unsigned nr)
{
	if (byte == before)
		return true;
	for (unsigned w = 0; w < nr; w++)
		if (byte == overlapping_byte(w, offset))
			return true;
	return false;
}

static int processes(char **argv)
{
	const char *path = argv[0];
	unsigned nr = (unsigned)atoi(argv[1]), nr_writes = (unsigned)atoi(argv[2]);
	bool overlapping = !strcmp(argv[3], "overlapping");
	uint8_t *before, *after;
	struct stat st;
	int fd = open_file(path, O_RDWR);

	if (nr < 1 || nr > WRITERS_MAX || fstat(fd, &st) || !(before = malloc((size_t)st.st_size)) ||
	    !(after = malloc((size_t)st.st_size)))
		die("processes");
	read_all(fd, before, (size_t)st.st_size, 0);
	run_processes(path, nr, nr_writes, overlapping);
	read_all(fd, after, (size_t)st.st_size, 0);
	for (uint64_t i = 0; overlapping && i < (uint64_t)st.st_size; i++)
		if (!byte_is_permitted(after[i], before[i], i, nr))
			wrong("a byte that nobody wrote", i, after[i]);
	free(before);
	free(after);
	return 0;
}

/*
 * ------------------------------------------------------------------ threads: each every nr-th byte of the second page
 */
struct writer { pthread_t thread; int fd; unsigned first, step, nr_rounds; };

static uint8_t thread_byte(unsigned round, unsigned at) { return (uint8_t)(round * 31 + at * 7 + 1); }

static void *write_bytes(void *arg)
{
	const struct writer *w = arg;

	for (unsigned round = 0; round < w->nr_rounds; round++)
		for (unsigned at = w->first; at < PAGE; at += w->step) {
			uint8_t byte = thread_byte(round, at);

			write_all(w->fd, &byte, 1, PAGE + at);
		}
	return NULL;
}

static int threads(char **argv)
{
	struct writer writers[WRITERS_MAX];
	unsigned nr = (unsigned)atoi(argv[1]), nr_rounds = (unsigned)atoi(argv[2]);
	int fd = open_file(argv[0], O_RDWR);
	uint8_t page[PAGE];

	if (nr < 1 || nr > WRITERS_MAX || nr_rounds < 1)
		return 2;
	for (unsigned i = 0; i < nr; i++) {
		writers[i] = (struct writer){ .fd = fd, .first = i, .step = nr, .nr_rounds = nr_rounds };
		if (pthread_create(&writers[i].thread, NULL, write_bytes, &writers[i]))
			die("pthread_create");
	}
	for (unsigned i = 0; i < nr; i++)
		pthread_join(writers[i].thread, NULL);
	read_all(fd, page, PAGE, PAGE);
	for (unsigned at = 0; at < PAGE; at++)
		if (page[at] != thread_byte(nr_rounds - 1, at))
			wrong("a byte is lost", PAGE + at, page[at]);
	return 0;
}

/*
 * ------------------------------------------------------------------ single calls
 */
static int print_result(long long result)
{
	if (result < 0)
		printf("%s\n", strerrorname_np(errno));
	else
		printf("%lld\n", result);
	return 0;
}

static int one_pwrite(char **argv)
{
	size_t len = (size_t)atoll(argv[2]);
	uint8_t *buf = malloc(len + 1);

	if (!buf)
		die("malloc");
	memset(buf, 'w', len);
	print_result(pwrite(open_file(argv[0], O_WRONLY), buf, len, atoll(argv[1])));
	free(buf);
	return 0;
}

/* RWF_DSYNC: through a handle that is opened without any such flag. */
static int one_dsync_write(char **argv)
{
	size_t len = (size_t)atoll(argv[2]);
	struct iovec iov = { malloc(len + 1), len };

	if (!iov.iov_base)
		die("malloc");
	memset(iov.iov_base, 'd', len);
	print_result(pwritev2(open_file(argv[0], O_WRONLY), &iov, 1, atoll(argv[1]), RWF_DSYNC));
	free(iov.iov_base);
	return 0;
}

static int zero_range(const char *file, int flags, char **argv)
{
	return print_result(fallocate(open_file(file, O_WRONLY | flags), FALLOC_FL_ZERO_RANGE, atoll(argv[1]), atoll(argv[2])));
}

static int one_zero(char **argv) { return zero_range(argv[0], 0, argv); }
static int one_sync_zero(char **argv) { return zero_range(argv[0], O_SYNC, argv); }

static int one_seek(char **argv)
{
	return print_result(lseek(open_file(argv[0], O_RDONLY), atoll(argv[2]),
				  !strcmp(argv[1], "data") ? SEEK_DATA : SEEK_HOLE));
}

static int one_fsync(char **argv) { return print_result(fsync(open_file(argv[0], O_WRONLY))); }

static int change_fd(char **argv)
{
	if (ioctl(open_file(argv[0], O_RDONLY), LOOP_CHANGE_FD, open_file(argv[1], O_RDONLY)))
		die("LOOP_CHANGE_FD");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int nr_args; int (*run)(char **argv); } commands[] = {
		{ "processes", 4, processes }, { "threads", 3, threads }, { "pwrite", 3, one_pwrite },
		{ "pwrite-dsync", 3, one_dsync_write }, { "zero", 3, one_zero }, { "zero-sync", 3, one_sync_zero },
		{ "seek", 3, one_seek }, { "fsync", 1, one_fsync },
		{ "change-fd", 2, change_fd },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 == commands[i].nr_args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "io-helper: wrong usage\n");
	return 2;
}
