/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests and block requests.
 *
 * A request (the caller's struct cwt_request, with struct request in its private part) is cut at block borders into
 * block requests.  Each goes its own way; the request is answered when the last has ended, with the length of the
 * prefix that succeeded, or with an errno if that prefix is empty (I14).
 *
 * With released() set, a write is answered earlier: when each of its block requests has its bytes on the origin, or has
 * ended.  Nothing else is earlier: the cells are left, the marks go, and the buffer is given back when the last leg has
 * ended.  So the answer changes no order that a read, a migration, a commit or a crash could meet (W1, B1, C1); and a
 * block request that fails has ended, its mapping gone, before it counts for the answer (W4).
 *
 * A synchronous one (cwt_request.sync) whose answer is known, and good for at least a byte, waits for a flush before that
 * answer (flush.h).  It has left its cells by then, or has only cache legs under way: for all others it is an answered
 * write followed by an fsync.
 *
 * A block request is in one state and on at most one list (I13):
 *
 *	state        where it is                                    next
 *	FREE         loop->free_breqs                               enter -> PARKED or DECIDE
 *	PARKED       its hold waits in the cell                     granted -> DECIDE
 *	DECIDE       loop->ready, or being decided                  by op and map
 *	CACHE_READ   read hit at the cache                          ENDED; failed -> RETRY
 *	FILL_WAIT    on fill->readers                               ENDED; fill failed -> RETRY
 *	FILL_COPY    copies from a fill's buffer                    ENDED
 *	RETRY        loop->retry: the cache failed a read           ORIGIN_READ
 *	ORIGIN_READ  read miss at the origin                        ENDED
 *	MARK_WAIT    decided; waits for its region mark               ORIGIN_LEG (or ZERO)
 *	ORIGIN_LEG   write at the origin                            miss, error: ENDED; hit: DEFERRED
 *	DEFERRED     loop->deferred_writethrough, between the legs  CACHE_LEG
 *	CACHE_LEG    write at the cache                             ENDED
 *	ZERO         with its zero chunk                            ENDED
 *	ENDED        loop->ended: will leave the cell               FREE; a hit whose mapping was dropped: ORIGIN_READ
 */
#ifndef CWT_ENGINE_REQUEST_H
#define CWT_ENGINE_REQUEST_H

#include "cachewt.h"
#include "device/device.h"
#include "engine/cells.h"

enum breq_state {
	BREQ_FREE, BREQ_PARKED, BREQ_DECIDE, BREQ_CACHE_READ, BREQ_FILL_WAIT, BREQ_FILL_COPY, BREQ_RETRY, BREQ_ORIGIN_READ,
	BREQ_MARK_WAIT, BREQ_ORIGIN_LEG, BREQ_DEFERRED, BREQ_CACHE_LEG, BREQ_ZERO, BREQ_ENDED,
};

struct cwt_loop;
struct fill;
struct zero_chunk;

struct block_request {
	struct list node;
	enum breq_state state;
	struct cwt_request *request;
	struct cwt_loop *loop;
	oblock_t oblock;
	cblock_t cblock;		/* what it decided on; BLOCK_NONE: a miss */
	uint32_t lo, hi;		/* its bytes within the block */
	uint8_t *buf;
	int error;			/* for the user */
	int cache_error;		/* for the books: the mapping has to go */
	bool drop_mapping;		/* after its last leg: writearound, zeros, or a failed leg */
	bool on_origin;			/* counted for the early answer; the cache leg is under way */
	struct hold hold;
	struct fill *fill;
	struct zero_chunk *zero;
	struct device_io io;
};

/* The private part of struct cwt_request.  The loop's thread. */
struct request {
	struct list node;		/* loop->incoming, a door's waiting, loop->syncs, loop->answers, flush lists */
	struct cwt_loop *loop;
	uint64_t next, end;		/* bytes of the image: what is not cut yet */
	uint64_t fail_offset;		/* of the first block that failed; UINT64_MAX */
	uint32_t nr_pending;		/* block requests in their cells */
	uint32_t nr_unanswered;		/* those of them that the answer waits for */
	int error;
	bool answered;			/* done() was called */
	uint8_t door;			/* enum door_kind: whose slots its block requests take */
};
_Static_assert(sizeof(struct request) <= sizeof(((struct cwt_request *)0)->priv), "private part of a request");

static inline struct request *request_priv(struct cwt_request *r) { return (struct request *)&r->priv; }

static inline struct cwt_request *request_of_node(struct list *n)
{
	return (struct cwt_request *)((char *)list_entry(n, struct request, node) - offsetof(struct cwt_request, priv));
}

struct cwt;

/* cwt_submit(): check and cut at the end of the image, queue.  Wrong requests go to the answers at once. */
void request_begin(struct cwt_loop *loop, struct cwt_request *r);
/* From loop->answers: done(), and released() if nothing of it is under way any more.  The caller's code runs. */
void request_finish(struct cwt_loop *loop, struct cwt_request *r);
/*
 * Cut as many block requests off r as its door has slots, let each enter its cell, and decide those that are granted.
 * True when r is cut up completely.  Expects cwt.lock.
 */
bool request_split_locked(struct cwt_loop *loop, struct cwt_request *r);
/*
 * Its two halves, also for zero.c: cut the next block request off r (its door must have a slot); enter its cell, or be
 * parked in it.
 */
struct block_request *breq_cut_locked(struct cwt_loop *loop, struct cwt_request *r);
bool breq_enter_or_park_locked(struct block_request *b);
/* A granted block request: hit or miss, and where to.  Once per request and block (I2).  Expects cwt.lock. */
void breq_decide_locked(struct block_request *b);
/* The origin has it, its cache leg follows: the answer need not wait for it any more.  Device context. */
void breq_on_origin(struct block_request *b);
/* The last leg has ended: account for it, leave the cell, hand on those who waited.  Expects cwt.lock. */
void breq_leave_locked(struct block_request *b);

/* Any point of its way, its loop's thread: go to loop->ended. */
void breq_end(struct block_request *b, int error);
/* Set all of io anew for one leg: a finished transfer's fields are garbage.  Queued for loop's next submit. */
void breq_io(struct block_request *b, struct device *dev, enum device_op op, uint64_t offset_bytes,
	     void (*done)(struct device_io *io));
static inline struct block_request *breq_of_io(struct device_io *io)
{
	return (struct block_request *)((char *)io - offsetof(struct block_request, io));
}

/* Note a user or writer of c, or its end.  Expect cwt.lock. */
void cblock_get_locked(struct cwt *e, cblock_t c, bool writer);
void cblock_put_locked(struct cwt *e, cblock_t c, bool writer);

#endif
