/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See cachewt_child.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cachewt_child.h"

#define KILL_WAIT_US (100 * 1000)	/* most that are killed end at once */

/* What a child writes before its text. */
struct report {
	int ret;
	struct cwt_error err;
};

static pid_t given_up;	/* 0: none, or it has ended */

static void leave_descriptors(int but)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (but > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned)but - 1, 0);
	close_range((unsigned)but + 1, ~0u, 0);
}

static void write_all(int fd, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

static _Noreturn void run(int to, child_work_fn *work, const void *ctx)
{
	struct report report = { 0 };
	GString *text = g_string_new(NULL);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	leave_descriptors(to);
	report.ret = work(ctx, text, &report.err);
	write_all(to, &report, sizeof(report));
	write_all(to, text->str, text->len);
	_exit(0);
}

static bool has_ended(pid_t pid)
{
	return !pid || waitpid(pid, NULL, WNOHANG) != 0;
}

int child_start(struct child *child, child_work_fn *work, const void *ctx, struct cwt_error *err)
{
	int fds[2];

	if (!has_ended(given_up))
		return -ETIMEDOUT;
	given_up = 0;
	if (pipe2(fds, O_CLOEXEC))
		return error_set(err, -errno, "pipe: %s (raise the limit of open files)", strerror(errno));
	child->pid = fork();
	if (child->pid < 0) {
		int error = errno;

		close(fds[0]);
		close(fds[1]);
		return error_set(err, -error, "fork: %s (raise the limit of processes)", strerror(error));
	}
	if (!child->pid)
		run(fds[1], work, ctx);
	close(fds[1]);
	child->fd = fds[0];
	child->report = g_string_new(NULL);
	return 0;
}

bool child_wait(struct child *child, double seconds)
{
	gint64 end_us = g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);
	char part[4096];

	for (;;) {
		gint64 left_us = end_us - g_get_monotonic_time();
		struct pollfd poll_fd = { .fd = child->fd, .events = POLLIN };
		ssize_t n;

		if (poll(&poll_fd, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0) == 0 && left_us <= 0)
			return false;
		if (!poll_fd.revents)
			continue;
		n = read(child->fd, part, sizeof(part));
		if (n > 0)
			g_string_append_len(child->report, part, n);
		else if (n == 0 || errno != EINTR)
			return true;
	}
}

static void forget(struct child *child)
{
	close(child->fd);
	g_string_free(child->report, TRUE);
}

int child_result(struct child *child, char **text, struct cwt_error *err)
{
	struct report report = { .ret = -EIO, .err = { "the child process ended without a word (try again)" } };

	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (child->report->len >= sizeof(report))
		memcpy(&report, child->report->str, sizeof(report));
	if (report.ret)
		*err = report.err;
	else if (text)
		*text = g_strdup(child->report->str + sizeof(report));
	forget(child);
	return report.ret;
}

void child_give_up(struct child *child)
{
	kill(child->pid, SIGKILL);
	given_up = child->pid;
	if (!has_ended(given_up))
		g_usleep(KILL_WAIT_US);
	if (has_ended(given_up))
		given_up = 0;
	forget(child);
}
