/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Log lines.  Whoever knows the cause logs once, with block number and offset.  The sink is set by the program
 * (stderr, syslog); the default writes to stderr.  What it is given is one line without control characters (text.h).
 *
 * Context: any thread; the sink must be thread-safe.  A sink never blocks on the image.
 */
#ifndef CWT_BASE_LOG_H
#define CWT_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

typedef void log_sink_fn(void *ctx, enum log_level level, const char *line);

/* sink NULL: stderr.  Set before any other thread is started. */
void log_set_sink(log_sink_fn *sink, void *ctx, enum log_level most);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * A repeated error: at most one line per 10 s, with the number of those left out.  One static object per message:
 *	static struct log_limit limit;
 *	log_limited(&limit, LOG_LEVEL_ERROR, "cache write failed: ...");
 */
struct log_limit { uint64_t next_ms; uint64_t nr_left_out; };
void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
