/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "faulty-rig.h"

#include "base/bits.h"
#include "device/memory.h"

struct device *open_faulty(struct faulty_options options)
{
	struct memory_options memory = { .size_bytes = FAULTY_RIG_BYTES, .align_bytes = 512, .seed = 5 };
	struct device *inner, *dev;

	ck_assert_int_eq(memory_device_open("memory", &memory, &inner), 0);
	ck_assert_int_eq(faulty_device_open(inner, &options, &dev), 0);
	ck_assert_ptr_eq(faulty_device_inner(dev), inner);
	return dev;
}

void open_rig(struct rig *rig, struct faulty_options options)
{
	rig_open_device(rig, open_faulty(options), "faulty", 16);
}

void add_rule(struct rig *rig, const char *text)
{
	struct cwt_error err = { "" };
	struct faulty_rule rule;

	ck_assert_msg(!faulty_rule_parse(text, &rule, &err), "%s", err.text);
	ck_assert_int_eq(faulty_device_add_rule(rig->dev, &rule), 0);
}

static void watched_done(struct device_io *io)
{
	struct watched *w = container_of(io, struct watched, io);

	w->is_done = true;
	w->error = io->error;
}

void watched_submit(struct rig *rig, struct watched *w, enum device_op op, uint64_t offset_bytes, uint32_t len_bytes)
{
	w->io = (struct device_io){ .dev = rig->dev, .op = op, .offset_bytes = offset_bytes, .len_bytes = len_bytes,
				    .buf = w->bytes, .done = watched_done };
	w->is_done = false;
	list_init(&w->io.node);
	device_submit(rig->q, &w->io);
	device_queue_kick(rig->q);
}

uint8_t *inner_bytes(struct rig *rig)
{
	return memory_device_bytes(faulty_device_inner(rig->dev));
}

void *flush_once(void *arg)
{
	struct flusher *f = arg;

	atomic_store(&f->result, device_flush(f->dev));
	return NULL;
}
