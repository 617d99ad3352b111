# SPDX-License-Identifier: LGPL-2.1-or-later
# Printed, not asserted; of make check is only that the bench works.
BENCH_FILES = tests/bench/bench.sh tests/bench/contenders.sh tests/bench/filesystem.sh tests/bench/report.sh \
	tests/bench/servers.sh tests/bench/summary.jq tests/bench/table.jq tests/bench/targets.jq tests/bench/workloads.sh
EXTRA_DIST += $(BENCH_FILES) tests/bench/ack.sh tests/bench/marks.sh tests/bench/page-cache.sh tests/bench/paste.sh \
	tests/bench/unmount.sh
BENCH_TESTS = tests/bench/test-bench.sh tests/bench/test-bench-engine.sh
TESTS += $(BENCH_TESTS)
dist_check_SCRIPTS += $(BENCH_TESTS)

check_PROGRAMS += tests/bench/bench-engine tests/bench/bench-marks
tests_bench_bench_engine_SOURCES = tests/bench/bench-engine.c
tests_bench_bench_engine_LDADD = lib/libcachewt-internal.la
tests_bench_bench_marks_SOURCES = tests/bench/bench-marks.c
tests_bench_bench_marks_LDADD = lib/libcachewt-internal.la

bench: all
	@$(AM_TESTS_ENVIRONMENT) CC='$(CC)' "$(srcdir)/tests/bench/bench.sh"
.PHONY: bench

# The report of the last run, or of OUT, into README.md.
bench-readme:
	"$(srcdir)/tests/bench/paste.sh" "$(srcdir)/README.md" "$${OUT:-bench-results}/readme.md"
.PHONY: bench-readme

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

bench-ack: all
	$(AM_TESTS_ENVIRONMENT) "$(srcdir)/tests/bench/ack.sh"
.PHONY: bench-ack

# make bench-page-cache [DIR=/var/tmp] [SIZE=256M] [ROUNDS=5] [SECONDS_EACH=1]
bench-page-cache: all
	$(AM_TESTS_ENVIRONMENT) "$(srcdir)/tests/bench/page-cache.sh"
.PHONY: bench-page-cache
