/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See pidfile.h. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pidfile.h"

#define PIDFILE_BYTES_MAX 64

int pidfile_check(const char *path, struct cwt_error *err)
{
	struct stat st;

	if (!path)
		return 0;
	if (lstat(path, &st)) {
		if (errno == ENOENT)
			return 0;
		return error_set(err, -errno, "--pidfile %s: %s (give a path that can be written)", path, strerror(errno));
	}
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "--pidfile %s: is there and no regular file (give another path)", path);
	if (st.st_size > PIDFILE_BYTES_MAX)
		return error_set(err, -EINVAL, "--pidfile %s: is there and no pidfile, it has %lld bytes (give another path)", path,
				 (long long)st.st_size);
	return 0;
}

/* The whole of it in the new file fd. */
static int fill(int fd, struct pidfile *pidfile)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	struct stat st;

	if (fchmod(fd, 0644) || fstat(fd, &st))
		return -errno;
	if (write(fd, text, (size_t)len) != len)
		return errno ? -errno : -EIO;
	pidfile->dev = st.st_dev;
	pidfile->ino = st.st_ino;
	return 0;
}

int pidfile_write(struct pidfile *pidfile, const char *path, struct cwt_error *err)
{
	int fd, ret = pidfile_check(path, err);
	char *beside;

	if (ret || !path)
		return ret;
	beside = g_strconcat(path, ".XXXXXX", NULL);
	fd = g_mkstemp_full(beside, O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		ret = -errno;
	else
		ret = fill(fd, pidfile);
	if (!ret && rename(beside, path))
		ret = -errno;
	if (fd >= 0) {
		close(fd);
		if (ret)
			unlink(beside);
	}
	g_free(beside);
	if (ret)
		return error_set(err, ret, "--pidfile %s: %s (give a path that can be written)", path, strerror(-ret));
	pidfile->path = path;
	return 0;
}

/* The number of an inode may have been used again. */
static bool has_our_pid(const char *path)
{
	char *text = NULL;
	bool ours = g_file_get_contents(path, &text, NULL, NULL) && strtol(text, NULL, 10) == (long)getpid();

	g_free(text);
	return ours;
}

void pidfile_remove(struct pidfile *pidfile)
{
	struct stat st;

	if (pidfile->path && !lstat(pidfile->path, &st) && S_ISREG(st.st_mode) && st.st_dev == pidfile->dev &&
	    st.st_ino == pidfile->ino && has_our_pid(pidfile->path))
		unlink(pidfile->path);
	pidfile->path = NULL;
}
