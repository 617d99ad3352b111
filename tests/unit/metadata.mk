# SPDX-License-Identifier: LGPL-2.1-or-later
METADATA_TESTS = tests/unit/test-metadata-format
TESTS += $(METADATA_TESTS)
check_PROGRAMS += $(METADATA_TESTS)

tests_unit_test_metadata_format_SOURCES = tests/unit/test-metadata-format.c tests/unit/metadata-fixture.c \
	tests/unit/metadata-fixture.h
tests_unit_test_metadata_format_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_metadata_format_LDADD = $(UNIT_LIBS)

EXTRA_DIST += tests/golden/label.hex tests/golden/mapping-page.hex tests/golden/metadata.dump \
	tests/golden/region-marks-page.hex tests/golden/runtime-page.hex tests/golden/superblock.hex
