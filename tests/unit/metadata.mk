# SPDX-License-Identifier: LGPL-2.1-or-later
METADATA_FIXTURE = tests/unit/metadata-fixture.c tests/unit/metadata-fixture.h
METADATA_TESTS = tests/unit/test-metadata-format tests/unit/test-store tests/unit/test-store-crash \
	tests/unit/test-store-fuzz tests/unit/test-metadata-check tests/unit/test-store-marks \
	tests/unit/test-store-hostile
TESTS += $(METADATA_TESTS)
check_PROGRAMS += $(METADATA_TESTS)

tests_unit_test_metadata_format_SOURCES = tests/unit/test-metadata-format.c $(METADATA_FIXTURE)
tests_unit_test_metadata_format_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_metadata_format_LDADD = $(UNIT_LIBS)

tests_unit_test_store_SOURCES = tests/unit/test-store.c $(METADATA_FIXTURE)
tests_unit_test_store_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_LDADD = $(UNIT_LIBS)

tests_unit_test_store_crash_SOURCES = tests/unit/test-store-crash.c $(METADATA_FIXTURE)
tests_unit_test_store_crash_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_crash_LDADD = $(UNIT_LIBS)

tests_unit_test_store_fuzz_SOURCES = tests/unit/test-store-fuzz.c $(METADATA_FIXTURE)
tests_unit_test_store_fuzz_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_fuzz_LDADD = $(UNIT_LIBS)

tests_unit_test_metadata_check_SOURCES = tests/unit/test-metadata-check.c $(METADATA_FIXTURE)
tests_unit_test_metadata_check_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_metadata_check_LDADD = $(UNIT_LIBS)

tests_unit_test_store_hostile_SOURCES = tests/unit/test-store-hostile.c $(METADATA_FIXTURE)
tests_unit_test_store_hostile_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_hostile_LDADD = $(UNIT_LIBS)

tests_unit_test_store_marks_SOURCES = tests/unit/test-store-marks.c $(METADATA_FIXTURE)
tests_unit_test_store_marks_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_store_marks_LDADD = $(UNIT_LIBS)

EXTRA_DIST += tests/golden/busy-marks-page.hex tests/golden/identity-page.hex tests/golden/label.hex \
	tests/golden/lease.hex tests/golden/mapping-page.hex tests/golden/metadata.dump \
	tests/golden/region-marks-page.hex tests/golden/runtime-page.hex tests/golden/superblock-v1.hex \
	tests/golden/superblock.hex

# Every single bit of every page in use, first for the store alone, then for whoever reads the image.
.PHONY: check-bit-flips
check-bit-flips: tests/unit/test-store-hostile tests/unit/test-engine-flips
	CWT_FLIP_STRIDE=1 CK_RUN_CASE=store-hostile tests/unit/test-store-hostile
	CWT_FLIP_STRIDE=1 tests/unit/test-engine-flips
