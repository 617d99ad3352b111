# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of the scripts in the top folder, in copies with made-up sources.
SCRIPT_TESTS = tests/scripts/test-quickstart.sh tests/scripts/test-run-tests.sh
TESTS += $(SCRIPT_TESTS)
dist_check_SCRIPTS += $(SCRIPT_TESTS)
EXTRA_DIST += scripts/places.sh
