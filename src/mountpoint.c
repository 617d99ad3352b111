/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See mountpoint.h. */
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount_table.h"
#include "mountpoint.h"

/* stat() alone may be answered from what the kernel remembers of a dead mount; statvfs() asks. */
static int look_at(const char *path)
{
	struct statvfs fs;
	struct stat st;

	return stat(path, &st) || statvfs(path, &fs) ? errno : 0;
}

int mountpoint_check(const char *path, bool *dead, struct cwt_error *err)
{
	int error = look_at(path);
	char *type = mount_type_at(path);
	bool ours = type && !strcmp(type, MOUNT_TYPE);
	int ret = 0;

	*dead = ours && error == ENOTCONN;
	if (error == ENOTCONN && !ours)
		ret = error_set(err, -error, "%s: the dead mount of a %s lies there (detach it: fusermount3 -u)", path,
				type ? type : "file system");
	else if (error && !*dead)
		ret = error_set(err, -error, "%s: %s (give a directory that you may enter as MOUNTPOINT)", path,
				strerror(error));
	else if (ours && !*dead)
		ret = error_set(err, -EBUSY,
				"%s: another cachewtfs is mounted there (unmount it, or give another MOUNTPOINT)",
				path);
	g_free(type);
	return ret;
}

/* Lies file, or where it will be made, in folder?  Both are real paths, but for the folders of a file that is not there. */
static bool lies_in(const char *file, const char *folder)
{
	char *real = realpath(file, NULL), *above = real ? NULL : g_path_get_dirname(file);
	size_t len = strlen(folder);
	bool is;

	if (!real)
		real = realpath(above, NULL);
	is = real && g_str_has_prefix(real, folder) && (!real[len] || real[len] == '/' || len == 1);
	g_free(above);
	free(real);
	return is;
}

static bool has_contents(const char *folder)
{
	GDir *dir = g_dir_open(folder, 0, NULL);
	bool has = dir && g_dir_read_name(dir);

	if (dir)
		g_dir_close(dir);
	return has;
}

int mountpoint_check_empty(const char *path, const char *const *stores, struct cwt_error *err)
{
	for (; *stores; stores++)
		if (lies_in(*stores, path))
			return error_set(err, -ENOTEMPTY, "%s: %s lies in it and would be hidden by the mount (give another "
					 "MOUNTPOINT, or -o nonempty)", path, *stores);
	if (has_contents(path))
		return error_set(err, -ENOTEMPTY, "%s: is not empty, and what is in it would be hidden by the mount (give an empty "
				 "directory, or -o nonempty)", path);
	return 0;
}

static int run_fusermount(const char *path, bool lazy)
{
	char *argv[] = { "fusermount3", "-q", lazy ? "-uz" : "-u", "--", (char *)path, NULL };
	posix_spawnattr_t attr;
	sigset_t none;
	int status = 1, err;
	pid_t child;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	err = posix_spawnp(&child, argv[0], NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (err)
		return -err;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0 ? 0 : -EBUSY;
}

int mountpoint_unmount(const char *path, bool lazy)
{
	if (geteuid())
		return run_fusermount(path, lazy);
	return umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) ? -errno : 0;
}

int mountpoint_detach_dead(const char *path, struct cwt_error *err)
{
	int ret = mountpoint_unmount(path, true);

	if (ret)
		return error_set(err, ret, "%s: the dead mount of a cachewtfs lies there and cannot be detached: %s "
				 "(detach it: fusermount3 -u)", path, strerror(-ret));
	return 0;
}
