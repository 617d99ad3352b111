/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "states_internal.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bits.h"

/* Regions lie 64 KiB apart, and ours are small: only the beginning of each is looked at.  op_place() asserts it. */
#define CHUNK REGION_ALIGN_BYTES
#define CHUNK_USED (3u * PAGE_BYTES)

static uint64_t chunk_used(const struct states *s, uint64_t at)
{
	return MIN(CHUNK_USED, s->m->size[METADATA] - at);
}

void meta_copy(const struct states *s, struct meta *to, const struct meta *from)
{
	uint64_t label = s->m->size[METADATA];

	for (uint64_t at = 0; at < s->m->size[METADATA]; at += CHUNK)
		memcpy(to->bytes + at, from->bytes + at, chunk_used(s, at));
	memcpy(to->bytes + label, from->bytes + label, STATES_BLOCK);
	memcpy(to->tag, from->tag, sizeof(to->tag));
}

uint64_t meta_hash(const struct states *s, const struct meta *m, uint64_t boot, uint64_t mtime)
{
	uint64_t h[4] = { XXH3_64bits(m->bytes + s->m->size[METADATA], STATES_BLOCK), boot, mtime,
			  XXH3_64bits(m->tag, sizeof(m->tag)) };
	uint64_t hash = XXH3_64bits(h, sizeof(h));

	for (uint64_t at = 0; at < s->m->size[METADATA]; at += CHUNK)
		hash = XXH3_64bits_withSeed(m->bytes + at, chunk_used(s, at), hash);
	return hash;
}

bool op_is_meta(const struct record_op *op)
{
	return op->store == METADATA || (op->store == CACHE && op->offset_bytes < STATES_BLOCK);
}

uint8_t *op_place(const struct states *s, const struct record_op *op, struct meta *meta, uint8_t *data)
{
	if (op->store == METADATA) {
		cwt_assert(op->offset_bytes % CHUNK + op->len_bytes <= CHUNK_USED);
		return meta->bytes + op->offset_bytes;
	}
	if (op_is_meta(op))
		return meta->bytes + s->m->size[METADATA] + op->offset_bytes;
	return data + (op->store == CACHE ? s->m->size[ORIGIN] : 0) + op->offset_bytes;
}

static bool covers(const struct record_op *op, enum disk store, uint64_t at)
{
	return op->store == store && op->offset_bytes <= at && at < op->offset_bytes + op->len_bytes;
}

/* Does it matter whether this sector of op arrives?  Not if it is the same in every version that there may be. */
static bool sector_matters(const struct states *s, const struct record_op *op, uint32_t at, struct meta *meta,
			   uint8_t *data)
{
	const uint8_t *base = op_place(s, op, meta, data) + at;

	for (unsigned i = 0; i < s->nr_loose; i++) {
		const struct record_op *other = s->loose[i].op;
		uint64_t where = op->offset_bytes + at;

		if (covers(other, op->store, where) && memcmp(base, other->bytes + (where - other->offset_bytes), SECTOR))
			return true;
	}
	return false;
}

void fates_begin(struct states *s, struct meta *meta, uint8_t *data)
{
	for (unsigned i = 0; i < s->nr_loose; i++) {
		struct loose *l = &s->loose[i];

		l->nr_ends = 0;
		l->fate = 0;
		cwt_assert(l->op->len_bytes <= STATES_BLOCK || op_is_meta(l->op));
		for (uint32_t at = 0; at < l->op->len_bytes; at += SECTOR)
			if (sector_matters(s, l->op, at, meta, data)) {
				cwt_assert(l->nr_ends < ARRAY_SIZE(l->end));
				l->end[l->nr_ends++] = at;	/* torn before this sector */
			}
		cwt_assert(l->nr_ends < ARRAY_SIZE(l->end));
		l->end[l->nr_ends++] = l->op->len_bytes;
	}
}

bool fates_next(struct states *s, bool meta)
{
	for (unsigned i = 0; i < s->nr_loose; i++) {
		struct loose *l = &s->loose[i];

		if (op_is_meta(l->op) != meta)
			continue;
		if (++l->fate < l->nr_ends)
			return true;
		l->fate = 0;
	}
	return false;
}

void fates_apply(const struct states *s, bool meta, struct meta *to, uint8_t *data)
{
	for (unsigned i = 0; i < s->nr_loose; i++) {
		const struct loose *l = &s->loose[i];

		if (op_is_meta(l->op) == meta)
			memcpy(op_place(s, l->op, to, data), l->op->bytes, l->end[l->fate]);
	}
}
