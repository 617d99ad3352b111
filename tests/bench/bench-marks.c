/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What marks cost: write hits through the engine, without a mount.
 *
 *	bench-marks DIR IMAGE-MIB BLOCK-SIZE MS ROUNDS COMMIT-INTERVAL-MS
 *
 * The image is wholly cached; random writes of 4 KiB, one in flight and 32.  Three ways, one after the other in each
 * round, over the same stores in DIR:
 *	off	no busy mark is written, which no mount does; the bits are kept in memory all the same
 *	kill	as --warm-after kill: busy marks
 *	power	as --warm-after power: busy marks, durable region marks, flushes at commits
 * A round measures each for MS milliseconds.  Printed are medians over the rounds [lowest highest], and the ratios to
 * off: medians of those within a round.  On a machine with other work the CPU time and the lowest wall time say most.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/random.h"
#include "engine/engine.h"

#define WRITE_BYTES 4096u
#define DEPTH_MAX 32u
#define ROUNDS_MAX 100u

enum way { WAY_OFF, WAY_KILL, WAY_POWER, NR_WAYS };
static const char *const way_names[NR_WAYS] = { "off", "kill", "power" };
static const unsigned depths[] = { 1, DEPTH_MAX };
#define NR_DEPTHS ARRAY_SIZE(depths)

struct result { double wall_ns, cpu_ns; };	/* per write */

struct bench {
	char origin[512], cache[512], metadata[512];
	uint64_t size_bytes;
	unsigned block_size, pass_ms, nr_rounds, commit_interval_ms;
	struct result results[NR_WAYS][NR_DEPTHS][ROUNDS_MAX];
};

struct pass {
	struct cwt_loop *loop;
	struct random random;
	uint64_t nr_blocks, nr_done, end_ns;
	unsigned in_flight;
};

_Noreturn static void die(const char *what, int error)
{
	fprintf(stderr, "bench-marks: %s%s%s\n", what, error ? ": " : "", error ? strerror(-error) : "");
	exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * ------------------------------------------------------------------ one pass: closed loop, depth writes in flight
 */
static void pass_done(struct cwt_request *r)
{
	struct pass *p = r->user;

	if (r->result < 0)
		die("request", (int)r->result);
	p->in_flight--;
	p->nr_done++;
	if (clock_ns(CLOCK_MONOTONIC) >= p->end_ns)
		return;
	r->offset_bytes = random_below(&p->random, p->nr_blocks) * WRITE_BYTES;
	p->in_flight++;
	cwt_submit(p->loop, r);
}

static void pass_wait(struct pass *p)
{
	struct pollfd pfd = { .fd = cwt_loop_fd(p->loop), .events = POLLIN };

	while (p->in_flight)
		if (!cwt_loop_turn(p->loop))
			poll(&pfd, 1, -1);
}

static struct result pass_run(struct pass *p, unsigned depth, uint64_t duration_ns)
{
	static struct cwt_request requests[DEPTH_MAX];
	static uint8_t bufs[DEPTH_MAX][WRITE_BYTES] __attribute__((aligned(4096)));
	uint64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	p->nr_done = 0;
	p->end_ns = wall + duration_ns;
	for (unsigned i = 0; i < depth; i++) {
		requests[i] = (struct cwt_request){ .op = CWT_WRITE, .len_bytes = WRITE_BYTES, .buf = bufs[i],
			.done = pass_done, .user = p,
			.offset_bytes = random_below(&p->random, p->nr_blocks) * WRITE_BYTES };
		p->in_flight++;
		cwt_submit(p->loop, &requests[i]);
	}
	pass_wait(p);
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	return (struct result){ (double)wall / (double)p->nr_done, (double)cpu / (double)p->nr_done };
}

/*
 * ------------------------------------------------------------------ the stores, opened one way
 */
static struct cwt *open_way(const struct bench *b, enum way way)
{
	struct cwt_config config = {
		.origin_path = b->origin, .cache_path = b->cache, .metadata_path = b->metadata,
		.cache_size_bytes = b->size_bytes / 4 * 5,	/* some of it is kept free */
		.block_size_bytes = b->block_size,
		.policy = "lru", .commit_interval_ms = b->commit_interval_ms, .warm_after_power = way == WAY_POWER,
	};
	struct cwt_error err;
	struct cwt *cwt;

	if (cwt_open(&config, &cwt, &err))
		die(err.text, 0);
	pthread_mutex_lock(&cwt->lock);
	cwt->marks.off = way == WAY_OFF;
	pthread_mutex_unlock(&cwt->lock);
	return cwt;
}

static void read_done(struct cwt_request *r)
{
	struct pass *p = r->user;

	p->in_flight--;
}

/* Read all of it, one block at a time, so that each is promoted. */
static void warm(const struct bench *b)
{
	struct cwt *cwt = open_way(b, WAY_KILL);
	uint8_t *buf = aligned_alloc(4096, b->block_size);
	struct cwt_request r = { .op = CWT_READ, .len_bytes = b->block_size, .buf = buf, .done = read_done };
	struct pass p = { 0 };
	int ret = cwt_loop_open(cwt, &p.loop);

	if (!buf || ret)
		die("loop", ret ? ret : -ENOMEM);
	r.user = &p;
	for (r.offset_bytes = 0; r.offset_bytes < b->size_bytes; r.offset_bytes += b->block_size) {
		p.in_flight++;
		cwt_submit(p.loop, &r);
		pass_wait(&p);
	}
	cwt_loop_close(p.loop);
	ret = cwt_close(cwt);
	if (ret)
		die("close", ret);
	free(buf);
}

static void measure_way(struct bench *b, enum way way, unsigned round)
{
	struct cwt *cwt = open_way(b, way);
	struct pass p = { .nr_blocks = b->size_bytes / WRITE_BYTES, .random = { .state = round } };
	struct cwt_status status;
	int ret = cwt_loop_open(cwt, &p.loop);

	if (ret)
		die("loop", ret);
	for (unsigned d = 0; d < NR_DEPTHS; d++) {
		pass_run(&p, depths[d], 200000000);	/* until everything is in its place */
		b->results[way][d][round] = pass_run(&p, depths[d], b->pass_ms * UINT64_C(1000000));
	}
	cwt_get_status(cwt, &status);
	if (status.write_misses || status.bypassed || !status.write_hits)
		die("not every write was a hit", 0);
	cwt_loop_close(p.loop);
	ret = cwt_close(cwt);
	if (ret)
		die("close", ret);
}

/*
 * ------------------------------------------------------------------ what came out
 */
static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread { double median, low, high; };

static struct spread spread_of(double *values, unsigned nr)
{
	qsort(values, nr, sizeof(*values), by_value);
	return (struct spread){ .median = values[nr / 2], .low = values[0], .high = values[nr - 1] };
}

static void print_way(const struct bench *b, enum way way, unsigned d)
{
	double wall[ROUNDS_MAX], cpu[ROUNDS_MAX], wall_ratio[ROUNDS_MAX], cpu_ratio[ROUNDS_MAX];
	struct spread w, c, wr, cr;

	for (unsigned i = 0; i < b->nr_rounds; i++) {
		wall[i] = b->results[way][d][i].wall_ns;
		cpu[i] = b->results[way][d][i].cpu_ns;
		wall_ratio[i] = wall[i] / b->results[WAY_OFF][d][i].wall_ns;
		cpu_ratio[i] = cpu[i] / b->results[WAY_OFF][d][i].cpu_ns;
	}
	w = spread_of(wall, b->nr_rounds);
	c = spread_of(cpu, b->nr_rounds);
	wr = spread_of(wall_ratio, b->nr_rounds);
	cr = spread_of(cpu_ratio, b->nr_rounds);
	printf("%5u  %-5s %8.0f [%7.0f %7.0f] %8.0f %5.2f [%.2f %.2f]", depths[d], way_names[way], w.median, w.low, w.high,
	       1e9 / w.median, wr.median, wr.low, wr.high);
	printf(" %8.0f [%6.0f %6.0f] %5.2f [%.2f %.2f]\n", c.median, c.low, c.high, cr.median, cr.low, cr.high);
}

static void make_origin(const struct bench *b)
{
	int fd = open(b->origin, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	static uint8_t buf[1 << 20];

	if (fd < 0)
		die(b->origin, -errno);
	for (uint64_t at = 0; at < b->size_bytes; at += sizeof(buf))
		if (write(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			die(b->origin, -errno);
	if (fsync(fd))
		die(b->origin, -errno);
	close(fd);
}

int main(int argc, char **argv)
{
	static struct bench b;

	if (argc != 7 || strlen(argv[1]) > 400 || atoi(argv[5]) < 1 || atoi(argv[5]) > (int)ROUNDS_MAX) {
		fprintf(stderr, "usage: bench-marks DIR IMAGE-MIB BLOCK-SIZE MS ROUNDS COMMIT-INTERVAL-MS\n");
		return 2;
	}
	snprintf(b.origin, sizeof(b.origin), "%s/origin", argv[1]);
	snprintf(b.cache, sizeof(b.cache), "%s/cache", argv[1]);
	snprintf(b.metadata, sizeof(b.metadata), "%s/metadata", argv[1]);
	b.size_bytes = (uint64_t)atoi(argv[2]) << 20;
	b.block_size = (unsigned)atoi(argv[3]);
	b.pass_ms = (unsigned)atoi(argv[4]);
	b.nr_rounds = (unsigned)atoi(argv[5]);
	b.commit_interval_ms = (unsigned)atoi(argv[6]);
	cwt_set_log(NULL, NULL, 1);
	make_origin(&b);
	warm(&b);
	for (unsigned round = 0; round < b.nr_rounds; round++)
		for (unsigned i = 0; i < NR_WAYS; i++)
			measure_way(&b, (enum way)((i + round) % NR_WAYS), round);	/* nobody is always first */
	printf("depth  marks       ns per write         writes/s  ratio to off "
	       "       CPU ns per write       ratio to off\n");
	for (unsigned d = 0; d < NR_DEPTHS; d++)
		for (unsigned way = 0; way < NR_WAYS; way++)
			print_way(&b, (enum way)way, d);
	return 0;
}
