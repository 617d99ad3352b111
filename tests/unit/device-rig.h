/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the device tests share: makers of every kind of device, and a rig of one device with one queue and a shadow copy
 * of what it should hold.  All helpers fail the running Check test on trouble.
 */
#ifndef TESTS_UNIT_DEVICE_RIG_H
#define TESTS_UNIT_DEVICE_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "device/device.h"

struct device_maker {
	const char *name;
	/* Make a device of about size bytes with unknown content; NULL: not possible on this machine (says why). */
	struct device *(*make)(uint64_t size_bytes, bool read_only);
};

extern const struct device_maker device_makers[];
extern const int nr_device_makers;

struct rig {
	const char *maker_name;
	struct device *dev;
	struct device_queue *q;
	uint8_t *shadow;		/* size_bytes */
	uint64_t size_bytes;
	uint32_t align_bytes;
};

/* False when the maker cannot work here.  The device is filled with garbage that the shadow knows. */
bool rig_open(struct rig *rig, const struct device_maker *maker, uint64_t size_bytes, unsigned max_in_flight);
void rig_open_device(struct rig *rig, struct device *dev, const char *maker_name, unsigned max_in_flight);
void rig_close(struct rig *rig);
void rig_expect_shadow(struct rig *rig);		/* the whole device equals the shadow, by synchronous read */

/* One queued transfer, waited for; returns its error.  A good write goes into the shadow, too. */
int rig_transfer(struct rig *rig, enum device_op op, uint64_t offset_bytes, void *buf, uint32_t len_bytes);
/* Kick, then reap and wait for the fd until nothing is in flight; fails after 10 s. */
void rig_settle(struct rig *rig);
/* Reap once, waiting for the fd at most timeout_ms if there is nothing yet. */
int rig_reap(struct rig *rig, int timeout_ms);

void fill_pattern(void *buf, size_t len_bytes, uint64_t seed);

/* A new file name in $TMPDIR or /var/tmp (disk) or in /dev/shm; removed at exit or by remove_test_files(). */
const char *test_file_name(const char *dir);
const char *test_disk_dir(void);
bool dir_is_in_memory(const char *dir);		/* tmpfs or ramfs */
void remove_test_files(void);
/* Make a file of this size with this pattern. */
const char *make_test_file(const char *dir, uint64_t size_bytes, uint64_t seed);
/* True: a requirement is missing and the test may be skipped; under CI=true it fails instead. */
bool skip_because(const char *why);

#endif
