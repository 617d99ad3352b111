/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/cells.h"

#include "base/assert.h"
#include "base/mutant.h"

void cells_init(struct cells *cells)
{
	for (unsigned i = 0; i < CELL_BUCKETS; i++)
		cells->buckets[i] = NULL;
	cells->pool = NULL;
	cells->nr_parked = 0;
}

void cells_add(struct cells *cells, struct cell *slab, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		slab[i].next = cells->pool;
		cells->pool = &slab[i];
	}
}

static struct cell **cell_bucket(struct cells *cells, oblock_t o)
{
	/* Fibonacci hashing: neighbours spread over the buckets. */
	return &cells->buckets[(o.v * 2654435769u) >> 20];
}
_Static_assert(CELL_BUCKETS == 1u << 12, "the shift in cell_bucket()");

struct cell *cell_find(const struct cells *cells, oblock_t o)
{
	struct cell *cell = *cell_bucket((struct cells *)cells, o);

	while (cell && cell->oblock.v != o.v)
		cell = cell->next;
	return cell;
}

static struct cell *cell_get(struct cells *cells, oblock_t o)
{
	struct cell **bucket = cell_bucket(cells, o);
	struct cell *cell = cell_find(cells, o);

	if (cell)
		return cell;
	cell = cells->pool;
	cwt_assert(cell);	/* as many cells as holds: cells_add() */
	cells->pool = cell->next;
	cell->oblock = o;
	cell->fill = NULL;
	list_init(&cell->holders);
	list_init(&cell->waiters);
	cell->next = *bucket;
	*bucket = cell;
	return cell;
}

static void cell_put_if_quiet(struct cells *cells, struct cell *cell)
{
	struct cell **at;

	if (!list_empty(&cell->holders) || !list_empty(&cell->waiters))
		return;
	cwt_assert(!cell->fill);
	for (at = cell_bucket(cells, cell->oblock); *at != cell; at = &(*at)->next)
		cwt_assert(*at);
	*at = cell->next;
	cell->next = cells->pool;
	cells->pool = cell;
}

static bool hold_conflicts(const struct hold *a, const struct hold *b)
{
	if (mutant_is(MUTANT_OVERLAPS_NOT_ORDERED) && a->mode == b->mode)
		return false;
	return (a->mode == HOLD_WRITE || b->mode == HOLD_WRITE) && a->lo < b->hi && b->lo < a->hi;
}

/* Does h conflict with any hold on the list before stop? */
static bool hold_conflicts_any(const struct hold *h, const struct list *l, const struct list *stop)
{
	for (const struct list *n = l->next; n != l && n != stop; n = n->next)
		if (hold_conflicts(h, list_entry(n, struct hold, node)))
			return true;
	return false;
}

static bool hold_must_wait(const struct hold *h, const struct cell *cell)
{
	return hold_conflicts_any(h, &cell->holders, NULL) || hold_conflicts_any(h, &cell->waiters, &h->node);
}

static void hold_set(struct hold *h, struct cell *cell, enum hold_mode mode, uint32_t lo, uint32_t hi)
{
	cwt_assert(h->state == HOLD_NONE);
	cwt_assert(lo < hi);
	h->cell = cell;
	h->mode = mode;
	h->lo = lo;
	h->hi = hi;
	list_init(&h->node);
}

bool cell_enter(struct cells *cells, oblock_t o, struct hold *h, enum hold_mode mode, uint32_t lo, uint32_t hi)
{
	struct cell *cell = cell_get(cells, o);

	hold_set(h, cell, mode, lo, hi);
	if (hold_must_wait(h, cell)) {
		h->state = HOLD_PARKED;
		list_add_tail(&cell->waiters, &h->node);
		cells->nr_parked++;
		return false;
	}
	h->state = HOLD_GRANTED;
	list_add_tail(&cell->holders, &h->node);
	return true;
}

bool cell_try_enter(struct cells *cells, oblock_t o, struct hold *h, enum hold_mode mode, uint32_t lo, uint32_t hi)
{
	struct cell *cell = cell_get(cells, o);

	hold_set(h, cell, mode, lo, hi);
	if (hold_must_wait(h, cell)) {
		h->cell = NULL;
		cell_put_if_quiet(cells, cell);
		return false;
	}
	h->state = HOLD_GRANTED;
	list_add_tail(&cell->holders, &h->node);
	return true;
}

static void granted_append(struct granted *granted, struct hold *h)
{
	h->next_granted = NULL;
	if (granted->last)
		granted->last->next_granted = h;
	else
		granted->first = h;
	granted->last = h;
}

/*
 * A waiter is granted when it conflicts with no holder and with no earlier waiter that still waits.  Those granted here
 * are holders for the ones behind them at once.
 */
void cell_leave(struct cells *cells, struct hold *h, struct granted *granted)
{
	struct cell *cell = h->cell;

	cwt_assert(h->state == HOLD_GRANTED);
	list_del(&h->node);
	h->state = HOLD_NONE;
	h->cell = NULL;
	list_for_each_safe(n, &cell->waiters) {
		struct hold *w = list_entry(n, struct hold, node);

		if (hold_must_wait(w, cell))
			continue;
		list_del(&w->node);
		w->state = HOLD_GRANTED;
		cells->nr_parked--;
		list_add_tail(&cell->holders, &w->node);
		granted_append(granted, w);
	}
	cell_put_if_quiet(cells, cell);
}
