/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The map: which oblock is in which cblock, and the life of every cblock.
 *
 *	state      mapped   on disk (last commit)   leaves it when
 *	FREE       no       not mapped              map_take_free(): a fill begins            -> FILLING
 *	FILLING    no       not mapped              map_publish(): the whole block is there   -> MAPPED
 *	                                            map_unfill(): failed or voided            -> FREE
 *	MAPPED     yes      perhaps                 map_remove(): demoted or invalidated      -> REMOVED
 *	REMOVED    no       perhaps                 a commit takes its snapshot               -> COMMITTING
 *	COMMITTING no       perhaps                 the commit has ended well                 -> LIMBO or FREE
 *	                                            the commit was aborted                    -> REMOVED
 *	LIMBO      no       not mapped              the last request that decided on it left  -> FREE
 *
 * So a cblock is reused only when the removal of its mapping is committed and no request that decided on it is in
 * flight (I7, F3).  dm-cache says why: block x is demoted, its cblock is given to y and written, the machine dies, and
 * the old metadata still maps x to it.
 *
 * users counts the requests in flight that decided on the cblock; writers those of them that write.  busy(c), as B1 has
 * it, is: writers > 0, or REMOVED, or COMMITTING, or LIMBO; engine/marks.h keeps it in step.
 *
 * Locking: every function expects the engine's lock.  Memory: 16 bytes per cblock and 4 to 8 of hash heads.
 */
#ifndef CWT_ENGINE_MAP_H
#define CWT_ENGINE_MAP_H

#include "base/types.h"

enum cblock_state { CB_FREE, CB_FILLING, CB_MAPPED, CB_REMOVED, CB_COMMITTING, CB_LIMBO };

struct cblock_info {
	uint32_t oblock;	/* MAPPED: what it holds */
	uint32_t next;		/* MAPPED: hash chain; FREE, REMOVED, COMMITTING: their lists */
	uint16_t users, writers;
	uint8_t state;
};
_Static_assert(sizeof(struct cblock_info) == 16, "memory per cblock");

/* A list of cblocks through their next fields. */
struct cblock_list { uint32_t first, last, nr; };

struct map {
	struct cblock_info *cb;
	uint32_t *heads;
	uint32_t nr_cblocks, nr_mapped;
	unsigned hash_shift;
	struct cblock_list free, removed, committing;
};

int map_init(struct map *map, uint32_t nr_cblocks);	/* all FREE, lowest first; -ENOMEM */
void map_free(struct map *map);
size_t map_bytes(const struct map *map);

/* The cblock that holds o, or CBLOCK(BLOCK_NONE). */
cblock_t map_lookup(const struct map *map, oblock_t o);
static inline bool cblock_is_none(cblock_t c) { return c.v == BLOCK_NONE; }
static inline struct cblock_info *map_cb(struct map *map, cblock_t c) { return &map->cb[c.v]; }

/* At start, before anything was taken: c holds o, which no other does.  -EEXIST when c is mapped already. */
int map_load(struct map *map, cblock_t c, oblock_t o);
/* After the last map_load(), and only then look-ups: build hash and free list. */
void map_loaded(struct map *map);

cblock_t map_take_free(struct map *map);		/* F2.  BLOCK_NONE: there is none */
void map_unfill(struct map *map, cblock_t c);
void map_publish(struct map *map, cblock_t c, oblock_t o);
void map_remove(struct map *map, cblock_t c);

void map_commit_begin(struct map *map);			/* all REMOVED become COMMITTING */
void map_commit_abort(struct map *map);			/* and back */
/* Take one COMMITTING cblock after a commit that ended well: it is in LIMBO now.  BLOCK_NONE: none is left. */
cblock_t map_commit_next(struct map *map);
/* LIMBO and without users: becomes FREE.  The caller has cleared its mark first (F3). */
void map_free_limbo(struct map *map, cblock_t c);

#endif
