/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The volatile write cache.
 *
 * Writes take effect on the inner device at once, so that reads see them, and each leaves an entry with the bytes
 * before and after it.  A flush forgets the entries that it covers.  A power cut undoes all entries, newest first - now
 * the device is as of the last flush - and applies anew, oldest first, what each one's fate lets through.
 *
 * Forgetting an entry is always sound: entries that overlap it and are older were completed before it began (the range
 * rule), so a flush that covers it covers them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "device/faulty_internal.h"

#define SECTOR_BYTES 512u

static void entry_forget_locked(struct faulty *f, struct faulty_write *w)
{
	list_del(&w->node);
	f->nr_log--;
	f->log_bytes -= w->len_bytes;
	free(w);
}

/* buf NULL: zeros. */
static struct faulty_write *entry_new(struct faulty *f, uint64_t offset_bytes, const void *buf, uint64_t len_bytes,
				      int *error)
{
	struct faulty_write *w = malloc(sizeof(*w) + 2 * len_bytes);

	*error = -ENOMEM;
	if (!w)
		return NULL;
	*w = (struct faulty_write){ .offset_bytes = offset_bytes, .len_bytes = len_bytes };
	list_init(&w->node);
	w->old_bytes = (uint8_t *)(w + 1);
	w->new_bytes = w->old_bytes + len_bytes;
	*error = device_read(f->inner, offset_bytes, w->old_bytes, len_bytes);
	if (*error) {
		free(w);
		return NULL;
	}
	if (buf)
		memcpy(w->new_bytes, buf, len_bytes);
	else
		memset(w->new_bytes, 0, len_bytes);
	return w;
}

/*
 * The bound of the log: beyond it the oldest completed writes reach the disk by themselves, as they may on a real one.
 * Those in front only, in order: an older entry that stays would undo a younger one that is gone.
 */
static void log_add_locked(struct faulty *f, struct faulty_write *w)
{
	list_add_tail(&f->log, &w->node);
	f->nr_log++;
	f->log_bytes += w->len_bytes;
	while (f->log_bytes > FAULTY_LOG_MAX_BYTES) {
		struct faulty_write *oldest = list_entry(f->log.next, struct faulty_write, node);

		if (!oldest->completed_at)
			break;
		entry_forget_locked(f, oldest);
	}
}

static int apply_logged(struct faulty *f, uint64_t offset_bytes, const void *buf, uint64_t len_bytes,
			struct faulty_write **out)
{
	int error;
	struct faulty_write *w = entry_new(f, offset_bytes, buf, len_bytes, &error);

	if (!w)
		return error;
	error = device_write(f->inner, offset_bytes, w->new_bytes, len_bytes);
	pthread_mutex_lock(&f->lock);
	log_add_locked(f, w);		/* also after an error: part of it may be there */
	pthread_mutex_unlock(&f->lock);
	*out = w;
	return error;
}

int faulty_apply_write(struct faulty *f, uint64_t offset_bytes, const void *buf, uint64_t len_bytes,
		       struct faulty_write **out)
{
	*out = NULL;
	if (!len_bytes)
		return 0;
	if (f->options.volatile_writes)
		return apply_logged(f, offset_bytes, buf, len_bytes, out);
	return device_write(f->inner, offset_bytes, buf, len_bytes);
}

int faulty_apply_zero(struct faulty *f, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes,
		      struct faulty_write **out)
{
	*out = NULL;
	if (!len_bytes)
		return 0;
	if (f->options.volatile_writes)
		return apply_logged(f, offset_bytes, NULL, len_bytes, out);
	return device_zero(f->inner, op, offset_bytes, len_bytes);
}

void faulty_write_completed_locked(struct faulty *f, struct faulty_write *w)
{
	if (w)
		w->completed_at = ++f->clock;
}

void faulty_log_forget_locked(struct faulty *f, uint64_t clock, uint64_t nr_most)
{
	list_for_each_safe(node, &f->log) {
		struct faulty_write *w = list_entry(node, struct faulty_write, node);

		if (!nr_most)
			break;
		if (!w->completed_at || w->completed_at > clock)
			continue;
		entry_forget_locked(f, w);
		nr_most--;
	}
}

void faulty_log_clear_locked(struct faulty *f)
{
	struct list *node;

	while ((node = list_pop(&f->log)))
		free(list_entry(node, struct faulty_write, node));
	f->nr_log = 0;
	f->log_bytes = 0;
}

unsigned faulty_device_nr_unflushed(struct device *dev)
{
	struct faulty *f = container_of(dev, struct faulty, dev);
	unsigned nr;

	pthread_mutex_lock(&f->lock);
	nr = f->nr_log;
	pthread_mutex_unlock(&f->lock);
	return nr;
}

/* Leading bytes of w up to the end of its nr-th sector; borders are those of the device. */
static uint64_t torn_bytes(const struct faulty_write *w, uint64_t nr_sectors)
{
	uint64_t end = (w->offset_bytes / SECTOR_BYTES + nr_sectors) * SECTOR_BYTES;

	return nr_sectors ? MIN(end - w->offset_bytes, w->len_bytes) : 0;
}

static uint64_t surviving_bytes(struct faulty *f, const struct faulty_write *w, const enum faulty_fate *fate,
				const uint32_t *torn_sectors)
{
	uint64_t nr_sectors = div_round_up(w->offset_bytes % SECTOR_BYTES + w->len_bytes, SECTOR_BYTES);

	switch (fate ? *fate : (enum faulty_fate)random_below(&f->random, 3)) {
	case FATE_PRESENT:
		return w->len_bytes;
	case FATE_ABSENT:
		return 0;
	case FATE_TORN:
		return torn_bytes(w, torn_sectors ? *torn_sectors : random_below(&f->random, nr_sectors + 1));
	}
	cwt_assert(!"a fate");
	return 0;
}

/* The inner device of a test does not fail; if it does, the test's verdict would be worthless. */
static void put_bytes(struct faulty *f, uint64_t offset_bytes, const void *buf, uint64_t len_bytes)
{
	int error = device_write(f->inner, offset_bytes, buf, len_bytes);

	cwt_assert(!error);
}

void faulty_device_power_cut(struct device *dev, const enum faulty_fate *fates, const uint32_t *torn_sectors)
{
	struct faulty *f = container_of(dev, struct faulty, dev);
	struct list log;
	unsigned i = 0;

	list_init(&log);
	pthread_mutex_lock(&f->lock);
	f->powered = false;
	f->nr_cuts++;
	list_splice_tail(&log, &f->log);
	f->nr_log = 0;
	f->log_bytes = 0;
	pthread_mutex_unlock(&f->lock);

	for (struct list *node = log.prev; node != &log; node = node->prev) {
		struct faulty_write *w = list_entry(node, struct faulty_write, node);

		put_bytes(f, w->offset_bytes, w->old_bytes, w->len_bytes);
	}
	list_for_each(node, &log) {
		struct faulty_write *w = list_entry(node, struct faulty_write, node);
		uint64_t len = surviving_bytes(f, w, fates ? &fates[i] : NULL, torn_sectors ? &torn_sectors[i] : NULL);

		put_bytes(f, w->offset_bytes, w->new_bytes, len);
		i++;
	}
	for (struct list *node; (node = list_pop(&log)); )
		free(list_entry(node, struct faulty_write, node));
}

void faulty_device_power_on(struct device *dev)
{
	struct faulty *f = container_of(dev, struct faulty, dev);

	pthread_mutex_lock(&f->lock);
	f->powered = true;
	pthread_mutex_unlock(&f->lock);
}
