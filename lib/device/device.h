/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seam to a store: origin, cache or metadata, each a file, a block device, or memory.
 *
 * Two ways in.  Queued transfers (device_submit) are for the data path: any number in flight, nothing blocks, results
 * come back from device_queue_reap() on the thread that owns the queue.  Synchronous calls (device_read, device_write,
 * device_flush, device_zero) may block and belong to threads that may: start, stop, commit, fsync, fallocate.
 *
 * Ranges.  Any byte range within the size works, aligned or not; a device whose store wants alignment does
 * read-modify-write of the edges itself.  Therefore the caller keeps this rule (I4): while a queued write is in flight,
 * no other transfer touches any of its bytes *after its range was widened to align_bytes on both sides* - the engine
 * holds exactly that range in the cell.  A transfer ends whole or with an errno: short transfers are continued below
 * this seam, no progress (also: the file has shrunk) is -EIO.  The size of a store never changes by a transfer, not
 * even for a moment.
 *
 * Errors: 0 or a negative errno.  After: the block layer's bio, reduced to what the engine needs.
 */
#ifndef CWT_DEVICE_DEVICE_H
#define CWT_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

struct device;
struct device_queue;
struct device_io;

enum device_op { DEVICE_READ, DEVICE_WRITE };

/* How device_zero() makes zeros.  PUNCH gives the space back; ZERO need not.  Both read back zeros. */
enum device_zero_op { DEVICE_PUNCH, DEVICE_ZERO };

/*
 * One queued transfer.  The caller embeds it, fills in the first group anew for every submit - a finished transfer's
 * fields are garbage, and faulty devices scribble over them to prove that nobody looks - and leaves it alone until
 * done() is called.
 */
struct device_io {
	struct device *dev;
	enum device_op op;
	uint64_t offset_bytes;
	uint32_t len_bytes;		/* > 0 */
	void *buf;			/* device_align() aligned is fastest; any works */
	void (*done)(struct device_io *io);	/* from device_queue_reap(): record and queue, no I/O, no blocking */

	int error;			/* result, valid within done(): 0 = all of len_bytes, else a negative errno */

	struct list node;		/* the device's, while submitted; list_init() it once before first use */
	union {				/* the device's, while submitted */
		void *ptr[6];
		uint64_t u64[6];
	} priv;
};

/* Constant facts of an open device. */
struct device_info {
	uint64_t size_bytes;
	uint32_t align_bytes;		/* a power of two, 1 to 4096 (32 KiB if the store insists), see Ranges */
	bool read_only;
	bool fast;			/* answers at memory speed: one loop is enough */
	bool is_block;			/* a block device */
	bool network;			/* a network file system: its clock is not ours */
	bool fresh;			/* made, or allocated, by this open: all of it reads as zeros until it is written */
	bool buffered;			/* writes are answered by a page cache, and may fail after that: device_write_back() */
};

/* Who this store is, and when it was last changed.  Taken anew at each call.  0 = not known. */
struct device_identity {
	uint64_t dev, ino, rdev;
	uint64_t birth_ns;		/* files: creation time */
	uint64_t mount_id;		/* of the mount that it was opened on, unique in this boot; block devices: not asked */
	uint64_t fsid;			/* of its file system */
	uint64_t diskseq;		/* block devices: counts disks, in this boot */
	uint64_t size_bytes;
	int64_t mtime_ns, ctime_ns;	/* files only */
};

/*
 * What a block device says of itself, each as a digest; 0 = not known.  The last three are content, which a write may
 * change: they speak of the disk only while nothing was written.
 */
enum device_id {
	DEVICE_ID_WWN, DEVICE_ID_SERIAL, DEVICE_ID_PARTITION_UUID, DEVICE_ID_TABLE_UUID, DEVICE_ID_FILE_SYSTEM_UUID,
	DEVICE_ID_FIRST_MIB, DEVICE_ID_LAST_MIB, DEVICE_IDS,
};
struct device_ids { uint64_t id[DEVICE_IDS]; };

/*
 * The vtable.  Called only through the functions below, which check the contract once for all devices.
 *
 * attach    once per queue before the first submit to it, on the queue's thread; optional.
 * submit    queue io; may complete it at once, but done() is called only from reap.  Queue's thread.  No system call is
 *           made before kick where that can be helped.
 * rw        the whole range, blocking.  Any thread; the caller keeps the range rule above towards queued transfers too.
 * flush     returns 0 when all writes that completed before this call are durable.  Blocking, any thread.
 * zero      -EOPNOTSUPP where the store cannot.  Blocking, any thread; range rule as for a write.
 * identity  blocking, any thread.
 * tag       see device_tag(); blocking, any thread; NULL: none.
 * close     after the last queue is closed; frees dev.
 * next_data   see device_next_data(); any thread; NULL: all of it may be data.
 * write_back  see device_write_back(); any thread; NULL: nothing is ever lost.
 * ids       see device_ids(); blocking, any thread; NULL: none.
 */
struct device_ops {
	const char *name;
	int (*attach)(struct device *dev, struct device_queue *q);
	void (*submit)(struct device *dev, struct device_queue *q, struct device_io *io);
	int (*rw)(struct device *dev, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes);
	int (*flush)(struct device *dev);
	int (*zero)(struct device *dev, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes);
	int (*identity)(struct device *dev, struct device_identity *id);
	int (*tag)(struct device *dev, const void *set, void *get);
	void (*close)(struct device *dev);
	int (*write_back)(struct device *dev, bool begin);
	int (*next_data)(struct device *dev, uint64_t from, uint64_t *begin, uint64_t *end);
	int (*ids)(struct device *dev, struct device_ids *ids);
};

/* A device embeds this first. */
struct device {
	const struct device_ops *ops;
	struct device_info info;
	char name[256];			/* for messages: the path, or what the test calls it */
};

static inline const struct device_info *device_info(const struct device *dev) { return &dev->info; }

static inline bool device_range_ok(const struct device *dev, uint64_t offset_bytes, uint64_t len_bytes)
{
	return offset_bytes <= dev->info.size_bytes && len_bytes <= dev->info.size_bytes - offset_bytes;
}

/* Queued.  io->offset_bytes + io->len_bytes <= size_bytes; no writes to a read_only device.  Asserted. */
void device_submit(struct device_queue *q, struct device_io *io);

/*
 * Synchronous.  len 0 is success; the range is within the size (asserted).  On a read_only device write and zero give
 * -EROFS; flush works, and reports what others' writes met.
 */
int device_read(struct device *dev, uint64_t offset_bytes, void *buf, size_t len_bytes);
int device_write(struct device *dev, uint64_t offset_bytes, const void *buf, size_t len_bytes);
int device_flush(struct device *dev);
int device_zero(struct device *dev, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes);
int device_identity(struct device *dev, struct device_identity *id);
/* Reads at most 2 MiB of it, and asks sysfs.  What cannot be found out is 0, so are all of a file.  -ENOMEM. */
int device_ids(struct device *dev, struct device_ids *ids);
/*
 * A store may carry a tag beside its content, DEVICE_TAG_BYTES long (files: a user xattr), durable before the call
 * returns.  set NULL: leave it; get NULL: do not read it.  get is read before set is written; all zeros where there is
 * none yet.  -EOPNOTSUPP: this store takes none.
 */
#define DEVICE_TAG_BYTES 24
int device_tag(struct device *dev, const void *set, void *get);
/*
 * The next stretch at or after from (at most the size) that may hold anything but zeros: the rest are holes, or extents
 * that were allocated and never written.  begin == end == size: there is none.  Blocks.
 */
int device_next_data(struct device *dev, uint64_t from, uint64_t *begin, uint64_t *end);
/*
 * What became of writes that a page cache has answered?  0, or the errno of one that has failed since this or
 * device_flush() was last called; each failure is told once, by one of the two.  Waits for nothing.  begin: also begin
 * to write back what is not yet, which may block when the store is busy.
 */
int device_write_back(struct device *dev, bool begin);
void device_close(struct device *dev);	/* NULL is allowed */

/*
 * A queue: one per loop thread, shared by all devices that this loop uses, so that one kick is one io_submit for all of
 * them.  Everything but device_queue_wake() is for the owning thread.
 *
 * max_in_flight is how many transfers the system is given at once; what is submitted beyond it waits inside the devices
 * and never fails.
 *
 * Waiting.  The fd tells of what happened elsewhere (the kernel, another thread).  What ended already at submit or kick
 * - a device in memory - does not touch it, to save a system call: so wait only when the last reap came after the last
 * kick and returned 0.  done() may submit; that is kicked by the next kick.
 *
 * device_queue_in_flight() counts what was submitted and not yet answered, also what a wrapping device submitted to its
 * inner one.
 */
int device_queue_open(unsigned max_in_flight, struct device_queue **out);
void device_queue_close(struct device_queue *q);		/* nothing in flight */
int device_queue_attach(struct device_queue *q, struct device *dev);	/* -ENOMEM, -EAGAIN: no thread to be had */
int device_queue_kick(struct device_queue *q);			/* submit all that was queued; returns how many */
int device_queue_reap(struct device_queue *q);			/* call done() of all that finished; returns how many */
int device_queue_fd(const struct device_queue *q);		/* an eventfd: readable as said above, or after wake */
void device_queue_wake(struct device_queue *q);			/* make the fd readable.  Any thread */
void device_queue_drain_fd(struct device_queue *q);		/* make it unreadable; before the reap after a wait */
unsigned device_queue_in_flight(const struct device_queue *q);
unsigned device_queue_max_in_flight(const struct device_queue *q);

/*
 * For device implementations.  A source is one kind of asynchrony (an AIO context, a thread pool's return list, a
 * stepped memory device) hung into a queue; devices of one kind share the source of a queue.
 */
struct device_queue_source {
	const struct device_queue_source_ops *ops;
	struct list node;
};

struct device_queue_source_ops {
	const char *kind;
	int (*kick)(struct device_queue_source *s);	/* may be NULL */
	int (*reap)(struct device_queue_source *s);	/* may be NULL; calls device_io_done() */
	void (*close)(struct device_queue_source *s);
};

struct device_queue_source *device_queue_find_source(struct device_queue *q, const struct device_queue_source_ops *ops);
void device_queue_add_source(struct device_queue *q, struct device_queue_source *s);

/* End a transfer from within reap: sets error, calls done(). */
void device_io_done(struct device_queue *q, struct device_io *io, int error);
/* End a transfer at the next reap: for devices that complete at submit.  Queue's thread. */
void device_io_done_later(struct device_queue *q, struct device_io *io, int error);

#endif
