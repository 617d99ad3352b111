/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control folder of a mount, .cachewtfs, as its user sees it: plain files, so that it works from wherever the mount is
 * seen.
 *
 * Errors: a negative errno with the line in err.  Context: may block as long as the mount does.
 */
#ifndef CWT_SRC_CACHEWT_CONTROL_H
#define CWT_SRC_CACHEWT_CONTROL_H

#include <stdbool.h>

#include "base/error.h"

#define CONTROL_FOLDER ".cachewtfs"
#define CONTROL_TEXT_MAX (4u << 20)	/* a longer file is not ours */

/* PATH of a file in the control folder of mount: in it if it is a folder, else (the image) beside it.  Free with g_free().  Pure. */
char *control_path(const char *mount, bool mount_is_folder, const char *name);

/* All of a control file as a string; free with g_free().  Also -EFBIG beyond CONTROL_TEXT_MAX. */
int control_read(const char *mount, const char *name, char **text, struct cwt_error *err);

/* Give the daemon one message, in one write; its refusal is the errno. */
int control_write(const char *mount, const char *message, struct cwt_error *err);

#endif
