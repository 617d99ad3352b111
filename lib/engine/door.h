/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The front door of a loop: where requests wait for the block requests that they will be cut into.
 *
 * A block request is a slot, and one slow request can use up any number of them: a punch of a disk, or writes of 1 MiB to
 * an origin that takes its time.  What comes after it, a cached read of 4 KiB, must not wait for that.  So there is a door
 * for each kind of request, each with slots of its own that no other kind can take (I13), and requests pass each other at
 * the door:
 *
 *	NARROW   reads and writes of up to NARROW_BLOCKS blocks      what most clients wait for
 *	READS    larger reads
 *	WRITES   larger writes
 *	ZEROS    punch hole, zero range                              in chunks (zero.h)
 *
 * Order.  Requests are cut up in the order in which they came, and those of one kind in no other.  One that has to wait
 * for slots is passed by other kinds.  No order was promised there: two requests that are both not answered may take
 * effect in either order, and a request is answered only when all of it has entered its cells.  From then on the cells
 * keep the order (I4).
 *
 * Why nobody waits for ever.  (1) Whoever has entered a cell has all the slots that it needs to leave it again: a block
 * request needs one, a chunk of zeros takes those of all its blocks before it enters the first cell, and fills have
 * buffers of their own.  (2) Whoever waits in a cell waits for some who have entered, never for one at a door; cells are
 * first come, first served.  So every slot that was taken comes back, whatever waits at the doors.  (3) It comes back to
 * its own door, and the first in line there gets it: a request that others have passed goes on with each slot that its
 * own kind gives back.  A door has at least the slots of one unit (a block, a chunk), so the first in line always gets on.
 *
 * Locking: the loop's thread.
 */
#ifndef CWT_ENGINE_DOOR_H
#define CWT_ENGINE_DOOR_H

#include "cachewt.h"
#include "engine/zero.h"

enum door_kind { DOOR_NARROW, DOOR_READS, DOOR_WRITES, DOOR_ZEROS, NR_DOORS };

#define NARROW_BLOCKS 2u		/* a small request that lies across a border has two */
#define DOOR_NARROW_SLOTS 512u
#define DOOR_READS_SLOTS 384u
#define DOOR_WRITES_SLOTS 384u
#define DOOR_ZEROS_SLOTS (ZEROS_PER_LOOP * ZERO_CHUNK_BLOCKS)
#define DEVICE_SLOTS_PER_LOOP (DOOR_NARROW_SLOTS + DOOR_READS_SLOTS + DOOR_WRITES_SLOTS)	/* zeros are jobs */
#define BREQS_PER_LOOP (DEVICE_SLOTS_PER_LOOP + DOOR_ZEROS_SLOTS)

struct door {
	struct list waiting;		/* requests not cut up whole, oldest first */
	unsigned nr_free;		/* slots */
};

struct cwt_loop;

void doors_init(struct cwt_loop *loop);
/* A request whose end within the image is known: it is seen by the next doors_pass_locked(). */
void door_join(struct cwt_loop *loop, struct cwt_request *r);
/* Is there a request that may get on now? */
bool doors_passable(const struct cwt_loop *loop);
/* Let in who may: those who wait, then those who have come.  How many requests got on.  Expects cwt.lock. */
int doors_pass_locked(struct cwt_loop *loop);
/* All slots are back. */
bool doors_idle(const struct cwt_loop *loop);

/* r's door; its slots are counted by request.c, which takes and gives them. */
struct door *door_of(struct cwt_loop *loop, const struct cwt_request *r);

#endif
