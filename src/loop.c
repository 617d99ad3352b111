/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See loop.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/log.h"
#include "loop.h"
#include "memory.h"
#include "ring.h"

#define POLL_SKIP_MAX 63u

/* What the threads wait for at the start; protected by loops->lock. */
enum gate { GATE_CLOSED, GATE_RUN, GATE_ABORT };

struct loop {
	struct loops *loops;
	struct server *server;
	pthread_t thread;
	struct cwt_loop *cwt_loop;
	struct pool pool;
	struct slot *received;		/* of the request that is being handled; NULL when its handler has taken it */
	unsigned in_flight;		/* slots that the engine has: not answered, or not released */
	unsigned poll_skip, poll_misses;	/* waits to come without a look; looks in vain, doubled */
	unsigned burst;			/* how many requests are received before a turn, 1 to TURN_REQUESTS */
	int epoll_fd;			/* FUSE, the engine, the stop */
	int engine_epoll_fd;		/* the engine and the stop */
	int error;			/* of the start */
	bool opened;			/* the start has ended, well or with error; protected by loops->lock */
};

struct loops {
	struct server *server;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum gate gate;
	int fuse_fd;
	unsigned nr;			/* threads that exist */
	struct loop loop[CWT_LOOPS_MAX];
};

static __thread struct loop *current;

/*
 * ------------------------------------------------------------------ for the handlers
 */
static struct slot *take_received(void)
{
	struct slot *slot = current->received;

	cwt_assert(slot);
	current->received = NULL;
	return slot;
}

struct slot *loop_slot(fuse_req_t req, size_t len)
{
	struct slot *slot;

	if (ring_brought(req))
		return ring_slot(req, len);
	slot = len <= SLOT_SMALL_BYTES ? pool_get_small(&current->pool) : NULL;
	if (!slot)
		slot = take_received();
	slot->req = req;
	return slot;
}

/* While large slots are plenty, not copying is faster; when they are not, they are what lets us receive. */
struct slot *loop_slot_of_write(fuse_req_t req, const char **data, size_t len)
{
	struct slot *slot = NULL;
	struct pool *pool;

	if (ring_brought(req))
		return ring_slot(req, len);
	pool = &current->pool;
	if (len <= SLOT_SMALL_BYTES && pool->nr_large_free < pool->nr_large / 2)
		slot = pool_get_small(pool);
	if (slot) {
		memcpy(slot_payload(slot), *data, len);
		*data = slot_payload(slot);
	} else {
		slot = take_received();
	}
	slot->req = req;
	return slot;
}

void loop_submit(struct slot *slot)
{
	if (slot->ring) {
		ring_submit(slot);
		return;
	}
	current->in_flight++;
	cwt_submit(current->cwt_loop, &slot->request);
}

void loop_finish(struct slot *slot)
{
	if (slot->ring) {
		ring_finish(slot);
		return;
	}
	cwt_assert(current->in_flight > 0);
	current->in_flight--;
	pool_put(&current->pool, slot);
}

/*
 * ------------------------------------------------------------------ a turn
 */
enum received { RECEIVED_ALL, RECEIVED_SOME, RECEIVED_NO_SLOT, RECEIVED_END };

/* One request.  Returns RECEIVED_SOME: there may be more. */
static enum received receive_one(struct loop *loop)
{
	struct slot *slot = pool_get_large(&loop->pool);
	struct fuse_buf buf = { 0 };
	ssize_t n;
	int error;

	if (!slot)
		return RECEIVED_NO_SLOT;
	n = read(loop->loops->fuse_fd, slot_receive(slot), RECEIVE_BYTES);
	error = errno;
	if (n > 0) {
		buf.mem = slot_receive(slot);
		buf.size = (size_t)n;
		loop->received = slot;
		fuse_session_process_buf(loop->server->session, &buf);
		slot = loop->received;
		loop->received = NULL;
	}
	if (slot)
		pool_put(&loop->pool, slot);
	if (n > 0 || error == EINTR || error == ENOENT)	/* ENOENT: its sender gave up meanwhile */
		return RECEIVED_SOME;
	if (n < 0 && error == EAGAIN)
		return RECEIVED_ALL;
	if (n < 0 && error != ENODEV)
		log_error("receive: %s; the mount ends", strerror(error));
	return RECEIVED_END;
}

/*
 * As many as came together the last time, then a turn, then the rest: a request that comes alone is on its way to the
 * store before we ask whether there is another, and of those that come together none waits for more than one turn.
 */
static enum received receive(struct loop *loop, int *did)
{
	enum received received = RECEIVED_SOME;
	unsigned nr = 0;

	while (nr < loop->burst && received == RECEIVED_SOME) {
		received = receive_one(loop);
		nr += received == RECEIVED_SOME;
	}
	if (received == RECEIVED_ALL)
		loop->burst = MAX(nr, 1u);
	else if (received == RECEIVED_SOME)
		loop->burst = MIN(loop->burst * 2, TURN_REQUESTS);
	*did += (int)nr;
	return received;
}

/*
 * Nothing to do: wait, and say whether there may be requests to receive.  Without a slot the FUSE descriptor is of no
 * use now: answers free slots, and they come from the engine.
 */
static bool wait_for_work(struct loop *loop, bool for_requests)
{
	struct epoll_event events[3];
	int nr = epoll_wait(for_requests ? loop->epoll_fd : loop->engine_epoll_fd, events, ARRAY_SIZE(events), -1);

	for (int i = 0; i < nr; i++)
		if (events[i].data.fd != cwt_loop_fd(loop->cwt_loop))
			return true;
	return nr < 0;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/*
 * Busy polling: is it too early to wait?  *idle_since_us is 0 while there is work.  A client that needs longer than we
 * look makes us go to sleep at once more and more often, up to POLL_SKIP_MAX times in a row, until a look pays again.
 */
static bool keep_polling(struct loop *loop, uint64_t *idle_since_us)
{
	uint32_t poll_us = loop->server->busy_poll_us;

	if (!poll_us)
		return false;
	if (!*idle_since_us && loop->poll_skip) {
		loop->poll_skip--;
		return false;
	}
	if (!*idle_since_us)
		*idle_since_us = now_us();
	if (now_us() - *idle_since_us < poll_us)
		return true;
	loop->poll_misses = MIN(2 * loop->poll_misses + 1, POLL_SKIP_MAX);
	loop->poll_skip = loop->poll_misses;
	return false;
}

/*
 * What the descriptors and the client are asked is what costs, so each is asked only when it may have something: FUSE
 * not after it said that it has nothing, until a wait or an answer (the client may go on at once) - but one client that
 * waits for its only request goes on when we sleep, and is met by the wait.
 */
static void serve(struct loop *loop)
{
	bool receiving = true, dry = false;
	uint64_t idle_since_us = 0;

	while (receiving || loop->in_flight) {
		/* Seen before receiving: what the kernel had queued until the stop is still received, once. */
		bool last = atomic_load_explicit(&loop->server->stopping, memory_order_relaxed);
		enum received received = RECEIVED_ALL;
		unsigned in_flight;
		int did = 0;

		if (receiving && (!dry || last))
			received = receive(loop, &did);
		dry = received == RECEIVED_ALL;
		if (received == RECEIVED_END) {
			/* libfuse need not complain of answers that come late */
			fuse_session_exit(loop->server->session);
			server_ended(loop->server);
		}
		if (received == RECEIVED_END || last)
			receiving = false;
		in_flight = loop->in_flight;
		did += cwt_loop_turn(loop->cwt_loop);
		if (loop->in_flight && loop->in_flight < in_flight)
			dry = false;
		if (did && idle_since_us)
			loop->poll_misses = 0;
		if (did)
			idle_since_us = 0;
		if (did || !(receiving || loop->in_flight))
			continue;
		if (keep_polling(loop, &idle_since_us)) {
			dry = false;
			continue;
		}
		dry = !wait_for_work(loop, receiving && received != RECEIVED_NO_SLOT);
		idle_since_us = 0;
	}
}

/*
 * ------------------------------------------------------------------ start and end
 */
static int watch(int epoll_fd, int fd, uint32_t flags)
{
	struct epoll_event event = { .events = EPOLLIN | flags, .data.fd = fd };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int watch_engine(struct loop *loop, int *epoll_fd)
{
	int err;

	*epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (*epoll_fd < 0)
		return -errno;
	err = watch(*epoll_fd, cwt_loop_fd(loop->cwt_loop), EPOLLET);
	if (!err)
		err = watch(*epoll_fd, loop->server->stop_fd, EPOLLET);	/* it stays readable, and what is under way may take long */
	if (err)
		close(*epoll_fd);
	return err;
}

static int loop_open(struct loop *loop)
{
	int err = cwt_loop_open(loop->server->cwt, &loop->cwt_loop);

	if (err)
		return err;
	loop->burst = 1;
	cwt_loop_fd_edge_triggered(loop->cwt_loop);
	err = watch_engine(loop, &loop->epoll_fd);
	if (!err) {
		err = watch_engine(loop, &loop->engine_epoll_fd);
		if (err)
			close(loop->epoll_fd);
	}
	if (err)
		cwt_loop_close(loop->cwt_loop);
	return err;
}

/* Say how the start went; wait until there is something to serve.  false: there will be nothing. */
static bool pass_gate(struct loop *loop, int error)
{
	struct loops *loops = loop->loops;
	enum gate gate;

	pthread_mutex_lock(&loops->lock);
	loop->error = error;
	loop->opened = true;
	pthread_cond_broadcast(&loops->changed);
	while (!error && loops->gate == GATE_CLOSED)
		pthread_cond_wait(&loops->changed, &loops->lock);
	gate = loops->gate;
	pthread_mutex_unlock(&loops->lock);
	return !error && gate == GATE_RUN;
}

static void *loop_main(void *arg)
{
	struct loop *loop = arg;
	int err = loop_open(loop);

	memory_fill_thread();		/* now: what opening took is no longer there */
	current = loop;
	if (pass_gate(loop, err)) {
		err = watch(loop->epoll_fd, loop->loops->fuse_fd, EPOLLEXCLUSIVE);
		if (err) {
			log_error("epoll: %s; the mount ends", strerror(-err));
			server_ended(loop->server);
		} else {
			serve(loop);
		}
		err = 0;
	}
	if (!err) {
		cwt_loop_close(loop->cwt_loop);
		close(loop->epoll_fd);
		close(loop->engine_epoll_fd);
	}
	return NULL;
}

static int loop_start(struct loops *loops, struct loop *loop, unsigned nr_loops)
{
	int err = pool_open(&loop->pool, nr_loops);

	loop->loops = loops;
	loop->server = loops->server;
	if (!err)
		err = -pthread_create(&loop->thread, NULL, loop_main, loop);
	if (err) {
		pool_close(&loop->pool);
		return err;
	}
	pthread_mutex_lock(&loops->lock);
	while (!loop->opened)
		pthread_cond_wait(&loops->changed, &loops->lock);
	err = loop->error;
	pthread_mutex_unlock(&loops->lock);
	if (err) {
		pthread_join(loop->thread, NULL);
		pool_close(&loop->pool);
	}
	return err;
}

int loops_start(struct server *server, unsigned nr, struct loops **out, struct cwt_error *err)
{
	struct loops *loops = g_new0(struct loops, 1);
	int error = 0;

	loops->server = server;
	pthread_mutex_init(&loops->lock, NULL);
	pthread_cond_init(&loops->changed, NULL);
	while (loops->nr < nr && !error) {
		error = loop_start(loops, &loops->loop[loops->nr], nr);
		if (!error)
			loops->nr++;
	}
	if (!loops->nr) {
		loops_join(loops);
		return error_set(err, error, "loop: %s (raise fs.aio-max-nr, or the limits of memory and open files)",
				 strerror(-error));
	}
	if (error)
		log_warning("only %u of %u loops could be started: %s", loops->nr, nr, strerror(-error));
	*out = loops;
	return 0;
}

static void open_gate(struct loops *loops, enum gate gate)
{
	pthread_mutex_lock(&loops->lock);
	if (loops->gate == GATE_CLOSED)
		loops->gate = gate;
	pthread_cond_broadcast(&loops->changed);
	pthread_mutex_unlock(&loops->lock);
}

void loops_run(struct loops *loops, int fuse_fd)
{
	loops->fuse_fd = fuse_fd;
	open_gate(loops, GATE_RUN);
}

void loops_join(struct loops *loops)
{
	open_gate(loops, GATE_ABORT);
	for (unsigned n = 0; n < loops->nr; n++) {
		pthread_join(loops->loop[n].thread, NULL);
		pool_close(&loops->loop[n].pool);
	}
	pthread_cond_destroy(&loops->changed);
	pthread_mutex_destroy(&loops->lock);
	g_free(loops);
}
