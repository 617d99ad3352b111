/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Not to wait for ourselves when memory is short.  The kernel may need us in order to free memory: a file system or
 * swap on the image writes through us.  So our memory is locked, for then no request waits for a page of ours that has
 * to be read from such a swap, and our threads are, where that is allowed, IO_FLUSHERs: their own requests for memory
 * never wait for I/O, and they are not held back for the dirty pages of others.
 *
 * Context: the main thread.  Nothing here fails: what is refused is said once, and is seen in the status.
 */
#ifndef CWT_SRC_MEMORY_H
#define CWT_SRC_MEMORY_H

#include <stdbool.h>

enum memory_locked {
	MEMORY_NOT_LOCKED,	/* the limit of locked memory is too small, or a sanitizer's shadow is in the way */
	MEMORY_BUFFERS_LOCKED,	/* all that we write to: buffers, maps, heap, stacks; not the code */
	MEMORY_LOCKED,		/* everything */
};

/*
 * The heap of a thread that serves requests must not grow while it does: that is a request for memory like any other.
 * memory_keep_heap() before the first thread is made: what was once had from the system is kept.
 * memory_fill_thread(), on the thread itself, after all that it allocates for good: so much of heap and stack is there.
 */
#define MEMORY_HEAP_BYTES (512u << 10)	/* libfuse has some 300 bytes for each request under way, 188 at most */
#define MEMORY_STACK_BYTES (256u << 10)
void memory_keep_heap(void);
void memory_fill_thread(void);

/*
 * Keep the pages of this file in memory: they are locked with the rest, and alone where the limit is too small for
 * the rest.  For the metadata: the loops write marks into its page cache, and if a page were not there, the kernel
 * would have to find memory for it.  In a memory cgroup of version 1 it may then wait for dirty pages of the image,
 * which only we can clean.  At most MEMORY_PINNED_MAX_BYTES of it, from the start.  Before memory_lock().
 */
#define MEMORY_PINNED_MAX_BYTES (64u << 20)
void memory_pin(const char *path);

/*
 * PR_SET_IO_FLUSHER, which needs CAP_SYS_RESOURCE.  Belongs to a thread and is inherited by those that it makes: call
 * it before the first of them is made, the engine's and the workers' too.
 */
bool memory_be_io_flusher(void);

/*
 * Lock what there is now: call it last of all, when the threads run and the mount stands.  What comes later is not
 * locked, on purpose: with MCL_FUTURE a thread or a library that comes later could not start at the limit.  The soft
 * limit of locked memory is first raised to the hard one.
 */
enum memory_locked memory_lock(void);
bool memory_can_be_locked(void);	/* not so in the build of a sanitizer */

const char *memory_locked_name(enum memory_locked locked);	/* the word of the status */

#endif
