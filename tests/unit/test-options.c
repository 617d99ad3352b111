/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of cachewtfs: sizes, long options, the list of -o with its escapes, and what is refused. */
#include <check.h>
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "mount_options.h"
#include "options.h"
#include "sizes.h"

#define ARGS_MAX 32

/* Parse "cachewtfs" and these arguments. */
static int parse(struct options *o, struct cwt_error *err, const char *const *args)
{
	char *argv[ARGS_MAX + 1] = { (char *)"cachewtfs" };
	int argc = 1;

	for (; args[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)args[argc - 1];
	return options_parse(argc, argv, o, err);
}

#define PARSE(o, err, ...) parse(o, err, (const char *const[]){ __VA_ARGS__, NULL })

START_TEST(a_size_is_a_number_and_one_unit)
{
	static const struct { const char *text; int error; uint64_t bytes; } cases[] = {
		{ "0", 0, 0 }, { "4096", 0, 4096 }, { "64K", 0, 65536 }, { "1m", 0, 1u << 20 }, { "3G", 0, 3ull << 30 },
		{ "2T", 0, 2ull << 40 }, { "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "16777215T", 0, 16777215ull << 40 }, { "16777216T", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "K", -EINVAL, 0 }, { "-1", -EINVAL, 0 },
		{ "1KB", 0, 1000 }, { "10GB", 0, 10000000000 }, { "10GiB", 0, 10ull << 30 }, { "2TB", 0, 2000000000000 },
		{ "1kiB", 0, 1024 }, { "1mB", 0, 1000000 },
		{ "1.5G", 0, 3ull << 29 }, { "0.25T", 0, 1ull << 38 }, { "1.000001MB", 0, 1000001 }, { "0.1K", 0, 102 },
		{ "16777215.999999T", 0, (16777215ull << 40) + 999999 * (1ull << 40) / 1000000 },
		{ "18446744073709551.615KB", 0, UINT64_MAX }, { "18446744073709551.616KB", -ERANGE, 0 },
		{ "1.0000001G", -EINVAL, 0 }, { "1.G", -EINVAL, 0 }, { ".5G", -EINVAL, 0 }, { "1.5", -EINVAL, 0 },
		{ "1,5G", -EINVAL, 0 }, { "1.5.5G", -EINVAL, 0 }, { "10%", -EINVAL, 0 }, { "10Gb", -EINVAL, 0 },
		{ "10GBs", -EINVAL, 0 }, { "10Gi", -EINVAL, 0 }, { "10iB", -EINVAL, 0 }, { "10B", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 }, { "1 ", -EINVAL, 0 }, { "0x10", -EINVAL, 0 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		uint64_t bytes = 4711;

		ck_assert_msg(size_parse(cases[i].text, &bytes) == cases[i].error, "\"%s\"", cases[i].text);
		ck_assert_msg(bytes == (cases[i].error ? 4711 : cases[i].bytes), "\"%s\"", cases[i].text);
	}
}
END_TEST

START_TEST(what_is_no_size_is_refused_by_name)
{
	ck_assert_ptr_null(size_why("10GiB"));
	ck_assert_ptr_nonnull(strstr(size_why("10%"), "share"));
	ck_assert_ptr_nonnull(strstr(size_why("1,5G"), "1.5G"));
	ck_assert_ptr_nonnull(strstr(size_why("16777216T"), "too large"));
	ck_assert_ptr_nonnull(strstr(size_why("10Gb"), "no size"));
	ck_assert_ptr_nonnull(strstr(size_why(""), "no size"));
}
END_TEST

START_TEST(a_size_is_said_in_its_own_unit)
{
	static const struct { uint64_t bytes; const char *text; } cases[] = {
		{ 0, "0 bytes" }, { 1023, "1023 bytes" }, { 1024, "1.0 KiB" }, { 3ull << 29, "1.5 GiB" }, { UINT64_MAX, "16.0 EiB" },
	};
	char text[SIZE_TEXT_BYTES];

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		size_format(cases[i].bytes, text);
		ck_assert_str_eq(text, cases[i].text);
	}
}
END_TEST

START_TEST(seconds_have_up_to_three_decimals)
{
	static const struct { const char *text; int error; uint32_t ms; } cases[] = {
		{ "5", 0, 5000 }, { "0.1", 0, 100 }, { "0.025", 0, 25 }, { "1.50", 0, 1500 },
		{ "1000000", 0, 1000000000 },
		{ "1000001", -ERANGE, 0 }, { "1.", -EINVAL, 0 }, { ".5", -EINVAL, 0 }, { "0.0001", -EINVAL, 0 },
		{ "1s", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "", -EINVAL, 0 }, { "1.5.5", -EINVAL, 0 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		uint32_t ms = 4711;

		ck_assert_msg(seconds_parse(cases[i].text, &ms) == cases[i].error, "\"%s\"", cases[i].text);
		ck_assert_msg(ms == (cases[i].error ? 4711 : cases[i].ms), "\"%s\"", cases[i].text);
	}
}
END_TEST

START_TEST(nothing_given_is_the_defaults)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "/srv/disk.img", "/mnt"), 0);
	ck_assert_int_eq(o.action, OPTIONS_MOUNT);
	ck_assert_str_eq(o.origin, "/srv/disk.img");
	ck_assert_str_eq(o.mountpoint, "/mnt");
	ck_assert_str_eq(o.name, "disk.img");
	ck_assert(!o.cache && !o.metadata && !o.policy && !o.pidfile && !o.faults && o.fuse && !o.fuse[0]);
	ck_assert(!o.cache_size_bytes && !o.block_size_bytes && !o.commit_interval_ms && !o.loops && !o.busy_poll_us && !o.own_busy_poll);
	ck_assert_int_eq(o.mode, CWT_WRITETHROUGH);
	ck_assert(o.ack_origin);
	ck_assert(!o.read_only && !o.warm_after_power && !o.trust_origin && !o.reset && !o.foreground && !o.debug);
	ck_assert(!o.own_uid && !o.own_gid && !o.own_umask);
	options_free(&o);
}
END_TEST

START_TEST(every_long_option_is_taken)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "--cache=/c", "--metadata", "/m", "--cache-size=10G", "--block-size=4K",
			       "--mode=writearound", "--policy=lru", "--ack=both", "--warm-after=power", "--commit-interval=0.5",
			       "--name=n", "--read-only", "--trust-origin", "--reset", "--loops=16", "--busy-poll=50", "-d", "a",
			       "b"), 0);
	ck_assert_str_eq(o.cache, "/c");
	ck_assert_str_eq(o.metadata, "/m");
	ck_assert_uint_eq(o.cache_size_bytes, 10ull << 30);
	ck_assert_uint_eq(o.block_size_bytes, 4096);
	ck_assert_int_eq(o.mode, CWT_WRITEAROUND);
	ck_assert_str_eq(o.policy, "lru");
	ck_assert_uint_eq(o.commit_interval_ms, 500);
	ck_assert_str_eq(o.name, "n");
	ck_assert_uint_eq(o.loops, 16);
	ck_assert(o.own_busy_poll && o.busy_poll_us == 50);
	ck_assert(!o.ack_origin);
	ck_assert(o.read_only && o.warm_after_power && o.trust_origin && o.reset && o.debug);
	ck_assert_msg(o.foreground, "-d implies -f");
	options_free(&o);
}
END_TEST

START_TEST(mount_options_are_the_same_as_long_ones)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "a", "b", "-o", "cache=/c,metadata=/m,cache-size=1M,name=n,reset",
			       "-oread-only,mode=passthrough,warm-after=power,ack=both"), 0);
	ck_assert_str_eq(o.cache, "/c");
	ck_assert_str_eq(o.metadata, "/m");
	ck_assert_uint_eq(o.cache_size_bytes, 1u << 20);
	ck_assert_str_eq(o.name, "n");
	ck_assert(o.reset && o.read_only && o.warm_after_power && !o.ack_origin);
	ck_assert_int_eq(o.mode, CWT_PASSTHROUGH);
	ck_assert_ptr_null(o.fuse[0]);
	options_free(&o);
}
END_TEST

START_TEST(a_long_option_wins_over_a_mount_option_and_faults_add_up)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "--cache=/long", "--warm-after=kill", "--ack=origin",
			       "--fault=cache:read:error=EIO", "a", "b",
			       "-o", "warm-after=power,ack=both,cache=/list,fault=origin:write:error=EIO\\,skip=3\\,times=1"), 0);
	ck_assert_str_eq(o.cache, "/long");
	ck_assert(!o.warm_after_power && o.ack_origin);
	ck_assert_uint_eq(g_strv_length(o.faults), 2);
	ck_assert_str_eq(o.faults[0], "origin:write:error=EIO,skip=3,times=1");
	ck_assert_str_eq(o.faults[1], "cache:read:error=EIO");
	options_free(&o);
}
END_TEST

START_TEST(what_mount_passes_is_ignored_or_goes_to_libfuse)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "a", "b", "-o",
			       "rw,noauto,user=joe,users,nofail,_netdev,x-systemd.automount,X-mount.mkdir,defaults,,"
			       "allow_other,nosuid,fsname=a\\,b,noatime"), 0);
	ck_assert_uint_eq(g_strv_length(o.fuse), 4);
	ck_assert_str_eq(o.fuse[0], "allow_other");
	ck_assert_str_eq(o.fuse[1], "nosuid");
	ck_assert_str_eq(o.fuse[2], "fsname=a,b");
	ck_assert_str_eq(o.fuse[3], "noatime");
	ck_assert(!o.read_only);
	options_free(&o);
}
END_TEST

START_TEST(ro_is_read_only_for_us_and_for_the_kernel)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "a", "b", "-o", "ro"), 0);
	ck_assert(o.read_only);
	ck_assert_str_eq(o.fuse[0], "ro");
	options_free(&o);

	ck_assert_int_eq(PARSE(&o, &err, "--read-only", "a", "b"), 0);
	ck_assert(o.read_only);
	ck_assert_msg(!o.fuse[0], "the control file stays writable with --read-only");
	options_free(&o);
}
END_TEST

START_TEST(owner_and_mode_of_the_image_are_our_own)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "a", "b", "-o", "uid=0,gid=1000,umask=027"), 0);
	ck_assert(o.own_uid && o.own_gid && o.own_umask);
	ck_assert_uint_eq(o.uid, 0);
	ck_assert_uint_eq(o.gid, 1000);
	ck_assert_uint_eq(o.umask, 027);
	ck_assert_ptr_null(o.fuse[0]);
	options_free(&o);
}
END_TEST

START_TEST(the_page_cache_is_off_unless_it_is_wanted)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "a", "b"), 0);
	ck_assert(!o.page_cache);
	options_free(&o);
	ck_assert_int_eq(PARSE(&o, &err, "a", "b", "-o", "ro,page_cache=on"), 0);
	ck_assert(o.page_cache);
	ck_assert_str_eq(o.fuse[0], "ro");
	ck_assert_ptr_null(o.fuse[1]);
	options_free(&o);
	ck_assert_int_eq(PARSE(&o, &err, "a", "b", "-o", "page_cache=on", "-opage_cache=off"), 0);
	ck_assert(!o.page_cache);
	options_free(&o);
}
END_TEST

START_TEST(any_byte_but_zero_may_be_in_a_path)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "--cache", "c a,\"\\\x80\xff", "o \x80,", "m'\xff\n", "-o",
			       "metadata=\xfe\\,\\\\\\040x"), 0);
	ck_assert_str_eq(o.cache, "c a,\"\\\x80\xff");
	ck_assert_str_eq(o.origin, "o \x80,");
	ck_assert_str_eq(o.name, "o \x80,");
	ck_assert_str_eq(o.mountpoint, "m'\xff\n");
	ck_assert_str_eq(o.metadata, "\xfe,\\ x");
	options_free(&o);
}
END_TEST

START_TEST(a_list_is_split_and_its_escapes_taken_away)
{
	static const struct { const char *list; const char *parts[4]; } cases[] = {
		{ "", { "" } }, { "a", { "a" } }, { "a,b", { "a", "b" } }, { ",a,", { "", "a", "" } },
		{ "a\\,b", { "a,b" } }, { "a\\\\,b", { "a\\", "b" } }, { "\\054\\101\\x", { ",Ax" } },
		{ "\\40", { "40" } }, { "\\400", { "400" } }, { "end\\", { "end\\" } },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char **parts = mount_options_split(cases[i].list);
		size_t n;

		for (n = 0; cases[i].parts[n]; n++)
			ck_assert_msg(parts[n] && !strcmp(parts[n], cases[i].parts[n]), "\"%s\", part %zu",
				      cases[i].list, n);
		ck_assert_ptr_null(parts[n]);
		g_strfreev(parts);
	}
}
END_TEST

static void check_refused(const char *const *args)
{
	struct options o;
	struct cwt_error err = { "" };

	ck_assert_msg(parse(&o, &err, args) == -EINVAL, "%s", args[0]);
	ck_assert_msg(strstr(err.text, ": ") && strstr(err.text, " (") && !strchr(err.text, '\n'),
		      "%s: \"%s\"", args[0], err.text);
	options_free(&o);
}

START_TEST(wrong_usage_is_refused_with_one_line)
{
	static const char *const options[] = {
		"--cache-size=0", "--cache-size=x", "--cache-size=1E", "--block-size=2K", "--block-size=5000",
		"--block-size=4M",
		"--mode=writeback", "--mode=", "--ack=cache", "--ack=", "--warm-after=reboot", "--warm-after=",
		"--name=a/b", "--name=", "--name=.", "--name=..", "--name=.cachewtfs",
		"--commit-interval=0", "--commit-interval=0.099", "--commit-interval=3601", "--loops=0",
		"--loops=17", "--loops=-1", "--busy-poll=1001", "--busy-poll=-1", "--busy-poll=",
		"--loops=2x", "--reset=1", "--read-only=no", "--frobnicate", "-x", "--cache",
		"-obogus", "-obogus=1", "-ocache", "-oreset=1", "-oloops=99", "-ouid=joe", "-ouid=4294967295",
		"-oumask=8", "-oumask=1000", "-opage_cache", "-opage_cache=", "-opage_cache=yes", "--page_cache=on",
		"-ohelp", "-oversion", "-osubtype=x", "-omax_read=4096", "-oname=a/b", "-oname=.cachewtfs",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(options); i++)
		check_refused((const char *const[]){ "a", "b", options[i], NULL });
	check_refused((const char *const[]){ "a", NULL });
	check_refused((const char *const[]){ "a", "b", "c", NULL });
	check_refused((const char *const[]){ "", "b", NULL });
	check_refused((const char *const[]){ "a", "", NULL });
	check_refused((const char *const[]){ "/", "b", NULL });
	check_refused((const char *const[]){ "/x/.cachewtfs", "b", NULL });
}
END_TEST

START_TEST(help_and_version_need_no_arguments)
{
	struct options o;
	struct cwt_error err;

	ck_assert_int_eq(PARSE(&o, &err, "--help"), 0);
	ck_assert_int_eq(o.action, OPTIONS_HELP);
	options_free(&o);
	ck_assert_int_eq(PARSE(&o, &err, "-V", "x"), 0);
	ck_assert_int_eq(o.action, OPTIONS_VERSION);
	options_free(&o);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = tcase_create("pure");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_add_test(tcase, a_size_is_a_number_and_one_unit);
	tcase_add_test(tcase, what_is_no_size_is_refused_by_name);
	tcase_add_test(tcase, a_size_is_said_in_its_own_unit);
	tcase_add_test(tcase, seconds_have_up_to_three_decimals);
	tcase_add_test(tcase, nothing_given_is_the_defaults);
	tcase_add_test(tcase, every_long_option_is_taken);
	tcase_add_test(tcase, mount_options_are_the_same_as_long_ones);
	tcase_add_test(tcase, a_long_option_wins_over_a_mount_option_and_faults_add_up);
	tcase_add_test(tcase, what_mount_passes_is_ignored_or_goes_to_libfuse);
	tcase_add_test(tcase, ro_is_read_only_for_us_and_for_the_kernel);
	tcase_add_test(tcase, owner_and_mode_of_the_image_are_our_own);
	tcase_add_test(tcase, the_page_cache_is_off_unless_it_is_wanted);
	tcase_add_test(tcase, any_byte_but_zero_may_be_in_a_path);
	tcase_add_test(tcase, a_list_is_split_and_its_escapes_taken_away);
	tcase_add_test(tcase, wrong_usage_is_refused_with_one_line);
	tcase_add_test(tcase, help_and_version_need_no_arguments);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed != 0;
}
