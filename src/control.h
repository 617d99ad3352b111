/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control files.  status and stats.json are made when they are opened: whoever reads a handle piece by piece reads
 * one moment.  control takes one message with each write; the write returns when the message was done, with its errno
 * if it failed; a read of the same handle, at offset 0, then gives the line of the failure, or "ok".
 *
 * Their size is 0, as in /proc: nobody knows how long they will be before they are made.
 *
 * Context: handlers, on a loop's thread; messages run on a thread of their own, for they may block.  So does making a
 * status: it asks for memory and reads /proc, and when memory is short either may wait for pages that only a loop can
 * clean.
 */
#ifndef CWT_SRC_CONTROL_H
#define CWT_SRC_CONTROL_H

#include "server.h"

#define CONTROL_MESSAGE_MAX 4096u	/* bytes; longer ones are EINVAL */

void control_open(struct server *server, fuse_req_t req, uint64_t ino, struct fuse_file_info *fi);
void control_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi);
void control_write(struct server *server, fuse_req_t req, uint64_t ino, const char *data, size_t size,
		   struct fuse_file_info *fi);
void control_release(struct fuse_file_info *fi);

#endif
