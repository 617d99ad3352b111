/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/door.h"

#include "engine/engine.h"
#include "engine/loop.h"

static const unsigned door_slots[NR_DOORS] = {
	[DOOR_NARROW] = DOOR_NARROW_SLOTS,
	[DOOR_READS] = DOOR_READS_SLOTS,
	[DOOR_WRITES] = DOOR_WRITES_SLOTS,
	[DOOR_ZEROS] = DOOR_ZEROS_SLOTS,
};

void doors_init(struct cwt_loop *loop)
{
	for (unsigned i = 0; i < NR_DOORS; i++) {
		list_init(&loop->doors[i].waiting);
		loop->doors[i].nr_free = door_slots[i];
	}
}

static enum door_kind door_kind_of(const struct cwt *e, const struct cwt_request *r)
{
	uint64_t end = request_priv((struct cwt_request *)r)->end;

	if (r->op == CWT_PUNCH || r->op == CWT_ZERO)
		return DOOR_ZEROS;
	if (((end - 1) >> e->block_shift) - (r->offset_bytes >> e->block_shift) < NARROW_BLOCKS)
		return DOOR_NARROW;
	return r->op == CWT_READ ? DOOR_READS : DOOR_WRITES;
}

struct door *door_of(struct cwt_loop *loop, const struct cwt_request *r)
{
	return &loop->doors[request_priv((struct cwt_request *)r)->door];
}

void door_join(struct cwt_loop *loop, struct cwt_request *r)
{
	struct request *p = request_priv(r);

	p->door = (uint8_t)door_kind_of(loop->engine, r);
	list_add_tail(&loop->incoming, &p->node);
}

bool doors_passable(const struct cwt_loop *loop)
{
	bool passable = !list_empty(&loop->incoming);

	for (unsigned i = 0; i < NR_DOORS && !passable; i++)
		passable = loop->doors[i].nr_free && !list_empty(&loop->doors[i].waiting) &&
			   (i != DOOR_ZEROS || !list_empty(&loop->free_zeros));
	return passable;
}

/* The first in line, as far as there are slots.  True: all of it, and it has left the line. */
static bool door_pass_one_locked(struct cwt_loop *loop, struct door *door, int *nr)
{
	struct cwt_request *r = request_of_node(door->waiting.next);
	uint64_t before = request_priv(r)->next;
	bool whole = request_split_locked(loop, r);

	*nr += request_priv(r)->next != before;
	if (whole)
		list_del(&request_priv(r)->node);
	return whole;
}

int doors_pass_locked(struct cwt_loop *loop)
{
	struct list *n;
	int nr = 0;

	for (unsigned i = 0; i < NR_DOORS; i++)
		while (!list_empty(&loop->doors[i].waiting) && door_pass_one_locked(loop, &loop->doors[i], &nr))
			;
	while ((n = list_pop(&loop->incoming))) {
		struct door *door = door_of(loop, request_of_node(n));
		bool first = list_empty(&door->waiting);

		list_add_tail(&door->waiting, n);
		if (first)
			(void)door_pass_one_locked(loop, door, &nr);
	}
	return nr;
}

bool doors_idle(const struct cwt_loop *loop)
{
	for (unsigned i = 0; i < NR_DOORS; i++)
		if (loop->doors[i].nr_free != door_slots[i])
			return false;
	return true;
}
