/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/zero.h"

#include <errno.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mutant.h"
#include "engine/door.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "engine/regions.h"
#include "engine/writethrough.h"

static struct zero_chunk *zero_begin_locked(struct cwt_loop *loop, struct cwt_request *r, unsigned nr_parts)
{
	struct zero_chunk *z = list_entry(list_pop(&loop->free_zeros), struct zero_chunk, node);

	z->request = r;
	z->offset_bytes = request_priv(r)->next;
	z->nr_parts = nr_parts;
	z->nr_entered = 0;
	for (unsigned i = 0; i < nr_parts; i++) {
		z->parts[i] = breq_cut_locked(loop, r);
		z->parts[i]->zero = z;
		z->parts[i]->drop_mapping = true;
	}
	z->len_bytes = request_priv(r)->next - z->offset_bytes;
	return z;
}

static void zero_all_entered_locked(struct zero_chunk *z)
{
	z->nr_mark_waits = 0;
	z->error = 0;
	for (unsigned i = 0; i < z->nr_parts; i++) {
		z->parts[i]->state = BREQ_ZERO;
		write_decide_locked(z->parts[i]);
		z->nr_mark_waits += !regions_enter_locked(z->loop->engine, z->parts[i]);
	}
	if (!z->nr_mark_waits)
		list_add_tail(&z->loop->zero_ready, &z->node);
}

void zero_mark_done(struct block_request *part)
{
	struct zero_chunk *z = part->zero;

	cwt_assert(part->state == BREQ_MARK_WAIT);
	part->state = BREQ_ZERO;
	if (part->error)
		z->error = part->error;
	if (--z->nr_mark_waits)
		return;
	if (z->error)
		zero_finish(z);
	else
		list_add_tail(&z->loop->zero_ready, &z->node);
}

static void zero_enter_locked(struct zero_chunk *z)
{
	while (z->nr_entered < z->nr_parts)
		if (!breq_enter_or_park_locked(z->parts[z->nr_entered++]))
			return;
	zero_all_entered_locked(z);
}

void zero_advance_locked(struct zero_chunk *z)
{
	zero_enter_locked(z);
}

bool zero_split_locked(struct cwt_loop *loop, struct cwt_request *r)
{
	struct cwt *e = loop->engine;
	struct request *p = request_priv(r);

	while (p->next < p->end) {
		uint64_t first = p->next >> e->block_shift, last = (p->end - 1) >> e->block_shift;
		unsigned nr = (unsigned)MIN(last - first + 1, ZERO_CHUNK_BLOCKS);

		if (list_empty(&loop->free_zeros) || door_of(loop, r)->nr_free < nr)
			return false;
		zero_enter_locked(zero_begin_locked(loop, r, nr));
	}
	return true;
}

/* Where the origin cannot make zeros by itself, they are written. */
static int zero_by_writing(struct device *origin, uint64_t offset_bytes, uint64_t len_bytes)
{
	static const uint8_t zeros[64 << 10];
	int error = 0;

	while (len_bytes && !error) {
		size_t n = MIN(len_bytes, sizeof(zeros));

		error = device_write(origin, offset_bytes, zeros, n);
		offset_bytes += n;
		len_bytes -= n;
	}
	return error;
}

static void zero_run(struct cwt *e, struct job *job)
{
	struct zero_chunk *z = list_entry(job, struct zero_chunk, job);
	bool punch = z->request->op == CWT_PUNCH;

	if (mutant_is(MUTANT_ZERO_TAIL))
		z->len_bytes = round_down_to(z->len_bytes, 512);
	z->error = device_zero(e->dev.origin, punch ? DEVICE_PUNCH : DEVICE_ZERO, z->offset_bytes, z->len_bytes);
	if (z->error == -EOPNOTSUPP && !punch)
		z->error = zero_by_writing(e->dev.origin, z->offset_bytes, z->len_bytes);
	loop_post(z->loop, &z->loop->inbox_zeros, &z->node);
}

void zero_post(struct zero_chunk *z)
{
	z->job.run = zero_run;
	z->job.kind = JOB_BULK;
	jobs_post(z->loop->engine, &z->job);
}

/* After -EOPNOTSUPP nothing was changed; after anything else what the origin has is not what the cache has. */
void zero_finish(struct zero_chunk *z)
{
	for (unsigned i = 0; i < z->nr_parts; i++) {
		cwt_assert(z->parts[i]->state == BREQ_ZERO);
		z->parts[i]->drop_mapping = z->error != -EOPNOTSUPP && !mutant_is(MUTANT_PUNCH_KEEPS);
		breq_end(z->parts[i], z->error);
	}
	list_add_head(&z->loop->free_zeros, &z->node);
}
