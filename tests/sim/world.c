/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "format.h"
#include "metadata/format.h"
#include "workload.h"

#define STARTS_MAX 12u			/* crashes in a row during a start */
#define REST_STEPS_MAX 200000u

struct coverage coverage;

/*
 * ------------------------------------------------------------------ checks
 */
static void check_mappings(struct world *w)
{
	const uint8_t *origin = disks_bytes(&w->disks, ORIGIN), *cache = disks_bytes(&w->disks, CACHE);
	struct cwt *e = w->e;

	for (uint32_t i = 0; i < e->nr_cblocks; i++) {
		const struct cblock_info *cb = map_cb(&e->map, CBLOCK(i));
		oblock_t o = OBLOCK(cb->oblock);
		const uint8_t *a = origin + engine_origin_offset(e, o), *b = cache + store_cache_offset(CBLOCK(i), e->block_size);
		uint32_t at = 0, len;

		if (cb->state != CB_MAPPED || cell_find(&e->cells, o))
			continue;
		len = engine_block_len(e, o);
		if (!memcmp(a, b, len))
			continue;
		while (a[at] == b[at])
			at++;
		sim_fail(w, "block %u is stale in cblock %u, from its byte %u on (origin %02x, cache %02x)", o.v, i, at, a[at],
			 b[at]);
	}
}

/* Warmth: what was in memory and committed at one moment, and has been in memory ever since. */
static void note_kept(struct world *w)
{
	struct cwt *e = w->e;
	bool committed = e->commit.step == COMMIT_IDLE && !e->commit.nr_dirty && !e->commit.dead;

	for (uint32_t i = 0; i < e->nr_cblocks; i++) {
		const struct cblock_info *cb = map_cb(&e->map, CBLOCK(i));

		if (cb->state != CB_MAPPED || (!committed && cb->oblock != w->kept[i]))
			w->kept[i] = BLOCK_NONE;
		else if (committed)
			w->kept[i] = cb->oblock;
	}
}

void world_look(struct world *w)
{
	check_mappings(w);
	note_kept(w);
}

/*
 * What a kill at this moment must leave: of these, all without a busy mark.  Late clears are late: then nothing is
 * asked for.
 */
static void must_keep(struct world *w, uint32_t *kept)
{
	struct cwt *e = w->e;
	bool visible = !e->marks.nr_stale && !marks_urgent(&e->marks);

	for (uint32_t i = 0; i < e->nr_cblocks; i++)
		kept[i] = visible && !marks_test(&e->marks, CBLOCK(i)) ? w->kept[i] : BLOCK_NONE;
}

static void check_kept(struct world *w, const uint32_t *kept)
{
	for (uint32_t i = 0; i < w->e->nr_cblocks; i++) {
		const struct cblock_info *cb = map_cb(&w->e->map, CBLOCK(i));

		if (kept[i] != BLOCK_NONE && (cb->state != CB_MAPPED || cb->oblock != kept[i]))
			sim_fail(w, "a kill has lost block %u in cblock %u, which was committed and not busy: %s", kept[i], i,
				 cwt_start_reason(w->e));
	}
}

static void check_at_rest(struct world *w)
{
	struct cwt *e = w->e;
	struct cwt_status status;

	if (w->nr_requests)
		sim_fail(w, "%u requests are never answered, or never given back", w->nr_requests);
	workload_forget(w);
	if (e->nr_in_cells || e->cells.nr_parked || !list_empty(&e->fills))
		sim_fail(w, "%" PRIu64 " block requests in cells and %" PRIu64 " parked, %s, but nothing is left to do",
			 e->nr_in_cells, e->cells.nr_parked, list_empty(&e->fills) ? "no fill" : "a fill");
	for (uint32_t i = 0; i < e->nr_cblocks; i++) {
		const struct cblock_info *cb = map_cb(&e->map, CBLOCK(i));

		if (cb->state == CB_FILLING || cb->state == CB_COMMITTING || cb->state == CB_LIMBO || cb->users || cb->writers)
			sim_fail(w, "cblock %u is in state %u with %u users at rest", i, cb->state, cb->users);
	}
	cwt_get_status(e, &status);
	if (!status.books_balance)
		sim_fail(w, "the books do not balance: %" PRIu64 " + %" PRIu64 " + %" PRIu64 " + %" PRIu64 " + %" PRIu64 " of %"
			 PRIu64, status.read_hits, status.read_misses, status.write_hits, status.write_misses, status.bypassed,
			 status.block_requests);
	world_look(w);
	if (!oracle_rest(&w->oracle, disks_bytes(&w->disks, ORIGIN)))
		sim_fail(w, "the origin at rest: %s", w->oracle.why);
}

/*
 * ------------------------------------------------------------------ death
 */
static void count_life(const struct cwt *e)
{
	const struct engine_stats *s = &e->stats;

#define ADD(name) coverage.name += s->name;
	ADD(block_requests) ADD(read_hits) ADD(read_misses) ADD(write_hits) ADD(write_misses) ADD(bypassed) ADD(promotions)
	ADD(demotions) ADD(invalidations) ADD(fills_voided) ADD(fills_failed) ADD(origin_read_errors) ADD(origin_write_errors)
	ADD(origin_flush_errors) ADD(cache_read_errors) ADD(cache_write_errors) ADD(cache_flush_errors) ADD(metadata_errors)
	ADD(commits)
#undef ADD
}

/* The process is gone; the disks go on. */
static void after_death(struct world *w, bool power)
{
	w->e = NULL;
	disks_survive(&w->disks, power);
	oracle_kill(&w->oracle);
	if (power) {
		oracle_power_cut(&w->oracle);
		w->boot++;
	}
	*(power ? &coverage.power_cuts : &coverage.kills) += 1;
}

static void abandon(struct world *w)
{
	disks_die(&w->disks);
	for (unsigned i = 0; i < w->c.nr_loops; i++)
		if (w->loop[i])
			engine_abandon_loop(w->loop[i]);
	count_life(w->e);
	engine_abandon(w->e);
	disks_close_handles(&w->handles);
	workload_forget(w);
	memset(w->loop, 0, sizeof(w->loop));
}

/* A page of the metadata that a checksum guards is spoilt: what cannot be known is dropped. */
static void rot(struct world *w)
{
	struct disks *d = &w->disks;
	uint8_t *bytes = disks_bytes(d, METADATA);
	const struct region *region;
	struct superblock sb;
	uint64_t at;

	if (superblock_decode(bytes, 0, &sb) != PAGE_OK)
		return;
	region = superblock_region(&sb, one_in(&d->random, 4) ? REGION_REGION_MARKS : REGION_MAPPING);
	at = region->offset_bytes + random_below(&d->random, region->len_bytes);
	sim_note(w, "byte %" PRIu64 " of the metadata rots", at);
	bytes[at] ^= 0x40;
	coverage.rotten++;
}

static void crash(struct world *w, bool power)
{
	sim_note(w, power ? "POWER CUT" : "KILL");
	abandon(w);
	after_death(w, power);
}

void world_crash(struct world *w, bool power)
{
	uint64_t cuts = coverage.recoveries_cut;
	uint32_t kept[SIM_CBLOCKS_MAX];
	bool ask = !power && !w->disks.dead;

	must_keep(w, kept);
	crash(w, power);
	if (config_has(&w->c, SIM_ROT) && one_in(&w->disks.random, 3)) {
		rot(w);
		ask = false;
	}
	world_start(w, false);
	if (ask && cuts == coverage.recoveries_cut)
		check_kept(w, kept);
	*(power ? &coverage.kept_after_power : &coverage.kept_after_kill) += w->e->map.nr_mapped;
}

bool world_bury(struct world *w)
{
	if (!w->disks.dead)
		return false;
	coverage.last_operations++;
	world_crash(w, w->power_last);
	return true;
}

/*
 * ------------------------------------------------------------------ life
 */
static uint64_t world_now_ms(void *ctx) { return ((struct world *)ctx)->now_ms; }
static int64_t world_real_ns(void *ctx) { return ((struct world *)ctx)->disks.now_ns; }

static void flush_failed(void *ctx, enum disk store, bool lost)
{
	struct world *w = ctx;

	sim_note(w, "a flush of the %s failed%s", store_names[store], lost ? ", and took data with it" : "");
	if (store != ORIGIN)
		return;
	w->flush_failed_at = oracle_flush_begin(&w->oracle);	/* only for its time */
	if (lost)
		oracle_flush_lost(&w->oracle);
}

static enum cwt_mode choose_mode(struct world *w)
{
	static const enum cwt_mode modes[] = { CWT_WRITETHROUGH, CWT_WRITEAROUND, CWT_PASSTHROUGH };

	return config_has(&w->c, SIM_MODE) && one_in(&w->random, 3) ? modes[random_below(&w->random, 3)] : w->c.mode;
}

static int open_engine(struct world *w, bool reset, struct cwt_error *err)
{
	struct engine_options eo = { .mode = choose_mode(w), .policy = w->c.policy,
		.commit_interval_ms = w->c.commit_interval_ms, .read_only = w->read_only, .reset = reset,
		.warm_after_power = w->c.warm_after_power,
		.env = { .now_ms = world_now_ms, .real_ns = world_real_ns, .ctx = w, .boot_id = { w->boot, 1 }, .pid = 1, .stepped = true,
			 .seed = w->c.seed } };

	disks_handles(&w->disks, w->read_only, &w->handles);
	return engine_open(&w->handles, &eo, &w->e, err);
}

static bool may_die(const struct world *w)
{
	return config_has(&w->c, SIM_RECOVERY) && (config_has(&w->c, SIM_KILL) || config_has(&w->c, SIM_POWER));
}

static void arm_start(struct world *w)
{
	disks_arm(&w->disks, random_from(&w->random, 1, 24));
	w->power_last = !config_has(&w->c, SIM_KILL) || (config_has(&w->c, SIM_POWER) && one_in(&w->random, 2));
}

/* It died during the start, perhaps just when it had succeeded. */
static void died_at_start(struct world *w, int error)
{
	sim_note(w, "%s during the start", w->power_last ? "POWER CUT" : "KILL");
	coverage.recoveries_cut++;
	if (error)
		disks_die(&w->disks);
	else
		abandon(w);
	after_death(w, w->power_last);
}

static void start_loops(struct world *w)
{
	for (unsigned i = 0; i < w->c.nr_loops; i++)
		if (cwt_loop_open(w->e, &w->loop[i]))
			sim_fail(w, "a loop cannot be opened");
}

void world_start(struct world *w, bool reset)
{
	struct cwt_error err = { "" };
	int ret;

	w->read_only = config_has(&w->c, SIM_READ_ONLY) && one_in(&w->random, 3);
	for (unsigned n = 0; ; n++) {
		uint64_t faults = disks_nr_faults(&w->disks, ORIGIN) + disks_nr_faults(&w->disks, CACHE) +
				  disks_nr_faults(&w->disks, METADATA);

		if (n < STARTS_MAX && may_die(w) && one_in(&w->random, 3))
			arm_start(w);
		ret = open_engine(w, reset, &err);
		if (w->disks.dead) {
			died_at_start(w, ret);
			continue;
		}
		disks_disarm(&w->disks);
		if (!ret)
			break;
		w->e = NULL;
		if (faults == disks_nr_faults(&w->disks, ORIGIN) + disks_nr_faults(&w->disks, CACHE) +
			      disks_nr_faults(&w->disks, METADATA))
			sim_fail(w, "a start failed without a reason: %s", err.text);
		sim_note(w, "start failed: %s", err.text);
		disks_clear_faults(&w->disks);
	}
	sim_note(w, "start%s: %s, %u mappings%s", reset ? " with --reset" : "", cwt_start_reason(w->e), w->e->map.nr_mapped,
		 w->read_only ? ", read-only" : "");
	w->flush_failed_at = 0;		/* the start has judged those of before, and its own */
	coverage.lives++;
	coverage.warm_starts += w->e->map.nr_mapped > 0;
	for (int i = 0; i < NR_STORES; i++)
		w->faults_at_start[i] = disks_nr_faults(&w->disks, (enum disk)i);
	start_loops(w);
	world_look(w);
}

static bool step_everything(struct world *w)
{
	bool did = false;
	unsigned nr;

	for (unsigned i = 0; i < w->c.nr_loops && !w->disks.dead; i++)
		did |= cwt_loop_turn(w->loop[i]) > 0;
	while (!w->disks.dead && (nr = disks_nr_pending(&w->disks))) {
		disks_step(&w->disks, (unsigned)random_below(&w->random, nr));
		did = true;
	}
	return did || (!w->disks.dead && engine_step_job(w->e));
}

bool world_rest(struct world *w)
{
	unsigned steps = 0;

	while (step_everything(w) && !w->disks.dead)
		if (++steps == REST_STEPS_MAX)
			sim_fail(w, "never comes to rest");
	if (world_bury(w))
		return false;
	coverage.rests++;
	check_at_rest(w);
	return true;
}

/*
 * ------------------------------------------------------------------ orderly stops
 */

/* The origin is written by somebody else while we are away. */
static void change_behind(struct world *w)
{
	uint32_t offset, len, write;
	uint8_t *bytes;
	int ret;

	workload_range(w, &offset, &len);
	if (offset >= w->c.origin_size || !len)
		return;
	len = MIN(len, w->c.origin_size - offset);
	w->disks.now_ns++;	/* later than our last write: within one tick of the clock nobody could tell */
	bytes = malloc(len);
	write = oracle_write_begin(&w->oracle, offset, offset + len, false);
	sim_note(w, "somebody writes the origin at [%u, +%u), write %u", offset, len, write);
	oracle_fill(&w->oracle, write, offset, bytes, len);
	ret = device_write(w->disks.faulty[ORIGIN], offset, bytes, len);
	cwt_assert(!ret);
	oracle_write_end(&w->oracle, write, offset, offset + len);
	free(bytes);
}

/* Returns how many mappings the next start must find; -1: nobody knows. */
static int64_t stop(struct world *w)
{
	int64_t nr_mapped = w->e->map.nr_mapped;
	uint32_t since = oracle_flush_begin(&w->oracle);
	uint64_t faults = disks_nr_faults(&w->disks, ORIGIN) + disks_nr_faults(&w->disks, CACHE) +
			  disks_nr_faults(&w->disks, METADATA);
	uint64_t faults_at_start = w->faults_at_start[ORIGIN] + w->faults_at_start[CACHE] + w->faults_at_start[METADATA];
	int ret;

	for (unsigned i = 0; i < w->c.nr_loops; i++)
		cwt_loop_close(w->loop[i]);
	memset(w->loop, 0, sizeof(w->loop));
	count_life(w->e);
	ret = cwt_close(w->e);
	w->e = NULL;
	sim_note(w, "orderly stop: %d, %lld mappings", ret, (long long)nr_mapped);
	if (w->disks.dead) {
		disks_die(&w->disks);
		coverage.last_operations++;
		after_death(w, w->power_last);
		return -1;
	}
	if (ret && faults == faults_at_start && faults == disks_nr_faults(&w->disks, ORIGIN) +
	    disks_nr_faults(&w->disks, CACHE) + disks_nr_faults(&w->disks, METADATA))
		sim_fail(w, "an orderly stop failed without a reason: %s", strerror(-ret));
	if (ret)
		return -1;
	coverage.clean_stops++;
	if (!w->read_only)
		oracle_flush_end(&w->oracle, since);
	return nr_mapped;
}

void world_restart(struct world *w)
{
	bool reset = config_has(&w->c, SIM_RESET) && one_in(&w->random, 4), faults = !one_in(&w->random, 2);
	uint64_t cut = coverage.recoveries_cut;
	int64_t nr_mapped;

	if (!world_rest(w))
		return;
	if (!faults)
		disks_clear_faults(&w->disks);
	nr_mapped = stop(w);
	if (config_has(&w->c, SIM_POWER) && one_in(&w->random, 2)) {
		sim_note(w, "POWER CUT while stopped");
		disks_die(&w->disks);
		after_death(w, true);
	}
	if (nr_mapped >= 0)
		disks_clear_faults(&w->disks);
	if (nr_mapped >= 0 && config_has(&w->c, SIM_BEHIND) && one_in(&w->random, 3)) {
		change_behind(w);
		nr_mapped = -1;
	}
	world_start(w, reset);
	if (nr_mapped >= 0 && !reset && cut == coverage.recoveries_cut && (int64_t)w->e->map.nr_mapped != nr_mapped)
		sim_fail(w, "a clean stop left %lld mappings, the start found %u: %s", (long long)nr_mapped, w->e->map.nr_mapped,
			 cwt_start_reason(w->e));
}

/*
 * ------------------------------------------------------------------ begin, end
 */
static void format(struct world *w)
{
	struct store_geometry geo = { .block_size_bytes = w->c.block_size, .nr_cblocks = w->c.nr_cblocks,
		.origin_size_bytes = w->c.origin_size };

	sim_format(w->disks.memory[METADATA], disks_bytes(&w->disks, METADATA), &geo,
		   log2_of(w->c.block_size * w->c.region_blocks));
}

void world_init(struct world *w, uint64_t seed, uint32_t without)
{
	uint64_t size[NR_STORES];
	uint32_t align[NR_STORES];

	memset(w, 0, sizeof(*w));
	list_init(&w->requests);
	list_init(&w->released);
	config_choose(&w->c, seed, without);
	w->random = config_random(&w->c, UINT64_MAX - 1);
	w->now_ms = 1000;
	w->disks.now_ns = SIM_EPOCH_NS;
	w->boot = 1;
	size[ORIGIN] = w->c.origin_size;
	size[CACHE] = (w->c.nr_cblocks + 1ull) * w->c.block_size;
	size[METADATA] = store_metadata_size(w->c.nr_cblocks, w->c.origin_size, w->c.block_size);
	align[ORIGIN] = w->c.origin_align;
	align[CACHE] = w->c.cache_align;
	align[METADATA] = 1;
	disks_open(&w->disks, size, align, seed);
	w->disks.faulty[CACHE]->info.buffered = w->c.cache_buffered;
	w->disks.flush_failed = flush_failed;
	w->disks.ctx = w;
	oracle_init(&w->oracle, w->c.origin_size, seed);
	oracle_fill(&w->oracle, 0, 0, disks_bytes(&w->disks, ORIGIN), w->c.origin_size);
	format(w);
	world_start(w, false);
}

void world_end(struct world *w)
{
	disks_clear_faults(&w->disks);
	disks_disarm(&w->disks);
	while (!world_rest(w))
		;
	stop(w);
}

void world_free(struct world *w)
{
	disks_close(&w->disks);
	oracle_free(&w->oracle);
}
