/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The image's data path: what the kernel asks, as requests of the engine.  A handler fills the request in a slot and
 * submits it; done(), on the same thread, answers and gives the slot back.  With --ack origin, the default, done() only
 * answers a write: the cache leg reads from its slot, which released() gives back.  Control files are handed to
 * control.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#include "base/bits.h"
#include "control.h"
#include "invalidate.h"
#include "loop.h"
#include "ops.h"
#include "tree.h"

/*
 * Asynchronous requests that the kernel sends at once.  Fewer than there are large slots: what a client with many writes of
 * 1 MiB under way has in flight must leave slots to receive what others ask, for the kernel's queue has one order only.
 */
#define MAX_BACKGROUND (POOL_LARGE_TOTAL - POOL_LARGE_KEPT)

/* Linux 6.2; a kernel that does not know it ignores it and sends one write of a file at a time. */
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif

/*
 * Wanted: asynchronous direct I/O, for the queue depth of AIO, io_uring and loop devices.  Not wanted, though libfuse
 * has them on: ATOMIC_O_TRUNC (`> image` would be taken for a success), AUTO_INVAL_DATA and splice.
 */
static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct server *server = userdata;

	conn->want = conn->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS);
	if (server->options->page_cache)
		conn->want &= ~(unsigned)FUSE_CAP_ASYNC_READ;	/* invalidate.h has the deadlock */
#ifdef HAVE_FUSE_URING
	if (server->options->io_uring)
		conn->want |= conn->capable & FUSE_CAP_OVER_IO_URING;
#endif
	conn->max_write = SLOT_LARGE_BYTES;
	conn->max_readahead = MIN(conn->max_readahead, SLOT_LARGE_BYTES);
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
	server_ready(server);
}

/*
 * ------------------------------------------------------------------ open, release
 */

/*
 * The handle says whether it was opened with O_SYNC or O_DSYNC, for fallocate, whose request does not (fcntl cannot
 * change it).  O_SYNC has the bit of O_DSYNC.
 *
 * libfuse has no field for parallel direct writes before 3.15: the kernel's own answer.
 */
static void open_image(struct server *server, fuse_req_t req, const struct fuse_file_info *fi)
{
	struct fuse_open_out out = { .fh = (fi->flags & O_DSYNC) != 0, .open_flags = FOPEN_KEEP_CACHE };

	if (!server->options->page_cache)
		out.open_flags |= FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
	if (server->options->read_only && (fi->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	atomic_fetch_add(&server->nr_handles, 1);
	if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) == -ENOENT)
		atomic_fetch_sub(&server->nr_handles, 1);	/* interrupted: there will be no release */
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *server = fuse_req_userdata(req);

	if (ino == INO_IMAGE)
		open_image(server, req, fi);
	else
		control_open(server, req, ino, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *server = fuse_req_userdata(req);

	if (ino != INO_IMAGE)
		control_release(fi);
	atomic_fetch_sub(&server->nr_handles, 1);
	fuse_reply_err(req, 0);
}

/*
 * ------------------------------------------------------------------ read, write
 */
static struct slot *slot_of(struct cwt_request *request)
{
	return container_of(request, struct slot, request);
}

static void read_done(struct cwt_request *request)
{
	struct slot *slot = slot_of(request);

	if (request->result < 0)
		fuse_reply_err(slot->req, (int)-request->result);
	else
		fuse_reply_buf(slot->req, slot_payload(slot), (size_t)request->result);
	loop_finish(slot);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct slot *slot;

	if (ino != INO_IMAGE) {
		control_read(req, size, offset, fi);
		return;
	}
	size = MIN(size, SLOT_LARGE_BYTES);
	slot = loop_slot(req, size);
	if (!slot)
		return;
	slot->request = (struct cwt_request){ .op = CWT_READ, .offset_bytes = (uint64_t)offset, .len_bytes = size,
					      .buf = slot_payload(slot), .done = read_done };
	loop_submit(slot);
}

/* Not of a request by a ring: the kernel reuses its buffer as soon as it has the answer. */
static void write_released(struct cwt_request *request)
{
	loop_finish(slot_of(request));
}

static void answer_write(fuse_req_t req, int64_t result)
{
	if (result < 0)
		fuse_reply_err(req, (int)-result);
	else
		fuse_reply_write(req, (size_t)result);
}

/*
 * A write that failed may have changed some of its range; a synchronous one may have failed in its flush, and then it
 * is as with fsync_done(): all pages go.
 */
static void write_done(struct cwt_request *request)
{
	struct slot *slot = slot_of(request);
	struct server *server = fuse_req_userdata(slot->req);
	bool failed = request->result < (int64_t)request->len_bytes, lost = request->sync && request->result < 0;
	uint64_t offset = lost ? 0 : request->offset_bytes, len = lost ? 0 : request->len_bytes;

	if (server->options->page_cache && slot->page_write == PAGE_WRITE_DIRECT)
		invalidate_and_answer(server, offset, len, slot->req, answer_write, request->result);
	else if (server->options->page_cache && (lost || (slot->page_write == PAGE_WRITE_BACK && failed)))
		answer_and_invalidate(server, offset, len, slot->req, answer_write, request->result);
	else
		answer_write(slot->req, request->result);
	if (!request->released)
		loop_finish(slot);
}

/* The kernel sends the flags of each write: the open file's, with O_DSYNC for RWF_DSYNC, RWF_SYNC and -o sync, too. */
static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct server *server = fuse_req_userdata(req);
	struct slot *slot;

	if (ino != INO_IMAGE) {
		control_write(server, req, ino, data, size, fi);
		return;
	}
	slot = loop_slot_of_write(req, &data, size);
	if (!slot)
		return;
	slot->page_write = page_write_of(fi);
	slot->request = (struct cwt_request){ .op = CWT_WRITE, .offset_bytes = (uint64_t)offset, .len_bytes = size,
					      .buf = (void *)(uintptr_t)data, .done = write_done,
					      .sync = (fi->flags & O_DSYNC) != 0,
					      .released = server->options->ack_origin && !slot->ring ? write_released : NULL };
	loop_submit(slot);
}

/*
 * ------------------------------------------------------------------ flush, fsync
 */

/* close(): every write was answered when it was on the origin; there is nothing to wait for, and no lock to drop. */
static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	fuse_reply_err(req, 0);
}

static void answer_error(fuse_req_t req, int64_t result)
{
	fuse_reply_err(req, result < 0 ? (int)-result : 0);
}

/* What a failed flush lost is shown by no copy in memory, and the kernel's pages are one. */
static void fsync_done(struct cwt_request *request)
{
	struct slot *slot = slot_of(request);
	struct server *server = fuse_req_userdata(slot->req);

	if (server->options->page_cache && request->result < 0)
		invalidate_and_answer(server, 0, 0, slot->req, answer_error, request->result);
	else
		answer_error(slot->req, request->result);
	loop_finish(slot);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct slot *slot;

	(void)datasync, (void)fi;
	if (ino != INO_IMAGE) {
		fuse_reply_err(req, 0);
		return;
	}
	slot = loop_slot(req, 0);
	if (!slot)
		return;
	slot->request = (struct cwt_request){ .op = CWT_FLUSH, .done = fsync_done };
	loop_submit(slot);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino, (void)datasync, (void)fi;
	fuse_reply_err(req, 0);
}

/*
 * ------------------------------------------------------------------ fallocate, lseek
 */

/* There is no partial success of fallocate(2). */
static void fallocate_done(struct cwt_request *request)
{
	struct slot *slot = slot_of(request);
	struct server *server = fuse_req_userdata(slot->req);
	int64_t result = request->result;

	if (result >= 0 && (uint64_t)result < slot->wanted_bytes)
		result = request->error ? request->error : -EIO;
	if (server->options->page_cache && request->sync && result < 0)
		invalidate_and_answer(server, 0, 0, slot->req, answer_error, result);
	else if (server->options->page_cache)
		invalidate_and_answer(server, request->offset_bytes, slot->wanted_bytes, slot->req, answer_error,
				      result);
	else
		answer_error(slot->req, result);
	loop_finish(slot);
}

/* What of [offset, offset + len) lies in the image; without KEEP_SIZE what lies beyond would have to make it longer. */
static int clip(const struct server *server, int mode, uint64_t offset, uint64_t *len)
{
	uint64_t left = offset < server->size_bytes ? server->size_bytes - offset : 0;

	if (*len > left && !(mode & FALLOC_FL_KEEP_SIZE))
		return EFBIG;
	*len = MIN(*len, left);
	return 0;
}

static int fallocate_op(int mode, enum cwt_op *op)
{
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case FALLOC_FL_PUNCH_HOLE:
		*op = CWT_PUNCH;
		return 0;
	case FALLOC_FL_ZERO_RANGE:
		*op = CWT_ZERO;
		return 0;
	}
	return EOPNOTSUPP;
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi)
{
	struct server *server = fuse_req_userdata(req);
	uint64_t len = (uint64_t)length;
	struct slot *slot;
	enum cwt_op op = CWT_PUNCH;
	int error = ino == INO_IMAGE ? fallocate_op(mode, &op) : EOPNOTSUPP;

	if (!error)
		error = clip(server, mode, (uint64_t)offset, &len);
	if (error || !len) {
		fuse_reply_err(req, error);
		return;
	}
	slot = loop_slot(req, 0);
	if (!slot)
		return;
	slot->wanted_bytes = len;
	slot->request = (struct cwt_request){ .op = op, .offset_bytes = (uint64_t)offset, .len_bytes = len,
					      .done = fallocate_done, .sync = fi->fh || server->options->sync };
	loop_submit(slot);
}

struct seek { struct server_job job; off_t offset; int whence; };

/* Where the origin cannot tell (block devices, some file systems) all of it is data. */
static void run_seek(struct job *base)
{
	struct seek *seek = container_of(base, struct seek, job.job);
	struct server_job *job = &seek->job;
	off_t size = (off_t)job->server->size_bytes, found;
	int error = 0;

	found = lseek(cwt_origin_fd(job->server->cwt), seek->offset, seek->whence);
	if (found < 0)
		error = errno;
	if (error == EINVAL || error == EOPNOTSUPP) {
		error = 0;
		found = seek->whence == SEEK_DATA ? seek->offset : size;
	}
	if (!error && seek->whence == SEEK_DATA && found >= size)
		error = ENXIO;	/* the origin has grown behind us */
	if (error)
		fuse_reply_err(job->req, error);
	else
		fuse_reply_lseek(job->req, MIN(found, size));
	g_free(seek);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct server *server = fuse_req_userdata(req);
	struct seek *seek;

	(void)fi;
	if (ino != INO_IMAGE || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	if (offset < 0 || (uint64_t)offset >= server->size_bytes) {
		fuse_reply_err(req, ENXIO);
		return;
	}
	seek = g_new(struct seek, 1);
	*seek = (struct seek){ { .job.run = run_seek, .server = server, .req = req }, offset, whence };
	server_start_job(&server->queries, &seek->job);
}

struct fuse_lowlevel_ops ops_all(void)
{
	struct fuse_lowlevel_ops ops = {
		.init = op_init,
		.open = op_open,
		.release = op_release,
		.read = op_read,
		.write = op_write,
		.flush = op_flush,
		.fsync = op_fsync,
		.fsyncdir = op_fsyncdir,
		.fallocate = op_fallocate,
		.lseek = op_lseek,
	};

	tree_ops(&ops);
	return ops;
}
