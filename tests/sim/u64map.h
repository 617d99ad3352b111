/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hash table from 64-bit hashes to small numbers.  Grows; nothing is ever taken out. */
#ifndef SIM_U64MAP_H
#define SIM_U64MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"

struct u64map { struct { uint64_t key, value; } *slots; uint64_t room, nr; };

/* 0 is an empty slot. */
static inline uint64_t u64map_slot(const struct u64map *map, uint64_t key)
{
	uint64_t i = key & (map->room - 1);

	while (map->slots[i].key && map->slots[i].key != key)
		i = (i + 1) & (map->room - 1);
	return i;
}

static inline bool u64map_get(const struct u64map *map, uint64_t key, uint64_t *value)
{
	uint64_t i;

	key += !key;
	if (!map->room)
		return false;
	i = u64map_slot(map, key);
	*value = map->slots[i].value;
	return map->slots[i].key == key;
}

static inline void u64map_put(struct u64map *map, uint64_t key, uint64_t value)
{
	uint64_t i;

	key += !key;
	if (2 * map->nr >= map->room) {
		struct u64map old = *map;

		map->room = old.room ? 2 * old.room : 1024;
		map->slots = calloc(map->room, sizeof(*map->slots));
		cwt_assert(map->slots);
		for (uint64_t k = 0; k < old.room; k++)
			if (old.slots[k].key)
				map->slots[u64map_slot(map, old.slots[k].key)] = old.slots[k];
		free(old.slots);
	}
	i = u64map_slot(map, key);
	map->nr += !map->slots[i].key;
	map->slots[i].key = key;
	map->slots[i].value = value;
}

static inline void u64map_free(struct u64map *map) { free(map->slots); }

#endif
