# SPDX-License-Identifier: LGPL-2.1-or-later
# Printed, not asserted; not part of make check.
BENCHES = tests/bench/random-read.sh
EXTRA_DIST += $(BENCHES) tests/bench/marks.sh tests/bench/page-cache.sh

check_PROGRAMS += tests/bench/bench-engine tests/bench/bench-marks
tests_bench_bench_engine_SOURCES = tests/bench/bench-engine.c
tests_bench_bench_engine_LDADD = lib/libcachewt-internal.la
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

# make bench-engine [MS=200] [ROUNDS=5] [CBLOCKS="16384 131072 1048576 16777216"]
bench-engine: all
	@$(MAKE) tests/bench/bench-engine	# not beside all, which is a make of its own
	tests/bench/bench-engine$(EXEEXT) $(or $(MS),200) $(or $(ROUNDS),5) \
		$(or $(CBLOCKS),16384 131072 1048576 16777216)
.PHONY: bench-engine

bench-page-cache: all
	$(AM_TESTS_ENVIRONMENT) "$(srcdir)/tests/bench/page-cache.sh"
.PHONY: bench-page-cache
