/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-rig.h"

#include <stdlib.h>
#include <string.h>

static uint64_t rig_now_ms(void *ctx)
{
	return ((struct rig *)ctx)->now_ms;
}

static struct device *rig_memory(const char *name, uint64_t size, uint32_t align, uint64_t seed)
{
	struct memory_options o = { .size_bytes = size, .align_bytes = align, .seed = seed };
	struct device *dev;

	ck_assert_int_eq(memory_device_open(name, &o, &dev), 0);
	return dev;
}

/* A device that passes everything on and leaves the inner one alone when it is closed. */
struct borrowed { struct device dev; struct device *inner; };

static struct device *borrowed_inner(struct device *dev) { return ((struct borrowed *)dev)->inner; }

static void borrowed_submit(struct device *dev, struct device_queue *q, struct device_io *io)
{
	struct device *inner = borrowed_inner(dev);

	io->dev = inner;
	inner->ops->submit(inner, q, io);
}

static int borrowed_attach(struct device *dev, struct device_queue *q)
{
	return device_queue_attach(q, borrowed_inner(dev));
}

static int borrowed_rw(struct device *dev, enum device_op op, uint64_t offset, void *buf, size_t len)
{
	return borrowed_inner(dev)->ops->rw(borrowed_inner(dev), op, offset, buf, len);
}

static int borrowed_flush(struct device *dev) { return device_flush(borrowed_inner(dev)); }

static int borrowed_zero(struct device *dev, enum device_zero_op op, uint64_t offset, uint64_t len)
{
	return device_zero(borrowed_inner(dev), op, offset, len);
}

static int borrowed_identity(struct device *dev, struct device_identity *id)
{
	return device_identity(borrowed_inner(dev), id);
}

static int borrowed_tag(struct device *dev, const void *set, void *get) { return device_tag(borrowed_inner(dev), set, get); }

static int borrowed_write_back(struct device *dev, bool begin) { return device_write_back(borrowed_inner(dev), begin); }

static void borrowed_close(struct device *dev) { free(dev); }

static const struct device_ops borrowed_ops = { "borrowed", borrowed_attach, borrowed_submit, borrowed_rw, borrowed_flush,
	borrowed_zero, borrowed_identity, borrowed_tag, borrowed_close, borrowed_write_back, NULL, NULL };

struct device *rig_wrap(struct device *inner, bool stepped, bool read_only)
{
	struct faulty_options o = { .stepped = stepped, .seed = 1 };
	struct borrowed *b = calloc(1, sizeof(*b));
	struct device *dev;

	b->dev.ops = &borrowed_ops;
	b->dev.info = inner->info;
	b->dev.info.read_only = read_only;
	strcpy(b->dev.name, inner->name);
	b->inner = inner;
	ck_assert_int_eq(faulty_device_open(&b->dev, &o, &dev), 0);
	return dev;
}

int rig_open(struct rig *rig, bool reset)
{
	struct engine_options eo = { .mode = rig->o.mode, .policy = rig->o.policy, .read_only = rig->o.read_only, .reset = reset,
		.warm_after_power = rig->o.warm_after_power,
		.env = { .now_ms = rig_now_ms, .ctx = rig, .boot_id = { rig->boot, 1 }, .pid = 1, .stepped = !rig->o.threads, .seed = 1 } };
	int ret;

	rig->dev.origin = rig_wrap(rig->origin_memory, true, rig->o.read_only);
	rig->dev.cache = rig_wrap(rig->cache_memory, true, false);
	rig->dev.metadata = rig_wrap(rig->metadata_memory, false, false);
	ret = engine_open(&rig->dev, &eo, &rig->e, &rig->err);
	if (ret) {
		rig->e = NULL;
		return ret;
	}
	for (int i = 0; i < RIG_LOOPS; i++)
		ck_assert_int_eq(cwt_loop_open(rig->e, &rig->loop[i]), 0);
	return 0;
}

void rig_start(struct rig *rig, const struct rig_options *o)
{
	struct store_geometry geo;

	memset(rig, 0, sizeof(*rig));
	if (o)
		rig->o = *o;
	rig->o.block_size = rig->o.block_size ? rig->o.block_size : 4096;
	rig->o.nr_cblocks = rig->o.nr_cblocks ? rig->o.nr_cblocks : 4;
	rig->o.origin_size = rig->o.origin_size ? rig->o.origin_size : 8ull * rig->o.block_size;
	rig->o.policy = rig->o.policy ? rig->o.policy : "lru";
	rig->now_ms = 1000;
	geo = (struct store_geometry){ .block_size_bytes = rig->o.block_size, .nr_cblocks = rig->o.nr_cblocks,
		.origin_size_bytes = rig->o.origin_size };
	rig->origin_memory = rig_memory("origin", rig->o.origin_size, rig->o.align, 7);
	rig->cache_memory = rig_memory("cache", (rig->o.nr_cblocks + 1ull) * rig->o.block_size, rig->o.align, 0);
	rig->cache_memory->info.buffered = rig->o.cache_buffered;
	rig->metadata_memory = rig_memory("metadata", store_metadata_size(geo.nr_cblocks, geo.origin_size_bytes,
									  geo.block_size_bytes), 0, 0);
	rig->expect = malloc(rig->o.origin_size);
	memcpy(rig->expect, memory_device_bytes(rig->origin_memory), rig->o.origin_size);
	ck_assert_int_eq(store_format(rig->metadata_memory, &geo, &rig->err), 0);
	ck_assert_msg(!rig_open(rig, false), "%s", rig->err.text);
}

int rig_stop(struct rig *rig)
{
	int ret;

	rig_settle(rig);
	for (int i = 0; i < RIG_LOOPS; i++)
		cwt_loop_close(rig->loop[i]);
	ret = cwt_close(rig->e);
	rig->e = NULL;
	return ret;
}

/* What was in flight may or may not have happened: here, whatever was not stepped has not. */
void rig_kill(struct rig *rig)
{
	struct device *const stepped[] = { rig->dev.origin, rig->dev.cache };

	for (int i = 0; i < 2; i++) {
		faulty_device_power_cut(stepped[i], NULL, NULL);
		while (faulty_device_nr_pending(stepped[i]))
			faulty_device_step(stepped[i], 0);	/* without effect: the power is off */
	}
	for (int i = 0; i < RIG_LOOPS; i++)
		engine_abandon_loop(rig->loop[i]);
	engine_abandon(rig->e);
	device_close(rig->dev.origin);
	device_close(rig->dev.cache);
	device_close(rig->dev.metadata);
	rig->e = NULL;
}

void rig_end(struct rig *rig)
{
	if (rig->e)
		ck_assert_int_eq(rig_stop(rig), 0);
	device_close(rig->origin_memory);
	device_close(rig->cache_memory);
	device_close(rig->metadata_memory);
	free(rig->expect);
}

static void rig_done(struct cwt_request *r)
{
	struct rig_request *q = r->user;

	ck_assert(!q->done);	/* I13: once */
	ck_assert(!q->released);
	q->done = true;
}

static void rig_released(struct cwt_request *r)
{
	struct rig_request *q = r->user;

	ck_assert(q->done);
	ck_assert(!q->released);
	q->released = true;
	if (r->op == CWT_WRITE)
		memset(q->buf, 0xA5, r->len_bytes);
}

struct rig_request *rig_begin(struct rig *rig, unsigned loop, enum cwt_op op, uint64_t offset, uint64_t len, uint8_t byte)
{
	struct rig_request *q = calloc(1, sizeof(*q));

	if (op == CWT_READ || op == CWT_WRITE) {
		q->buf = malloc(len ? len : 1);
		memset(q->buf, byte, len);
	}
	q->r = (struct cwt_request){ .op = op, .offset_bytes = offset, .len_bytes = len, .buf = q->buf, .done = rig_done, .user = q,
				 .sync = rig->sync };
	if (rig->early)
		q->r.released = rig_released;
	cwt_submit(rig->loop[loop], &q->r);
	return q;
}

void rig_free(struct rig_request *q)
{
	ck_assert(q->done);
	ck_assert(q->released == (q->r.released != NULL));
	free(q->buf);
	free(q);
}

bool rig_step(struct rig *rig)
{
	for (int i = 0; i < RIG_LOOPS; i++)
		if (cwt_loop_turn(rig->loop[i]))
			return true;
	if (faulty_device_nr_pending(rig->dev.origin)) {
		faulty_device_step(rig->dev.origin, 0);
		return true;
	}
	if (faulty_device_nr_pending(rig->dev.cache)) {
		faulty_device_step(rig->dev.cache, 0);
		return true;
	}
	return engine_step_job(rig->e);
}

void rig_settle(struct rig *rig)
{
	for (unsigned i = 0; rig_step(rig); i++)
		ck_assert_msg(i < 1000000, "never comes to rest");
	ck_assert_uint_eq(rig->e->nr_in_cells, 0);
	ck_assert_uint_eq(rig->e->cells.nr_parked, 0);
}

void rig_expect(struct rig *rig, uint64_t offset, uint64_t len, uint8_t byte)
{
	memset(rig->expect + offset, byte, len);
}

int64_t rig_do(struct rig *rig, enum cwt_op op, uint64_t offset, uint64_t len, uint8_t byte)
{
	struct rig_request *q = rig_begin(rig, 0, op, offset, len, byte);
	int64_t result;

	rig_settle(rig);
	ck_assert(q->done);
	result = q->r.result;
	if (op == CWT_READ && result > 0)
		ck_assert(!memcmp(q->buf, rig->expect + offset, (size_t)result));
	else if (op == CWT_WRITE && result > 0)
		rig_expect(rig, offset, (uint64_t)result, byte);
	else if (op != CWT_FLUSH && result > 0)
		rig_expect(rig, offset, (uint64_t)result, 0);
	rig_free(q);
	return result;
}

struct cwt_status rig_status(struct rig *rig)
{
	struct cwt_status s;

	cwt_get_status(rig->e, &s);
	return s;
}

bool rig_mapped(struct rig *rig, uint32_t oblock)
{
	return !cblock_is_none(map_lookup(&rig->e->map, OBLOCK(oblock)));
}

void rig_check(struct rig *rig)
{
	const uint8_t *origin = memory_device_bytes(rig->origin_memory), *cache = memory_device_bytes(rig->cache_memory);

	ck_assert(!memcmp(origin, rig->expect, rig->o.origin_size));
	for (uint32_t o = 0; o < rig->e->nr_oblocks; o++) {
		cblock_t c = map_lookup(&rig->e->map, OBLOCK(o));

		if (cblock_is_none(c))
			continue;
		ck_assert_msg(!memcmp(origin + engine_origin_offset(rig->e, OBLOCK(o)),
				      cache + store_cache_offset(c, rig->o.block_size), engine_block_len(rig->e, OBLOCK(o))),
			      "block %u is stale in cache block %u", o, c.v);
	}
	ck_assert(rig_status(rig).books_balance);
}

void rig_warm(struct rig *rig, uint32_t first, uint32_t nr)
{
	for (uint32_t o = first; o < first + nr; o++) {
		uint32_t len = engine_block_len(rig->e, OBLOCK(o));

		ck_assert_int_eq(rig_do(rig, CWT_READ, (uint64_t)o * rig->o.block_size, len, 0), len);
		ck_assert_msg(rig_mapped(rig, o), "block %u was not promoted", o);
	}
}

void rig_fail(struct device *dev, unsigned kinds, uint64_t skip, uint64_t times, int error)
{
	struct faulty_rule rule = { .kinds = kinds, .skip = skip, .times = times, .effect = FAULTY_FAIL, .error = error };

	faulty_device_clear_rules(dev);
	ck_assert_int_eq(faulty_device_add_rule(dev, &rule), 0);
}
