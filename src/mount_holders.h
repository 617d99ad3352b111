/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What keeps a mount alive that is not, or no longer, to be seen here: a copy of it in another mount namespace
 * (unshare -m, a container), which umount(8) here does not take away, or an open file of a mount that was detached.
 * The daemon serves until the last of them has gone.
 *
 * All is read from /proc, so it knows of the processes that the caller may look at, and may be old when it is answered:
 * it is for lines that people read.  Asks no file system but /proc.  Slow.  proc is "/proc"; a test has its own.
 */
#ifndef CWT_SRC_MOUNT_HOLDERS_H
#define CWT_SRC_MOUNT_HOLDERS_H

#include <glib.h>
#include <stdbool.h>

/*
 * The source of the cachewtfs mount that process pid serves: the one, among all that can be seen from any process, that
 * this process has open.  NULL: none.  Free with g_free().
 */
char *mount_source_of(const char *proc, long pid);

/* Where the mounts of this source are in the caller's own mount namespace; NULL: nowhere.  Free with g_free(). */
char *mount_place_of(const char *proc, const char *source);

/*
 * The processes in other mount namespaces that see a mount of this source, one for each namespace: "process 7 (bash)",
 * or "process 7 (bash) and 2 more".  NULL: none.  Free with g_free().
 */
char *mount_holders(const char *proc, const char *source);

/* For the line that refuses a store in use by pid: what to do about it.  source NULL: not known.  Free with g_free(). */
char *mount_remedy(const char *proc, const char *source, long pid);

/* Is pid a cachewtfs?  The name of its program, which it cannot have by accident. */
bool mount_is_served_by(const char *proc, long pid);

#endif
