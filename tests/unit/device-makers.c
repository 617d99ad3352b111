/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The devices that the contract suite runs over. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bits.h"
#include "device-rig.h"
#include "device/aio.h"
#include "device/faulty.h"
#include "device/memory.h"

static int loop_keeper_fd;		/* keeps a new loop device from vanishing before it is opened */

static struct device *make_memory(uint64_t size_bytes, uint32_t align_bytes, bool read_only)
{
	struct memory_options options = { .size_bytes = size_bytes, .align_bytes = align_bytes, .seed = 7,
					  .read_only = read_only };
	struct device *dev;

	ck_assert_int_eq(memory_device_open("memory", &options, &dev), 0);
	return dev;
}

static struct device *make_memory_1(uint64_t size_bytes, bool read_only)
{
	return make_memory(size_bytes, 1, read_only);
}

static struct device *make_memory_512(uint64_t size_bytes, bool read_only)
{
	return make_memory(size_bytes, 512, read_only);
}

static struct device *make_memory_16k(uint64_t size_bytes, bool read_only)
{
	return make_memory(size_bytes, 16384, read_only);
}

static struct device *make_memory_4k(uint64_t size_bytes, bool read_only)
{
	return make_memory(size_bytes, 4096, read_only);
}

static struct device *open_aio(const char *path, const struct aio_options *options)
{
	struct cwt_error err = { "" };
	struct device *dev;
	int ret = aio_device_open(path, options, &dev, NULL, &err);

	ck_assert_msg(!ret, "%s: %s", strerror(-ret), err.text);
	return dev;
}

/*
 * Which path the open chose is part of the test: on a disk a silent fall-back to threads would hide the rest of the
 * suite.
 */
static struct device *make_aio_direct(uint64_t size_bytes, bool read_only)
{
	const char *file = make_test_file(test_disk_dir(), size_bytes, 11);
	struct device *dev = open_aio(file, &(struct aio_options){ .read_only = read_only });

	if (strcmp(aio_device_path_name(dev), "direct")) {
		fprintf(stderr, "in %s the path is %s, not direct\n", test_disk_dir(), aio_device_path_name(dev));
		if (!dir_is_in_memory(test_disk_dir()))
			skip_because("O_DIRECT in $TMPDIR or /var/tmp");
	}
	return dev;
}

static struct device *make_aio_memory(uint64_t size_bytes, bool read_only)
{
	struct device *dev;

	if (!dir_is_in_memory("/dev/shm")) {
		skip_because("a tmpfs on /dev/shm");
		return NULL;
	}
	dev = open_aio(make_test_file("/dev/shm", size_bytes, 11), &(struct aio_options){ .read_only = read_only });
	ck_assert_str_eq(aio_device_path_name(dev), "memory");
	ck_assert(dev->info.fast);
	return dev;
}

static struct device *make_pool(uint64_t size_bytes, bool read_only, unsigned nr_threads)
{
	const char *file = make_test_file(test_disk_dir(), size_bytes, 11);
	struct aio_options options = { .read_only = read_only, .force_pool = true, .nr_pool_threads = nr_threads };
	struct device *dev = open_aio(file, &options);

	ck_assert_str_eq(aio_device_path_name(dev), "pool");
	return dev;
}

static struct device *make_aio_pool(uint64_t size_bytes, bool read_only) { return make_pool(size_bytes, read_only, 0); }
static struct device *make_aio_pool_of_1(uint64_t size_bytes, bool read_only)
{
	return make_pool(size_bytes, read_only, 1);
}

/* A loop device over a file of ours, detached by the kernel when its last user has closed it.  NULL: none to be had. */
static const char *make_loop(uint64_t size_bytes, uint32_t sector_bytes)
{
	static char name[32];
	struct loop_config config = { .block_size = sector_bytes, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n, fd = -1;

	config.fd = (uint32_t)open(make_test_file(test_disk_dir(), size_bytes & ~(sector_bytes - 1ull), 11),
				   O_RDWR | O_CLOEXEC);
	for (unsigned tries = 0; control >= 0 && fd < 0 && tries < 20; tries++) {
		n = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(name, sizeof(name), "/dev/loop%d", n);
		fd = n < 0 ? -1 : open(name, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config)) {
			close(fd);
			fd = -1;
		}
	}
	close((int)config.fd);
	if (control >= 0)
		close(control);
	loop_keeper_fd = fd;
	return fd >= 0 ? name : NULL;
}

static struct device *make_block(uint64_t size_bytes, bool read_only, uint32_t sector_bytes)
{
	const char *loop = geteuid() ? NULL : make_loop(size_bytes, sector_bytes);
	struct device *dev;

	if (!loop) {
		if (geteuid())
			fprintf(stderr, "skipped: loop devices need root\n");
		else
			skip_because("loop devices");
		return NULL;
	}
	dev = open_aio(loop, &(struct aio_options){ .read_only = read_only });
	close(loop_keeper_fd);
	ck_assert(dev->info.is_block);
	ck_assert_uint_eq(dev->info.size_bytes, size_bytes & ~(sector_bytes - 1ull));
	ck_assert_uint_eq(dev->info.align_bytes, sector_bytes);
	return dev;
}

static struct device *make_block_512(uint64_t size_bytes, bool read_only)
{
	return make_block(size_bytes, read_only, 512);
}

static struct device *make_block_4k(uint64_t size_bytes, bool read_only)
{
	return make_block(size_bytes, read_only, 4096);
}

/* Sectors larger than a page: since Linux 6.15. */
static struct device *make_block_16k(uint64_t size_bytes, bool read_only)
{
	const char *loop = geteuid() ? NULL : make_loop(MAX(size_bytes, 65536u), 16384);

	if (!loop) {
		fprintf(stderr, "skipped: loop devices of 16 KiB sectors need root and Linux 6.15\n");
		return NULL;
	}
	close(loop_keeper_fd);
	return make_block(MAX(size_bytes, 65536u), read_only, 16384);
}

static struct device *wrap_faulty(struct device *inner, bool volatile_writes)
{
	struct faulty_options options = { .volatile_writes = volatile_writes, .seed = 3 };
	struct device *dev;

	if (!inner)
		return NULL;
	ck_assert_int_eq(faulty_device_open(inner, &options, &dev), 0);
	return dev;
}

static struct device *make_faulty(uint64_t size_bytes, bool read_only)
{
	return wrap_faulty(make_memory(size_bytes, 512, read_only), false);
}

static struct device *make_volatile(uint64_t size_bytes, bool read_only)
{
	return wrap_faulty(make_memory(size_bytes, 512, read_only), true);
}

static struct device *make_faulty_aio(uint64_t size_bytes, bool read_only)
{
	return wrap_faulty(make_aio_direct(size_bytes, read_only), false);
}

const struct device_maker device_makers[] = {
	{ "memory", make_memory_1 },
	{ "memory aligned to 512", make_memory_512 },
	{ "memory aligned to 4096", make_memory_4k },
	{ "memory aligned to 16384", make_memory_16k },
	{ "aio, a file on the disk", make_aio_direct },
	{ "aio, a file on tmpfs", make_aio_memory },
	{ "aio, pool", make_aio_pool },
	{ "aio, pool of one thread", make_aio_pool_of_1 },
	{ "aio, block device of 512-byte sectors", make_block_512 },
	{ "aio, block device of 4096-byte sectors", make_block_4k },
	{ "aio, block device of 16384-byte sectors", make_block_16k },
	{ "faulty over memory", make_faulty },
	{ "faulty over memory, volatile", make_volatile },
	{ "faulty over aio", make_faulty_aio },
};
const int nr_device_makers = sizeof(device_makers) / sizeof(device_makers[0]);
