/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the faulty device share: a rig over memory of 64 KiB, units of 512, and transfers that can be
 * watched.
 */
#ifndef TESTS_UNIT_FAULTY_RIG_H
#define TESTS_UNIT_FAULTY_RIG_H

#include <stdatomic.h>

#include "device-rig.h"
#include "device/faulty.h"

#define FAULTY_RIG_BYTES (64u << 10)

struct device *open_faulty(struct faulty_options options);
void open_rig(struct rig *rig, struct faulty_options options);
void add_rule(struct rig *rig, const char *text);
uint8_t *inner_bytes(struct rig *rig);			/* the memory below */

/* A transfer that the test looks at while it is under way. */
struct watched { struct device_io io; bool is_done; int error; uint8_t bytes[4096]; };

void watched_submit(struct rig *rig, struct watched *w, enum device_op op, uint64_t offset_bytes, uint32_t len_bytes);

/* Start routine of a thread: flush once; result is 1 until it has ended. */
struct flusher { struct device *dev; atomic_int result; };

void *flush_once(void *arg);

#endif
