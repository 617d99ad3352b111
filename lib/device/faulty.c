/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The faulty device: the range rule, verdicts, synchronous calls, rules, open and close.
 *
 * Every operation: enter its range (asserting the range rule) - judge by the rules - wait if told to - apply what the
 * verdict lets through - leave the range - answer.
 */
#include "device/faulty.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/log.h"
#include "device/faulty_internal.h"

#define SCRIBBLE_BYTE 0xDB

static const struct device_ops faulty_ops;

struct faulty *faulty_of(struct device *dev)
{
	cwt_assert(dev->ops == &faulty_ops);
	return container_of(dev, struct faulty, dev);
}

/*
 * ------------------------------------------------------------------ the range rule
 */
void faulty_range_enter_locked(struct faulty *f, struct faulty_range *r, bool write, uint64_t offset_bytes,
			       uint64_t len_bytes)
{
	uint32_t align = f->dev.info.align_bytes;
	bool ranges_in_flight_overlap = false;

	r->begin = round_down_to(offset_bytes, align);
	r->end = round_up_to(offset_bytes + len_bytes, align);
	r->write = write;
	list_for_each(node, &f->ranges) {
		struct faulty_range *other = list_entry(node, struct faulty_range, node);

		if ((write || other->write) && r->begin < other->end && other->begin < r->end) {
			log_error("%s: %s of [%llu, %llu) while a %s of [%llu, %llu) is in flight", f->dev.name,
				  write ? "write" : "read", (unsigned long long)r->begin, (unsigned long long)r->end,
				  other->write ? "write" : "read", (unsigned long long)other->begin,
				  (unsigned long long)other->end);
			ranges_in_flight_overlap = true;
		}
	}
	cwt_assert(!ranges_in_flight_overlap);
	list_init(&r->node);
	list_add_tail(&f->ranges, &r->node);
}

/*
 * ------------------------------------------------------------------ applying a verdict
 */
bool faulty_verdict_fails(const struct faulty_verdict *v)
{
	return v->hit && v->effect != FAULTY_DELAY && v->effect != FAULTY_HOLD;
}

uint64_t faulty_verdict_bytes(const struct faulty_verdict *v, uint64_t len_bytes)
{
	if (!faulty_verdict_fails(v) || v->effect == FAULTY_FAIL_AFTER)
		return len_bytes;
	return v->effect == FAULTY_FAIL_PARTWAY ? v->part_bytes : 0;
}

int faulty_move_bytes(struct faulty *f, const struct faulty_verdict *v, enum device_op op, uint64_t offset_bytes,
			  void *buf, uint64_t len_bytes, struct faulty_write **write)
{
	uint64_t len = faulty_verdict_bytes(v, len_bytes);
	int error;

	*write = NULL;
	if (op == DEVICE_WRITE)
		error = faulty_apply_write(f, offset_bytes, buf, len, write);
	else
		error = device_read(f->inner, offset_bytes, buf, len);
	return faulty_verdict_fails(v) ? v->error : error;
}

void faulty_spoil_failed_read(enum device_op op, int error, void *buf, uint64_t len_bytes)
{
	if (error && op == DEVICE_READ)
		memset(buf, SCRIBBLE_BYTE, len_bytes);
}

/*
 * ------------------------------------------------------------------ synchronous calls
 */
static void sync_wait_locked(struct faulty *f, const struct faulty_verdict *v)
{
	if (v->hit && v->effect == FAULTY_HOLD) {
		uint64_t nr_releases = f->nr_releases;

		while (f->nr_releases == nr_releases)
			pthread_cond_wait(&f->released, &f->lock);
	}
	if (v->hit && v->effect == FAULTY_DELAY) {
		struct timespec ts = { v->delay_ms / 1000, (long)(v->delay_ms % 1000) * 1000000 };

		pthread_mutex_unlock(&f->lock);
		while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
			;
		pthread_mutex_lock(&f->lock);
	}
}

/* range NULL for a flush.  Returns -EIO when the power is off. */
static int sync_begin(struct faulty *f, enum faulty_kind kind, uint64_t offset_bytes, uint64_t len_bytes,
		      uint64_t *counter, struct faulty_range *range, struct faulty_verdict *v)
{
	int error;

	pthread_mutex_lock(&f->lock);
	(*counter)++;
	if (range)
		faulty_range_enter_locked(f, range, kind != FAULTY_READ, offset_bytes, len_bytes);
	*v = faulty_judge_locked(f, kind, offset_bytes, len_bytes);
	sync_wait_locked(f, v);
	error = f->powered ? 0 : -EIO;
	pthread_mutex_unlock(&f->lock);
	return error;
}

static int sync_end(struct faulty *f, struct faulty_range *range, struct faulty_write *write, int error)
{
	pthread_mutex_lock(&f->lock);
	faulty_write_completed_locked(f, write);
	list_del(&range->node);
	pthread_mutex_unlock(&f->lock);
	return error;
}

static int faulty_rw(struct device *dev, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes)
{
	struct faulty *f = faulty_of(dev);
	bool write = op == DEVICE_WRITE;
	struct faulty_write *entry = NULL;
	struct faulty_range range;
	struct faulty_verdict v;
	int error = sync_begin(f, write ? FAULTY_WRITE : FAULTY_READ, offset_bytes, len_bytes,
			       write ? &f->counts.writes : &f->counts.reads, &range, &v);

	if (!error)
		error = faulty_move_bytes(f, &v, op, offset_bytes, buf, len_bytes, &entry);
	faulty_spoil_failed_read(op, error, buf, len_bytes);
	return sync_end(f, &range, entry, error);
}

static int faulty_zero(struct device *dev, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes)
{
	struct faulty *f = faulty_of(dev);
	struct faulty_write *entry = NULL;
	struct faulty_range range;
	struct faulty_verdict v;
	int error = sync_begin(f, FAULTY_ZERO, offset_bytes, len_bytes, &f->counts.zeros, &range, &v);

	if (!error) {
		error = faulty_apply_zero(f, op, offset_bytes, faulty_verdict_bytes(&v, len_bytes), &entry);
		if (faulty_verdict_fails(&v))
			error = v.error;
	}
	return sync_end(f, &range, entry, error);
}

static int faulty_flush(struct device *dev)
{
	struct faulty *f = faulty_of(dev);
	uint64_t clock, nr_most = UINT64_MAX;
	struct faulty_verdict v;
	int error;

	pthread_mutex_lock(&f->lock);
	clock = f->clock;		/* issued now: a delay, or another's flush, must not widen what it covers */
	pthread_mutex_unlock(&f->lock);
	error = sync_begin(f, FAULTY_FLUSH, 0, 0, &f->counts.flushes, NULL, &v);
	if (error)
		return error;
	if (v.hit && v.effect == FAULTY_FAIL)
		return v.error;
	error = device_flush(f->inner);
	if (error)
		return error;
	pthread_mutex_lock(&f->lock);
	if (v.hit && v.effect == FAULTY_FAIL_PARTWAY)
		nr_most = random_below(&f->random, (uint64_t)f->nr_log + 1);
	faulty_log_forget_locked(f, clock, nr_most);
	pthread_mutex_unlock(&f->lock);
	return faulty_verdict_fails(&v) ? v.error : 0;
}

/* Without power there is no tag either; it is durable when it is written. */
static int faulty_tag(struct device *dev, const void *set, void *get)
{
	struct faulty *f = faulty_of(dev);
	bool powered;

	pthread_mutex_lock(&f->lock);
	powered = f->powered;
	pthread_mutex_unlock(&f->lock);
	return powered ? device_tag(f->inner, set, get) : -EIO;
}

static int faulty_identity(struct device *dev, struct device_identity *id)
{
	return device_identity(faulty_of(dev)->inner, id);
}

static int faulty_next_data(struct device *dev, uint64_t from, uint64_t *begin, uint64_t *end)
{
	return device_next_data(faulty_of(dev)->inner, from, begin, end);
}

static int faulty_write_back(struct device *dev, bool begin)
{
	return device_write_back(faulty_of(dev)->inner, begin);
}

static int faulty_ids(struct device *dev, struct device_ids *ids)
{
	return device_ids(faulty_of(dev)->inner, ids);
}

/*
 * ------------------------------------------------------------------ rules, from any thread
 */
int faulty_device_add_rule(struct device *dev, const struct faulty_rule *rule)
{
	struct faulty *f = faulty_of(dev);
	int error = rule->effect == FAULTY_DELAY ? faulty_timer_start(f) : 0;

	if (error)
		return error;
	pthread_mutex_lock(&f->lock);
	if (f->nr_rules == FAULTY_RULES_MAX)
		error = -ENOSPC;
	else
		f->rules[f->nr_rules++] = (struct faulty_rule_state){ .rule = *rule, .active = true };
	pthread_mutex_unlock(&f->lock);
	return error;
}

void faulty_device_clear_rules(struct device *dev)
{
	struct faulty *f = faulty_of(dev);

	pthread_mutex_lock(&f->lock);
	f->nr_rules = 0;
	pthread_mutex_unlock(&f->lock);
}

void faulty_device_release(struct device *dev)
{
	struct faulty *f = faulty_of(dev);
	struct list *node;

	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < f->nr_rules; i++)
		if (f->rules[i].rule.effect == FAULTY_HOLD)
			f->rules[i].active = false;
	while ((node = list_pop(&f->held)))
		faulty_make_ready_locked(list_entry(node, struct faulty_transfer, node));
	f->nr_releases++;
	pthread_cond_broadcast(&f->released);
	pthread_mutex_unlock(&f->lock);
}

struct faulty_counts faulty_device_counts(struct device *dev)
{
	struct faulty *f = faulty_of(dev);
	struct faulty_counts counts;

	pthread_mutex_lock(&f->lock);
	counts = f->counts;
	pthread_mutex_unlock(&f->lock);
	return counts;
}

struct device *faulty_device_inner(struct device *dev)
{
	return faulty_of(dev)->inner;
}

/*
 * ------------------------------------------------------------------ open and close
 */
static void faulty_close(struct device *dev)
{
	struct faulty *f = faulty_of(dev);
	struct list *node;

	cwt_assert(list_empty(&f->ranges));
	faulty_timer_stop(f);
	faulty_log_clear_locked(f);
	while ((node = list_pop(&f->unused)))
		free(list_entry(node, struct faulty_transfer, node));
	device_close(f->inner);
	pthread_cond_destroy(&f->timer_wake);
	pthread_cond_destroy(&f->released);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct device_ops faulty_ops = {
	.name = "faulty",
	.attach = faulty_attach,
	.submit = faulty_submit,
	.rw = faulty_rw,
	.flush = faulty_flush,
	.zero = faulty_zero,
	.identity = faulty_identity,
	.tag = faulty_tag,
	.close = faulty_close,
	.write_back = faulty_write_back,
	.next_data = faulty_next_data,
	.ids = faulty_ids,
};

int faulty_device_open(struct device *inner, const struct faulty_options *options, struct device **out)
{
	struct faulty *f = calloc(1, sizeof(*f));
	pthread_condattr_t attr;

	if (!f)
		return -ENOMEM;
	f->dev.ops = &faulty_ops;
	f->dev.info = inner->info;
	snprintf(f->dev.name, sizeof(f->dev.name), "%s", inner->name);
	f->inner = inner;
	f->options = *options;
	f->random.state = options->seed;
	f->powered = true;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->released, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->timer_wake, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&f->ranges);
	list_init(&f->pending);
	list_init(&f->delayed);
	list_init(&f->held);
	list_init(&f->unused);
	list_init(&f->log);
	*out = &f->dev;
	return 0;
}
