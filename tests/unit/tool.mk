# SPDX-License-Identifier: LGPL-2.1-or-later
TESTS += tests/unit/test-tool-parts
check_PROGRAMS += tests/unit/test-tool-parts
tests_unit_test_tool_parts_SOURCES = tests/unit/test-tool-parts.c
tests_unit_test_tool_parts_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/src $(GLIB_CFLAGS)
tests_unit_test_tool_parts_LDADD = src/libcachewttool.la $(UNIT_LIBS)
