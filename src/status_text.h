/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the numbers of a cache look like: for people and scripts, and as JSON.  Pure.
 *
 * Text: the first line has dm-cache's fields in dm-cache's order (block sizes in sectors of 512 bytes, as there;
 * nothing is ever dirty); then lines "label: value".  Control characters and backslashes in paths are written \ooo, so
 * that a line is a line.
 *
 * JSON: one object; its members have the names of struct cwt_status and struct mount_status.  Text that is not UTF-8
 * has U+FFFD for the wrong bytes.
 *
 * New lines and members come after the others.
 */
#ifndef CWT_SRC_STATUS_TEXT_H
#define CWT_SRC_STATUS_TEXT_H

#include "cachewt.h"

/* What the engine does not know of. */
struct mount_status {
	bool ack_origin;		/* --ack */
	bool page_cache;		/* handles are cached */
	const char *locked_memory;	/* memory_locked_name() */
	bool io_flusher;
	const char *const *warnings;	/* NULL-ended */
	bool io_uring;			/* requests come by the rings */
	uint32_t pid;			/* of the daemon, in its own pid namespace */
};

/* Free with g_free(). */
char *status_text(const struct cwt_status *status, const struct mount_status *mount);
char *status_json(const struct cwt_status *status, const struct mount_status *mount);

const char *status_transport(const struct mount_status *mount);	/* "io_uring", or "classic": /dev/fuse */
const char *status_mode_name(enum cwt_mode mode);
const char *status_warm_after(const struct cwt_status *status);	/* the word of --warm-after */
const char *status_bypass_name(enum cwt_bypass bypass);
const char *status_ack(const struct mount_status *mount);		/* the word of --ack */

#endif
