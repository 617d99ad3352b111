/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A device in memory, for tests and for the engine's bench.  New bytes are garbage derived from the seed, not zeros, so
 * that a read of what was never written shows.  Queued transfers take effect at submit and complete at the next reap,
 * in submit order; for any other order wrap it in a stepped faulty device.
 *
 * Identity: each device has its own ino; mtime and ctime are the time of the last write or zero, ctime that of a new tag
 * too.  Changes made through memory_device_bytes() show only by memory_device_touch().
 *
 * Locking: rw, zero and queued transfers may come from several threads; a short lock covers each memcpy.
 */
#ifndef CWT_DEVICE_MEMORY_H
#define CWT_DEVICE_MEMORY_H

#include "device/device.h"

struct memory_options {
	uint64_t size_bytes;
	uint32_t align_bytes;	/* 0: 1 */
	uint64_t seed;		/* 0: zeros */
	bool read_only, buffered;
	int64_t (*now_ns)(void *ctx);	/* what files' times are taken from; NULL: CLOCK_REALTIME, each change later than the last */
	void *ctx;
};

int memory_device_open(const char *name, const struct memory_options *options, struct device **out);
/* A write has been lost, which the caller does through memory_device_bytes(): the next device_write_back() or flush says error. */
void memory_device_lose(struct device *dev, int error);
uint8_t *memory_device_bytes(struct device *dev);	/* the content itself, for comparing */
void memory_device_touch(struct device *dev, int64_t mtime_ns, int64_t ctime_ns);	/* as utimensat() and the clock may do */

#endif
