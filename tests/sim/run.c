/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log.h"
#include "events.h"

#define SEED_SECONDS_MAX 120u		/* of any sanitizer or valgrind, too */

bool sim_verbose;
static const struct run *current;
static unsigned own_event, *event = &own_event;
static char last_log_line[1024];

unsigned run_event(void) { return *event; }

void run_share_event(void)
{
	event = mmap(NULL, sizeof(*event), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cwt_assert(event != MAP_FAILED);
}

static bool keeps(const struct run *run, unsigned n)
{
	return !run->some || (n < RUN_EVENTS_MAX && bitmap_test(run->keep, n));
}

void run_seed(const struct run *run)
{
	struct world w;

	current = run;
	*event = 0;
	alarm(SEED_SECONDS_MAX);
	world_init(&w, run->seed, run->without);
	if (sim_verbose)
		config_print(&w.c);
	for (unsigned i = 0; i < w.c.nr_events; i++) {
		*event = i;
		if (keeps(run, i))
			event_happen(&w, i);
	}
	*event = w.c.nr_events;
	world_end(&w);
	world_free(&w);
	current = NULL;
}

/*
 * ------------------------------------------------------------------ what is seen of it
 */
static void print_events(const struct run *run, FILE *f)
{
	const char *comma = "";

	for (unsigned i = 0; i < RUN_EVENTS_MAX; i++) {
		unsigned first = i;

		if (!bitmap_test(run->keep, i))
			continue;
		while (i + 1 < RUN_EVENTS_MAX && bitmap_test(run->keep, i + 1))
			i++;
		fprintf(f, first == i ? "%s%u" : "%s%u-%u", comma, first, i);
		comma = ",";
	}
}

void run_print_command(const struct run *run, FILE *f)
{
	const char *sep = " --without ";

	fprintf(f, "tests/sim/sim --seed %llu", (unsigned long long)run->seed);
	for (unsigned k = 0; k < SIM_NR_KINDS; k++) {
		if (!(run->without >> k & 1))
			continue;
		fprintf(f, "%s%s", sep, sim_kind_names[k]);
		sep = ",";
	}
	if (run->some) {
		fprintf(f, " --events ");
		print_events(run, f);
	}
	fprintf(f, " -v\n");
}

static void print_failure(const char *what)
{
	printf("FAILED: seed %llu, event %u: %s\n", current ? (unsigned long long)current->seed : 0, *event, what);
	if (last_log_line[0])
		printf("  last log line: %s\n", last_log_line);
	if (current) {
		printf("  replay: ");
		run_print_command(current, stdout);
		printf("  shrink: tests/sim/sim --seed %llu --shrink\n", (unsigned long long)current->seed);
	}
	fflush(stdout);
}

void sim_fail(struct world *w, const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	(void)w;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	print_failure(line);
	exit(EXIT_FAILURE);
}

void sim_note(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!sim_verbose)
		return;
	printf("%4u %6u  ", *event, w->oracle.now);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static void log_sink(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	snprintf(last_log_line, sizeof(last_log_line), "%s", line);
	if (sim_verbose)
		printf("             log: %s\n", line);
}

/* An assertion, or no end: the process is lost anyway, so printing from here is as good as any. */
static void on_signal(int sig)
{
	signal(sig, SIG_DFL);
	print_failure(sig == SIGALRM ? "does not end" : sig == SIGABRT ? "an assertion failed" : "the program crashed");
	_exit(EXIT_FAILURE);
}

void run_prepare(void)
{
	log_set_sink(log_sink, NULL, LOG_LEVEL_WARNING);
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	signal(SIGSEGV, on_signal);
#endif
}

/*
 * ------------------------------------------------------------------ words
 */
int run_parse_kinds(const char *text, uint32_t *kinds)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		unsigned k = 0;

		while (k < SIM_NR_KINDS && (strlen(sim_kind_names[k]) != len || memcmp(sim_kind_names[k], text, len)))
			k++;
		if (k == SIM_NR_KINDS)
			return -EINVAL;
		*kinds |= 1u << k;
		text += len + (text[len] == ',');
	}
	return 0;
}

int run_parse_events(struct run *run, const char *text)
{
	memset(run->keep, 0, sizeof(run->keep));
	run->some = true;
	while (*text) {
		char *end;
		unsigned long from = strtoul(text, &end, 10), to = from;

		if (end == text)
			return -EINVAL;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		if ((*end && *end != ',') || to >= RUN_EVENTS_MAX)
			return -EINVAL;
		for (; from <= to; from++)
			bitmap_set(run->keep, from);
		text = end + (*end == ',');
	}
	return 0;
}
