/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The simulator.
 *
 *	sim [--first N] [--seeds N] [--jobs N] [--coverage]	run seeds first, first + 1, ...
 *	sim --kept FILE						run the seeds that have ever failed
 *	sim --seed N [--without KIND,...] [--events LIST] [-v]	run one, or a part of it, with a trace
 *	sim --seed N --shrink					look for the shortest part of it that fails
 *
 * Exit status 0: nothing found; 1: a failure, which is printed; 2: wrong usage.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"
#include "world.h"

struct arguments {
	struct run run;
	uint64_t first, nr_seeds;
	unsigned nr_jobs;
	const char *kept;
	bool one, shrink, coverage;
};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void print_coverage(void)
{
	const char *sep = "met:";

#define C(name) printf("%s %llu " #name, sep, (unsigned long long)coverage.name), sep = ",";
	SIM_COVERAGE(C)
#undef C
	printf("\n");
}

static void run_range(const struct arguments *a, unsigned job)
{
	for (uint64_t i = job; i < a->nr_seeds; i += a->nr_jobs) {
		struct run run = { .seed = a->first + i, .without = a->run.without };

		run_seed(&run);
	}
	if (a->coverage)
		print_coverage();
	fflush(stdout);
}

static int run_jobs(const struct arguments *a)
{
	int failed = 0;

	fflush(stdout);
	for (unsigned job = 0; job < a->nr_jobs; job++) {
		pid_t pid = fork();

		if (!pid) {
			run_range(a, job);
			_exit(EXIT_SUCCESS);
		}
		failed |= pid < 0;
	}
	for (int status; wait(&status) > 0; )
		failed |= !WIFEXITED(status) || WEXITSTATUS(status);
	return failed;
}

static int run_many(const struct arguments *a)
{
	double begin = now_s(), took;
	int failed = 0;

	if (a->nr_jobs > 1)
		failed = run_jobs(a);
	else
		run_range(a, 0);
	took = now_s() - begin;
	if (!failed)
		printf("%llu seeds from %llu on: nothing found; %.1f s, %.0f seeds per second and job\n",
		       (unsigned long long)a->nr_seeds, (unsigned long long)a->first, took,
		       (double)a->nr_seeds / took / a->nr_jobs);
	return failed;
}

/* Lines of "SEED  what it found"; '#' begins a comment. */
static int run_kept(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned nr = 0;
	char line[512];

	if (!f) {
		fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
		return 2;
	}
	while (fgets(line, sizeof(line), f)) {
		struct run run = { 0 };
		char *end;

		run.seed = strtoull(line, &end, 10);
		if (end == line)
			continue;
		run_seed(&run);
		nr++;
	}
	fclose(f);
	printf("%u kept seeds: nothing found\n", nr);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: sim [--first N] [--seeds N] [--jobs N] [--coverage]\n"
		"       sim --kept FILE\n"
		"       sim --seed N [--without KIND,...] [--events LIST] [--shrink] [-v]\n"
		"kinds:");
	for (unsigned k = 0; k < SIM_NR_KINDS; k++)
		fprintf(stderr, " %s", sim_kind_names[k]);
	fprintf(stderr, "\n");
	return 2;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' }, { "first", required_argument, NULL, 'f' },
		{ "seeds", required_argument, NULL, 'n' }, { "jobs", required_argument, NULL, 'j' },
		{ "kept", required_argument, NULL, 'k' }, { "without", required_argument, NULL, 'w' },
		{ "events", required_argument, NULL, 'e' }, { "shrink", no_argument, NULL, 'S' },
		{ "coverage", no_argument, NULL, 'c' }, { "verbose", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 },
	};
	int opt, bad = 0;

	*a = (struct arguments){ .first = 1, .nr_seeds = 300, .nr_jobs = 1 };
	while ((opt = getopt_long(argc, argv, "v", options, NULL)) != -1) {
		switch (opt) {
		case 's': a->run.seed = strtoull(optarg, NULL, 0); a->one = true; break;
		case 'f': a->first = strtoull(optarg, NULL, 0); break;
		case 'n': a->nr_seeds = strtoull(optarg, NULL, 0); break;
		case 'j': a->nr_jobs = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'k': a->kept = optarg; break;
		case 'w': bad |= run_parse_kinds(optarg, &a->run.without); break;
		case 'e': bad |= run_parse_events(&a->run, optarg); break;
		case 'S': a->shrink = true; break;
		case 'c': a->coverage = true; break;
		case 'v': sim_verbose = true; break;
		default: return false;
		}
	}
	return !bad && optind == argc && a->nr_jobs > 0 && a->nr_jobs <= 256 && (!a->shrink || a->one);
}

int main(int argc, char **argv)
{
	struct arguments a;

	if (!parse(argc, argv, &a))
		return usage();
	mallopt(M_MMAP_THRESHOLD, 1 << 28);	/* a life's memory is the next one's: page faults took most of the time */
	mallopt(M_TRIM_THRESHOLD, 1 << 28);
	run_prepare();
	if (a.kept)
		return run_kept(a.kept);
	if (a.shrink) {
		if (shrink(&a.run))
			return EXIT_FAILURE;
		printf("seed %llu does not fail\n", (unsigned long long)a.run.seed);
		return EXIT_SUCCESS;
	}
	if (!a.one)
		return run_many(&a);
	run_seed(&a.run);
	printf("seed %llu: nothing found\n", (unsigned long long)a.run.seed);
	return EXIT_SUCCESS;
}
