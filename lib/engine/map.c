/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/map.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mutant.h"

#define LOAD_AHEAD 32u		/* cblocks */

static void cblock_list_init(struct cblock_list *l)
{
	*l = (struct cblock_list){ BLOCK_NONE, BLOCK_NONE, 0 };
}

static void cblock_list_add(struct map *map, struct cblock_list *l, cblock_t c)
{
	map->cb[c.v].next = BLOCK_NONE;
	if (l->nr++)
		map->cb[l->last].next = c.v;
	else
		l->first = c.v;
	l->last = c.v;
}

static cblock_t cblock_list_pop(struct map *map, struct cblock_list *l)
{
	cblock_t c = CBLOCK(l->first);

	if (!l->nr)
		return CBLOCK(BLOCK_NONE);
	l->first = map->cb[c.v].next;
	if (!--l->nr)
		cblock_list_init(l);
	return c;
}

int map_init(struct map *map, uint32_t nr_cblocks)
{
	unsigned bits = 4;

	while (bits < 32 && (UINT64_C(1) << bits) < nr_cblocks)
		bits++;
	map->nr_cblocks = nr_cblocks;
	map->nr_mapped = 0;
	map->hash_shift = 32 - bits;
	map->cb = calloc(nr_cblocks, sizeof(*map->cb));
	map->heads = malloc(sizeof(*map->heads) << bits);
	cblock_list_init(&map->free);
	cblock_list_init(&map->removed);
	cblock_list_init(&map->committing);
	if (!map->cb || !map->heads) {
		map_free(map);
		return -ENOMEM;
	}
	for (size_t i = 0; i < (size_t)1 << bits; i++)
		map->heads[i] = BLOCK_NONE;
	return 0;
}

void map_free(struct map *map)
{
	free(map->cb);
	free(map->heads);
	map->cb = NULL;
	map->heads = NULL;
}

size_t map_bytes(const struct map *map)
{
	return map->nr_cblocks * sizeof(*map->cb) + (sizeof(*map->heads) << (32 - map->hash_shift));
}

static uint32_t *map_head(const struct map *map, oblock_t o)
{
	return &map->heads[(o.v * 2654435769u) >> map->hash_shift];
}

cblock_t map_lookup(const struct map *map, oblock_t o)
{
	uint32_t c = *map_head(map, o);

	while (c != BLOCK_NONE && map->cb[c].oblock != o.v)
		c = map->cb[c].next;
	return CBLOCK(c);
}

static void map_set(struct map *map, cblock_t c, oblock_t o)
{
	map_cb(map, c)->state = CB_MAPPED;
	map_cb(map, c)->oblock = o.v;
	map->nr_mapped++;
}

static void map_link(struct map *map, cblock_t c)
{
	struct cblock_info *cb = map_cb(map, c);
	uint32_t *head = map_head(map, OBLOCK(cb->oblock));

	cb->next = *head;
	*head = c.v;
}

int map_load(struct map *map, cblock_t c, oblock_t o)
{
	if (c.v >= map->nr_cblocks || map_cb(map, c)->state != CB_FREE)
		return -EEXIST;
	map_set(map, c, o);
	return 0;
}

/* The heads lie anywhere in memory: asking for them a little ahead makes a start of millions of mappings 3 times as fast. */
void map_loaded(struct map *map)
{
	for (uint32_t i = 0; i < map->nr_cblocks; i++) {
		if (map->nr_cblocks - i > LOAD_AHEAD)
			__builtin_prefetch(map_head(map, OBLOCK(map->cb[i + LOAD_AHEAD].oblock)), 1);
		if (map->cb[i].state == CB_FREE)
			cblock_list_add(map, &map->free, CBLOCK(i));
		else
			map_link(map, CBLOCK(i));
	}
}

cblock_t map_take_free(struct map *map)
{
	cblock_t c = cblock_list_pop(map, &map->free);

	if (!cblock_is_none(c)) {
		cwt_assert(map_cb(map, c)->state == CB_FREE);
		cwt_assert(!map_cb(map, c)->users);
		map_cb(map, c)->state = CB_FILLING;
	}
	return c;
}

void map_unfill(struct map *map, cblock_t c)
{
	cwt_assert(map_cb(map, c)->state == CB_FILLING);
	map_cb(map, c)->state = CB_FREE;
	cblock_list_add(map, &map->free, c);
}

void map_publish(struct map *map, cblock_t c, oblock_t o)
{
	cwt_assert(map_cb(map, c)->state == CB_FILLING);
	cwt_assert(cblock_is_none(map_lookup(map, o)));
	map_set(map, c, o);
	map_link(map, c);
}

void map_remove(struct map *map, cblock_t c)
{
	struct cblock_info *cb = map_cb(map, c);
	uint32_t *at;

	cwt_assert(cb->state == CB_MAPPED);
	for (at = map_head(map, OBLOCK(cb->oblock)); *at != c.v; at = &map->cb[*at].next)
		cwt_assert(*at != BLOCK_NONE);
	*at = cb->next;
	map->nr_mapped--;
	cb->state = mutant_is(MUTANT_REUSE_BEFORE_COMMIT) ? CB_FREE : CB_REMOVED;
	cblock_list_add(map, cb->state == CB_FREE ? &map->free : &map->removed, c);
}

void map_commit_begin(struct map *map)
{
	cblock_t c;

	cwt_assert(!map->committing.nr);
	while (c = cblock_list_pop(map, &map->removed), !cblock_is_none(c)) {
		map_cb(map, c)->state = CB_COMMITTING;
		cblock_list_add(map, &map->committing, c);
	}
}

void map_commit_abort(struct map *map)
{
	cblock_t c;

	while (c = cblock_list_pop(map, &map->committing), !cblock_is_none(c)) {
		map_cb(map, c)->state = CB_REMOVED;
		cblock_list_add(map, &map->removed, c);
	}
}

cblock_t map_commit_next(struct map *map)
{
	cblock_t c = cblock_list_pop(map, &map->committing);

	if (!cblock_is_none(c)) {
		cwt_assert(map_cb(map, c)->state == CB_COMMITTING);
		map_cb(map, c)->state = CB_LIMBO;
	}
	return c;
}

void map_free_limbo(struct map *map, cblock_t c)
{
	cwt_assert(map_cb(map, c)->state == CB_LIMBO);
	cwt_assert(!map_cb(map, c)->users);
	map_cb(map, c)->state = CB_FREE;
	cblock_list_add(map, &map->free, c);
}
