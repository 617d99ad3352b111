/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arguments and failures of all subcommands. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cachewt_tool.h"
#include "escape.h"
#include "sizes.h"

static gboolean show_help(const gchar *name, const gchar *value, gpointer data, GError **error)
{
	(void)name, (void)value, (void)error;
	*(bool *)data = true;
	return TRUE;
}

static void print_help(GOptionContext *context)
{
	char *text = g_option_context_get_help(context, TRUE, NULL);

	fputs(text, stdout);
	g_free(text);
}

/* The built-in help would exit in the middle of a parse and be printed in the locale's charset; this one is plain. */
static GOptionContext *make_context(const struct subcommand *sub, const GOptionEntry *entries, bool *help, char ***args)
{
	GOptionContext *context = g_option_context_new(sub->args);
	GOptionGroup *group = g_option_group_new("main", "", "", help, NULL);
	const GOptionEntry help_entry[] = {
		{ "help", 'h', G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, show_help, "Show this text", NULL },
		{ 0 },
	};
	const GOptionEntry rest[] = {
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, args, NULL, NULL },
		{ 0 },
	};

	g_option_context_set_help_enabled(context, FALSE);
	g_option_context_set_main_group(context, group);
	if (entries)
		g_option_group_add_entries(group, entries);
	g_option_group_add_entries(group, help_entry);
	g_option_group_add_entries(group, rest);
	g_option_context_set_summary(context, sub->summary);
	g_option_context_set_description(context, sub->help);
	return context;
}

char **tool_parse(const struct subcommand *sub, int argc, char **argv, const GOptionEntry *entries)
{
	char *name = g_strdup_printf("cachewt %s", sub->name);
	char **args = NULL;
	bool help = false;
	GError *error = NULL;
	GOptionContext *context = make_context(sub, entries, &help, &args);
	int nr_args;

	g_set_prgname(name);
	g_free(name);
	if (!g_option_context_parse(context, &argc, &argv, &error)) {
		tool_usage(sub, "%s", error->message);
		g_error_free(error);
		g_strfreev(args);
		args = NULL;
		goto out;
	}
	if (help) {
		print_help(context);
		exit(tool_finish(TOOL_OK));
	}
	if (!args)
		args = g_new0(char *, 1);
	nr_args = (int)g_strv_length(args);
	if (nr_args < sub->nr_args_min || nr_args > sub->nr_args_max) {
		tool_usage(sub, "%s argument%s, expected: %s", nr_args < sub->nr_args_min ? "missing" : "too many",
			   sub->nr_args_min == 1 && !nr_args ? "" : "s", *sub->args ? sub->args : "none");
		g_strfreev(args);
		args = NULL;
	}
out:
	g_option_context_free(context);
	return args;
}

/* One line whatever a path contains: a line feed in it must not forge a second one. */
static void print_line(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void print_line(const char *format, ...)
{
	va_list ap;
	char *line, *escaped;

	va_start(ap, format);
	line = g_strdup_vprintf(format, ap);
	va_end(ap);
	escaped = text_escaped(line, TEXT_LINE);
	fflush(stdout);
	fprintf(stderr, "%s\n", escaped);
	g_free(escaped);
	g_free(line);
}

int tool_fail(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	print_line("cachewt: %s", text);
	g_free(text);
	return TOOL_FAILED;
}

int tool_usage(const struct subcommand *sub, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	print_line("cachewt: %s: %s (see cachewt %s --help)", sub->name, text, sub->name);
	g_free(text);
	return TOOL_USAGE;
}

int tool_finish(int status)
{
	if (status == TOOL_OK && (fflush(stdout) || ferror(stdout)))
		return tool_fail("standard output: cannot be written (is the disk full?)");
	return status;
}

bool tool_size_arg(const struct subcommand *sub, const char *what, const char *text, uint64_t *bytes)
{
	int err = size_parse(text, bytes);

	if (err)
		tool_usage(sub, "%s: \"%s\" %s", what, text, size_why(text));
	return !err;
}
