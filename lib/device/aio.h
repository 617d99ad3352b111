/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files and block devices.
 *
 * Three ways to move bytes, chosen at open by trying:
 *   direct   O_DIRECT with libaio, aligned to what the store reports (statx STATX_DIOALIGN, BLKSSZGET); unaligned edges by
 *            read-modify-write; the bytes after a file's last whole alignment unit through a second, buffered descriptor,
 *            because an O_DIRECT write there would make the file grow;
 *   memory   tmpfs and ramfs: plain preadv/pwritev at kick, which never sleeps there;
 *   pool     everything else (network, FUSE, file systems without O_DIRECT): a bounded pool of threads, since libaio would
 *            block in io_submit.
 */
#ifndef CWT_DEVICE_AIO_H
#define CWT_DEVICE_AIO_H

#include "device/device.h"

struct aio_options {
	bool read_only;		/* open read-only, share the lock with other readers */
	bool create;		/* make the file if it is missing, 0600 */
	bool buffered;		/* never O_DIRECT: the metadata, whose marks and commits share its page cache */
	bool no_lock;		/* only to look at a store that another process owns: its runtime page */
	uint64_t size_bytes;	/* with create, and for an empty file: allocate this much (posix_fallocate); 0: leave */
};

/*
 * Open path and lock it: OFD locks on the very descriptor that does the I/O (R0), O_EXCL on block devices.
 * A file made here is removed again when the open fails after that.
 * Errors, each with a line in err: -ENOENT, -EACCES, -EISDIR, -EINVAL (not a file or block device: FIFO, character device ...),
 * -EBUSY (locked; *owner_pid is set where known, else 0), -ENOSPC (could not be allocated), others as the system says.
 * created (may be NULL) says whether the file was made or was empty and was allocated by this call.
 */
int aio_device_open(const char *path, const struct aio_options *options, struct device **out, bool *created,
		    struct cwt_error *err);

/* The descriptor that I/O uses, for fstat and lseek(SEEK_DATA); owned by dev.  -1 if dev is not of this kind. */
int aio_device_fd(const struct device *dev);

/* "direct", "memory" or "pool", for status. */
const char *aio_device_path_name(const struct device *dev);

#endif
