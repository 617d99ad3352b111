/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the aio device share:
 *
 *	aio_open.c	open, lock, allocate, choose the way to move bytes
 *	aio.c		the vtable: submit, synchronous calls, flush, zero, identity, close
 *	aio_edge.c	one transfer as a sequence of system transfers: pieces, read-modify-write, short results
 *	aio_async.c	whether libaio would sleep
 *	aio_run.c	neighbours as one vectored system transfer
 *	aio_attach.c	the source in a queue: from the first device to the end
 *	aio_direct.c	and its work: libaio, memory and the returns of the pool
 *	aio_pool.c	threads for what would block
 */
#ifndef CWT_DEVICE_AIO_INTERNAL_H
#define CWT_DEVICE_AIO_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "device/aio.h"

#define AIO_BOUNCE_BYTES (64u << 10)
#define AIO_NR_BOUNCES 16u		/* per queue; transfers beyond wait for one */
#define AIO_ALIGN_MAX (AIO_BOUNCE_BYTES / 2)	/* the two edges of a write fit into one */
#define AIO_MEM_ALIGN_MAX 4096u
#define AIO_POOL_THREADS_DEFAULT 16u
#define AIO_POOL_THREADS_MAX 64u

enum aio_path { AIO_PATH_DIRECT, AIO_PATH_MEMORY, AIO_PATH_POOL };

struct aio_pool;

struct aio_device {
	struct device dev;
	enum aio_path path;
	int fd;				/* all I/O but the tail's; holds the lock */
	int tail_fd;			/* buffered; -1: none needed */
	uint64_t tail_begin;		/* bytes from here on go through tail_fd; size_bytes: none do */
	uint32_t mem_align_bytes;	/* of buffers given to fd */
	unsigned nr_pool_threads_max;
	char *path_made;		/* open made this file; NULL: it did not, or it is kept */
	bool allocated;			/* open allocated a file that was empty, and it is not kept */

	pthread_mutex_t pool_lock;	/* attach of several queues at once */
	struct aio_pool *pool;		/* from the first attach that needs it until close */
};

/* NULL if dev is of another kind. */
struct aio_device *aio_device_of(const struct device *dev);
extern const struct device_ops aio_device_ops;

/* Undo what open did to the file; before the descriptors, and so the locks, go. */
void aio_undo(struct aio_device *a);

/* -EIO with a line in the log if the file is shorter than it was at open: a write would make it grow again. */
int aio_check_size(struct aio_device *a);

/*
 * ------------------------------------------------------------------ aio_edge.c
 *
 * A transfer is cut into pieces, each of one kind:
 *
 *	direct		whole alignment units, straight between fd and the caller's aligned buffer
 *	bounced		through an aligned buffer of ours; unaligned edges of a write are read first
 *	buffered	the tail of a file, or everything where the path is not direct
 *
 *	phase		what is under way			next
 *	CHOOSE		nothing					MOVE or BOUNCE, or the transfer is finished
 *	MOVE		a direct or buffered piece		CHOOSE
 *	BOUNCE		waits for a bounce buffer		FETCH (read), HEAD (write)
 *	FETCH		read of the covering units		CHOOSE
 *	HEAD		read of the first unit, if partial	TAIL
 *	TAIL		read of the last unit, if partial	STORE
 *	STORE		write of the covering units		CHOOSE
 */
enum aio_phase { AIO_CHOOSE, AIO_MOVE, AIO_BOUNCE, AIO_FETCH, AIO_HEAD, AIO_TAIL, AIO_STORE };

/* One system transfer; len_bytes is what is still to be done of it. */
struct aio_sub {
	enum device_op op;
	int fd;
	bool direct;
	uint64_t offset_bytes;
	uint8_t *buf;
	size_t len_bytes;
};

struct aio_transfer {
	struct aio_device *a;
	enum device_op op;
	uint64_t pos, end;
	uint8_t *buf;			/* where the byte at pos goes or comes from */
	enum aio_phase phase;
	uint64_t piece_end;
	uint64_t lo, hi;		/* bounced: the covering units */
	uint8_t *bounce;		/* AIO_BOUNCE_BYTES, page-aligned; set by who drives the transfer */
	struct aio_sub sub;
};

enum aio_want { AIO_WANT_IO, AIO_WANT_BOUNCE, AIO_FINISHED };

void aio_transfer_init(struct aio_transfer *t, struct aio_device *a, enum device_op op, uint64_t offset_bytes,
		       void *buf, size_t len_bytes);
/* What to do now: sub, or set bounce and ask again, or nothing more. */
enum aio_want aio_transfer_next(struct aio_transfer *t);
/* The result of sub as the system gave it: bytes, or a negative errno.  Returns 0 or what the transfer ends with. */
int aio_transfer_did(struct aio_transfer *t, ssize_t result);
/* All of it, blocking, any path and any thread.  With the check of the size, and by who has made it. */
int aio_transfer_run(struct aio_device *a, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes);
int aio_transfer_do(struct aio_device *a, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes);

/*
 * ------------------------------------------------------------------ aio_run.c
 *
 * A run: transfers that follow each other, in the queue as in the store, of one kind and each fit for one straight
 * system transfer.  A large request over contiguous blocks goes down as one.  It ends whole or not at all: anything
 * else, and its members are done again one by one, so each gets its own errno (they may: the range rule of device.h
 * keeps others away from all of them).
 */
#define AIO_RUN_BYTES_MAX (1u << 20)	/* what FUSE sends at most, and about what block devices take */
#define AIO_RUN_IOVS 16u

struct aio_run {
	struct list ios;		/* device_io.node, in ascending order */
	unsigned nr_ios, nr_iov;
	size_t len_bytes;
	struct iovec iov[AIO_RUN_IOVS];
};

/* Take the first transfer off queue, which is not empty, and, if not alone, those that can be done together with it. */
void aio_run_take(struct aio_run *run, struct list *queue, bool alone);
static inline struct device_io *aio_run_first(const struct aio_run *run)
{
	return list_entry(run->ios.next, struct device_io, node);
}
/* Blocking: of a run of several, after the check of the size.  False: it was not done whole. */
bool aio_run_do(const struct aio_run *run);

/*
 * ------------------------------------------------------------------ aio_async.c
 *
 * Does libaio leave a transfer of this file under way, or does it sleep in io_submit until that has ended?  Found out by
 * reading its first bytes, for file systems that may do either.  Blocks as a read does.
 */
bool aio_is_async(const struct aio_device *a);

/*
 * ------------------------------------------------------------------ aio_direct.c
 */
struct aio_source;

int aio_source_attach(struct aio_device *a, struct device_queue *q);
void aio_source_submit(struct aio_device *a, struct device_queue *q, struct device_io *io);

/*
 * ------------------------------------------------------------------ aio_pool.c
 */

/* One blocking transfer for a thread. */
struct aio_job {
	struct list node;
	struct aio_device *a;
	enum device_op op;
	uint64_t offset_bytes;
	void *buf;
	size_t len_bytes;
	int error;
	struct aio_source *source;	/* where it returns to */
};

int aio_pool_open(unsigned nr_threads_max, struct aio_pool **out);	/* -EAGAIN: not even one thread */
void aio_pool_submit(struct aio_pool *pool, struct aio_job *job);
void aio_pool_close(struct aio_pool *pool);				/* no jobs; joins.  NULL is allowed */

/* From the pool's threads: job->error is set. */
void aio_source_return(struct aio_job *job);

/* aio_identity.c */
int aio_identity(struct device *dev, struct device_identity *id);
int aio_ids(struct device *dev, struct device_ids *ids);

#endif
