/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/list.h"

struct sim_request {
	struct cwt_request r;
	struct list node;		/* world.requests, world.released */
	struct world *w;
	uint32_t number;		/* for the trace */
	uint32_t len;			/* within the image */
	uint32_t since, write;		/* the oracle's */
	uint64_t origin_faults;		/* before it */
	bool done, released;
	bool early;			/* answered while a cache leg was under way */
	uint8_t *buf;
};

static const char *const op_names[] = { "read", "write", "flush", "punch", "zero" };

/*
 * ------------------------------------------------------------------ answers
 */
static void request_free(struct sim_request *q)
{
	list_del(&q->node);
	free(q->buf);
	free(q);
}

void workload_forget(struct world *w)
{
	while (!list_empty(&w->requests)) {
		struct sim_request *q = list_entry(w->requests.next, struct sim_request, node);

		coverage.early_lost += q->early;
		request_free(q);
	}
	while (!list_empty(&w->released))
		request_free(list_entry(w->released.next, struct sim_request, node));
	w->nr_requests = 0;
}

static _Noreturn void wrong(struct sim_request *q, const char *what)
{
	sim_fail(q->w, "request %u, %s of [%llu, +%llu): answered %lld: %s", q->number, op_names[q->r.op],
		 (unsigned long long)q->r.offset_bytes, (unsigned long long)q->r.len_bytes, (long long)q->r.result, what);
}

/* The answer as such; only trouble of the origin is an excuse for less than all (I12, I14). */
static void check_result(struct sim_request *q)
{
	struct world *w = q->w;
	int64_t result = q->r.result;
	bool excused = disks_nr_faults(&w->disks, ORIGIN) != q->origin_faults;

	if (q->r.op != CWT_READ && w->read_only) {
		if (result != (q->r.op == CWT_FLUSH ? 0 : -EROFS))
			wrong(q, "the origin may not be written");
		return;
	}
	if (!q->len) {
		if (result != (q->r.op == CWT_WRITE && q->r.len_bytes ? -EFBIG : 0))
			wrong(q, "nothing of it is within the image");
		return;
	}
	if (result == 0 || result > (int64_t)q->len)
		wrong(q, "not a length that is possible");
	if (q->r.sync && result > 0 && w->flush_failed_at && w->oracle.writes[q->write].submitted > w->flush_failed_at)
		wrong(q, "a flush of the origin has failed, and nobody said that this is all right");
	if (q->r.sync && result < 0)	/* the error of a flush is sticky */
		excused |= disks_nr_faults(&w->disks, ORIGIN) != w->faults_at_start[ORIGIN];
	if (result != (int64_t)q->len && !excused)
		wrong(q, "the origin gave no reason for that");
}

static void read_answered(struct sim_request *q)
{
	struct world *w = q->w;

	if (q->r.result <= 0)
		oracle_read_gone(&w->oracle);
	else if (!oracle_read_end(&w->oracle, q->since, (uint32_t)q->r.offset_bytes, q->buf, (uint32_t)q->r.result))
		sim_fail(w, "request %u, read of [%llu, +%u): %s", q->number, (unsigned long long)q->r.offset_bytes, q->len,
			 w->oracle.why);
}

static void write_answered(struct sim_request *q)
{
	uint32_t lo = (uint32_t)q->r.offset_bytes, upto = lo + (uint32_t)MAX(q->r.result, 0);

	if (!q->len || q->w->read_only)
		return;
	if (q->r.result == -EOPNOTSUPP && q->r.op == CWT_PUNCH)
		oracle_write_refused(&q->w->oracle, q->write, lo, lo + q->len);
	else
		oracle_write_end(&q->w->oracle, q->write, lo, upto);
	if (q->r.sync && upto > lo)
		oracle_write_lasts(&q->w->oracle, q->write, lo, upto);
	coverage.sync_writes += q->r.sync && upto > lo;
}

/* I11: good if and only if no flush of the origin has failed; a failure is sticky. */
static void flush_answered(struct sim_request *q)
{
	struct world *w = q->w;

	if (w->read_only)
		return;
	if (q->r.result > 0)
		wrong(q, "not an answer to a flush");
	if (!q->r.result && w->flush_failed_at && q->since > w->flush_failed_at)
		wrong(q, "a flush of the origin has failed, and nobody said that this is all right");
	if (q->r.result && disks_nr_faults(&w->disks, ORIGIN) == w->faults_at_start[ORIGIN])
		wrong(q, "no flush of the origin has failed");
	if (!q->r.result)
		oracle_flush_end(&w->oracle, q->since);
}

/* Ours again: nobody may look at it any more. */
static void give_back(struct sim_request *q)
{
	if (q->released)
		wrong(q, "given back for the second time");
	q->released = true;
	if (q->buf)
		memset(q->buf, 0xA5, q->r.len_bytes);
	list_del(&q->node);
	list_add_tail(&q->w->released, &q->node);
	q->w->nr_requests--;
}

static void request_released(struct cwt_request *r)
{
	struct sim_request *q = r->user;

	if (!q->done)
		wrong(q, "given back without an answer");
	sim_note(q->w, "request %u given back", q->number);
	give_back(q);
}

/* The answer of a write is its acknowledgement, whether its cache leg has ended or not. */
static void request_done(struct cwt_request *r)
{
	struct sim_request *q = r->user;
	struct world *w = q->w;

	if (q->done)
		wrong(q, "for the second time");
	q->done = true;
	if (w->disks.dead)
		return;		/* nobody heard it; workload_forget() */
	q->early = request_priv(r)->nr_pending > 0;
	coverage.early_answers += q->early;
	sim_note(w, "request %u answered %lld%s", q->number, (long long)r->result, q->early ? ", early" : "");
	if (r->op == CWT_FLUSH) {
		flush_answered(q);
	} else {
		check_result(q);
		if (r->op == CWT_READ)
			read_answered(q);
		else
			write_answered(q);
	}
	if (!r->released)
		give_back(q);
}

/*
 * ------------------------------------------------------------------ requests
 */
static uint32_t choose_block(struct world *w)
{
	uint32_t nr_oblocks = (uint32_t)div_round_up(w->c.origin_size, w->c.block_size);

	if (!one_in(&w->random, 4))
		nr_oblocks = MIN(nr_oblocks, w->c.hot_blocks);
	return (uint32_t)random_below(&w->random, nr_oblocks);
}

void workload_range(struct world *w, uint32_t *offset, uint32_t *len)
{
	static const uint32_t unit_of[] = { [SIM_BLOCKS] = 0, [SIM_SECTORS] = 512, [SIM_BYTES] = 1 };
	struct random *r = &w->random;
	uint32_t bs = w->c.block_size, unit = one_in(r, 8) ? 0 : unit_of[w->c.align];

	*offset = choose_block(w) * bs;
	*len = bs;
	if (unit) {
		*offset += (uint32_t)round_down_to(random_below(r, bs), unit);
		*len = unit * (uint32_t)random_from(r, 1, one_in(r, 3) ? 2 * bs / unit : MIN(16u, bs / unit));
	} else if (one_in(r, 4)) {
		*len = bs * (uint32_t)random_from(r, 2, 5);
	}
	if (one_in(r, 64))
		*len = 0;
	if (one_in(r, 64))
		*offset = w->c.origin_size - MIN(w->c.origin_size, (uint32_t)random_below(r, 3)) + (uint32_t)random_below(r, 3);
}

static bool choose_op(struct world *w, enum cwt_op *op)
{
	static const enum sim_kind kind_of[] = { [CWT_READ] = SIM_READ, [CWT_WRITE] = SIM_WRITE, [CWT_FLUSH] = SIM_FLUSH,
		[CWT_PUNCH] = SIM_PUNCH, [CWT_ZERO] = SIM_ZERO };
	const unsigned *has = w->c.weight;
	unsigned weight[] = { [CWT_READ] = has[SIM_READ] ? 4 * w->c.read_weight : 0,
		[CWT_WRITE] = has[SIM_WRITE] ? 4 * w->c.write_weight : 0, [CWT_FLUSH] = has[SIM_FLUSH] ? 3 : 0,
		[CWT_PUNCH] = has[SIM_PUNCH] ? 2 : 0, [CWT_ZERO] = has[SIM_ZERO] ? 2 : 0 };
	unsigned sum = 0;
	uint64_t n;

	for (unsigned i = 0; i < ARRAY_SIZE(weight); i++)
		sum += weight[i];
	if (!sum)
		return false;
	n = random_below(&w->random, sum);
	for (*op = 0; n >= weight[*op]; (*op)++)
		n -= weight[*op];
	return !(w->c.without >> kind_of[*op] & 1);
}

static void prepare(struct world *w, struct sim_request *q)
{
	struct oracle *o = &w->oracle;
	uint32_t lo = (uint32_t)q->r.offset_bytes;

	if (q->r.op == CWT_READ || q->r.op == CWT_WRITE) {
		q->buf = malloc(q->r.len_bytes + 1);
		cwt_assert(q->buf);
		memset(q->buf, 0x5A, q->r.len_bytes);
	}
	if (q->r.op == CWT_READ) {
		q->since = oracle_read_begin(o);
	} else if (q->r.op == CWT_FLUSH) {
		q->since = oracle_flush_begin(o);
	} else if (q->len && !w->read_only) {
		q->write = oracle_write_begin(o, lo, lo + q->len, q->r.op != CWT_WRITE);
		if (q->r.op == CWT_WRITE)
			oracle_fill(o, q->write, lo, q->buf, q->len);
	}
}

static void submit(struct world *w, enum cwt_op op, uint32_t offset, uint32_t len)
{
	unsigned loop = (unsigned)random_below(&w->random, w->c.nr_loops);
	struct sim_request *q = calloc(1, sizeof(*q));

	cwt_assert(q);
	q->w = w;
	q->number = ++w->nr_submitted;
	coverage.requests++;
	q->len = offset < w->c.origin_size ? MIN(len, w->c.origin_size - offset) : 0;
	q->origin_faults = disks_nr_faults(&w->disks, ORIGIN);
	q->r = (struct cwt_request){ .op = op, .offset_bytes = offset, .len_bytes = len, .done = request_done, .user = q };
	prepare(w, q);
	q->r.buf = q->buf;
	if (config_has(&w->c, SIM_EARLY) && !one_in(&w->random, 4))
		q->r.released = request_released;
	if (op != CWT_READ && op != CWT_FLUSH && config_has(&w->c, SIM_SYNC))
		q->r.sync = one_in(&w->random, 3);
	list_init(&q->node);
	list_add_tail(&w->requests, &q->node);
	w->nr_requests++;
	if (q->len && (op == CWT_WRITE || op == CWT_PUNCH || op == CWT_ZERO))
		sim_note(w, "request %u: %s%s [%u, +%u) on loop %u, write %u", q->number, q->r.sync ? "synchronous " : "", op_names[op], offset, len, loop, q->write);
	else
		sim_note(w, "request %u: %s [%u, +%u) on loop %u, since %u", q->number, op_names[op], offset, len, loop, q->since);
	cwt_submit(w->loop[loop], &q->r);
}

void workload_submit(struct world *w)
{
	uint32_t offset = 0, len = 0;
	enum cwt_op op;

	if (!choose_op(w, &op))
		return;
	if (op != CWT_FLUSH)
		workload_range(w, &offset, &len);
	submit(w, op, offset, len);
}

void workload_submit_flush(struct world *w) { submit(w, CWT_FLUSH, 0, 0); }

/*
 * ------------------------------------------------------------------ messages
 */
void workload_message(struct world *w)
{
	static const char *const texts[] = { "origin-ok", "origin-ok", "cache-ok", "cache-ok", "bypass on", "bypass off",
		"bypass off", "commit", "commit", "drop", "invalidate", "invalidate", "invalidate" };
	const char *text = texts[random_below(&w->random, ARRAY_SIZE(texts))];
	struct cwt_error err = { "" };
	uint32_t offset, len;
	char line[80];
	int ret;

	workload_range(w, &offset, &len);
	if (!strcmp(text, "invalidate"))
		snprintf(line, sizeof(line), "invalidate %u %u", offset, len);
	else
		snprintf(line, sizeof(line), "%s", text);
	ret = cwt_message(w->e, line, &err);
	sim_note(w, "message '%s': %d %s", line, ret, err.text);
	if (ret == -EINVAL)
		sim_fail(w, "message '%s': refused: %s", line, err.text);
	if (!strcmp(text, "origin-ok"))
		w->flush_failed_at = 0;
}
