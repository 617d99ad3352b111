/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The FUSE session: its options, mounting, and letting go of it.  Main thread. */
#ifndef CWT_SRC_SESSION_H
#define CWT_SRC_SESSION_H

#include "paths.h"
#include "server.h"

/* Mount; sets server->session and *fuse_fd (non-blocking).  An error's line has libfuse's or fusermount3's reason. */
int session_mount(struct server *server, const struct paths *paths, int *fuse_fd, struct cwt_error *err);

/*
 * After the last answer, when the mountpoint is no longer ours.  A lazily unmounted session that has users yet is left
 * to exit(): libfuse would unmount the path again, where by now may be another mount.
 */
void session_close(struct server *server);

#endif
