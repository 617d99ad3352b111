/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The devices that the contract suite runs over. */
#include <stdio.h>
#include <stdlib.h>

#include "device-rig.h"
#include "device/faulty.h"
#include "device/memory.h"

static struct device *make_memory(uint64_t size_bytes, uint32_t align_bytes, bool read_only)
{
	struct memory_options options = { .size_bytes = size_bytes, .align_bytes = align_bytes, .seed = 7,
					  .read_only = read_only };
	struct device *dev;

	ck_assert_int_eq(memory_device_open("memory", &options, &dev), 0);
	return dev;
}

static struct device *make_memory_1(uint64_t size_bytes, bool read_only) { return make_memory(size_bytes, 1, read_only); }
static struct device *make_memory_512(uint64_t size_bytes, bool read_only) { return make_memory(size_bytes, 512, read_only); }
static struct device *make_memory_4k(uint64_t size_bytes, bool read_only) { return make_memory(size_bytes, 4096, read_only); }

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

const struct device_maker device_makers[] = {
	{ "memory", make_memory_1 },
	{ "memory aligned to 512", make_memory_512 },
	{ "memory aligned to 4096", make_memory_4k },
	{ "faulty over memory", make_faulty },
	{ "faulty over memory, volatile", make_volatile },
};
const int nr_device_makers = sizeof(device_makers) / sizeof(device_makers[0]);
