/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The place where we mount: what lies on it before, and unmounting.  As root by system calls, else by fusermount3.
 * Context: main thread; may block.  Paths are real paths.
 */
#ifndef CWT_SRC_MOUNTPOINT_H
#define CWT_SRC_MOUNTPOINT_H

#include <stdbool.h>

#include "base/error.h"

/*
 * May we mount there?  *dead: it is the mount of a cachewtfs that has ended, to be detached first.  -EBUSY: a living
 * cachewtfs is mounted there; -ENOTCONN: a dead mount of something else; others as the system says; all with a line.
 */
int mountpoint_check(const char *path, bool *dead, struct cwt_error *err);

/*
 * Would the mount hide something?  -ENOTEMPTY with a line: a folder that has contents, or in which one of the stores (paths,
 * NULL-ended; those that are not there yet, too) lies.  A folder that cannot be read is taken for empty.
 */
int mountpoint_check_empty(const char *path, const char *const *stores, struct cwt_error *err);

/* Detach the dead mount. */
int mountpoint_detach_dead(const char *path, struct cwt_error *err);

/* -EBUSY: something uses it (not if lazy). */
int mountpoint_unmount(const char *path, bool lazy);

#endif
