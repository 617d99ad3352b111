/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See paths.h. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/bits.h"
#include "mount_table.h"
#include "paths.h"

#define BASE_BYTES_MAX 200
#define CBLOCKS_MIN 16u		/* of a default cache: fewer cache nothing that lasts */

char *paths_default_folder(bool is_root, const char *xdg_cache_home, const char *home)
{
	if (is_root)
		return g_strdup("/var/cache/cachewtfs");
	if (xdg_cache_home && *xdg_cache_home == '/') /* relative ones are to be ignored, says the XDG specification */
		return g_build_filename(xdg_cache_home, "cachewtfs", NULL);
	return g_build_filename(home, ".cache", "cachewtfs", NULL);
}

char *paths_default_base(const char *origin_real_path)
{
	char *name = g_path_get_basename(origin_real_path);
	char *base = g_strdup_printf("%.*s-%016" G_GINT64_MODIFIER "x", BASE_BYTES_MAX, name,
				     (guint64)XXH64(origin_real_path, strlen(origin_real_path), 0));

	g_free(name);
	return base;
}

char *paths_default_file(const char *folder, const char *base, unsigned pair, const char *suffix)
{
	if (pair == 1)
		return g_strdup_printf("%s/%s.%s", folder, base, suffix);
	return g_strdup_printf("%s/%s.%u.%s", folder, base, pair, suffix);
}

uint64_t paths_default_cache_size(uint64_t free_bytes, uint64_t origin_size_bytes, uint32_t block_size_bytes)
{
	uint64_t nr = free_bytes / 10 / block_size_bytes;

	/* A block more than the origin has: the first one is the label. */
	nr = MIN(nr, div_round_up(origin_size_bytes, block_size_bytes) + 1);
	return MAX(nr, CBLOCKS_MIN + 1) * block_size_bytes;
}

static char *absolute(const char *path)
{
	char *here, *all;

	if (!path || *path == '/')
		return g_strdup(path);
	here = g_get_current_dir();
	all = g_build_filename(here, path, NULL);
	g_free(here);
	return all;
}

/* realpath(), but not stopped by a last component that is the dead mount of a killed daemon. */
static int real_path(const char *path, char **out)
{
	char *folder, *name, *real = realpath(path, NULL);

	if (!real && errno == ENOTCONN) {
		folder = g_path_get_dirname(path);
		name = g_path_get_basename(path);
		real = realpath(folder, NULL);
		*out = real ? g_build_filename(real, name, NULL) : NULL;
		g_free(folder);
		g_free(name);
	} else {
		*out = g_strdup(real);
	}
	free(real);
	return *out ? 0 : -errno;
}

static uint64_t block_device_size(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	uint64_t size = 0;

	if (fd < 0)
		return 0;
	if (ioctl(fd, BLKGETSIZE64, &size))
		size = 0;
	close(fd);
	return size;
}

static int resolve_origin(const char *given, struct paths *paths, struct cwt_error *err)
{
	struct stat st;
	int ret = real_path(given, &paths->origin);

	if (!ret && stat(paths->origin, &st))
		ret = -errno;
	if (ret)
		return error_set(err, ret, "%s: %s (ORIGIN is a file or block device that exists)", given,
				 strerror(-ret));
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: %s (ORIGIN is a file or block device)", given, strerror(EISDIR));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(err, -EINVAL, "%s: neither a file nor a block device (give one as ORIGIN)", given);
	paths->origin_size_bytes = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : block_device_size(paths->origin);
	return 0;
}

/* mount.fuse3 with drop_privileges has mounted already, and hands on its descriptor of /dev/fuse. */
static int take_fuse_fd(const char *given, struct paths *paths, struct cwt_error *err)
{
	char *options = NULL;
	int ret = 0;

	if (fcntl(paths->fuse_fd, F_SETFD, FD_CLOEXEC))
		return error_set(err, -errno, "%s: %s (mount.fuse3 opens it)", given, strerror(errno));
	paths->mountpoint = mount_of_fuse_fd(paths->fuse_fd, &options);
	if (!paths->mountpoint)
		paths->mountpoint = g_strdup(given);
	/* Without them the kernel lets everybody in, at the control files too. */
	if (options && strstr(options, "allow_other") && !strstr(options, "default_permissions"))
		ret = error_set(err, -EPERM, "%s: mounted with allow_other but without default_permissions (give both to mount)",
				paths->mountpoint);
	g_free(options);
	return ret;
}

/* The path of what fd is; NULL: it has none any more. */
static char *path_of(int fd)
{
	char *self = g_strdup_printf("/proc/self/fd/%d", fd), *path = g_file_read_link(self, NULL);

	g_free(self);
	if (path && (*path != '/' || g_str_has_suffix(path, " (deleted)"))) {
		g_free(path);
		return NULL;
	}
	return path;
}

/* With O_PATH, which asks nothing of a dead mount. */
static int resolve_mountpoint(const char *given, struct paths *paths, struct cwt_error *err)
{
	char rest;
	int ret = 0;

	if (sscanf(given, "/dev/fd/%d%c", &paths->fuse_fd, &rest) == 1)
		return take_fuse_fd(given, paths, err);
	paths->fuse_fd = -1;
	paths->mountpoint_fd = open(given, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (paths->mountpoint_fd < 0) {
		ret = -errno;
	} else {
		paths->mountpoint = path_of(paths->mountpoint_fd);
		ret = paths->mountpoint ? 0 : real_path(given, &paths->mountpoint);
	}
	if (ret)
		return error_set(err, ret, "%s: %s (MOUNTPOINT is a directory that exists)", given, strerror(-ret));
	return 0;
}

bool paths_follow_mountpoint(struct paths *paths)
{
	char *now = paths->mountpoint_fd >= 0 ? path_of(paths->mountpoint_fd) : NULL;

	if (!now || !strcmp(now, paths->mountpoint)) {
		g_free(now);
		return false;
	}
	g_free(paths->mountpoint);
	paths->mountpoint = now;
	return true;
}

int paths_hold_mountpoint(struct paths *paths)
{
	char *now;
	bool same;

	if (paths->mountpoint_fd >= 0)
		close(paths->mountpoint_fd);
	paths->mountpoint_fd = open(paths->mountpoint, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (paths->mountpoint_fd < 0)
		return -errno;
	now = path_of(paths->mountpoint_fd);
	same = now && !strcmp(now, paths->mountpoint);
	g_free(now);
	return same ? 0 : -ENOTDIR;
}

int paths_resolve(const struct options *options, struct paths *paths, struct cwt_error *err)
{
	int ret;

	*paths = (struct paths){ .pair = 1, .mountpoint_fd = -1, .fuse_fd = -1 };
	ret = resolve_origin(options->origin, paths, err);
	if (!ret)
		ret = resolve_mountpoint(options->mountpoint, paths, err);
	if (ret)
		return ret;
	paths->cache = absolute(options->cache);
	paths->metadata = absolute(options->metadata);
	paths->pidfile = absolute(options->pidfile);
	paths->cache_is_default = !paths->cache;
	paths->metadata_is_default = !paths->metadata;
	paths->folder = paths_default_folder(geteuid() == 0, getenv("XDG_CACHE_HOME"), g_get_home_dir());
	paths->base = paths_default_base(paths->origin);
	return 0;
}

void paths_free(struct paths *paths)
{
	char *const texts[] = { paths->origin, paths->mountpoint, paths->pidfile, paths->cache, paths->metadata,
				paths->folder, paths->base };

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
	*paths = (struct paths){ 0 };
}

/* Does another process hold a lock on it?  Only asks: the answer may be old at once, and then the open says so. */
static bool is_locked(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool locked;

	if (fd < 0)
		return false;
	locked = !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
	close(fd);
	return locked;
}

static bool pair_is_taken(const struct paths *paths)
{
	return (paths->cache_is_default && is_locked(paths->cache)) ||
	       (paths->metadata_is_default && is_locked(paths->metadata));
}

static void set_pair(struct paths *paths, unsigned pair)
{
	paths->pair = pair;
	if (paths->cache_is_default) {
		g_free(paths->cache);
		paths->cache = paths_default_file(paths->folder, paths->base, pair, "cache");
	}
	if (paths->metadata_is_default) {
		g_free(paths->metadata);
		paths->metadata = paths_default_file(paths->folder, paths->base, pair, "meta");
	}
}

/* Whoever may put files there may give us a cache with whatever contents, or take the pair away. */
static int check_folder(const char *folder, struct cwt_error *err)
{
	struct stat st;

	if (stat(folder, &st))
		return error_set(err, -errno, "%s: %s (name the files with --cache and --metadata)", folder, strerror(errno));
	if (st.st_uid != geteuid())
		return error_set(err, -EPERM, "%s: belongs to user %u, not to %u (chown it, or name the files with --cache and "
				 "--metadata)", folder, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, -EPERM, "%s: others may write it, its mode is %04o (chmod go-w %s, or name the files with "
				 "--cache and --metadata)", folder, (unsigned)st.st_mode & 07777, folder);
	return 0;
}

int paths_choose_pair(const struct options *options, struct paths *paths, struct cwt_error *err)
{
	int ret;

	if (!paths->cache_is_default && !paths->metadata_is_default)
		return 0;
	if (g_mkdir_with_parents(paths->folder, 0700))
		return error_set(err, -errno, "%s: %s (name the files with --cache and --metadata)", paths->folder,
				 strerror(errno));
	ret = check_folder(paths->folder, err);
	if (ret)
		return ret;
	for (unsigned pair = 1; pair <= PATHS_PAIRS_MAX; pair++) {
		set_pair(paths, pair);
		if (!options->read_only || !pair_is_taken(paths))
			return 0;
	}
	return error_set(err, -EBUSY, "%s/%s.*: all %u pairs are in use (name the files with --cache and --metadata)",
			 paths->folder, paths->base, PATHS_PAIRS_MAX);
}

/* A block device, or a file that somebody has given a size. */
static bool has_content(const char *path)
{
	struct stat st;

	return !stat(path, &st) && (!S_ISREG(st.st_mode) || st.st_size > 0);
}

bool paths_cache_exists(const struct paths *paths)
{
	return has_content(paths->cache);
}

uint64_t paths_new_cache_size(const struct options *options, const struct paths *paths)
{
	struct statvfs fs;
	char *folder;
	bool failed;

	if (options->cache_size_bytes)
		return options->cache_size_bytes;
	if (has_content(paths->cache) || has_content(paths->metadata))
		return 0;
	folder = g_path_get_dirname(paths->cache);
	failed = statvfs(folder, &fs);
	g_free(folder);
	if (failed)
		return 0;	/* the open will say why */
	return paths_default_cache_size((uint64_t)fs.f_bavail * fs.f_frsize, paths->origin_size_bytes,
					options->block_size_bytes ? options->block_size_bytes : CWT_BLOCK_SIZE_DEFAULT);
}
