/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cachewtfs: mount an image through the block cache.
 *
 * Start: parse, resolve paths (relative ones need our directory), fork (AIO contexts and threads do not survive it);
 * then, in the child, engine, loops, mount.  The parent waits for the outcome and exits with it.
 * Stop: a signal, or an unmount by somebody else; what is in flight is answered, then the engine commits and marks
 * itself clean.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log.h"
#include "daemon.h"
#include "engine/owner.h"
#include "loop.h"
#include "memory.h"
#include "mount_holders.h"
#include "mount_table.h"
#include "mountpoint.h"
#include "paths.h"
#include "pidfile.h"
#include "report.h"
#include "ring.h"
#include "server.h"
#include "session.h"
#include "sizes.h"
#include "status_text.h"

#define EXIT_USAGE 2
#define WAIT_STOPPING_MS 60000		/* for an owner that says it is about to end */
#define GRACE_MS 2000			/* for one that was just unmounted and could not say so yet */
#define GRACE_STEP_US 50000
#define LOOK_DELAY_MS 1000		/* a change of mounts seldom comes alone */
#define THREAD_STACK_BYTES (1u << 20)	/* what mlockall() pins for each thread */

struct program {
	struct options options;
	struct paths paths;
	struct server server;
	struct loops *loops;
	int signal_fd;
	int report;			/* to the parent; -1 in the foreground */
	bool cache_existed;		/* before this start */
	bool dead_mount;		/* lies on the mountpoint */
	dev_t mount_dev;		/* of our mount; 0: not known */
	int mounts_fd;			/* the table of mounts; -1: not watched */
	struct pidfile pidfile;
	uint64_t look_ms;		/* when to look what its change means; 0: it has not changed */
};

/*
 * ------------------------------------------------------------------ start
 */
static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* It stays pending, for those who ask after us. */
static bool is_signalled(void *user)
{
	const struct program *p = user;
	struct pollfd pfd = { .fd = p->signal_fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

static struct cwt_config config_of(const struct program *p)
{
	const struct options *o = &p->options;

	return (struct cwt_config){
		.origin_path = p->paths.origin,
		.cache_path = p->paths.cache,
		.metadata_path = p->paths.metadata,
		.cache_size_bytes = paths_new_cache_size(o, &p->paths),
		.block_size_bytes = o->block_size_bytes,
		.mode = o->mode,
		.policy = o->policy,
		.commit_interval_ms = o->commit_interval_ms,
		.read_only = o->read_only,
		.warm_after_power = o->warm_after_power,
		.trust_origin = o->trust_origin,
		.reset = o->reset,
		.wait_stopping_ms = WAIT_STOPPING_MS,
		.give_up = is_signalled,
		.give_up_user = (void *)p,
		.faults = (const char *const *)o->faults,
	};
}

/* The line of a store in use says by whom, and what is to be done about it. */
static int say_owner(const struct program *p, struct cwt_error *err)
{
	const char *const paths[] = { p->paths.metadata, p->paths.origin, p->paths.cache };
	char *source, *remedy;
	struct owner owner;
	long pid = 0;
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(paths) && !pid; i++)
		pid = owner_find(paths[i], &owner) ? (long)owner.pid : 0;
	if (!pid)
		return -EBUSY;
	source = mount_source_of("/proc", pid);
	remedy = mount_remedy("/proc", source, pid);
	error_set(err, -EBUSY, "%s: in use by process %ld (%s) (%s)", paths[i - 1], pid, *owner.name ? owner.name : "?", remedy);
	g_free(source);
	g_free(remedy);
	return -EBUSY;
}

/*
 * Open the engine.  umount(8) returns before the daemon has even heard of it: an owner that is not to be seen in the
 * mount table may be one that ends just now, so it gets a moment.  One that is to be seen is refused at once.
 */
static int open_engine(struct program *p, struct cwt_error *err)
{
	uint64_t give_up_ms = now_ms() + GRACE_MS;

	for (;;) {
		bool wait = now_ms() < give_up_ms && !mount_is_visible(MOUNT_TYPE, p->paths.origin);
		struct cwt_config config;
		int ret = paths_choose_pair(&p->options, &p->paths, err);

		if (ret)
			return ret;
		if (p->paths.pair == 1 || !wait) {
			p->cache_existed = paths_cache_exists(&p->paths);
			config = config_of(p);
			ret = cwt_open(&config, &p->server.cwt, err);
			if (ret != -EBUSY || !wait)
				return ret == -EBUSY ? say_owner(p, err) : ret;
		}
		if (is_signalled(p))
			return error_set(err, -EINTR, "%s: given up while waiting for its owner to end (start again)",
					 p->paths.origin);
		usleep(GRACE_STEP_US);
	}
}

/* Seen by who started us, too: the terminal is still there. */
static void say(const struct program *p, const char *what, const char *said)
{
	char *line = g_strdup_printf("%s: %s", what, said);

	log_warning("%s", line);
	if (p->report >= 0)
		daemon_print_line(line);
	g_free(line);
}

static int check_empty(const struct program *p, struct cwt_error *err)
{
	const struct paths *paths = &p->paths;
	const char *const stores[] = { paths->origin, paths->cache_is_default ? paths->folder : paths->cache,
				       paths->metadata_is_default ? paths->folder : paths->metadata, NULL };

	return p->options.nonempty ? 0 : mountpoint_check_empty(paths->mountpoint, stores, err);
}

/* What lies under it can only be seen now. */
static int detach_dead_mount(struct program *p, struct cwt_error *err)
{
	int ret = mountpoint_detach_dead(p->paths.mountpoint, err);

	if (ret)
		return ret;
	ret = paths_hold_mountpoint(&p->paths);
	if (ret)
		return error_set(err, ret, "%s: %s, below the dead mount (start again)", p->paths.mountpoint, strerror(-ret));
	say(p, p->paths.mountpoint, "detached the dead mount of a cachewtfs that has ended");
	return check_empty(p, err);
}

/* Nobody asked for a file of this size: it is not to be found out by a full disk. */
static void say_cache_made(const struct program *p)
{
	char size[SIZE_TEXT_BYTES], *text;
	struct stat st;

	if (p->cache_existed || p->options.cache_size_bytes || stat(p->paths.cache, &st))
		return;
	size_format((uint64_t)st.st_size, size);
	text = g_strdup_printf("made this cache, of %s (a tenth of the free space there, at most the origin; --cache-size gives "
			       "another)", size);
	say(p, p->paths.cache, text);
	g_free(text);
}

/* For threads made from now on, the engine's too. */
static void prepare_threads(void)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
	memory_keep_heap();
}

/*
 * What would end the process has a meaning or is ignored, for the end leaves a dead mount: SIGXFSZ makes a write fail with
 * EFBIG, SIGTTOU would stop a daemon in the background of a terminal that it logs to.  What tells of a bug stays as it is,
 * and so do SIGTSTP and SIGCONT.
 */
static const int stop_signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGXCPU };
static const int ignored_signals[] = { SIGPIPE, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSTKFLT, SIGXFSZ,
				       SIGTTIN, SIGTTOU };

static void block_signals(struct program *p)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++)
		sigaddset(&set, stop_signals[i]);
	sigaddset(&set, SIGUSR1);
	if (p->report < 0)
		sigaddset(&set, SIGHUP);
	else
		signal(SIGHUP, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(ignored_signals); i++)
		signal(ignored_signals[i], SIG_IGN);
	for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
		signal(signo, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);	/* who started us may have ignored it: then nobody could wait for fusermount3 */
	sigprocmask(SIG_SETMASK, &set, NULL);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Status context: to ask the engine may wait. */
static void run_statistics(struct job *base)
{
	struct server_job *job = container_of(base, struct server_job, job);
	struct cwt_status s;

	cwt_get_status(job->server->cwt, &s);
	log_info("statistics: read hits %llu, read misses %llu, write hits %llu, write misses %llu, bypassed %llu, "
		 "promotions %llu, demotions %llu, mapped %llu of %llu, origin errors %llu, cache errors %llu, "
		 "metadata errors %llu, in flight %llu, bypass %s", (unsigned long long)s.read_hits,
		 (unsigned long long)s.read_misses, (unsigned long long)s.write_hits, (unsigned long long)s.write_misses,
		 (unsigned long long)s.bypassed, (unsigned long long)s.promotions, (unsigned long long)s.demotions,
		 (unsigned long long)s.nr_mapped, (unsigned long long)s.nr_cblocks,
		 (unsigned long long)(s.origin_read_errors + s.origin_write_errors + s.origin_flush_errors),
		 (unsigned long long)(s.cache_read_errors + s.cache_write_errors + s.cache_flush_errors),
		 (unsigned long long)s.metadata_errors, (unsigned long long)s.requests_in_flight,
		 status_bypass_name(s.bypass));
	g_free(job);
}

static void log_statistics(struct program *p)
{
	struct server_job *job = g_new0(struct server_job, 1);

	job->job.run = run_statistics;
	job->server = &p->server;
	if (!worker_push(&p->server.statuses, &job->job))
		g_free(job);
}

enum event { EVENT_READY, EVENT_ENDED, EVENT_SIGNAL };

/*
 * Somebody may have put to use a loop device over the image.  The warnings are logged by the look.  Returns the
 * milliseconds that poll() may wait.
 */
static int watch_mounts(struct program *p, struct pollfd *mounts)
{
	uint64_t now = now_ms();

	if (mounts->revents && !p->look_ms)
		p->look_ms = now + LOOK_DELAY_MS;
	mounts->revents = 0;
	if (p->look_ms && p->look_ms <= now) {
		p->look_ms = 0;
		g_strfreev(warnings_look(p->server.warnings));
	}
	mounts->fd = p->look_ms ? -1 : p->mounts_fd;
	return p->look_ms ? (int)(p->look_ms - now) : -1;
}

/* ready: wait for EVENT_READY too. */
static enum event wait_for_event(struct program *p, bool ready)
{
	struct pollfd fds[] = {
		{ .fd = p->signal_fd, .events = POLLIN },
		{ .fd = p->server.event_fd, .events = POLLIN },
		{ .fd = p->mounts_fd, .events = POLLPRI },
	};
	struct signalfd_siginfo info;
	uint64_t count;
	ssize_t n;

	for (;;) {
		if (atomic_load(&p->server.ended))
			return EVENT_ENDED;
		if (ready && atomic_load(&p->server.ready))
			return EVENT_READY;
		n = read(p->signal_fd, &info, sizeof(info));
		if (n == (ssize_t)sizeof(info) && info.ssi_signo == SIGUSR1) {
			log_statistics(p);
			continue;
		}
		if (n == (ssize_t)sizeof(info)) {
			log_info("%s: stopping", strsignal((int)info.ssi_signo));
			return EVENT_SIGNAL;
		}
		poll(fds, 3, watch_mounts(p, &fds[2]));
		n = read(p->server.event_fd, &count, sizeof(count));
	}
}

/* libfuse falls back by itself when it cannot set the rings up; the answer to any request shows it. */
static void report_transport(struct program *p)
{
	char *path = g_build_filename(p->paths.mountpoint, p->options.name, NULL);

	if (access(path, F_OK))
		log_debug("%s: %s", path, strerror(errno));
	if (!atomic_load(&p->server.by_ring))
		log_warning("-o io_uring: libfuse or the kernel refused it, requests come by /dev/fuse (-d shows what "
			    "libfuse says)");
	g_free(path);
}

static int mount_and_serve(struct program *p, struct cwt_error *err)
{
	struct stat st;
	int fuse_fd, ret;

	if (paths_follow_mountpoint(&p->paths))
		log_warning("MOUNTPOINT was moved meanwhile: it is mounted on %s", p->paths.mountpoint);
	ret = session_mount(&p->server, &p->paths, &fuse_fd, err);
	if (ret)
		return ret;
	if (p->paths.mountpoint_fd >= 0)
		close(p->paths.mountpoint_fd);	/* else what lies below could not be unmounted */
	p->paths.mountpoint_fd = -1;
	loops_run(p->loops, fuse_fd);
	if (wait_for_event(p, true) != EVENT_READY)
		return error_set(err, -EINTR, "%s: the mount ended before it was ready (start again)",
				 p->paths.mountpoint);
	if (!stat(p->paths.mountpoint, &st) && S_ISDIR(st.st_mode)) {
		p->mount_dev = st.st_dev;
		warnings_mounted(p->server.warnings, st.st_dev);
		p->mounts_fd = open(MOUNT_TABLE, O_RDONLY | O_CLOEXEC);
	}
	if (p->options.io_uring)
		report_transport(p);
	log_info("%s is mounted on %s: %s", p->paths.origin, p->paths.mountpoint, cwt_start_reason(p->server.cwt));
	/*
	 * Ready is when all is: who waits for us waits for the pidfile, or for our parent, and may then count on locked
	 * memory.  Nothing may come after the lock but these two, for what comes later is not locked.
	 */
	atomic_store(&p->server.locked, memory_lock());
	return pidfile_write(&p->pidfile, p->paths.pidfile, err);
}

/*
 * ------------------------------------------------------------------ stop
 */
static volatile sig_atomic_t nr_signals;

static void exit_at_second(int signo)
{
	(void)signo;
	if (++nr_signals >= 2)
		_exit(1);	/* a crash, and as safe as one */
}

static void watch_second_signal(struct program *p, enum event event)
{
	struct sigaction action = { .sa_handler = exit_at_second, .sa_flags = SA_RESTART };
	sigset_t set;

	nr_signals = event == EVENT_SIGNAL;
	close(p->signal_fd);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++) {
		sigaction(stop_signals[i], &action, NULL);
		sigaddset(&set, stop_signals[i]);
	}
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Somebody may have mounted over us: that is not ours to unmount. */
static bool is_our_mount(const struct program *p)
{
	struct stat st;

	return !p->mount_dev || (!stat(p->paths.mountpoint, &st) && st.st_dev == p->mount_dev);
}

/* What shared mappings have changed is the kernel's until now; after a lazy unmount nobody would take it. */
static void write_back_pages(struct program *p)
{
	char *path = g_build_filename(p->paths.mountpoint, p->options.name, NULL);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fsync(fd))
		log_warning("%s: what was written through memory mappings may be lost: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	g_free(path);
}

static void warn_users(struct program *p)
{
	char **users = warnings_users(p->server.warnings);

	for (char **user = users; *user; user++)
		log_warning("%s is over the image: what was written there and not synced is lost, and from now on all use of it "
			    "fails (unmount and detach it before a stop)", *user);
	g_strfreev(users);
}

/* While the loops still serve: the kernel may have questions. */
static void unmount(struct program *p)
{
	unsigned nr_handles = atomic_load(&p->server.nr_handles);
	int ret;

	if (!is_our_mount(p)) {
		log_warning("%s: something else is mounted over this mount; it is left there", p->paths.mountpoint);
		return;
	}
	if (nr_handles)
		log_warning("%u open file%s in %s (a loop device counts as one): from now on they fail", nr_handles,
			    nr_handles == 1 ? "" : "s", p->paths.mountpoint);
	if (nr_handles)
		warn_users(p);
	if (nr_handles && p->options.page_cache && !p->options.read_only)
		write_back_pages(p);
	ret = mountpoint_unmount(p->paths.mountpoint, nr_handles != 0);
	if (ret == -EBUSY && !nr_handles) {
		log_warning("%s is in use (somebody's working directory): it is detached", p->paths.mountpoint);
		ret = mountpoint_unmount(p->paths.mountpoint, true);
	}
	if (ret && !atomic_load(&p->server.ended))
		log_error("%s: cannot unmount: %s (fusermount3 -u)", p->paths.mountpoint, strerror(-ret));
}

/* Undo everything that was done, in reverse; the order of an orderly stop too. */
static int close_all(struct program *p)
{
	int ret = 0;

	if (p->server.session && !atomic_load(&p->server.ended))
		unmount(p);
	server_stop_invalidating(&p->server);
	server_stop_loops(&p->server);
	if (p->loops)
		loops_join(p->loops);
	if (p->server.rings)
		rings_close(p->server.rings);
	server_close(&p->server);
	if (p->server.cwt)
		ret = cwt_close(p->server.cwt);
	session_close(&p->server);
	if (p->mounts_fd >= 0)
		close(p->mounts_fd);
	return ret;
}

/*
 * Where the stores answer at the speed of memory, waking up is most of what a client sees that waits for each answer: to
 * look for its next request for as long as that takes doubled its speed.  On a disk it waits for the disk.
 */
static uint32_t default_busy_poll_us(const struct cwt *cwt)
{
	return cwt_loops_advised(cwt) == 1 ? BUSY_POLL_MEMORY_US : 0;
}

/* Everything after the fork.  The exit status. */
static int serve(struct program *p)
{
	const struct options *o = &p->options;
	struct cwt_error err = { "" };
	enum event event;
	unsigned nr_loops = 0;
	bool io_flusher;
	int ret;

	umask(077);		/* for what we make; the pidfile sets its own mode */
	block_signals(p);
	prepare_threads();
	io_flusher = memory_be_io_flusher();
	ret = server_open(&p->server, o, &err);
	p->server.io_flusher = io_flusher;
	if (!ret)
		ret = open_engine(p, &err);
	if (!ret)
		memory_pin(p->paths.metadata);
	if (!ret)
		p->server.warnings = warnings_new(p->paths.origin, p->paths.cache, p->paths.metadata);
	if (!ret && p->dead_mount)
		ret = detach_dead_mount(p, &err);
	if (!ret) {
		p->server.size_bytes = cwt_size_bytes(p->server.cwt);
		p->server.block_size_bytes = cwt_block_size_bytes(p->server.cwt);
		nr_loops = o->loops ? o->loops : cwt_loops_advised(p->server.cwt);
		p->server.busy_poll_us = o->own_busy_poll ? o->busy_poll_us : default_busy_poll_us(p->server.cwt);
		if (o->io_uring)
			nr_loops = MIN(nr_loops, CWT_LOOPS_MAX - 1);
		ret = loops_start(&p->server, nr_loops, &p->loops, &err);
	}
	if (!ret && o->io_uring)
		ret = rings_open(&p->server, CWT_LOOPS_MAX - nr_loops, &p->server.rings, &err);
	if (!ret)
		ret = mount_and_serve(p, &err);
	if (ret) {
		close_all(p);
		daemon_failed(p->report, err.text);
		return EXIT_FAILURE;
	}
	say_cache_made(p);
	daemon_ready(p->report);

	event = wait_for_event(p, false);
	watch_second_signal(p, event);
	cwt_stopping(p->server.cwt);
	ret = close_all(p);
	pidfile_remove(&p->pidfile);
	if (!ret)
		log_info("stopped: the origin has everything, and the cache is clean");
	else
		log_error("the stop was not clean: %s; the next start decides what of the cache is good",
			  strerror(-ret));
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * ------------------------------------------------------------------ command line
 */
static void print_help(void)
{
	char *help = options_help();

	fputs(help, stdout);
	g_free(help);
}

/* Before the fork.  The exit status; -1: go on. */
static int prepare(struct program *p, int argc, char **argv, struct cwt_error *err)
{
	if (options_parse(argc, argv, &p->options, err))
		return EXIT_USAGE;
	if (p->options.action == OPTIONS_HELP) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (p->options.action == OPTIONS_VERSION) {
		printf("cachewtfs %s (libfuse %s)\n", cwt_version(), fuse_pkgversion());
		return EXIT_SUCCESS;
	}
	if (p->options.io_uring && rings_check(err))
		return EXIT_FAILURE;
	if (paths_resolve(&p->options, &p->paths, err) || pidfile_check(p->paths.pidfile, err))
		return EXIT_FAILURE;
	if (p->paths.fuse_fd < 0 && mountpoint_check(p->paths.mountpoint, &p->dead_mount, err))
		return EXIT_FAILURE;
	if (p->paths.fuse_fd < 0 && !p->dead_mount && check_empty(p, err))
		return EXIT_FAILURE;
	daemon_close_inherited(p->paths.mountpoint_fd, p->paths.fuse_fd);
	return -1;
}

int main(int argc, char **argv)
{
	static struct program program = { .report = -1, .mounts_fd = -1 };
	struct cwt_error err = { "" };
	int status;

	daemon_open_standard_fds();
	g_set_prgname("cachewtfs");
	status = prepare(&program, argc, argv, &err);
	if (status < 0 && !program.options.foreground && daemon_fork(&program.report, &err))
		status = EXIT_FAILURE;
	if (status < 0) {
		if (chdir("/"))
			log_debug("chdir: %s", strerror(errno));
		report_open(program.options.name, program.options.foreground, program.options.debug);
		status = serve(&program);
	} else if (status != EXIT_SUCCESS) {
		daemon_print_line(err.text);
	}
	paths_free(&program.paths);
	options_free(&program.options);
	return status;
}
