# SPDX-License-Identifier: LGPL-2.1-or-later
# Printed, not asserted; not part of make check.
BENCHES = tests/bench/random-read.sh
EXTRA_DIST += $(BENCHES) tests/bench/marks.sh tests/bench/ack.sh

check_PROGRAMS += tests/bench/bench-marks
tests_bench_bench_marks_SOURCES = tests/bench/bench-marks.c
tests_bench_bench_marks_LDADD = lib/libcachewt-internal.la

bench: all
	@for script in $(BENCHES); do \
		$(AM_TESTS_ENVIRONMENT) CC='$(CC)' "$(srcdir)/$$script" || exit 1; \
	done
.PHONY: bench

bench-marks: all
	@$(MAKE) tests/bench/bench-marks	# not beside all, which is a make of its own
	$(AM_TESTS_ENVIRONMENT) BENCH_MARKS='$(abs_top_builddir)/tests/bench/bench-marks$(EXEEXT)' "$(srcdir)/tests/bench/marks.sh"
.PHONY: bench-marks

bench-ack: all
	$(AM_TESTS_ENVIRONMENT) "$(srcdir)/tests/bench/ack.sh"
.PHONY: bench-ack
