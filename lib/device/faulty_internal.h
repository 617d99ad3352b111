/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the faulty device share: faulty.c (the device and its synchronous calls), faulty_queue.c (queued
 * transfers, stepping), faulty_rules.c (matching and parsing rules), faulty_power.c (the volatile write cache),
 * faulty_timer.c (delays).
 *
 * Locking: faulty.lock protects everything in struct faulty that is not constant; it is never held across I/O, a
 * callback or a wait other than its own conditions.  faulty_source.lock protects the list that other threads feed.
 * Order: faulty.lock, then faulty_source.lock.
 */
#ifndef CWT_DEVICE_FAULTY_INTERNAL_H
#define CWT_DEVICE_FAULTY_INTERNAL_H

#include <pthread.h>

#include "device/faulty.h"

/* A range in use, for the assertion of the range rule. */
struct faulty_range {
	struct list node;		/* faulty.ranges */
	uint64_t begin, end;		/* widened to align_bytes */
	bool write;
};

/* What the rules say of one operation. */
struct faulty_verdict {
	bool hit;
	enum faulty_effect effect;	/* valid if hit */
	int error;
	uint32_t delay_ms;
	uint64_t part_bytes;		/* FAULTY_FAIL_PARTWAY: how much is applied */
};

/* One write (or zeroing) that no flush has covered.  The log is in the order of taking effect. */
struct faulty_write {
	struct list node;		/* faulty.log */
	uint64_t offset_bytes, len_bytes;
	uint64_t completed_at;		/* faulty.clock when the caller was told; 0: not yet */
	uint8_t *old_bytes, *new_bytes;	/* in the same allocation */
};

/*
 * A queued transfer on its way:
 *
 *	state		list			leaves it when
 *	pending		faulty.pending		stepped: the test steps it
 *	delayed		faulty.delayed		the timer's time has come
 *	held		faulty.held		faulty_device_release()
 *	ready		faulty_source.ready	the queue's next reap starts it
 *	inner		(the inner device's)	the inner transfer is done
 *	finished	faulty_source.finished	the queue's next reap answers it
 */
struct faulty_transfer {
	struct list node;
	struct faulty *f;
	struct faulty_source *source;
	struct device_io *io;		/* the caller's */
	struct device_io inner;
	struct faulty_range range;
	struct faulty_verdict verdict;
	struct faulty_write *write;	/* its entry in the log, or NULL; gone after a power cut */
	uint64_t nr_cuts;		/* faulty.nr_cuts at submit: a cut in between ends the transfer with -EIO */
	uint64_t due_ms;
	int error;
};

struct faulty_source {
	struct device_queue_source source;
	struct device_queue *q;
	pthread_mutex_t lock;
	struct list ready;		/* fed by the timer and by release: lock */
	struct list finished;		/* the queue's thread only */
};

struct faulty_rule_state {
	struct faulty_rule rule;
	uint64_t nr_matches;
	bool active;
};

struct faulty {
	struct device dev;
	struct device *inner;
	struct faulty_options options;

	pthread_mutex_t lock;
	pthread_cond_t released;	/* synchronous callers that HOLD holds */
	pthread_cond_t timer_wake;
	struct random random;
	struct faulty_rule_state rules[FAULTY_RULES_MAX];
	unsigned nr_rules;
	uint64_t nr_releases;
	struct faulty_counts counts;
	struct list ranges;
	struct list pending, delayed, held;
	struct list unused;		/* transfers to be used again */
	unsigned nr_pending;

	bool powered;
	uint64_t nr_cuts;
	uint64_t clock;			/* of completions, for "completed before the flush was issued" */
	struct list log;
	unsigned nr_log;
	uint64_t log_bytes;

	bool timer_running, timer_stop;
	pthread_t timer;
};

/* faulty.c */
struct faulty *faulty_of(struct device *dev);		/* asserts that it is one */
void faulty_range_enter_locked(struct faulty *f, struct faulty_range *r, bool write, uint64_t offset_bytes,
			       uint64_t len_bytes);
bool faulty_verdict_fails(const struct faulty_verdict *v);
uint64_t faulty_verdict_bytes(const struct faulty_verdict *v, uint64_t len_bytes);	/* how many take effect */
/* Apply what the verdict lets through, blocking; returns the answer. */
int faulty_move_bytes(struct faulty *f, const struct faulty_verdict *v, enum device_op op, uint64_t offset_bytes,
		      void *buf, uint64_t len_bytes, struct faulty_write **write);
void faulty_spoil_failed_read(enum device_op op, int error, void *buf, uint64_t len_bytes);

/* faulty_rules.c; lock held. */
struct faulty_verdict faulty_judge_locked(struct faulty *f, enum faulty_kind kind, uint64_t offset_bytes,
					  uint64_t len_bytes);

/*
 * faulty_power.c: apply to the inner device, and log it where writes are volatile.  Not locked.  *out: the entry or
 * NULL.
 */
int faulty_apply_write(struct faulty *f, uint64_t offset_bytes, const void *buf, uint64_t len_bytes,
		       struct faulty_write **out);
int faulty_apply_zero(struct faulty *f, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes,
		      struct faulty_write **out);
void faulty_write_completed_locked(struct faulty *f, struct faulty_write *w);
/* The first nr_most of the writes completed up to clock are durable now. */
void faulty_log_forget_locked(struct faulty *f, uint64_t clock, uint64_t nr_most);
void faulty_log_clear_locked(struct faulty *f);

/* faulty_timer.c */
int faulty_timer_start(struct faulty *f);		/* 0 also if it runs already */
void faulty_timer_stop(struct faulty *f);
void faulty_timer_add_locked(struct faulty *f, struct faulty_transfer *t);

/* faulty_queue.c */
int faulty_attach(struct device *dev, struct device_queue *q);
void faulty_submit(struct device *dev, struct device_queue *q, struct device_io *io);
/* Hand a delayed or held transfer back to its queue.  f->lock held; t is on no list. */
void faulty_make_ready_locked(struct faulty_transfer *t);

#endif
