/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the page cache shows while others write beside it.  WRITE-FILE is written with O_DIRECT and AIO, READ-FILE is
 * read buffered; they are the image, or WRITE-FILE is a loop device over it.
 *
 *	page-helper held WRITE-FILE READ-FILE OFFSET		a write that the daemon holds (a fault), read meanwhile
 *	page-helper overtaken BUSY-FILE BUSY-OFFSET WRITE-FILE READ-FILE OFFSET
 *		a write that waits behind slow requests for its turn in the kernel, after that has dropped the pages; a
 *		read overtakes it and fills the page anew
 *	page-helper stress WRITE-FILE READ-FILE OFFSET SECONDS	many of both, all over 4 MiB, verified
 *	page-helper map shared|private FILE OFFSET TEXT		map it, look, write TEXT there beside it, look again
 *	page-helper map-write FILE OFFSET TEXT SECONDS		through a shared mapping, without msync; then sleep
 *	page-helper look FILE OFFSET LENGTH			prints the bytes, read buffered
 */
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define BUSY 160		/* more than the kernel sends at once */
#define EXTENTS 64		/* of the stress, each written by one request at a time */
#define EXTENT (64u << 10)
#define READERS 4

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "page-helper: %s: %s\n", what, strerror(errno));
	exit(1);
}

_Noreturn static void wrong(const char *what)
{
	fprintf(stderr, "page-helper: %s\n", what);
	exit(1);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static void *aligned(size_t len, int byte)
{
	void *buf = aligned_alloc(PAGE, len);

	if (!buf)
		die("memory");
	memset(buf, byte, len);
	return buf;
}

static io_context_t aio_open(int nr)
{
	io_context_t ctx = NULL;
	int err = io_setup(nr, &ctx);

	errno = -err;
	if (err)
		die("io_setup");
	return ctx;
}

static void aio_reap(io_context_t ctx, size_t len)
{
	struct io_event event;
	int n;

	while ((n = io_getevents(ctx, 1, 1, &event, NULL)) == -EINTR)
		;
	errno = n < 0 ? -n : (int)-(long)event.res;
	if (n != 1 || event.res != len)
		die("AIO");
}

static uint8_t byte_at(int fd, off_t offset)
{
	uint8_t page[PAGE];

	if (pread(fd, page, sizeof(page), offset) != PAGE)
		die("pread");
	for (int i = 1; i < PAGE; i++)
		if (page[i] != page[0])
			wrong("half of a page is old");
	return page[0];
}

/*
 * ------------------------------------------------------------------ one write and one reader
 */
struct one_write { pthread_t thread; const char *path; off_t offset; int byte; atomic_bool answered; };

static void *write_one(void *arg)
{
	struct one_write *w = arg;
	io_context_t ctx = aio_open(1);
	struct iocb cb, *cbs[] = { &cb };
	int fd = open_file(w->path, O_RDWR | O_DIRECT);

	io_prep_pwrite(&cb, fd, aligned(PAGE, w->byte), PAGE, w->offset);
	if (io_submit(ctx, 1, cbs) != 1)
		die("io_submit");
	aio_reap(ctx, PAGE);
	atomic_store(&w->answered, true);
	return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg))
		die("pthread_create");
}

static uint8_t known_page(const char *path, off_t offset)
{
	int fd = open_file(path, O_RDWR | O_DIRECT);

	if (pwrite(fd, aligned(PAGE, 'o'), PAGE, offset) != PAGE)
		die("pwrite");
	close(fd);
	return 'o';
}

/* A read meanwhile may show either; once the write is answered only what it wrote. */
static int held(char **argv)
{
	struct one_write w = { .path = argv[0], .offset = atoll(argv[2]), .byte = 'n' };
	int fd = open_file(argv[1], O_RDONLY);
	uint8_t meanwhile;

	known_page(argv[0], w.offset);
	if (byte_at(fd, w.offset) != 'o')
		wrong("the write before is not seen");
	start(&w.thread, write_one, &w);
	usleep(300000);
	if (atomic_load(&w.answered))
		wrong("the write is not held: what shall this show?");
	meanwhile = byte_at(fd, w.offset);
	pthread_join(w.thread, NULL);
	printf("meanwhile %s, ", meanwhile == 'o' ? "old" : "new");
	if (byte_at(fd, w.offset) != 'n')
		wrong("the page is old after the answer");
	printf("afterwards new\n");
	return 0;
}

struct busy { pthread_t thread; const char *path; off_t offset; };

static void *be_busy(void *arg)
{
	static struct iocb cbs[BUSY];
	struct busy *b = arg;
	io_context_t ctx = aio_open(BUSY);
	int fd = open_file(b->path, O_RDONLY | O_DIRECT);

	for (int i = 0; i < BUSY; i++) {
		struct iocb *cb = &cbs[i];

		io_prep_pread(cb, fd, aligned(PAGE, 0), PAGE, b->offset);
		if (io_submit(ctx, 1, &cb) != 1)
			die("io_submit");
	}
	for (int i = 0; i < BUSY; i++)
		aio_reap(ctx, PAGE);
	return NULL;
}

static int overtaken(char **argv)
{
	struct busy b = { .path = argv[0], .offset = atoll(argv[1]) };
	struct one_write w = { .path = argv[2], .offset = atoll(argv[4]), .byte = 'n' };
	int fd = open_file(argv[3], O_RDONLY);

	known_page(argv[2], w.offset);
	start(&b.thread, be_busy, &b);
	usleep(300000);
	start(&w.thread, write_one, &w);
	usleep(300000);
	if (atomic_load(&w.answered))
		wrong("the write did not have to wait: what shall this show?");
	if (byte_at(fd, w.offset) != 'o')
		wrong("the read did not overtake the write: what shall this show?");
	pthread_join(w.thread, NULL);
	if (byte_at(fd, w.offset) != 'n')
		wrong("the page is old after the answer");
	pthread_join(b.thread, NULL);
	printf("old before the answer, new after it\n");
	return 0;
}

/*
 * ------------------------------------------------------------------ stress
 *
 * One writer keeps a write of each extent under way, all at once; a write fills its extent with the number of
 * the next round.  Readers look at ranges of any place and length, by read and by mapping.  What they see was written
 * no earlier than the round that was answered when they began, and no later than the one under way when they ended.
 */
static atomic_uint begun[EXTENTS], answered[EXTENTS];
static atomic_bool stress_over;
static const char *stress_write, *stress_read;
static off_t stress_offset;

static void stress_submit(io_context_t ctx, struct iocb *cb, int fd, unsigned extent, uint32_t *buf)
{
	uint32_t round = atomic_fetch_add(&begun[extent], 1) + 1;

	for (size_t i = 0; i < EXTENT / sizeof(*buf); i++)
		buf[i] = round;
	io_prep_pwrite(cb, fd, buf, EXTENT, stress_offset + (off_t)extent * EXTENT);
	cb->data = (void *)(uintptr_t)extent;
	if (io_submit(ctx, 1, &cb) != 1)
		die("io_submit");
}

static void *stress_writer(void *arg)
{
	io_context_t ctx = aio_open(EXTENTS);
	int fd = open_file(stress_write, O_RDWR | O_DIRECT);
	static struct iocb cbs[EXTENTS];
	uint32_t *bufs[EXTENTS];
	struct io_event event;

	(void)arg;
	for (unsigned e = 0; e < EXTENTS; e++)
		stress_submit(ctx, &cbs[e], fd, e, bufs[e] = aligned(EXTENT, 0));
	for (unsigned under_way = EXTENTS; under_way;) {
		unsigned e;

		if (io_getevents(ctx, 1, 1, &event, NULL) != 1 || event.res != EXTENT)
			die("AIO");
		e = (unsigned)(uintptr_t)event.data;
		atomic_store(&answered[e], bufs[e][0]);
		if (atomic_load(&stress_over))
			under_way--;
		else
			stress_submit(ctx, &cbs[e], fd, e, bufs[e]);
	}
	return NULL;
}

static void look(int fd, const uint8_t *map, unsigned extent, uint32_t at, uint32_t len)
{
	off_t offset = (off_t)extent * EXTENT + at;
	uint32_t oldest = atomic_load(&answered[extent]), newest, seen[EXTENT / sizeof(uint32_t)];

	if (map)
		memcpy(seen, map + offset, len);
	else if (pread(fd, seen, len, stress_offset + offset) != (ssize_t)len)
		die("pread");
	newest = atomic_load(&begun[extent]);
	for (uint32_t i = 0; i < len / sizeof(*seen); i++)
		if (seen[i] < oldest || seen[i] > newest) {
			fprintf(stderr, "page-helper: extent %u, byte %zu by %s: round %u, answered %u, begun %u\n",
				extent, at + i * sizeof(*seen), map ? "mapping" : "read", seen[i], oldest, newest);
			exit(1);
		}
}

static void *stress_reader(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	int fd = open_file(stress_read, O_RDONLY);
	const uint8_t *map = NULL;

	if (seed % 2) {
		map = mmap(NULL, EXTENTS * EXTENT, PROT_READ, MAP_SHARED, fd, stress_offset);
		if (map == MAP_FAILED)
			die("mmap");
	}
	while (!atomic_load(&stress_over)) {
		unsigned extent = (unsigned)rand_r(&seed) % EXTENTS;
		uint32_t at = (uint32_t)rand_r(&seed) % (EXTENT / 4) * 4;

		look(fd, map, extent, at, (uint32_t)rand_r(&seed) % (EXTENT - at) / 4 * 4);
		if (rand_r(&seed) % 64 == 0)	/* as when memory is short */
			posix_fadvise(fd, stress_offset, EXTENTS * EXTENT, POSIX_FADV_DONTNEED);
	}
	return NULL;
}

static int stress(char **argv)
{
	pthread_t writer, readers[READERS];
	unsigned total = 0;
	int fd;

	stress_write = argv[0];
	stress_read = argv[1];
	stress_offset = atoll(argv[2]);
	fd = open_file(stress_write, O_RDWR | O_DIRECT);
	if (pwrite(fd, aligned(EXTENTS * EXTENT, 0), EXTENTS * EXTENT, stress_offset) != EXTENTS * EXTENT)
		die("pwrite");
	start(&writer, stress_writer, NULL);
	for (uintptr_t i = 0; i < READERS; i++)
		start(&readers[i], stress_reader, (void *)i);
	sleep((unsigned)atoi(argv[3]));
	atomic_store(&stress_over, true);
	pthread_join(writer, NULL);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	fd = open_file(stress_read, O_RDONLY);
	for (unsigned e = 0; e < EXTENTS; total += atomic_load(&begun[e++]))
		look(fd, NULL, e, 0, EXTENT);
	printf("%u writes\n", total);
	return total > 2 * EXTENTS ? 0 : 1;
}

/*
 * ------------------------------------------------------------------ mappings
 */
static uint8_t *map_page(const char *path, off_t offset, int prot, int flags)
{
	uint8_t *map = mmap(NULL, PAGE, prot, flags, open_file(path, prot & PROT_WRITE ? O_RDWR : O_RDONLY), offset);

	if (map == MAP_FAILED) {
		printf("%s\n", strerrorname_np(errno));
		exit(0);
	}
	return map;
}

/* Prints what the mapping shows of the text's place after the write: old or new. */
static int map(char **argv)
{
	bool shared = !strcmp(argv[0], "shared");
	off_t offset = atoll(argv[2]);
	size_t len = strlen(argv[3]);
	const volatile uint8_t *page = map_page(argv[1], offset, PROT_READ, shared ? MAP_SHARED : MAP_PRIVATE);
	bool was_there = page[0] == (uint8_t)argv[3][0];

	if (was_there)
		wrong("the text is there already");
	if (pwrite(open_file(argv[1], O_RDWR), argv[3], len, offset) != (ssize_t)len)
		die("pwrite");
	printf("%s\n", page[0] == (uint8_t)argv[3][0] ? "new" : "old");
	return 0;
}

static int map_write(char **argv)
{
	uint8_t *page = map_page(argv[0], atoll(argv[1]), PROT_READ | PROT_WRITE, MAP_SHARED);

	memcpy(page, argv[2], strlen(argv[2]));
	printf("written\n");
	fflush(stdout);
	sleep((unsigned)atoi(argv[3]));
	return 0;
}

static int look_at(char **argv)
{
	size_t len = (size_t)atoll(argv[2]);
	char *buf = aligned((len + PAGE) / PAGE * PAGE, 0);

	if (pread(open_file(argv[0], O_RDONLY), buf, len, atoll(argv[1])) != (ssize_t)len)
		die("pread");
	printf("%s\n", buf);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int nr_args; int (*run)(char **argv); } commands[] = {
		{ "held", 3, held }, { "overtaken", 5, overtaken }, { "stress", 4, stress }, { "map", 4, map },
		{ "map-write", 4, map_write }, { "look", 3, look_at },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 == commands[i].nr_args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "page-helper: wrong usage\n");
	return 2;
}
