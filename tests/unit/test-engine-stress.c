/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine under everything at once, for ThreadSanitizer above all: four loops, messages and status beside them, a cache
 * and a metadata that fail now and then, flushes of the origin that fail, restarts.  Each thread owns a stripe of every
 * block and knows what it holds; faults of the cache's side may cost speed, never an answer (I12).
 *
 *	CWT_STRESS_ROUNDS=n	restarts (default 3)
 *	CWT_STRESS_SEED=n	(default 1); a failure names the round and the seed
 */
#include "engine-rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"

#define BLOCK 4096u
#define NR_BLOCKS 48u
#define NR_CBLOCKS 20u
#define NR_THREADS 4u
#define STRIPE (BLOCK / NR_THREADS)
#define DEPTH 6u
#define REQUESTS 1200u		/* of each thread in each round */
#define WAIT_MS 60000

static struct cwt *e;
static struct device *memory[3];	/* origin, cache, metadata: they outlive the rounds */
static struct device *faulty[3];
static atomic_uint nr_working;

struct slot {
	struct cwt_request r;
	uint8_t buf[BLOCK];
	bool busy, is_mine, is_write;
	unsigned block;
};

struct worker {
	unsigned id;
	uint64_t seed;
	struct cwt_loop *loop;
	struct slot slots[DEPTH];
	uint8_t last[NR_BLOCKS];	/* what this thread's stripe of each block holds */
	bool in_use[NR_BLOCKS];
	unsigned nr_done, nr_bad;
};

static struct worker workers[NR_THREADS];

static struct worker *worker_of(const struct slot *s)
{
	unsigned i = 0;

	while (s < workers[i].slots || s >= workers[i].slots + DEPTH)
		i++;
	return &workers[i];
}

static void released(struct cwt_request *r)
{
	struct slot *s = r->user;

	memset(s->buf, 0xA5, sizeof(s->buf));
	worker_of(s)->nr_done++;
	s->busy = false;
}

static void done(struct cwt_request *r)
{
	struct slot *s = r->user;
	struct worker *w = worker_of(s);

	if (s->is_mine) {
		w->in_use[s->block] = false;
		for (unsigned i = 0; r->op == CWT_READ && i < STRIPE; i++)
			w->nr_bad += s->buf[i] != w->last[s->block];
	}
	if (r->op == CWT_FLUSH)
		w->nr_bad += r->result != 0 && r->result != -EIO;
	else
		w->nr_bad += r->result != (int64_t)r->len_bytes;
	if (!r->released)
		released(r);
}

static bool begin(struct worker *w, struct slot *s, struct random *rnd)
{
	unsigned block = (unsigned)random_below(rnd, NR_BLOCKS), what = (unsigned)random_below(rnd, 24);
	uint64_t stripe = (uint64_t)block * BLOCK + w->id * STRIPE;

	s->r = (struct cwt_request){ .op = CWT_READ, .offset_bytes = stripe, .len_bytes = STRIPE, .buf = s->buf, .done = done,
		.released = random_below(rnd, 2) ? released : NULL, .user = s };
	s->block = block;
	s->is_mine = what >= 5;
	if (what == 0) {
		s->r.op = CWT_FLUSH;
	} else if (what < 5) {
		s->r.offset_bytes = (uint64_t)block * BLOCK;	/* others' stripes too: any content */
		s->r.len_bytes = BLOCK;
	} else if (w->in_use[block]) {
		return false;
	} else if (what < 8) {
		s->r.op = what == 5 ? CWT_PUNCH : CWT_ZERO;
		w->last[block] = 0;
	} else if (what < 16) {
		s->r.op = CWT_WRITE;
		w->last[block] = (uint8_t)random_next(rnd);
		memset(s->buf, w->last[block], STRIPE);
	}
	w->in_use[block] |= s->is_mine;
	s->busy = true;
	cwt_submit(w->loop, &s->r);
	return true;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct random rnd = { w->seed };
	unsigned nr_begun = 0;

	if (cwt_loop_open(e, &w->loop))
		abort();
	w->nr_done = 0;
	while (w->nr_done < REQUESTS) {
		struct pollfd pfd = { .fd = cwt_loop_fd(w->loop), .events = POLLIN };

		for (unsigned i = 0; i < DEPTH && nr_begun < REQUESTS; i++)
			if (!w->slots[i].busy)
				nr_begun += begin(w, &w->slots[i], &rnd);
		if (!cwt_loop_turn(w->loop) && w->nr_done < nr_begun && poll(&pfd, 1, WAIT_MS) != 1)
			abort();	/* a wake-up was lost */
	}
	cwt_loop_close(w->loop);
	atomic_fetch_sub(&nr_working, 1);
	return NULL;
}

/*
 * ------------------------------------------------------------------ what happens beside them
 */
static void fault(struct random *rnd)
{
	static const unsigned kinds[] = { FAULTY_READ, FAULTY_WRITE, FAULTY_READ | FAULTY_WRITE, FAULTY_FLUSH, FAULTY_ANY };
	static const enum faulty_effect effects[] = { FAULTY_FAIL, FAULTY_FAIL_AFTER, FAULTY_FAIL_PARTWAY, FAULTY_DELAY };
	struct faulty_rule rule = { .kinds = kinds[random_below(rnd, 5)], .skip = random_below(rnd, 30), .error = -EIO,
				    .times = 1 + random_below(rnd, 20), .effect = effects[random_below(rnd, 4)], .delay_ms = 1 };
	unsigned store = (unsigned)random_below(rnd, 8);

	if (store == 0) {
		rule.kinds = FAULTY_FLUSH;	/* of the origin nothing else may fail: what it holds is what is checked */
		rule.effect = FAULTY_FAIL;
	}
	store = store == 0 ? 0 : store == 1 ? 2 : 1;	/* the metadata seldom: one failure may end caching for the round */
	if (faulty_device_add_rule(faulty[store], &rule) == -ENOSPC)
		faulty_device_clear_rules(faulty[store]);
}

static void disturb(uint64_t seed)
{
	static const char *const messages[] = { "commit", "invalidate 0 40000", "drop", "bypass on", "bypass off", "cache-ok",
						"origin-ok", "commit", "invalidate 5000 1" };
	struct random rnd = { seed };

	while (atomic_load(&nr_working)) {
		struct cwt_status s;

		(void)cwt_message(e, messages[random_below(&rnd, ARRAY_SIZE(messages))], NULL);	/* faults may make it fail */
		cwt_get_status(e, &s);
		ck_assert(s.books_balance);
		fault(&rnd);
		poll(NULL, 0, 1);
	}
}

static void run_workers(uint64_t seed)
{
	pthread_t threads[NR_THREADS];

	atomic_store(&nr_working, NR_THREADS);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		workers[i].id = i;
		workers[i].seed = seed * NR_THREADS + i + 1;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	disturb(seed);
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

/*
 * ------------------------------------------------------------------ rounds
 */
static void open_engine(const char *policy, bool warm_after_power)
{
	struct engine_options o = { .policy = policy, .commit_interval_ms = 2, .warm_after_power = warm_after_power,
				    .env = { .boot_id = { 1, 1 }, .pid = 1 } };
	struct store_devices devices;
	struct cwt_error err;
	int ret;

	for (unsigned i = 0; i < 3; i++)
		faulty[i] = rig_wrap(memory[i], false, false);
	devices = (struct store_devices){ .origin = faulty[0], .cache = faulty[1], .metadata = faulty[2] };
	ret = engine_open(&devices, &o, &e, &err);
	ck_assert_msg(!ret, "%s", err.text);
}

static void check_stores(void)
{
	const uint8_t *origin = memory_device_bytes(memory[0]), *cache = memory_device_bytes(memory[1]);

	for (unsigned block = 0; block < NR_BLOCKS; block++) {
		cblock_t c = map_lookup(&e->map, OBLOCK(block));

		for (unsigned i = 0; i < BLOCK; i++)
			ck_assert_uint_eq(origin[block * BLOCK + i], workers[i / STRIPE].last[block]);
		if (!cblock_is_none(c))
			ck_assert_msg(!memcmp(origin + (size_t)block * BLOCK, cache + store_cache_offset(c, BLOCK), BLOCK),
				      "block %u is stale in cache block %u", block, c.v);
	}
}

static void one_round(const char *policy, bool warm_after_power, uint64_t seed)
{
	struct cwt_status s;

	open_engine(policy, warm_after_power);
	check_stores();		/* what survived the last round */
	run_workers(seed);
	for (unsigned i = 0; i < 3; i++)
		faulty_device_clear_rules(faulty[i]);
	for (unsigned i = 0; i < NR_THREADS; i++)
		ck_assert_msg(!workers[i].nr_bad, "seed %llu, thread %u: %u wrong answers", (unsigned long long)seed, i,
			      workers[i].nr_bad);
	check_stores();
	cwt_get_status(e, &s);
	ck_assert_uint_eq(s.requests_in_flight, 0);
	(void)cwt_close(e);	/* after a failed flush, or dead metadata, a stop is not a clean one */
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(faults_messages_and_restarts_beside_four_loops_change_no_answer)
{
	static const char *const policies[] = { "clock", "lru" };
	const uint64_t sizes[3] = { (uint64_t)NR_BLOCKS * BLOCK, (NR_CBLOCKS + 1ull) * BLOCK,
				    store_metadata_size(NR_CBLOCKS, (uint64_t)NR_BLOCKS * BLOCK, BLOCK) };
	struct store_geometry geo = { .block_size_bytes = BLOCK, .nr_cblocks = NR_CBLOCKS, .origin_size_bytes = sizes[0] };
	uint64_t seed = number_from("CWT_STRESS_SEED", 1), rounds = number_from("CWT_STRESS_ROUNDS", 3);

	for (unsigned i = 0; i < 3; i++) {
		struct memory_options o = { .size_bytes = sizes[i] };

		ck_assert_int_eq(memory_device_open(i == 0 ? "origin" : i == 1 ? "cache" : "metadata", &o, &memory[i]), 0);
	}
	memset(workers, 0, sizeof(workers));
	memset(memory_device_bytes(memory[0]), 0, sizes[0]);
	ck_assert_int_eq(store_format(memory[2], &geo, NULL), 0);
	for (uint64_t round = 0; round < rounds; round++)
		one_round(policies[_i / 2], _i % 2, seed + round);
	for (unsigned i = 0; i < 3; i++)
		device_close(memory[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-stress");
	TCase *tc = tcase_create("stress");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, getenv("CWT_STRESS_ROUNDS") ? 0 : 120);
	tcase_add_loop_test(tc, faults_messages_and_restarts_beside_four_loops_change_no_answer, 0, 4);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
