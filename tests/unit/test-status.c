/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The status as text and as JSON. */
#include <check.h>
#include <glib.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "status_text.h"

/* Every number different, so that none can stand for another. */
static struct cwt_status example(void)
{
	return (struct cwt_status){
		.block_size_bytes = 65536, .metadata_block_size_bytes = 4096, .nr_metadata_blocks_used = 7,
		.nr_metadata_blocks = 256,
		.nr_cblocks = 1600, .nr_mapped = 1001, .nr_free = 599, .read_hits = 11, .read_misses = 12,
		.write_hits = 13,
		.write_misses = 14, .bypassed = 15, .block_requests = 65, .books_balance = true, .promotions = 21,
		.demotions = 22,
		.invalidations = 23, .fills_voided = 24, .fills_failed = 25, .origin_read_errors = 31,
		.origin_write_errors = 32,
		.origin_flush_errors = 33, .cache_read_errors = 34, .cache_write_errors = 35, .cache_flush_errors = 36,
		.metadata_errors = 37, .commits = 41, .generation = UINT64_MAX, .last_commit_ms_ago = 43,
		.requests_in_flight = 44,
		.parked = 45, .memory_bytes = 46, .mode = CWT_WRITETHROUGH, .policy = "clock",
		.start_reason = "warm: clean stop",
		.origin_path = "/srv/disk", .cache_path = "/ssd/c", .metadata_path = "/ssd/m", .origin_io = "direct",
		.cache_io = "memory",
	};
}

static const char *const no_warnings[] = { NULL };
static const struct mount_status quiet = { false, true, "yes", false, no_warnings, false, 0 };

static const char *const two_warnings[] = { "the cache\nlies on it", "/dev/loop\x80", NULL };
static const struct mount_status warned = { true, false, "buffers", true, two_warnings, true, 77 };

static void check_first_line(const struct cwt_status *status, const char *expected)
{
	char *text = status_text(status, &quiet), **lines = g_strsplit(text, "\n", 2);

	ck_assert_str_eq(lines[0], expected);
	g_strfreev(lines);
	g_free(text);
}

static void check_mount_has_line(const struct cwt_status *status, const struct mount_status *mount, const char *line)
{
	char *text = status_text(status, mount), *wanted = g_strconcat("\n", line, "\n", NULL);

	ck_assert_msg(strstr(text, wanted) != NULL, "no line \"%s\" in\n%s", line, text);
	g_free(wanted);
	g_free(text);
}

START_TEST(the_first_line_has_the_fields_of_dm_cache)
{
	struct cwt_status s = example();

	check_first_line(&s, "8 7/256 128 1001/1600 11 12 13 14 22 21 0 1 writethrough 0 clock 0 rw -");
	s.mode = CWT_PASSTHROUGH;
	strcpy(s.policy, "clock,ghost=50,stage=256");
	check_first_line(&s, "8 7/256 128 1001/1600 11 12 13 14 22 21 0 1 passthrough 0 clock 4 ghost 50 stage 256 "
			     "rw -");
	s.mode = CWT_WRITEAROUND;
	s.bypass = CWT_BYPASS_METADATA;
	*s.policy = '\0';
	check_first_line(&s, "8 7/256 128 1001/1600 11 12 13 14 22 21 0 1 writearound 0 - 0 Fail needs_check");
}
END_TEST

static void check_has_line(const struct cwt_status *status, const char *line)
{
	check_mount_has_line(status, &quiet, line);
}

START_TEST(labelled_lines_follow)
{
	struct cwt_status s = example();

	check_has_line(&s, "start: warm: clean stop");
	check_has_line(&s, "origin: /srv/disk");
	check_has_line(&s, "origin I/O: direct");
	check_has_line(&s, "cache I/O: memory");
	check_has_line(&s, "mode: writethrough");
	check_has_line(&s, "read-only: no");
	check_has_line(&s, "warm after: kill");
	check_has_line(&s, "bypass: none");
	check_has_line(&s, "read hits: 11");
	check_has_line(&s, "write misses: 14");
	check_has_line(&s, "invalidations: 23");
	check_has_line(&s, "generation: 18446744073709551615");
	check_has_line(&s, "books balance: yes");
	check_has_line(&s, "page cache: on");
	s.bypass = CWT_BYPASS_ORIGIN_FLUSH;
	strcpy(s.bypass_reason, "a flush failed");
	s.books_balance = false;
	s.warm_after_power = true;
	check_has_line(&s, "warm after: power");
	check_has_line(&s, "bypass: origin-flush");
	check_has_line(&s, "bypass reason: a flush failed");
	check_has_line(&s, "books balance: no");
	check_has_line(&s, "ack: both");
	check_mount_has_line(&s, &warned, "ack: origin");
}
END_TEST

START_TEST(what_the_mount_knows_comes_last)
{
	struct cwt_status s = example();
	char *text = status_text(&s, &quiet);

	ck_assert(g_str_has_suffix(text, "\nbooks balance: yes\nack: both\npage cache: on\nlocked memory: yes\nio flusher: no\n"
					 "transport: classic\npid: 0\n"));
	g_free(text);
	text = status_text(&s, &warned);
	ck_assert(g_str_has_suffix(text, "\nlocked memory: buffers\nio flusher: yes\ntransport: io_uring\npid: 77\n"
					 "warning: the cache\\012lies on it\nwarning: /dev/loop\\200\n"));
	g_free(text);
}
END_TEST

START_TEST(a_path_cannot_make_a_line_of_its_own)
{
	struct cwt_status s = example();

	strcpy(s.origin_path, "/a\nmode: passthrough\\\x80");
	check_has_line(&s, "origin: /a\\012mode: passthrough\\134\\200");
}
END_TEST

/* Parse it, as any reader would. */
static JsonObject *parse(const struct cwt_status *s, const struct mount_status *mount, JsonParser **parser)
{
	char *text = status_json(s, mount);

	*parser = json_parser_new();
	ck_assert_msg(g_utf8_validate(text, -1, NULL), "%s", text);
	ck_assert_msg(json_parser_load_from_data(*parser, text, -1, NULL), "%s", text);
	ck_assert(g_str_has_suffix(text, "}\n"));
	g_free(text);
	return json_node_get_object(json_parser_get_root(*parser));
}

START_TEST(json_has_every_number_under_its_own_name)
{
	static const struct { const char *name; gint64 value; } numbers[] = {
		{ "block_size_bytes", 65536 }, { "metadata_block_size_bytes", 4096 }, { "nr_metadata_blocks_used", 7 },
		{ "nr_metadata_blocks", 256 }, { "nr_cblocks", 1600 }, { "nr_mapped", 1001 }, { "nr_free", 599 },
		{ "read_hits", 11 }, { "read_misses", 12 }, { "write_hits", 13 }, { "write_misses", 14 },
		{ "bypassed", 15 },
		{ "block_requests", 65 }, { "promotions", 21 }, { "demotions", 22 }, { "invalidations", 23 },
		{ "fills_voided", 24 },
		{ "fills_failed", 25 }, { "origin_read_errors", 31 }, { "origin_write_errors", 32 },
		{ "origin_flush_errors", 33 },
		{ "cache_read_errors", 34 }, { "cache_write_errors", 35 }, { "cache_flush_errors", 36 },
		{ "metadata_errors", 37 },
		{ "commits", 41 }, { "generation", G_MAXINT64 }, { "last_commit_ms_ago", 43 },
		{ "requests_in_flight", 44 },
		{ "parked", 45 }, { "memory_bytes", 46 },
	};
	struct cwt_status s = example();
	JsonParser *parser;
	JsonObject *o = parse(&s, &quiet, &parser);

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		ck_assert_msg(json_object_has_member(o, numbers[i].name) &&
			      json_object_get_int_member(o, numbers[i].name) == numbers[i].value,
			      "%s", numbers[i].name);
	ck_assert(json_object_get_boolean_member(o, "books_balance"));
	ck_assert(!json_object_get_boolean_member(o, "read_only"));
	ck_assert(json_object_get_boolean_member(o, "page_cache"));
	ck_assert_str_eq(json_object_get_string_member(o, "mode"), "writethrough");
	ck_assert_str_eq(json_object_get_string_member(o, "warm_after"), "kill");
	ck_assert_str_eq(json_object_get_string_member(o, "bypass"), "none");
	ck_assert_str_eq(json_object_get_string_member(o, "ack"), "both");
	ck_assert_str_eq(json_object_get_string_member(o, "policy"), "clock");
	ck_assert_str_eq(json_object_get_string_member(o, "cache_io"), "memory");
	ck_assert_uint_eq(json_object_get_size(o), G_N_ELEMENTS(numbers) + 2 + 3 + 8 + 7);
	g_object_unref(parser);
}
END_TEST

START_TEST(json_stays_json_whatever_a_path_has)
{
	struct cwt_status s = example();
	JsonParser *parser;
	JsonObject *o;

	strcpy(s.origin_path, "/a\"b\\c\n\x01\x80");
	o = parse(&s, &quiet, &parser);
	ck_assert_str_eq(json_object_get_string_member(o, "origin_path"), "/a\"b\\c\n\x01\xef\xbf\xbd");
	g_object_unref(parser);
}
END_TEST

START_TEST(json_has_no_control_characters_but_its_own_line_feeds)
{
	struct cwt_status s = example();
	JsonParser *parser;
	JsonObject *o;
	char *text;

	strcpy(s.origin_path, "/\x01\x1b\x1f\x7f\xc2\x9b\xc3\xa9");
	text = status_json(&s, &quiet);
	for (const char *p = text; *p; p++)
		ck_assert(*p == '\n' || ((unsigned char)*p >= ' ' && *p != 0x7f && *p != '\xc2'));
	g_free(text);
	o = parse(&s, &quiet, &parser);
	ck_assert_str_eq(json_object_get_string_member(o, "origin_path"), s.origin_path);
	g_object_unref(parser);
}
END_TEST

START_TEST(json_has_what_the_mount_knows)
{
	struct cwt_status s = example();
	JsonParser *parser;
	JsonObject *o = parse(&s, &warned, &parser);
	JsonArray *warnings = json_object_get_array_member(o, "warnings");

	ck_assert_str_eq(json_object_get_string_member(o, "ack"), "origin");
	ck_assert_str_eq(json_object_get_string_member(o, "locked_memory"), "buffers");
	ck_assert(json_object_get_boolean_member(o, "io_flusher"));
	ck_assert(!json_object_get_boolean_member(o, "page_cache"));
	ck_assert_str_eq(json_object_get_string_member(o, "transport"), "io_uring");
	ck_assert_int_eq(json_object_get_int_member(o, "pid"), 77);
	ck_assert_uint_eq(json_array_get_length(warnings), 2);
	ck_assert_str_eq(json_array_get_string_element(warnings, 0), "the cache\nlies on it");
	ck_assert_str_eq(json_array_get_string_element(warnings, 1), "/dev/loop\xef\xbf\xbd");
	g_object_unref(parser);

	o = parse(&s, &quiet, &parser);
	ck_assert(!json_object_get_boolean_member(o, "io_flusher"));
	ck_assert_uint_eq(json_array_get_length(json_object_get_array_member(o, "warnings")), 0);
	g_object_unref(parser);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("status");
	TCase *tcase = tcase_create("pure");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_add_test(tcase, the_first_line_has_the_fields_of_dm_cache);
	tcase_add_test(tcase, labelled_lines_follow);
	tcase_add_test(tcase, what_the_mount_knows_comes_last);
	tcase_add_test(tcase, json_has_what_the_mount_knows);
	tcase_add_test(tcase, a_path_cannot_make_a_line_of_its_own);
	tcase_add_test(tcase, json_has_every_number_under_its_own_name);
	tcase_add_test(tcase, json_stays_json_whatever_a_path_has);
	tcase_add_test(tcase, json_has_no_control_characters_but_its_own_line_feeds);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed != 0;
}
