# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of the tree itself.  They need nothing but the sources (test-man-pages.sh: and the programs).
LINT_TESTS = tests/lint/test-architecture.sh tests/lint/test-licence-lines.sh tests/lint/test-man-pages.sh \
	tests/lint/test-rules-table.sh tests/lint/test-shell-scripts.sh
TESTS += $(LINT_TESTS)
dist_check_SCRIPTS += $(LINT_TESTS)
EXTRA_DIST += .ci/run scripts/packages.sh

# The tests of one kind; run-tests.sh uses these.
check-unit:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(filter tests/unit/%,$(TESTS))'
VALGRIND_FLAGS = -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99 \
	--suppressions=$(abs_top_srcdir)/tests/unit/valgrind.supp
check-valgrind:		# its programs: the scripts start programs of their own
	UNDER_VALGRIND=1 $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(filter-out %.sh,$(filter tests/unit/%,$(TESTS)))' LOG_COMPILER=valgrind \
		LOG_FLAGS='$(VALGRIND_FLAGS)'
check-lint:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(filter tests/lint/%,$(TESTS))'
check-mount:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(filter tests/mount/%,$(TESTS))'
print-tests:
	@printf '%s\n' $(TESTS)
.PHONY: print-tests check-unit check-valgrind check-lint check-mount
