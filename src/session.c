/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See session.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mountpoint.h"
#include "ops.h"
#include "report.h"
#include "ring.h"
#include "session.h"

/* -o OPTION, with what would end it or escape in it escaped. */
static int add_option(struct fuse_args *args, const char *option)
{
	GString *escaped = g_string_new("-o");
	int err;

	for (const char *p = option; *p; p++) {
		if (*p == ',' || *p == '\\')
			g_string_append_c(escaped, '\\');
		g_string_append_c(escaped, *p);
	}
	err = fuse_opt_add_arg(args, escaped->str) ? -ENOMEM : 0;
	g_string_free(escaped, TRUE);
	return err;
}

static int add_options(struct fuse_args *args, const struct options *options, const char *origin)
{
	char *fsname = g_strconcat("fsname=", origin, NULL);
	int err = fuse_opt_add_arg(args, "cachewtfs") ? -ENOMEM : 0;

	if (!err)
		err = add_option(args, "default_permissions");
	if (!err)
		err = add_option(args, "subtype=cachewtfs");
	if (!err)
		err = add_option(args, fsname);
	g_free(fsname);
	if (!err && options->io_uring)
		err = add_option(args, "io_uring");
	for (char **option = options->fuse; !err && *option; option++)
		err = add_option(args, *option);
	return err;
}

static const char *remedy(const char *why)
{
	if (strstr(why, "user_allow_other"))
		return "add that line, or mount without allow_other";
	if (strstr(why, "device not found") || strstr(why, "/dev/fuse"))
		return "load the module fuse; a container needs --device /dev/fuse";
	if (strstr(why, "fusermount3") || strstr(why, "exec"))
		return "install the package fuse3";
	return "check MOUNTPOINT and -o; a container needs --device /dev/fuse --cap-add SYS_ADMIN";
}

static int new_session(struct server *server, const struct paths *paths)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_lowlevel_ops ops = ops_all();
	int err = add_options(&args, server->options, paths->origin);

	if (!err) {
		server->session = fuse_session_new(&args, &ops, sizeof(ops), server);
		err = server->session ? 0 : -EINVAL;
	}
	fuse_opt_free_args(&args);
	return err;
}

static bool has_auto_unmount(char *const *options)
{
	for (; *options; options++)
		if (!strcmp(*options, "auto_unmount"))
			return true;
	return false;
}

/* Is the name still that of the held directory? */
static bool is_held(const struct paths *paths)
{
	struct stat held, named;

	return !fstat(paths->mountpoint_fd, &held) && !lstat(paths->mountpoint, &named) && held.st_dev == named.st_dev &&
	       held.st_ino == named.st_ino;
}

/*
 * As root on the directory that we hold, so that nobody who may rename it has us mount elsewhere.  fusermount3 resolves
 * the name itself, with the rights of the user who calls it; so for a user, and where mount(2) is not for us, the name.
 */
static int mount_session(struct fuse_session *session, const struct options *options, const struct paths *paths)
{
	char held[64];

	g_snprintf(held, sizeof(held), paths->fuse_fd >= 0 ? "/dev/fd/%d" : "/proc/self/fd/%d",
		   paths->fuse_fd >= 0 ? paths->fuse_fd : paths->mountpoint_fd);
	if (paths->fuse_fd >= 0)
		return fuse_session_mount(session, held) ? -EIO : 0;
	if (!geteuid() && !has_auto_unmount(options->fuse) && !fuse_session_mount(session, held))
		return 0;
	if (!is_held(paths)) {
		fprintf(stderr, "it is not the directory any more that it was\n");
		return -EAGAIN;
	}
	return fuse_session_mount(session, paths->mountpoint) ? -EIO : 0;
}

int session_mount(struct server *server, const struct paths *paths, int *fuse_fd, struct cwt_error *err)
{
	char why[400];
	int error;

	report_capture_begin();
	error = new_session(server, paths);
	if (!error)
		error = mount_session(server->session, server->options, paths);
	report_capture_end(error != 0, why, sizeof(why));
	if (error) {
		if (server->session)
			fuse_session_destroy(server->session);
		server->session = NULL;
		return error_set(err, error, "%s: cannot mount: %s (%s)", paths->mountpoint,
				 *why ? why : strerror(-error), remedy(why));
	}
	*fuse_fd = fuse_session_fd(server->session);
	if (fcntl(*fuse_fd, F_SETFL, fcntl(*fuse_fd, F_GETFL) | O_NONBLOCK) < 0)
		return error_set(err, -errno, "/dev/fuse: %s (report this)", strerror(errno));
	return 0;
}

void session_close(struct server *server)
{
	if (!server->session || !atomic_load(&server->ended))
		return;
	rings_end_threads(server);
	fuse_session_unmount(server->session);	/* sees that the connection is gone and only closes it */
	fuse_session_destroy(server->session);
	server->session = NULL;
}
