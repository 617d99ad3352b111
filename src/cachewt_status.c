/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt status: show what a mount says of itself, once or every second. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cachewt_control.h"
#include "cachewt_stats.h"
#include "cachewt_tool.h"
#include "escape.h"

/* Escaped once more: the mount may be anybody's. */
static int show_file(const char *mount, bool json)
{
	unsigned flags = json ? TEXT_KEEP_LINES | TEXT_JSON : TEXT_KEEP_LINES | TEXT_KEEP_BACKSLASHES;
	struct cwt_error err;
	char *text, *escaped;

	if (control_read(mount, json ? "stats.json" : "status", CONTROL_ANSWER_S, &text, &err))
		return tool_fail("%s", err.text);
	escaped = text_escaped(text, flags);
	fputs(escaped, stdout);
	if (*escaped && escaped[strlen(escaped) - 1] != '\n')
		putchar('\n');
	g_free(escaped);
	g_free(text);
	return TOOL_OK;
}

/* On a terminal each picture replaces the last; elsewhere they follow one another, a blank line between. */
static bool paint(const char *mount, const char *picture, bool terminal, bool first)
{
	if (terminal)
		fputs("\033[H\033[J", stdout);
	else if (!first)
		putchar('\n');
	printf("%s\n%s", mount, picture);
	return !fflush(stdout);
}

/* Until the mount goes away; SIGINT and SIGPIPE end it as they end any program. */
static int watch(const char *mount)
{
	bool terminal = isatty(STDOUT_FILENO), first = true, painted;
	gint64 last_us = 0, now_us;
	struct stats now, before;
	struct cwt_error err;
	char *picture;

	for (;;) {
		if (stats_read(mount, CONTROL_ANSWER_S, &now, &err))
			return tool_fail("%s", err.text);
		now_us = g_get_monotonic_time();
		picture = stats_picture(&now, first ? NULL : &before, (double)(now_us - last_us) / G_USEC_PER_SEC);
		painted = paint(mount, picture, terminal, first);
		g_free(picture);
		if (!painted)
			return tool_fail("standard output: cannot be written");
		before = now;
		last_us = now_us;
		first = false;
		g_usleep(G_USEC_PER_SEC);
	}
}

static int status_run(const struct subcommand *sub, int argc, char **argv)
{
	gboolean json = FALSE, watching = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print stats.json", NULL },
		{ "watch", 0, 0, G_OPTION_ARG_NONE, &watching, "Repaint the counters and their rates each second", NULL },
		{ 0 },
	};
	char **args = tool_parse(sub, argc, argv, entries);
	int status;

	if (!args)
		return TOOL_USAGE;
	if (json && watching)
		status = tool_usage(sub, "--json and --watch exclude each other");
	else if (watching)
		status = watch(args[0]);
	else
		status = show_file(args[0], json);
	g_strfreev(args);
	return status;
}

const struct subcommand cmd_status = {
	.name = "status", .args = "MOUNT", .nr_args_min = 1, .nr_args_max = 1,
	.summary = "Show what a mount says of itself",
	.help = "MOUNT is the mountpoint, or the image in it.\n",
	.run = status_run,
};
