/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loop devices over the image of a mount: whether they carry one of its own stores, and whether they take the way
 * through the page cache.
 *
 * A store that lies on the image is a deadlock that waits for its load: to write it we need the loop device, which
 * needs us.  It cannot be so when a mount begins, for then the image is not there yet; it comes about when the device
 * below a store changes under way: a btrfs gets a loop device added, a volume of the device mapper or an md array is
 * moved onto one, a read-only loop device gets another backing file.  From the device of each store we walk down: a
 * partition to its disk, a stacked device to its slaves, a btrfs to its devices, a loop device to the device that its
 * backing file lies on, the image of another cachewtfs to the device that its origin lies on.
 *
 * Not seen: a cache or metadata of another cachewtfs, only its origin; a loop device in another mount namespace, where
 * its backing file has another path; what lies behind network file systems, overlayfs, ZFS, other FUSE file systems,
 * the outside journal of a file system.
 *
 * Context: any thread, also one that serves requests.  Nothing is asked but /sys and the table of mounts, which no file
 * system answers: a stat() or open() of anything that may lie on our own mount would wait for ourselves.  For the same
 * reason devices are not opened (LOOP_GET_STATUS64 asks the backing file's file system).
 */
#ifndef CWT_SRC_LOOP_DEVICES_H
#define CWT_SRC_LOOP_DEVICES_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* What one look needs; all constant meanwhile. */
struct block_view {
	const char *sysfs;		/* "/sys"; a test has its own */
	GPtrArray *mounts;		/* mounts_read() */
	const char *image_device;	/* "MAJOR:MINOR" of the mount that shows the image */
};

/*
 * Where something lies: a block device, or a btrfs, whose devices may change.  Neither is set where that is not known.
 */
struct place {
	char device[32];		/* "MAJOR:MINOR" */
	char btrfs[64];			/* its UUID */
};

/* Where the file or block device with this real path lies. */
struct place place_of(const struct block_view *view, const char *path);

/*
 * The devices between place and our image, "loop0" or "dm-0, loop1, /mnt/b/b.img, loop0"; NULL: it does not lie on the
 * image.  Free with g_free().
 */
char *place_on_image(const struct block_view *view, const struct place *place);

/* The names of the loop devices over the image that use the page cache.  NULL-ended; free with g_strfreev(). */
char **loop_devices_without_direct_io(const struct block_view *view);

/*
 * The loop devices over the image, each with what is mounted on it, its partitions and what is stacked on them:
 * "/dev/loop0 (mounted on /mnt/a, /mnt/b)".  NULL-ended; free with g_strfreev().
 */
char **loop_devices_users(const struct block_view *view);

#endif
