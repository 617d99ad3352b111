/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pidfile: always a regular file with mode 0644, whatever the umask is, so that nobody else can have a script kill
 * another process.  A device, FIFO, folder or link at its path, or a file that is larger than a pidfile ever is, was
 * meant for something else and is refused.
 *
 * Context: main thread.  Paths are absolute.
 */
#ifndef CWT_SRC_PIDFILE_H
#define CWT_SRC_PIDFILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct pidfile {
	const char *path;	/* NULL: nothing was written */
	dev_t dev;
	ino_t ino;
};

/* May it be written there?  path NULL: none is wanted.  -EINVAL, with a line: no. */
int pidfile_check(const char *path, struct cwt_error *err);

/* Made beside it and renamed, so that who waits for it never sees half of it. */
int pidfile_write(struct pidfile *pidfile, const char *path, struct cwt_error *err);

/* If it is still the one that we wrote. */
void pidfile_remove(struct pidfile *pidfile);

#endif
