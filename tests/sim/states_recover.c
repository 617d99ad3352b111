/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "states_internal.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bits.h"

/*
 * ------------------------------------------------------------------ one recovery
 */
static int load_one(void *ctx, cblock_t c, struct store_entry e)
{
	((struct mapset *)ctx)->oblock[c.v] = e.oblock.v;
	return 0;
}

static unsigned mapset_number(struct states *s, const struct mapset *set)
{
	unsigned i = 0;

	while (i < s->nr_mapsets && memcmp(&s->mapsets[i], set, sizeof(*set)))
		i++;
	cwt_assert(i < MAPSETS_MAX);
	if (i == s->nr_mapsets)
		s->mapsets[s->nr_mapsets++] = *set;
	return i;
}

/* Of s->second, which it changes; what it did goes to record.  Returns the mapset's number. */
static unsigned recover(struct states *s, uint64_t boot, uint64_t mtime, struct record *record)
{
	static uint8_t origin[STATES_OBLOCKS * STATES_BLOCK], cache[(STATES_CBLOCKS + 1) * STATES_BLOCK];
	struct store_options options = { .warm_after_power = s->m->warm_after_power, .commit_interval_ms = 1000,
		.boot_id = { boot, 1 }, .real_ns = record_epoch_ns, .clock_ns = record_epoch_ns(NULL) - 1000000000, .pid = 1 };
	struct recorder dev[NR_STORES];
	struct store_devices devices = { &dev[ORIGIN].dev, &dev[CACHE].dev, &dev[METADATA].dev };
	struct mapset set;
	struct cwt_error err;
	enum store_start start;
	struct store *store;
	int ret;

	recorder_init(&dev[ORIGIN], ORIGIN, origin, s->m->size[ORIGIN], record);
	recorder_init(&dev[CACHE], CACHE, cache, s->m->size[CACHE], record);
	recorder_init(&dev[METADATA], METADATA, s->second.bytes, s->m->size[METADATA], record);
	dev[ORIGIN].nr_bytes_read_from = 0;
	dev[CACHE].nr_bytes_read_from = STATES_BLOCK;
	memcpy(cache, s->second.bytes + s->m->size[METADATA], STATES_BLOCK);
	dev[ORIGIN].mtime = mtime;
	dev[ORIGIN].tag = s->second.tag;
	memset(&set, 0xff, sizeof(set));
	states_seed_randomness(boot);
	ret = store_open(&devices, &options, &store, &start, &err);
	if (ret) {
		states_wrong(s, err.text);
	} else {
		if (store_load(store, load_one, &set))
			states_wrong(s, "the mappings cannot be loaded");
		store_close(store);
	}
	if (dev[ORIGIN].read_there || dev[CACHE].read_there)
		states_wrong(s, "recovery has read data, which this test takes for impossible");
	return mapset_number(s, &set);
}

/*
 * ------------------------------------------------------------------ a metadata, recovered in every way
 */
static void result_add(struct result *r, unsigned mapset)
{
	for (unsigned i = 0; i < r->nr; i++)
		if (r->mapset[i] == mapset)
			return;
	cwt_assert(r->nr < RESULT_MAX);
	r->mapset[r->nr++] = (uint8_t)mapset;
}

/* A second crash: the mapset of what is in s->second, by the record of the first recovery. */
static void second_crash(struct states *s, struct result *result, uint64_t boot, uint64_t mtime)
{
	struct record none = { 0 };
	uint64_t hash = meta_hash(s, &s->second, boot, mtime), mapset;

	if (!u64map_get(&s->mapset_of, hash, &mapset)) {
		s->counts->second_crashes++;
		mapset = recover(s, boot, mtime, &none);
		u64map_put(&s->mapset_of, hash, mapset);
	}
	result_add(result, (unsigned)mapset);
}

/*
 * Every state that a crash during the recovery can leave, from the state in s->scratch: its unflushed writes in every
 * combination (a cut), or only the last one in every way (a kill).
 */
static void crash_again(struct states *s, const struct record *record, struct result *result, bool power, uint64_t boot,
			uint64_t mtime)
{
	struct loose *outer = s->loose;
	unsigned nr_outer = s->nr_loose;
	struct loose inner[STATES_UNFLUSHED_MAX + 1];
	struct meta durable = { malloc(meta_bytes(s)), { 0 } };

	cwt_assert(durable.bytes);
	meta_copy(s, &durable, &s->scratch);
	s->loose = inner;
	s->nr_loose = 0;
	for (unsigned i = 0; i < record->nr && !s->wrong; i++) {
		const struct record_op *op = &record->ops[i];

		if (op->kind == RECORD_TAG)
			memcpy(durable.tag, op->bytes, DEVICE_TAG_BYTES);
		if (op->kind == RECORD_WRITE) {
			if (s->nr_loose == STATES_UNFLUSHED_MAX) {
				s->counts->skipped++;
				break;
			}
			inner[s->nr_loose++] = (struct loose){ .op = op, .number = i };
		}
		if (op->kind == RECORD_FLUSH || (!power && op->kind == RECORD_DONE)) {
			unsigned n = 0;

			for (unsigned k = 0; k < s->nr_loose; k++)
				if (!power || inner[k].op->store == op->store)
					memcpy(op_place(s, inner[k].op, &durable, NULL), inner[k].op->bytes, inner[k].op->len_bytes);
				else
					inner[n++] = inner[k];
			s->nr_loose = n;
		}
		fates_begin(s, &durable, NULL);
		do {
			meta_copy(s, &s->second, &durable);
			fates_apply(s, true, &s->second, NULL);
			second_crash(s, result, boot, mtime);
		} while (fates_next(s, true) && !s->wrong);
	}
	free(durable.bytes);
	s->loose = outer;
	s->nr_loose = nr_outer;
}

const struct result *recover_all(struct states *s, bool power, uint64_t mtime)
{
	uint64_t boot = s->m->boot + power, hash = meta_hash(s, &s->scratch, boot, mtime), number;
	struct record record = { .on = true };
	struct result *result;

	if (u64map_get(&s->result_of, hash, &number))
		return &s->results[number];
	if (s->nr_results == s->room_results) {
		s->room_results = s->room_results ? 2 * s->room_results : 64;
		s->results = realloc(s->results, s->room_results * sizeof(*s->results));
		cwt_assert(s->results);
	}
	u64map_put(&s->result_of, hash, s->nr_results);
	result = &s->results[s->nr_results++];
	result->nr = 0;
	s->counts->recoveries++;
	meta_copy(s, &s->second, &s->scratch);
	result_add(result, recover(s, boot, mtime, &record));
	crash_again(s, &record, result, power, boot + power, mtime);
	record_free(&record);
	return result;
}
