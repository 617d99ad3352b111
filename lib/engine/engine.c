/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine's own life: open, stop, abandon. */
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/log.h"
#include "engine/commit.h"
#include "engine/migration.h"

uint64_t engine_now_ms(const struct cwt *e)
{
	struct timespec ts;

	if (e->options.env.now_ms)
		return e->options.env.now_ms(e->options.env.ctx);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	return clock_gettime(clock, &ts) ? 0 : (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t engine_real_ns(const struct cwt *e)
{
	return e->options.env.real_ns ? e->options.env.real_ns(e->options.env.ctx) : clock_ns(CLOCK_REALTIME);
}

/* Two clocks are read, and this thread may have to wait in between: the reading that took the least counts. */
int64_t engine_clock_ns(const struct cwt *e)
{
	int64_t best_ns = 0, least_ns = INT64_MAX;

	if (e->options.env.real_ns)
		return engine_real_ns(e) - (int64_t)engine_now_ms(e) * 1000000;
	for (int i = 0; i < 8 && least_ns > 100000; i++) {
		int64_t before = clock_ns(CLOCK_BOOTTIME), real = clock_ns(CLOCK_REALTIME), after = clock_ns(CLOCK_BOOTTIME);

		if (after - before >= least_ns)
			continue;
		least_ns = after - before;
		best_ns = real - before;
	}
	return best_ns;
}

static void engine_set_geometry(struct cwt *e)
{
	const struct store_geometry *geo = store_geometry(e->store);
	uint32_t align = MAX(device_info(e->dev.origin)->align_bytes, device_info(e->dev.cache)->align_bytes);

	e->block_size = geo->block_size_bytes;
	e->block_shift = log2_of(e->block_size);
	e->align = align;
	e->origin_size = geo->origin_size_bytes;
	e->nr_oblocks = (uint32_t)div_round_up(e->origin_size, e->block_size);
	e->nr_cblocks = geo->nr_cblocks;
	/* A sixty-fourth is kept ready, so that promotions do not wait for commits; few cblocks are not worth any. */
	e->free_target = MIN(e->nr_cblocks / 64, 1024u);
}

int engine_check_align(const struct device *dev, uint32_t block_size_bytes, const char *remedy, struct cwt_error *err)
{
	uint32_t align = device_info(dev)->align_bytes;

	if (align <= block_size_bytes)
		return 0;
	return error_set(err, -EINVAL, "%s: is written in units of %u bytes, and a block of %u bytes is smaller (%s --block-size %uK "
			 "or more)", dev->name, align, block_size_bytes, remedy, align / 1024);
}

static int engine_load_one(void *ctx, cblock_t c, struct store_entry entry)
{
	struct cwt *e = ctx;

	if (entry.oblock.v >= e->nr_oblocks || map_load(&e->map, c, entry.oblock))
		return -EINVAL;
	e->policy->ops->mapped(e->policy, c, entry.oblock, entry.hint);
	regions_need_locked(e, entry.oblock);
	return 0;
}

/* What verifies as pages can still be no map: then none of it is believed. */
static int engine_load(struct cwt *e, struct cwt_error *err)
{
	int ret = store_load(e->store, engine_load_one, e);

	if (ret == -EINVAL)
		return error_set(err, ret, "%s: two mappings contradict each other (start with --reset)", e->dev.metadata->name);
	if (ret)
		return error_set(err, ret, "%s: mappings could not be read: %s", e->dev.metadata->name, strerror(-ret));
	map_loaded(&e->map);
	return 0;
}

static int engine_build(struct cwt *e, struct cwt_error *err)
{
	const char *policy = e->options.policy ? e->options.policy : POLICY_DEFAULT;
	int ret;

	engine_set_geometry(e);
	cwt_assert(e->align <= e->block_size);
	cells_init(&e->cells);
	ret = policy_create(policy, e->nr_cblocks, e->options.env.seed, &e->policy, err);
	if (ret)
		return ret;
	ret = map_init(&e->map, e->nr_cblocks);
	if (!ret)
		ret = marks_init(&e->marks, e->nr_cblocks, store_marks_key(e->store));
	if (!ret)
		ret = engine_commit_init(e);
	if (!ret)
		ret = write_back_init(e);
	if (!ret)
		ret = regions_init(e, e->options.warm_after_power);
	if (ret)
		return error_set(err, ret, "%u cached blocks: %s", e->nr_cblocks, strerror(-ret));
	origin_watch_init(e);
	ret = engine_load(e, err);
	if (ret)
		return ret;
	ret = jobs_start(e);
	return ret ? error_set(err, ret, "threads: %s", strerror(-ret)) : 0;
}

static void engine_free(struct cwt *e)
{
	if (e->marks.units)
		marks_free(&e->marks);
	if (e->commit.dirty_pages)
		engine_commit_exit(e);
	write_back_exit(e);
	regions_free(&e->regions);
	if (e->map.cb)
		map_free(&e->map);
	policy_destroy(e->policy);
	store_close(e->store);
	for (unsigned i = 0; i < e->nr_cell_slabs; i++)
		free(e->cell_slabs[i]);
	pthread_mutex_destroy(&e->flush.io_lock);
	pthread_mutex_destroy(&e->origin_watch.lease_lock);
	jobs_exit(e);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

/* The metadata is closed last: whoever finds its lock free can have the other two. */
static void engine_close_devices(struct store_devices *dev)
{
	device_close(dev->origin);
	device_close(dev->cache);
	device_close(dev->metadata);
}

static int engine_check_options(const struct engine_options *options, struct cwt_error *err)
{
	struct policy *p;
	int ret = policy_create(options->policy ? options->policy : POLICY_DEFAULT, 1, 0, &p, err);

	if (!ret)
		policy_destroy(p);
	return ret;
}

/*
 * cwt_open() has asked before it made anything; others come here with devices of their own.  What is wrong with a
 * metadata that cannot be read is said by store_open().
 */
static int engine_check_stores(const struct store_devices *devices, struct cwt_error *err)
{
	static const char remedy[] = "give up the metadata and the cache, and start with";
	struct store_geometry geo;
	int ret;

	if (store_read_geometry(devices->metadata, &geo, NULL))
		return 0;
	ret = engine_check_align(devices->origin, geo.block_size_bytes, remedy, err);
	return ret ? ret : engine_check_align(devices->cache, geo.block_size_bytes, remedy, err);
}

int engine_open(const struct store_devices *devices, const struct engine_options *options, struct cwt **out,
		struct cwt_error *err)
{
	struct store_options so = { .read_only_origin = options->read_only, .trust_origin = options->trust_origin,
		.reset = options->reset, .warm_after_power = options->warm_after_power,
		.commit_interval_ms = options->commit_interval_ms ? options->commit_interval_ms : CWT_COMMIT_INTERVAL_MS_DEFAULT,
		.boot_id = { options->env.boot_id[0], options->env.boot_id[1] },
		.pid = options->env.pid };
	struct cwt *e = calloc(1, sizeof(*e));
	enum store_start start;
	int ret;

	if (!e)
		return error_set(err, -ENOMEM, "memory: %s", strerror(ENOMEM));
	e->dev = *devices;
	e->options = *options;
	so.clock_ns = engine_clock_ns(e);
	so.boot_time_ns = options->env.boot_time_ns;
	so.real_ns = options->env.real_ns;
	so.ctx = options->env.ctx;
	e->origin_fd = -1;
	e->origin_io = e->cache_io = "test";
	if (!e->options.commit_interval_ms)
		e->options.commit_interval_ms = CWT_COMMIT_INTERVAL_MS_DEFAULT;
	pthread_mutex_init(&e->lock, NULL);
	pthread_mutex_init(&e->flush.io_lock, NULL);
	pthread_mutex_init(&e->origin_watch.lease_lock, NULL);
	jobs_init(e);
	list_init(&e->fills);
	list_init(&e->flush.waiting);
	list_init(&e->flush.current);
	list_init(&e->flush.job.node);
	ret = engine_check_options(options, err);	/* a mistyped option shall not cost a warm cache */
	if (!ret)
		ret = engine_check_stores(devices, err);
	if (!ret)
		ret = store_open(devices, &so, &e->store, &start, err);
	if (!ret) {
		e->stats.last_commit_ms = engine_now_ms(e);	/* before there are threads */
		snprintf(e->start_reason, sizeof(e->start_reason), "%s", store_start_reason(e->store));
		ret = engine_build(e, err);
	}
	if (ret) {
		engine_close_devices(&e->dev);
		engine_free(e);
		return ret;
	}
	e->options.policy = NULL;	/* the caller's memory */
	*out = e;
	return 0;
}

bool engine_step_job(struct cwt *e)
{
	if (jobs_step(e) || write_back_ask(e))
		return true;
	origin_watch_tick(e);
	if (e->commit.step == COMMIT_IDLE && !engine_commit_due(e))
		return false;
	if (engine_commit_step(e, 0) < 0)
		marks_write_urgent(e);
	return true;
}

int engine_void(struct cwt *e)
{
	int ret;

	pthread_mutex_lock(&e->commit.run_lock);
	pthread_mutex_lock(&e->lock);
	e->commit.dead = true;
	pthread_mutex_unlock(&e->lock);
	ret = store_void(e->store);
	pthread_mutex_lock(&e->lock);
	if (!ret) {
		e->marks.off = true;
		regions_off_locked(e);
	}
	pthread_mutex_unlock(&e->lock);
	pthread_mutex_unlock(&e->commit.run_lock);
	return ret;
}

static void engine_runtime(struct cwt *e, enum store_runtime_state state)
{
	struct store_runtime rt = { .pid = e->options.env.pid, .state = state };

	(void)store_write_runtime(e->dev.metadata, &rt);
}

/* Our last leg has ended, or does so now: what the origin shows is taken before others may write it. */
void cwt_stopping(struct cwt *e)
{
	engine_runtime(e, STORE_RUNTIME_STOPPING);
	(void)origin_look(e);
}

/* The origin is not as we left it: nothing is clean, and the next start is to find the same. */
static int stop_without_origin(struct cwt *e)
{
	pthread_mutex_lock(&e->lock);
	drop_all_locked(e);
	origin_disown_locked(e);
	pthread_mutex_unlock(&e->lock);
	return engine_commit_run(e, COMMIT_FLUSH);
}

static int engine_stop(struct cwt *e)
{
	int ret;

	if (e->flush.sticky_error)
		return e->flush.sticky_error;
	ret = origin_look(e) ? engine_commit_clean(e) : -ESTALE;
	return ret == -ESTALE ? stop_without_origin(e) : ret;
}

/*
 * S1.  The loops are closed, so no leg is under way; a failed flush earlier on means that nobody may call this clean.
 */
int cwt_close(struct cwt *e)
{
	struct store_devices dev = e->dev;
	int ret;

	cwt_assert(!e->nr_loops);
	engine_runtime(e, STORE_RUNTIME_STOPPING);
	jobs_stop(e);
	cwt_assert(list_empty(&e->fills));
	write_back_ask(e);
	ret = engine_stop(e);
	if (ret)
		log_error("%s: no clean stop, the next start decides what is kept: %s", dev.metadata->name, strerror(-ret));
	engine_runtime(e, STORE_RUNTIME_NONE);
	engine_free(e);
	engine_close_devices(&dev);
	return ret;
}

void engine_abandon(struct cwt *e)
{
	engine_free(e);
}

const char *cwt_start_reason(const struct cwt *e) { return e->start_reason; }
uint64_t cwt_size_bytes(const struct cwt *e) { return e->origin_size; }
uint32_t cwt_block_size_bytes(const struct cwt *e) { return e->block_size; }
uint32_t cwt_buffer_align_bytes(const struct cwt *e) { return e->align; }

unsigned cwt_loops_advised(const struct cwt *e)
{
	return device_info(e->dev.origin)->fast && device_info(e->dev.cache)->fast ? 1 : 2;
}
