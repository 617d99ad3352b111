/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pure parts of cachewt: where the control folder is, the numbers of stats.json and their rates. */
#include <check.h>
#include <errno.h>
#include <glib.h>

#include "cachewt_control.h"
#include "cachewt_stats.h"

static void check_path(const char *mount, bool folder, const char *expected)
{
	char *path = control_path(mount, folder, "status");

	ck_assert_str_eq(path, expected);
	g_free(path);
}

START_TEST(the_control_folder_is_in_the_mountpoint_and_beside_the_image)
{
	check_path("/mnt/disk", true, "/mnt/disk/.cachewtfs/status");
	check_path("/mnt/disk/", true, "/mnt/disk/.cachewtfs/status");
	check_path(".", true, "./.cachewtfs/status");
	check_path("/mnt/disk/a.img", false, "/mnt/disk/.cachewtfs/status");
	check_path("a.img", false, "./.cachewtfs/status");
	check_path("/a.img", false, "/.cachewtfs/status");
}
END_TEST

#define REST "\"bypassed\":5,\"promotions\":6,\"demotions\":7,\"invalidations\":8,\"commits\":9,\"origin_read_errors\":1," \
	"\"origin_write_errors\":2,\"origin_flush_errors\":4,\"cache_read_errors\":8,\"cache_write_errors\":16," \
	"\"cache_flush_errors\":32,\"metadata_errors\":64,\"nr_mapped\":10,\"nr_cblocks\":40,\"requests_in_flight\":3,"
#define GOOD "{\"read_hits\":1,\"read_misses\":2,\"write_hits\":3,\"write_misses\":4," REST "\"parked\":2,\"mode\":\"writethrough\"}"

START_TEST(stats_are_read_and_errors_added_up)
{
	struct cwt_error err;
	struct stats s;

	ck_assert_int_eq(stats_parse(GOOD, &s, &err), 0);
	for (int i = 0; i < 9; i++)
		ck_assert_uint_eq(s.value[i], i + 1);
	ck_assert_uint_eq(s.value[STATS_ERRORS], 127);
	ck_assert_uint_eq(s.value[STATS_MAPPED], 10);
	ck_assert_uint_eq(s.value[STATS_CBLOCKS], 40);
	ck_assert_uint_eq(s.value[STATS_IN_FLIGHT], 3);
	ck_assert_uint_eq(s.value[STATS_PARKED], 2);
}
END_TEST

START_TEST(stats_that_are_not_ours_are_an_error_with_a_line)
{
	static const char *const cases[] = {
		"", "not JSON", "[]", "1", "null", "{}", "{\"read_hits\":",
		"{\"read_hits\":1,\"read_misses\":2,\"write_hits\":3,\"write_misses\":4," REST "\"parked\":\"two\"}",
		"{\"read_hits\":1,\"read_misses\":2,\"write_hits\":3,\"write_misses\":4," REST "\"parked\":-2}",
		"{\"read_hits\":1,\"read_misses\":2,\"write_hits\":3,\"write_misses\":4," REST "\"other\":2}",
	};
	struct cwt_error err;
	struct stats s;

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		err.text[0] = 0;
		ck_assert_msg(stats_parse(cases[i], &s, &err) == -EINVAL, "%s", cases[i]);
		ck_assert_msg(g_str_has_prefix(err.text, "stats.json: "), "%s", err.text);
	}
}
END_TEST

static void check_shows(const struct stats *now, const struct stats *before, double seconds, const char *expected)
{
	char *picture = stats_picture(now, before, seconds);

	ck_assert_msg(strstr(picture, expected) != NULL, "no \"%s\" in\n%s", expected, picture);
	g_free(picture);
}

START_TEST(a_rate_is_the_difference_by_the_time)
{
	struct stats before = { 0 }, now = { 0 };

	before.value[STATS_READ_HITS] = 100;
	now.value[STATS_READ_HITS] = 1100;
	check_shows(&now, &before, 2, "read hits                 1100          500/s\n");
	check_shows(&now, &before, 2, "read misses                  0            0/s\n");
	check_shows(&now, &before, 2, "100.0 % of 1100 block requests\n");
}
END_TEST

START_TEST(there_is_no_rate_without_a_time_between)
{
	struct stats now = { 0 };

	check_shows(&now, NULL, 1, "read hits                    0\n");
	check_shows(&now, &now, 0, "read hits                    0\n");
	check_shows(&now, NULL, 1, "0.0 % of 0 block requests\n");
}
END_TEST

START_TEST(a_counter_that_went_back_counts_from_zero)
{
	struct stats before = { 0 }, now = { 0 };

	before.value[STATS_COMMITS] = 1000;
	now.value[STATS_COMMITS] = 30;
	check_shows(&now, &before, 1, "commits                     30           30/s\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tool-parts");
	TCase *tcase = tcase_create("pure");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_add_test(tcase, the_control_folder_is_in_the_mountpoint_and_beside_the_image);
	tcase_add_test(tcase, stats_are_read_and_errors_added_up);
	tcase_add_test(tcase, stats_that_are_not_ours_are_an_error_with_a_line);
	tcase_add_test(tcase, a_rate_is_the_difference_by_the_time);
	tcase_add_test(tcase, there_is_no_rate_without_a_time_between);
	tcase_add_test(tcase, a_counter_that_went_back_counts_from_zero);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed != 0;
}
