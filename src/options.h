/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line of cachewtfs.  Parsing looks at nothing but its arguments; paths stay as they were given, any bytes.
 *
 * Every long option is also an option of -o (cache=PATH, read-only ...); where both are given, the long option wins.
 */
#ifndef CWT_SRC_OPTIONS_H
#define CWT_SRC_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define CONTROL_FOLDER ".cachewtfs"	/* in the mount, beside the image; so the image cannot be called this */

#define BUSY_POLL_US_MAX 1000u
#define BUSY_POLL_MEMORY_US 20u		/* the default where both stores are memory; else 0 */

enum options_action { OPTIONS_MOUNT, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
	enum options_action action;	/* HELP, VERSION: nothing else is set */
	char *origin, *mountpoint;
	char *cache, *metadata;		/* NULL: the default, paths.h */
	char *name;			/* of the image; never NULL after OPTIONS_MOUNT */
	char *policy;			/* NULL: the default */
	char *pidfile;			/* NULL: none */
	char **faults;			/* NULL: none; else NULL-ended */
	char **fuse;			/* for libfuse: NULL-ended, unescaped */
	uint64_t cache_size_bytes;	/* 0: not given */
	uint32_t block_size_bytes;	/* 0: not given */
	uint32_t commit_interval_ms;	/* 0: not given */
	unsigned loops;			/* 0: not given */
	bool own_busy_poll;		/* --busy-poll was given */
	uint32_t busy_poll_us;		/* 0: wait at once */
	enum cwt_mode mode;
	bool ack_origin;		/* answer a write when the origin has it; else when the cache has it, too */
	bool read_only, warm_after_power, trust_origin, reset, foreground, debug;
	bool page_cache;		/* -o page_cache=on: cached handles */
	bool sync;			/* -o sync: every write is synchronous */
	bool nonempty;			/* -o nonempty: mount over a folder that has contents */
	bool io_uring;			/* -o io_uring: requests by rings; never with page_cache */
	bool own_uid, own_gid, own_umask;	/* -o uid=, gid=, umask= were given */
	uint32_t uid, gid, umask;
};

/* -EINVAL with a line: wrong usage.  options is freed by options_free() in every case. */
int options_parse(int argc, char **argv, struct options *options, struct cwt_error *err);
void options_free(struct options *options);

/* The text of --help; free with g_free(). */
char *options_help(void);

#endif
