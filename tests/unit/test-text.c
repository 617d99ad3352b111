/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Escaping, and that the log uses it. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

static void check_escaped(const char *text, unsigned flags, const char *expected)
{
	char out[256];
	size_t len = text_escape(out, sizeof(out), text, flags);

	ck_assert_str_eq(out, expected);
	ck_assert_uint_eq(len, strlen(expected));
}

START_TEST(no_control_character_gets_through)
{
	for (unsigned c = 1; c < 0xa0; c++) {
		char text[] = { 'a', (char)c, 'b', 0 }, expected[16];

		if ((c >= ' ' && c < 0x7f))
			continue;
		snprintf(expected, sizeof(expected), "a\\%03ob", c);
		check_escaped(text, TEXT_LINE, expected);
		snprintf(expected, sizeof(expected), "a\\u%04xb", c);
		check_escaped(text, TEXT_JSON, expected);
	}
	check_escaped("\xc2\x80\xc2\x9f\xc2\xa0", TEXT_LINE, "\\302\\200\\302\\237\xc2\xa0");
	check_escaped("\xc2\x9b", TEXT_JSON, "\\u009b");
}
END_TEST

START_TEST(what_is_kept_is_kept)
{
	check_escaped("a\\\n\x1b", TEXT_LINE, "a\\134\\012\\033");
	check_escaped("a\\\n\x1b", TEXT_KEEP_LINES, "a\\134\n\\033");
	check_escaped("a\\\n\x1b", TEXT_KEEP_BACKSLASHES, "a\\\\012\\033");
	check_escaped("\"\\n\"\n\x7f", TEXT_JSON | TEXT_KEEP_LINES, "\"\\n\"\n\\u007f");
}
END_TEST

START_TEST(bytes_inside_of_letters_are_no_control_characters)
{
	check_escaped("\xc3\x80\xe2\x80\x93\xf0\x9f\x98\x80", TEXT_LINE, "\xc3\x80\xe2\x80\x93\xf0\x9f\x98\x80");
	/* But they are where the letter is none: cut off, too long, a surrogate, beyond the last. */
	check_escaped("\xe2\x80", TEXT_LINE, "\xe2\\200");
	check_escaped("\xc1\x9b", TEXT_LINE, "\xc1\\233");
	check_escaped("\xe0\x82\x9b", TEXT_LINE, "\xe0\\202\\233");
	check_escaped("\xed\xa0\x80", TEXT_LINE, "\xed\xa0\\200");
	check_escaped("\xf4\x90\x80\x80", TEXT_LINE, "\xf4\\220\\200\\200");
	check_escaped("\xff\xa0z", TEXT_LINE, "\xff\xa0z");
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_whole)
{
	char out[8];

	for (size_t size = 1; size < sizeof(out); size++) {
		memset(out, 'x', sizeof(out));
		ck_assert_uint_eq(text_escape(out, size, "a\x1b" "b", TEXT_LINE), size < 2 ? 0 : size < 6 ? 1 : size < 7 ? 5 : 6);
		ck_assert_str_eq(out, size < 2 ? "" : size < 6 ? "a" : size < 7 ? "a\\033" : "a\\033b");
		ck_assert_int_eq(out[size], 'x');
	}
}
END_TEST

static char last_line[4096];

static void keep_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx, (void)level;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

START_TEST(a_log_line_is_one_line)
{
	static struct log_limit limit;
	char longest[2000];

	log_set_sink(keep_line, NULL, LOG_LEVEL_INFO);
	log_info("%s: bad", "/a\n\x1b[2J\x7f\xc2\x9b");
	ck_assert_str_eq(last_line, "/a\\012\\033[2J\\177\\302\\233: bad");
	log_limited(&limit, LOG_LEVEL_ERROR, "%s", "a\rb");
	ck_assert_str_eq(last_line, "a\\015b");
	memset(longest, '\n', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	log_info("%s", longest);
	ck_assert_uint_gt(strlen(last_line), 1000);
	ck_assert_ptr_eq(strchr(last_line, '\n'), NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *tcase = tcase_create("pure");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_add_test(tcase, no_control_character_gets_through);
	tcase_add_test(tcase, what_is_kept_is_kept);
	tcase_add_test(tcase, bytes_inside_of_letters_are_no_control_characters);
	tcase_add_test(tcase, what_does_not_fit_is_left_out_whole);
	tcase_add_test(tcase, a_log_line_is_one_line);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed != 0;
}
