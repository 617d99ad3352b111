/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the subcommands of cachewt share: how they are described, how they parse their arguments, how they fail.
 *
 * A subcommand is one object of struct subcommand in one source file, listed in cachewt.c.  It returns the exit status of the
 * program.  Every failure is one line on stderr, "cachewt: WHAT: WHY (REMEDY)".
 *
 * Context: one thread.
 */
#ifndef CWT_SRC_CACHEWT_TOOL_H
#define CWT_SRC_CACHEWT_TOOL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

struct subcommand {
	const char *name;
	const char *args;	/* as in the usage line: "MOUNT KEY [VALUE]" */
	const char *summary;	/* one line for cachewt --help */
	const char *help;	/* what follows the options in cachewt SUBCOMMAND --help */
	int nr_args_min, nr_args_max;
	int (*run)(const struct subcommand *sub, int argc, char **argv);
};

extern const struct subcommand cmd_list, cmd_status, cmd_health, cmd_message, cmd_invalidate, cmd_wait, cmd_stop;
extern const struct subcommand cmd_format, cmd_check, cmd_dump, cmd_verify, cmd_prune;

/*
 * Parse argv (argv[0] is the subcommand's name) with entries (may be NULL).  Returns the arguments that are no options, ended by
 * NULL and as the bytes that were given, free with g_strfreev(); their number is within the subcommand's limits.  Wrong usage:
 * says so and returns NULL, and the caller returns TOOL_USAGE.  --help prints and ends the program.
 */
char **tool_parse(const struct subcommand *sub, int argc, char **argv, const GOptionEntry *entries);

/* Print "cachewt: " and the text as one line; returns TOOL_FAILED. */
int tool_fail(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* Print "cachewt: SUBCOMMAND: ", the text and where help is, as one line; returns TOOL_USAGE. */
int tool_usage(const struct subcommand *sub, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* The last act of the program: status, or TOOL_FAILED when what was printed did not get out. */
int tool_finish(int status);

/* An argument that is a size (sizes.h); wrong usage is said with the argument's name. */
bool tool_size_arg(const struct subcommand *sub, const char *what, const char *text, uint64_t *bytes);

#endif
