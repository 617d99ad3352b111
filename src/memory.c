/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See memory.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log.h"
#include "memory.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/*
 * The shadow memory of a sanitizer is terabytes of addresses, which cannot be locked; its runtime knows that, makes
 * mlockall() do nothing and say 0.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SHADOW_MEMORY true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SHADOW_MEMORY true
#endif
#endif
#ifndef HAS_SHADOW_MEMORY
#define HAS_SHADOW_MEMORY false
#endif

bool memory_be_io_flusher(void)
{
	if (!prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		return true;
	log_debug("PR_SET_IO_FLUSHER: %s: swap or a file system on the image may wait for itself when memory is short "
		  "(give the capability SYS_RESOURCE)", strerror(errno));
	return false;
}

void memory_keep_heap(void)
{
	mallopt(M_TOP_PAD, (int)MEMORY_HEAP_BYTES);
	mallopt(M_MMAP_THRESHOLD, 2 * (int)MEMORY_HEAP_BYTES);	/* what is filled is to be of the heap */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

/* Not to be optimised away: nobody reads what is written here. */
static void touch(volatile uint8_t *bytes, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes; i += 4096)
		bytes[i] = 0;
}

void memory_fill_thread(void)
{
	uint8_t stack[MEMORY_STACK_BYTES], *heap = malloc(MEMORY_HEAP_BYTES);

	touch(stack, sizeof(stack));
	if (heap)
		touch(heap, MEMORY_HEAP_BYTES);
	free(heap);
}

bool memory_can_be_locked(void)
{
	return !HAS_SHADOW_MEMORY;
}

static struct { void *start; size_t len_bytes; } pinned;

/* Never looked at, so what happens to the file is no SIGBUS. */
void memory_pin(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	void *start = MAP_FAILED;
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
		pinned.len_bytes = MIN((size_t)st.st_size, MEMORY_PINNED_MAX_BYTES);
		start = mmap(NULL, pinned.len_bytes, PROT_READ, MAP_SHARED, fd, 0);
	}
	if (start != MAP_FAILED)
		pinned.start = start;
	else
		log_debug("%s: not kept in memory", path);
	if (fd >= 0)
		close(fd);
}

static void lock_pinned(void)
{
	if (pinned.start && mlock(pinned.start, pinned.len_bytes))
		log_debug("the metadata's pages are not locked: %s", strerror(errno));
}

static uint64_t raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return 0;
	if (limit.rlim_cur != limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_MEMLOCK, &limit))
			log_debug("RLIMIT_MEMLOCK: %s", strerror(errno));
	}
	return limit.rlim_cur;
}

/* Call see() for each mapping that we write to, until it returns an error. */
static int each_writable(int (*see)(void *start, size_t len_bytes, uint64_t *sum_bytes), uint64_t *sum_bytes)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t start, end;
	char *line = NULL;
	size_t size = 0;
	char mode[5];
	int ret = maps ? 0 : -errno;

	while (!ret && getline(&line, &size, maps) > 0)
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &start, &end, mode) == 3 && !strcmp(mode, "rw-p"))
			ret = see((void *)start, end - start, sum_bytes);
	free(line);
	if (maps)
		fclose(maps);
	return ret;
}

static int add_mapping(void *start, size_t len_bytes, uint64_t *sum_bytes)
{
	(void)start;
	*sum_bytes += len_bytes;
	return 0;
}

static int lock_mapping(void *start, size_t len_bytes, uint64_t *sum_bytes)
{
	(void)sum_bytes;
	return mlock(start, len_bytes) ? -errno : 0;
}

/*
 * mlockall() counts every page of the address space, also the hundreds of MiB that the allocator has set aside for each
 * thread and nobody uses.  What we write to is far less, and may be within the limit where all is not.
 */
static enum memory_locked lock_buffers(uint64_t limit_bytes, int why)
{
	uint64_t needed_bytes = pinned.len_bytes;
	int ret = each_writable(add_mapping, &needed_bytes);

	if (!ret)
		ret = needed_bytes <= limit_bytes ? each_writable(lock_mapping, &needed_bytes) : why;
	if (!ret) {
		lock_pinned();
		log_info("the buffers are locked into memory, not the program: the limit of locked memory is %" PRIu64
			 " KiB", limit_bytes >> 10);
		return MEMORY_BUFFERS_LOCKED;
	}
	munlockall();
	lock_pinned();
	log_warning("memory is not locked: %" PRIu64 " KiB are needed, the limit is %" PRIu64 " KiB; the buffers may be "
		    "swapped out (ulimit -l, or LimitMEMLOCK= of systemd)", needed_bytes >> 10, limit_bytes >> 10);
	return MEMORY_NOT_LOCKED;
}

enum memory_locked memory_lock(void)
{
	uint64_t limit_bytes;

	if (!memory_can_be_locked()) {
		log_debug("memory is not locked: this program was built with a sanitizer");
		return MEMORY_NOT_LOCKED;
	}
	limit_bytes = raise_limit();
	if (!mlockall(MCL_CURRENT))
		return MEMORY_LOCKED;
	return lock_buffers(limit_bytes, -errno);
}

const char *memory_locked_name(enum memory_locked locked)
{
	switch (locked) {
	case MEMORY_NOT_LOCKED: return "no";
	case MEMORY_BUFFERS_LOCKED: return "buffers";
	case MEMORY_LOCKED: return "yes";
	}
	return "unknown";
}
