/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt stop: end a daemon cleanly, also one whose mount is no longer, or was never, to be seen from here. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cachewt_look.h"
#include "cachewt_tool.h"
#include "mount_holders.h"

#define TIMEOUT_S_DEFAULT 60.0

/* The loop devices whose backing file lies in the mount of pid, as far as that is to be seen here: "loop0, loop1". */
static char *loop_devices_of(long pid)
{
	char *source = mount_source_of("/proc", pid), *place = source ? mount_place_of("/proc", source) : NULL;
	char *inside = place ? g_strconcat(place, "/", NULL) : NULL;
	GString *names = g_string_new(NULL);
	GDir *dir = inside ? g_dir_open("/sys/block", 0, NULL) : NULL;
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		char *path = g_strdup_printf("/sys/block/%s/loop/backing_file", name), *file = NULL;

		if (g_file_get_contents(path, &file, NULL, NULL) && g_str_has_prefix(file, inside))
			g_string_append_printf(names, "%s/dev/%s", names->len ? ", " : "", name);
		g_free(path);
		g_free(file);
	}
	if (dir)
		g_dir_close(dir);
	g_free(source);
	g_free(place);
	g_free(inside);
	return g_string_free(names, FALSE);
}

/* The descriptor is of the process that was judged: its number cannot become another's in between. */
static int stop(long pid, double timeout_s, bool force)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0), error;
	char *loops;

	if (fd < 0)
		return tool_fail("%ld: %s (cachewt list names the daemons)", pid, strerror(errno));
	if (!mount_is_served_by("/proc", pid)) {
		close(fd);
		return tool_fail("%ld: is not a cachewtfs, and is left alone (cachewt list names the daemons)", pid);
	}
	loops = loop_devices_of(pid);
	if (*loops && !force) {
		tool_fail("%ld: %s still uses the image, and what it has not written would be lost (umount what is on it, losetup -d "
			  "it, or --force)", pid, loops);
		g_free(loops);
		close(fd);
		return TOOL_FAILED;
	}
	g_free(loops);
	error = syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) ? errno : 0;
	close(fd);
	if (error && error != ESRCH)
		return tool_fail("%ld: cannot be signalled: %s (the user who mounted it may)", pid, strerror(error));
	if (look_wait_ended(pid, timeout_s))
		return tool_fail("%ld: has not ended after %g s, and is still stopping (its stores may be slow; cachewt stop again "
				 "would end it at once, as a crash does)", pid, timeout_s);
	return TOOL_OK;
}

/* Of a mount: its own word, else who was started for it. */
static int pid_of_mount(const char *mount, long *pid, struct cwt_error *err)
{
	JsonObject *stats = NULL;
	GArray *pids;
	int ret = look_at(mount, LOOK_TIMEOUT_MS, &stats, err);

	*pid = 0;
	if (!ret) {
		*pid = (long)look_number(stats, "pid");
		json_object_unref(stats);
		if (*pid && mount_is_served_by("/proc", *pid))
			return 0;
		ret = error_set(err, -ESRCH, "%s: its daemon is not to be seen from here (it is in another pid namespace: stop it "
				"there, or unmount)", mount);
	}
	pids = look_daemons(mount);
	if (pids->len == 1) {
		*pid = g_array_index(pids, long, 0);
		ret = 0;
	}
	g_array_unref(pids);
	return ret;
}

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text) && strlen(text) < 10;
}

static int stop_run(const struct subcommand *sub, int argc, char **argv)
{
	double timeout_s = TIMEOUT_S_DEFAULT;
	gboolean force = FALSE;
	const GOptionEntry entries[] = {
		{ "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &timeout_s, "How long to wait for its end; default 60", "SECONDS" },
		{ "force", 0, 0, G_OPTION_ARG_NONE, &force, "Although a loop device uses the image", NULL },
		{ 0 },
	};
	char **args = tool_parse(sub, argc, argv, entries);
	struct cwt_error err;
	int status;
	long pid;

	if (!args)
		return TOOL_USAGE;
	if (!(timeout_s >= 0))
		status = tool_usage(sub, "--timeout: %g is not 0 or more seconds", timeout_s);
	else if (is_number(args[0]))
		status = stop(strtol(args[0], NULL, 10), timeout_s, force);
	else if (pid_of_mount(args[0], &pid, &err))
		status = tool_fail("%s", err.text);
	else
		status = stop(pid, timeout_s, force);
	g_strfreev(args);
	return status;
}

const struct subcommand cmd_stop = {
	.name = "stop", .args = "MOUNT|PID", .nr_args_min = 1, .nr_args_max = 1,
	.summary = "End a daemon cleanly, and wait until it has ended",
	.help = "By SIGTERM: what was asked is answered, then it unmounts, commits, and ends.  A number is a process; a folder of that\n"
		"name is given as ./NUMBER.\n",
	.run = stop_run,
};
