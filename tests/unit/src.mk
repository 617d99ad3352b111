# SPDX-License-Identifier: LGPL-2.1-or-later
# The pure parts of the mount program.
FRONT_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/src $(GLIB_CFLAGS) $(JSON_CFLAGS)
FRONT_LIBS = src/libfront.la $(UNIT_LIBS)

TESTS += tests/unit/test-loop-devices tests/unit/test-memory tests/unit/test-mount-holders tests/unit/test-options tests/unit/test-paths tests/unit/test-status
check_PROGRAMS += tests/unit/test-loop-devices tests/unit/test-memory tests/unit/test-mount-holders tests/unit/test-options tests/unit/test-paths tests/unit/test-status

tests_unit_test_loop_devices_SOURCES = tests/unit/test-loop-devices.c
tests_unit_test_loop_devices_CPPFLAGS = $(FRONT_CPPFLAGS)
tests_unit_test_loop_devices_LDADD = $(FRONT_LIBS)
tests_unit_test_memory_SOURCES = tests/unit/test-memory.c
tests_unit_test_memory_CPPFLAGS = $(FRONT_CPPFLAGS)
tests_unit_test_memory_LDADD = $(FRONT_LIBS)
tests_unit_test_mount_holders_SOURCES = tests/unit/test-mount-holders.c
tests_unit_test_mount_holders_CPPFLAGS = $(FRONT_CPPFLAGS)
tests_unit_test_mount_holders_LDADD = $(FRONT_LIBS)
tests_unit_test_options_SOURCES = tests/unit/test-options.c
tests_unit_test_options_CPPFLAGS = $(FRONT_CPPFLAGS)
tests_unit_test_options_LDADD = $(FRONT_LIBS)
tests_unit_test_paths_SOURCES = tests/unit/test-paths.c
tests_unit_test_paths_CPPFLAGS = $(FRONT_CPPFLAGS)
tests_unit_test_paths_LDADD = $(FRONT_LIBS)
tests_unit_test_status_SOURCES = tests/unit/test-status.c
tests_unit_test_status_CPPFLAGS = $(FRONT_CPPFLAGS)
tests_unit_test_status_LDADD = $(FRONT_LIBS)

# --help and the page say the same.
TESTS += tests/unit/test-cachewtfs-page.sh
dist_check_SCRIPTS += tests/unit/test-cachewtfs-page.sh
