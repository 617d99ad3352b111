/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Promotion, demotion, invalidation; bypass.
 *
 * Promotion is a fill: a read miss that the policy likes reads its whole block from the origin, is answered from that
 * buffer, and the buffer is written to a free cblock.  States of a fill, all on the loop that began it:
 *
 *	READING   origin read under way                readers wait on fill->readers
 *	WRITING   buffer valid, cache write under way  readers copy from the buffer
 *	ended     published, or given up               on loop->fills_ended
 *
 * From before its origin read until its mapping is visible a fill has a read hold of the whole block in the cell: reads
 * pass, a write that comes meanwhile waits and then finds the block mapped (I5, F1).  It is begun only when the hold is
 * granted at once, so no write is in flight, or about to be, that decided "miss" and would leave the copy stale: the
 * race of 2013.  It never waits for anything but the two devices, so those that wait for it always get on.
 *
 * A fill is *voided* (fill->void_it) when its content can no longer be trusted: failed flush, invalidation by message,
 * bypass after trouble.  It then ends without a mapping.
 *
 * Demotion happens in memory, in one instant, of a block whose cell is quiet (L1); its cblock comes back when the
 * removal is committed (map.h).  Invalidation may happen beside requests in flight: they keep their decision, and their
 * users count keeps the cblock from being reused.
 *
 * Locking: functions named _locked expect cwt.lock; the others their loop's thread.
 */
#ifndef CWT_ENGINE_MIGRATION_H
#define CWT_ENGINE_MIGRATION_H

#include "device/device.h"
#include "engine/cells.h"
#include "engine/request.h"

enum fill_state { FILL_FREE, FILL_READING, FILL_WRITING, FILL_ENDED };

struct fill {
	struct list node;		/* loop->free_fills, loop->fills_ended */
	struct list all_node;		/* cwt->fills; cwt.lock */
	enum fill_state state;		/* cwt.lock to change */
	struct cwt_loop *loop;
	oblock_t oblock;
	cblock_t cblock;
	uint32_t len;			/* bytes: the block's length */
	uint32_t nr_users;		/* readers that copy from buf, and the fill itself; cwt.lock */
	bool void_it;			/* cwt.lock */
	int error;			/* of the transfer that has just ended */
	uint8_t *buf;
	struct list readers;		/* block requests in FILL_WAIT, of any loop; cwt.lock */
	struct hold hold;
	struct device_io io;
};

/*
 * Begin a promotion of b's block, which b missed and for which it has a read hold.  False: not now; b reads for itself.
 */
bool fill_start_locked(struct block_request *b);
/* A read miss whose block is being filled joins the fill.  False: the fill is void. */
bool fill_join_locked(struct fill *f, struct block_request *b);
/* loop->fills_ended: a device has finished with f; go on to the next state. */
void fill_step_locked(struct fill *f);
/* loop->copies: copy, without the lock; then the block request has ended. */
void fill_copy(struct block_request *b);
/* A reader that copied has ended, or the fill itself. */
void fill_put_locked(struct fill *f);

/* Keep some cblocks ready: demote, and ask for a commit when it is needed to get at them. */
void migration_balance_locked(struct cwt *e);

/* Drop c's mapping, which is MAPPED. */
enum removal { REMOVAL_DEMOTION, REMOVAL_INVALIDATION };
void cblock_remove_locked(struct cwt *e, cblock_t c, enum removal why);
/* Everything: mappings removed, fills voided. */
void drop_all_locked(struct cwt *e);

/* A cache transfer went wrong, or well: after repeated errors the cache is bypassed. */
void cache_error_locked(struct cwt *e);
void cache_success_locked(struct cwt *e);

/*
 * All I/O goes to the origin from now on.  Everything cached is dropped, but by CWT_BYPASS_MESSAGE, which finds nothing
 * wrong with it: there a write drops the block it hits, as with writearound, and the rest is as good when it ends.  A reason that ends by itself does not replace
 * one that does not.  The reason is logged by bypass_log(), which expects no lock.
 */
void bypass_start_locked(struct cwt *e, enum cwt_bypass why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void bypass_log(struct cwt *e);
/* -EBUSY when it is bypassed for another reason. */
int bypass_end_locked(struct cwt *e, enum cwt_bypass why);

#endif
