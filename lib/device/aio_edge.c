/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One transfer of any range as a sequence of system transfers that the store accepts.  The same steps serve libaio,
 * which drives many of them side by side, and the synchronous calls.
 *
 * The tail.  O_DIRECT writes whole alignment units, so a direct write of a file's last, partial unit would make the
 * file grow.  These bytes go through a buffered descriptor, for reads and writes alike.  The page cache works in pages,
 * not in alignment units: a buffered write of the tail makes its whole page dirty, and the later write-back of that
 * page would undo a direct write to the units before the tail in that page.  Therefore the tail begins at a page border
 * (tail_begin), and no byte is ever reached both ways.
 *
 * The range rule of device.h covers the reads of read-modify-write: while the transfer is in flight nobody else touches
 * the units at its edges.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "device/aio_internal.h"

void aio_transfer_init(struct aio_transfer *t, struct aio_device *a, enum device_op op, uint64_t offset_bytes,
		       void *buf, size_t len_bytes)
{
	*t = (struct aio_transfer){
		.a = a, .op = op, .pos = offset_bytes, .end = offset_bytes + len_bytes, .buf = buf, .phase = AIO_CHOOSE,
	};
}

static bool buf_is_aligned(const struct aio_transfer *t, uint64_t skip_bytes)
{
	return !(((uintptr_t)t->buf + skip_bytes) & (t->a->mem_align_bytes - 1));
}

static void set_sub(struct aio_transfer *t, enum device_op op, bool direct, uint64_t offset_bytes, uint8_t *buf,
		    size_t len_bytes)
{
	t->sub.op = op;
	t->sub.direct = direct;
	t->sub.fd = !direct && t->a->tail_fd >= 0 ? t->a->tail_fd : t->a->fd;
	t->sub.offset_bytes = offset_bytes;
	t->sub.buf = buf;
	t->sub.len_bytes = len_bytes;
}

/* The covering units of [pos, end), or of as much of it as a bounce buffer holds. */
static void choose_bounced(struct aio_transfer *t, uint64_t end, uint32_t align)
{
	uint64_t head_end = round_up_to(t->pos, align);

	t->lo = round_down_to(t->pos, align);
	t->hi = round_up_to(end, align);
	if (t->hi - t->lo > AIO_BOUNCE_BYTES) {
		/* Where only the edge is in the way, bounce only that, and the rest goes straight. */
		if (head_end != t->pos && buf_is_aligned(t, head_end - t->pos))
			t->hi = head_end;
		else
			t->hi = t->lo + AIO_BOUNCE_BYTES;
	}
	t->piece_end = MIN(end, t->hi);
	t->phase = AIO_BOUNCE;
}

static void choose_piece(struct aio_transfer *t)
{
	uint32_t align = t->a->dev.info.align_bytes;
	uint64_t end = MIN(t->end, t->a->tail_begin);

	if (t->a->path != AIO_PATH_DIRECT || t->pos >= t->a->tail_begin) {
		t->piece_end = t->end;
		t->phase = AIO_MOVE;
		set_sub(t, t->op, false, t->pos, t->buf, t->end - t->pos);
	} else if (!(t->pos & (align - 1)) && buf_is_aligned(t, 0) && end - t->pos >= align) {
		t->piece_end = round_down_to(end, align);
		t->phase = AIO_MOVE;
		set_sub(t, t->op, true, t->pos, t->buf, t->piece_end - t->pos);
	} else {
		choose_bounced(t, end, align);
	}
}

static void piece_done(struct aio_transfer *t)
{
	t->buf += t->piece_end - t->pos;
	t->pos = t->piece_end;
	t->phase = AIO_CHOOSE;
}

static void fetch_or_head(struct aio_transfer *t)
{
	bool partial_head = t->lo < t->pos;

	if (t->op == DEVICE_READ) {
		t->phase = AIO_FETCH;
		set_sub(t, DEVICE_READ, true, t->lo, t->bounce, t->hi - t->lo);
	} else {
		t->phase = AIO_HEAD;
		set_sub(t, DEVICE_READ, true, t->lo, t->bounce, partial_head ? t->a->dev.info.align_bytes : 0);
	}
}

static void tail(struct aio_transfer *t)
{
	uint32_t align = t->a->dev.info.align_bytes;
	uint64_t unit = t->hi - align;
	bool partial_tail = t->piece_end < t->hi;
	bool have_it = unit == t->lo && t->lo < t->pos;		/* one unit, already read as the head */

	t->phase = AIO_TAIL;
	set_sub(t, DEVICE_READ, true, unit, t->bounce + (unit - t->lo), partial_tail && !have_it ? align : 0);
}

static void store(struct aio_transfer *t)
{
	memcpy(t->bounce + (t->pos - t->lo), t->buf, t->piece_end - t->pos);
	t->phase = AIO_STORE;
	set_sub(t, DEVICE_WRITE, true, t->lo, t->bounce, t->hi - t->lo);
}

/* A phase is over when nothing is left of its sub; one that needs no I/O is over at once. */
enum aio_want aio_transfer_next(struct aio_transfer *t)
{
	while (!t->sub.len_bytes) {
		switch (t->phase) {
		case AIO_CHOOSE:
			if (t->pos == t->end)
				return AIO_FINISHED;
			choose_piece(t);
			break;
		case AIO_BOUNCE:
			if (!t->bounce)
				return AIO_WANT_BOUNCE;
			fetch_or_head(t);
			break;
		case AIO_HEAD:
			tail(t);
			break;
		case AIO_TAIL:
			store(t);
			break;
		case AIO_FETCH:
			memcpy(t->buf, t->bounce + (t->pos - t->lo), t->piece_end - t->pos);
			piece_done(t);
			break;
		case AIO_MOVE:
		case AIO_STORE:
			piece_done(t);
			break;
		}
	}
	return AIO_WANT_IO;
}

/* All subs lie within the size, so the end of the file can only be met in a file that has shrunk. */
int aio_transfer_did(struct aio_transfer *t, ssize_t result)
{
	struct aio_sub *sub = &t->sub;

	if (result == -EINTR)
		return 0;
	if (result < 0)
		return (int)result;
	if (!result || (size_t)result > sub->len_bytes)
		return -EIO;
	sub->offset_bytes += (uint64_t)result;
	sub->buf += result;
	sub->len_bytes -= (size_t)result;
	if (sub->direct && (result & (t->a->dev.info.align_bytes - 1)))
		return -EIO;
	return 0;
}

static ssize_t sub_run(const struct aio_sub *sub)
{
	ssize_t n;

	if (sub->op == DEVICE_READ)
		n = pread(sub->fd, sub->buf, sub->len_bytes, (off_t)sub->offset_bytes);
	else
		n = pwrite(sub->fd, sub->buf, sub->len_bytes, (off_t)sub->offset_bytes);
	return n < 0 ? -errno : n;
}

int aio_transfer_do(struct aio_device *a, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes)
{
	uint8_t room[AIO_BOUNCE_BYTES + AIO_MEM_ALIGN_MAX];	/* on the stack: it cannot run out */
	struct aio_transfer t;
	enum aio_want want;
	int error = 0;

	aio_transfer_init(&t, a, op, offset_bytes, buf, len_bytes);
	while (!error && (want = aio_transfer_next(&t)) != AIO_FINISHED) {
		if (want == AIO_WANT_BOUNCE)
			t.bounce = room + (-(uintptr_t)room & (AIO_MEM_ALIGN_MAX - 1));
		else
			error = aio_transfer_did(&t, sub_run(&t.sub));
	}
	return error;
}

int aio_transfer_run(struct aio_device *a, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes)
{
	int error = op == DEVICE_WRITE ? aio_check_size(a) : 0;

	return error ? error : aio_transfer_do(a, op, offset_bytes, buf, len_bytes);
}
