# SPDX-License-Identifier: LGPL-2.1-or-later
device_rig_sources = tests/unit/device-rig.c tests/unit/device-rig.h tests/unit/device-makers.c

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

TESTS += tests/unit/test-device-faulty
check_PROGRAMS += tests/unit/test-device-faulty
tests_unit_test_device_faulty_SOURCES = tests/unit/test-device-faulty.c $(device_rig_sources)
tests_unit_test_device_faulty_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_device_faulty_LDADD = $(UNIT_LIBS)
