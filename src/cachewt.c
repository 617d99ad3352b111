/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt: look at and talk to mounts of cachewtfs, and work on the metadata of stopped ones.  See cachewt(1). */
#include <stdio.h>
#include <string.h>

#include "config.h"

#include "cachewt_tool.h"

static const struct subcommand *const subcommands[] = {
	&cmd_list, &cmd_status, &cmd_health, &cmd_message, &cmd_invalidate, &cmd_wait, &cmd_stop,
	&cmd_format, &cmd_check, &cmd_dump, &cmd_verify, &cmd_prune,
};

static void print_subcommands(void)
{
	fputs("Usage:\n  cachewt SUBCOMMAND [OPTIONS] ARGUMENTS\n\nSubcommands:\n", stdout);
	for (size_t i = 0; i < G_N_ELEMENTS(subcommands); i++)
		printf("  %-11s %s\n", subcommands[i]->name, subcommands[i]->summary);
	fputs("\nOptions:\n"
	      "  -h, --help     Show this text; cachewt SUBCOMMAND --help shows a subcommand's\n"
	      "  -V, --version  Show the version\n", stdout);
}

static const struct subcommand *find(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(subcommands); i++) {
		if (!strcmp(subcommands[i]->name, name))
			return subcommands[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct subcommand *sub;

	if (argc < 2) {
		tool_fail("no subcommand given (see cachewt --help)");
		return TOOL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_subcommands();
		return tool_finish(TOOL_OK);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("cachewt " PACKAGE_VERSION);
		return tool_finish(TOOL_OK);
	}
	sub = find(argv[1]);
	if (!sub) {
		tool_fail("%s: no such subcommand (see cachewt --help)", argv[1]);
		return TOOL_USAGE;
	}
	return tool_finish(sub->run(sub, argc - 1, argv + 1));
}
