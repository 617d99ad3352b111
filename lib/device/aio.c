/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vtable of the aio device: everything but open and the queued path. */
#include "device/aio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log.h"
#include "device/aio_internal.h"

struct aio_device *aio_device_of(const struct device *dev)
{
	return dev->ops == &aio_device_ops ? container_of(dev, struct aio_device, dev) : NULL;
}

int aio_device_fd(const struct device *dev)
{
	const struct aio_device *a = aio_device_of(dev);

	return a ? a->fd : -1;
}

const char *aio_device_path_name(const struct device *dev)
{
	static const char *const names[] = {
		[AIO_PATH_DIRECT] = "direct", [AIO_PATH_MEMORY] = "memory", [AIO_PATH_POOL] = "pool"
	};
	const struct aio_device *a = aio_device_of(dev);

	return a ? names[a->path] : dev->ops->name;
}

/*
 * On the direct path a loop asks, and must not wait for a server or for another FUSE file system's program: the kernel
 * says what it knows by itself, which device_identity() renews.
 */
int aio_check_size(struct aio_device *a)
{
	int sync = a->path == AIO_PATH_DIRECT && a->dev.info.network ? AT_STATX_DONT_SYNC : 0;
	static struct log_limit limit;
	struct statx sx;

	if (a->dev.info.is_block)
		return 0;
	if (statx(a->fd, "", AT_EMPTY_PATH | sync, STATX_SIZE, &sx))
		return -errno;
	if (sx.stx_size >= a->dev.info.size_bytes)
		return 0;
	log_limited(&limit, LOG_LEVEL_ERROR, "%s: has shrunk to %llu bytes while in use, expected %llu", a->dev.name,
		    (unsigned long long)sx.stx_size, (unsigned long long)a->dev.info.size_bytes);
	return -EIO;
}

static int aio_rw(struct device *dev, enum device_op op, uint64_t offset_bytes, void *buf, size_t len_bytes)
{
	return aio_transfer_run(aio_device_of(dev), op, offset_bytes, buf, len_bytes);
}

static int aio_attach(struct device *dev, struct device_queue *q)
{
	return aio_source_attach(aio_device_of(dev), q);
}

static void aio_submit(struct device *dev, struct device_queue *q, struct device_io *io)
{
	aio_source_submit(aio_device_of(dev), q, io);
}

/* The size does not change, so fdatasync is enough; it covers the tail's descriptor too, they are one inode. */
static int aio_flush(struct device *dev)
{
	struct aio_device *a = aio_device_of(dev);
	int ret;

	do {
		ret = fdatasync(a->fd);
	} while (ret && errno == EINTR);
	return ret ? -errno : 0;
}

/* A file system that cannot say calls all of it data, or refuses: then it is. */
static int aio_next_data(struct device *dev, uint64_t from, uint64_t *begin, uint64_t *end)
{
	struct aio_device *a = aio_device_of(dev);
	uint64_t size = dev->info.size_bytes;
	off_t data, hole;

	if (dev->info.is_block || from == size)
		return 0;
	data = lseek(a->fd, (off_t)from, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		*begin = *end = size;
		return 0;
	}
	hole = data < 0 ? -1 : lseek(a->fd, data, SEEK_HOLE);
	if (hole < 0)
		return 0;
	*begin = MIN((uint64_t)data, size);
	*end = MIN((uint64_t)hole, size);
	return 0;
}

/*
 * The kernel keeps for each open file which failure of its inode's write-back it has been told of.  A wait for the
 * pages of a range asks that, and behind the end there are none to wait for.
 */
static int aio_write_back(struct device *dev, bool begin)
{
	struct aio_device *a = aio_device_of(dev);
	off_t behind = (off_t)round_up_to(dev->info.size_bytes, 1u << 20);

	if (!dev->info.buffered)
		return 0;
	if (begin && sync_file_range(a->fd, 0, 0, SYNC_FILE_RANGE_WRITE) && errno != EINTR && errno != ENOSYS)
		return -errno;
	return sync_file_range(a->fd, behind, 1, SYNC_FILE_RANGE_WAIT_BEFORE) && errno != EINTR && errno != ENOSYS ? -errno : 0;
}

/*
 * ------------------------------------------------------------------ zero
 */
static int zero_by_fallocate(struct aio_device *a, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes)
{
	int mode = (op == DEVICE_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE;
	int ret;

	do {
		ret = fallocate(a->fd, mode, (off_t)offset_bytes, (off_t)len_bytes);
	} while (ret && errno == EINTR);
	if (!ret)
		return 0;
	return errno == ENOSYS || errno == ENOTTY ? -EOPNOTSUPP : -errno;
}

static int zero_by_writing(struct aio_device *a, uint64_t offset_bytes, uint64_t len_bytes)
{
	static const uint8_t zeros[4096];
	int error = 0;

	while (len_bytes && !error) {
		size_t len = MIN(len_bytes, sizeof(zeros));

		error = aio_transfer_run(a, DEVICE_WRITE, offset_bytes, (void *)(uintptr_t)zeros, len);
		offset_bytes += len;
		len_bytes -= len;
	}
	return error;
}

/*
 * Block devices refuse unaligned fallocate: whole sectors first, since that may be unsupported and then nothing must
 * have changed, then the edges by writing.
 */
static int zero_block_device(struct aio_device *a, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes)
{
	uint64_t end = offset_bytes + len_bytes;
	uint32_t sector = MAX(a->dev.info.align_bytes, 512u);
	uint64_t lo = round_up_to(offset_bytes, sector), hi = round_down_to(end, sector);
	uint64_t range[2] = { lo, hi - lo };
	int error;

	if (lo >= hi)
		return zero_by_writing(a, offset_bytes, len_bytes);
	error = zero_by_fallocate(a, op, lo, hi - lo);
	if (error == -EOPNOTSUPP && op == DEVICE_ZERO)
		error = ioctl(a->fd, BLKZEROOUT, range) ? -EOPNOTSUPP : 0;
	if (!error)
		error = zero_by_writing(a, offset_bytes, lo - offset_bytes);
	if (!error)
		error = zero_by_writing(a, hi, end - hi);
	return error;
}

/*
 * Files take any range.  The file system zeroes partial blocks at the edges through the page cache, and that is safe
 * beside O_DIRECT: it waits for direct I/O in flight on the file before it touches a page, and every later direct read
 * or write of that page writes it back and drops it first.
 */
static int aio_zero(struct device *dev, enum device_zero_op op, uint64_t offset_bytes, uint64_t len_bytes)
{
	struct aio_device *a = aio_device_of(dev);
	int error = aio_check_size(a);

	if (error)
		return error;
	return dev->info.is_block ? zero_block_device(a, op, offset_bytes, len_bytes) :
				    zero_by_fallocate(a, op, offset_bytes, len_bytes);
}

/*
 * ------------------------------------------------------------------ tag
 */
/*
 * A user xattr, flushed with the file: it says who may have written the origin last.  Files only; a file system without
 * user xattrs, or one that is not allowed here, has no tag.
 */
#define TAG_XATTR "user.cachewtfs"

static int tag_error(int error)
{
	return error == ENOTSUP || error == EPERM || error == EACCES || error == ENOSYS ? -EOPNOTSUPP : -error;
}

static int aio_tag(struct device *dev, const void *set, void *get)
{
	struct aio_device *a = aio_device_of(dev);

	if (dev->info.is_block)
		return -EOPNOTSUPP;
	if (get) {
		ssize_t n = fgetxattr(a->fd, TAG_XATTR, get, DEVICE_TAG_BYTES);

		if (n < 0 && errno != ENODATA && errno != ERANGE)
			return tag_error(errno);
		if (n != DEVICE_TAG_BYTES)
			memset(get, n < 0 && errno == ENODATA ? 0 : 0xff, DEVICE_TAG_BYTES);
	}
	if (set && fsetxattr(a->fd, TAG_XATTR, set, DEVICE_TAG_BYTES, 0))
		return tag_error(errno);
	if (set && fsync(a->fd))
		return -errno;
	return 0;
}

void aio_device_keep(struct device *dev)
{
	struct aio_device *a = aio_device_of(dev);

	free(a->path_made);
	a->path_made = NULL;
	a->allocated = false;
}

/* Another file may have come to that name, or a link to ours. */
void aio_undo(struct aio_device *a)
{
	struct stat ours, now;

	if (a->path_made && !fstat(a->fd, &ours) && !lstat(a->path_made, &now) && now.st_dev == ours.st_dev &&
	    now.st_ino == ours.st_ino)
		unlink(a->path_made);
	else if (a->allocated && ftruncate(a->fd, 0))
		(void)0;		/* it stays allocated; the error being reported is the first one */
	free(a->path_made);
}

static void aio_close(struct device *dev)
{
	struct aio_device *a = aio_device_of(dev);

	aio_undo(a);
	aio_pool_close(a->pool);
	pthread_mutex_destroy(&a->pool_lock);
	if (a->tail_fd >= 0)
		close(a->tail_fd);
	close(a->fd);
	free(a);
}

const struct device_ops aio_device_ops = {
	.name = "aio",
	.attach = aio_attach,
	.submit = aio_submit,
	.rw = aio_rw,
	.flush = aio_flush,
	.zero = aio_zero,
	.identity = aio_identity,
	.tag = aio_tag,
	.close = aio_close,
	.write_back = aio_write_back,
	.next_data = aio_next_data,
	.ids = aio_ids,
};
