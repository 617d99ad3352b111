/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the default pair of an origin is and how big it becomes; resolving paths; the table of mounts. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount_table.h"
#include "paths.h"

#define BLOCK 65536u

static void check_text(char *found, const char *expected)
{
	ck_assert_str_eq(found, expected);
	g_free(found);
}

START_TEST(the_cache_folder_is_the_users_or_the_systems)
{
	check_text(paths_default_folder(true, "/xdg", "/root"), "/var/cache/cachewtfs");
	check_text(paths_default_folder(false, "/xdg", "/home/joe"), "/xdg/cachewtfs");
	check_text(paths_default_folder(false, NULL, "/home/joe"), "/home/joe/.cache/cachewtfs");
	check_text(paths_default_folder(false, "", "/home/joe"), "/home/joe/.cache/cachewtfs");
	check_text(paths_default_folder(false, "relative", "/home/joe"), "/home/joe/.cache/cachewtfs");
}
END_TEST

START_TEST(two_images_of_one_name_have_different_pairs)
{
	char *a = paths_default_base("/srv/a/disk.img"), *b = paths_default_base("/srv/b/disk.img");

	/* XXH64 with seed 0: fixed for ever, or every cache were cold after an update. */
	ck_assert_str_eq(a, "disk.img-cee2d8da02390cc5");
	ck_assert(g_str_has_prefix(b, "disk.img-") && strlen(b) == strlen(a) && strcmp(a, b));
	check_text(paths_default_file("/f", "x-1", 1, "cache"), "/f/x-1.cache");
	check_text(paths_default_file("/f", "x-1", 2, "meta"), "/f/x-1.2.meta");
	g_free(a);
	g_free(b);
}
END_TEST

START_TEST(a_long_name_still_makes_a_file_name)
{
	char name[300] = "/", *base;

	memset(name + 1, 'n', 255);
	base = paths_default_base(name);
	ck_assert_uint_eq(strlen(base), 200 + 1 + 16);
	g_free(base);
}
END_TEST

START_TEST(the_default_size_is_a_tenth_of_the_free_space_at_most_the_origin)
{
	ck_assert_uint_eq(paths_default_cache_size(1000ull << 30, 1ull << 40, BLOCK), (100ull << 30) / BLOCK * BLOCK);
	ck_assert_uint_eq(paths_default_cache_size(1000ull << 30, 1ull << 30, BLOCK), (1ull << 30) + BLOCK);
	/* An odd last block is a block; whole blocks only. */
	ck_assert_uint_eq(paths_default_cache_size(1000ull << 30, (1ull << 30) + 1, BLOCK), (1ull << 30) + 2 * BLOCK);
	ck_assert_uint_eq(paths_default_cache_size((1ull << 30) + 12345, 1ull << 40, BLOCK) % BLOCK, 0);
	/* At least a few blocks, so that the cache's own error tells of a full disk. */
	ck_assert_uint_eq(paths_default_cache_size(0, 1ull << 40, BLOCK), 17 * BLOCK);
	ck_assert_uint_eq(paths_default_cache_size(1000ull << 30, 1, BLOCK), 17 * BLOCK);
}
END_TEST

/* A folder with an image "img" and a folder "mnt", which is the current one. */
static char *enter_folder(void)
{
	char *folder = g_dir_make_tmp("test-paths-XXXXXX", NULL), *real;

	ck_assert_ptr_nonnull(folder);
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert(g_file_set_contents("img", "0123456789", 10, NULL));
	ck_assert_int_eq(mkdir("mnt", 0700), 0);
	real = realpath(folder, NULL);
	ck_assert_ptr_nonnull(real);
	g_free(folder);
	g_setenv("PWD", real, TRUE);
	return real;
}

static void leave_folder(char *folder)
{
	char *command = g_strdup_printf("rm -rf '%s'", folder);

	ck_assert_int_eq(chdir("/"), 0);
	ck_assert(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
	g_free(command);
	free(folder);
}

static void check_path(const char *found, const char *folder, const char *name)
{
	char *expected = g_strconcat(folder, "/", name, NULL);

	ck_assert_str_eq(found, expected);
	g_free(expected);
}

START_TEST(relative_paths_are_taken_from_here)
{
	char *folder = enter_folder();
	struct options o = { .origin = (char *)"mnt/../img", .mountpoint = (char *)"mnt/",
			     .cache = (char *)"c", .pidfile = (char *)"p" };
	struct cwt_error err = { "" };
	struct paths paths;

	ck_assert_msg(paths_resolve(&o, &paths, &err) == 0, "%s", err.text);
	check_path(paths.origin, folder, "img");
	check_path(paths.mountpoint, folder, "mnt");
	check_path(paths.cache, folder, "c");
	check_path(paths.pidfile, folder, "p");
	ck_assert(!paths.cache_is_default && paths.metadata_is_default && !paths.metadata);
	ck_assert_uint_eq(paths.origin_size_bytes, 10);
	paths_free(&paths);
	leave_folder(folder);
}
END_TEST

static void check_refused(const char *origin, const char *mountpoint, int error)
{
	struct options o = { .origin = (char *)(uintptr_t)origin, .mountpoint = (char *)(uintptr_t)mountpoint };
	struct cwt_error err = { "" };
	struct paths paths;

	ck_assert_msg(paths_resolve(&o, &paths, &err) == error, "%s %s: %s", origin, mountpoint, err.text);
	ck_assert_msg(strstr(err.text, ": ") && strstr(err.text, " ("), "%s", err.text);
	paths_free(&paths);
}

START_TEST(an_origin_is_a_file_or_block_device_and_a_mountpoint_a_directory)
{
	char *folder = enter_folder();

	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	check_refused("missing", "mnt", -ENOENT);
	check_refused("mnt", "mnt", -EISDIR);
	check_refused("fifo", "mnt", -EINVAL);
	check_refused("/dev/null", "mnt", -EINVAL);
	check_refused("img", "missing", -ENOENT);
	check_refused("img", "img", -ENOTDIR);
	leave_folder(folder);
}
END_TEST

static void lock_file(const char *path, int *fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	*fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(*fd, 0);
	ck_assert_int_eq(fcntl(*fd, F_OFD_SETLK, &lock), 0);
}

/* paths with the default pair in folder; root's default cannot be used in a test. */
static void check_pair(const char *folder, bool read_only, const char *expected)
{
	struct options o = { .origin = (char *)"img", .mountpoint = (char *)"mnt", .read_only = read_only };
	struct cwt_error err = { "" };
	struct paths paths;

	ck_assert_int_eq(paths_resolve(&o, &paths, &err), 0);
	g_free(paths.folder);
	g_free(paths.base);
	paths.folder = g_build_filename(folder, "made", NULL);
	paths.base = g_strdup("x");
	ck_assert_msg(paths_choose_pair(&o, &paths, &err) == 0, "%s", err.text);
	ck_assert_msg(g_str_has_suffix(paths.cache, expected), "%s", paths.cache);
	paths_free(&paths);
}

START_TEST(only_a_read_only_mount_goes_past_a_pair_that_is_taken)
{
	char *folder = enter_folder();
	int first, second;

	check_pair(folder, true, "/made/x.cache");
	lock_file("made/x.meta", &first);
	check_pair(folder, true, "/made/x.2.cache");
	lock_file("made/x.2.cache", &second);
	check_pair(folder, true, "/made/x.3.cache");
	check_pair(folder, false, "/made/x.cache");	/* a writer is told who has it */
	close(first);
	check_pair(folder, true, "/made/x.cache");
	close(second);
	leave_folder(folder);
}
END_TEST

START_TEST(a_cache_that_is_there_or_whose_metadata_is_keeps_its_size)
{
	char *folder = enter_folder();
	struct options o = { 0 };
	struct paths paths = { .cache = (char *)"c", .metadata = (char *)"m", .origin_size_bytes = 1 };

	ck_assert_uint_eq(paths_new_cache_size(&o, &paths), 17 * BLOCK);
	ck_assert(g_file_set_contents("c", "", 0, NULL));	/* as mktemp makes it */
	ck_assert_uint_eq(paths_new_cache_size(&o, &paths), 17 * BLOCK);
	ck_assert(g_file_set_contents("m", "x", 1, NULL));
	ck_assert_uint_eq(paths_new_cache_size(&o, &paths), 0);
	ck_assert_int_eq(g_unlink("m"), 0);
	ck_assert(g_file_set_contents("c", "x", 1, NULL));
	ck_assert_uint_eq(paths_new_cache_size(&o, &paths), 0);
	o.cache_size_bytes = 1u << 20;
	ck_assert_uint_eq(paths_new_cache_size(&o, &paths), 1u << 20);
	leave_folder(folder);
}
END_TEST

START_TEST(a_line_of_the_mount_table_is_taken_apart)
{
	char good[] = "36 35 98:0 / /mnt/a\\040b\\134c rw,noatime master:1 - fuse.cachewtfs "
		      "/srv/x\\012y\\043 rw,user_id=0\n";
	char plain[] = "36 35 98:0 / /mnt rw - ext4 /dev/sda rw\n";
	char bad[] = "36 35 98:0 / /mnt rw master:1\n";
	char empty[] = "";
	struct mount_entry e;

	ck_assert(mount_entry_parse(good, &e));
	ck_assert_str_eq(e.device, "98:0");
	ck_assert_str_eq(e.mountpoint, "/mnt/a b\\c");
	ck_assert_str_eq(e.type, "fuse.cachewtfs");
	ck_assert_str_eq(e.source, "/srv/x\ny#");
	ck_assert(mount_entry_parse(plain, &e));
	ck_assert_str_eq(e.mountpoint, "/mnt");
	ck_assert_str_eq(e.source, "/dev/sda");
	ck_assert(!mount_entry_parse(bad, &e));
	ck_assert(!mount_entry_parse(empty, &e));
}
END_TEST

START_TEST(the_mount_table_knows_the_root)
{
	char *type = mount_type_at("/");

	ck_assert_ptr_nonnull(type);
	ck_assert_ptr_null(mount_type_at("/no such mount"));
	ck_assert(!mount_is_visible("fuse.cachewtfs", "/no such origin"));
	g_free(type);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("paths");
	TCase *tcase = tcase_create("paths");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_add_test(tcase, the_cache_folder_is_the_users_or_the_systems);
	tcase_add_test(tcase, two_images_of_one_name_have_different_pairs);
	tcase_add_test(tcase, a_long_name_still_makes_a_file_name);
	tcase_add_test(tcase, the_default_size_is_a_tenth_of_the_free_space_at_most_the_origin);
	tcase_add_test(tcase, relative_paths_are_taken_from_here);
	tcase_add_test(tcase, an_origin_is_a_file_or_block_device_and_a_mountpoint_a_directory);
	tcase_add_test(tcase, only_a_read_only_mount_goes_past_a_pair_that_is_taken);
	tcase_add_test(tcase, a_cache_that_is_there_or_whose_metadata_is_keeps_its_size);
	tcase_add_test(tcase, a_line_of_the_mount_table_is_taken_apart);
	tcase_add_test(tcase, the_mount_table_knows_the_root);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed != 0;
}
