/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The faulty device: synchronous calls, the life of a queued transfer (faulty_internal.h draws its states), stepping.
 *
 * Every operation: enter its range (asserting the range rule) - judge by the rules - wait if told to - apply what the verdict
 * lets through - leave the range - answer.
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

#define SCRIBBLE_OFFSET 0xDEADDEADDEADDEADu
#define SCRIBBLE_LEN 0xDEADDEADu
#define SCRIBBLE_BYTE 0xDB

static const struct device_ops faulty_ops;
static const struct device_queue_source_ops faulty_source_ops;

static struct faulty *faulty_of(struct device *dev)
{
	cwt_assert(dev->ops == &faulty_ops);
	return container_of(dev, struct faulty, dev);
}

/*
 * ------------------------------------------------------------------ the range rule
 */
static void range_enter_locked(struct faulty *f, struct faulty_range *r, bool write, uint64_t offset_bytes, uint64_t len_bytes)
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
static bool verdict_fails(const struct faulty_verdict *v)
{
	return v->hit && v->effect != FAULTY_DELAY && v->effect != FAULTY_HOLD;
}

static uint64_t verdict_bytes(const struct faulty_verdict *v, uint64_t len_bytes)
{
	if (!verdict_fails(v) || v->effect == FAULTY_FAIL_AFTER)
		return len_bytes;
	return v->effect == FAULTY_FAIL_PARTWAY ? v->part_bytes : 0;
}

static int transfer_bytes(struct faulty *f, const struct faulty_verdict *v, enum device_op op, uint64_t offset_bytes,
			  void *buf, uint64_t len_bytes, struct faulty_write **write)
{
	uint64_t len = verdict_bytes(v, len_bytes);
	int error;

	*write = NULL;
	if (op == DEVICE_WRITE)
		error = faulty_apply_write(f, offset_bytes, buf, len, write);
	else
		error = device_read(f->inner, offset_bytes, buf, len);
	return verdict_fails(v) ? v->error : error;
}

static void spoil_failed_read(enum device_op op, int error, void *buf, uint64_t len_bytes)
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
static int sync_begin(struct faulty *f, enum faulty_kind kind, uint64_t offset_bytes, uint64_t len_bytes, uint64_t *counter,
		      struct faulty_range *range, struct faulty_verdict *v)
{
	int error;

	pthread_mutex_lock(&f->lock);
	(*counter)++;
	if (range)
		range_enter_locked(f, range, kind != FAULTY_READ, offset_bytes, len_bytes);
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
		error = transfer_bytes(f, &v, op, offset_bytes, buf, len_bytes, &entry);
	spoil_failed_read(op, error, buf, len_bytes);
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
		error = faulty_apply_zero(f, op, offset_bytes, verdict_bytes(&v, len_bytes), &entry);
		if (verdict_fails(&v))
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
	return verdict_fails(&v) ? v.error : 0;
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

/*
 * ------------------------------------------------------------------ queued transfers
 */
static struct faulty_transfer *transfer_get_locked(struct faulty *f)
{
	struct list *node = list_pop(&f->unused);
	struct faulty_transfer *t;

	if (node)
		return list_entry(node, struct faulty_transfer, node);
	t = calloc(1, sizeof(*t));
	cwt_assert(t);			/* a device for tests: there is nothing sensible to do without memory */
	list_init(&t->node);
	list_init(&t->inner.node);
	return t;
}

static void transfer_finish(struct faulty_transfer *t, int error)
{
	t->error = error;
	list_add_tail(&t->source->finished, &t->node);
}

/* The caller is told now; from here on a flush covers the write, and the range is free. */
static void transfer_answer(struct faulty_transfer *t)
{
	struct faulty *f = t->f;
	struct device_queue *q = t->source->q;
	struct device_io *io = t->io;
	int error = t->error;

	pthread_mutex_lock(&f->lock);
	if (t->nr_cuts != f->nr_cuts)
		error = -EIO;
	else
		faulty_write_completed_locked(f, t->write);
	list_del(&t->range.node);
	list_add_tail(&f->unused, &t->node);
	pthread_mutex_unlock(&f->lock);

	spoil_failed_read(io->op, error, io->buf, io->len_bytes);
	io->offset_bytes = SCRIBBLE_OFFSET;
	io->len_bytes = SCRIBBLE_LEN;
	io->buf = (void *)(uintptr_t)SCRIBBLE_OFFSET;
	device_io_done(q, io, error);
}

static void transfer_inner_done(struct device_io *inner)
{
	struct faulty_transfer *t = container_of(inner, struct faulty_transfer, inner);

	t->error = verdict_fails(&t->verdict) ? t->verdict.error : inner->error;
	transfer_answer(t);
}

static bool transfer_may_run(struct faulty_transfer *t)
{
	bool may;

	pthread_mutex_lock(&t->f->lock);
	may = t->f->powered && t->nr_cuts == t->f->nr_cuts;
	pthread_mutex_unlock(&t->f->lock);
	return may;
}

/* Take effect now, at once. */
static void transfer_run_sync(struct faulty_transfer *t)
{
	struct device_io *io = t->io;

	transfer_finish(t, transfer_bytes(t->f, &t->verdict, io->op, io->offset_bytes, io->buf, io->len_bytes, &t->write));
}

/* Not stepped: let it go to the inner device, as far as the verdict lets it.  Queue's thread. */
static void transfer_start(struct faulty_transfer *t)
{
	uint64_t len = verdict_bytes(&t->verdict, t->io->len_bytes);

	if (!transfer_may_run(t)) {
		transfer_finish(t, -EIO);
		return;
	}
	if (t->f->options.volatile_writes || !len) {
		transfer_run_sync(t);
		return;
	}
	t->inner.dev = t->f->inner;
	t->inner.op = t->io->op;
	t->inner.offset_bytes = t->io->offset_bytes;
	t->inner.len_bytes = (uint32_t)len;
	t->inner.buf = t->io->buf;
	t->inner.done = transfer_inner_done;
	device_submit(t->source->q, &t->inner);
}

static struct faulty_verdict judge_transfer_locked(struct faulty *f, const struct device_io *io)
{
	return faulty_judge_locked(f, io->op == DEVICE_WRITE ? FAULTY_WRITE : FAULTY_READ, io->offset_bytes, io->len_bytes);
}

static void faulty_submit(struct device *dev, struct device_queue *q, struct device_io *io)
{
	struct faulty *f = faulty_of(dev);
	struct device_queue_source *source = device_queue_find_source(q, &faulty_source_ops);
	struct faulty_transfer *t;
	bool start = false;

	cwt_assert(source);		/* attached */
	pthread_mutex_lock(&f->lock);
	t = transfer_get_locked(f);
	t->f = f;
	t->source = container_of(source, struct faulty_source, source);
	t->io = io;
	t->write = NULL;
	t->nr_cuts = f->nr_cuts;
	t->verdict = (struct faulty_verdict){ 0 };
	(*(io->op == DEVICE_WRITE ? &f->counts.writes : &f->counts.reads))++;
	range_enter_locked(f, &t->range, io->op == DEVICE_WRITE, io->offset_bytes, io->len_bytes);
	if (f->options.stepped) {
		list_add_tail(&f->pending, &t->node);
		f->nr_pending++;
	} else {
		t->verdict = judge_transfer_locked(f, io);
		if (t->verdict.hit && t->verdict.effect == FAULTY_HOLD)
			list_add_tail(&f->held, &t->node);
		else if (t->verdict.hit && t->verdict.effect == FAULTY_DELAY)
			faulty_timer_add_locked(f, t);
		else
			start = true;
	}
	pthread_mutex_unlock(&f->lock);
	if (start)
		transfer_start(t);
}

/*
 * ------------------------------------------------------------------ the source: one per queue for all faulty devices
 */
/* The wake is under the lock: once the queue's thread has seen t, it may answer it and close the queue. */
void faulty_make_ready_locked(struct faulty_transfer *t)
{
	struct faulty_source *source = t->source;

	pthread_mutex_lock(&source->lock);
	list_add_tail(&source->ready, &t->node);
	device_queue_wake(source->q);
	pthread_mutex_unlock(&source->lock);
}

static void source_start_ready(struct faulty_source *source)
{
	struct list ready, *node;

	list_init(&ready);
	pthread_mutex_lock(&source->lock);
	list_splice_tail(&ready, &source->ready);
	pthread_mutex_unlock(&source->lock);
	if (list_empty(&ready))
		return;
	while ((node = list_pop(&ready)))
		transfer_start(list_entry(node, struct faulty_transfer, node));
	device_queue_kick(source->q);	/* nobody else knows that there is something to kick */
}

static int source_reap(struct device_queue_source *s)
{
	struct faulty_source *source = container_of(s, struct faulty_source, source);
	struct list finished, *node;
	int nr = 0;

	source_start_ready(source);
	list_init(&finished);
	list_splice_tail(&finished, &source->finished);
	while ((node = list_pop(&finished))) {
		transfer_answer(list_entry(node, struct faulty_transfer, node));
		nr++;
	}
	return nr;
}

static void source_close(struct device_queue_source *s)
{
	struct faulty_source *source = container_of(s, struct faulty_source, source);

	pthread_mutex_destroy(&source->lock);
	free(source);
}

static const struct device_queue_source_ops faulty_source_ops = {
	.kind = "faulty",
	.reap = source_reap,
	.close = source_close,
};

static int faulty_attach(struct device *dev, struct device_queue *q)
{
	struct faulty_source *source;

	if (!device_queue_find_source(q, &faulty_source_ops)) {
		source = calloc(1, sizeof(*source));
		if (!source)
			return -ENOMEM;
		source->source.ops = &faulty_source_ops;
		source->q = q;
		pthread_mutex_init(&source->lock, NULL);
		list_init(&source->ready);
		list_init(&source->finished);
		device_queue_add_source(q, &source->source);
	}
	return device_queue_attach(q, faulty_of(dev)->inner);
}

/*
 * ------------------------------------------------------------------ stepping
 */
unsigned faulty_device_nr_pending(struct device *dev)
{
	struct faulty *f = faulty_of(dev);
	unsigned nr;

	pthread_mutex_lock(&f->lock);
	nr = f->nr_pending;
	pthread_mutex_unlock(&f->lock);
	return nr;
}

static struct faulty_transfer *pending_locked(struct faulty *f, unsigned n)
{
	struct list *node = f->pending.next;

	cwt_assert(n < f->nr_pending);
	while (n--)
		node = node->next;
	return list_entry(node, struct faulty_transfer, node);
}

const struct device_io *faulty_device_pending(struct device *dev, unsigned n)
{
	struct faulty *f = faulty_of(dev);
	const struct device_io *io;

	pthread_mutex_lock(&f->lock);
	io = pending_locked(f, n)->io;
	pthread_mutex_unlock(&f->lock);
	return io;
}

void faulty_device_step(struct device *dev, unsigned n)
{
	struct faulty *f = faulty_of(dev);
	struct faulty_transfer *t;

	pthread_mutex_lock(&f->lock);
	t = pending_locked(f, n);
	list_del(&t->node);
	f->nr_pending--;
	t->verdict = judge_transfer_locked(f, t->io);
	pthread_mutex_unlock(&f->lock);
	if (transfer_may_run(t))
		transfer_run_sync(t);
	else
		transfer_finish(t, -EIO);
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
