# SPDX-License-Identifier: LGPL-2.1-or-later
ENGINE_TESTS = tests/unit/test-engine-breaks tests/unit/test-engine-door tests/unit/test-engine-early \
	tests/unit/test-engine-faults tests/unit/test-engine-flips tests/unit/test-engine-life tests/unit/test-engine-order \
	tests/unit/test-engine-races tests/unit/test-engine-stress tests/unit/test-engine-sync tests/unit/test-engine-threads
check_PROGRAMS += $(ENGINE_TESTS)
TESTS += $(ENGINE_TESTS)
ENGINE_RIG = tests/unit/engine-rig.c tests/unit/engine-rig.h

tests_unit_test_engine_breaks_SOURCES = tests/unit/test-engine-breaks.c $(ENGINE_RIG)
tests_unit_test_engine_breaks_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_breaks_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_door_SOURCES = tests/unit/test-engine-door.c $(ENGINE_RIG)
tests_unit_test_engine_door_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_door_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_early_SOURCES = tests/unit/test-engine-early.c $(ENGINE_RIG)
tests_unit_test_engine_early_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_early_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_faults_SOURCES = tests/unit/test-engine-faults.c $(ENGINE_RIG)
tests_unit_test_engine_faults_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_faults_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_flips_SOURCES = tests/unit/test-engine-flips.c $(ENGINE_RIG)
tests_unit_test_engine_flips_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_flips_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_life_SOURCES = tests/unit/test-engine-life.c $(ENGINE_RIG)
tests_unit_test_engine_life_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_life_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_order_SOURCES = tests/unit/test-engine-order.c $(ENGINE_RIG)
tests_unit_test_engine_order_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_order_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_races_SOURCES = tests/unit/test-engine-races.c $(ENGINE_RIG)
tests_unit_test_engine_races_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_races_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_stress_SOURCES = tests/unit/test-engine-stress.c $(ENGINE_RIG)
tests_unit_test_engine_stress_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_stress_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_sync_SOURCES = tests/unit/test-engine-sync.c $(ENGINE_RIG)
tests_unit_test_engine_sync_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_sync_LDADD = $(UNIT_LIBS)

tests_unit_test_engine_threads_SOURCES = tests/unit/test-engine-threads.c
tests_unit_test_engine_threads_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_engine_threads_LDADD = $(UNIT_LIBS)

# make check-stress [ROUNDS=n] [SEED=n]: the same for long; also in a build with --enable-sanitizer=thread.
check-stress: tests/unit/test-engine-stress
	CWT_STRESS_ROUNDS=$${ROUNDS:-100} CWT_STRESS_SEED=$${SEED:-1} CK_DEFAULT_TIMEOUT=0 tests/unit/test-engine-stress
.PHONY: check-stress
