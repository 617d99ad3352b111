/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

#define SECTOR 512u

static struct record_op *record_add(struct record *r, enum record_kind kind)
{
	if (r->nr == r->room) {
		r->room = r->room ? 2 * r->room : 64;
		r->ops = realloc(r->ops, r->room * sizeof(*r->ops));
		cwt_assert(r->ops);
	}
	r->ops[r->nr] = (struct record_op){ .kind = kind };
	return &r->ops[r->nr++];
}

void record_note(struct record *r, int note, int value, uint64_t from, uint64_t to)
{
	struct record_op *op;

	if (!r->on)
		return;
	op = record_add(r, RECORD_NOTE);
	op->note = note;
	op->value = value;
	op->from = from;
	op->to = to;
}

void record_free(struct record *r)
{
	for (unsigned i = 0; i < r->nr; i++)
		free(r->ops[i].bytes);
	free(r->ops);
	memset(r, 0, sizeof(*r));
}

/* Returns the write's number. */
static unsigned record_write(struct recorder *d, uint64_t offset, const void *buf, uint64_t len)
{
	struct record_op *op;

	cwt_assert(offset % SECTOR == 0 && len % SECTOR == 0);
	d->mtime = MAX(d->mtime + 1, d->clock_ns ? d->clock_ns(d->clock_ctx) : 0);
	if (!d->record->on)
		return 0;
	op = record_add(d->record, RECORD_WRITE);
	op->mtime = d->mtime;
	op->store = d->store;
	op->offset_bytes = offset;
	op->len_bytes = (uint32_t)len;
	op->bytes = malloc(len);
	cwt_assert(op->bytes);
	memcpy(op->bytes, buf, len);
	return d->record->nr - 1;
}

static void record_done(struct recorder *d, unsigned write)
{
	struct record_op *op;

	if (!d->record->on)
		return;
	op = record_add(d->record, RECORD_DONE);
	op->store = d->store;
	op->write = write;
}

/*
 * ------------------------------------------------------------------ the device
 */
static struct recorder *recorder_of(struct device *dev) { return container_of(dev, struct recorder, dev); }

/* What a synchronous call has written, with the rest of its first and last sector as the page cache has it. */
static void record_synchronous(struct recorder *d, uint64_t offset, uint64_t len)
{
	uint64_t begin = round_down_to(offset, SECTOR), end = round_up_to(offset + len, SECTOR);

	record_done(d, record_write(d, begin, d->bytes + begin, end - begin));
}

static void see_read(struct recorder *d, uint64_t end) { d->read_there |= end > d->nr_bytes_read_from; }

static int rec_rw(struct device *dev, enum device_op op, uint64_t offset, void *buf, size_t len)
{
	struct recorder *d = recorder_of(dev);

	if (op == DEVICE_READ) {
		see_read(d, offset + len);
		memcpy(buf, d->bytes + offset, len);
		return 0;
	}
	memcpy(d->bytes + offset, buf, len);
	record_synchronous(d, offset, len);
	return 0;
}

static int rec_zero(struct device *dev, enum device_zero_op op, uint64_t offset, uint64_t len)
{
	struct recorder *d = recorder_of(dev);

	(void)op;
	memset(d->bytes + offset, 0, len);
	record_synchronous(d, offset, len);
	return 0;
}

static int rec_flush(struct device *dev)
{
	struct recorder *d = recorder_of(dev);

	if (d->record->on)
		record_add(d->record, RECORD_FLUSH)->store = d->store;
	return 0;
}

static int rec_tag(struct device *dev, const void *set, void *get)
{
	struct recorder *d = recorder_of(dev);

	if (!d->tag)
		return -EOPNOTSUPP;
	if (get)
		memcpy(get, d->tag, DEVICE_TAG_BYTES);
	if (!set)
		return 0;
	memcpy(d->tag, set, DEVICE_TAG_BYTES);
	if (d->record->on) {
		struct record_op *op = record_add(d->record, RECORD_TAG);

		op->store = d->store;
		op->bytes = malloc(DEVICE_TAG_BYTES);
		cwt_assert(op->bytes);
		memcpy(op->bytes, set, DEVICE_TAG_BYTES);
	}
	return 0;
}

int64_t record_epoch_ns(void *ctx)
{
	(void)ctx;
	return RECORD_EPOCH_NS;
}

static int rec_identity(struct device *dev, struct device_identity *id)
{
	struct recorder *d = recorder_of(dev);

	id->ino = id->birth_ns = (uint64_t)d->store + 1;
	id->size_bytes = dev->info.size_bytes;
	id->mount_id = id->fsid = 1;
	id->mtime_ns = id->ctime_ns = RECORD_EPOCH_NS + (int64_t)d->mtime;
	return 0;
}

/* While submitted: u64[0] the write's number, ptr[1] the queue, ptr[2] the recorder, ptr[3] the caller's done. */
static void rec_done(struct device_io *io)
{
	struct recorder *d = io->priv.ptr[2];

	if (io->op == DEVICE_WRITE && !io->error)
		record_done(d, (unsigned)io->priv.u64[0]);
	memcpy(&io->done, &io->priv.ptr[3], sizeof(io->done));
	io->done(io);
}

static void rec_submit(struct device *dev, struct device_queue *q, struct device_io *io)
{
	struct recorder *d = recorder_of(dev);

	io->priv.u64[0] = io->op == DEVICE_WRITE ? record_write(d, io->offset_bytes, io->buf, io->len_bytes) : 0;
	io->priv.ptr[1] = q;
	io->priv.ptr[2] = d;
	memcpy(&io->priv.ptr[3], &io->done, sizeof(io->done));
	io->done = rec_done;
	list_add_tail(&d->pending, &io->node);
}

bool recorder_step(struct recorder *d)
{
	struct list *node = list_pop(&d->pending);
	struct device_io *io;

	if (!node)
		return false;
	io = list_entry(node, struct device_io, node);
	if (io->op == DEVICE_READ) {
		see_read(d, io->offset_bytes + io->len_bytes);
		memcpy(io->buf, d->bytes + io->offset_bytes, io->len_bytes);
	} else {
		memcpy(d->bytes + io->offset_bytes, io->buf, io->len_bytes);
	}
	device_io_done_later(io->priv.ptr[1], io, 0);
	return true;
}

void recorder_drop(struct recorder *d)
{
	struct list *node;

	while ((node = list_pop(&d->pending))) {
		struct device_io *io = list_entry(node, struct device_io, node);

		if (io->op == DEVICE_WRITE && d->record->on)
			record_add(d->record, RECORD_DROPPED)->write = (unsigned)io->priv.u64[0];
		device_io_done_later(io->priv.ptr[1], io, -EIO);
	}
}

static void rec_close(struct device *dev) { (void)dev; }

static const struct device_ops recorder_ops = { "recorder", NULL, rec_submit, rec_rw, rec_flush, rec_zero,
	rec_identity, rec_tag, rec_close, NULL, NULL, NULL };

void recorder_init(struct recorder *d, enum disk store, uint8_t *bytes, uint64_t size_bytes, struct record *record)
{
	memset(d, 0, sizeof(*d));
	d->dev.ops = &recorder_ops;
	d->dev.info = (struct device_info){ .size_bytes = size_bytes, .align_bytes = SECTOR, .fast = true };
	strcpy(d->dev.name, store_names[store]);
	d->record = record;
	d->store = store;
	d->bytes = bytes;
	d->nr_bytes_read_from = UINT64_MAX;
	list_init(&d->pending);
}
