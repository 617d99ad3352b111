/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bits.h"
#include "base/random.h"
#include "metadata/format.h"
#include "u64map.h"

#define SECTOR 512u
#define SECTORS (STATES_BLOCK / SECTOR)
#define VERSIONS_MAX 16u
#define MAPSETS_MAX 64u
#define RESULT_MAX 16u
#define FSYNCS_MAX 64u

/* What recovery looks at. */
struct meta {
	uint8_t *bytes;			/* the metadata, and after it the label's block */
	uint8_t tag[DEVICE_TAG_BYTES];
};

/* The mappings that one recovery leaves. */
struct mapset { uint32_t oblock[STATES_CBLOCKS]; };

/* All that can come of one metadata, crashes during recovery included: indices of mapsets. */
struct result { unsigned nr; uint8_t mapset[RESULT_MAX]; };

/* A write that may not survive. */
struct loose {
	const struct record_op *op;
	unsigned number;		/* in the record */
	bool completed;
	unsigned nr_ends;		/* as torn as it can be: how many bytes arrive; the last is all of them */
	uint32_t end[1 + 4 * STATES_BLOCK / SECTOR];
	unsigned fate;			/* index into end */
};

/* The versions of one sector of the origin, in order. */
struct sector {
	uint8_t value[VERSIONS_MAX];
	uint8_t nr, answered, floor, at_fsync[FSYNCS_MAX];
};

struct states {
	const char *name;
	const struct machine *m;
	const struct record *r;
	struct states_counts *counts;
	uint64_t busy_offset;
	struct meta durable, visible, scratch, second;
	uint8_t *data[3];		/* durable, visible, scratch: the origin, then the cache */
	struct loose *loose;
	unsigned nr_loose;
	struct sector sectors[STATES_OBLOCKS * SECTORS];
	unsigned nr_fsyncs;
	struct mapset mapsets[MAPSETS_MAX];
	unsigned nr_mapsets;
	struct result *results;
	unsigned nr_results, room_results;
	struct u64map result_of, mapset_of, seen;	/* by hash: of a metadata; of a metadata; of whole states */
	unsigned moment;
	bool wrong;
};

enum { DURABLE, VISIBLE, SCRATCH };

static uint64_t meta_bytes(const struct states *s) { return s->m->size[METADATA] + STATES_BLOCK; }
static uint64_t data_bytes(const struct states *s) { return s->m->size[ORIGIN] + s->m->size[CACHE]; }

/* Regions lie 64 KiB apart, and ours are small: only the beginning of each is looked at.  place() asserts it. */
#define CHUNK REGION_ALIGN_BYTES
#define CHUNK_USED (3u * PAGE_BYTES)

static uint64_t chunk_used(const struct states *s, uint64_t at)
{
	return MIN(CHUNK_USED, s->m->size[METADATA] - at);
}

static void meta_copy(const struct states *s, struct meta *to, const struct meta *from)
{
	uint64_t label = s->m->size[METADATA];

	for (uint64_t at = 0; at < s->m->size[METADATA]; at += CHUNK)
		memcpy(to->bytes + at, from->bytes + at, chunk_used(s, at));
	memcpy(to->bytes + label, from->bytes + label, STATES_BLOCK);
	memcpy(to->tag, from->tag, sizeof(to->tag));
}

static uint64_t meta_hash(const struct states *s, const struct meta *m, uint64_t boot, uint64_t mtime)
{
	uint64_t h[4] = { XXH3_64bits(m->bytes + s->m->size[METADATA], STATES_BLOCK), boot, mtime,
			  XXH3_64bits(m->tag, sizeof(m->tag)) };
	uint64_t hash = XXH3_64bits(h, sizeof(h));

	for (uint64_t at = 0; at < s->m->size[METADATA]; at += CHUNK)
		hash = XXH3_64bits_withSeed(m->bytes + at, chunk_used(s, at), hash);
	return hash;
}

static void wrong(struct states *s, const char *what)
{
	printf("WRONG: %s, after operation %u of the record: %s\n", s->name, s->moment, what);
	for (unsigned i = 0; i < s->nr_loose; i++) {
		const struct loose *l = &s->loose[i];

		printf("  operation %u, write of [%llu, +%u) of the %s, %s: %u bytes arrive\n", l->number,
		       (unsigned long long)l->op->offset_bytes, l->op->len_bytes, store_names[l->op->store],
		       l->completed ? "completed" : "in flight", l->end[l->fate]);
	}
	s->wrong = true;
}

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
		.boot_id = { boot, 1 }, .pid = 1 };
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
		wrong(s, err.text);
	} else {
		if (store_load(store, load_one, &set))
			wrong(s, "the mappings cannot be loaded");
		store_close(store);
	}
	if (dev[ORIGIN].read_there || dev[CACHE].read_there)
		wrong(s, "recovery has read data, which this test takes for impossible");
	return mapset_number(s, &set);
}

/*
 * ------------------------------------------------------------------ fates
 */
static bool is_meta(const struct record_op *op)
{
	return op->store == METADATA || (op->store == CACHE && op->offset_bytes < STATES_BLOCK);
}

/* Where op's bytes belong. */
static uint8_t *place(const struct states *s, const struct record_op *op, struct meta *meta, uint8_t *data)
{
	if (op->store == METADATA) {
		cwt_assert(op->offset_bytes % CHUNK + op->len_bytes <= CHUNK_USED);
		return meta->bytes + op->offset_bytes;
	}
	if (is_meta(op))
		return meta->bytes + s->m->size[METADATA] + op->offset_bytes;
	return data + (op->store == CACHE ? s->m->size[ORIGIN] : 0) + op->offset_bytes;
}

static bool covers(const struct record_op *op, enum disk store, uint64_t at)
{
	return op->store == store && op->offset_bytes <= at && at < op->offset_bytes + op->len_bytes;
}

/* Does it matter whether this sector of op arrives?  Not if it is the same in every version that there may be. */
static bool sector_matters(const struct states *s, const struct record_op *op, uint32_t at, struct meta *meta, uint8_t *data)
{
	const uint8_t *base = place(s, op, meta, data) + at;

	for (unsigned i = 0; i < s->nr_loose; i++) {
		const struct record_op *other = s->loose[i].op;
		uint64_t where = op->offset_bytes + at;

		if (covers(other, op->store, where) && memcmp(base, other->bytes + (where - other->offset_bytes), SECTOR))
			return true;
	}
	return false;
}

static void find_ends(struct states *s, struct meta *meta, uint8_t *data)
{
	for (unsigned i = 0; i < s->nr_loose; i++) {
		struct loose *l = &s->loose[i];

		l->nr_ends = 0;
		l->fate = 0;
		cwt_assert(l->op->len_bytes <= STATES_BLOCK || is_meta(l->op));
		for (uint32_t at = 0; at < l->op->len_bytes; at += SECTOR)
			if (sector_matters(s, l->op, at, meta, data)) {
				cwt_assert(l->nr_ends < ARRAY_SIZE(l->end));
				l->end[l->nr_ends++] = at;	/* torn before this sector */
			}
		cwt_assert(l->nr_ends < ARRAY_SIZE(l->end));
		l->end[l->nr_ends++] = l->op->len_bytes;
	}
}

/* The next combination of the writes that are, or are not, metadata; false: all have been. */
static bool next_fates(struct states *s, bool meta)
{
	for (unsigned i = 0; i < s->nr_loose; i++) {
		struct loose *l = &s->loose[i];

		if (is_meta(l->op) != meta)
			continue;
		if (++l->fate < l->nr_ends)
			return true;
		l->fate = 0;
	}
	return false;
}

static void apply(const struct states *s, bool meta, struct meta *to, uint8_t *data)
{
	for (unsigned i = 0; i < s->nr_loose; i++) {
		const struct loose *l = &s->loose[i];

		if (is_meta(l->op) == meta)
			memcpy(place(s, l->op, to, data), l->op->bytes, l->end[l->fate]);
	}
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
 * Every state that a crash during the recovery can leave, from the state in s->scratch: its unflushed writes in every combination (a
 * cut), or only the last one in every way (a kill).
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
					memcpy(place(s, inner[k].op, &durable, NULL), inner[k].op->bytes, inner[k].op->len_bytes);
				else
					inner[n++] = inner[k];
			s->nr_loose = n;
		}
		find_ends(s, &durable, NULL);
		do {
			meta_copy(s, &s->second, &durable);
			apply(s, true, &s->second, NULL);
			second_crash(s, result, boot, mtime);
		} while (next_fates(s, true) && !s->wrong);
	}
	free(durable.bytes);
	s->loose = outer;
	s->nr_loose = nr_outer;
}

/* What can come of s->scratch. */
static const struct result *recover_all(struct states *s, bool power, uint64_t mtime)
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

/*
 * ------------------------------------------------------------------ data
 */
static void check_mapsets(struct states *s, const bool *reachable)
{
	const uint8_t *origin = s->data[SCRATCH], *cache = origin + s->m->size[ORIGIN];
	char line[160];

	for (unsigned n = 0; n < s->nr_mapsets; n++)
		for (unsigned c = 0; reachable[n] && c < STATES_CBLOCKS; c++) {
			uint32_t o = s->mapsets[n].oblock[c];

			if (o == BLOCK_NONE || !memcmp(origin + (uint64_t)o * STATES_BLOCK,
						       cache + store_cache_offset(CBLOCK(c), STATES_BLOCK), STATES_BLOCK))
				continue;
			snprintf(line, sizeof(line), "block %u is stale in cblock %u", o, c);
			wrong(s, line);
			return;
		}
}

static void check_origin(struct states *s, bool power)
{
	char line[160];

	for (uint32_t i = 0; i < ARRAY_SIZE(s->sectors); i++) {
		const struct sector *sector = &s->sectors[i];
		uint8_t found = s->data[SCRATCH][i * SECTOR];
		unsigned k = power ? sector->floor : sector->answered;

		while (k < sector->nr && sector->value[k] != found)
			k++;
		if (k < sector->nr)
			continue;
		snprintf(line, sizeof(line), "sector %u holds %02x, which was overwritten for good", i, found);
		wrong(s, line);
		return;
	}
}

/*
 * ------------------------------------------------------------------ one moment
 */
/* Busy marks after a cut: as written, none, all, random. */
static void arbitrary_busy(struct states *s, unsigned how)
{
	uint8_t *busy = s->scratch.bytes + s->busy_offset;
	struct random r = { s->moment };

	if (how == 1)
		memset(busy, 0, PAGE_BYTES);
	else if (how == 2)
		memset(busy, 0xff, PAGE_BYTES);
	else if (how == 3)
		busy[0] = (uint8_t)random_next(&r);
	else
		memcpy(busy, s->visible.bytes + s->busy_offset, PAGE_BYTES);
}

static void add_hash(uint64_t **hashes, uint64_t *nr, uint64_t *room, uint64_t hash)
{
	if (*nr == *room) {
		*room = *room ? 2 * *room : 256;
		*hashes = realloc(*hashes, *room * sizeof(**hashes));
		cwt_assert(*hashes);
	}
	(*hashes)[(*nr)++] = hash;
}

struct metas { uint64_t *hashes, nr, room; bool warm, reachable[MAPSETS_MAX]; };

/* Every metadata of this moment, recovered. */
static void all_metas(struct states *s, bool power, uint64_t mtime, struct metas *metas)
{
	struct meta *base = power ? &s->durable : &s->visible;

	do {
		for (unsigned how = 0; how < (power ? 4 : 1) && !s->wrong; how++) {
			const struct result *result;

			meta_copy(s, &s->scratch, base);
			apply(s, true, &s->scratch, NULL);
			if (power)
				arbitrary_busy(s, how);
			add_hash(&metas->hashes, &metas->nr, &metas->room, meta_hash(s, &s->scratch, power, mtime));
			result = recover_all(s, power, mtime);
			for (unsigned i = 0; i < result->nr; i++)
				metas->reachable[result->mapset[i]] = true;
		}
	} while (next_fates(s, true) && !s->wrong);
}

static bool is_warm(const struct states *s, const bool *reachable)
{
	for (unsigned n = 0; n < s->nr_mapsets; n++)
		for (unsigned c = 0; reachable[n] && c < STATES_CBLOCKS; c++)
			if (s->mapsets[n].oblock[c] != BLOCK_NONE)
				return true;
	return false;
}

static void look(struct states *s, bool power, uint64_t mtime)
{
	struct metas metas = { 0 };
	uint8_t *base = s->data[power ? DURABLE : VISIBLE];

	find_ends(s, power ? &s->durable : &s->visible, base);
	all_metas(s, power, mtime, &metas);
	metas.warm = is_warm(s, metas.reachable);
	do {
		uint64_t h[3] = { 0, power, s->nr_fsyncs };

		if (s->wrong)
			break;
		memcpy(s->data[SCRATCH], base, data_bytes(s));
		apply(s, false, NULL, s->data[SCRATCH]);
		check_mapsets(s, metas.reachable);
		check_origin(s, power);
		h[0] = XXH3_64bits(s->data[SCRATCH], data_bytes(s));
		for (uint64_t i = 0; i < metas.nr; i++) {
			uint64_t state = XXH3_64bits(h, sizeof(h)) * 31 + metas.hashes[i], there;

			if (u64map_get(&s->seen, state, &there))
				continue;
			u64map_put(&s->seen, state, 1);
			*(power ? &s->counts->states : &s->counts->kills) += 1;
			s->counts->warm += metas.warm;
		}
	} while (next_fates(s, false));
	free(metas.hashes);
}

/* A kill: only what is in flight is loose. */
static void look_at_kill(struct states *s, uint64_t mtime)
{
	struct loose in_flight[STATES_UNFLUSHED_MAX + 1], *all = s->loose;
	unsigned nr_all = s->nr_loose;

	s->loose = in_flight;
	s->nr_loose = 0;
	for (unsigned i = 0; i < nr_all; i++)
		if (!all[i].completed)
			in_flight[s->nr_loose++] = all[i];
	look(s, false, mtime);
	s->loose = all;
	s->nr_loose = nr_all;
}

/*
 * ------------------------------------------------------------------ the record, from moment to moment
 */
static bool is_busy_page(const struct states *s, const struct record_op *op)
{
	return op->store == METADATA && op->offset_bytes == s->busy_offset && op->len_bytes == PAGE_BYTES;
}

static void take_out(struct states *s, unsigned i)
{
	memmove(&s->loose[i], &s->loose[i + 1], (s->nr_loose - i - 1) * sizeof(*s->loose));
	s->nr_loose--;
}

static void settle(struct states *s, const struct record_op *op, int where)
{
	memcpy(place(s, op, where == DURABLE ? &s->durable : &s->visible, s->data[where]), op->bytes, op->len_bytes);
}

static void take_note(struct states *s, const struct record_op *op)
{
	if (op->note == NOTE_FSYNC)
		cwt_assert((unsigned)op->value < FSYNCS_MAX);
	if (op->note == NOTE_FSYNCED)
		s->nr_fsyncs++;
	for (uint32_t i = 0; i < ARRAY_SIZE(s->sectors); i++) {
		struct sector *sector = &s->sectors[i];

		if (op->note == NOTE_FSYNC) {
			sector->at_fsync[op->value] = sector->answered;
		} else if (op->note == NOTE_FSYNCED) {
			sector->floor = MAX(sector->floor, sector->at_fsync[op->value]);
		} else if (i >= op->from && i < op->to && op->note == NOTE_WRITE) {
			cwt_assert(sector->nr < VERSIONS_MAX);
			sector->value[sector->nr++] = (uint8_t)op->value;
		} else if (i >= op->from && i < op->to && op->note == NOTE_ANSWERED) {
			for (unsigned k = 0; k < sector->nr; k++)
				if (sector->value[k] == (uint8_t)op->value)
					sector->answered = MAX(sector->answered, k);
		}
	}
}

static void happen(struct states *s, unsigned number)
{
	const struct record_op *op = &s->r->ops[number];

	switch (op->kind) {
	case RECORD_WRITE:
		s->loose[s->nr_loose++] = (struct loose){ .op = op, .number = number };
		break;
	case RECORD_DONE:
		settle(s, &s->r->ops[op->write], VISIBLE);
		for (unsigned i = 0; i < s->nr_loose; i++)
			if (s->loose[i].number == op->write)
				s->loose[i].completed = true;
		break;
	case RECORD_DROPPED:
		for (unsigned i = 0; i < s->nr_loose; i++)
			if (s->loose[i].number == op->write)
				take_out(s, i--);
		break;
	case RECORD_FLUSH:
		for (unsigned i = 0; i < s->nr_loose; i++)
			if (s->loose[i].completed && s->loose[i].op->store == op->store) {
				settle(s, s->loose[i].op, DURABLE);
				take_out(s, i--);
			}
		break;
	case RECORD_TAG:
		memcpy(s->durable.tag, op->bytes, DEVICE_TAG_BYTES);
		memcpy(s->visible.tag, op->bytes, DEVICE_TAG_BYTES);
		break;
	case RECORD_NOTE:
		take_note(s, op);
		break;
	}
}

/* Busy marks are arbitrary after a cut anyway. */
static void forget_busy(struct states *s)
{
	for (unsigned i = 0; i < s->nr_loose; i++)
		if (s->loose[i].completed && is_busy_page(s, s->loose[i].op))
			take_out(s, i--);
}

static void states_init(struct states *s)
{
	struct superblock sb;
	enum page_verdict verdict = superblock_decode(s->m->bytes[METADATA], 0, &sb);
	struct meta *const metas[] = { &s->durable, &s->visible, &s->scratch, &s->second };

	cwt_assert(verdict == PAGE_OK);
	s->busy_offset = superblock_region(&sb, REGION_BUSY_MARKS)->offset_bytes;
	for (unsigned i = 0; i < ARRAY_SIZE(metas); i++) {
		metas[i]->bytes = malloc(meta_bytes(s));
		cwt_assert(metas[i]->bytes);
		memcpy(metas[i]->bytes, s->m->bytes[METADATA], s->m->size[METADATA]);
		memcpy(metas[i]->bytes + s->m->size[METADATA], s->m->bytes[CACHE], STATES_BLOCK);
		memcpy(metas[i]->tag, s->m->tag, DEVICE_TAG_BYTES);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(s->data); i++) {
		s->data[i] = malloc(data_bytes(s));
		cwt_assert(s->data[i]);
		memcpy(s->data[i], s->m->bytes[ORIGIN], s->m->size[ORIGIN]);
		memcpy(s->data[i] + s->m->size[ORIGIN], s->m->bytes[CACHE], s->m->size[CACHE]);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(s->sectors); i++) {
		s->sectors[i].value[0] = s->m->bytes[ORIGIN][i * SECTOR];
		s->sectors[i].nr = 1;
	}
	s->loose = calloc(s->r->nr + 1, sizeof(*s->loose));
	cwt_assert(s->loose);
}

static void states_free(struct states *s)
{
	struct meta *const metas[] = { &s->durable, &s->visible, &s->scratch, &s->second };

	for (unsigned i = 0; i < ARRAY_SIZE(metas); i++)
		free(metas[i]->bytes);
	for (unsigned i = 0; i < ARRAY_SIZE(s->data); i++)
		free(s->data[i]);
	free(s->loose);
	free(s->results);
	u64map_free(&s->result_of);
	u64map_free(&s->mapset_of);
	u64map_free(&s->seen);
}

bool states_check(const char *name, const struct machine *m, const struct record *r, struct states_counts *counts)
{
	struct states s = { .name = name, .m = m, .r = r, .counts = counts };
	uint64_t mtime = m->origin_mtime;

	states_init(&s);
	for (unsigned i = 0; i < r->nr && !s.wrong; i++) {
		s.moment = i;
		happen(&s, i);
		forget_busy(&s);
		if (r->ops[i].kind == RECORD_WRITE && r->ops[i].store == ORIGIN)
			mtime++;
		if (s.nr_loose > STATES_UNFLUSHED_MAX) {
			counts->skipped++;
			continue;
		}
		look(&s, true, mtime);
		if (!s.wrong)
			look_at_kill(&s, mtime);
	}
	states_free(&s);
	return !s.wrong;
}
