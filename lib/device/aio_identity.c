/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who a store is.
 *
 * A file: device, inode, birth, times; and which *instance* of its file system it lies in, for after a crash of that file
 * system in a running machine its page cache is gone, and the files may be older than they were.  Two ways to tell:
 *
 *	sysfs	the number of the folder that ext4, XFS and f2fs make there for each mounted file system; the kernel counts these
 *		numbers up.  It stays the same in all mount namespaces: a container that is started anew, sees the same one
 *	statx	the unique id of the mount (kernel 6.8).  Another mount of the same instance, as in a new container, has another
 *
 * A block device: the number of the disk in this boot (diskseq), and what the hardware says of itself, what the partition
 * table says of the partition, and what its content says.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#ifdef HAVE_BLKID
#include <blkid/blkid.h>
#endif

#include "base/bits.h"
#include "device/aio_internal.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

#define MIB (1u << 20)
#define INSTANCE_BY_SYSFS (UINT64_C(1) << 63)

/*
 * ------------------------------------------------------------------ files
 */
static int64_t ns_of(const struct statx_timestamp *ts)
{
	return ts->tv_sec * 1000000000 + ts->tv_nsec;
}

/* The folder of sysfs for the file system on this device, by the kernel's name of the device.  0: none. */
static uint64_t instance_by_sysfs(unsigned major_nr, unsigned minor_nr)
{
	static const char *const types[] = { "ext4", "xfs", "f2fs" };
	char link[64], target[PATH_MAX], path[PATH_MAX];
	const char *name;
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major_nr, minor_nr);
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return 0;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		snprintf(path, sizeof(path), "/sys/fs/%s/%.255s", types[i], name);
		if (!stat(path, &st))
			return st.st_ino | INSTANCE_BY_SYSFS;
	}
	return 0;
}

static uint64_t instance_of(const struct statx *sx)
{
	uint64_t id = instance_by_sysfs(sx->stx_dev_major, sx->stx_dev_minor);

	return id || !(sx->stx_mask & STATX_MNT_ID_UNIQUE) ? id : sx->stx_mnt_id & ~INSTANCE_BY_SYSFS;
}

static uint64_t fsid_of(int fd)
{
	struct statfs fs;
	uint64_t id = 0;

	_Static_assert(sizeof(fs.f_fsid) == sizeof(id), "two numbers of 32 bits");
	if (!fstatfs(fd, &fs))
		memcpy(&id, &fs.f_fsid, sizeof(id));
	return id;
}

static uint64_t disk_seq(int fd)
{
	uint64_t seq = 0;

#ifdef BLKGETDISKSEQ
	if (ioctl(fd, BLKGETDISKSEQ, &seq))
		seq = 0;
#else
	(void)fd;
#endif
	return seq;
}

/* AT_STATX_FORCE_SYNC: on a network file system the server's truth, not what was cached of it. */
int aio_identity(struct device *dev, struct device_identity *id)
{
	struct aio_device *a = aio_device_of(dev);
	uint64_t size_bytes;
	struct statx sx;

	if (statx(a->fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID_UNIQUE, &sx))
		return -errno;
	id->dev = makedev(sx.stx_dev_major, sx.stx_dev_minor);
	id->ino = sx.stx_ino;
	if (dev->info.is_block) {
		id->rdev = makedev(sx.stx_rdev_major, sx.stx_rdev_minor);
		id->diskseq = disk_seq(a->fd);
		if (ioctl(a->fd, BLKGETSIZE64, &size_bytes))
			return -errno;
		id->size_bytes = size_bytes;
		return 0;
	}
	id->mount_id = instance_of(&sx);
	id->fsid = fsid_of(a->fd);
	if (sx.stx_mask & STATX_BTIME)
		id->birth_ns = (uint64_t)ns_of(&sx.stx_btime);
	id->size_bytes = sx.stx_size;
	id->mtime_ns = ns_of(&sx.stx_mtime);
	id->ctime_ns = ns_of(&sx.stx_ctime);
	return 0;
}

/*
 * ------------------------------------------------------------------ block devices: what the system says
 */
static uint64_t digest_of(const void *bytes, size_t len)
{
	uint64_t digest = XXH3_64bits(bytes, len);

	return digest ? digest : 1;
}

/* A line of sysfs, without blanks around it.  False: none, or an empty one. */
static bool sysfs_line(const char *folder, const char *name, char *line, size_t size)
{
	char path[PATH_MAX];
	size_t from, len;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, line, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	line[n] = '\0';
	from = strspn(line, " \t\n");
	memmove(line, line + from, (size_t)n - from + 1);
	for (len = strlen(line); len && strchr(" \t\n", line[len - 1]); len--)
		line[len - 1] = '\0';
	return len > 0;
}

/* The first of them that says anything, of the disk itself; with the partition's number, if it is one. */
static uint64_t sysfs_digest(const char *disk, const char *partition, const char *const *names, unsigned nr)
{
	char text[512];

	for (unsigned i = 0; i < nr; i++) {
		size_t len;

		if (!sysfs_line(disk, names[i], text, 400))
			continue;
		len = strlen(text);
		snprintf(text + len, sizeof(text) - len, " %s", partition);
		return digest_of(text, strlen(text));
	}
	return 0;
}

/* A loop device is its file: by path and inode, for another file may get the path. */
static uint64_t loop_digest(const char *disk, const char *partition)
{
	char file[PATH_MAX], text[PATH_MAX + 64];
	struct stat st = { 0 };

	if (!sysfs_line(disk, "loop/backing_file", file, sizeof(file)))
		return 0;
	if (stat(file, &st))
		st.st_ino = 0;
	snprintf(text, sizeof(text), "%llu %s %s", (unsigned long long)st.st_ino, partition, file);
	return digest_of(text, strlen(text));
}

static void ids_from_sysfs(dev_t rdev, struct device_ids *ids)
{
	static const char *const wwn[] = { "wwid", "device/wwid", "dm/uuid" };
	static const char *const serial[] = { "serial", "device/serial" };
	char folder[64], disk[80], partition[32];

	snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u", major(rdev), minor(rdev));
	if (sysfs_line(folder, "partition", partition, sizeof(partition))) {
		snprintf(disk, sizeof(disk), "%s/..", folder);
	} else {
		snprintf(disk, sizeof(disk), "%s", folder);
		partition[0] = '\0';
	}
	ids->id[DEVICE_ID_WWN] = sysfs_digest(disk, partition, wwn, ARRAY_SIZE(wwn));
	ids->id[DEVICE_ID_SERIAL] = sysfs_digest(disk, partition, serial, ARRAY_SIZE(serial));
	if (!ids->id[DEVICE_ID_SERIAL])
		ids->id[DEVICE_ID_SERIAL] = loop_digest(disk, partition);
}

/*
 * ------------------------------------------------------------------ block devices: what is written on them
 */
#ifdef HAVE_BLKID
static uint64_t probe_digest(blkid_probe probe, const char *name, const char *beside)
{
	const char *value = NULL, *more = "";
	char text[512];

	if (blkid_probe_lookup_value(probe, name, &value, NULL) || !value)
		return 0;
	if (beside && (blkid_probe_lookup_value(probe, beside, &more, NULL) || !more))
		more = "";
	snprintf(text, sizeof(text), "%s %s", value, more);
	return digest_of(text, strlen(text));
}

static void ids_from_blkid(int fd, struct device_ids *ids)
{
	blkid_probe probe = blkid_new_probe();

	if (!probe)
		return;
	if (!blkid_probe_set_device(probe, fd, 0, 0)) {
		blkid_probe_enable_superblocks(probe, 1);
		blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE);
		blkid_probe_enable_partitions(probe, 1);
		blkid_probe_set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS);
		(void)blkid_do_safeprobe(probe);
		ids->id[DEVICE_ID_PARTITION_UUID] = probe_digest(probe, "PART_ENTRY_UUID", NULL);
		ids->id[DEVICE_ID_TABLE_UUID] = probe_digest(probe, "PTUUID", "PTTYPE");
		ids->id[DEVICE_ID_FILE_SYSTEM_UUID] = probe_digest(probe, "UUID", "TYPE");
	}
	blkid_free_probe(probe);
}
#else
static void ids_from_blkid(int fd, struct device_ids *ids)
{
	(void)fd;
	(void)ids;
}
#endif

static int content_digest(struct device *dev, uint64_t offset_bytes, size_t len, uint64_t *digest)
{
	uint8_t *bytes = aligned_alloc(4096, MIB);
	int error;

	if (!bytes)
		return -ENOMEM;
	error = device_read(dev, offset_bytes, bytes, len);
	*digest = error ? 0 : digest_of(bytes, len);	/* what cannot be read is not known */
	free(bytes);
	return 0;
}

static bool knows_any(const struct device_ids *ids)
{
	for (unsigned i = 0; i < DEVICE_IDS; i++)
		if (ids->id[i])
			return true;
	return false;
}

int aio_ids(struct device *dev, struct device_ids *ids)
{
	struct aio_device *a = aio_device_of(dev);
	size_t len = (size_t)MIN(dev->info.size_bytes, MIB);
	struct stat st;
	int error;

	if (!dev->info.is_block || fstat(a->fd, &st))
		return 0;
	ids_from_sysfs(st.st_rdev, ids);
	ids_from_blkid(a->fd, ids);
	if (knows_any(ids))
		return 0;
	error = content_digest(dev, 0, len, &ids->id[DEVICE_ID_FIRST_MIB]);
	return error ? error : content_digest(dev, dev->info.size_bytes - len, len, &ids->id[DEVICE_ID_LAST_MIB]);
}
