/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See cachewt_control.h. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cachewt_control.h"

char *control_path(const char *mount, bool mount_is_folder, const char *name)
{
	char *folder = mount_is_folder ? g_strdup(mount) : g_path_get_dirname(mount);
	char *path = g_build_filename(folder, CONTROL_FOLDER, name, NULL);

	g_free(folder);
	return path;
}

/* The errno of a first look at a mount says most of what a person needs to know. */
static int mount_error(const char *mount, const char *path, int error, struct cwt_error *err)
{
	if (error == ENOTCONN || error == ECONNABORTED)
		return error_set(err, -error, "%s: the daemon of this mount has ended (detach it: fusermount3 -u %s)", mount, mount);
	if (path && error == ENOENT)
		return error_set(err, -error, "%s: not a mount of cachewtfs: there is no %s (give the mountpoint, or the image in it)",
				 mount, path);
	if (error == EACCES || error == EPERM)
		return error_set(err, -error, "%s: %s (the user who mounted it may)", path ? path : mount, strerror(error));
	return error_set(err, -error, "%s: %s", path ? path : mount, strerror(error));
}

static int control_open(const char *mount, const char *name, int flags, char **path, struct cwt_error *err)
{
	struct stat st;
	int fd, error;

	*path = NULL;
	if (stat(mount, &st))
		return mount_error(mount, NULL, errno, err);
	*path = control_path(mount, S_ISDIR(st.st_mode), name);
	fd = open(*path, flags | O_CLOEXEC);
	if (fd < 0) {
		error = errno;
		mount_error(mount, *path, error, err);
		g_free(*path);
		*path = NULL;
		return -error;
	}
	return fd;
}

/* Until the end: the size that stat() reports of a file made up while it is read means nothing. */
static int read_all(int fd, GString *all)
{
	char part[4096];
	ssize_t n;

	for (;;) {
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (all->len + (size_t)n > CONTROL_TEXT_MAX)
			return -EFBIG;
		g_string_append_len(all, part, n);
	}
}

int control_read(const char *mount, const char *name, char **text, struct cwt_error *err)
{
	char *path;
	int fd = control_open(mount, name, O_RDONLY, &path, err);
	GString *all;
	int error;

	if (fd < 0)
		return fd;
	all = g_string_new(NULL);
	error = read_all(fd, all);
	close(fd);
	if (error)
		mount_error(mount, path, -error, err);
	*text = g_string_free(all, error != 0);
	g_free(path);
	return error;
}

int control_write(const char *mount, const char *message, struct cwt_error *err)
{
	char *path;
	int fd = control_open(mount, "control", O_WRONLY, &path, err);
	size_t len = strlen(message);
	int error = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	do {
		n = write(fd, message, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		error = errno;
	else if ((size_t)n != len)
		error = EIO;
	close(fd);
	if (error == EINVAL)
		error_set(err, -error, "%s: the mount refuses the message \"%s\" (see MESSAGES in cachewt(1))", mount, message);
	else if (error == EBUSY)
		error_set(err, -error, "%s: the mount refuses the message \"%s\" now: the cache is bypassed for another reason "
			  "(cachewt status %s says which)", mount, message, mount);
	else if (error)
		error_set(err, -error, "%s: message \"%s\": %s", mount, message, strerror(error));
	g_free(path);
	return -error;
}
