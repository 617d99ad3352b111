/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See cachewt_control.h. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cachewt_child.h"
#include "cachewt_control.h"
#include "mount_table.h"

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
	if (error == ELOOP)
		return error_set(err, -error, "%s: no control file: a link, or laid over by another mount (is %s yours?)",
				 path ? path : mount, mount);
	if (error == EACCES || error == EPERM)
		return error_set(err, -error, "%s: %s (the user who mounted it may)", path ? path : mount, strerror(error));
	return error_set(err, -error, "%s: %s", path ? path : mount, strerror(error));
}

/*
 * ------------------------------------------------------------------ opening: in the child
 */

/* dir is open with O_PATH, which asks the file system nothing and does nothing to a device or FIFO. */
static int check_ours(const char *mount, int dir, int mount_id, struct cwt_error *err)
{
	struct statfs fs;
	char *type;
	bool ours;

	if (fstatfs(dir, &fs))
		return mount_error(mount, NULL, errno, err);
	type = mount_type_of(mount_id);
	ours = fs.f_type == FUSE_SUPER_MAGIC && type && !strcmp(type, MOUNT_TYPE);
	g_free(type);
	if (ours)
		return 0;
	return error_set(err, -ENOENT, "%s: not a mount of cachewtfs (give the mountpoint, or the image in it)", mount);
}

/* The folder MOUNT, or the one that the image MOUNT is in. */
static int open_mount(const char *mount, bool *is_folder, struct cwt_error *err)
{
	int fd = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *folder;

	*is_folder = fd >= 0;
	if (fd < 0 && errno == ENOTDIR) {
		folder = g_path_get_dirname(mount);
		fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
		g_free(folder);
	}
	return fd >= 0 ? fd : mount_error(mount, NULL, errno, err);
}

/* A regular file of the mount with this id; opened anew, for reading or writing, by what is known to be that. */
static int open_file(int folder, const char *name, int flags, int mount_id)
{
	int path = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd, error = 0;
	char self[64];
	struct stat st;

	if (path < 0)
		return -errno;
	g_snprintf(self, sizeof(self), "/proc/self/fd/%d", path);
	if (fstat(path, &st))
		error = errno;
	else if (!S_ISREG(st.st_mode) || mount_id_of(path) != mount_id)
		error = ELOOP;
	fd = error ? -1 : open(self, flags | O_NONBLOCK | O_CLOEXEC);
	if (!error && fd < 0)
		error = errno;
	close(path);
	return error ? -error : fd;
}

static int control_open(const char *mount, const char *name, int flags, char **path, struct cwt_error *err)
{
	bool is_folder;
	int dir = open_mount(mount, &is_folder, err), folder, mount_id, ret;

	*path = NULL;
	if (dir < 0)
		return dir;
	mount_id = mount_id_of(dir);
	ret = check_ours(mount, dir, mount_id, err);
	if (ret) {
		close(dir);
		return ret;
	}
	*path = control_path(mount, is_folder, name);
	folder = openat(dir, CONTROL_FOLDER, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	ret = folder < 0 ? -errno : open_file(folder, name, flags, mount_id);
	if (ret < 0) {
		mount_error(mount, *path, -ret, err);
		g_free(*path);
		*path = NULL;
	}
	if (folder >= 0)
		close(folder);
	close(dir);
	return ret;
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

/* What the child is to do. */
struct control_work {
	const char *mount;
	const char *name;	/* of the file to read */
	const char *message;	/* to give */
};

static int run_read(const void *ctx, GString *all, struct cwt_error *err)
{
	const struct control_work *work = ctx;
	char *path;
	int fd = control_open(work->mount, work->name, O_RDONLY, &path, err), error;

	if (fd < 0)
		return fd;
	error = read_all(fd, all);
	close(fd);
	if (error)
		mount_error(work->mount, path, -error, err);
	g_free(path);
	return error;
}

static int run_write(const void *ctx, GString *out, struct cwt_error *err)
{
	const struct control_work *work = ctx;
	const char *mount = work->mount, *message = work->message;
	char *path;
	int fd = control_open(mount, "control", O_WRONLY, &path, err);
	size_t len = strlen(message);
	int error = 0;
	ssize_t n;

	(void)out;
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

/*
 * ------------------------------------------------------------------ asking, with a deadline
 */
static int no_answer(const char *mount, double seconds, struct cwt_error *err)
{
	return error_set(err, -ETIMEDOUT, "%s: no answer for %g s (is its daemon stopped, or does a store not answer it?)",
			 mount, seconds);
}

int control_read(const char *mount, const char *name, double timeout_s, char **text, struct cwt_error *err)
{
	const struct control_work work = { .mount = mount, .name = name };
	struct child child;
	int ret = child_start(&child, run_read, &work, err);

	if (ret)
		return ret == -ETIMEDOUT ? no_answer(mount, timeout_s, err) : ret;
	if (child_wait(&child, timeout_s))
		return child_result(&child, text, err);
	child_give_up(&child);
	return no_answer(mount, timeout_s, err);
}

/* 0: it gives its status, or is gone, which the message finds, too. */
static int still_answers(const char *mount, struct cwt_error *err)
{
	char *text = NULL;
	int ret = control_read(mount, "status", CONTROL_ANSWER_S, &text, err);

	g_free(text);
	return ret == -ETIMEDOUT ? ret : 0;
}

int control_write(const char *mount, const char *message, struct cwt_error *err)
{
	const struct control_work work = { .mount = mount, .message = message };
	struct child child;
	int ret = child_start(&child, run_write, &work, err);

	while (!ret && !child_wait(&child, CONTROL_ANSWER_S)) {
		ret = still_answers(mount, err);
		if (ret)
			child_give_up(&child);
	}
	return ret ? ret : child_result(&child, NULL, err);
}
