# SPDX-License-Identifier: LGPL-2.1-or-later
# The simulator: the real engine over disks that die, one run per seed.
SIM_SOURCES = tests/sim/config.c tests/sim/config.h tests/sim/disks.c tests/sim/disks.h \
	tests/sim/events.c tests/sim/events.h \
	tests/sim/format.c tests/sim/format.h \
	tests/sim/oracle.c tests/sim/oracle.h tests/sim/workload.c tests/sim/workload.h tests/sim/world.c tests/sim/world.h

check_PROGRAMS += tests/sim/sim
tests_sim_sim_SOURCES = tests/sim/sim.c tests/sim/run.c tests/sim/run.h tests/sim/shrink.c $(SIM_SOURCES)
tests_sim_sim_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/sim
tests_sim_sim_LDADD = lib/libcachewt-internal.la

# Every state that a crash can leave of short workloads, recovered.
check_PROGRAMS += tests/sim/crash-states
tests_sim_crash_states_SOURCES = tests/sim/crash-states.c tests/sim/disks.c tests/sim/disks.h \
	tests/sim/format.c tests/sim/format.h \
	tests/sim/record.c tests/sim/record.h tests/sim/states.c tests/sim/states.h \
	tests/sim/states_fates.c tests/sim/states_internal.h tests/sim/states_recover.c tests/sim/u64map.h
tests_sim_crash_states_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/sim $(XXHASH_CFLAGS)
tests_sim_crash_states_LDADD = lib/libcachewt-internal.la $(XXHASH_LIBS)
.PHONY: check-crash-states
check-crash-states: tests/sim/crash-states
	tests/sim/crash-states

TESTS += tests/sim/test-sim.sh tests/sim/crash-states
dist_check_SCRIPTS += tests/sim/test-sim.sh
EXTRA_DIST += tests/sim/seeds.txt

# make check-sim SEEDS=n [FIRST=n] [JOBS=n]
SEEDS = 1000
FIRST = 1
JOBS = 1
.PHONY: check-sim
check-sim: tests/sim/sim
	tests/sim/sim --first $(FIRST) --seeds $(SEEDS) --jobs $(JOBS) --coverage
