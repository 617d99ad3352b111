/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine as the program runs it: two loop threads, job threads, the commit thread, and messages from outside.  Each thread
 * writes stripes of its own into every block, checks what it reads of them, and reads what others write.  For ThreadSanitizer above
 * all; at the end every mapping must equal the origin.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/random.h"
#include "device/memory.h"
#include "engine/engine.h"
#include "engine/loop.h"

#define BLOCK 4096u
#define NR_BLOCKS 64u
#define NR_CBLOCKS 24u
#define NR_THREADS 2u
#define STRIPE (BLOCK / NR_THREADS)
#define DEPTH 8u
#define ROUNDS 3000u

static struct cwt *e;
static struct device *origin, *cache, *metadata;

struct slot {
	struct cwt_request r;
	uint8_t buf[BLOCK];
	bool busy, is_mine;
	unsigned block;
};

struct worker {
	unsigned id;
	struct cwt_loop *loop;
	struct slot slots[DEPTH];
	uint8_t last[NR_BLOCKS];	/* what this thread's stripe of each block holds */
	bool in_use[NR_BLOCKS];		/* a request of ours on our stripe is under way */
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

/* From now on our stripe is as this request has left it, though a cache leg may be under way. */
static void done(struct cwt_request *r)
{
	struct slot *s = r->user;
	struct worker *w = worker_of(s);

	if (s->is_mine) {
		w->in_use[s->block] = false;
		for (unsigned i = 0; r->op == CWT_READ && i < STRIPE; i++)
			w->nr_bad += s->buf[i] != w->last[s->block];
	}
	w->nr_bad += r->op == CWT_FLUSH ? r->result != 0 : r->result != (int64_t)r->len_bytes;
	if (!r->released)
		released(r);
}

static bool begin(struct worker *w, struct slot *s, struct random *rnd)
{
	unsigned block = (unsigned)random_below(rnd, NR_BLOCKS), what = (unsigned)random_below(rnd, 20);
	uint64_t stripe = (uint64_t)block * BLOCK + w->id * STRIPE;

	s->r = (struct cwt_request){ .op = CWT_READ, .offset_bytes = stripe, .len_bytes = STRIPE, .buf = s->buf, .done = done,
		.released = random_below(rnd, 2) ? released : NULL, .user = s };
	s->block = block;
	s->is_mine = true;
	if (what == 0) {
		s->r.op = CWT_FLUSH;
		s->is_mine = false;
	} else if (what < 5) {
		s->r.offset_bytes = (uint64_t)block * BLOCK;	/* others' stripes too: any content */
		s->r.len_bytes = BLOCK;
		s->is_mine = false;
	} else if (w->in_use[block]) {
		return false;
	} else if (what < 7) {
		s->r.op = CWT_PUNCH;
		w->last[block] = 0;
	} else if (what < 13) {
		s->r.op = CWT_WRITE;
		w->last[block] = (uint8_t)random_next(rnd);
		memset(s->buf, w->last[block], STRIPE);
	}
	w->in_use[block] |= s->is_mine;
	s->busy = true;
	cwt_submit(w->loop, &s->r);
	return true;
}

#define WAIT_MS 60000

/* One waits by level, the other by edges.  A wake-up that is lost ends the test. */
static int wait_open(struct worker *w)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, cwt_loop_fd(w->loop), &event))
		abort();
	if (w->id)
		cwt_loop_fd_edge_triggered(w->loop);
	return epoll_fd;
}

static void wait_for_loop(struct worker *w, int epoll_fd)
{
	struct pollfd pfd = { .fd = cwt_loop_fd(w->loop), .events = POLLIN };
	struct epoll_event event;

	if ((w->id ? epoll_wait(epoll_fd, &event, 1, WAIT_MS) : poll(&pfd, 1, WAIT_MS)) != 1)
		abort();
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct random rnd = { w->id + 1 };
	unsigned nr_begun = 0;
	int epoll_fd;

	if (cwt_loop_open(e, &w->loop))
		abort();
	epoll_fd = wait_open(w);
	while (w->nr_done < ROUNDS) {
		for (unsigned i = 0; i < DEPTH && nr_begun < ROUNDS; i++)
			if (!w->slots[i].busy)
				nr_begun += begin(w, &w->slots[i], &rnd);
		if (!cwt_loop_turn(w->loop) && w->nr_done < nr_begun)
			wait_for_loop(w, epoll_fd);
	}
	cwt_loop_close(w->loop);
	close(epoll_fd);
	return NULL;
}

static struct device *memory(const char *name, uint64_t size)
{
	struct memory_options o = { .size_bytes = size };
	struct device *dev;

	ck_assert_int_eq(memory_device_open(name, &o, &dev), 0);
	return dev;
}

/* Flushes of the origin come one by one (E1): of two at once a system may tell only one that data was lost. */
static struct device_ops origin_ops;
static const uint8_t *origin_bytes;
static int (*memory_flush)(struct device *dev);
static atomic_int nr_flushing;
static atomic_uint nr_flushes, nr_at_once;

static int slow_flush(struct device *dev)
{
	int ret;

	if (atomic_fetch_add(&nr_flushing, 1))
		atomic_fetch_add(&nr_at_once, 1);
	atomic_fetch_add(&nr_flushes, 1);
	poll(NULL, 0, 1);
	ret = memory_flush(dev);
	atomic_fetch_sub(&nr_flushing, 1);
	return ret;
}

static void watch_flushes(struct device *dev)
{
	origin_bytes = memory_device_bytes(dev);
	origin_ops = *dev->ops;
	memory_flush = origin_ops.flush;
	origin_ops.flush = slow_flush;
	dev->ops = &origin_ops;
	nr_flushes = nr_at_once = 0;
}

static void open_engine(const char *policy, bool warm_after_power)
{
	struct store_geometry geo = { .block_size_bytes = BLOCK, .nr_cblocks = NR_CBLOCKS, .origin_size_bytes = NR_BLOCKS * BLOCK };
	struct engine_options o = { .policy = policy, .commit_interval_ms = 1, .warm_after_power = warm_after_power, .env = { .boot_id = { 1, 1 }, .pid = 1 } };
	struct store_devices devices;

	origin = devices.origin = memory("origin", NR_BLOCKS * BLOCK);
	cache = devices.cache = memory("cache", (NR_CBLOCKS + 1) * BLOCK);
	metadata = devices.metadata = memory("metadata", store_metadata_size(NR_CBLOCKS, NR_BLOCKS * BLOCK, BLOCK));
	watch_flushes(origin);
	ck_assert_int_eq(store_format(metadata, &geo, NULL), 0);
	ck_assert_int_eq(engine_open(&devices, &o, &e, NULL), 0);
}

START_TEST(two_loops_and_messages_beside_them)
{
	static const char *const policies[] = { "clock", "lru" };
	static const char *const messages[] = { "commit", "invalidate 0 40000", "commit", "drop", "bypass on", "bypass off" };
	pthread_t threads[NR_THREADS];
	struct cwt_status s;

	open_engine(policies[_i / 2], _i % 2);
	memset(workers, 0, sizeof(workers));
	for (unsigned i = 0; i < NR_THREADS; i++) {
		workers[i].id = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 30; i++) {
		ck_assert_int_eq(cwt_message(e, messages[i % 6], NULL), 0);
		cwt_get_status(e, &s);
		ck_assert(s.books_balance);
		poll(NULL, 0, 2);
	}
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		ck_assert_uint_eq(workers[i].nr_bad, 0);
		ck_assert_uint_eq(workers[i].nr_done, ROUNDS);
	}
	for (uint32_t o = 0; o < NR_BLOCKS; o++) {
		cblock_t c = map_lookup(&e->map, OBLOCK(o));

		if (!cblock_is_none(c))
			ck_assert(!memcmp(origin_bytes + (size_t)o * BLOCK,
					  memory_device_bytes(cache) + store_cache_offset(c, BLOCK), BLOCK));
	}
	cwt_get_status(e, &s);
	ck_assert_uint_gt(s.promotions, 0);
	ck_assert_uint_gt(s.read_hits + s.write_hits, 0);
	ck_assert_uint_eq(s.requests_in_flight, 0);
	ck_assert_uint_gt(nr_flushes, 2);
	ck_assert_msg(!nr_at_once, "%u of %u flushes of the origin ran beside another", nr_at_once, nr_flushes);
	ck_assert_int_eq(cwt_close(e), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-threads");
	TCase *tc = tcase_create("threads");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, two_loops_and_messages_beside_them, 0, 4);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
