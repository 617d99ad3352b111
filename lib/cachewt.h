/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libcachewt: a block cache engine with an ordered, race-free writethrough.
 *
 * An origin (a slow image, authoritative), a cache (a fast file) and a metadata file make one cwt.  Requests are given
 * to *loops*: each belongs to one thread, which submits requests, turns the loop, and gets every answer on that same
 * thread.
 *
 *	cwt_open(&config, &cwt, &err);
 *	cwt_loop_open(cwt, &loop);
 *	...  cwt_submit(loop, &request);  while (cwt_loop_turn(loop)) ;  poll(cwt_loop_fd(loop)) ...
 *	cwt_loop_close(loop);
 *	cwt_close(cwt);
 *
 * Errors: 0 or a negative errno; the global errno is left alone.  Context: said at each function.  Trouble with the
 * cache or the metadata is never an error of a request: it is counted, logged and seen in the status.
 *
 * What an answer means: a write that was answered is in the origin's page cache or device, as after pwrite(2); one with
 * `sync` is durable there; a flush that was answered 0 made everything answered before it durable on the origin.
 */
#ifndef CACHEWT_H
#define CACHEWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CWT_PUBLIC __attribute__((visibility("default")))

/* Limits. */
#define CWT_BLOCK_SIZE_MIN 4096u
#define CWT_BLOCK_SIZE_MAX (2u << 20)
#define CWT_BLOCK_SIZE_DEFAULT (64u << 10)
#define CWT_LOOPS_MAX 16u
#define CWT_COMMIT_INTERVAL_MS_DEFAULT 5000u

/* One line for a person, "WHAT: WHY (REMEDY)"; set by functions that take it whenever they return an error. */
struct cwt_error { char text[1024]; };

struct cwt;
struct cwt_loop;

enum cwt_mode {
	CWT_WRITETHROUGH,	/* reads and writes use the cache; a write goes to the origin, then to the cache */
	CWT_WRITEAROUND,	/* a write goes to the origin and drops the block from the cache */
	CWT_PASSTHROUGH,	/* as writearound, and reads go to the origin: the cache is only kept from going stale */
};

struct cwt_config {
	const char *origin_path;
	const char *cache_path;		/* made if missing, then cache_size_bytes is needed */
	const char *metadata_path;	/* made if missing */
	uint64_t cache_size_bytes;	/* 0: what the existing cache has; a block device: its size */
	uint32_t block_size_bytes;	/* 0: what the existing metadata says, else the default */
	enum cwt_mode mode;
	const char *policy;		/* NAME[,key=value...]; NULL: the default */
	uint32_t commit_interval_ms;	/* 0: the default */
	bool read_only;			/* never writes the origin */
	bool warm_after_power;		/* stay warm after a power cut too, for flushes at commits; else only after a kill */
	bool trust_origin;		/* do not compare the origin's times with those of the last clean stop */
	bool reset;			/* drop the cached contents and start cold */
	uint32_t wait_stopping_ms;	/* how long to wait for an owner that says it is stopping; the program uses 60000 */
	bool (*give_up)(void *user);	/* asked while waiting: true ends it, with -EINTR.  NULL: never */
	void *give_up_user;
	const char *const *faults;	/* NULL or NULL-ended: "STORE:OPERATION:...", see cachewtfs(1) */
};

/*
 * Open the three stores, lock them, recover, and start the background thread (commit, flush, fallocate).
 * May block for as long as the stores take.  Call after the last fork().  err is set on every error.
 *   -ENOENT -EACCES -EISDIR -ENOSPC ...  a store cannot be opened or made
 *   -EBUSY   a store is in use; the line names the owner
 *   -EINVAL  a store is not what it should be (foreign, another origin's, too small, two of them the same)
 */
CWT_PUBLIC int cwt_open(const struct cwt_config *config, struct cwt **out, struct cwt_error *err);

/*
 * Orderly stop: after the last loop was closed.  Commits everything durably with the clean mark, frees.  An error means
 * that the next start decides what of the cache is still good; no data is lost by it.
 */
CWT_PUBLIC int cwt_close(struct cwt *cwt);

/* Tell others that this owner is about to end (they wait instead of refusing).  Any thread. */
CWT_PUBLIC void cwt_stopping(struct cwt *cwt);

/* One line: how the cache started, e.g. "warm: clean stop, 1024 blocks".  Lives as long as cwt. */
CWT_PUBLIC const char *cwt_start_reason(const struct cwt *cwt);

CWT_PUBLIC uint64_t cwt_size_bytes(const struct cwt *cwt);	/* of the origin, and so of the image */
CWT_PUBLIC uint32_t cwt_block_size_bytes(const struct cwt *cwt);
CWT_PUBLIC unsigned cwt_loops_advised(const struct cwt *cwt);	/* 1 where both stores answer at memory speed, else 2 */
CWT_PUBLIC uint32_t cwt_buffer_align_bytes(const struct cwt *cwt);	/* buffers aligned so are not copied */
CWT_PUBLIC int cwt_origin_fd(const struct cwt *cwt);		/* for fstat, lseek(SEEK_DATA): never for I/O; owned by cwt */

/*
 * ------------------------------------------------------------------ requests
 */
enum cwt_op {
	CWT_READ,	/* offset, len, buf.  Cut at the end of the image; at or past it 0 */
	CWT_WRITE,	/* offset, len, buf.  Shortened at the end; at or past it -EFBIG (len 0: 0); -EROFS if read-only */
	CWT_FLUSH,	/* everything answered before this was submitted is durable on the origin when it is answered 0 */
	CWT_PUNCH,	/* offset, len: reads back zeros, space given back; -EOPNOTSUPP where the origin cannot */
	CWT_ZERO,	/* offset, len: reads back zeros, by any means */
};

/*
 * Who is answered when.  A request and its buffer are the engine's from cwt_submit() on.
 *
 *	released NULL	done() comes when everything has ended: of a write that hits, when origin and cache have it.
 *			Request and buffer are the caller's again, who may free them, or submit anew, in done().
 *	released set	done() of a write comes as soon as the origin has it; the cache leg follows.  Request and buffer stay
 *			the engine's, and unchanged, until released(), which comes exactly once, after done(), when the cache
 *			has it, too.  Requests that have nothing to follow are released right after done().
 *
 * Both say the same about the data: what was answered is on the origin, and every later read sees it, since a read of a
 * range that is still on its way to the cache waits for it.  What is gained is the time of the cache's write.
 */
struct cwt_request {
	enum cwt_op op;
	uint64_t offset_bytes;
	uint64_t len_bytes;
	void *buf;			/* not used by flush, punch, zero */
	void (*done)(struct cwt_request *request);	/* the answer: on the loop's thread, from cwt_loop_turn() */
	void (*released)(struct cwt_request *request);	/* NULL, or as above: who is answered when, and who owns what */
	void *user;
	/*
	 * Of write, punch, zero: answered, if anything of it succeeded, after a flush of the origin as well, as by O_DSYNC; those
	 * that wait share one.  The flush's errno is the answer, of the whole request, where that fails, as of CWT_FLUSH.
	 */
	bool sync;

	int64_t result;			/* bytes done (a prefix of the request), or a negative errno if that is empty.  Flush: 0 */
	int error;			/* why it is not all, where a block failed; 0 */

	struct { uint64_t opaque[12]; } priv;	/* the engine's while submitted; need not be initialised */
};

/*
 * A loop: used by one thread at a time, mostly by the same one; the caller sees to it.  At most CWT_LOOPS_MAX.  -ENOSPC
 * beyond; -EAGAIN: no AIO context to be had.
 */
CWT_PUBLIC int cwt_loop_open(struct cwt *cwt, struct cwt_loop **out);
CWT_PUBLIC void cwt_loop_close(struct cwt_loop *loop);	/* every request was answered, and released */

/*
 * Take over request until its done(), or released().  Does no I/O and calls neither of them itself.  Any number may be
 * under way.
 */
CWT_PUBLIC void cwt_submit(struct cwt_loop *loop, struct cwt_request *request);

/*
 * One turn: reap what the devices finished, run the worker stage (deferred writethrough, unparked requests,
 * migrations), submit everything in one go, answer (and release) everything that is finished.  Never blocks.  Returns
 * how many things it did: 0 means that the thread may wait on cwt_loop_fd().
 */
CWT_PUBLIC int cwt_loop_turn(struct cwt_loop *loop);

/* Readable (poll, epoll) when a turn has something to do.  The next turn makes it unreadable again. */
CWT_PUBLIC int cwt_loop_fd(const struct cwt_loop *loop);

/*
 * The caller waits for edges only (EPOLLET) and never by level: turns need not make the fd unreadable again, which
 * saves a system call per wait.  For good; before the first wait.
 */
CWT_PUBLIC void cwt_loop_fd_edge_triggered(struct cwt_loop *loop);

/*
 * Is anything under way, so that turns are needed?  After the last answer too: what a read has brought may be on its
 * way to the cache, and others may wait for that.
 */
CWT_PUBLIC bool cwt_loop_busy(const struct cwt_loop *loop);

/* Make cwt_loop_fd() readable, to interrupt a wait.  Any thread. */
CWT_PUBLIC void cwt_loop_wake(struct cwt_loop *loop);

/*
 * ------------------------------------------------------------------ status and messages.  Any thread.
 */
enum cwt_bypass {
	CWT_BYPASS_NONE,
	CWT_BYPASS_CACHE_ERRORS,	/* repeated errors of the cache; `cache-ok` ends it */
	CWT_BYPASS_METADATA,		/* a mark or commit failed; until a remount */
	CWT_BYPASS_ORIGIN_FLUSH,	/* a flush of the origin failed; `origin-ok` ends it */
	CWT_BYPASS_MESSAGE,		/* asked for: `bypass on`, `bypass off` */
};

struct cwt_status {
	uint32_t block_size_bytes, metadata_block_size_bytes;
	uint64_t nr_metadata_blocks_used, nr_metadata_blocks;
	uint64_t nr_cblocks, nr_mapped, nr_free;
	uint64_t read_hits, read_misses, write_hits, write_misses, bypassed;	/* block requests (I17) */
	uint64_t block_requests;		/* hits + misses + bypassed, counted apart; books_balance compares */
	bool books_balance;
	uint64_t promotions, demotions, invalidations, fills_voided, fills_failed;
	uint64_t origin_read_errors, origin_write_errors, origin_flush_errors;
	uint64_t cache_read_errors, cache_write_errors, cache_flush_errors, metadata_errors;
	uint64_t commits, generation, last_commit_ms_ago;
	uint64_t requests_in_flight, parked;
	uint64_t memory_bytes;			/* resident, of the engine: maps, policy, pools */
	enum cwt_mode mode;
	enum cwt_bypass bypass;
	bool read_only, warm_after_power;
	char bypass_reason[128];
	char policy[64];
	char start_reason[160];
	char origin_path[1024], cache_path[1024], metadata_path[1024];
	char origin_io[16], cache_io[16];	/* "direct", "memory", "pool" */
};

CWT_PUBLIC void cwt_get_status(struct cwt *cwt, struct cwt_status *status);

/*
 * Messages: "origin-ok", "cache-ok", "bypass on|off", "commit" (and wait for it), "drop" (invalidate everything),
 * "invalidate OFFSET LENGTH".  -EINVAL with a line for anything else.  May block; never call it on a loop's thread.
 */
CWT_PUBLIC int cwt_message(struct cwt *cwt, const char *text, struct cwt_error *err);

CWT_PUBLIC const char *cwt_version(void);

/* Where log lines go; NULL: stderr.  most: 0 errors, 1 warnings, 2 info, 3 debug.  Before cwt_open(). */
CWT_PUBLIC void cwt_set_log(void (*sink)(void *ctx, int level, const char *line), void *ctx, int most);

#ifdef __cplusplus
}
#endif
#endif
