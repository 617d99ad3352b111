# SPDX-License-Identifier: LGPL-2.1-or-later
device_rig_sources = tests/unit/device-rig.c tests/unit/device-rig.h tests/unit/device-makers.c
faulty_rig_sources = tests/unit/faulty-rig.c tests/unit/faulty-rig.h tests/unit/device-rig.c tests/unit/device-rig.h

TESTS += tests/unit/test-device-contract
check_PROGRAMS += tests/unit/test-device-contract
tests_unit_test_device_contract_SOURCES = tests/unit/test-device-contract.c $(device_rig_sources)
tests_unit_test_device_contract_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_device_contract_LDADD = $(UNIT_LIBS)

# Defines io_setup and io_submit of its own, in front of libaio's.
TESTS += tests/unit/test-device-aio
check_PROGRAMS += tests/unit/test-device-aio
tests_unit_test_device_aio_SOURCES = tests/unit/test-device-aio.c $(device_rig_sources)
tests_unit_test_device_aio_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_device_aio_LDADD = $(UNIT_LIBS)

TESTS += tests/unit/test-device-open
check_PROGRAMS += tests/unit/test-device-open
tests_unit_test_device_open_SOURCES = tests/unit/test-device-open.c $(device_rig_sources)
tests_unit_test_device_open_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_device_open_LDADD = $(UNIT_LIBS)

TESTS += tests/unit/test-device-faulty
check_PROGRAMS += tests/unit/test-device-faulty
tests_unit_test_device_faulty_SOURCES = tests/unit/test-device-faulty.c $(faulty_rig_sources)
tests_unit_test_device_faulty_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_device_faulty_LDADD = $(UNIT_LIBS)

TESTS += tests/unit/test-device-power
check_PROGRAMS += tests/unit/test-device-power
tests_unit_test_device_power_SOURCES = tests/unit/test-device-power.c $(faulty_rig_sources)
tests_unit_test_device_power_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_device_power_LDADD = $(UNIT_LIBS)

# For: libtool --mode=execute valgrind --suppressions=tests/unit/valgrind.supp tests/unit/test-...
EXTRA_DIST += tests/unit/valgrind.supp
