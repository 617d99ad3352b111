/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files on a file system that is about to die, and the question whether those that were fsynced are there.
 *
 *	fsync-writer write DIR RECORD SEED	until a call fails
 *	fsync-writer check DIR RECORD
 *
 * write makes files of random length, appends to some, replaces some by renaming another, and removes some.  After
 * fsync(2) of the file and of the directory it appends a line "NAME SEED LENGTH" to the record, which lies elsewhere.
 * The last line of a name counts: at least that many bytes are there and right.  Before a name is removed or replaced
 * its line "NAME 0 0" says that nothing is promised of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/random.h"

#define NR_NAMES 200u
#define APPEND_MAX 60000u
#define LENGTH_MAX (16 * APPEND_MAX)

struct file { uint64_t seed, len; };	/* seed 0: no file is promised */

static uint8_t content[APPEND_MAX];

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "fsync-writer: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint8_t byte_at(uint64_t seed, uint64_t offset)
{
	struct random r = { .state = seed ^ (offset / 8) << 20 };

	return (uint8_t)(random_next(&r) >> offset % 8 * 8);
}

static void name_of(char *name, size_t size, const char *dir, unsigned n, bool renamed)
{
	snprintf(name, size, "%s/%s%u", dir, renamed ? "new-" : "file-", n);
}

static void note(int record, unsigned n, struct file f)
{
	char line[80];
	int len = snprintf(line, sizeof(line), "%u %" PRIu64 " %" PRIu64 "\n", n, f.seed, f.len);

	if (write(record, line, (size_t)len) != len)
		die("record");
}

/* Write and fsync; false when the file system is gone. */
static bool append(const char *path, int flags, struct file *f, uint32_t len)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | flags, 0600);
	bool ok;

	if (fd < 0)
		return false;
	for (uint32_t i = 0; i < len; i++)
		content[i] = byte_at(f->seed, f->len + i);
	ok = write(fd, content, len) == (ssize_t)len && !fsync(fd);
	f->len += len;
	close(fd);
	return ok;
}

/* A new file in place of the old one, if there is one: written by another name, which is then changed. */
static bool replace(const char *dir, int dir_fd, unsigned n, struct file *f, uint32_t len)
{
	char path[4096], renamed[4096];

	name_of(path, sizeof(path), dir, n, false);
	name_of(renamed, sizeof(renamed), dir, n, true);
	f->len = 0;
	return append(renamed, O_CREAT | O_TRUNC, f, len) && !rename(renamed, path) && !fsync(dir_fd);
}

static bool change(const char *dir, int dir_fd, int record, struct file *f, unsigned n, struct random *r)
{
	uint32_t len = (uint32_t)random_below(r, APPEND_MAX);
	char path[4096];

	name_of(path, sizeof(path), dir, n, false);
	if (f->seed && f->len + APPEND_MAX <= LENGTH_MAX && random_below(r, 4)) {
		if (!append(path, 0, f, len))		/* what was promised before stands meanwhile */
			return false;
	} else {
		note(record, n, (struct file){ 0 });
		f->seed = 0;
		if (random_below(r, 8) == 0)
			return !unlink(path) || errno == ENOENT;
		f->seed = random_next(r) | 1;
		if (!replace(dir, dir_fd, n, f, len))
			return false;
	}
	note(record, n, *f);
	return true;
}

static int open_for(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	return fd;
}

static void record_read(const char *path, struct file *files)
{
	FILE *in = fopen(path, "r");
	struct file f;
	unsigned n;

	if (!in)
		return;
	while (fscanf(in, "%u %" SCNu64 " %" SCNu64, &n, &f.seed, &f.len) == 3)
		if (n < NR_NAMES)
			files[n] = f;
	fclose(in);
}

static int write_files(char **argv)
{
	struct random r = { .state = strtoull(argv[2], NULL, 0) };
	struct file files[NR_NAMES] = { 0 };
	int dir_fd = open_for(argv[0], O_RDONLY | O_DIRECTORY);
	int record = open_for(argv[1], O_WRONLY | O_CREAT | O_APPEND);
	unsigned n, nr = 0;

	/* Files of an earlier run are made anew: an append that was cut off may have left more than is promised. */
	for (;; nr++) {
		n = (unsigned)random_below(&r, NR_NAMES);
		if (!change(argv[0], dir_fd, record, &files[n], n, &r))
			break;
	}
	printf("%u\n", nr);
	return 0;
}

static uint8_t buf[LENGTH_MAX];

/* Of a file that is wrong: is it what an earlier line of the record said?  Then a rename or its fsync was lost. */
static void tell_what_it_is(const char *record, unsigned n, uint64_t len)
{
	FILE *in = fopen(record, "r");
	unsigned name, line = 0, nr_same = 0;
	struct file f;

	if (!in)
		return;
	while (fscanf(in, "%u %" SCNu64 " %" SCNu64, &name, &f.seed, &f.len) == 3) {
		uint64_t i = 0;

		line++;
		if (name != n || !f.seed || f.len > len)
			continue;
		while (i < f.len && buf[i] == byte_at(f.seed, i))
			i++;
		if (i < f.len)
			continue;
		fprintf(stderr, "fsync-writer: file %u of %" PRIu64 " bytes is as in line %u of the record\n", n, len, line);
		nr_same++;
	}
	fclose(in);
	if (!nr_same)
		fprintf(stderr, "fsync-writer: file %u of %" PRIu64 " bytes is as in no line of the record\n", n, len);
}

static bool file_is_right(const char *dir, const char *record, unsigned n, const struct file *f)
{
	char path[4096];
	ssize_t len;
	int fd;

	name_of(path, sizeof(path), dir, n, false);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
	if (len < 0) {
		fprintf(stderr, "fsync-writer: %s: %s\n", path, strerror(errno));
		return false;
	}
	close(fd);
	if ((uint64_t)len < f->len) {
		fprintf(stderr, "fsync-writer: %s: %zd bytes of %" PRIu64 "\n", path, len, f->len);
		return false;
	}
	for (uint64_t i = 0; i < f->len; i++)
		if (buf[i] != byte_at(f->seed, i)) {
			fprintf(stderr, "fsync-writer: %s: wrong from byte %" PRIu64 " on\n", path, i);
			tell_what_it_is(record, n, (uint64_t)len);
			return false;
		}
	return true;
}

static int check_files(char **argv)
{
	struct file files[NR_NAMES] = { 0 };
	unsigned nr = 0, nr_wrong = 0;

	record_read(argv[1], files);
	for (unsigned n = 0; n < NR_NAMES; n++)
		if (files[n].seed) {
			nr++;
			nr_wrong += !file_is_right(argv[0], argv[1], n, &files[n]);
		}
	printf("%u files, %u wrong\n", nr, nr_wrong);
	return nr_wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "write"))
		return write_files(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "check"))
		return check_files(argv + 2);
	fprintf(stderr, "fsync-writer: wrong usage\n");
	return 2;
}
