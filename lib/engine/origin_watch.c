/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/origin_watch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/log.h"
#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/migration.h"

#define NS_PER_MS INT64_C(1000000)

/*
 * ------------------------------------------------------------------ clocks
 */
static int64_t coarse_ns(const struct cwt *e)
{
	struct timespec ts;

	if (e->options.env.real_ns)
		return e->options.env.real_ns(e->options.env.ctx);
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static bool has_lease(const struct origin_watch *w)
{
	return w->on && !w->network;
}

/* It does not say what it must: whoever issues a leg next writes it first. */
static void lease_is_old_locked(struct origin_watch *w)
{
	if (!has_lease(w))
		return;
	w->lease_version++;
	atomic_store(&w->until_ns, 0);
}

/* Did somebody set the clock since the last look?  A tick more or less is the time between two readings. */
static void note_clock_locked(struct cwt *e, int64_t clock_ns)
{
	struct origin_watch *w = &e->origin_watch;
	int64_t by_ns = clock_ns - w->clock_ns;

	w->clock_ns = clock_ns;
	if (by_ns > -ORIGIN_TICK_NS && by_ns < ORIGIN_TICK_NS)
		return;
	w->clock_moved = true;
	if (w->committed.t1_ns)
		w->committed.t1_ns = INT64_MAX;
	if (w->pending.t1_ns)
		w->pending.t1_ns = INT64_MAX;
	lease_is_old_locked(w);
}

/*
 * ------------------------------------------------------------------ legs
 */
static void since_begin(struct origin_since *since, int64_t now_ns, bool *changed)
{
	if (!since->valid || since->t1_ns)
		return;
	since->t1_ns = now_ns;
	*changed = true;
}

void origin_leg_begin_locked(struct cwt *e)
{
	struct origin_watch *w = &e->origin_watch;
	bool changed = false;

	w->nr_begun++;
	w->nr_in_flight++;
	if (w->wrote)
		return;
	w->wrote = true;
	w->t1_ns = coarse_ns(e);
	since_begin(&w->committed, w->t1_ns, &changed);
	since_begin(&w->pending, w->t1_ns, &changed);
	if (changed)
		lease_is_old_locked(w);
}

void origin_leg_end_locked(struct cwt *e)
{
	struct origin_watch *w = &e->origin_watch;

	cwt_assert(w->nr_in_flight > 0);
	if (!--w->nr_in_flight)
		w->t2_ns = engine_real_ns(e);
}

uint64_t origin_flush_begin_locked(struct cwt *e)
{
	return e->origin_watch.nr_in_flight ? UINT64_MAX : e->origin_watch.nr_begun;
}

void origin_flush_done_locked(struct cwt *e, uint64_t begun)
{
	e->origin_watch.flushed_at = begun;
}

/*
 * ------------------------------------------------------------------ the lease
 */
static void lease_fill_locked(const struct origin_watch *w, struct lease *lease)
{
	const struct origin_since *const since[] = { &w->committed, &w->pending };

	memset(lease, 0, sizeof(*lease));
	lease->clock_ns = w->clock_ns;
	for (unsigned i = 0; i < ARRAY_SIZE(since); i++) {
		if (!since[i]->valid || !since[i]->t1_ns)
			continue;
		lease->since[i].e_seq = since[i]->seq;
		lease->since[i].t1_ns = since[i]->t1_ns;
	}
}

/*
 * Written until it says what it must: what that is may change meanwhile.  A failure is no worse than an old lease: see the
 * table.  shorten: to the end of the last leg, unless one has begun.
 */
static void lease_write(struct cwt *e, bool shorten)
{
	struct origin_watch *w = &e->origin_watch;
	bool again = true;

	pthread_mutex_lock(&w->lease_lock);
	while (again) {
		struct lease lease;
		uint64_t version;
		bool off;

		pthread_mutex_lock(&e->lock);
		lease_fill_locked(w, &lease);
		version = w->lease_version;
		off = e->marks.off;
		if (shorten && w->nr_in_flight)
			shorten = false;
		lease.until_ns = shorten ? w->t2_ns : engine_real_ns(e) + LEASE_MS * NS_PER_MS;
		w->lease_short = shorten;
		if (shorten)
			atomic_store(&w->until_ns, 0);	/* a leg that begins now writes it anew, after us */
		pthread_mutex_unlock(&e->lock);
		if (!off)
			(void)store_write_lease(e->store, &lease);
		pthread_mutex_lock(&e->lock);
		again = version != w->lease_version;
		if (!again && !shorten)
			atomic_store(&w->until_ns, off ? INT64_MAX : lease.until_ns);
		pthread_mutex_unlock(&e->lock);
	}
	pthread_mutex_unlock(&w->lease_lock);
}

static bool lease_lasts(struct cwt *e, unsigned ms)
{
	return atomic_load(&e->origin_watch.until_ns) - coarse_ns(e) >= ms * NS_PER_MS;
}

void origin_lease(struct cwt *e)
{
	if (!lease_lasts(e, LEASE_MARGIN_MS))
		lease_write(e, false);
}

static void lease_tick(struct cwt *e)
{
	struct origin_watch *w = &e->origin_watch;
	bool in_flight, shorten;

	if (!has_lease(w))
		return;
	pthread_mutex_lock(&e->lock);
	in_flight = w->nr_in_flight;
	shorten = !in_flight && w->t2_ns && !w->lease_short;
	pthread_mutex_unlock(&e->lock);
	if (shorten || (in_flight && !lease_lasts(e, LEASE_MS - LEASE_MARGIN_MS)))
		lease_write(e, shorten);
}

/*
 * ------------------------------------------------------------------ a look
 */
/* What was known before the statx; what is asked after it is compared with this. */
struct look {
	uint64_t begun;
	bool quiet;
	int64_t now_ns, clock_ns;	/* before */
	struct origin_state state;
};

static bool look_begin(struct cwt *e, struct look *look)
{
	struct origin_watch *w = &e->origin_watch;
	bool worth_it;

	look->clock_ns = engine_clock_ns(e);
	pthread_mutex_lock(&e->lock);
	note_clock_locked(e, look->clock_ns);
	look->begun = w->nr_begun;
	look->quiet = !w->nr_in_flight;
	look->now_ns = coarse_ns(e);
	worth_it = w->on && !(w->network && w->wrote && w->flushed_at != w->nr_begun);
	w->next_look_ms = engine_now_ms(e) + e->options.commit_interval_ms;
	pthread_mutex_unlock(&e->lock);
	return worth_it;
}

static struct origin_window window_locked(struct cwt *e, bool quiet)
{
	const struct origin_watch *w = &e->origin_watch;

	if (!w->wrote || w->clock_moved || w->network)
		return ORIGIN_NO_WINDOW;
	return (struct origin_window){ w->t1_ns, quiet ? w->t2_ns : engine_real_ns(e) };
}

static void become_locked(struct origin_watch *w, const struct origin_state *state)
{
	uint64_t seq = w->e.seq + 1;

	w->e = *state;
	w->e.seq = seq;
}

static void take_locked(struct cwt *e, const struct look *look, bool quiet)
{
	struct origin_watch *w = &e->origin_watch;

	if (!quiet || (!w->wrote && origin_state_equal(&w->e, &look->state)))
		return;
	become_locked(w, &look->state);
	w->wrote = w->clock_moved = false;
	w->t1_ns = 0;
	if (w->committed.t1_ns == INT64_MAX)
		commit_want_locked(e);	/* the clock was set: a kill would find no window */
}

/* What is there is E from now on.  A leg in flight sets times from now on, whatever it has set before. */
static void stranger_locked(struct cwt *e, const struct look *look)
{
	struct origin_watch *w = &e->origin_watch;

	drop_all_locked(e);
	commit_want_locked(e);
	w->nr_changes++;
	snprintf(w->change, sizeof(w->change), "%s", origin_state_moved(&w->e, &look->state));
	become_locked(w, &look->state);
	w->clock_moved = false;
	w->wrote = w->nr_in_flight || w->nr_begun != look->begun;
	w->t1_ns = w->wrote ? look->now_ns : 0;
	w->suspect = w->network || origin_state_is_fresh(&look->state, look->now_ns);
}

/* Under one lock: the mappings go and E comes in the same moment. */
static bool judge_locked(struct cwt *e, const struct look *look)
{
	struct origin_watch *w = &e->origin_watch;
	bool quiet = look->quiet && w->nr_begun == look->begun;
	struct origin_window window = window_locked(e, quiet);

	if (w->network && w->wrote) {
		if (w->flushed_at == w->nr_begun)
			take_locked(e, look, quiet);
		return true;
	}
	if (!origin_state_is_ours(&w->e, &look->state, &window)) {
		stranger_locked(e, look);
		return false;
	}
	if (w->suspect) {
		drop_all_locked(e);
		w->suspect = !w->network && origin_state_is_fresh(&look->state, look->now_ns);
	}
	take_locked(e, look, quiet);
	return true;
}

static void origin_state_of(const struct cwt *e, const struct device_identity *id, struct origin_state *out)
{
	*out = (struct origin_state){ .known = true, .size_bytes = e->origin_size,
		.ino = e->origin_watch.network ? 0 : id->ino, .mtime_ns = id->mtime_ns, .ctime_ns = id->ctime_ns };
}

/* Leaves marks urgent after a stranger's change. */
static bool look_once(struct cwt *e)
{
	static struct log_limit limit, failed;
	struct device_identity id;
	struct look look;
	char change[sizeof(e->origin_watch.change)];
	bool ours;
	int ret;

	if (!look_begin(e, &look))
		return true;
	ret = device_identity(e->dev.origin, &id);
	if (ret) {
		log_limited(&failed, LOG_LEVEL_WARNING, "%s: cannot be asked whether somebody changed it: %s",
			    e->dev.origin->name, strerror(-ret));
		return true;	/* asked again; E stays, so a change is seen then */
	}
	origin_state_of(e, &id, &look.state);
	pthread_mutex_lock(&e->lock);
	ours = judge_locked(e, &look);
	memcpy(change, e->origin_watch.change, sizeof(change));
	pthread_mutex_unlock(&e->lock);
	if (!ours)
		log_limited(&limit, LOG_LEVEL_WARNING, "%s: changed by somebody else (%s), everything cached is dropped",
			    e->dev.origin->name, change);
	return ours;
}

bool origin_look(struct cwt *e)
{
	bool ours = look_once(e);

	marks_write_urgent(e);
	return ours;
}

/* Soon after the last leg, so that the next window is a short one. */
static bool look_is_due(struct cwt *e)
{
	struct origin_watch *w = &e->origin_watch;
	bool due;

	pthread_mutex_lock(&e->lock);
	due = w->on && ((w->suspect && !w->network) || engine_now_ms(e) >= w->next_look_ms || (!w->network && w->wrote && !w->nr_in_flight));
	pthread_mutex_unlock(&e->lock);
	return due;
}

void origin_watch_tick(struct cwt *e)
{
	lease_tick(e);
	if (look_is_due(e))
		(void)origin_look(e);
}

/*
 * ------------------------------------------------------------------ commits
 */
static void carry_locked(struct cwt *e)
{
	struct origin_watch *w = &e->origin_watch;
	struct identity identity = *store_identity(e->store);

	identity.origin = w->e;
	store_commit_identity(e->store, &identity);
	w->pending = (struct origin_since){ true, w->e.seq, w->wrote ? w->t1_ns : 0 };
	if (w->wrote && w->clock_moved)
		w->pending.t1_ns = INT64_MAX;
	if (w->pending.t1_ns)
		lease_is_old_locked(w);
}

void origin_commit_begin_locked(struct cwt *e)
{
	if (e->origin_watch.on)
		carry_locked(e);
}

void origin_commit_begun(struct cwt *e)
{
	struct origin_watch *w = &e->origin_watch;
	bool needed;

	pthread_mutex_lock(&e->lock);
	needed = has_lease(w) && w->pending.t1_ns;
	pthread_mutex_unlock(&e->lock);
	if (needed)
		lease_write(e, false);
}

void origin_commit_end_locked(struct cwt *e, bool committed, bool unknown)
{
	struct origin_watch *w = &e->origin_watch;

	if (committed)
		w->committed = w->pending;
	if (!unknown)
		w->pending.valid = false;	/* else the superblock may say either */
}

/* A disk has no times, but something to say of itself, some of which our writes may have changed. */
static void carry_ids(struct cwt *e)
{
	struct identity identity = *store_identity(e->store);
	struct device_ids ids;

	if (device_ids(e->dev.origin, &ids))
		memset(&ids, 0, sizeof(ids));
	memcpy(identity.ids, ids.id, sizeof(ids.id));
	store_commit_identity(e->store, &identity);
}

bool origin_commit_clean(struct cwt *e)
{
	if (device_info(e->dev.origin)->is_block)
		carry_ids(e);
	if (!look_once(e))
		return false;
	pthread_mutex_lock(&e->lock);
	origin_commit_begin_locked(e);
	pthread_mutex_unlock(&e->lock);
	return true;
}

void origin_disown_locked(struct cwt *e)
{
	e->origin_watch.e.known = false;
}

/*
 * ------------------------------------------------------------------ the start: the store has taken E
 */
void origin_watch_init(struct cwt *e)
{
	const struct device_info *info = device_info(e->dev.origin);
	struct origin_watch *w = &e->origin_watch;

	w->on = !info->is_block;
	w->network = info->network;
	w->e = store_identity(e->store)->origin;
	w->flushed_at = UINT64_MAX;
	w->committed = (struct origin_since){ .valid = has_lease(w), .seq = w->e.seq };
	w->clock_ns = engine_clock_ns(e);
	atomic_store(&w->until_ns, has_lease(w) ? 0 : INT64_MAX);
}
