/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control folder of a mount, .cachewtfs, as its user sees it: plain files, so that it works from wherever the mount is
 * seen.
 *
 * MOUNT may be anybody's folder, and the user root: before anything in it is opened, it must be a FUSE file system of the
 * type fuse.cachewtfs; a control file must be a regular file of that same mount, by no link.  What lies there instead is
 * not opened, nor is what an other mount has laid over it.
 *
 * Everything that asks the mount is done by a child, see cachewt_child.h, and has CONTROL_ANSWER_S to be answered.
 *
 * Errors: a negative errno with the line in err; -ETIMEDOUT: no answer.
 */
#ifndef CWT_SRC_CACHEWT_CONTROL_H
#define CWT_SRC_CACHEWT_CONTROL_H

#include <stdbool.h>

#include "base/error.h"

#define CONTROL_FOLDER ".cachewtfs"
#define CONTROL_TEXT_MAX (4u << 20)	/* a longer file is not ours */
#define CONTROL_ANSWER_S 10.0

/* PATH of a file in the control folder of mount: in it if it is a folder, else (the image) beside it.  Free with g_free().  Pure. */
char *control_path(const char *mount, bool mount_is_folder, const char *name);

/* All of a control file as a string; free with g_free().  Also -EFBIG beyond CONTROL_TEXT_MAX. */
int control_read(const char *mount, const char *name, double timeout_s, char **text, struct cwt_error *err);

/*
 * Give the daemon one message, in one write; its refusal is the errno.  A message may take as long as a flush of the
 * origin does: it is waited for as long as the mount gives its status meanwhile.
 */
int control_write(const char *mount, const char *message, struct cwt_error *err);

#endif
