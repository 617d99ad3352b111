/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The buffers that requests are received into and answered from: one pool per loop, filled with memory when it is
 * made, so that there is no allocation and no page fault later.
 *
 *	slot: | header page: struct slot ...  80 bytes | payload, large or small | a page (large only) |
 *	                                    ^ a request is received here: a WRITE's data begins with the payload
 *
 * Large slots receive; a small READ is answered from a small slot, and its large one receives again at once.  No large
 * slot left: the loop stops receiving, which is the back-pressure.
 *
 * Locking: none, a pool belongs to its loop's thread.  Memory: POOL_*_TOTAL slots over all loops, about 72 MiB.
 */
#ifndef CWT_SRC_POOL_H
#define CWT_SRC_POOL_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>

#include "cachewt.h"
#include "invalidate.h"

#define SLOT_HEADER_BYTES 4096u
#define SLOT_LARGE_BYTES (1u << 20)	/* max_write, and the longest READ */
#define SLOT_SMALL_BYTES (64u << 10)
#define SLOT_TAIL_BYTES 4096u
#define RECEIVE_BEFORE_BYTES 80u	/* the headers of a WRITE */
#define RECEIVE_BYTES (RECEIVE_BEFORE_BYTES + SLOT_LARGE_BYTES + SLOT_TAIL_BYTES)

#define POOL_LARGE_TOTAL 64u
#define POOL_LARGE_KEPT 8u		/* of these, never all taken by asynchronous requests: ops.c */
#define POOL_LARGE_MIN 4u		/* per loop */
#define POOL_SMALL_TOTAL 128u
#define POOL_SMALL_MIN 8u

struct slot {
	struct slot *next;		/* while free */
	bool large;
	void *payload;			/* where the data is, or goes */
	struct ring *ring;		/* that brought the request; NULL: /dev/fuse did, and the slot is of a pool */
	fuse_req_t req;			/* what is answered when request is done */
	uint64_t wanted_bytes;		/* fallocate: less done is a failure */
	enum page_write page_write;	/* write: what it is to the page cache */
	struct cwt_request request;
};

struct pool {
	void *memory;
	size_t memory_bytes;
	struct slot *large, *small;
	unsigned nr_large, nr_large_free;
};

/* A loop's share, of nr_loops.  -ENOMEM. */
int pool_open(struct pool *pool, unsigned nr_loops);
void pool_close(struct pool *pool);

struct slot *pool_get_large(struct pool *pool);		/* NULL: none free */
struct slot *pool_get_small(struct pool *pool);
void pool_put(struct pool *pool, struct slot *slot);

static inline void *slot_payload(struct slot *slot) { return slot->payload; }
static inline void *slot_receive(struct slot *slot) { return (char *)slot + SLOT_HEADER_BYTES - RECEIVE_BEFORE_BYTES; }

#endif
