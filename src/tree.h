/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names and attributes of the mount.  Six inodes, always the same ones:
 *
 *	/			0555 of the mounting user
 *	/NAME			the image: the origin's owner, group, mode, times and blocks, as they are now
 *	/.cachewtfs/		0500 of the mounting user
 *	/.cachewtfs/status	0400
 *	/.cachewtfs/stats.json	0400
 *	/.cachewtfs/control	0600
 *
 * Nothing here can be made, removed or renamed; the image's size never changes.  Who may do what is checked by the
 *kernel (default_permissions).  Context: handlers, on a loop's thread; what asks the origin's file system runs as a
 *query.
 */
#ifndef CWT_SRC_TREE_H
#define CWT_SRC_TREE_H

#include "server.h"

enum tree_ino { INO_ROOT = FUSE_ROOT_ID, INO_IMAGE, INO_FOLDER, INO_STATUS, INO_STATS, INO_CONTROL };

/* Add lookup, getattr, setattr, readdir, statfs and the refusals. */
void tree_ops(struct fuse_lowlevel_ops *ops);

#endif
