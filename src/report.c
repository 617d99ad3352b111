/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See report.h. */
#include <fuse_lowlevel.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "report.h"

#define CAPTURE_MAX 4096

static char ident[300];		/* syslog keeps the pointer */

/* Protected by capture_lock: whether libfuse's lines are kept back, and the last one. */
static pthread_mutex_t capture_lock = PTHREAD_MUTEX_INITIALIZER;
static bool capturing;
static char captured[512];
static int real_stderr = -1, kept_stderr = -1;	/* main thread */

/* One call, so that lines of several threads do not mix. */
static void to_stderr(void *ctx, enum log_level level, const char *line)
{
	static const char *const marks[] = { "error: ", "warning: ", "", "debug: " };
	char stamp[32];
	struct timespec now;
	struct tm local;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	strftime(stamp, sizeof(stamp), "%F %T", &local);
	fprintf(stderr, "%s.%03ld cachewtfs: %s%s\n", stamp, now.tv_nsec / 1000000, marks[level], line);
}

static void to_syslog(void *ctx, enum log_level level, const char *line)
{
	static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

	(void)ctx;
	syslog(priorities[level], "%s", line);
}

/* What libfuse says at run time is of use to nobody but its debuggers; what it says of a failed mount is the reason. */
static void from_libfuse(enum fuse_log_level level, const char *fmt, va_list args)
{
	char line[sizeof(captured)];
	bool keep;

	vsnprintf(line, sizeof(line), fmt, args);
	g_strchomp(line);
	pthread_mutex_lock(&capture_lock);
	keep = capturing && level <= FUSE_LOG_ERR && *line;
	if (keep)
		memcpy(captured, line, sizeof(captured));
	pthread_mutex_unlock(&capture_lock);
	if (!keep)
		log_debug("libfuse: %s", line);
}

void report_open(const char *name, bool foreground, bool debug)
{
	if (!foreground) {
		snprintf(ident, sizeof(ident), "cachewtfs[%s]", name);
		openlog(ident, LOG_PID, LOG_DAEMON);
	}
	tzset();	/* reads files: now, so that no line ever has to */
	log_set_sink(foreground ? to_stderr : to_syslog, NULL, debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	fuse_set_log_func(from_libfuse);
}

void report_capture_begin(void)
{
	pthread_mutex_lock(&capture_lock);
	capturing = true;
	*captured = '\0';
	pthread_mutex_unlock(&capture_lock);

	kept_stderr = memfd_create("stderr", MFD_CLOEXEC);
	if (kept_stderr < 0)
		return;
	real_stderr = dup(STDERR_FILENO);
	if (real_stderr < 0 || dup2(kept_stderr, STDERR_FILENO) < 0) {
		close(kept_stderr);
		kept_stderr = -1;
	}
}

/* Give stderr back; what was printed meanwhile is in text. */
static void restore_stderr(char *text, size_t size)
{
	ssize_t n;

	*text = '\0';
	if (kept_stderr < 0)
		return;
	fflush(stderr);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	n = pread(kept_stderr, text, size - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(kept_stderr);
	kept_stderr = -1;
}

static const char *last_line_of(char *text)
{
	const char *line;

	g_strchomp(text);
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static const char *without_program(const char *line)
{
	static const char *const programs[] = { "fusermount3: ", "fuse: " };

	for (size_t i = 0; i < G_N_ELEMENTS(programs); i++)
		if (g_str_has_prefix(line, programs[i]))
			line += strlen(programs[i]);
	return line;
}

void report_capture_end(bool failed, char *text, size_t size)
{
	char printed[CAPTURE_MAX];
	const char *why;

	restore_stderr(printed, sizeof(printed));
	pthread_mutex_lock(&capture_lock);
	capturing = false;
	if (!failed)
		fputs(printed, stderr);
	why = last_line_of(printed);
	g_strlcpy(text, without_program(*why ? why : captured), size);
	pthread_mutex_unlock(&capture_lock);
}
