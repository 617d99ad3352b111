# SPDX-License-Identifier: LGPL-2.1-or-later
# Printed, not asserted; not part of make check.
BENCHES = tests/bench/random-read.sh
EXTRA_DIST += $(BENCHES)

bench: all
	@for script in $(BENCHES); do \
		$(AM_TESTS_ENVIRONMENT) CC='$(CC)' "$(srcdir)/$$script" || exit 1; \
	done
.PHONY: bench
