/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

#define SECTOR 512u

const char *const store_names[NR_STORES] = { "origin", "cache", "metadata" };

/* A write that was in flight when the process died. */
struct in_flight {
	enum disk store;
	uint64_t offset_bytes;
	uint32_t len_bytes;
	uint8_t *bytes;
};

/*
 * ------------------------------------------------------------------ one operation
 */
enum op_fate { OP_GO, OP_REFUSE, OP_LAST };

static enum op_fate op_begin(struct disks *d)
{
	if (d->dead)
		return OP_REFUSE;
	d->nr_ops++;
	return d->ops_left && !--d->ops_left ? OP_LAST : OP_GO;
}

static void fail_next(struct device *faulty, unsigned kinds, enum faulty_effect effect, uint64_t times)
{
	struct faulty_rule rule = { .kinds = kinds, .times = times, .effect = effect, .error = -EIO };
	int ret;

	faulty_device_clear_rules(faulty);
	ret = faulty_device_add_rule(faulty, &rule);
	cwt_assert(!ret);
}

/* The last operation happens, happens in part, or does not: its caller is told nothing any more. */
static void op_last(struct disks *d, enum disk store)
{
	static const enum faulty_effect effects[] = { FAULTY_FAIL, FAULTY_FAIL_AFTER, FAULTY_FAIL_PARTWAY };

	d->dead = true;
	fail_next(d->faulty[store], FAULTY_ANY, effects[random_below(&d->random, ARRAY_SIZE(effects))], 1);
}

/*
 * ------------------------------------------------------------------ handles
 */
struct handle {
	struct device dev;
	struct disks *disks;
	enum disk store;
	struct device *inner;
};

static struct handle *handle_of(struct device *dev) { return container_of(dev, struct handle, dev); }

static int handle_attach(struct device *dev, struct device_queue *q)
{
	return device_queue_attach(q, handle_of(dev)->inner);
}

/* After the last operation nobody submits: this thread only does not know it yet. */
static void handle_submit(struct device *dev, struct device_queue *q, struct device_io *io)
{
	struct handle *h = handle_of(dev);

	if (h->disks->dead) {
		device_io_done_later(q, io, -EIO);
		return;
	}
	io->dev = h->inner;
	h->inner->ops->submit(h->inner, q, io);
}

static bool handle_begin(struct handle *h)
{
	enum op_fate fate = op_begin(h->disks);

	if (fate == OP_LAST)
		op_last(h->disks, h->store);
	return fate != OP_REFUSE;
}

static int handle_rw(struct device *dev, enum device_op op, uint64_t offset, void *buf, size_t len)
{
	struct handle *h = handle_of(dev);

	return handle_begin(h) ? h->inner->ops->rw(h->inner, op, offset, buf, len) : -EIO;
}

static int handle_zero(struct device *dev, enum device_zero_op op, uint64_t offset, uint64_t len)
{
	struct handle *h = handle_of(dev);

	return handle_begin(h) ? device_zero(h->inner, op, offset, len) : -EIO;
}

static void cut(struct disks *d, enum disk store);

static int handle_flush(struct device *dev)
{
	struct handle *h = handle_of(dev);
	struct disks *d = h->disks;
	bool lose = d->lose[h->store] && d->ops_left != 1;
	int error;

	if (!handle_begin(h))
		return -EIO;
	if (lose && !d->dead) {
		d->lose[h->store] = false;
		d->nr_losses[h->store]++;
		disks_disarm(d);	/* the protocol's known limit: death before the loss was answered and marked */
		cut(d, h->store);
		error = -EIO;
	} else {
		error = device_flush(h->inner);
		lose = false;
	}
	if (error && !d->dead)
		d->flush_failed(d->ctx, h->store, lose);
	return error;
}

static int handle_identity(struct device *dev, struct device_identity *id)
{
	struct handle *h = handle_of(dev);

	return handle_begin(h) ? device_identity(h->inner, id) : -EIO;
}

static int handle_tag(struct device *dev, const void *set, void *get)
{
	struct handle *h = handle_of(dev);
	enum op_fate fate = op_begin(h->disks);

	if (fate == OP_LAST)
		op_last(h->disks, h->store);
	if (fate == OP_REFUSE || (fate == OP_LAST && random_below(&h->disks->random, 2)))
		return -EIO;
	return device_tag(h->inner, set, get);
}

static void handle_close(struct device *dev) { free(handle_of(dev)); }

static const struct device_ops handle_ops = { "handle", handle_attach, handle_submit, handle_rw, handle_flush,
	handle_zero, handle_identity, handle_tag, handle_close, NULL, NULL, NULL };

static struct device *handle_open(struct disks *d, enum disk store, bool read_only)
{
	struct handle *h = calloc(1, sizeof(*h));

	cwt_assert(h);
	h->dev.ops = &handle_ops;
	h->dev.info = d->faulty[store]->info;
	h->dev.info.read_only = read_only;
	snprintf(h->dev.name, sizeof(h->dev.name), "%s", store_names[store]);
	h->disks = d;
	h->store = store;
	h->inner = d->faulty[store];
	return &h->dev;
}

void disks_handles(struct disks *d, bool read_only, struct store_devices *out)
{
	out->origin = handle_open(d, ORIGIN, read_only);
	out->cache = handle_open(d, CACHE, false);
	out->metadata = handle_open(d, METADATA, false);
}

void disks_close_handles(struct store_devices *handles)
{
	device_close(handles->origin);
	device_close(handles->cache);
	device_close(handles->metadata);
}

/*
 * ------------------------------------------------------------------ stepping, arming
 */
unsigned disks_nr_pending(struct disks *d)
{
	return faulty_device_nr_pending(d->faulty[ORIGIN]) + faulty_device_nr_pending(d->faulty[CACHE]);
}

void disks_step(struct disks *d, unsigned n)
{
	unsigned nr_origin = faulty_device_nr_pending(d->faulty[ORIGIN]);

	if (n < nr_origin)
		faulty_device_step(d->faulty[ORIGIN], n);
	else
		faulty_device_step(d->faulty[CACHE], n - nr_origin);
}

void disks_arm(struct disks *d, uint64_t nr_ops) { d->ops_left = nr_ops; }
void disks_disarm(struct disks *d) { d->ops_left = 0; }

uint64_t disks_nr_faults(struct disks *d, enum disk store)
{
	return faulty_device_counts(d->faulty[store]).faults + d->nr_losses[store];
}

void disks_clear_faults(struct disks *d)
{
	for (int i = 0; i < NR_STORES; i++) {
		faulty_device_clear_rules(d->faulty[i]);
		d->lose[i] = false;
	}
}

/*
 * ------------------------------------------------------------------ death, and what survives it
 */
static void note_in_flight(struct disks *d, enum disk store)
{
	for (unsigned i = 0; i < faulty_device_nr_pending(d->faulty[store]); i++) {
		const struct device_io *io = faulty_device_pending(d->faulty[store], i);
		struct in_flight *f = &d->in_flight[d->nr_in_flight];

		if (io->op == DEVICE_READ)
			continue;
		*f = (struct in_flight){ store, io->offset_bytes, io->len_bytes, malloc(io->len_bytes) };
		cwt_assert(f->bytes);
		memcpy(f->bytes, io->buf, io->len_bytes);
		d->nr_in_flight++;
	}
}

void disks_die(struct disks *d)
{
	d->dead = true;
	d->in_flight = calloc(disks_nr_pending(d) + 1, sizeof(*d->in_flight));
	cwt_assert(d->in_flight);
	for (int i = ORIGIN; i <= CACHE; i++) {
		note_in_flight(d, (enum disk)i);
		fail_next(d->faulty[i], FAULTY_ANY, FAULTY_FAIL, 0);
		while (faulty_device_nr_pending(d->faulty[i]))
			faulty_device_step(d->faulty[i], 0);
	}
}

static void write_part(struct disks *d, const struct in_flight *f, uint64_t from, uint64_t to)
{
	int error = to > from ? device_write(d->faulty[f->store], f->offset_bytes + from, f->bytes + from, to - from) : 0;

	cwt_assert(!error);
}

/* Some sectors arrive, each by itself. */
static void happen_in_part(struct disks *d, const struct in_flight *f)
{
	for (uint64_t at = 0; at < f->len_bytes; ) {
		uint64_t to = MIN(round_down_to(f->offset_bytes + at, SECTOR) + SECTOR - f->offset_bytes, f->len_bytes);

		if (random_below(&d->random, 2))
			write_part(d, f, at, to);
		at = to;
	}
}

static void finish_in_flight(struct disks *d)
{
	for (unsigned i = 0; i < d->nr_in_flight; i++) {
		struct in_flight *f = &d->in_flight[i];

		switch (random_below(&d->random, 3)) {
		case 0:
			break;
		case 1:
			write_part(d, f, 0, f->len_bytes);
			break;
		default:
			happen_in_part(d, f);
		}
		free(f->bytes);
	}
	free(d->in_flight);
	d->in_flight = NULL;
	d->nr_in_flight = 0;
}

/* All present, all absent, or each as it happens. */
static void cut(struct disks *d, enum disk store)
{
	struct device *faulty = d->faulty[store];
	unsigned nr = faulty_device_nr_unflushed(faulty);
	enum faulty_fate *fates = calloc(nr + 1, sizeof(*fates));
	uint64_t how = random_below(&d->random, 6);

	cwt_assert(fates);
	for (unsigned i = 0; i < nr; i++)
		fates[i] = how == 0 ? FATE_PRESENT : how == 1 ? FATE_ABSENT :
			   random_below(&d->random, 8) == 0 ? FATE_TORN :
			   random_below(&d->random, 6) < how ? FATE_PRESENT : FATE_ABSENT;
	faulty_device_power_cut(faulty, fates, NULL);
	faulty_device_power_on(faulty);
	free(fates);
}

void disks_survive(struct disks *d, bool power)
{
	disks_clear_faults(d);
	disks_disarm(d);
	finish_in_flight(d);
	if (power)
		for (int i = 0; i < NR_STORES; i++)
			cut(d, (enum disk)i);
	else if (d->faulty[CACHE]->info.buffered)
		cut(d, CACHE);
	d->dead = false;
}

/*
 * ------------------------------------------------------------------ open, close
 */
static int64_t disks_now_ns(void *ctx) { return ((struct disks *)ctx)->now_ns; }

void disks_open(struct disks *d, const uint64_t size[NR_STORES], const uint32_t align[NR_STORES], uint64_t seed)
{
	int64_t now_ns = d->now_ns;

	memset(d, 0, sizeof(*d));
	d->now_ns = now_ns;
	d->random.state = seed;
	for (int i = 0; i < NR_STORES; i++) {
		struct memory_options mo = { .size_bytes = size[i], .align_bytes = align[i], .now_ns = disks_now_ns, .ctx = d };
		struct faulty_options fo = { .stepped = i != METADATA, .volatile_writes = true, .seed = seed + (uint64_t)i + 1 };
		int ret = memory_device_open(store_names[i], &mo, &d->memory[i]);

		if (!ret)
			ret = faulty_device_open(d->memory[i], &fo, &d->faulty[i]);
		cwt_assert(!ret);
	}
}

void disks_close(struct disks *d)
{
	for (int i = 0; i < NR_STORES; i++)
		device_close(d->faulty[i]);
}

uint8_t *disks_bytes(struct disks *d, enum disk store)
{
	return memory_device_bytes(d->memory[store]);
}
