/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files and block devices.
 *
 * Three ways to move bytes, chosen at open by trying:
 *   direct   O_DIRECT with libaio, aligned to what the store reports (statx STATX_DIOALIGN, BLKSSZGET); unaligned
 *            edges by read-modify-write; the page of a file's last partial alignment unit through a second, buffered
 *            descriptor, because an O_DIRECT write there would make the file grow;
 *   memory   tmpfs and ramfs: plain pread/pwrite at kick, which never sleeps there;
 *   pool     everything else (network, file systems without O_DIRECT, FUSE where libaio would block in io_submit): a
 *            bounded pool of threads.
 *
 * info: align_bytes is that of O_DIRECT, 1 on the other paths; network for network and FUSE file systems; fast for
 * tmpfs, ramfs and RAM disks; buffered for the pool, and for a file with a tail.  The size is taken at open; a file that shrinks later gives -EIO beyond its end, and one
 * that grows is served as it was.
 *
 * Context: open, attach and the synchronous calls may block.  Threads and AIO contexts are made by
 * device_queue_attach(), so open may come before a fork, attach may not.
 */
#ifndef CWT_DEVICE_AIO_H
#define CWT_DEVICE_AIO_H

#include "device/device.h"

struct aio_options {
	bool read_only;		/* open read-only, share the lock with other readers */
	bool create;		/* make the file if it is missing, 0600 */
	bool buffered;		/* never O_DIRECT: the metadata, whose marks and commits share its page cache */
	uint64_t size_bytes;	/* with create, and for an empty file: allocate this much (posix_fallocate); 0: leave */
	bool no_lock;		/* with read_only: a look at a store that someone else owns, such as its runtime page */
	unsigned nr_pool_threads;	/* most threads of the pool; 0: 16 */
	bool force_pool;	/* for tests: the pool, whatever would work */
};

/*
 * Open path and lock it: OFD locks on the very descriptors that do the I/O (R0) - a write lock, with read_only a read
 * lock - and O_EXCL, for readers and writers alike, on block devices. No file is ever made in /dev: a name there that does
 * not exist is a mistyped device. A file made here is removed again when the open fails after that, and one that was
 * empty is made empty again; so too when the device is closed before aio_device_keep(). Errors, each with a line in err: -ENOENT, -EACCES,
 * -EISDIR, -EINVAL (not a file or block device: FIFO, character device ...), -EBUSY (locked; the line names the owner's
 * pid where the system knows it), -ENOSPC, -EDQUOT, -EFBIG (could not be allocated), others as the system says. created
 * (may be NULL) says whether the file was made or was empty and was allocated by this call.
 */
int aio_device_open(const char *path, const struct aio_options *options, struct device **out, bool *created,
		    struct cwt_error *err);

/*
 * What open has made, or allocated, stays: call it when nothing can fail any more. Without it close undoes that, still
 * locked, and only if the path still names what was made: a start that fails must leave a user's file, or link to one,
 * as it was.
 */
void aio_device_keep(struct device *dev);

/* The descriptor that I/O uses, for fstat and lseek(SEEK_DATA); owned by dev.  -1 if dev is not of this kind. */
int aio_device_fd(const struct device *dev);

/* "direct", "memory" or "pool", for status. */
const char *aio_device_path_name(const struct device *dev);

#endif
