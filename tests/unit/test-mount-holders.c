/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who keeps a mount alive that is not seen here, read from a /proc of our own. */
#include <check.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mount_holders.h"

#define ROOT_LINE "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
#define MOUNT_LINE "40 20 0:50 / /mnt/a\\040b rw - fuse.cachewtfs /srv/disk.img rw\n"
#define OTHER_LINE "41 20 0:51 / /mnt/c rw - fuse.sshfs /srv/disk.img rw\n"

static char *proc;

static void make_proc(void)
{
	proc = g_dir_make_tmp("test-mount-holders.XXXXXX", NULL);
	ck_assert_ptr_nonnull(proc);
}

static void remove_proc(void)
{
	char *command = g_strdup_printf("rm -rf '%s'", proc);

	ck_assert_int_eq(system(command), 0);
	g_free(command);
	g_free(proc);
}

static void make_process(const char *who, const char *comm, const char *ns, const char *mounts)
{
	char *folder = g_strdup_printf("%s/%s", proc, who), *path = g_strdup_printf("%s/ns", folder);

	ck_assert_int_eq(g_mkdir_with_parents(path, 0700), 0);
	g_free(path);
	path = g_strdup_printf("%s/ns/mnt", folder);
	ck_assert_int_eq(symlink(ns, path), 0);
	g_free(path);
	path = g_strdup_printf("%s/comm", folder);
	ck_assert(g_file_set_contents(path, comm, -1, NULL));
	g_free(path);
	path = g_strdup_printf("%s/mountinfo", folder);
	ck_assert(g_file_set_contents(path, mounts, -1, NULL));
	g_free(path);
	g_free(folder);
}

static void make_link(const char *name, const char *target)
{
	char *path = g_strdup_printf("%s/%s", proc, name), *folder = g_path_get_dirname(path);

	ck_assert_int_eq(g_mkdir_with_parents(folder, 0700), 0);
	ck_assert_int_eq(symlink(target, path), 0);
	g_free(folder);
	g_free(path);
}

static void check_text(char *found, const char *expected)
{
	ck_assert_ptr_nonnull(found);
	ck_assert_str_eq(found, expected);
	g_free(found);
}

static void check_says(char *found, const char *part)
{
	ck_assert_msg(strstr(found, part), "no \"%s\" in \"%s\"", part, found);
	g_free(found);
}

static void make_daemon(void)
{
	make_process("77", "cachewtfs\n", "mnt:[1]", ROOT_LINE);
	make_link("77/fd/3", "/dev/fuse");
	make_link("77/fd/5", "/srv/disk.img");
	make_link("77/exe", "/usr/bin/cachewtfs");
}

START_TEST(a_mount_that_is_seen_here_is_named_by_its_place)
{
	make_process("self", "me\n", "mnt:[1]", ROOT_LINE MOUNT_LINE OTHER_LINE);
	make_daemon();
	check_text(mount_source_of(proc, 77), "/srv/disk.img");
	check_text(mount_place_of(proc, "/srv/disk.img"), "/mnt/a b");
	ck_assert_ptr_null(mount_holders(proc, "/srv/disk.img"));
	check_says(mount_remedy(proc, "/srv/disk.img", 77), "mounted on /mnt/a b: unmount that first");
}
END_TEST

START_TEST(copies_in_other_namespaces_are_named_once_each)
{
	make_process("self", "me\n", "mnt:[1]", ROOT_LINE OTHER_LINE);
	make_daemon();
	make_process("100", "bash\n", "mnt:[2]", ROOT_LINE MOUNT_LINE);
	make_process("101", "sleep\n", "mnt:[2]", ROOT_LINE MOUNT_LINE);
	ck_assert_ptr_null(mount_place_of(proc, "/srv/disk.img"));
	check_text(mount_source_of(proc, 77), "/srv/disk.img");
	check_text(mount_holders(proc, "/srv/disk.img"), "process 100 (bash)");
	make_process("20", "init\n", "mnt:[3]", ROOT_LINE MOUNT_LINE);
	make_process("21", "other\n", "mnt:[4]", ROOT_LINE);
	check_text(mount_holders(proc, "/srv/disk.img"), "process 20 (init) and 1 more");
	check_says(mount_remedy(proc, "/srv/disk.img", 77), "process 20 (init) and 1 more");
	check_says(mount_remedy(proc, "/srv/disk.img", 77), "cachewt stop 77");
}
END_TEST

START_TEST(what_is_seen_nowhere_is_said_to_be_detached)
{
	make_process("self", "me\n", "mnt:[1]", ROOT_LINE OTHER_LINE);
	make_daemon();
	make_process("78", "vim\n", "mnt:[1]", ROOT_LINE);
	ck_assert_ptr_null(mount_source_of(proc, 77));
	check_says(mount_remedy(proc, NULL, 77), "cachewt stop 77");
	check_says(mount_remedy(proc, NULL, 78), "wait until it has ended");
}
END_TEST

START_TEST(only_a_cachewtfs_is_one)
{
	make_daemon();
	make_process("78", "cachewtfs\n", "mnt:[1]", ROOT_LINE);
	make_link("78/exe", "/usr/bin/vim");
	make_process("79", "vim\n", "mnt:[1]", ROOT_LINE);
	make_link("79/exe", "/usr/bin/cachewtfs");
	ck_assert(mount_is_served_by(proc, 77));
	ck_assert(!mount_is_served_by(proc, 78));
	ck_assert(!mount_is_served_by(proc, 79));
	ck_assert(!mount_is_served_by(proc, 80));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mount-holders");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	tcase_add_checked_fixture(tcase, make_proc, remove_proc);
	tcase_add_test(tcase, a_mount_that_is_seen_here_is_named_by_its_place);
	tcase_add_test(tcase, copies_in_other_namespaces_are_named_once_each);
	tcase_add_test(tcase, what_is_seen_nowhere_is_said_to_be_detached);
	tcase_add_test(tcase, only_a_cachewtfs_is_one);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed != 0;
}
