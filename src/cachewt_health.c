/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt health: one question, one exit status, for what watches a machine. */
#include <stdio.h>
#include <string.h>

#include "cachewt_look.h"
#include "cachewt_tool.h"

enum { HEALTH_FINE = 0, HEALTH_DEGRADED = 1, HEALTH_NO_ANSWER = 2 };

/* Each finding is a line.  An origin's failed flush is sticky, so it is a bypass, too. */
static GPtrArray *findings(JsonObject *stats)
{
	static const char *const errors[] = { "origin_read_errors", "origin_write_errors", "origin_flush_errors", "cache_read_errors",
					      "cache_write_errors", "cache_flush_errors", "metadata_errors" };
	const char *bypass = look_text(stats, "bypass"), *start = look_text(stats, "start_reason");
	GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

	if (strcmp(bypass, "none"))
		g_ptr_array_add(lines, g_strdup_printf("bypassed: %s: %s", bypass, look_text(stats, "bypass_reason")));
	for (size_t i = 0; i < G_N_ELEMENTS(errors); i++)
		if (look_number(stats, errors[i]))
			g_ptr_array_add(lines, g_strdup_printf("%s: %" G_GINT64_FORMAT, errors[i], look_number(stats, errors[i])));
	if (!look_flag(stats, "books_balance"))
		g_ptr_array_add(lines, g_strdup("the books do not balance"));
	if (strstr(start, "changed"))
		g_ptr_array_add(lines, g_strdup_printf("start: %s", start));
	if (json_object_has_member(stats, "warnings")) {
		JsonArray *warnings = json_object_get_array_member(stats, "warnings");

		for (guint i = 0; warnings && i < json_array_get_length(warnings); i++)
			g_ptr_array_add(lines, g_strdup_printf("warning: %s", json_array_get_string_element(warnings, i)));
	}
	return lines;
}

static void print_text(const char *state, const GPtrArray *lines)
{
	puts(state);
	for (guint i = 0; i < lines->len; i++)
		puts(g_ptr_array_index(lines, i));
}

static void print_json(const char *state, const GPtrArray *lines)
{
	JsonBuilder *builder = json_builder_new();
	JsonNode *root;
	char *text;

	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "health");
	json_builder_add_string_value(builder, state);
	json_builder_set_member_name(builder, "findings");
	json_builder_begin_array(builder);
	for (guint i = 0; i < lines->len; i++) {
		char *valid = g_utf8_make_valid(g_ptr_array_index(lines, i), -1);

		json_builder_add_string_value(builder, valid);
		g_free(valid);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	root = json_builder_get_root(builder);
	text = json_to_string(root, TRUE);
	puts(text);
	g_free(text);
	json_node_unref(root);
	g_object_unref(builder);
}

static int health(const char *mount, unsigned timeout_ms, bool json)
{
	struct cwt_error err;
	JsonObject *stats = NULL;
	GPtrArray *lines;
	int status;

	if (look_at(mount, timeout_ms, &stats, &err)) {
		status = HEALTH_NO_ANSWER;
		lines = g_ptr_array_new_with_free_func(g_free);
		g_ptr_array_add(lines, g_strdup(err.text));
		if (!json)
			tool_fail("%s", err.text);
	} else {
		lines = findings(stats);
		status = lines->len ? HEALTH_DEGRADED : HEALTH_FINE;
		json_object_unref(stats);
	}
	if (json)
		print_json(status == HEALTH_FINE ? "fine" : status == HEALTH_DEGRADED ? "degraded" : "no-answer", lines);
	else if (status != HEALTH_NO_ANSWER)
		print_text(status == HEALTH_FINE ? "fine" : "degraded", lines);
	g_ptr_array_unref(lines);
	return status;
}

static int health_run(const struct subcommand *sub, int argc, char **argv)
{
	gboolean json = FALSE;
	double timeout_s = LOOK_TIMEOUT_MS / 1000.0;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print a JSON object", NULL },
		{ "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &timeout_s, "How long the mount may take to answer; default 3", "SECONDS" },
		{ 0 },
	};
	char **args = tool_parse(sub, argc, argv, entries);
	int status;

	if (!args)
		return TOOL_USAGE;
	if (!(timeout_s > 0 && timeout_s <= 3600))
		status = tool_usage(sub, "--timeout: %g is not more than 0 and at most 3600 seconds", timeout_s);
	else
		status = health(args[0], (unsigned)(timeout_s * 1000), json);
	g_strfreev(args);
	return status;
}

const struct subcommand cmd_health = {
	.name = "health", .args = "MOUNT", .nr_args_min = 1, .nr_args_max = 1,
	.summary = "Say whether a mount is well, by the exit status too",
	.help = "Exit status 0: fine; 1: degraded (bypassed, errors were counted, the origin was changed, a warning); 2: it does not\n"
		"answer in time, or is no mount.\n",
	.run = health_run,
};
