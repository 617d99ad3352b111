/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Load on an image until its daemon is killed, and then the question whether every byte is one that may be there.
 *
 *	kill9-writer init RECORD ORIGIN SIZE
 *	kill9-writer load RECORD IMAGE SEED DEPTH HOT MS PID STATUS
 *	kill9-writer verify RECORD IMAGE ORIGIN
 *
 * init fills the origin.  load keeps DEPTH requests in flight, most of them in the first HOT bytes, sends SIGKILL to
 * PID after MS milliseconds, and ends when the mount is dead.  verify reads the whole image.
 *
 * The image consists of grains of 64 bytes.  A grain carries the number of the write that made it and bytes derived
 * from the number and its place, so that each of its bytes can be checked.  The record is a mapped file with the content
 * that the last verify found, and each write since: when it was submitted and when its answer was seen, by a clock that
 * only counts.  So a write may be there if no other that covers the grain was submitted after its answer and answered
 * itself; one without an answer may be there or not, grain by grain.  Requests overlap as they happen to.
 */
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/random.h"

#define GRAIN 64u
#define BLOCK 4096u
#define LENGTH_MAX (32u << 10)
#define DEPTH_MAX 128u
#define WRITES_MAX (1u << 20)
#define WRONG_SHOWN 10u
#define CHUNK (1u << 20)
#define STATUS_EVERY_MS 20
#define MAGIC UINT64_C(0x3964726f636572)

struct write { uint64_t submitted, answered; uint32_t first, nr; };	/* answered 0: not yet.  In grains */

struct record {
	uint64_t magic, size_bytes, clock;
	uint64_t first_number;		/* of the writes since the last verify; smaller ones are found in base */
	uint64_t nr_writes;
	struct write writes[WRITES_MAX];
	struct grain {
		uint64_t base;		/* the number found by the last verify */
		uint64_t settled;	/* the latest submission among the answered writes here; 0: none */
	} grains[];
};

static struct record *record;
static uint64_t nr_wrong;

_Noreturn static void die(const char *what, int error)
{
	fprintf(stderr, "kill9-writer: %s: %s\n", what, strerror(error));
	exit(2);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path, errno);
	return fd;
}

static void record_map(const char *path, uint64_t size_bytes)
{
	uint64_t head[2] = { 0 };	/* magic, size_bytes */
	int fd = open_file(path, O_RDWR | O_CREAT);
	size_t len;

	if (!size_bytes && (pread(fd, head, sizeof(head), 0) < 0 || head[0] != MAGIC))
		die("not a record", EINVAL);
	if (!size_bytes)
		size_bytes = head[1];
	len = sizeof(*record) + size_bytes / GRAIN * sizeof(*record->grains);
	if (ftruncate(fd, (off_t)len))
		die(path, errno);
	record = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (record == MAP_FAILED)
		die(path, errno);
	close(fd);
}

/*
 * ------------------------------------------------------------------ content
 */
static void grain_fill(uint8_t *bytes, uint64_t number, uint32_t grain)
{
	struct random r = { .state = number * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)grain << 20 };
	uint64_t words[GRAIN / 8];

	words[0] = number;
	for (unsigned i = 1; i < GRAIN / 8; i++)
		words[i] = random_next(&r);
	memcpy(bytes, words, GRAIN);
}

static const char *grain_fault(const uint8_t *bytes, uint32_t grain, uint64_t settled)
{
	uint8_t whole[GRAIN];
	const struct write *w;
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	grain_fill(whole, number, grain);
	if (memcmp(whole, bytes, GRAIN))
		return "bytes that no write made";
	if (number < record->first_number) {
		if (number != record->grains[grain].base)
			return "older than what was read before";
		return settled ? "an answered write is lost" : NULL;
	}
	if (number - record->first_number >= record->nr_writes)
		return "a write that never was";
	w = &record->writes[number - record->first_number];
	if (grain < w->first || grain - w->first >= w->nr)
		return "a write of another place";
	return w->answered && w->answered < settled ? "overwritten by an answered write, and back" : NULL;
}

static void grain_check(const uint8_t *bytes, uint32_t grain, uint64_t settled, const char *who)
{
	const char *fault = grain_fault(bytes, grain, settled);
	uint64_t number;

	if (!fault)
		return;
	memcpy(&number, bytes, sizeof(number));
	if (nr_wrong++ < WRONG_SHOWN)
		fprintf(stderr, "kill9-writer: %s: offset %llu: %s (it says write %llu)\n", who,
			(unsigned long long)grain * GRAIN, fault, (unsigned long long)number);
}

/*
 * ------------------------------------------------------------------ load
 */
struct slot {
	struct iocb iocb;
	uint8_t *buf;
	bool is_read;
	uint64_t number;
	uint32_t first, nr;		/* in grains */
	uint64_t settled[LENGTH_MAX / GRAIN];	/* a read: as it was at the submission */
};

static uint32_t grains_below(struct random *r, uint32_t n) { return (uint32_t)random_below(r, n); }

/* Mostly whole blocks; some sectors, some that are not even that, some over several blocks. */
static void slot_place(struct slot *s, struct random *r, uint64_t hot_bytes)
{
	uint64_t size = random_below(r, 100) < 97 ? hot_bytes : record->size_bytes;
	uint32_t kind = grains_below(r, 100), nr_all = (uint32_t)(size / GRAIN);
	const uint32_t sector = 512 / GRAIN, block = BLOCK / GRAIN;

	s->nr = block;
	s->first = grains_below(r, nr_all) / block * block;
	if (kind >= 95) {
		s->nr = (1 + grains_below(r, LENGTH_MAX / BLOCK)) * block;
	} else if (kind >= 80) {
		s->nr = (1 + grains_below(r, block / sector)) * sector;
		s->first += grains_below(r, block / sector) * sector;
	} else if (kind >= 70) {
		s->nr = 1 + grains_below(r, 1024 / GRAIN);
		s->first += grains_below(r, block);
	}
	s->nr = MIN(s->nr, nr_all - s->first);
}

static void slot_prepare(struct slot *s, int fd, struct random *r, uint64_t hot_bytes)
{
	slot_place(s, r, hot_bytes);
	s->is_read = random_below(r, 4) == 0;
	record->clock++;
	if (s->is_read) {
		for (uint32_t i = 0; i < s->nr; i++)
			s->settled[i] = record->grains[s->first + i].settled;
		io_prep_pread(&s->iocb, fd, s->buf, s->nr * GRAIN, (long long)s->first * GRAIN);
	} else {
		if (record->nr_writes == WRITES_MAX)
			die("the record is full", ENOSPC);
		s->number = record->first_number + record->nr_writes;
		record->writes[record->nr_writes++] =
			(struct write){ .submitted = record->clock, .first = s->first, .nr = s->nr };
		for (uint32_t i = 0; i < s->nr; i++)
			grain_fill(s->buf + i * GRAIN, s->number, s->first + i);
		io_prep_pwrite(&s->iocb, fd, s->buf, s->nr * GRAIN, (long long)s->first * GRAIN);
	}
	s->iocb.data = s;
}

/* What a read has found has happened before whatever is submitted later. */
static void read_answered(const struct slot *s)
{
	for (uint32_t i = 0; i < s->nr; i++) {
		struct grain *g = &record->grains[s->first + i];
		uint64_t number;

		grain_check(s->buf + i * GRAIN, s->first + i, s->settled[i], "read under load");
		memcpy(&number, s->buf + i * GRAIN, sizeof(number));
		if (number - record->first_number < record->nr_writes)
			g->settled = MAX(g->settled, record->writes[number - record->first_number].submitted);
	}
}

static void write_answered(const struct slot *s)
{
	struct write *w = &record->writes[s->number - record->first_number];

	w->answered = ++record->clock;
	for (uint32_t i = 0; i < s->nr; i++)
		record->grains[s->first + i].settled = MAX(record->grains[s->first + i].settled, w->submitted);
}

/* false: the mount is dead */
static bool slot_answered(const struct slot *s, long result)
{
	if (result == -ENOTCONN || result == -ECONNABORTED)
		return false;
	if (result != (long)(s->nr * GRAIN))
		die(s->is_read ? "read" : "write", result < 0 ? (int)-result : EIO);
	if (s->is_read)
		read_answered(s);
	else
		write_answered(s);
	return true;
}

/*
 * The killer reads the status every now and then, to know what was demoted since the last commit, and kills.  What it
 * saw of the generation may be one behind: whoever counts compares it with the one on disk.
 */
struct killer { const char *status_path; pid_t pid; long ms; uint64_t generation, dropped_at_commit, dropped, mapped; };

static uint64_t status_number(const char *text, const char *label)
{
	const char *line = strstr(text, label);

	if (!line)
		die(label, ENOENT);
	return strtoull(line + strlen(label), NULL, 10);
}

static void killer_look(struct killer *k)
{
	char text[8192];
	int fd = open_file(k->status_path, O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text) - 1);

	if (len < 0)
		die(k->status_path, errno);
	text[len] = '\0';
	close(fd);
	k->dropped = status_number(text, "\ndemotions: ") + status_number(text, "\ninvalidations: ");
	k->mapped = status_number(text, "\nmapped: ");
	if (status_number(text, "\ngeneration: ") != k->generation) {
		k->generation = status_number(text, "\ngeneration: ");
		k->dropped_at_commit = k->dropped;
	}
}

static void *killer_run(void *arg)
{
	struct killer *k = arg;
	struct timespec nap = { 0 };

	killer_look(k);
	for (long left = k->ms; left > 0; left -= STATUS_EVERY_MS) {
		nap.tv_nsec = MIN(left, STATUS_EVERY_MS) * 1000000L;
		nanosleep(&nap, NULL);
		killer_look(k);
	}
	if (kill(k->pid, SIGKILL))
		die("kill", errno);
	return NULL;
}

static struct slot *slots_make(unsigned depth)
{
	struct slot *slots = calloc(depth, sizeof(*slots));

	for (unsigned i = 0; slots && i < depth; i++)
		if (posix_memalign((void **)&slots[i].buf, BLOCK, LENGTH_MAX))
			die("memory", ENOMEM);
	if (!slots)
		die("memory", ENOMEM);
	return slots;
}

/* Keeps depth requests in flight until one finds the mount dead, and then only waits for the others. */
static void load_run(int fd, struct random *r, unsigned depth, uint64_t hot_bytes)
{
	struct slot *slots = slots_make(depth);
	struct iocb *batch[DEPTH_MAX];
	struct io_event events[DEPTH_MAX];
	io_context_t context = NULL;
	unsigned nr_batch = 0, in_flight = 0;
	bool dead = false;
	int nr = io_setup((int)depth, &context);

	if (nr < 0)
		die("io_setup", -nr);
	for (; nr_batch < depth; nr_batch++)
		batch[nr_batch] = &slots[nr_batch].iocb;
	do {
		for (unsigned i = 0; !dead && i < nr_batch; i++) {
			slot_prepare(container_of(batch[i], struct slot, iocb), fd, r, hot_bytes);
			nr = io_submit(context, 1, &batch[i]);
			dead = nr == -ENOTCONN || nr == -ECONNABORTED;
			if (nr != 1 && !dead)
				die("io_submit", -nr);
			in_flight += nr == 1;
		}
		nr_batch = 0;
		nr = in_flight ? io_getevents(context, 1, (long)depth, events, NULL) : 0;
		for (int i = 0; i < nr; i++, in_flight--) {
			dead |= !slot_answered(events[i].data, (long)events[i].res);
			batch[nr_batch++] = events[i].obj;
		}
	} while (in_flight || !dead);
	io_destroy(context);
	for (unsigned i = 0; i < depth; i++)
		free(slots[i].buf);
	free(slots);
}

static int load(char **argv)
{
	struct random r = { .state = strtoull(argv[2], NULL, 0) };
	unsigned depth = (unsigned)atoi(argv[3]), unanswered = 0;
	struct killer killer = { .status_path = argv[7], .pid = atoi(argv[6]), .ms = atol(argv[5]) };
	pthread_t thread;

	if (depth < 1 || depth > DEPTH_MAX)
		return 2;
	record_map(argv[0], 0);
	if (pthread_create(&thread, NULL, killer_run, &killer))
		die("pthread_create", EAGAIN);
	load_run(open_file(argv[1], O_RDWR | O_DIRECT), &r, depth, strtoull(argv[4], NULL, 0));
	pthread_join(thread, NULL);
	for (uint64_t i = 0; i < record->nr_writes; i++)
		unanswered += !record->writes[i].answered;
	printf("generation=%llu demoted=%llu writes=%llu unanswered=%u\n", (unsigned long long)killer.generation,
	       (unsigned long long)(killer.dropped - killer.dropped_at_commit), (unsigned long long)record->nr_writes,
	       unanswered);
	return nr_wrong != 0;
}

/*
 * ------------------------------------------------------------------ init, verify
 */
static int init(char **argv)
{
	uint64_t size_bytes = strtoull(argv[2], NULL, 0);
	int fd = open_file(argv[1], O_WRONLY | O_CREAT);
	uint8_t *buf = malloc(CHUNK);

	if (!size_bytes || size_bytes % CHUNK)
		die("size", EINVAL);
	if (!buf)
		die("memory", ENOMEM);
	record_map(argv[0], size_bytes);
	record->magic = MAGIC;
	record->size_bytes = size_bytes;
	record->first_number = 1;
	for (uint64_t at = 0; at < size_bytes; at += CHUNK) {
		for (uint32_t i = 0; i < CHUNK / GRAIN; i++)
			grain_fill(buf + i * GRAIN, 0, (uint32_t)(at / GRAIN) + i);
		if (pwrite(fd, buf, CHUNK, (off_t)at) != CHUNK)
			die(argv[1], errno ? errno : EIO);
	}
	free(buf);
	return 0;
}

static void read_chunk(int fd, uint8_t *buf, uint64_t at)
{
	ssize_t n = pread(fd, buf, CHUNK, (off_t)at);

	if (n != CHUNK)
		die("read", n < 0 ? errno : EIO);
}

static void verify_grain(const uint8_t *image, const uint8_t *origin, uint32_t grain)
{
	struct grain *g = &record->grains[grain];

	grain_check(image, grain, g->settled, "image");
	grain_check(origin, grain, g->settled, "origin");
	if (memcmp(image, origin, GRAIN) && nr_wrong++ < WRONG_SHOWN)
		fprintf(stderr, "kill9-writer: offset %llu: image and origin differ\n", (unsigned long long)grain * GRAIN);
	memcpy(&g->base, image, sizeof(g->base));
	g->settled = 0;
}

static int verify(char **argv)
{
	uint8_t *buf = aligned_alloc(BLOCK, CHUNK), *origin_buf = aligned_alloc(BLOCK, CHUNK);
	int fd = open_file(argv[1], O_RDONLY), origin_fd = open_file(argv[2], O_RDONLY);
	uint64_t at, nr_new = 0;

	if (!buf || !origin_buf)
		die("memory", ENOMEM);
	record_map(argv[0], 0);
	for (at = 0; at < record->size_bytes; at += CHUNK) {
		read_chunk(fd, buf, at);
		read_chunk(origin_fd, origin_buf, at);
		for (uint32_t i = 0; i < CHUNK / GRAIN; i++) {
			uint32_t grain = (uint32_t)(at / GRAIN) + i;

			verify_grain(buf + i * GRAIN, origin_buf + i * GRAIN, grain);
			nr_new += record->grains[grain].base >= record->first_number;
		}
	}
	record->first_number += record->nr_writes;
	record->nr_writes = 0;
	printf("wrong=%llu new=%llu\n", (unsigned long long)nr_wrong * GRAIN, (unsigned long long)nr_new * GRAIN);
	free(buf);
	free(origin_buf);
	return nr_wrong != 0;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int nr_args; int (*run)(char **argv); } commands[] = {
		{ "init", 3, init }, { "load", 8, load }, { "verify", 3, verify },
	};

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 == commands[i].nr_args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "kill9-writer: wrong usage\n");
	return 2;
}
