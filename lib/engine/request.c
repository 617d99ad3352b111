/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/request.h"

#include <errno.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mutant.h"
#include "engine/door.h"
#include "engine/engine.h"
#include "engine/flush.h"
#include "engine/loop.h"
#include "engine/read.h"
#include "engine/regions.h"
#include "engine/writethrough.h"
#include "engine/zero.h"

/* What a synchronous request has changed, if only a part of it, is durable before it is said (I11). */
static void request_answer(struct cwt_loop *loop, struct cwt_request *r, int64_t result)
{
	bool flush_first = r->sync && r->op != CWT_READ && result > 0;

	r->result = result;
	r->error = result < 0 ? (int)result : request_priv(r)->error;
	list_add_tail(flush_first ? &loop->syncs : &loop->answers, &request_priv(r)->node);
}

/* The end of the range within the image; sets *result and returns false where there is nothing to do. */
static bool request_cut(const struct cwt *e, const struct cwt_request *r, uint64_t *end, int64_t *result)
{
	*result = 0;
	if (r->op != CWT_READ && e->options.read_only) {
		*result = -EROFS;
		return false;
	}
	if (!r->len_bytes)
		return false;
	if (r->offset_bytes >= e->origin_size) {
		*result = r->op == CWT_WRITE ? -EFBIG : 0;
		return false;
	}
	*end = r->offset_bytes + MIN(r->len_bytes, e->origin_size - r->offset_bytes);
	return true;
}

void request_begin(struct cwt_loop *loop, struct cwt_request *r)
{
	struct request *p = request_priv(r);
	int64_t result;

	*p = (struct request){ .loop = loop, .next = r->offset_bytes, .fail_offset = UINT64_MAX };
	list_init(&p->node);
	loop->nr_requests++;
	if (r->op == CWT_FLUSH)
		flush_begin(loop, r);
	else if (request_cut(loop->engine, r, &p->end, &result))
		door_join(loop, r);
	else
		request_answer(loop, r, result);
}

/*
 * A write holds its range widened to the alignment, since a device writes the edges by read-modify-write and would undo
 * a neighbour's bytes in the same sector (I4).
 */
static bool breq_enter_locked(struct cwt *e, struct block_request *b)
{
	if (b->request->op == CWT_READ)
		return cell_enter(&e->cells, b->oblock, &b->hold, HOLD_READ, b->lo, b->hi);
	if (mutant_is(MUTANT_HOLD_NOT_WIDENED))
		return cell_enter(&e->cells, b->oblock, &b->hold, HOLD_WRITE, b->lo, b->hi);
	return cell_enter(&e->cells, b->oblock, &b->hold, HOLD_WRITE, (uint32_t)round_down_to(b->lo, e->align),
			  MIN((uint32_t)round_up_to(b->hi, e->align), e->block_size));
}

bool breq_enter_or_park_locked(struct block_request *b)
{
	bool granted = breq_enter_locked(b->loop->engine, b);

	b->loop->engine->stats.block_requests++;
	b->loop->engine->stats.nr_undecided++;
	b->loop->engine->nr_in_cells++;
	b->state = granted ? BREQ_DECIDE : BREQ_PARKED;
	return granted;
}

struct block_request *breq_cut_locked(struct cwt_loop *loop, struct cwt_request *r)
{
	struct cwt *e = loop->engine;
	struct request *p = request_priv(r);
	struct block_request *b = list_entry(list_pop(&loop->free_breqs), struct block_request, node);
	uint64_t left = p->end - p->next;

	cwt_assert(b->state == BREQ_FREE);
	cwt_assert(door_of(loop, r)->nr_free > 0);
	door_of(loop, r)->nr_free--;
	b->request = r;
	b->oblock = OBLOCK(p->next >> e->block_shift);
	b->cblock = mutant_is(MUTANT_DECIDE_BEFORE_ENTERING) ? map_lookup(&loop->engine->map, b->oblock) : CBLOCK(BLOCK_NONE);
	b->lo = (uint32_t)(p->next & (e->block_size - 1));
	b->hi = left < e->block_size - b->lo ? b->lo + (uint32_t)left : e->block_size;
	b->buf = r->buf ? (uint8_t *)r->buf + (p->next - r->offset_bytes) : NULL;
	b->error = b->cache_error = 0;
	b->drop_mapping = b->on_origin = false;
	b->fill = NULL;
	b->zero = NULL;
	p->next += b->hi - b->lo;
	p->nr_pending++;
	p->nr_unanswered++;
	return b;
}

bool request_split_locked(struct cwt_loop *loop, struct cwt_request *r)
{
	struct request *p = request_priv(r);

	if (r->op == CWT_PUNCH || r->op == CWT_ZERO)
		return zero_split_locked(loop, r);
	while (p->next < p->end) {
		struct block_request *b;

		if (!door_of(loop, r)->nr_free)
			return false;
		b = breq_cut_locked(loop, r);
		if (breq_enter_or_park_locked(b))
			breq_decide_locked(b);
	}
	return true;
}

void breq_decide_locked(struct block_request *b)
{
	cwt_assert(b->state == BREQ_DECIDE);
	cwt_assert(b->hold.state == HOLD_GRANTED);
	if (b->zero)
		zero_advance_locked(b->zero);
	else if (b->request->op == CWT_READ)
		read_start_locked(b);
	else
		wt_start_locked(b);
}

void breq_io(struct block_request *b, struct device *dev, enum device_op op, uint64_t offset_bytes,
	     void (*done)(struct device_io *io))
{
	if (mutant_is(MUTANT_REUSED_FIELDS) && b->state == BREQ_CACHE_LEG)
		offset_bytes += b->io.offset_bytes - engine_origin_offset(b->loop->engine, b->oblock) - b->lo;
	b->io.dev = dev;
	b->io.op = op;
	b->io.offset_bytes = offset_bytes + b->lo;
	b->io.len_bytes = b->hi - b->lo;
	b->io.buf = b->buf;
	b->io.done = done;
	list_add_tail(&b->loop->to_submit, &b->io.node);
}

void breq_end(struct block_request *b, int error)
{
	b->error = error;
	b->state = BREQ_ENDED;
	list_add_tail(&b->loop->ended, &b->node);
}

void cblock_get_locked(struct cwt *e, cblock_t c, bool writer)
{
	struct cblock_info *cb = map_cb(&e->map, c);

	cwt_assert(cb->users < UINT16_MAX);
	cb->users++;
	if (writer) {
		cb->writers++;
		marks_set(&e->marks, c);	/* W2: visible before the origin leg is kicked */
	}
}

/*
 * B1: the mark goes when the last writer has, if the cache is buffered only after a flush (B4); of a removed mapping only
 * when the removal is committed, and then before reuse (F3).
 */
void cblock_put_locked(struct cwt *e, cblock_t c, bool writer)
{
	struct cblock_info *cb = map_cb(&e->map, c);

	cwt_assert(cb->users > 0);
	cb->users--;
	if (writer) {
		cwt_assert(cb->writers > 0);
		if (!--cb->writers && cb->state == CB_MAPPED && !write_back_written_locked(e, c))
			marks_clear(&e->marks, c);
	}
	if (!cb->users && cb->state == CB_LIMBO) {
		marks_clear(&e->marks, c);
		map_free_limbo(&e->map, c);
	}
}

static void breq_count_errors_locked(struct cwt *e, struct block_request *b)
{
	if (b->error && b->request->op == CWT_READ)
		e->stats.origin_read_errors++;
	else if (b->error)
		e->stats.origin_write_errors++;
	if (b->cache_error) {
		e->stats.cache_write_errors++;
		cache_error_locked(e);
	} else if (!cblock_is_none(b->cblock)) {
		cache_success_locked(e);
	}
}

/* The mapping goes before the answer (W4): a request that comes after it must not see what a failed leg left behind. */
static void breq_put_cblock_locked(struct cwt *e, struct block_request *b)
{
	if (cblock_is_none(b->cblock))
		return;
	if (b->drop_mapping && map_cb(&e->map, b->cblock)->state == CB_MAPPED)
		cblock_remove_locked(e, b->cblock, REMOVAL_INVALIDATION);
	cblock_put_locked(e, b->cblock, b->request->op != CWT_READ);
}

/*
 * ------------------------------------------------------------------ the answer
 */
static bool request_is_over(const struct request *p)
{
	return !p->nr_pending && p->next >= p->end;
}

/* One block request fewer to wait for.  After the last the answer is known: whatever follows changes nothing of it. */
static void request_part_known(struct cwt_loop *loop, struct cwt_request *r)
{
	struct request *p = request_priv(r);

	cwt_assert(p->nr_unanswered > 0);
	if ((--p->nr_unanswered && !mutant_is(MUTANT_ANSWERED_TWICE)) || p->next < p->end)
		return;
	if (!p->error)
		request_answer(loop, r, (int64_t)(p->end - r->offset_bytes));
	else if (p->fail_offset > r->offset_bytes)
		request_answer(loop, r, (int64_t)(p->fail_offset - r->offset_bytes));
	else
		request_answer(loop, r, p->error);
}

void breq_on_origin(struct block_request *b)
{
	if (!b->request->released)
		return;
	b->on_origin = true;
	if (mutant_is(MUTANT_CELL_LEFT_AT_ANSWER))
		b->hold.lo = b->hold.hi = UINT32_MAX;	/* as nobody's */
	if (mutant_is(MUTANT_REGION_LEFT_AT_ANSWER))
		regions_leave_locked(b->loop->engine, b->oblock);
	request_part_known(b->loop, b->request);
}

static void request_part_ended(struct block_request *b)
{
	struct cwt_request *r = b->request;
	struct request *p = request_priv(r);
	uint64_t offset_bytes = engine_origin_offset(b->loop->engine, b->oblock) + b->lo;

	if (b->error && (offset_bytes < p->fail_offset || mutant_is(MUTANT_WRONG_PREFIX))) {
		p->fail_offset = offset_bytes;
		p->error = b->error;
	}
	cwt_assert(p->nr_pending > 0);
	p->nr_pending--;
	if (!b->on_origin)
		request_part_known(b->loop, r);
	if (p->answered && request_is_over(p) && !mutant_is(MUTANT_RELEASED_AT_ANSWER))
		list_add_tail(&b->loop->answers, &p->node);
}

/* Without released(), r may be gone when done() returns. */
void request_finish(struct cwt_loop *loop, struct cwt_request *r)
{
	struct request *p = request_priv(r);

	cwt_assert(loop->nr_requests > 0);
	if (!r->released) {
		loop->nr_requests--;
		r->done(r);
		return;
	}
	if (!p->answered) {
		p->answered = true;
		r->done(r);
		if (!request_is_over(p) && !mutant_is(MUTANT_RELEASED_AT_ANSWER))
			return;
	}
	loop->nr_requests--;
	r->released(r);
}

/*
 * ------------------------------------------------------------------ the end of a block request
 */
void breq_leave_locked(struct block_request *b)
{
	struct cwt_loop *loop = b->loop;
	struct cwt *e = loop->engine;
	struct granted granted = { NULL, NULL };

	cwt_assert(b->state == BREQ_ENDED);
	if (read_overtaken_locked(b))
		return;
	breq_count_errors_locked(e, b);
	breq_put_cblock_locked(e, b);
	if (b->request->op != CWT_READ && !(b->on_origin && mutant_is(MUTANT_REGION_LEFT_AT_ANSWER)))
		regions_leave_locked(e, b->oblock);
	if (b->request->op != CWT_READ)
		origin_leg_end_locked(e);
	if (b->fill)
		fill_put_locked(b->fill);
	e->nr_in_cells--;
	cell_leave(&e->cells, &b->hold, &granted);
	loop_granted_locked(loop, &granted);
	door_of(loop, b->request)->nr_free++;
	request_part_ended(b);
	b->state = BREQ_FREE;
	list_add_head(&loop->free_breqs, &b->node);
}
