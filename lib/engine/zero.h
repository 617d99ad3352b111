/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Punch hole and zero range: writes whose origin leg is a fallocate, which blocks and so is a job, and whose cache leg
 * is the removal of the mapping (L2).
 *
 * A large range is done in *chunks* of up to ZERO_CHUNK_BLOCKS blocks, one fallocate each.  A chunk needs all its
 * blocks at once: it enters their cells one after the other, in ascending order, waiting where it must.  Every other
 * request holds one cell at a time and waits for none while it does, and chunks ascend alike, so nobody waits in a
 * circle.
 */
#ifndef CWT_ENGINE_ZERO_H
#define CWT_ENGINE_ZERO_H

#include "engine/jobs.h"
#include "engine/request.h"

#define ZERO_CHUNK_BLOCKS 128u		/* held until its fallocate has ended: nobody else gets at them */
#define ZEROS_PER_LOOP 4u		/* chunks under way; the door has the slots for all of them */

struct zero_chunk {
	struct list node;		/* loop->free_zeros, zero_ready, inbox_zeros */
	struct job job;
	struct cwt_loop *loop;
	struct cwt_request *request;
	uint64_t offset_bytes, len_bytes;
	unsigned nr_parts, nr_entered;
	unsigned nr_mark_waits;		/* parts whose region marks are not durable yet */
	int error;
	struct block_request *parts[ZERO_CHUNK_BLOCKS];
};

/* Begin chunks of r while there is room; true when r is cut up completely. */
bool zero_split_locked(struct cwt_loop *loop, struct cwt_request *r);
/*
 * The part that was waiting has been granted: go on entering; when all are in, decide, and put the chunk on
 * loop->zero_ready.
 */
void zero_advance_locked(struct zero_chunk *z);
/* A part's region mark is durable, or never will be. */
void zero_mark_done(struct block_request *part);
/* loop->zero_ready, after the marks are visible: to the job threads. */
void zero_post(struct zero_chunk *z);
/* From the inbox, after the job: end all parts. */
void zero_finish(struct zero_chunk *z);

#endif
