/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "events.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "workload.h"

static void submit(struct world *w)
{
	if (w->nr_requests < w->c.max_requests)
		workload_submit(w);
}

static void submit_flush(struct world *w)
{
	if (config_has(&w->c, SIM_FLUSH))
		workload_submit_flush(w);
}

static void turn(struct world *w)
{
	unsigned loop = (unsigned)random_below(&w->random, w->c.nr_loops);
	int nr = cwt_loop_turn(w->loop[loop]);

	if (nr)
		sim_note(w, "loop %u: did %d things", loop, nr);
	else
		submit(w);	/* no event for nothing */
}

static void step(struct world *w)
{
	unsigned nr = disks_nr_pending(&w->disks), n;

	if (!nr) {
		turn(w);
		return;
	}
	n = (unsigned)random_below(&w->random, nr);
	sim_note(w, "transfer %u of %u takes effect", n, nr);
	disks_step(&w->disks, n);
}

static void job(struct world *w)
{
	if (engine_step_job(w->e))
		sim_note(w, "a job, or a step of a commit");
}

static void pass_time(struct world *w)
{
	uint64_t ms = random_from(&w->random, 1, one_in(&w->random, 2) ? 20 : 6000);

	w->now_ms += ms;
	w->disks.now_ns += (int64_t)ms * 1000000;
	if (w->e)
		origin_watch_tick(w->e);	/* which comes every 100 ms */
	sim_note(w, "it is %llu ms", (unsigned long long)w->now_ms);
}

static void stale(struct world *w)
{
	sim_note(w, "late clears of marks");
	marks_write_stale(w->e);
}

static void rest(struct world *w)
{
	sim_note(w, "rest");
	(void)world_rest(w);
}

static void fault(struct world *w, enum disk store)
{
	static const unsigned kinds[] = { FAULTY_READ, FAULTY_WRITE, FAULTY_FLUSH, FAULTY_ZERO, FAULTY_WRITE | FAULTY_ZERO,
		FAULTY_ANY };
	static const enum faulty_effect effects[] = { FAULTY_FAIL, FAULTY_FAIL, FAULTY_FAIL_AFTER, FAULTY_FAIL_PARTWAY };
	struct random *r = &w->random;
	struct faulty_rule rule = { .kinds = kinds[random_below(r, ARRAY_SIZE(kinds))], .skip = random_below(r, 5),
		.times = one_in(r, 16) ? 0 : random_from(r, 1, 3), .effect = effects[random_below(r, ARRAY_SIZE(effects))],
		.error = one_in(r, 3) ? -ENOSPC : -EIO };

	if (rule.kinds == FAULTY_ZERO && one_in(r, 3)) {
		rule.effect = FAULTY_FAIL;	/* a store that cannot has done nothing */
		rule.error = -EOPNOTSUPP;
	}
	if (one_in(r, 3)) {
		rule.offset_bytes = random_below(r, 8) * w->c.block_size;
		rule.len_bytes = w->c.block_size;
	}
	if (faulty_device_add_rule(w->disks.faulty[store], &rule)) {
		faulty_device_clear_rules(w->disks.faulty[store]);
		return;
	}
	sim_note(w, "%s: kinds %x fail (%s) with %s, skip %llu, times %llu, at [%llu, +%llu)", store_names[store], rule.kinds,
		 rule.effect == FAULTY_FAIL ? "before" : rule.effect == FAULTY_FAIL_AFTER ? "after" : "partway",
		 strerror(-rule.error), (unsigned long long)rule.skip, (unsigned long long)rule.times,
		 (unsigned long long)rule.offset_bytes, (unsigned long long)rule.len_bytes);
}

static void origin_fault(struct world *w) { fault(w, ORIGIN); }
static void cache_fault(struct world *w) { fault(w, CACHE); }
static void metadata_fault(struct world *w) { fault(w, METADATA); }

static void loss(struct world *w)
{
	enum disk store = one_in(&w->random, 3) ? CACHE : ORIGIN;

	sim_note(w, "the next flush of the %s loses data", store_names[store]);
	w->disks.lose[store] = true;
	if (one_in(&w->random, 2))
		submit_flush(w);
}

static void clear(struct world *w)
{
	sim_note(w, "no more faults");
	disks_clear_faults(&w->disks);
}

static void kill_now(struct world *w) { world_crash(w, false); }
static void power_now(struct world *w) { world_crash(w, true); }

static void last(struct world *w)
{
	if (!config_has(&w->c, SIM_KILL) && !config_has(&w->c, SIM_POWER))
		return;
	w->power_last = !config_has(&w->c, SIM_KILL) || (config_has(&w->c, SIM_POWER) && one_in(&w->random, 2));
	disks_arm(&w->disks, random_from(&w->random, 1, one_in(&w->random, 2) ? 4 : 20));
	sim_note(w, "the %llu-th operation from now on is the last one, then %s", (unsigned long long)w->disks.ops_left,
		 w->power_last ? "power cut" : "kill");
}

static void restart(struct world *w)
{
	sim_note(w, "restart");
	world_restart(w);
}

static void (*const happenings[SIM_NR_KINDS])(struct world *w) = {
	[SIM_SUBMIT] = submit, [SIM_TURN] = turn, [SIM_STEP] = step, [SIM_JOB] = job, [SIM_TIME] = pass_time,
	[SIM_STALE] = stale, [SIM_REST] = rest, [SIM_MESSAGE] = workload_message, [SIM_ORIGIN_FAULT] = origin_fault,
	[SIM_CACHE_FAULT] = cache_fault,
	[SIM_METADATA_FAULT] = metadata_fault, [SIM_LOSS] = loss, [SIM_CLEAR] = clear, [SIM_KILL] = kill_now,
	[SIM_POWER] = power_now, [SIM_LAST] = last, [SIM_RESTART] = restart,
};

void event_happen(struct world *w, unsigned event)
{
	unsigned sum = 0, kind = 0;
	uint64_t n;

	w->event = event;
	w->random = config_random(&w->c, event);
	for (unsigned k = 0; k < SIM_NR_KINDS; k++)
		sum += happenings[k] ? w->c.weight[k] : 0;
	if (!sum)
		return;
	for (n = random_below(&w->random, sum); ; kind++) {
		unsigned weight = happenings[kind] ? w->c.weight[kind] : 0;

		if (n < weight)
			break;
		n -= weight;
	}
	if (w->c.without >> kind & 1)
		return;
	coverage.events++;
	happenings[kind](w);
	if (!world_bury(w))
		world_look(w);
}
