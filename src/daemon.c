/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See daemon.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon.h"

/* The report is this byte, or the text of a failure, or, after a crash, nothing. */
#define READY '\n'

void daemon_open_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

void daemon_close_inherited(int keep, int keep2)
{
	const int ends[] = { keep < keep2 ? keep : keep2, keep < keep2 ? keep2 : keep };
	unsigned from = STDERR_FILENO + 1;

	for (int i = 0; i < 2; i++) {
		if (ends[i] < (int)from)
			continue;
		if (ends[i] > (int)from)
			close_range(from, (unsigned)ends[i] - 1, 0);
		from = (unsigned)ends[i] + 1;
	}
	close_range(from, ~0u, 0);
}

void daemon_print_line(const char *text)
{
	char line[2 * sizeof(((struct cwt_error *)0)->text)];

	text_escape(line, sizeof(line), text, TEXT_LINE);
	fprintf(stderr, "cachewtfs: %s\n", line);
}

static int exit_status_of(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

static volatile sig_atomic_t report_from;

/* Who ends us means the start: the child gives it up, and says so. */
static void pass_on(int signo)
{
	kill((pid_t)report_from, signo);
}

static void pass_signals_on(pid_t child)
{
	const struct sigaction action = { .sa_handler = pass_on, .sa_flags = SA_RESTART };

	report_from = child;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static _Noreturn void wait_for_report(int from, pid_t child)
{
	char text[sizeof(((struct cwt_error *)0)->text)];
	size_t len = 0;
	ssize_t n;

	pass_signals_on(child);
	do {
		n = read(from, text + len, sizeof(text) - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && text[0] != READY) || (n < 0 && errno == EINTR));
	if (len && text[0] == READY)
		_exit(0);
	text[len] = '\0';
	if (!len)
		strcpy(text, "start: the background process ended without a word (see the system's log, or try -f)");
	daemon_print_line(text);
	_exit(exit_status_of(child));
}

int daemon_fork(int *report, struct cwt_error *err)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return error_set(err, -errno, "pipe: %s (raise the limit of open files)", strerror(errno));
	child = fork();
	if (child < 0)
		return error_set(err, -errno, "fork: %s (raise the limit of processes, or use -f)", strerror(errno));
	if (child > 0) {
		close(fds[1]);
		wait_for_report(fds[0], child);
	}
	close(fds[0]);
	setsid();
	*report = fds[1];
	return 0;
}

static void write_report(int report, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(report, text, len);

		if (n < 0 && errno != EINTR)
			return;		/* the parent was killed: nobody waits */
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

void daemon_failed(int report, const char *text)
{
	if (report < 0)
		daemon_print_line(text);
	else
		write_report(report, text, strlen(text));
}

void daemon_ready(int report)
{
	const char ready = READY;
	int fd;

	if (report < 0)
		return;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		close(fd);
	}
	write_report(report, &ready, 1);
	close(report);
}
