# SPDX-License-Identifier: LGPL-2.1-or-later
TESTS += tests/unit/test-example-simple.sh tests/unit/test-tool-parts tests/unit/test-tool.sh
check_PROGRAMS += tests/unit/test-tool-parts tests/unit/make-cache
dist_check_SCRIPTS += tests/unit/test-example-simple.sh tests/unit/test-tool.sh
tests_unit_test_tool_parts_SOURCES = tests/unit/test-tool-parts.c
tests_unit_test_tool_parts_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/src $(GLIB_CFLAGS)
tests_unit_test_tool_parts_LDADD = src/libcachewttool.la $(UNIT_LIBS)
tests_unit_make_cache_SOURCES = tests/unit/make-cache.c
tests_unit_make_cache_LDADD = lib/libcachewt-internal.la
