/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's page cache of the image, with -o page_cache=on: keeping it from going stale.
 *
 * Handles are cached then, and the kernel is the first to answer a read.  Writes through the page cache keep it right
 * themselves.  Direct ones do not when they are asynchronous: the kernel drops the pages *before* it sends such a
 * write, and nothing after it, so a read that is on its way meanwhile fills them with what was there before, for
 * good.  A loop device with direct I/O writes just so.  Hence: what changes the image and did not come from the page
 * cache is answered only after the kernel was told to drop its pages of the range.
 *
 * What that waits for, and so what must never wait for it.  To drop a page the kernel takes its lock.  The lock is
 * held
 *
 *  - by a read of the page that we have not answered.  So the loops, which answer, never do this; a thread of its own
 *    does.  And reads must not be held up by the writes that wait here: asynchronous ones, read-ahead among them,
 *    wait with their pages locked while max_background requests are under way, which the writes of one deep queue can
 *    be. So FUSE_CAP_ASYNC_READ stays off: then read-ahead is sent at once, whatever else is under way;
 *  - by a buffered write(2) of part of a page that was not in memory, until *its* WRITE is answered.  Such a write is
 *    never made to wait here: its pages are right.  It has no FUSE_WRITE_CACHE flag, as a direct one has none;
 *    page_write_of() tells how they are told apart;
 *  - by write-back of the page (a shared mapping, FUSE_WRITE_CACHE), until that is answered: not made to wait either.
 *    A dirty page is written back before it is dropped, by a WRITE that the loops serve.
 *
 * The io_uring transport cannot be had with this: a handler there keeps its thread until it has answered, and the read
 * that has the page locked may wait behind it.
 *
 * With FUSE_CAP_WRITEBACK_CACHE all buffered writes would have the flag, and nothing need be told apart.  It is not
 * used: write(2) would return before the origin has the data, so that the death of this process would lose answered
 * writes; the image could be written past its end, in the kernel only; and its times would be the kernel's own.
 */
#ifndef CWT_SRC_INVALIDATE_H
#define CWT_SRC_INVALIDATE_H

#include "server.h"

/* What a write is to the page cache. */
enum page_write {
	PAGE_WRITE_DIRECT,	/* beside it: its pages are dropped before the answer */
	PAGE_WRITE_THROUGH,	/* write(2) through it: the pages are right, or the kernel drops them itself */
	PAGE_WRITE_BACK,	/* of dirty pages: if it fails, the kernel shows what the origin does not have */
};

/*
 * The kernel sends an owner of locks with direct writes, and with them only (fuse_direct_io() does, since 2.6;
 * write(2) through the page cache and write-back never did), and scrambles it, so that it is not 0.  O_DIRECT alone
 * would not do: a loop device writes directly through a handle that was opened without.
 */
enum page_write page_write_of(const struct fuse_file_info *fi);

typedef void answer_fn(fuse_req_t req, int64_t result);		/* bytes, or a negative errno */

/*
 * Any thread; neither waits.  Drop the pages of a range (len 0: all), then answer; or answer, then drop.  When the
 * mount is coming to its end they only answer.
 */
void invalidate_and_answer(struct server *server, uint64_t offset_bytes, uint64_t len_bytes, fuse_req_t req,
			   answer_fn *answer, int64_t result);
void answer_and_invalidate(struct server *server, uint64_t offset_bytes, uint64_t len_bytes, fuse_req_t req,
			   answer_fn *answer, int64_t result);

#endif
