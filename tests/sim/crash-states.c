/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Crash states: short workloads on the real engine, recorded, and every state that a crash can leave, recovered.
 *
 *	crash-states [NAME...]
 *
 * Prints for each workload how many states there were and how long it took.  Exit status 1: a state is recovered
 * wrong, or was skipped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#include "base/bits.h"
#include "base/log.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "format.h"
#include "states.h"

#define BLOCK STATES_BLOCK
#define SECTOR 512u
#define SECTORS (BLOCK / SECTOR)

/*
 * ------------------------------------------------------------------ no accident: sessions and times are the same in
 * every recovery
 */
static struct random randomness;

void states_seed_randomness(uint64_t seed) { randomness.state = seed; }

ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	(void)flags;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)random_next(&randomness);
	return (ssize_t)len;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	*ts = (struct timespec){ .tv_sec = 1700000000 };
	return 0;
}

/*
 * ------------------------------------------------------------------ the machine
 */
#define BOOT_MS 1000u	/* since the boot, when it begins */

struct rig {
	struct machine m;
	struct record record;
	uint8_t *bytes[NR_STORES];
	struct recorder dev[NR_STORES];
	uint8_t tag[DEVICE_TAG_BYTES];
	struct cwt *e;
	struct cwt_loop *loop;
	struct list requests;		/* under way */
	uint64_t now_ms;
	int next_value;
	bool early;			/* writes from now on are answered when the origin has them */
};

static uint64_t rig_now_ms(void *ctx) { return ((struct rig *)ctx)->now_ms; }
static uint64_t rig_clock_ns(void *ctx) { return (((struct rig *)ctx)->now_ms - BOOT_MS) * 1000000; }
static int64_t rig_real_ns(void *ctx) { return RECORD_EPOCH_NS + (int64_t)rig_clock_ns(ctx); }

static void rig_start(struct rig *rig)
{
	struct engine_options eo = { .policy = "lru", .warm_after_power = rig->m.warm_after_power, .commit_interval_ms = 1000,
		.env = { .now_ms = rig_now_ms, .real_ns = rig_real_ns, .ctx = rig, .boot_id = { rig->m.boot, 1 }, .pid = 1, .stepped = true, .seed = 1 } };
	struct store_devices devices = { &rig->dev[ORIGIN].dev, &rig->dev[CACHE].dev, &rig->dev[METADATA].dev };
	struct cwt_error err;
	int ret = engine_open(&devices, &eo, &rig->e, &err);

	if (ret) {
		printf("start: %s\n", err.text);
		exit(EXIT_FAILURE);
	}
	ret = cwt_loop_open(rig->e, &rig->loop);
	cwt_assert(!ret);
}

static bool rig_step(struct rig *rig)
{
	return cwt_loop_turn(rig->loop) || recorder_step(&rig->dev[ORIGIN]) || recorder_step(&rig->dev[CACHE]) ||
	       engine_step_job(rig->e);
}

static void rig_settle(struct rig *rig)
{
	while (rig_step(rig))
		;
}

static void rig_init(struct rig *rig, bool warm_after_power)
{
	struct store_geometry geo = { .block_size_bytes = BLOCK, .nr_cblocks = STATES_CBLOCKS,
		.origin_size_bytes = STATES_OBLOCKS * BLOCK };

	memset(rig, 0, sizeof(*rig));
	list_init(&rig->requests);
	rig->now_ms = BOOT_MS;
	rig->m.boot = 1;
	rig->m.warm_after_power = warm_after_power;
	rig->m.size[ORIGIN] = geo.origin_size_bytes;
	rig->m.size[CACHE] = (STATES_CBLOCKS + 1) * BLOCK;
	rig->m.size[METADATA] = store_metadata_size(geo.nr_cblocks, geo.origin_size_bytes, BLOCK);
	for (int i = 0; i < NR_STORES; i++) {
		rig->bytes[i] = calloc(1, rig->m.size[i]);
		rig->m.bytes[i] = malloc(rig->m.size[i]);
		cwt_assert(rig->bytes[i] && rig->m.bytes[i]);
		recorder_init(&rig->dev[i], (enum disk)i, rig->bytes[i], rig->m.size[i], &rig->record);
		rig->dev[i].clock_ns = rig_clock_ns;
		rig->dev[i].clock_ctx = rig;
	}
	rig->dev[ORIGIN].tag = rig->tag;
	for (uint32_t s = 0; s < STATES_OBLOCKS * SECTORS; s++)
		memset(rig->bytes[ORIGIN] + s * SECTOR, 0x80 + (int)s, SECTOR);
	states_seed_randomness(1);
	sim_format(&rig->dev[METADATA].dev, rig->bytes[METADATA], &geo, log2_of(BLOCK));
	rig_start(rig);
	rig->next_value = 1;
}

/* From here on everything counts: what was until now is durable. */
static void rig_record(struct rig *rig)
{
	rig_settle(rig);
	for (int i = 0; i < NR_STORES; i++)
		memcpy(rig->m.bytes[i], rig->bytes[i], rig->m.size[i]);
	memcpy(rig->m.tag, rig->tag, sizeof(rig->tag));
	rig->m.origin_mtime = rig->dev[ORIGIN].mtime;
	rig->record.on = true;
}

/*
 * ------------------------------------------------------------------ requests
 */
struct request_of_test {
	struct cwt_request r;
	struct list node;
	struct rig *rig;
	int value;
	bool *done;
	uint8_t buf[2 * BLOCK];
};

static void request_free(struct request_of_test *q)
{
	list_del(&q->node);
	free(q);
}

/* The buffer is ours again: it may hold anything, and nothing of that is ever seen. */
static void released(struct cwt_request *r)
{
	struct request_of_test *q = r->user;

	memset(q->buf, 0xA5, sizeof(q->buf));
	request_free(q);
}

static void answered(struct cwt_request *r)
{
	struct request_of_test *q = r->user;

	if (r->op == CWT_FLUSH && !r->result)
		record_note(&q->rig->record, NOTE_FSYNCED, q->value, 0, 0);
	else if (r->op != CWT_READ && r->result == (int64_t)r->len_bytes)
		record_note(&q->rig->record, NOTE_ANSWERED, q->value, r->offset_bytes / SECTOR,
			    (r->offset_bytes + r->len_bytes) / SECTOR);
	if (!r->released)
		request_free(q);
}

/* Sectors [from, from + nr) of the image. */
static void begin(struct rig *rig, enum cwt_op op, uint32_t from, uint32_t nr)
{
	struct request_of_test *q = calloc(1, sizeof(*q));

	cwt_assert(q && nr * SECTOR <= sizeof(q->buf));
	list_init(&q->node);
	list_add_tail(&rig->requests, &q->node);
	q->rig = rig;
	q->value = op == CWT_WRITE || op == CWT_FLUSH ? rig->next_value++ : 0;
	memset(q->buf, q->value, sizeof(q->buf));
	if (op == CWT_FLUSH)
		record_note(&rig->record, NOTE_FSYNC, q->value, 0, 0);
	else if (op != CWT_READ)
		record_note(&rig->record, NOTE_WRITE, q->value, from, from + nr);
	q->r = (struct cwt_request){ .op = op, .offset_bytes = (uint64_t)from * SECTOR, .len_bytes = (uint64_t)nr * SECTOR,
		.buf = q->buf, .done = answered, .released = rig->early && op == CWT_WRITE ? released : NULL, .user = q };
	cwt_submit(rig->loop, &q->r);
}

static void run(struct rig *rig, enum cwt_op op, uint32_t from, uint32_t nr)
{
	begin(rig, op, from, nr);
	rig_settle(rig);
}

static void warm(struct rig *rig, uint32_t block) { run(rig, CWT_READ, block * SECTORS, SECTORS); }

static void commit(struct rig *rig)
{
	rig->now_ms += 100000;
	rig_settle(rig);
	marks_write_stale(rig->e);
}

static void message(struct rig *rig, const char *text)
{
	int ret = cwt_message(rig->e, text, NULL);

	cwt_assert(!ret);
}

static void kill_it(struct rig *rig)
{
	recorder_drop(&rig->dev[ORIGIN]);
	recorder_drop(&rig->dev[CACHE]);
	engine_abandon_loop(rig->loop);
	engine_abandon(rig->e);
	rig->e = NULL;
	for (struct list *n; (n = list_pop(&rig->requests)); )
		free(list_entry(n, struct request_of_test, node));
}

static void stop(struct rig *rig)
{
	rig_settle(rig);
	cwt_loop_close(rig->loop);
	(void)cwt_close(rig->e);
	rig->e = NULL;
}

/*
 * ------------------------------------------------------------------ the workloads.  Each begins with blocks 0 and 1
 * mapped and committed
 */
static void promotion(struct rig *rig)
{
	warm(rig, 2);
	commit(rig);
}

static void demotion_and_reuse(struct rig *rig)
{
	warm(rig, 2);		/* the cache is full with the next one */
	warm(rig, 3);
	commit(rig);
	run(rig, CWT_FLUSH, 0, 0);
	rig_settle(rig);
	begin(rig, CWT_READ, 4 * SECTORS, 1);
	rig_settle(rig);	/* demotes one, and its cblock comes with the commit */
	commit(rig);
	warm(rig, 4);
	commit(rig);
}

static void write_hit(struct rig *rig)
{
	run(rig, CWT_WRITE, 2, 2);
	commit(rig);
}

static void overlap(struct rig *rig)
{
	begin(rig, CWT_WRITE, 0, 2);
	begin(rig, CWT_WRITE, 1, 2);
	rig_settle(rig);
	run(rig, CWT_FLUSH, 0, 0);
	begin(rig, CWT_WRITE, 1, 1);
	rig_settle(rig);
}

static void flush(struct rig *rig)
{
	run(rig, CWT_WRITE, 0, 1);
	begin(rig, CWT_WRITE, SECTORS, 2);
	begin(rig, CWT_FLUSH, 0, 0);
	rig_settle(rig);
	run(rig, CWT_WRITE, 0, 2);
	run(rig, CWT_FLUSH, 0, 0);
}

static void two_commits(struct rig *rig)
{
	message(rig, "invalidate 0 1");
	message(rig, "commit");
	run(rig, CWT_WRITE, 0, 1);
	warm(rig, 0);
	message(rig, "commit");
	run(rig, CWT_WRITE, 0, 1);
}

static void write_during_commit(struct rig *rig)
{
	run(rig, CWT_WRITE, 0, 1);
	message(rig, "invalidate 4096 1");
	rig->now_ms += 100000;
	for (unsigned i = 0; i < 4; i++)
		(void)engine_step_job(rig->e);
	begin(rig, CWT_WRITE, 1, 1);
	begin(rig, CWT_WRITE, SECTORS, 1);
	rig_settle(rig);
}

/*
 * Let a write be answered while its cache leg is under way, and do everything else meanwhile: an fsync, a commit, a write
 * that waits for it, and one that does not.
 */
static void early_answer(struct rig *rig)
{
	rig->early = true;
	begin(rig, CWT_WRITE, 2, 2);
	while (list_empty(&rig->dev[CACHE].pending))
		rig_step(rig);
	begin(rig, CWT_FLUSH, 0, 0);
	(void)cwt_loop_turn(rig->loop);
	while (engine_step_job(rig->e))
		;
	begin(rig, CWT_WRITE, 3, 2);
	begin(rig, CWT_WRITE, SECTORS, 1);
	(void)cwt_loop_turn(rig->loop);
	rig->now_ms += 100000;
	while (engine_step_job(rig->e))
		;
	rig_settle(rig);
	run(rig, CWT_FLUSH, 0, 0);
}

static void punch(struct rig *rig)
{
	run(rig, CWT_PUNCH, 2, 2);
	warm(rig, 0);
	commit(rig);
}

static void clean_stop(struct rig *rig)
{
	run(rig, CWT_WRITE, 0, 1);
	stop(rig);
}

static void recovery(struct rig *rig)
{
	begin(rig, CWT_WRITE, 2, 1);
	(void)cwt_loop_turn(rig->loop);
	while (!recorder_step(&rig->dev[ORIGIN]) && rig_step(rig))
		;
	kill_it(rig);
	rig_start(rig);
	run(rig, CWT_WRITE, 0, 1);
	commit(rig);
}

static void restart_after_cut(struct rig *rig)
{
	run(rig, CWT_WRITE, 0, 1);
	kill_it(rig);
	rig_start(rig);
	warm(rig, 0);
	stop(rig);
	rig_start(rig);
	run(rig, CWT_WRITE, 1, 1);
}

static const struct { const char *name; void (*run)(struct rig *rig); } workloads[] = {
	{ "promotion", promotion }, { "demotion-and-reuse", demotion_and_reuse }, { "write-hit", write_hit },
	{ "overlap", overlap }, { "flush", flush }, { "two-commits", two_commits },
	{ "write-during-commit", write_during_commit }, { "early-answer", early_answer }, { "punch", punch },
	{ "clean-stop", clean_stop }, { "recovery", recovery }, { "restart", restart_after_cut },
};

/*
 * ------------------------------------------------------------------ all of them
 */
static double now_s(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static bool check_workload(unsigned n, bool warm_after_power, struct states_counts *sum)
{
	struct states_counts counts = { 0 };
	double begun = now_s();
	char name[80];
	struct rig *rig = malloc(sizeof(*rig));
	bool good;

	cwt_assert(rig);
	snprintf(name, sizeof(name), "%s, warm after %s", workloads[n].name, warm_after_power ? "power" : "kill");
	rig_init(rig, warm_after_power);
	warm(rig, 0);
	warm(rig, 1);
	commit(rig);
	rig_record(rig);
	workloads[n].run(rig);
	if (rig->e)
		kill_it(rig);
	good = states_check(name, &rig->m, &rig->record, &counts);
	printf("%-40s %8llu states, %6llu of kills; %6llu recoveries, %7llu second crashes; %llu kept a mapping; %.1f s\n",
	       name, (unsigned long long)counts.states, (unsigned long long)counts.kills,
	       (unsigned long long)counts.recoveries, (unsigned long long)counts.second_crashes, (unsigned long long)counts.warm,
	       now_s() - begun);
	if (counts.skipped)
		printf("%s: %llu moments had more than %u unflushed writes, their states were skipped\n", name,
		       (unsigned long long)counts.skipped, STATES_UNFLUSHED_MAX);
	sum->states += counts.states + counts.kills;
	sum->recoveries += counts.recoveries + counts.second_crashes;
	sum->skipped += counts.skipped;
	record_free(&rig->record);
	for (int i = 0; i < NR_STORES; i++) {
		free(rig->bytes[i]);
		free(rig->m.bytes[i]);
	}
	free(rig);
	return good && !counts.skipped;
}

static bool chosen(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc == 1;
}

static void no_log(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	if (level == LOG_LEVEL_ERROR && strstr(line, "bug:"))
		printf("%s\n", line);
}

int main(int argc, char **argv)
{
	struct states_counts sum = { 0 };
	double begun = now_s();
	bool good = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_sink(no_log, NULL, LOG_LEVEL_ERROR);
	for (unsigned n = 0; n < ARRAY_SIZE(workloads); n++)
		for (int power = 0; power < 2; power++)
			if (chosen(argc, argv, workloads[n].name))
				good &= check_workload(n, power, &sum);
	printf("%llu states, %llu recoveries, %llu skipped, %.1f s: %s\n", (unsigned long long)sum.states,
	       (unsigned long long)sum.recoveries, (unsigned long long)sum.skipped, now_s() - begun,
	       good ? "all right" : "WRONG");
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
