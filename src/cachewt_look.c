/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See cachewt_look.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cachewt_control.h"
#include "cachewt_look.h"
#include "mount_holders.h"

#define POLL_INTERVAL_US (20 * 1000)

/*
 * ------------------------------------------------------------------ the status
 */

static int parse(const char *mount, const char *text, JsonObject **stats, struct cwt_error *err)
{
	JsonParser *parser = json_parser_new();
	JsonNode *root = json_parser_load_from_data(parser, text, -1, NULL) ? json_parser_get_root(parser) : NULL;
	bool good = root && JSON_NODE_HOLDS_OBJECT(root);

	if (good)
		*stats = json_object_ref(json_node_get_object(root));
	g_object_unref(parser);
	return good ? 0 : error_set(err, -EINVAL, "%s: its stats.json is not a JSON object (a mount of another version?)", mount);
}

int look_at(const char *mount, unsigned timeout_ms, JsonObject **stats, struct cwt_error *err)
{
	char *text = NULL;
	int ret = control_read(mount, "stats.json", timeout_ms / 1000.0, &text, err);

	if (ret)
		return ret;
	ret = parse(mount, text, stats, err);
	g_free(text);
	return ret;
}

static JsonNode *member(JsonObject *stats, const char *name, GType type)
{
	JsonNode *node = json_object_get_member(stats, name);

	return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type ? node : NULL;
}

gint64 look_number(JsonObject *stats, const char *name)
{
	JsonNode *node = member(stats, name, G_TYPE_INT64);

	return node ? json_node_get_int(node) : 0;
}

bool look_flag(JsonObject *stats, const char *name)
{
	JsonNode *node = member(stats, name, G_TYPE_BOOLEAN);

	return node && json_node_get_boolean(node);
}

const char *look_text(JsonObject *stats, const char *name)
{
	JsonNode *node = member(stats, name, G_TYPE_STRING);

	return node ? json_node_get_string(node) : "";
}

/*
 * ------------------------------------------------------------------ daemons
 */

/* Does this argument of a daemon's, taken from a folder that we do not know, name mount? */
static bool names(const char *argument, const char *given, const char *real)
{
	while (g_str_has_prefix(argument, "./"))
		argument += 2;
	if (!*argument)
		return false;
	if (*argument == '/' || !real)
		return !strcmp(argument, given) || (real && !strcmp(argument, real));
	return g_str_has_suffix(real, argument) && strlen(real) > strlen(argument) && real[strlen(real) - strlen(argument) - 1] == '/';
}

static bool is_named_by(long pid, const char *given, const char *real)
{
	char *path = g_strdup_printf("/proc/%ld/cmdline", pid), *text = NULL;
	gsize len = 0;
	bool named = false;

	if (g_file_get_contents(path, &text, &len, NULL))
		for (gsize at = 0; at < len && !named; at += strlen(text + at) + 1)
			named = at && names(text + at, given, real);
	g_free(path);
	g_free(text);
	return named;
}

static void add_daemon(GArray *pids, long pid)
{
	for (guint i = 0; i < pids->len; i++)
		if (g_array_index(pids, long, i) == pid)
			return;
	g_array_append_val(pids, pid);
}

GArray *look_daemons(const char *mount)
{
	GArray *pids = g_array_new(FALSE, FALSE, sizeof(long));
	char *given = g_canonicalize_filename(mount, NULL), *folder = g_path_get_dirname(given), *base = g_path_get_basename(given);
	char *real_folder = realpath(folder, NULL);	/* of the mountpoint itself a dead daemon would have to be asked */
	char *real = real_folder ? g_build_filename(real_folder, base, NULL) : NULL;
	GDir *dir = g_dir_open("/proc", 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		long pid = strtol(name, NULL, 10);

		if (pid > 0 && mount_is_served_by("/proc", pid) && is_named_by(pid, given, real))
			add_daemon(pids, pid);
	}
	if (dir)
		g_dir_close(dir);
	g_free(given);
	g_free(folder);
	g_free(base);
	free(real_folder);
	g_free(real);
	return pids;
}

/* A zombie of a parent that does not look has ended. */
static bool has_ended(long pid)
{
	char *path = g_strdup_printf("/proc/%ld/stat", pid), *text = NULL, *after;
	bool ended = !g_file_get_contents(path, &text, NULL, NULL);

	if (!ended) {
		after = strrchr(text, ')');
		ended = after && (after[1] == ' ' && (after[2] == 'Z' || after[2] == 'X'));
	}
	g_free(path);
	g_free(text);
	return ended;
}

int look_wait_ended(long pid, double timeout_s)
{
	gint64 start_us = g_get_monotonic_time();

	while (!has_ended(pid)) {
		if ((double)(g_get_monotonic_time() - start_us) >= timeout_s * G_USEC_PER_SEC)
			return -ETIMEDOUT;
		g_usleep(POLL_INTERVAL_US);
	}
	return 0;
}
