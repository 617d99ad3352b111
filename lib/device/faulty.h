/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Wraps any device and makes it fail, stall, reorder and forget, on command or by seed.  For tests, and for --fault in the
 * shipped program.
 *
 * Always: asserts the range rule of device.h (no transfer in flight overlaps, widened to align_bytes, a write in flight) and
 * scribbles over the caller's fields of finished transfers (offset, length, buffer), so that nobody uses them again.
 *
 * Faults: rules, tried in order; a rule matches an operation by kind, by byte range, and by count (skip the first N matches, then
 * apply M times).  What it does: fail with an errno, without or after the bytes were moved (a failed write may have been applied),
 * fail partway (a prefix is applied), delay by ms (queued transfers: without blocking the queue's thread), hold until released.
 *
 * Stepping: with stepped set, queued transfers are only collected, and the test completes them one at a time in the order that
 * it wants: faulty_device_nr_pending(), faulty_device_step(n).  A transfer takes effect when it is stepped.
 *
 * Power: with volatile_writes set, writes are kept in a log until a flush makes them durable; faulty_device_power_cut() then
 * makes every write since the last flush present, absent or torn at a 512-byte border, by seed or by an explicit choice, and the
 * device answers -EIO until faulty_device_power_on().  A flush covers the writes completed before it was issued.
 */
#ifndef CWT_DEVICE_FAULTY_H
#define CWT_DEVICE_FAULTY_H

#include "base/random.h"
#include "device/device.h"

enum faulty_kind { FAULTY_READ = 1, FAULTY_WRITE = 2, FAULTY_FLUSH = 4, FAULTY_ZERO = 8, FAULTY_ANY = 15 };
enum faulty_effect { FAULTY_FAIL, FAULTY_FAIL_AFTER, FAULTY_FAIL_PARTWAY, FAULTY_DELAY, FAULTY_HOLD };

struct faulty_rule {
	unsigned kinds;			/* FAULTY_READ | ... */
	uint64_t offset_bytes, len_bytes;	/* operations that touch this range; len 0: any */
	uint64_t skip;			/* let the first skip matches pass */
	uint64_t times;			/* then apply this often; 0: for ever */
	enum faulty_effect effect;
	int error;			/* negative errno of the FAIL effects */
	uint32_t delay_ms;
};

#define FAULTY_RULES_MAX 16

struct faulty_options {
	bool stepped;
	bool volatile_writes;
	uint64_t seed;
};

/* Takes ownership of inner: closed with it. */
int faulty_device_open(struct device *inner, const struct faulty_options *options, struct device **out);
struct device *faulty_device_inner(struct device *dev);

int faulty_device_add_rule(struct device *dev, const struct faulty_rule *rule);	/* -ENOSPC beyond FAULTY_RULES_MAX */
void faulty_device_clear_rules(struct device *dev);
void faulty_device_release(struct device *dev);		/* let go everything that HOLD holds; clears HOLD rules */

/* Parse "write:error=EIO,skip=3,times=1,offset=1M,len=64K", "read:delay=5", ...; -EINVAL with a line. */
int faulty_rule_parse(const char *text, struct faulty_rule *rule, struct cwt_error *err);

/* Stepping. */
unsigned faulty_device_nr_pending(struct device *dev);
const struct device_io *faulty_device_pending(struct device *dev, unsigned n);
void faulty_device_step(struct device *dev, unsigned n);	/* takes effect now; done() at the queue's next reap */

/* Power.  What becomes of one unflushed write at a cut. */
enum faulty_fate { FATE_PRESENT, FATE_ABSENT, FATE_TORN };
unsigned faulty_device_nr_unflushed(struct device *dev);
/* fates NULL: by seed.  torn_sectors[i]: how many leading 512-byte sectors of write i arrive when its fate is FATE_TORN. */
void faulty_device_power_cut(struct device *dev, const enum faulty_fate *fates, const uint32_t *torn_sectors);
void faulty_device_power_on(struct device *dev);

/* Counters of what passed, for tests that compare a run with an expectation. */
struct faulty_counts { uint64_t reads, writes, flushes, zeros, faults; };
struct faulty_counts faulty_device_counts(struct device *dev);

#endif
