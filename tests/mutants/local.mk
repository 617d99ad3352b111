# SPDX-License-Identifier: LGPL-2.1-or-later
# Known bugs, each put back by name; in a build with --enable-mutants.
EXTRA_DIST += tests/mutants/mutants.sh

# make check-mutants [MUTANTS="NAME..."]
MUTANT_TESTS = tests/sim/sim tests/unit/test-engine-early tests/unit/test-engine-order tests/unit/test-engine-life tests/unit/test-engine-races \
	tests/unit/test-engine-faults tests/unit/test-store-marks tests/unit/test-store \
	tests/unit/test-device-faulty tests/unit/test-store-crash \
	src/cachewt src/cachewtfs tests/mount/io-helper tests/mount/page-helper
.PHONY: check-mutants
check-mutants: $(MUTANT_TESTS)
	$(AM_TESTS_ENVIRONMENT) srcdir='$(srcdir)' $(srcdir)/tests/mutants/mutants.sh $(MUTANTS)
