# SPDX-License-Identifier: LGPL-2.1-or-later
TESTS += tests/unit/test-text
check_PROGRAMS += tests/unit/test-text
tests_unit_test_text_SOURCES = tests/unit/test-text.c
tests_unit_test_text_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_text_LDADD = $(UNIT_LIBS)
