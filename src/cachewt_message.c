/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt message, cachewt invalidate: write one line to the control file of a mount. */
#include <string.h>

#include "cachewt_control.h"
#include "cachewt_tool.h"

static int send_message(const char *mount, const char *message)
{
	struct cwt_error err;

	return control_write(mount, message, &err) ? tool_fail("%s", err.text) : TOOL_OK;
}

static int message_run(const struct subcommand *sub, int argc, char **argv)
{
	char **args = tool_parse(sub, argc, argv, NULL);
	char *message;
	int status;

	if (!args)
		return TOOL_USAGE;
	message = g_strjoinv(" ", args + 1);
	if (!*args[1])
		status = tool_usage(sub, "KEY is empty");
	else if (strpbrk(message, "\r\n"))
		status = tool_usage(sub, "a message is one line");
	else
		status = send_message(args[0], message);
	g_free(message);
	g_strfreev(args);
	return status;
}

const struct subcommand cmd_message = {
	.name = "message", .args = "MOUNT KEY [VALUE]", .nr_args_min = 2, .nr_args_max = 3,
	.summary = "Give a mount a message",
	.help = "KEY is one of\n"
		"  commit           make the mappings of now durable, and wait for it\n"
		"  drop             invalidate the whole cache\n"
		"  bypass on|off    all requests go to the origin; or the cache is used again\n"
		"  cache-ok         use the cache again after its errors\n"
		"  origin-ok        end the sticky error of fsync after a failed flush of the origin\n",
	.run = message_run,
};

static int invalidate_run(const struct subcommand *sub, int argc, char **argv)
{
	char **args = tool_parse(sub, argc, argv, NULL);
	uint64_t offset_bytes, len_bytes;
	char *message;
	int status = TOOL_USAGE;

	if (!args)
		return TOOL_USAGE;
	if (tool_size_arg(sub, "OFFSET", args[1], &offset_bytes) && tool_size_arg(sub, "LENGTH", args[2], &len_bytes)) {
		message = g_strdup_printf("invalidate %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, offset_bytes, len_bytes);
		status = send_message(args[0], message);
		g_free(message);
	}
	g_strfreev(args);
	return status;
}

const struct subcommand cmd_invalidate = {
	.name = "invalidate", .args = "MOUNT OFFSET LENGTH", .nr_args_min = 3, .nr_args_max = 3,
	.summary = "Drop a range of the image from the cache",
	.help = "OFFSET and LENGTH are sizes, as 64K.  Every block that the range touches is dropped; the origin keeps its data.\n",
	.run = invalidate_run,
};
