/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ring.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "config.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/log.h"
#include "ring.h"

#define ENABLE_URING "/sys/module/fuse/parameters/enable_uring"

struct ring {
	struct rings *rings;
	struct cwt_loop *loop;		/* whose thread is whoever has set taken */
	struct slot slot;		/* of the request under way */
	bool in_flight;
	bool taken;			/* protected by rings->lock */
	pthread_cond_t left;
};

struct rings {
	struct server *server;
	pthread_mutex_t lock;		/* momentary; never held over a turn or a wait for I/O */
	pthread_cond_t quiet;		/* nr_inside has become 0 */
	unsigned nr_inside;		/* handlers that use the engine; protected by lock */
	bool closed;			/* protected by lock */
	pthread_t caretaker;
	int epoll_fd;			/* the loops that were left with something under way, once each; stop_fd */
	int stop_fd;
	atomic_uint nr_threads;		/* of libfuse that have come by */
	unsigned nr;
	struct ring ring[CWT_LOOPS_MAX];
};

/*
 * ------------------------------------------------------------------ is it to be had?
 */
int rings_check(struct cwt_error *err)
{
#ifdef HAVE_FUSE_URING
	FILE *file = fopen(ENABLE_URING, "re");
	int answer = file ? fgetc(file) : EOF, error = errno;

	if (file)
		fclose(file);
	if (!file)
		return error_set(err, -ENOTSUP, "-o io_uring: " ENABLE_URING ": %s (it takes Linux 6.14 or later, with "
				 "the module fuse loaded; or leave io_uring out)", strerror(error));
	if (answer != 'Y' && answer != '1')
		return error_set(err, -ENOTSUP, "-o io_uring: " ENABLE_URING " is not Y (as root: echo Y > "
				 ENABLE_URING "; or leave io_uring out)");
	return 0;
#else
	return error_set(err, -ENOTSUP, "-o io_uring: this cachewtfs was built with libfuse %s and without rings (build "
			 "it with libfuse 3.18 or later, or leave io_uring out)", fuse_pkgversion());
#endif
}

bool ring_brought(fuse_req_t req)
{
#ifdef HAVE_FUSE_URING
	struct server *server = fuse_req_userdata(req);
	bool by_ring = fuse_req_is_uring(req);

	if (by_ring && !atomic_load_explicit(&server->by_ring, memory_order_relaxed))
		atomic_store(&server->by_ring, true);
	return by_ring;
#else
	(void)req;
	return false;
#endif
}

/* libfuse's buffer of the request: the data that came with it, or room for the answer. */
static void *payload_of(fuse_req_t req, size_t *len)
{
	char *payload = NULL;

	*len = 0;
#ifdef HAVE_FUSE_URING
	if (fuse_req_get_payload(req, &payload, len, NULL))
		payload = NULL;
#else
	(void)req;
#endif
	return payload;
}

/*
 * ------------------------------------------------------------------ taking and leaving a loop
 */

/* libfuse binds each of its threads to a processor; so a thread, once it has come, keeps to its loop. */
static struct ring *ring_of_thread(struct rings *rings)
{
	static __thread struct ring *mine;

	if (!mine)
		mine = &rings->ring[atomic_fetch_add(&rings->nr_threads, 1) % rings->nr];
	return mine;
}

static bool ring_take(struct ring *ring)
{
	struct rings *rings = ring->rings;
	bool taken = false;

	pthread_mutex_lock(&rings->lock);
	while (ring->taken && !rings->closed)
		pthread_cond_wait(&ring->left, &rings->lock);
	if (!rings->closed) {
		ring->taken = taken = true;
		rings->nr_inside++;
	}
	pthread_mutex_unlock(&rings->lock);
	return taken;
}

static void leave_locked(struct rings *rings)
{
	cwt_assert(rings->nr_inside > 0);
	if (!--rings->nr_inside)
		pthread_cond_broadcast(&rings->quiet);
}

/* Under the lock, so that the caretaker, who comes at once if there is something to do, finds it left. */
static void ring_leave(struct ring *ring)
{
	struct rings *rings = ring->rings;
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.ptr = ring };
	bool busy = cwt_loop_busy(ring->loop);

	pthread_mutex_lock(&rings->lock);
	ring->taken = false;
	if (busy)
		epoll_ctl(rings->epoll_fd, EPOLL_CTL_MOD, cwt_loop_fd(ring->loop), &event);
	pthread_cond_signal(&ring->left);
	leave_locked(rings);
	pthread_mutex_unlock(&rings->lock);
}

/* Not if it is taken: who has it turns it, and says so again when it is left. */
static void care_for(struct ring *ring)
{
	struct rings *rings = ring->rings;
	bool mine;

	pthread_mutex_lock(&rings->lock);
	mine = !ring->taken && !rings->closed;
	if (mine) {
		ring->taken = true;
		rings->nr_inside++;
	}
	pthread_mutex_unlock(&rings->lock);
	if (!mine)
		return;
	while (cwt_loop_turn(ring->loop))
		;
	ring_leave(ring);
}

static void *caretaker_main(void *arg)
{
	struct rings *rings = arg;
	struct epoll_event event;

	for (;;) {
		if (epoll_wait(rings->epoll_fd, &event, 1, -1) < 1)
			continue;
		if (!event.data.ptr)
			return NULL;
		care_for(event.data.ptr);
	}
}

bool rings_enter(struct rings *rings)
{
	bool entered;

	pthread_mutex_lock(&rings->lock);
	entered = !rings->closed;
	rings->nr_inside += entered;
	pthread_mutex_unlock(&rings->lock);
	return entered;
}

void rings_leave(struct rings *rings)
{
	pthread_mutex_lock(&rings->lock);
	leave_locked(rings);
	pthread_mutex_unlock(&rings->lock);
}

/*
 * ------------------------------------------------------------------ for the handlers
 */
struct slot *ring_slot(fuse_req_t req, size_t len)
{
	struct server *server = fuse_req_userdata(req);
	struct ring *ring = ring_of_thread(server->rings);
	size_t payload_bytes;
	void *payload = payload_of(req, &payload_bytes);

	if (!payload || len > payload_bytes) {
		log_error("io_uring: no buffer for %zu bytes", len);
		fuse_reply_err(req, EIO);
		return NULL;
	}
	if (!ring_take(ring)) {
		fuse_reply_err(req, ENODEV);
		return NULL;
	}
	ring->slot = (struct slot){ .ring = ring, .payload = payload, .req = req };
	return &ring->slot;
}

void ring_submit(struct slot *slot)
{
	struct ring *ring = slot->ring;
	struct pollfd pfd = { .fd = cwt_loop_fd(ring->loop), .events = POLLIN };

	ring->in_flight = true;
	cwt_submit(ring->loop, &slot->request);
	while (ring->in_flight)
		if (!cwt_loop_turn(ring->loop) && ring->in_flight)
			poll(&pfd, 1, -1);
	ring_leave(ring);
}

void ring_finish(struct slot *slot)
{
	cwt_assert(slot->ring->in_flight);
	slot->ring->in_flight = false;
}

/*
 * ------------------------------------------------------------------ start and end
 */
static int watch(struct rings *rings, int fd, uint32_t events, struct ring *ring)
{
	struct epoll_event event = { .events = events, .data.ptr = ring };

	return epoll_ctl(rings->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int ring_open(struct rings *rings, struct ring *ring)
{
	int err = cwt_loop_open(rings->server->cwt, &ring->loop);

	if (err)
		return err;
	ring->rings = rings;
	pthread_cond_init(&ring->left, NULL);
	err = watch(rings, cwt_loop_fd(ring->loop), EPOLLONESHOT, ring);	/* nothing before it was left busy */
	if (err) {
		pthread_cond_destroy(&ring->left);
		cwt_loop_close(ring->loop);
	}
	return err;
}

static int rings_open_fds(struct rings *rings)
{
	rings->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rings->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (rings->epoll_fd < 0 || rings->stop_fd < 0)
		return -errno;
	return watch(rings, rings->stop_fd, EPOLLIN, NULL);
}

static void rings_free(struct rings *rings)
{
	for (unsigned n = 0; n < rings->nr; n++) {
		cwt_loop_close(rings->ring[n].loop);
		pthread_cond_destroy(&rings->ring[n].left);
	}
	if (rings->epoll_fd >= 0)
		close(rings->epoll_fd);
	if (rings->stop_fd >= 0)
		close(rings->stop_fd);
}

int rings_open(struct server *server, unsigned nr_max, struct rings **out, struct cwt_error *err)
{
	struct rings *rings = g_new0(struct rings, 1);
	unsigned nr = MIN((unsigned)get_nprocs_conf(), nr_max);
	int error;

	rings->server = server;
	pthread_mutex_init(&rings->lock, NULL);
	pthread_cond_init(&rings->quiet, NULL);
	error = rings_open_fds(rings);
	while (!error && rings->nr < nr) {
		error = ring_open(rings, &rings->ring[rings->nr]);
		rings->nr += !error;
	}
	if (!error)
		error = -pthread_create(&rings->caretaker, NULL, caretaker_main, rings);
	if (error) {
		rings_free(rings);
		g_free(rings);
		return error_set(err, error, "-o io_uring: loop: %s (raise fs.aio-max-nr, or the limits of memory, "
				 "threads and open files)", strerror(-error));
	}
	*out = rings;
	return 0;
}

/* The rest stays: libfuse's threads may still ask whether it is closed. */
void rings_close(struct rings *rings)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&rings->lock);
	rings->closed = true;
	for (unsigned n = 0; n < rings->nr; n++)
		pthread_cond_broadcast(&rings->ring[n].left);
	while (rings->nr_inside)
		pthread_cond_wait(&rings->quiet, &rings->lock);
	pthread_mutex_unlock(&rings->lock);
	while (write(rings->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(rings->caretaker, NULL);
	rings_free(rings);
}

/* The only call of libfuse's interface that ends them: a loop, of which nothing is left but its end. */
void rings_end_threads(struct server *server)
{
	if (!atomic_load(&server->by_ring))
		return;
	fuse_session_exit(server->session);
	fuse_session_loop(server->session);
}
