/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine alone: no FUSE, no disks, one thread (but for the last two columns of the first table).
 *
 *	bench-engine MS ROUNDS CBLOCKS...
 *
 * For each number of cblocks, a cache of 4 KiB blocks, full but for a little, over hollow stores: their transfers end at
 * the next reap and move nothing, so that what is measured is the engine's own work.  The metadata is real, in memory.
 * Requests are of 4 KiB at random places; a kind is measured for MS milliseconds, ROUNDS times, kinds interleaved.
 * Printed are medians [lowest highest] in ns of wall time per request:
 *
 *	read hit 1, 32	one request in flight, 32
 *	write hit 32	both legs, and the busy mark
 *	read miss 32	at the origin, of blocks that are not promoted
 *	write miss 32
 *	2 threads	read hits of 32 in flight, on two loops at once: per request of each
 *	promotion 32	read misses, every other of which asks for promotion (done last, since it demotes what is cached),
 *			and how many of 100 were promoted: the rest found that free cblocks wait for a commit
 *
 * and of the whole cache: bytes of memory per cblock, without the loops' fixed pools; opening it warm; a commit of 1000
 * mappings removed side by side, and of 1000 at random places (each on a page of its own where there are enough).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/random.h"
#include "device/memory.h"
#include "engine/engine.h"
#include "engine/loop.h"

#define BLOCK 4096u
#define DEPTH_MAX 32u
#define ROUNDS_MAX 101u
#define COMMIT_CHANGES 1000u

_Noreturn static void die(const char *what, int error)
{
	fprintf(stderr, "bench-engine: %s%s%s\n", what, error ? ": " : "", error ? strerror(-error) : "");
	exit(1);
}

static void must(int ret, const char *what)
{
	if (ret)
		die(what, ret);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * ------------------------------------------------------------------ hollow stores: big, and only the first block is real
 */
struct hollow { struct device dev; uint8_t first[BLOCK]; };

static void hollow_submit(struct device *dev, struct device_queue *q, struct device_io *io)
{
	(void)dev;
	device_io_done_later(q, io, 0);
}

static int hollow_rw(struct device *dev, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes)
{
	struct hollow *h = container_of(dev, struct hollow, dev);
	size_t here = offset_bytes < BLOCK ? MIN(len_bytes, BLOCK - offset_bytes) : 0;

	if (op == DEVICE_WRITE) {
		memcpy(h->first + (here ? offset_bytes : 0), buf, here);
		return 0;
	}
	memcpy(buf, h->first + (here ? offset_bytes : 0), here);
	memset((uint8_t *)buf + here, 0, len_bytes - here);
	return 0;
}

static int hollow_flush(struct device *dev)
{
	(void)dev;
	return 0;
}

static int hollow_zero(struct device *dev, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes)
{
	(void)dev, (void)op, (void)offset_bytes, (void)len_bytes;
	return 0;
}

static int hollow_identity(struct device *dev, struct device_identity *id)
{
	*id = (struct device_identity){ .dev = 1, .ino = (uintptr_t)dev, .size_bytes = dev->info.size_bytes };
	return 0;
}

static void hollow_close(struct device *dev)
{
	free(container_of(dev, struct hollow, dev));
}

static const struct device_ops hollow_ops = {
	.name = "hollow", .submit = hollow_submit, .rw = hollow_rw, .flush = hollow_flush, .zero = hollow_zero,
	.identity = hollow_identity, .close = hollow_close,
};

static struct device *hollow_open(const char *name, uint64_t size_bytes)
{
	struct hollow *h = calloc(1, sizeof(*h));

	if (!h)
		die(name, -ENOMEM);
	h->dev.ops = &hollow_ops;
	h->dev.info = (struct device_info){ .size_bytes = size_bytes, .align_bytes = 512, .fast = true };
	snprintf(h->dev.name, sizeof(h->dev.name), "%s", name);
	return &h->dev;
}

/*
 * ------------------------------------------------------------------ one size of cache
 */
struct bench {
	uint32_t nr_cblocks, nr_mapped;
	uint64_t nr_oblocks;		/* four times as many as cblocks; the first nr_mapped are cached at the start */
	struct store_devices devices;
	struct cwt *cwt;
	struct cwt_loop *loop;
	double open_ms;
};

static void open_stores(struct bench *b)
{
	uint64_t origin_size = b->nr_oblocks * BLOCK;
	struct store_geometry geo = { .block_size_bytes = BLOCK, .nr_cblocks = b->nr_cblocks, .origin_size_bytes = origin_size };
	struct memory_options o = { .size_bytes = store_metadata_size(b->nr_cblocks, origin_size, BLOCK) };
	struct cwt_error err = { "" };

	b->devices.origin = hollow_open("origin", origin_size);
	b->devices.cache = hollow_open("cache", ((uint64_t)b->nr_cblocks + 1) * BLOCK);
	must(memory_device_open("metadata", &o, &b->devices.metadata), "metadata");
	must(store_format(b->devices.metadata, &geo, &err), err.text);
}

/* Block n in cblock n, stopped cleanly. */
static void map_all(struct bench *b)
{
	struct store_options options = { .boot_id = { 1, 1 }, .pid = 1 };
	struct store_entry entries[STORE_ENTRIES_PER_PAGE];
	struct cwt_error err = { "" };
	enum store_start start;
	struct store *store;
	int ret;

	must(store_open(&b->devices, &options, &store, &start, &err), err.text);
	store_commit_begin(store, COMMIT_CLEAN);
	for (uint32_t page = 0; page < store_nr_pages(store); page++) {
		for (uint32_t i = 0; i < STORE_ENTRIES_PER_PAGE; i++) {
			uint32_t c = page * STORE_ENTRIES_PER_PAGE + i;

			entries[i] = (struct store_entry){ .oblock = OBLOCK(c < b->nr_mapped ? c : BLOCK_NONE) };
		}
		must(store_commit_page(store, page, entries), "commit");
	}
	while ((ret = store_commit_step(store)) > 0)
		;
	must(ret, "commit");
	store_close(store);
}

static void open_engine(struct bench *b)
{
	struct engine_options options = { .env = { .boot_id = { 1, 1 }, .pid = 1 } };
	struct cwt_error err = { "" };
	uint64_t begin;

	open_stores(b);
	map_all(b);
	begin = now_ns();
	must(engine_open(&b->devices, &options, &b->cwt, &err), err.text);
	b->open_ms = (double)(now_ns() - begin) / 1e6;
	must(cwt_loop_open(b->cwt, &b->loop), "loop");
}

static double memory_per_cblock(const struct bench *b)
{
	struct cwt_status status;

	cwt_get_status(b->cwt, &status);
	return (double)(status.memory_bytes - b->cwt->loops_bytes) / b->nr_cblocks;
}

static double commit_ms(const struct bench *b, struct random *random, bool scattered)
{
	uint64_t first = random_below(random, b->nr_mapped - COMMIT_CHANGES);
	struct cwt_error err = { "" };
	uint64_t begin;
	char text[64];

	must(cwt_message(b->cwt, "commit", &err), err.text);
	for (unsigned i = 0; i < COMMIT_CHANGES; i++) {
		snprintf(text, sizeof(text), "invalidate %llu %u",
			 (unsigned long long)(scattered ? random_below(random, b->nr_mapped) : first + i) * BLOCK, BLOCK);
		must(cwt_message(b->cwt, text, &err), err.text);
	}
	begin = now_ns();
	must(cwt_message(b->cwt, "commit", &err), err.text);
	return (double)(now_ns() - begin) / 1e6;
}

/*
 * ------------------------------------------------------------------ one kind of request, closed loop
 */
struct kind {
	const char *name;
	enum cwt_op op;
	unsigned depth, nr_threads;
	enum { CACHED, UNCACHED, ONCE_MORE } where;
};

static const struct kind kinds[] = {
	{ "read hit 1", CWT_READ, 1, 1, CACHED }, { "read hit 32", CWT_READ, 32, 1, CACHED },
	{ "write hit 32", CWT_WRITE, 32, 1, CACHED }, { "read miss 32", CWT_READ, 32, 1, UNCACHED },
	{ "write miss 32", CWT_WRITE, 32, 1, UNCACHED }, { "2 threads", CWT_READ, 32, 2, CACHED },
	{ "promotion 32", CWT_READ, 32, 1, ONCE_MORE },
};
#define NR_KINDS ARRAY_SIZE(kinds)
#define PROMOTION (NR_KINDS - 1)

struct pass {
	struct bench *b;
	struct cwt_loop *loop;
	const struct kind *kind;
	struct random random;
	uint64_t nr_done, nr_begun, end_ns;
	unsigned in_flight;
	double ns;
};

/*
 * Cached: those that are since the start, but for what promotions have demoted.  Uncached: never twice the same within
 * reach of the policy's memory.  Once more: each block twice, one after the other, of which the second is promoted.
 */
static uint64_t next_block(struct pass *p)
{
	uint64_t nr_uncached = p->b->nr_oblocks - p->b->nr_cblocks, n = p->nr_begun++;

	if (p->kind->where == CACHED)
		return random_below(&p->random, p->b->nr_mapped);
	if (p->kind->where == ONCE_MORE)
		n /= 2;
	return p->b->nr_cblocks + (n * 40503u + p->random.state % nr_uncached) % nr_uncached;
}

static void pass_done(struct cwt_request *r)
{
	struct pass *p = r->user;

	if (r->result != BLOCK)
		die("request", r->result < 0 ? (int)r->result : -EIO);
	p->in_flight--;
	if (!(++p->nr_done % 64) && now_ns() >= p->end_ns)
		p->end_ns = 0;
	if (!p->end_ns)
		return;
	r->offset_bytes = next_block(p) * BLOCK;
	p->in_flight++;
	cwt_submit(p->loop, r);
}

static void pass_run(struct pass *p, unsigned duration_ms)
{
	static __thread struct cwt_request requests[DEPTH_MAX];
	static __thread uint8_t bufs[DEPTH_MAX][BLOCK] __attribute__((aligned(4096)));
	uint64_t begin = now_ns();

	p->nr_done = p->nr_begun = 0;
	p->end_ns = begin + duration_ms * 1000000ull;
	for (unsigned i = 0; i < p->kind->depth; i++) {
		requests[i] = (struct cwt_request){ .op = p->kind->op, .len_bytes = BLOCK, .buf = bufs[i], .done = pass_done,
			.user = p, .offset_bytes = next_block(p) * BLOCK };
		p->in_flight++;
		cwt_submit(p->loop, &requests[i]);
	}
	while (p->in_flight) {
		struct pollfd pfd = { .fd = cwt_loop_fd(p->loop), .events = POLLIN };

		if (!cwt_loop_turn(p->loop))
			poll(&pfd, 1, 1000);
	}
	p->ns = (double)(now_ns() - begin) / (double)p->nr_done;
}

struct second { struct pass pass; unsigned duration_ms; };

static void *second_main(void *arg)
{
	struct second *s = arg;

	must(cwt_loop_open(s->pass.b->cwt, &s->pass.loop), "loop");
	pass_run(&s->pass, s->duration_ms);
	cwt_loop_close(s->pass.loop);
	return NULL;
}

static double measure(struct bench *b, const struct kind *kind, unsigned duration_ms, struct random *random)
{
	struct pass p = { .b = b, .loop = b->loop, .kind = kind, .random = { random_next(random) } };
	struct second s = { .pass = p, .duration_ms = duration_ms };
	pthread_t thread;

	s.pass.random.state++;
	if (kind->nr_threads > 1)
		must(-pthread_create(&thread, NULL, second_main, &s), "thread");
	pass_run(&p, duration_ms);
	if (kind->nr_threads > 1)
		pthread_join(thread, NULL);
	return kind->nr_threads > 1 ? (p.ns + s.pass.ns) / 2 : p.ns;
}

/*
 * ------------------------------------------------------------------ all of it
 */
static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_median(double *values, unsigned nr, const char *format)
{
	qsort(values, nr, sizeof(*values), compare);
	printf(format, values[nr / 2], values[0], values[nr - 1]);
}

static uint64_t nr_promotions(struct bench *b, uint64_t *nr_requests)
{
	struct cwt_status status;

	cwt_get_status(b->cwt, &status);
	*nr_requests = status.block_requests;
	return status.promotions;
}

struct results { double kinds[NR_KINDS][ROUNDS_MAX], side_by_side[ROUNDS_MAX], scattered[ROUNDS_MAX], memory, promoted; };

static void bench_rounds(struct bench *b, unsigned duration_ms, unsigned nr_rounds, struct results *r)
{
	struct random random = { b->nr_cblocks };
	uint64_t requests, requests_after, promotions;

	for (unsigned round = 0; round < nr_rounds; round++)
		for (unsigned k = 0; k < PROMOTION; k++)
			r->kinds[k][round] = measure(b, &kinds[k], duration_ms, &random);
	for (unsigned round = 0; round < nr_rounds; round++) {
		r->side_by_side[round] = commit_ms(b, &random, false);
		r->scattered[round] = commit_ms(b, &random, true);
	}
	promotions = nr_promotions(b, &requests);
	for (unsigned round = 0; round < nr_rounds; round++)
		r->kinds[PROMOTION][round] = measure(b, &kinds[PROMOTION], duration_ms, &random);
	promotions = nr_promotions(b, &requests_after) - promotions;
	r->promoted = 100.0 * (double)promotions / (double)(requests_after - requests);
}

static void bench_size(uint32_t nr_cblocks, unsigned duration_ms, unsigned nr_rounds)
{
	static struct results r;
	struct bench b = { .nr_cblocks = nr_cblocks, .nr_mapped = nr_cblocks - nr_cblocks / 16, .nr_oblocks = 4ull * nr_cblocks };

	open_engine(&b);
	r.memory = memory_per_cblock(&b);
	bench_rounds(&b, duration_ms, nr_rounds, &r);
	printf("| %u Ki |", nr_cblocks >> 10);
	for (unsigned k = 0; k < NR_KINDS; k++)
		print_median(r.kinds[k], nr_rounds, " %.0f [%.0f %.0f] |");
	printf(" %.0f %% | %.1f | %.1f |", r.promoted, r.memory, b.open_ms);
	print_median(r.side_by_side, nr_rounds, " %.2f [%.2f %.2f] |");
	print_median(r.scattered, nr_rounds, " %.2f [%.2f %.2f] |\n");
	fflush(stdout);
	cwt_loop_close(b.loop);
	must(cwt_close(b.cwt), "close");
}

int main(int argc, char **argv)
{
	unsigned duration_ms = argc > 3 ? (unsigned)atoi(argv[1]) : 0, nr_rounds = argc > 3 ? (unsigned)atoi(argv[2]) : 0;

	if (!duration_ms || !nr_rounds || nr_rounds > ROUNDS_MAX)
		die("usage: bench-engine MS ROUNDS CBLOCKS...", 0);
	printf("| cblocks |");
	for (unsigned k = 0; k < NR_KINDS; k++)
		printf(" %s |", kinds[k].name);
	printf(" promoted | bytes/cblock | open, ms | commit of %u, ms | scattered, ms |\n|", COMMIT_CHANGES);
	for (unsigned k = 0; k < NR_KINDS + 6; k++)
		printf(" --- |");
	printf("\n");
	for (int i = 3; i < argc; i++) {
		uint32_t nr = (uint32_t)strtoul(argv[i], NULL, 10);

		if (nr < 1024 || nr > 64u << 20)
			die("CBLOCKS: from 1024 to 67108864", 0);
		bench_size(nr, duration_ms, nr_rounds);
	}
	return 0;
}
