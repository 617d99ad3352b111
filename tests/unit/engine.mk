# SPDX-License-Identifier: LGPL-2.1-or-later
ENGINE_TESTS = tests/unit/test-engine-races
check_PROGRAMS += $(ENGINE_TESTS)
TESTS += $(ENGINE_TESTS)
ENGINE_RIG = tests/unit/engine-rig.c tests/unit/engine-rig.h

tests_unit_test_engine_races_SOURCES = tests/unit/test-engine-races.c $(ENGINE_RIG)
tests_unit_test_engine_races_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_races_LDADD = $(UNIT_LIBS)
