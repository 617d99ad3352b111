/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies on what: trees as in /sys, and a table of mounts, made up. */
#include <check.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loop_devices.h"
#include "mount_table.h"

static char *sysfs;
static struct block_view view;

/* 0:50 is the image's mount, on /mnt/a; 0:51 another cachewtfs's, whose origin is /s2/b.img. */
static const char table[] =
	"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	"21 20 0:50 / /mnt/a rw - fuse.cachewtfs /s1/a.img rw\n"
	"22 20 0:51 / /mnt/b rw - fuse.cachewtfs /s2/b.img rw\n"
	"23 20 7:0 / /s1 rw - ext4 /dev/loop0 rw\n"
	"24 20 7:1 / /s2 rw - ext4 /dev/loop1 rw\n"
	"25 20 0:40 / /net rw - nfs server:/x rw\n"
	"26 20 259:5 / /part rw - ext4 /dev/loop0p1 rw\n"
	"27 20 253:0 / /dm rw - xfs /dev/dm-0 rw\n"
	"28 20 0:41 /sub /pool rw - btrfs /dev/sdb rw\n"
	"29 20 8:1 /hidden /over rw - ext4 /dev/sda1 rw\n"
	"30 20 7:0 / /over rw - ext4 /dev/loop0 rw\n";

static void put(const char *path, const char *text)
{
	char *file = g_build_filename(sysfs, path, NULL), *folder = g_path_get_dirname(file);

	ck_assert(!g_mkdir_with_parents(folder, 0700));
	ck_assert(g_file_set_contents(file, text, -1, NULL));
	g_free(folder);
	g_free(file);
}

static void put_link(const char *path, const char *target)
{
	char *file = g_build_filename(sysfs, path, NULL), *folder = g_path_get_dirname(file);

	ck_assert(!g_mkdir_with_parents(folder, 0700));
	ck_assert(!symlink(target, file));
	g_free(folder);
	g_free(file);
}

/* devices/NAME with its number, and the links to it that /sys has. */
static void put_device(const char *path, const char *number)
{
	char *name = g_path_get_basename(path), *dev = g_strconcat("devices/", path, "/dev", NULL);
	char *text = g_strconcat(number, "\n", NULL), *target = g_strconcat("../../devices/", path, NULL);
	char *by_number = g_strconcat("dev/block/", number, NULL), *by_class = g_strconcat("class/block/", name, NULL);
	char *block = g_strconcat("block/", name, NULL), *one_up = g_strconcat("../devices/", path, NULL);

	put(dev, text);
	put_link(by_number, target);
	put_link(by_class, target);
	if (!strchr(path, '/'))
		put_link(block, one_up);
	g_free(one_up);
	g_free(block);
	g_free(by_class);
	g_free(by_number);
	g_free(target);
	g_free(text);
	g_free(dev);
	g_free(name);
}

static void put_loop(const char *name, const char *number, const char *backing_file, const char *direct_io)
{
	char *file = g_strdup_printf("devices/%s/loop/backing_file", name), *line = g_strconcat(backing_file, "\n", NULL);
	char *dio = g_strdup_printf("devices/%s/loop/dio", name), *direct = g_strconcat(direct_io, "\n", NULL);

	put_device(name, number);
	put(file, line);
	put(dio, direct);
	g_free(direct);
	g_free(dio);
	g_free(line);
	g_free(file);
}

static void setup(void)
{
	char *file;

	sysfs = g_dir_make_tmp("cachewtfs-sys-XXXXXX", NULL);
	ck_assert_ptr_nonnull(sysfs);
	put_device("sda", "8:0");
	put_device("sda/sda1", "8:1");
	put("devices/sda/sda1/partition", "1\n");
	file = g_build_filename(sysfs, "mountinfo", NULL);
	ck_assert(g_file_set_contents(file, table, -1, NULL));
	view = (struct block_view){ sysfs, mounts_read(file), "0:50" };
	g_free(file);
}

static void remove_tree(const char *path)
{
	GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		char *inner = g_build_filename(path, name, NULL);

		remove_tree(inner);
		g_free(inner);
	}
	if (dir)
		g_dir_close(dir);
	g_remove(path);
}

static void teardown(void)
{
	g_ptr_array_unref(view.mounts);
	remove_tree(sysfs);
	g_free(sysfs);
}

/* The way from the store with this path to the image; "": there is none. */
static void check_way(const char *path, const char *expected)
{
	struct place place = place_of(&view, path);
	char *way = place_on_image(&view, &place);

	ck_assert_msg(!g_strcmp0(way ? way : "", expected), "%s: \"%s\", expected \"%s\"", path, way ? way : "",
		      expected);
	g_free(way);
}

START_TEST(a_store_on_a_disk_is_not_on_the_image)
{
	put_loop("loop0", "7:0", "/home/x.img", "1");
	check_way("/home/cache", "");
	check_way("/s1/a.img", "");
	check_way("/net/a.img", "");
	check_way("relative", "");
}
END_TEST

START_TEST(a_store_on_a_loop_device_over_the_image_is)
{
	put_loop("loop0", "7:0", "/mnt/a/a.img", "1");
	check_way("/s1/a.img", "loop0");
	check_way("/over/cache", "loop0");
	check_way("/dev/loop0", "loop0");
	check_way("/s10/a.img", "");
}
END_TEST

START_TEST(partitions_and_stacked_devices_are_walked_down)
{
	put_loop("loop0", "7:0", "/mnt/a/a.img", "1");
	put_device("loop0/loop0p1", "259:5");
	put("devices/loop0/loop0p1/partition", "1\n");
	put_device("dm-0", "253:0");
	put_link("devices/dm-0/slaves/sda1", "../../sda/sda1");
	put_link("devices/dm-0/slaves/loop0p1", "../../loop0/loop0p1");
	check_way("/part/meta", "loop0");
	check_way("/dm/cache", "dm-0, loop0");
}
END_TEST

START_TEST(a_file_on_a_file_system_on_a_loop_device_is_walked_down)
{
	put_loop("loop0", "7:0", "/mnt/a/a.img", "1");
	put_loop("loop1", "7:1", "/s1/inner.img", "1");
	check_way("/s2/cache", "loop1, loop0");
}
END_TEST

START_TEST(all_devices_of_a_btrfs_are_looked_at)
{
	put_device("sdb", "8:16");
	put_link("fs/btrfs/01-ab/devices/sdb", "../../../../devices/sdb");
	put("fs/btrfs/features/x", "1\n");
	put_loop("loop0", "7:0", "/mnt/a/a.img", "1");
	check_way("/pool/cache", "");
	put_link("fs/btrfs/01-ab/devices/loop0", "../../../../devices/loop0");
	check_way("/pool/cache", "loop0");
}
END_TEST

START_TEST(two_mounts_crosswise_are_seen)
{
	put_loop("loop0", "7:0", "/mnt/b/b.img", "1");
	put_loop("loop1", "7:1", "/mnt/a/a.img", "1");
	check_way("/s1/a.img", "loop0, /mnt/b/b.img, loop1");
	view.image_device = "0:51";		/* as the other one sees it */
	check_way("/s2/b.img", "loop1, /mnt/a/a.img, loop0");
}
END_TEST

START_TEST(a_ring_that_does_not_come_by_the_image_ends)
{
	put_loop("loop0", "7:0", "/s2/x", "1");
	put_loop("loop1", "7:1", "/s1/x", "1");
	check_way("/s1/cache", "");
}
END_TEST

START_TEST(loop_devices_without_direct_io_are_named)
{
	char **names;

	put_loop("loop0", "7:0", "/mnt/a/a.img", "0");
	put_loop("loop1", "7:1", "/mnt/a/a.img", "1");
	put_loop("loop2", "7:2", "/mnt/b/b.img", "0");
	put_device("loop3", "7:3");
	names = loop_devices_without_direct_io(&view);
	ck_assert_uint_eq(g_strv_length(names), 1);
	ck_assert_str_eq(names[0], "loop0");
	g_strfreev(names);
}
END_TEST

START_TEST(without_sysfs_or_mounts_nothing_is_known)
{
	struct block_view blind = { "/no such folder", mounts_read("/no such file"), "0:50" };
	struct place place = place_of(&blind, "/s1/a.img");
	char **names = loop_devices_without_direct_io(&blind);

	ck_assert_ptr_null(place_on_image(&blind, &place));
	ck_assert_uint_eq(g_strv_length(names), 0);
	g_strfreev(names);
	g_ptr_array_unref(blind.mounts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop-devices");
	TCase *tcase = tcase_create("made up");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_store_on_a_disk_is_not_on_the_image);
	tcase_add_test(tcase, a_store_on_a_loop_device_over_the_image_is);
	tcase_add_test(tcase, partitions_and_stacked_devices_are_walked_down);
	tcase_add_test(tcase, a_file_on_a_file_system_on_a_loop_device_is_walked_down);
	tcase_add_test(tcase, all_devices_of_a_btrfs_are_looked_at);
	tcase_add_test(tcase, two_mounts_crosswise_are_seen);
	tcase_add_test(tcase, a_ring_that_does_not_come_by_the_image_ends);
	tcase_add_test(tcase, loop_devices_without_direct_io_are_named);
	tcase_add_test(tcase, without_sysfs_or_mounts_nothing_is_known);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? 1 : 0;
}
