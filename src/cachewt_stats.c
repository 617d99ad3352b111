/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See cachewt_stats.h. */
#include <errno.h>
#include <json-glib/json-glib.h>

#include "cachewt_control.h"
#include "cachewt_stats.h"

/* What is added up into each value; most are one member of stats.json. */
static const struct { enum stats_field field; const char *member; } members[] = {
	{ STATS_READ_HITS, "read_hits" },
	{ STATS_READ_MISSES, "read_misses" },
	{ STATS_WRITE_HITS, "write_hits" },
	{ STATS_WRITE_MISSES, "write_misses" },
	{ STATS_BYPASSED, "bypassed" },
	{ STATS_PROMOTIONS, "promotions" },
	{ STATS_DEMOTIONS, "demotions" },
	{ STATS_INVALIDATIONS, "invalidations" },
	{ STATS_COMMITS, "commits" },
	{ STATS_ERRORS, "origin_read_errors" },
	{ STATS_ERRORS, "origin_write_errors" },
	{ STATS_ERRORS, "origin_flush_errors" },
	{ STATS_ERRORS, "cache_read_errors" },
	{ STATS_ERRORS, "cache_write_errors" },
	{ STATS_ERRORS, "cache_flush_errors" },
	{ STATS_ERRORS, "metadata_errors" },
	{ STATS_MAPPED, "nr_mapped" },
	{ STATS_CBLOCKS, "nr_cblocks" },
	{ STATS_IN_FLIGHT, "requests_in_flight" },
	{ STATS_PARKED, "parked" },
};

static int add_member(JsonObject *object, const char *member, uint64_t *value, struct cwt_error *err)
{
	JsonNode *node = json_object_get_member(object, member);

	if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64 || json_node_get_int(node) < 0)
		return error_set(err, -EINVAL, "stats.json: no number \"%s\" (a mount of another version?)", member);
	*value += (uint64_t)json_node_get_int(node);
	return 0;
}

int stats_parse(const char *json, struct stats *stats, struct cwt_error *err)
{
	JsonParser *parser = json_parser_new();
	GError *error = NULL;
	JsonNode *root;
	int ret = 0;

	*stats = (struct stats){ 0 };
	if (!json_parser_load_from_data(parser, json, -1, &error)) {
		ret = error_set(err, -EINVAL, "stats.json: %s", error->message);
		g_error_free(error);
		goto out;
	}
	root = json_parser_get_root(parser);
	if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
		ret = error_set(err, -EINVAL, "stats.json: not a JSON object");
		goto out;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(members) && !ret; i++)
		ret = add_member(json_node_get_object(root), members[i].member, &stats->value[members[i].field], err);
out:
	g_object_unref(parser);
	return ret;
}

int stats_read(const char *mount, double timeout_s, struct stats *stats, struct cwt_error *err)
{
	char *json;
	struct cwt_error why;
	int ret = control_read(mount, "stats.json", timeout_s, &json, err);

	if (ret)
		return ret;
	ret = stats_parse(json, stats, &why);
	if (ret)
		error_set(err, ret, "%s: %.900s", mount, why.text);
	g_free(json);
	return ret;
}

static double rate(const struct stats *now, const struct stats *before, enum stats_field field, double seconds)
{
	uint64_t was = before->value[field] <= now->value[field] ? before->value[field] : 0;

	return (double)(now->value[field] - was) / seconds;
}

static void add_line(GString *out, const char *label, const struct stats *now, const struct stats *before,
		     enum stats_field field, double seconds)
{
	g_string_append_printf(out, "%-15s %14" G_GUINT64_FORMAT, label, now->value[field]);
	if (before)
		g_string_append_printf(out, " %12.0f/s", rate(now, before, field, seconds));
	g_string_append_c(out, '\n');
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

char *stats_picture(const struct stats *now, const struct stats *before, double seconds)
{
	static const struct { const char *label; enum stats_field field; } lines[] = {
		{ "read hits", STATS_READ_HITS }, { "read misses", STATS_READ_MISSES },
		{ "write hits", STATS_WRITE_HITS }, { "write misses", STATS_WRITE_MISSES },
		{ "bypassed", STATS_BYPASSED }, { "promotions", STATS_PROMOTIONS },
		{ "demotions", STATS_DEMOTIONS }, { "invalidations", STATS_INVALIDATIONS },
		{ "commits", STATS_COMMITS }, { "errors", STATS_ERRORS },
	};
	const uint64_t *v = now->value;
	uint64_t hits = v[STATS_READ_HITS] + v[STATS_WRITE_HITS];
	uint64_t all = hits + v[STATS_READ_MISSES] + v[STATS_WRITE_MISSES] + v[STATS_BYPASSED];
	GString *out = g_string_new(NULL);

	if (!(seconds > 0))
		before = NULL;
	g_string_append_printf(out, "cblocks         %14" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " mapped, %.1f %%\n",
			       v[STATS_MAPPED], v[STATS_CBLOCKS], percent(v[STATS_MAPPED], v[STATS_CBLOCKS]));
	g_string_append_printf(out, "in flight       %14" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT " parked\n", v[STATS_IN_FLIGHT],
			       v[STATS_PARKED]);
	g_string_append_printf(out, "hits            %14.1f %% of %" G_GUINT64_FORMAT " block requests\n", percent(hits, all), all);
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
		add_line(out, lines[i].label, now, before, lines[i].field, seconds);
	return g_string_free(out, FALSE);
}
