/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's table of mounts, /proc/self/mountinfo.  To read it asks no file system anything. */
#ifndef CWT_SRC_MOUNT_TABLE_H
#define CWT_SRC_MOUNT_TABLE_H

#include <glib.h>
#include <stdbool.h>

#define MOUNT_TABLE "/proc/self/mountinfo"
#define MOUNT_TYPE "fuse.cachewtfs"		/* of our own mounts */

struct mount_entry {
	char *id;		/* a number */
	char *device;		/* "MAJOR:MINOR", the st_dev of its files (but on btrfs, which has one for each subvolume) */
	char *mountpoint, *type, *source;
	char *options;		/* of the file system: "rw,user_id=0,allow_other" */
};

/* Take line apart, in place, without the kernel's \ooo escapes: entry points into it.  false: no such line.  Pure. */
bool mount_entry_parse(char *line, struct mount_entry *entry);

/* The type of what is mounted (topmost) on the absolute path; NULL: nothing.  Free with g_free(). */
char *mount_type_at(const char *path);

/*
 * The mountpoint and the file system's options of the FUSE connection that fd, one of /dev/fuse, serves; NULL: it is not
 * seen, or the kernel does not tell.  Free both with g_free().
 */
char *mount_of_fuse_fd(int fd, char **options);

/* Is there a mount of this type and source anywhere that this process can see? */
bool mount_is_visible(const char *type, const char *source);

/* The id of the mount that fd, also one with O_PATH, was opened in; -1: /proc does not tell. */
int mount_id_of(int fd);

/* The type of the mount with this id; NULL: this process does not see it.  Free with g_free(). */
char *mount_type_of(int id);

/* A copy of the table in this file; empty if it cannot be read.  Free with g_ptr_array_unref(). */
GPtrArray *mounts_read(const char *file);

/*
 * The mount in which the absolute path, without links, lies: the one with the longest mountpoint, and of several there
 * the last, which lies on top.  Belongs to mounts; NULL: none.
 */
const struct mount_entry *mounts_find(const GPtrArray *mounts, const char *path);

#endif
