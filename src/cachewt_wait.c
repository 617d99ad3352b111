/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt wait: poll a mount until it answers (--ready), until no request is in flight (--idle), or until its daemon has ended (--ended). */
#include <errno.h>
#include <math.h>

#include "cachewt_control.h"
#include "cachewt_look.h"
#include "cachewt_stats.h"
#include "cachewt_tool.h"

#define POLL_INTERVAL_US (50 * 1000)
#define LOOK_MIN_S 1.0		/* that a look may take, however short the timeout */

/* Errors that a mount which is only coming, or coming back, gives: others will not go away by waiting. */
static bool may_come(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ENOTCONN || error == -ECONNABORTED;
}

/* 1: it holds; 0: not yet; < 0: it never will, see err. */
static int ready_now(const char *mount, double look_s, struct cwt_error *err)
{
	char *text;
	int error = control_read(mount, "status", look_s, &text, err);

	if (error)
		return may_come(error) || error == -ETIMEDOUT ? 0 : error;
	g_free(text);
	return 1;
}

static int idle_now(const char *mount, double look_s, struct cwt_error *err)
{
	struct stats stats;
	int error = stats_read(mount, look_s, &stats, err);

	if (error == -ETIMEDOUT)
		return 0;
	return error ? error : stats.value[STATS_IN_FLIGHT] == 0;
}

/* The daemons are looked for once: one that starts later has nothing to do with the pair's release. */
static int wait_ended(const char *mount, double timeout_s)
{
	gint64 start_us = g_get_monotonic_time();
	GArray *pids = look_daemons(mount);
	int error = 0;

	for (guint i = 0; i < pids->len && !error; i++) {
		double used_s = (double)(g_get_monotonic_time() - start_us) / G_USEC_PER_SEC;

		error = look_wait_ended(g_array_index(pids, long, i), MAX(timeout_s - used_s, 0));
	}
	g_array_unref(pids);
	return error ? tool_fail("%s: its daemon has not ended after %g s (cachewt stop %s ends it)", mount, timeout_s, mount) : TOOL_OK;
}

static int wait_for(const char *mount, bool ready, double timeout_s)
{
	gint64 start_us = g_get_monotonic_time();
	double left_s = timeout_s;
	struct cwt_error err;
	int state;

	for (;;) {
		double look_s = CLAMP(left_s, LOOK_MIN_S, CONTROL_ANSWER_S);

		state = ready ? ready_now(mount, look_s, &err) : idle_now(mount, look_s, &err);
		if (state > 0)
			return TOOL_OK;
		if (state < 0)
			return tool_fail("%s", err.text);
		left_s = timeout_s - (double)(g_get_monotonic_time() - start_us) / G_USEC_PER_SEC;
		if (left_s <= 0)
			return tool_fail("%s: not %s after %g s (cachewt status %s says more)", mount, ready ? "ready" : "idle",
					 timeout_s, mount);
		g_usleep(POLL_INTERVAL_US);
	}
}

static int wait_run(const struct subcommand *sub, int argc, char **argv)
{
	gboolean ready = FALSE, idle = FALSE, ended = FALSE;
	double timeout_s = INFINITY;
	const GOptionEntry entries[] = {
		{ "ready", 0, 0, G_OPTION_ARG_NONE, &ready, "Until the mount answers", NULL },
		{ "idle", 0, 0, G_OPTION_ARG_NONE, &idle, "Until no request is in flight", NULL },
		{ "ended", 0, 0, G_OPTION_ARG_NONE, &ended, "Until its daemon has ended", NULL },
		{ "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &timeout_s, "Give up after this time (default: never)", "SECONDS" },
		{ 0 },
	};
	char **args = tool_parse(sub, argc, argv, entries);
	int status;

	if (!args)
		return TOOL_USAGE;
	if (ready + idle + ended != 1)
		status = tool_usage(sub, "give one of --ready, --idle and --ended");
	else if (!(timeout_s >= 0))
		status = tool_usage(sub, "--timeout: %g is not 0 or more seconds", timeout_s);
	else if (ended)
		status = wait_ended(args[0], timeout_s);
	else
		status = wait_for(args[0], ready, timeout_s);
	g_strfreev(args);
	return status;
}

const struct subcommand cmd_wait = {
	.name = "wait", .args = "MOUNT", .nr_args_min = 1, .nr_args_max = 1,
	.summary = "Wait until a mount is ready, idle or has ended",
	.help = "--ready also waits for a mount that is not there yet.  --idle is a look at one moment: a request may come after it.\n"
		"--ended may be asked after umount: when it returns, cache and metadata can be used again.\n",
	.run = wait_run,
};
