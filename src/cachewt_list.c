/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachewt list: the mounts that are to be seen from here. */
#include <stdio.h>

#include "cachewt_look.h"
#include "cachewt_tool.h"
#include "mount_table.h"
#include "mountpoint.h"

#define RATIO_TEXT_BYTES 16u

struct row { const struct mount_entry *mount; JsonObject *stats; struct cwt_error err; };

/* Hits in percent of hits and misses; < 0: there were none. */
static double hit_percent(JsonObject *stats)
{
	double hits = (double)(look_number(stats, "read_hits") + look_number(stats, "write_hits"));
	double all = hits + (double)(look_number(stats, "read_misses") + look_number(stats, "write_misses") +
				     look_number(stats, "bypassed"));

	return all > 0 ? 100 * hits / all : -1;
}

/* One line whatever is in a path. */
static void print_path(const char *path)
{
	for (const char *p = path; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < ' ' || c == 0x7f || c == '\\' || (c == 0xc2 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xa0))
			printf("\\%03o", c);
		else
			putchar(c);
	}
}

static void print_row(const struct row *row)
{
	char ratio[RATIO_TEXT_BYTES] = "-";

	if (row->stats && hit_percent(row->stats) >= 0)
		g_snprintf(ratio, sizeof(ratio), "%.1f %%", hit_percent(row->stats));
	if (row->stats)
		printf("%-8" G_GINT64_FORMAT " %-13s %-8s ", look_number(row->stats, "pid"), look_text(row->stats, "mode"), ratio);
	else
		printf("%-8s %-13s %-8s ", "-", "no answer", ratio);
	print_path(row->mount->mountpoint);
	fputs("  ", stdout);
	print_path(row->mount->source);
	putchar('\n');
}

static void add_text(JsonBuilder *builder, const char *name, const char *text)
{
	char *valid = g_utf8_make_valid(text, -1);

	json_builder_set_member_name(builder, name);
	json_builder_add_string_value(builder, valid);
	g_free(valid);
}

static void add_row(JsonBuilder *builder, const struct row *row)
{
	json_builder_begin_object(builder);
	add_text(builder, "image", row->mount->source);
	add_text(builder, "mountpoint", row->mount->mountpoint);
	json_builder_set_member_name(builder, "answers");
	json_builder_add_boolean_value(builder, row->stats != NULL);
	if (row->stats) {
		double percent = hit_percent(row->stats);

		add_text(builder, "mode", look_text(row->stats, "mode"));
		add_text(builder, "bypass", look_text(row->stats, "bypass"));
		json_builder_set_member_name(builder, "pid");
		json_builder_add_int_value(builder, look_number(row->stats, "pid"));
		json_builder_set_member_name(builder, "hit_ratio");
		if (percent >= 0)
			json_builder_add_double_value(builder, percent / 100);
		else
			json_builder_add_null_value(builder);
	} else {
		add_text(builder, "error", row->err.text);
	}
	json_builder_end_object(builder);
}

static void print_json(const struct row *rows, guint nr)
{
	JsonBuilder *builder = json_builder_new();
	JsonNode *root;
	char *text;

	json_builder_begin_array(builder);
	for (guint i = 0; i < nr; i++)
		add_row(builder, &rows[i]);
	json_builder_end_array(builder);
	root = json_builder_get_root(builder);
	text = json_to_string(root, TRUE);
	puts(text);
	g_free(text);
	json_node_unref(root);
	g_object_unref(builder);
}

static int list(bool json)
{
	GPtrArray *mounts = mounts_read(MOUNT_TABLE);
	struct row *rows = g_new0(struct row, mounts->len + 1);
	guint nr = 0;

	for (guint i = 0; i < mounts->len; i++) {
		const struct mount_entry *mount = g_ptr_array_index(mounts, i);

		if (g_strcmp0(mount->type, MOUNT_TYPE))
			continue;
		rows[nr].mount = mount;
		if (look_at(mount->mountpoint, LOOK_TIMEOUT_MS, &rows[nr].stats, &rows[nr].err))
			rows[nr].stats = NULL;
		nr++;
	}
	if (json)
		print_json(rows, nr);
	else
		printf("%-8s %-13s %-8s %s\n", "PID", "MODE", "HITS", "MOUNTPOINT  ORIGIN");
	for (guint i = 0; i < nr; i++) {
		if (!json)
			print_row(&rows[i]);
		g_clear_pointer(&rows[i].stats, json_object_unref);
	}
	g_free(rows);
	g_ptr_array_unref(mounts);
	return TOOL_OK;
}

static int list_run(const struct subcommand *sub, int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print a JSON array", NULL },
		{ 0 },
	};
	char **args = tool_parse(sub, argc, argv, entries);

	if (!args)
		return TOOL_USAGE;
	g_strfreev(args);
	return list(json);
}

const struct subcommand cmd_list = {
	.name = "list", .args = "", .nr_args_min = 0, .nr_args_max = 0,
	.summary = "List the mounts that are seen from here",
	.help = "One that does not answer, or may not be asked, is listed without its numbers.\n",
	.run = list_run,
};
