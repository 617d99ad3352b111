/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Intrusive doubly linked lists.
 *
 * A node that is on no list points to itself, so that list_node_linked() can assert "on exactly one list".  The owner
 * of the list protects it; there is no locking here.
 */
#ifndef CWT_BASE_LIST_H
#define CWT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct list { struct list *next, *prev; };

#define LIST_INIT(l) { &(l), &(l) }
#define list_entry(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline bool list_node_linked(const struct list *n) { return n->next != n; }

static inline void list_insert_between(struct list *n, struct list *prev, struct list *next)
{
	cwt_assert(!list_node_linked(n));
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}

static inline void list_add_tail(struct list *l, struct list *n) { list_insert_between(n, l->prev, l); }
static inline void list_add_head(struct list *l, struct list *n) { list_insert_between(n, l, l->next); }

static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

static inline struct list *list_pop(struct list *l)
{
	struct list *n = l->next;

	if (n == l)
		return NULL;
	list_del(n);
	return n;
}

/* Move all of from to the tail of to; from is empty afterwards. */
static inline void list_splice_tail(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_for_each(pos, l) for (struct list *pos = (l)->next; pos != (l); pos = pos->next)
#define list_for_each_safe(pos, l) \
	for (struct list *pos = (l)->next, *pos##_next = pos->next; pos != (l); pos = pos##_next, pos##_next = pos->next)

#endif
