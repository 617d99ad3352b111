/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices that write down what is done to them: every write with its bytes, when its caller was told, every flush and
 * tag, and whatever the test wants to remember between them.  The three of one machine share one record.
 *
 * Queued transfers are in flight from their submit; the test lets the oldest one happen (recorder_step()), in any
 * device.
 */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include "disks.h"
#include "base/list.h"

enum record_kind {
	RECORD_WRITE,		/* begins, of store, offset, len, bytes; whole sectors */
	RECORD_DONE,		/* write number `write` has completed */
	RECORD_DROPPED,		/* it never happened: the process was killed before */
	RECORD_FLUSH,		/* of what had completed; and returned */
	RECORD_TAG,		/* of the origin: bytes */
	RECORD_NOTE,		/* the test's, see value */
};

struct record_op {
	enum record_kind kind;
	enum disk store;
	uint64_t offset_bytes;
	uint32_t len_bytes;
	unsigned write;		/* index of the RECORD_WRITE */
	uint8_t *bytes;
	uint64_t mtime;		/* RECORD_WRITE: what the store shows from then on */
	int note, value;
	uint64_t from, to;
};

struct record {
	struct record_op *ops;
	unsigned nr, room;
	bool on;
};

void record_note(struct record *r, int note, int value, uint64_t from, uint64_t to);
void record_free(struct record *r);

struct recorder {
	struct device dev;
	struct record *record;
	enum disk store;
	uint8_t *bytes;			/* the content; the caller's */
	uint64_t nr_bytes_read_from;	/* reads at or beyond this offset are an error: nobody is to read there */
	bool read_there;
	uint8_t *tag;			/* DEVICE_TAG_BYTES; the caller's; NULL: none */
	uint64_t mtime;			/* nanoseconds since RECORD_EPOCH_NS, another one for each write */
	uint64_t (*clock_ns)(void *ctx);	/* likewise, if not NULL: it is no earlier than this */
	void *clock_ctx;
	struct list pending;
};

/* Stays the caller's: closing it does nothing. */
void recorder_init(struct recorder *d, enum disk store, uint8_t *bytes, uint64_t size_bytes, struct record *record);
bool recorder_step(struct recorder *d);		/* false: nothing is in flight */
void recorder_drop(struct recorder *d);		/* killed: what is in flight never happens, and is answered */

/* A real clock that stands still: of a recovery, which takes no time. */
#define RECORD_EPOCH_NS INT64_C(1700000000000000001)
int64_t record_epoch_ns(void *ctx);

#endif
