# SPDX-License-Identifier: LGPL-2.1-or-later
# The contract suite counts what is allocated: the linker puts its counters before malloc and free.
WRAP_MALLOC = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

check_PROGRAMS += tests/unit/test-policy-contract tests/unit/test-policy-clock tests/unit/test-policy-lru
TESTS += tests/unit/test-policy-contract tests/unit/test-policy-clock tests/unit/test-policy-lru

tests_unit_test_policy_contract_SOURCES = tests/unit/test-policy-contract.c
tests_unit_test_policy_contract_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_policy_contract_LDFLAGS = $(AM_LDFLAGS) $(WRAP_MALLOC)
tests_unit_test_policy_contract_LDADD = $(UNIT_LIBS)

tests_unit_test_policy_clock_SOURCES = tests/unit/test-policy-clock.c
tests_unit_test_policy_clock_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_policy_clock_LDADD = $(UNIT_LIBS)

tests_unit_test_policy_lru_SOURCES = tests/unit/test-policy-lru.c
tests_unit_test_policy_lru_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_policy_lru_LDADD = $(UNIT_LIBS)
