/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Wraps any device and makes it fail, stall, reorder and forget, on command or by seed.  For tests, and for --fault in
 * the shipped program.
 *
 * Always: asserts the range rule of device.h (no transfer in flight overlaps, widened to align_bytes, a write in
 * flight) and scribbles over the caller's fields of finished transfers (offset, length, buffer), so that nobody uses
 * them again.
 *
 * Faults: rules, tried in order; a rule matches an operation by kind, by byte range, and by count (skip the first N
 * matches, then apply M times).  The first one that is due applies, alone.  What it does: fail with an errno, without
 * or after the bytes were moved (a failed write may have been applied), fail partway (a prefix, chosen by seed, is
 * applied; of a flush: some of the writes), delay by ms (queued transfers: without blocking the queue's thread), hold
 * until released.  A delayed or held operation takes effect when it is let go.  The buffer of a failed read holds
 * garbage.  Queued transfers meet the rules at submit, stepped ones when they are stepped.
 *
 * Stepping: with stepped set, queued transfers are only collected, and the test completes them one at a time in the
 * order that it wants: faulty_device_nr_pending(), faulty_device_step(n).  A transfer takes effect when it is stepped.
 * DELAY and HOLD rules do nothing to them: the step is the time.
 *
 * Power: with volatile_writes set, writes are kept in a log until a flush makes them durable; faulty_device_power_cut()
 * then makes every write since the last flush present, absent or torn at a 512-byte border, by seed or by an explicit
 * choice, and the device answers -EIO until faulty_device_power_on().  A flush covers the writes completed before it
 * was issued: whose done() had been called, or whose call had returned.  A transfer that was in flight at the cut ends
 * with -EIO, takes no effect if it had none yet, and is one of the unflushed writes if it had.  A kill, as opposed to a
 * power cut, is a cut with all fates FATE_PRESENT.  The log is bounded: beyond FAULTY_LOG_MAX_BYTES the oldest writes
 * become durable by themselves, as on a real disk. Queued transfers move their bytes synchronously in this mode.
 *
 * Context: the functions below from any thread, but for stepping (the queue's thread) and the power (no thread inside
 * the device).
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
#define FAULTY_LOG_MAX_BYTES (256u << 20)

struct faulty_options {
	bool stepped;
	bool volatile_writes;
	uint64_t seed;
};

/* Takes ownership of inner: closed with it. */
int faulty_device_open(struct device *inner, const struct faulty_options *options, struct device **out);
struct device *faulty_device_inner(struct device *dev);

/* -ENOSPC beyond FAULTY_RULES_MAX, spent rules included; -EAGAIN: no thread for the delays. */
int faulty_device_add_rule(struct device *dev, const struct faulty_rule *rule);
void faulty_device_clear_rules(struct device *dev);	/* what is delayed or held stays so */
void faulty_device_release(struct device *dev);		/* let go everything that HOLD holds; clears HOLD rules */

/*
 * OPERATIONS:WORD[,WORD...], e.g. "write:error=EIO,skip=3,times=1,offset=1M,len=64K", "read+flush:delay=5", "any:hold".
 * Operations: read, write, flush, zero, any, joined by '+'.  Exactly one of error=NAME (may be joined by "after" or
 * "partway"), delay=MS and hold; offset=, len= (bytes, K M G T), skip=, times=.  -EINVAL with a line.
 */
int faulty_rule_parse(const char *text, struct faulty_rule *rule, struct cwt_error *err);

/* Stepping. */
unsigned faulty_device_nr_pending(struct device *dev);
const struct device_io *faulty_device_pending(struct device *dev, unsigned n);
void faulty_device_step(struct device *dev, unsigned n);	/* takes effect now; done() at the queue's next reap */

/* Power.  What becomes of one unflushed write at a cut. */
enum faulty_fate { FATE_PRESENT, FATE_ABSENT, FATE_TORN };
unsigned faulty_device_nr_unflushed(struct device *dev);
/*
 * fates NULL: by seed.  torn_sectors[i]: how many leading 512-byte sectors of write i arrive when its fate is
 * FATE_TORN.
 */
void faulty_device_power_cut(struct device *dev, const enum faulty_fate *fates, const uint32_t *torn_sectors);
void faulty_device_power_on(struct device *dev);

/*
 * Counters of what was asked for, faulted or not, and of the rules that applied, for tests that compare a run with an
 * expectation.
 */
struct faulty_counts { uint64_t reads, writes, flushes, zeros, faults; };
struct faulty_counts faulty_device_counts(struct device *dev);

#endif
