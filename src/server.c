/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See server.h. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bits.h"
#include "ring.h"
#include "server.h"

#define NR_WORKERS 4u

static struct worker *worker_of(struct server *server, unsigned n)
{
	struct worker *const workers[NR_WORKERS] = { &server->queries, &server->messages, &server->statuses,
						     &server->invalidations };

	return workers[n];
}

static int start_workers(struct server *server, struct cwt_error *err)
{
	unsigned nr = server->options->page_cache ? NR_WORKERS : NR_WORKERS - 1;

	for (; server->nr_workers < nr; server->nr_workers++) {
		int ret = worker_start(worker_of(server, server->nr_workers));

		if (ret)
			return error_set(err, ret, "thread: %s (raise the limit of processes)", strerror(-ret));
	}
	return 0;
}

int server_open(struct server *server, const struct options *options, struct cwt_error *err)
{
	*server = (struct server){ .options = options, .uid = getuid(), .gid = getgid(),
				   .stop_fd = -1, .event_fd = -1 };
	clock_gettime(CLOCK_REALTIME, &server->start_time);
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->stop_fd < 0 || server->event_fd < 0)
		return error_set(err, -errno, "eventfd: %s (raise the limit of open files)", strerror(errno));
	return start_workers(server, err);
}

void server_close(struct server *server)
{
	for (; server->nr_workers; server->nr_workers--) {
		struct worker *worker = worker_of(server, server->nr_workers - 1);

		worker_stop(worker);
		worker_destroy(worker);
	}
	if (server->stop_fd >= 0)
		close(server->stop_fd);
	if (server->event_fd >= 0)
		close(server->event_fd);
	server->stop_fd = server->event_fd = -1;
	warnings_free(server->warnings);
	server->warnings = NULL;
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

void server_start_job(struct worker *worker, struct server_job *job)
{
	struct rings *rings = job->server->rings;

	if (!ring_brought(job->req)) {
		worker_push(worker, &job->job);
	} else if (rings_enter(rings)) {
		job->job.run(&job->job);
		rings_leave(rings);
	} else {
		fuse_reply_err(job->req, ENODEV);
		g_free(job);
	}
}

void server_stop_invalidating(struct server *server)
{
	if (server->nr_workers == NR_WORKERS)
		worker_stop(&server->invalidations);
}

void server_stop_loops(struct server *server)
{
	atomic_store(&server->stopping, true);
	set_event(server->stop_fd);
}
