/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cells: the lock of one block.  Requests and migrations of a block meet only here.
 *
 * A hold is a byte range of one block, for reading or for writing.  Two holds conflict when their ranges overlap and at
 * least one of them writes.  Whoever conflicts with a hold, or with somebody who already waits, is *parked*, in the
 * order of arrival, and is granted when what stood before it has left: so overlapping writes reach both stores in one
 * order (I4), and nobody starves.  Disjoint ranges run side by side.
 *
 *	a write          a write hold, widened to the larger alignment of the two stores
 *	a read           a read hold of its bytes
 *	a fill           a read hold of the whole block, from its origin read until its mapping is visible (I5)
 *	a demotion       needs a quiet block: cell_find() == NULL, that is, no hold and nobody waiting (L1)
 *
 * Locking: every function expects the engine's lock.  Cost: a hash look-up; the lists hold the block's own requests
 * only.
 * After: dm-cache's bio prison, which locks whole blocks; byte ranges inside the block are ours.
 */
#ifndef CWT_ENGINE_CELLS_H
#define CWT_ENGINE_CELLS_H

#include "base/list.h"
#include "base/types.h"

enum hold_mode { HOLD_READ, HOLD_WRITE };

/* HOLD_NONE -> cell_enter -> GRANTED or PARKED; PARKED -> granted by another's leave; GRANTED -> cell_leave -> NONE. */
enum hold_state { HOLD_NONE, HOLD_PARKED, HOLD_GRANTED };

struct fill;

struct cell {
	struct cell *next;		/* hash chain, or the pool's */
	oblock_t oblock;
	struct list holders, waiters;	/* of struct hold */
	struct fill *fill;		/* the promotion of this block that is under way */
};

struct hold {
	struct list node;		/* among the cell's holders or waiters */
	struct hold *next_granted;
	struct cell *cell;
	uint32_t lo, hi;		/* bytes within the block, lo < hi */
	enum hold_mode mode;
	enum hold_state state;
};

/* Holds that a leave has granted, in the order of arrival, for their owners to be told.  { NULL, NULL } is empty. */
struct granted { struct hold *first, *last; };

#define CELL_BUCKETS 4096u

struct cells {
	struct cell *buckets[CELL_BUCKETS];
	struct cell *pool;		/* unused cells */
	uint64_t nr_parked;		/* holds that wait now */
};

void cells_init(struct cells *cells);
/* Give nr more cells, owned by the caller and alive until the last hold has left.  As many as there can be holds. */
void cells_add(struct cells *cells, struct cell *slab, unsigned nr);

/* The cell of a block that anybody holds or waits for, else NULL. */
struct cell *cell_find(const struct cells *cells, oblock_t o);

/*
 * Enter the block's cell for [lo, hi): true when granted, false when parked.  h belongs to the caller, unused until
 * now.
 */
bool cell_enter(struct cells *cells, oblock_t o, struct hold *h, enum hold_mode mode, uint32_t lo, uint32_t hi);
/* As cell_enter, but never parks: false leaves h unused. */
bool cell_try_enter(struct cells *cells, oblock_t o, struct hold *h, enum hold_mode mode, uint32_t lo, uint32_t hi);
/* Leave.  Whoever is granted by this is among the holders from now on, and is appended to granted. */
void cell_leave(struct cells *cells, struct hold *h, struct granted *granted);

#endif
