/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "states_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bits.h"
#include "base/random.h"

static uint64_t data_bytes(const struct states *s) { return s->m->size[ORIGIN] + s->m->size[CACHE]; }

void states_wrong(struct states *s, const char *what)
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
			states_wrong(s, line);
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
		states_wrong(s, line);
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
	uint64_t bits = random_next(&r);

	if (how == 1 || how == 3)
		busy_clear(busy, s->busy_key, 0, BUSY_UNITS_PER_PAGE);
	else if (how == 2)
		memset(busy, 0xff, PAGE_BYTES);		/* no seal is right: all marked, too */
	else
		memcpy(busy, s->visible.bytes + s->busy_offset, PAGE_BYTES);
	for (uint32_t c = 0; how == 3 && c < 8; c++)
		if (bits >> c & 1)
			busy_flip(busy, s->busy_key, c);
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
			fates_apply(s, true, &s->scratch, NULL);
			if (power)
				arbitrary_busy(s, how);
			add_hash(&metas->hashes, &metas->nr, &metas->room, meta_hash(s, &s->scratch, power, mtime));
			result = recover_all(s, power, mtime);
			for (unsigned i = 0; i < result->nr; i++)
				metas->reachable[result->mapset[i]] = true;
		}
	} while (fates_next(s, true) && !s->wrong);
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

	fates_begin(s, power ? &s->durable : &s->visible, base);
	all_metas(s, power, mtime, &metas);
	metas.warm = is_warm(s, metas.reachable);
	do {
		uint64_t h[3] = { 0, power, s->nr_fsyncs };

		if (s->wrong)
			break;
		memcpy(s->data[SCRATCH], base, data_bytes(s));
		fates_apply(s, false, NULL, s->data[SCRATCH]);
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
	} while (fates_next(s, false));
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
	memcpy(op_place(s, op, where == DURABLE ? &s->durable : &s->visible, s->data[where]), op->bytes, op->len_bytes);
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
	s->busy_key = busy_key(sb.uuid);
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
			mtime = r->ops[i].mtime;
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
