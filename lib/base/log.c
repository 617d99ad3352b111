/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/text.h"

#define LOG_REPEAT_MS 10000u

static void log_to_stderr(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	fprintf(stderr, "%s\n", line);
}

static log_sink_fn *log_sink = log_to_stderr;
static void *log_ctx;
static enum log_level log_most = LOG_LEVEL_INFO;
static pthread_mutex_t log_limit_lock = PTHREAD_MUTEX_INITIALIZER;

void log_set_sink(log_sink_fn *sink, void *ctx, enum log_level most)
{
	log_sink = sink ? sink : log_to_stderr;
	log_ctx = ctx;
	log_most = most;
}

/* A line is one line, and does nothing to the terminal, whatever names are in it. */
static void log_format(enum log_level level, uint64_t nr_left_out, const char *fmt, va_list ap)
{
	char line[1024], escaped[2 * sizeof(line)];
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	if (nr_left_out && n >= 0 && (size_t)n < sizeof(line))
		snprintf(line + n, sizeof(line) - (size_t)n, " (and %llu more like it)",
			 (unsigned long long)nr_left_out);
	text_escape(escaped, sizeof(escaped), line, TEXT_LINE);
	log_sink(log_ctx, level, escaped);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_most)
		return;
	va_start(ap, fmt);
	log_format(level, 0, fmt, ap);
	va_end(ap);
}

static uint64_t log_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	uint64_t now = log_now_ms(), left_out = 0;
	bool now_due;
	va_list ap;

	pthread_mutex_lock(&log_limit_lock);
	now_due = now >= limit->next_ms;
	if (now_due) {
		left_out = limit->nr_left_out;
		limit->nr_left_out = 0;
		limit->next_ms = now + LOG_REPEAT_MS;
	} else {
		limit->nr_left_out++;
	}
	pthread_mutex_unlock(&log_limit_lock);
	if (!now_due || level > log_most)
		return;
	va_start(ap, fmt);
	log_format(level, left_out, fmt, ap);
	va_end(ap);
}

void assert_failed(const char *expr, const char *file, int line, const char *func)
{
	log_line(LOG_LEVEL_ERROR, "cachewtfs: bug: %s:%d: %s: %s", file, line, func, expr);
	abort();
}
