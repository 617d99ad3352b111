/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where everything is: the paths of the command line made absolute, and the default pair of cache and metadata.
 *
 * The default pair of an origin is BASE-HASH.cache and BASE-HASH.meta: BASE its base name (cut to 200 bytes), HASH the
 * XXH64 of its real path in hex, so that two images of one name do not share a cache.  BASE-HASH.2 and so on are for
 * further read-only mounts of the same origin.
 */
#ifndef CWT_SRC_PATHS_H
#define CWT_SRC_PATHS_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

#define PATHS_PAIRS_MAX 64u	/* read-only mounts of one origin with default paths */

struct paths {
	char *origin;			/* real path */
	char *mountpoint;		/* real path; "/dev/fd/N" where fuse_fd's is not known */
	int mountpoint_fd;		/* with O_PATH: this directory, whatever its name comes to mean; -1: none */
	int fuse_fd;			/* MOUNTPOINT was /dev/fd/N: it is mounted already; -1: it was not */
	char *pidfile;			/* absolute, or NULL */
	char *cache, *metadata;		/* absolute; of pair nr where the default is used */
	bool cache_is_default, metadata_is_default;
	char *folder, *base;		/* of the default pair */
	unsigned pair;			/* 1, 2 ... */
	uint64_t origin_size_bytes;	/* 0: not known yet (a device that cannot be opened now) */
};

/*
 * Relative paths are taken from where we are now, so call it before chdir().  Creates nothing.  Errors, with a line:
 * what the system says of ORIGIN or MOUNTPOINT; -EISDIR, -EINVAL: ORIGIN is no file or block device; -ENOTDIR.
 */
int paths_resolve(const struct options *options, struct paths *paths, struct cwt_error *err);
void paths_free(struct paths *paths);

/*
 * Before the mount, since stores may take long to open: where the held directory is now.  It may have been moved; a link
 * in its place is never followed.  true: mountpoint was changed.
 */
bool paths_follow_mountpoint(struct paths *paths);

/* After what lay on the mountpoint was detached: hold what was below.  -ENOTDIR ...: it is not the same place any more. */
int paths_hold_mountpoint(struct paths *paths);

/*
 * Choose the default pair: the first one, or, for read-only mounts, the first that nobody has locked; make its folder.
 * -EPERM: that folder is another user's, or others may write it.
 * Sets cache and metadata.  -EBUSY beyond PATHS_PAIRS_MAX.
 */
int paths_choose_pair(const struct options *options, struct paths *paths, struct cwt_error *err);

/* Is there a cache already?  A file that somebody has given a size, or a block device. */
bool paths_cache_exists(const struct paths *paths);

/* The size for a cache that is to be made; 0: one exists and keeps its own, or a metadata that knows its size. */
uint64_t paths_new_cache_size(const struct options *options, const struct paths *paths);

/* Pure parts.  Free with g_free(). */
char *paths_default_folder(bool is_root, const char *xdg_cache_home, const char *home);
char *paths_default_base(const char *origin_real_path);
char *paths_default_file(const char *folder, const char *base, unsigned pair, const char *suffix);
uint64_t paths_default_cache_size(uint64_t free_bytes, uint64_t origin_size_bytes, uint32_t block_size_bytes);

#endif
