/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device-rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/random.h"

#define SETTLE_MS 10000
#define TEST_FILES_MAX 64

static char test_files[TEST_FILES_MAX][256];
static unsigned nr_test_files;

void fill_pattern(void *buf, size_t len_bytes, uint64_t seed)
{
	struct random random = { seed };
	uint8_t *p = buf;

	for (size_t at = 0; at < len_bytes; at += 8) {
		uint64_t word = random_next(&random);

		memcpy(p + at, &word, MIN(8, len_bytes - at));
	}
}

bool skip_because(const char *why)
{
	const char *ci = getenv("CI");

	ck_assert_msg(!ci || strcmp(ci, "true"), "missing under CI=true: %s", why);
	fprintf(stderr, "skipped: %s\n", why);
	return true;
}

bool dir_is_in_memory(const char *dir)
{
	struct statfs fs;

	ck_assert_int_eq(statfs(dir, &fs), 0);
	return fs.f_type == 0x01021994 || (uint32_t)fs.f_type == 0x858458F6;
}

const char *test_disk_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/var/tmp";
}

const char *test_file_name(const char *dir)
{
	static unsigned serial;
	char *name;

	if (!nr_test_files)
		atexit(remove_test_files);
	ck_assert_uint_lt(nr_test_files, TEST_FILES_MAX);
	name = test_files[nr_test_files++];
	snprintf(name, sizeof(test_files[0]), "%s/cachewtfs-unit-%d-%u", dir, (int)getpid(), serial++);
	unlink(name);			/* of a test that crashed, long ago, in a process of our number */
	return name;
}

void remove_test_files(void)
{
	while (nr_test_files)
		unlink(test_files[--nr_test_files]);
}

const char *make_test_file(const char *dir, uint64_t size_bytes, uint64_t seed)
{
	const char *name = test_file_name(dir);
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint8_t *bytes = malloc(size_bytes + 1);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	ck_assert_ptr_nonnull(bytes);
	fill_pattern(bytes, size_bytes, seed);
	ck_assert_int_eq(write(fd, bytes, size_bytes), (ssize_t)size_bytes);
	free(bytes);
	close(fd);
	return name;
}

void rig_open_device(struct rig *rig, struct device *dev, const char *maker_name, unsigned max_in_flight)
{
	rig->maker_name = maker_name;
	rig->dev = dev;
	rig->size_bytes = dev->info.size_bytes;
	rig->align_bytes = dev->info.align_bytes;
	rig->shadow = malloc(rig->size_bytes + 1);
	ck_assert_ptr_nonnull(rig->shadow);
	ck_assert(is_power_of_2(rig->align_bytes));
	ck_assert_int_eq(device_queue_open(max_in_flight, &rig->q), 0);
	ck_assert_int_eq(device_queue_attach(rig->q, dev), 0);
	ck_assert_int_eq(device_read(dev, 0, rig->shadow, rig->size_bytes), 0);
}

bool rig_open(struct rig *rig, const struct device_maker *maker, uint64_t size_bytes, unsigned max_in_flight)
{
	struct device *dev = maker->make(size_bytes, false);

	if (!dev)
		return false;
	rig_open_device(rig, dev, maker->name, max_in_flight);
	fill_pattern(rig->shadow, rig->size_bytes, 42);
	ck_assert_int_eq(device_write(dev, 0, rig->shadow, rig->size_bytes), 0);
	return true;
}

void rig_close(struct rig *rig)
{
	device_queue_close(rig->q);
	device_close(rig->dev);
	free(rig->shadow);
	remove_test_files();
}

void rig_expect_shadow(struct rig *rig)
{
	uint8_t *bytes = malloc(rig->size_bytes + 1);

	ck_assert_ptr_nonnull(bytes);
	memset(bytes, 0, rig->size_bytes + 1);
	ck_assert_int_eq(device_read(rig->dev, 0, bytes, rig->size_bytes), 0);
	for (uint64_t i = 0; i < rig->size_bytes; i++)
		if (bytes[i] != rig->shadow[i])
			ck_abort_msg("%s: byte %llu is 0x%02x, expected 0x%02x", rig->maker_name, (unsigned long long)i,
				     bytes[i], rig->shadow[i]);
	free(bytes);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int rig_reap(struct rig *rig, int timeout_ms)
{
	struct pollfd pfd = { .fd = device_queue_fd(rig->q), .events = POLLIN };
	int nr = device_queue_reap(rig->q);

	if (nr)
		return nr;
	poll(&pfd, 1, timeout_ms);
	device_queue_drain_fd(rig->q);
	return device_queue_reap(rig->q);
}

/* Waits for the fd as a loop would: a device that forgets to signal it fails here. */
void rig_settle(struct rig *rig)
{
	struct pollfd pfd = { .fd = device_queue_fd(rig->q), .events = POLLIN };
	uint64_t deadline = now_ms() + SETTLE_MS;

	device_queue_kick(rig->q);
	while (device_queue_in_flight(rig->q)) {
		if (device_queue_reap(rig->q)) {
			device_queue_kick(rig->q);
			continue;
		}
		if (poll(&pfd, 1, SETTLE_MS) <= 0 || now_ms() > deadline)
			ck_abort_msg("%s: %u transfers never end", rig->maker_name, device_queue_in_flight(rig->q));
		device_queue_drain_fd(rig->q);
	}
}

struct waited { struct device_io io; bool is_done; int error; };

static void waited_done(struct device_io *io)
{
	struct waited *w = container_of(io, struct waited, io);

	w->is_done = true;
	w->error = io->error;
}

int rig_transfer(struct rig *rig, enum device_op op, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	struct waited w = { .io = { .dev = rig->dev, .op = op, .offset_bytes = offset_bytes, .len_bytes = len_bytes,
				    .buf = buf, .done = waited_done } };

	list_init(&w.io.node);
	device_submit(rig->q, &w.io);
	ck_assert(!w.is_done);
	rig_settle(rig);
	ck_assert(w.is_done);
	if (op == DEVICE_WRITE && !w.error)
		memcpy(rig->shadow + offset_bytes, buf, len_bytes);
	return w.error;
}
