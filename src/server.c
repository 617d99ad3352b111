/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See server.h. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server.h"

static void run_job(void *job, void *unused)
{
	(void)unused;
	((struct job *)job)->run(job);
}

/* One thread, there from the start: none is made while requests wait for memory. */
static GThreadPool *pool_of_one(struct cwt_error *err)
{
	GError *error = NULL;
	GThreadPool *pool = g_thread_pool_new(run_job, NULL, 1, TRUE, &error);

	if (error) {
		error_set(err, -EAGAIN, "thread: %s (raise the limit of processes)", error->message);
		g_error_free(error);
		if (pool)
			g_thread_pool_free(pool, TRUE, FALSE);
		return NULL;
	}
	return pool;
}

int server_open(struct server *server, const struct options *options, struct cwt_error *err)
{
	*server = (struct server){ .options = options, .uid = getuid(), .gid = getgid(), .stop_fd = -1, .event_fd = -1 };
	clock_gettime(CLOCK_REALTIME, &server->start_time);
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->stop_fd < 0 || server->event_fd < 0) {
		error_set(err, -errno, "eventfd: %s (raise the limit of open files)", strerror(errno));
		goto failed;
	}
	server->queries = pool_of_one(err);
	server->messages = server->queries ? pool_of_one(err) : NULL;
	if (server->messages)
		return 0;
failed:
	server_close(server);
	return -EAGAIN;
}

void server_close(struct server *server)
{
	if (server->queries)
		g_thread_pool_free(server->queries, FALSE, TRUE);
	if (server->messages)
		g_thread_pool_free(server->messages, FALSE, TRUE);
	if (server->stop_fd >= 0)
		close(server->stop_fd);
	if (server->event_fd >= 0)
		close(server->event_fd);
	server->queries = server->messages = NULL;
	server->stop_fd = server->event_fd = -1;
}

static void set_event(int fd)
{
	const uint64_t one = 1;
	ssize_t n;

	do {
		n = write(fd, &one, sizeof(one));	/* EAGAIN: it is readable already */
	} while (n < 0 && errno == EINTR);
}

void server_ready(struct server *server)
{
	atomic_store(&server->ready, true);
	set_event(server->event_fd);
}

void server_ended(struct server *server)
{
	if (atomic_exchange(&server->ended, true))
		return;
	cwt_stopping(server->cwt);	/* at once: who unmounted us may be starting us anew already */
	set_event(server->event_fd);
}

void server_stop_loops(struct server *server)
{
	atomic_store(&server->stopping, true);
	set_event(server->stop_fd);
}
