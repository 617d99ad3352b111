/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a store: look, open, lock, allocate, and only then choose how its bytes move.  Nothing of an existing store
 * is changed before it is locked.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bits.h"
#include "device/aio_internal.h"

/*
 * The tail's descriptor locks the bytes from here on, the main one those before; a newcomer asks for all of them at
 * once.
 */
#define LOCK_BORDER ((off_t)1 << 62)

#define FUSE_MAGIC 0x65735546u

struct opening {
	const char *path;
	const struct aio_options *options;
	struct cwt_error *err;
	struct aio_device *a;
	struct stat st;
	bool locked;
};

/*
 * ------------------------------------------------------------------ look and open
 */
static int refuse_type(struct opening *o)
{
	const char *what = S_ISFIFO(o->st.st_mode) ? "a FIFO" : S_ISCHR(o->st.st_mode) ? "a character device" :
			   S_ISSOCK(o->st.st_mode) ? "a socket" : "neither a file nor a block device";

	if (S_ISREG(o->st.st_mode) || S_ISBLK(o->st.st_mode))
		return 0;
	if (S_ISDIR(o->st.st_mode))
		return error_set(o->err, -EISDIR, "%s: is a directory (give the path of a file or block device)",
				 o->path);
	return error_set(o->err, -EINVAL, "%s: is %s (give the path of a file or block device)", o->path, what);
}

static int open_error(struct opening *o, int error)
{
	const char *access = o->options->read_only ? "read" : "read and write";

	switch (error) {
	case ENOENT:
		if (o->options->create)
			return error_set(o->err, -ENOENT,
					 "%s: cannot be made: its directory does not exist (make it first)", o->path);
		return error_set(o->err, -ENOENT, "%s: does not exist (check the path)", o->path);
	case EACCES:
	case EPERM:
		return error_set(o->err, -error, "%s: permission denied (%s permission is needed)", o->path, access);
	case EROFS:
		return error_set(o->err, -EROFS, "%s: is on a read-only file system or device (open it read-only)",
				 o->path);
	case EBUSY:
		return error_set(o->err, -EBUSY,
				 "%s: in use: mounted, or claimed by another process (unmount it, or wait until it "
				 "has ended)",
				 o->path);
	case ETXTBSY:
		return error_set(o->err, -ETXTBSY, "%s: is a program or swap file in use (choose another file)",
				 o->path);
	default:
		return error_set(o->err, -error, "%s: cannot be opened: %s (check the path and the store)", o->path,
				 strerror(error));
	}
}

/* O_NONBLOCK: what was a file when we looked may be a FIFO now, and must not hang us. */
static int open_flags(const struct opening *o)
{
	return (o->options->read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
}

static int open_existing(struct opening *o)
{
	bool is_block = S_ISBLK(o->st.st_mode);
	int err = refuse_type(o);

	if (err)
		return err;
	o->a->fd = open(o->path, open_flags(o) | (is_block && !o->options->no_lock ? O_EXCL : 0));
	if (o->a->fd < 0)
		return open_error(o, errno);
	if (fstat(o->a->fd, &o->st))
		return open_error(o, errno);
	if (S_ISBLK(o->st.st_mode) != is_block)
		return error_set(o->err, -EAGAIN, "%s: was replaced while it was being opened (try again)", o->path);
	return refuse_type(o);
}

/*
 * In /dev a name that does not exist is that of a device, mistyped or not there yet.  What is mounted in it, as
 * /dev/shm is, is another matter; and so is /dev/shm where it is a plain folder.
 */
static bool is_in_dev(const char *path)
{
	char *copy = strdup(path), *dir = copy ? realpath(dirname(copy), NULL) : NULL;
	struct stat there, dev, root;
	bool is = dir && !stat(dir, &there) && !stat("/dev", &dev) && there.st_dev == dev.st_dev;

	if (is && strncmp(dir, "/dev/", 5) && strcmp(dir, "/dev"))
		is = !stat("/", &root) && root.st_dev != dev.st_dev;	/* the file system of /dev by another name */
	else if (is)
		is = strcmp(dir, "/dev/shm") && strncmp(dir, "/dev/shm/", 9);
	free(dir);
	free(copy);
	return is;
}

static int open_new(struct opening *o)
{
	if (is_in_dev(o->path))
		return error_set(o->err, -ENOENT, "%s: does not exist, and no file is made in /dev (check the device's name)",
				 o->path);
	o->a->path_made = strdup(o->path);
	if (!o->a->path_made)
		return open_error(o, ENOMEM);
	o->a->fd = open(o->path, open_flags(o) | O_CREAT | O_EXCL, 0600);
	if (o->a->fd < 0) {
		int error = errno;

		free(o->a->path_made);
		o->a->path_made = NULL;
		errno = error;
	}
	if (o->a->fd < 0 && errno == EEXIST)
		return error_set(o->err, -EEXIST,
				 "%s: is a symbolic link to nothing, or was made just now (check the path)", o->path);
	if (o->a->fd < 0)
		return open_error(o, errno);
	return fstat(o->a->fd, &o->st) ? open_error(o, errno) : 0;
}

static int look_and_open(struct opening *o)
{
	if (!stat(o->path, &o->st))
		return open_existing(o);
	if (errno == ENOENT && o->options->create && !o->options->read_only)
		return open_new(o);
	return open_error(o, errno);
}

/*
 * ------------------------------------------------------------------ lock
 */
static struct flock whole_lock(const struct opening *o)
{
	return (struct flock){ .l_type = o->options->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
}

static int lock_error(struct opening *o, int error)
{
	struct flock owner = whole_lock(o);

	if (error != EAGAIN && error != EACCES)
		return error_set(o->err, -error, "%s: cannot be locked: %s (put it on a file system with locks)",
				 o->path, strerror(error));
	/* The owner of an open-file lock has no pid (-1); other programs' POSIX locks do. */
	if (!fcntl(o->a->fd, F_OFD_GETLK, &owner) && owner.l_type != F_UNLCK && owner.l_pid > 0)
		return error_set(o->err, -EBUSY, "%s: in use by process %ld (unmount it, or wait until it has ended)",
				 o->path, (long)owner.l_pid);
	return error_set(o->err, -EBUSY, "%s: in use by another process (unmount it, or wait until it has ended)",
			 o->path);
}

static int lock_store(struct opening *o)
{
	struct flock lock = whole_lock(o);

	if (o->options->no_lock || S_ISBLK(o->st.st_mode))
		return 0;
	if (fcntl(o->a->fd, F_OFD_SETLK, &lock))
		return lock_error(o, errno);
	o->locked = true;
	/* Between our look and our lock the owner before us may have allocated it, or failed at that and removed it. */
	if (fstat(o->a->fd, &o->st))
		return open_error(o, errno);
	if (o->options->create && !o->st.st_nlink)
		return error_set(o->err, -EAGAIN, "%s: was removed while it was being opened (try again)", o->path);
	return 0;
}

/* R0: the descriptor that does I/O holds a lock itself, so that it outlives the main one's last transfer. */
static int lock_tail(struct opening *o)
{
	struct flock lock = whole_lock(o);

	if (o->options->no_lock || S_ISBLK(o->st.st_mode))
		return 0;
	lock.l_start = LOCK_BORDER;
	lock.l_type = F_UNLCK;
	if (fcntl(o->a->fd, F_OFD_SETLK, &lock))
		return lock_error(o, errno);
	lock.l_type = whole_lock(o).l_type;
	return fcntl(o->a->tail_fd, F_OFD_SETLK, &lock) ? lock_error(o, errno) : 0;
}

/*
 * ------------------------------------------------------------------ size
 */
static int allocate(struct opening *o)
{
	uint64_t size = o->options->size_bytes;
	int error;

	if (!S_ISREG(o->st.st_mode) || o->st.st_size || !size || o->options->read_only)
		return 0;
	o->a->allocated = true;
	do {
		error = posix_fallocate(o->a->fd, 0, (off_t)size);
	} while (error == EINTR);
	if (error)
		return error_set(o->err, -error, "%s: %llu bytes cannot be allocated: %s (make room, or ask for less)",
				 o->path, (unsigned long long)size, strerror(error));
	return fstat(o->a->fd, &o->st) ? open_error(o, errno) : 0;
}

static int find_size(struct opening *o)
{
	struct device_info *info = &o->a->dev.info;

	info->is_block = S_ISBLK(o->st.st_mode);
	info->size_bytes = (uint64_t)o->st.st_size;
	if (info->is_block && ioctl(o->a->fd, BLKGETSIZE64, &info->size_bytes))
		return open_error(o, errno);
	return 0;
}

/*
 * ------------------------------------------------------------------ how bytes move
 */
static bool is_network_fs(uint64_t type)
{
	static const uint32_t types[] = {
		0x6969 /* nfs */,       0x517B /* smb */,       0xFF534D42 /* cifs */,   0xFE534D42 /* smb2 */,
		FUSE_MAGIC,             0x01021997 /* 9p */,    0x00C36400 /* ceph */,   0x5346414F /* afs */,
		0x6B414653 /* kafs */,  0x73757245 /* coda */,  0x0BD00BD0 /* lustre */, 0x786F4256 /* vboxsf */,
		0x19830326 /* fhgfs */, 0xAAD7AAEA /* panfs */,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i] == (uint32_t)type)
			return true;
	return false;
}

/*
 * Pool threads would queue up behind the one lock that the kernel takes around each write of a FUSE file; libaio does
 * not wait under it.  That is so only where the file system's program has agreed to asynchronous direct I/O.
 */
static bool is_async_fuse(const struct aio_device *a, const struct statfs *fs)
{
	return (uint32_t)fs->f_type == FUSE_MAGIC && aio_is_async(a);
}

static bool is_memory_fs(uint64_t type)
{
	return (uint32_t)type == 0x01021994 /* tmpfs */ || (uint32_t)type == 0x858458F6 /* ramfs */;
}

/* The alignment that the store reports; 0: O_DIRECT is not supported; 1: it does not say. */
static uint32_t reported_align(struct aio_device *a, uint32_t *mem_align)
{
	int sector;

#ifdef STATX_DIOALIGN
	struct statx sx;

	if (!statx(a->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) && (sx.stx_mask & STATX_DIOALIGN)) {
		*mem_align = sx.stx_dio_mem_align;
		return sx.stx_dio_offset_align;
	}
#endif
	if (a->dev.info.is_block && !ioctl(a->fd, BLKSSZGET, &sector)) {
		*mem_align = (uint32_t)sector;
		return (uint32_t)sector;
	}
	return 1;
}

static bool test_read_works(struct aio_device *a, uint32_t align)
{
	uint8_t room[AIO_ALIGN_MAX + AIO_MEM_ALIGN_MAX];
	uint8_t *buf = room + (-(uintptr_t)room & (AIO_MEM_ALIGN_MAX - 1));
	ssize_t n;

	/* One whole unit: a device of 8 KiB sectors refuses half of one. */
	do {
		n = pread(a->fd, buf, align, 0);
	} while (n < 0 && errno == EINTR);
	return n >= 0 || errno == EIO;		/* a bad sector is not a bad alignment */
}

static bool choose_align(struct aio_device *a)
{
	uint32_t mem_align = 0, align = reported_align(a, &mem_align);

	if (align > AIO_ALIGN_MAX)
		return false;
	if (align == 1)
		for (align = 512, mem_align = 0; align <= 4096 && !test_read_works(a, align); align *= 2)
			;
	else if (align && !test_read_works(a, align))
		align = 0;
	if (!mem_align)
		mem_align = align;
	/* Buffers are aligned to a page. */
	if (!is_power_of_2(align) || align > AIO_ALIGN_MAX || !is_power_of_2(mem_align) ||
	    mem_align > AIO_MEM_ALIGN_MAX)
		return false;
	a->dev.info.align_bytes = align;
	a->mem_align_bytes = mem_align;
	return true;
}

static bool try_direct(struct aio_device *a, const struct statfs *fs, int flags)
{
	if (fcntl(a->fd, F_SETFL, flags | O_DIRECT))
		return false;
	if (choose_align(a) && (!a->dev.info.network || is_async_fuse(a, fs)))
		return true;
	fcntl(a->fd, F_SETFL, flags);
	a->dev.info.align_bytes = a->mem_align_bytes = 1;
	return false;
}

static bool may_be_direct(const struct opening *o, const struct statfs *fs)
{
	return !o->options->buffered && (!o->a->dev.info.network || (uint32_t)fs->f_type == FUSE_MAGIC);
}

static int choose_path(struct opening *o)
{
	struct aio_device *a = o->a;
	struct statfs fs = { 0 };
	int flags = fcntl(a->fd, F_GETFL);

	if (flags < 0 || fcntl(a->fd, F_SETFL, flags & ~O_NONBLOCK))
		return open_error(o, errno);
	if (!a->dev.info.is_block && fstatfs(a->fd, &fs))
		return open_error(o, errno);
	a->dev.info.align_bytes = 1;
	a->mem_align_bytes = 1;
	a->dev.info.network = is_network_fs((uint64_t)fs.f_type);
	a->dev.info.fast = is_memory_fs((uint64_t)fs.f_type) || (a->dev.info.is_block && major(o->st.st_rdev) == 1);
	if (o->options->force_pool)
		a->path = AIO_PATH_POOL;
	else if (is_memory_fs((uint64_t)fs.f_type))
		a->path = AIO_PATH_MEMORY;
	else if (may_be_direct(o, &fs) && try_direct(a, &fs, flags & ~O_NONBLOCK))
		a->path = AIO_PATH_DIRECT;
	else
		a->path = AIO_PATH_POOL;
	return 0;
}

/*
 * The tail begins at a border of what the page cache keeps as one: a page, or the file system's block if that is
 * larger.
 */
static int open_tail(struct opening *o)
{
	struct aio_device *a = o->a;
	uint64_t size = a->dev.info.size_bytes;
	uint64_t unit = MAX((uint64_t)sysconf(_SC_PAGESIZE), a->dev.info.align_bytes);
	struct stat st;

	a->tail_begin = size;
	if (a->path != AIO_PATH_DIRECT || !(size & (a->dev.info.align_bytes - 1)))
		return 0;
	if (o->st.st_blksize > 0 && o->st.st_blksize <= 65536 && is_power_of_2((uint64_t)o->st.st_blksize))
		unit = MAX(unit, (uint64_t)o->st.st_blksize);
	a->tail_begin = round_down_to(size, unit);
	a->tail_fd = open(o->path, (o->options->read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (a->tail_fd < 0 || fstat(a->tail_fd, &st))
		return open_error(o, errno);
	if (st.st_dev != o->st.st_dev || st.st_ino != o->st.st_ino)
		return error_set(o->err, -EAGAIN, "%s: was replaced while it was being opened (try again)", o->path);
	return lock_tail(o);
}

/*
 * ------------------------------------------------------------------ all of it
 */
static void undo(struct opening *o)
{
	struct aio_device *a = o->a;

	if (o->locked)			/* else another has locked it first, and it is his now */
		aio_undo(a);
	else
		free(a->path_made);
	if (a->tail_fd >= 0)
		close(a->tail_fd);
	if (a->fd >= 0)
		close(a->fd);
	pthread_mutex_destroy(&a->pool_lock);
	free(a);
}

int aio_device_open(const char *path, const struct aio_options *options, struct device **out, bool *created,
		    struct cwt_error *err)
{
	struct opening o = { .path = path, .options = options, .err = err };
	int ret;

	cwt_assert(!options->no_lock || options->read_only);
	o.a = calloc(1, sizeof(*o.a));
	if (!o.a)
		return error_set(err, -ENOMEM, "%s: out of memory (free some)", path);
	pthread_mutex_init(&o.a->pool_lock, NULL);
	o.a->fd = o.a->tail_fd = -1;
	o.a->dev.ops = &aio_device_ops;
	o.a->dev.info.read_only = options->read_only;
	o.a->nr_pool_threads_max = options->nr_pool_threads ? options->nr_pool_threads : AIO_POOL_THREADS_DEFAULT;
	snprintf(o.a->dev.name, sizeof(o.a->dev.name), "%s", path);

	ret = look_and_open(&o);
	if (!ret)
		ret = lock_store(&o);
	if (!ret)
		ret = allocate(&o);
	if (!ret)
		ret = find_size(&o);
	if (!ret)
		ret = choose_path(&o);
	if (!ret)
		ret = open_tail(&o);
	if (ret) {
		undo(&o);
		return ret;
	}
	o.a->dev.info.buffered = o.a->path == AIO_PATH_POOL || o.a->tail_fd >= 0;
	o.a->dev.info.fresh = o.a->path_made || o.a->allocated;
	if (created)
		*created = o.a->path_made || o.a->allocated;
	*out = &o.a->dev;
	return 0;
}
