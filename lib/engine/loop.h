/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A loop: one thread's part of the engine.  Everything here belongs to that thread, but for the inbox.
 *
 * One turn: reap what the devices finished; take what other threads posted; the worker stage, under the engine's lock
 * taken once: leave cells, decide those granted, cut new requests; make urgent marks visible; submit everything with
 * one kick; answer.  The order matters: marks before the kick (B2), and the deferred writethrough between the legs
 * (I3).  Answers that are known before the worker stage, early ones above all, are given before it.
 */
#ifndef CWT_ENGINE_LOOP_H
#define CWT_ENGINE_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/door.h"
#include "engine/migration.h"
#include "engine/request.h"

#define FILL_BYTES_PER_LOOP (8u << 20)
#define FILLS_PER_LOOP_MAX 64u
#define FILLS_PER_LOOP_MIN 2u
#define HOLDS_PER_LOOP_MAX (BREQS_PER_LOOP + FILLS_PER_LOOP_MAX)
#define LOOP_ROUNDS_MAX 8u		/* of one turn: enough for what completes at once */

struct cwt_loop {
	struct cwt *engine;
	struct device_queue *queue;
	bool writes_origin;		/* among what is to be submitted */
	bool may_have_waited;		/* the last turn did nothing: the wake-up has to be taken back */
	bool edge_triggered;		/* ... but not for this caller */

	struct list incoming;		/* requests that have come since the last turn */
	struct door doors[NR_DOORS];	/* requests that wait for slots */
	struct list ready;		/* block requests granted, to be decided */
	struct list deferred_writethrough;	/* between the legs */
	struct list retry;		/* reads that the cache failed */
	struct list copies;		/* reads served from a fill's buffer */
	struct list ended;		/* to leave their cells */
	struct list fills_ended;	/* fills whose transfer has ended */
	struct list outbox;		/* block requests of other loops, to be posted without the lock */
	struct list zero_ready;		/* zero chunks that hold all their blocks */
	struct list to_submit;		/* struct device_io by node, for this round's kick */
	struct list syncs;		/* requests whose answer waits for a flush that is not asked for yet */
	struct list answers;		/* requests to answer, or to release */

	struct list free_breqs, free_fills, free_zeros;
	struct block_request *breqs;
	struct fill *fills;
	struct zero_chunk *zeros;
	uint8_t *fill_memory;
	size_t fill_memory_bytes;
	unsigned nr_fills;
	atomic_uint nr_fills_busy;	/* read by this thread, changed under cwt.lock */
	uint64_t nr_requests;		/* submitted and not the caller's again */

	pthread_mutex_t inbox_lock;
	struct list inbox_breqs, inbox_zeros, inbox_answers;
	atomic_bool inbox_full;
};

/* Post to another loop, and wake it: one of its inboxes, and what goes in.  Any thread, without cwt.lock. */
void loop_post(struct cwt_loop *loop, struct list *inbox, struct list *node);
/*
 * A block request that was granted, or served, by somebody else's doing: to its own loop, by its state.  Expects
 * cwt.lock.
 */
void loop_hand_over_locked(struct cwt_loop *from, struct block_request *b);
/* Those granted by a cell_leave(). */
void loop_granted_locked(struct cwt_loop *from, struct granted *granted);

#endif
