/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shrinking: leave out events and kinds as long as the run still fails, in any way.  Every event has random numbers
 * of its own, so that the others stay as they are.  Each try is a child, since a failure ends the process.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "run.h"
#include "world.h"

static bool fails(const struct run *run, bool loudly)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	cwt_assert(pid >= 0);
	if (!pid) {
		if (!loudly) {
			int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

			dup2(null, STDOUT_FILENO);
			dup2(null, STDERR_FILENO);
		}
		sim_verbose = loudly;
		run_seed(run);
		fflush(stdout);
		_exit(EXIT_SUCCESS);
	}
	waitpid(pid, &status, 0);
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

static void shrink_kinds(struct run *best)
{
	for (unsigned k = 0; k < SIM_NR_KINDS; k++) {
		struct run try = *best;

		try.without |= 1u << k;
		if (fails(&try, false))
			*best = try;
	}
}

/* Leave out size events at a time. */
static bool shrink_events(struct run *best, unsigned nr_events, unsigned size)
{
	bool shorter = false;

	for (unsigned from = 0; from < nr_events; from += size) {
		struct run try = *best;
		bool any = false;

		for (unsigned i = from; i < MIN(from + size, nr_events); i++) {
			any |= bitmap_test(try.keep, i);
			bitmap_clear(try.keep, i);
		}
		if (any && fails(&try, false)) {
			*best = try;
			shorter = true;
		}
	}
	return shorter;
}

bool shrink(const struct run *run)
{
	struct run best = *run;
	unsigned nr_events;

	run_share_event();
	if (!fails(run, false))
		return false;
	nr_events = MIN(run_event() + 1, RUN_EVENTS_MAX);
	best.some = true;
	for (unsigned i = 0; i < RUN_EVENTS_MAX && !run->some; i++)
		if (i < nr_events)
			bitmap_set(best.keep, i);
	if (!fails(&best, false))
		best = *run;
	shrink_kinds(&best);
	for (unsigned size = nr_events / 2 + 1; best.some; size /= 2) {
		bool shorter = shrink_events(&best, nr_events, size);

		if (size == 1 && !shorter)
			break;
		if (size == 1)
			size = 2;
	}
	shrink_kinds(&best);
	(void)fails(&best, true);
	return true;
}
