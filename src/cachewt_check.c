/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt check, cachewt dump: what a metadata says, and whether that can be true. */
#include <inttypes.h>
#include <stdio.h>

#include "cachewt_stores.h"
#include "cachewt_tool.h"
#include "metadata/check.h"
#include "metadata/dump.h"

/* One line whatever is in a path. */
static void print_path(const char *what, const char *path)
{
	if (!*path)
		return;
	printf("%s ", what);
	for (const unsigned char *p = (const unsigned char *)path; *p; p++)
		putchar(*p < ' ' || *p == 0x7f ? '?' : *p);
	putchar('\n');
}

static int check_device(struct device *metadata, struct cwt_error *err)
{
	struct check_result result;
	int ret = metadata_check(metadata, stdout, &result, err);

	if (ret)
		return tool_fail("%s", err->text);
	if (result.identity_known) {
		print_path("origin", result.identity.origin_path);
		print_path("cache", result.identity.cache_path);
	}
	if (result.nr_damage)
		return tool_fail("%s: the metadata is damaged, %" PRIu64 " findings (the next mount drops what it cannot trust)",
				 metadata->name, result.nr_damage);
	return TOOL_OK;
}

static int dump_device(struct device *metadata, struct cwt_error *err)
{
	return metadata_dump(metadata, stdout, err) ? tool_fail("%s", err->text) : TOOL_OK;
}

static int run_on_metadata(const struct subcommand *sub, int argc, char **argv,
			   int (*fn)(struct device *metadata, struct cwt_error *err))
{
	char **args = tool_parse(sub, argc, argv, NULL);
	struct device *metadata;
	struct cwt_error err;
	int status;

	if (!args)
		return TOOL_USAGE;
	if (stores_open_metadata(args[0], &metadata, &err)) {
		status = tool_fail("%s", err.text);
	} else {
		status = fn(metadata, &err);
		device_close(metadata);
	}
	g_strfreev(args);
	return status;
}

static int check_run(const struct subcommand *sub, int argc, char **argv)
{
	return run_on_metadata(sub, argc, argv, check_device);
}

const struct subcommand cmd_check = {
	.name = "check", .args = "METADATA", .nr_args_min = 1, .nr_args_max = 1,
	.summary = "Check whether a metadata is sound",
	.help = "Reads only.  Lines \"damage: ...\" are what must not be, and make the exit status 1; lines \"note: ...\" are what a\n"
		"crash leaves and the next mount clears away.\n",
	.run = check_run,
};

static int dump_run(const struct subcommand *sub, int argc, char **argv)
{
	return run_on_metadata(sub, argc, argv, dump_device);
}

const struct subcommand cmd_dump = {
	.name = "dump", .args = "METADATA", .nr_args_min = 1, .nr_args_max = 1,
	.summary = "Print a metadata as text",
	.help = "Reads only.  Lines \"KEY VALUE\", then one line \"mapping CBLOCK OBLOCK HINT\" for each mapping.\n",
	.run = dump_run,
};
