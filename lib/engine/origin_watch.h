/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking after the origin: has anybody else written it?  The rule is metadata/origin_state.h's; here is who keeps E,
 * when it is compared, and what a kill must find.
 *
 * E lives in memory and is taken anew by every look that finds no leg in flight before and after it; each commit carries
 * the newest one (store_commit_identity()).  A *leg* counts from the moment in which its write is decided until it has left
 * its cell, which is a little longer than it is on its way: both ends are under cwt.lock anyway, so counting costs nothing.
 *
 *	a leg	begin (locked)	first since E: t1 = the coarse clock, before anything is issued
 *		issue (loop)	the lease lasts at least LEASE_MARGIN_MS from now, visibly
 *		end (locked)	none in flight any more: t2 = now
 *	a look	(a thread that may block)  legs? - statx - legs?  Then, under the lock: equal to E or in the window: ours;
 *		else a stranger's: every mapping is dropped, every fill void, and E becomes what is there, in the same moment, so
 *		that a commit holds both or neither.  None in flight before and after: E becomes what is there.
 *	when	every commit interval, also when nothing is to be committed and when read-only; within 100 ms after the last leg; at
 *		the start; when the mount is stopping, and before the clean mark: no clean mark if they differ.
 *
 * A stranger who was caught while writing may write on within the same tick of the clock.  So as long as what is there is
 * that young everything is dropped again (`suspect`).
 *
 * The lease.  After a kill nobody knows t2, and t1 only if it was written down.  So beside the marks, visible as they are,
 * lies: no origin leg is issued after until_ns; and for the E of the last commit, and for the one that a running commit
 * carries, when the first leg since it was begun.  It is written before the leg, as the marks are (B2), in steps of
 * LEASE_MS; renewed while any leg is in flight, since what is queued may reach the file later; and shortened to the last
 * leg's end when none is.  A start after a kill, whose superblock says E with number n:
 *
 *	killed				the lease has n?	the origin is		judged
 *	before any leg since E n	no			E, or a stranger's	by equality: right
 *	lease written, leg not issued	yes			E, or a stranger's	equal: ours; a stranger's time is later
 *								than the lease but in its last 0.3 s
 *	leg issued			yes, it was first	ours, to the lease	in the window: ours
 *	after the last leg		yes, to its end		ours			in the window: ours
 *	E n + 1 was taken in memory	yes, of n		ours, as above		in the window of n
 *	a commit carries E n + 1,	both n and n + 1:	ours, as above		in the window of whichever the superblock
 *	  legs since			written before the				says
 *					superblock
 *	it carries E n + 1, no leg	n only			E n + 1			superblock n: in the window of n;
 *	  since								n + 1: equal
 *	stopped (SIGSTOP, a stall) for	yes			ours, after the lease	a stranger's: cold, not wrong
 *	  longer than the lease between
 *	  its check and the system call
 *	the lease could not be written	older, or torn		ours, after the lease	a stranger's: cold, not wrong.  So a
 *								failure needs no other answer
 *	in a start, before its tag	no (E is taken anew)	E, or a stranger's	by equality
 *	in a start, with its tag	yes			ours			in the window
 *
 * The clock.  Windows are in CLOCK_REALTIME, which somebody may set.  A step between two looks closes the window, which is
 * then equality alone: our own legs of that moment look like a stranger's, which costs warmth.  The lease says against
 * which boot time it was written, and counts only if that is still so.
 *
 * A network file system sets times by its server's clock, and late write-back moves them: nothing but equality, and E is
 * taken only after a good flush that no leg has followed.  While legs have followed, nothing can be said.  A block device has
 * no times at all.
 *
 * Locking: all fields by cwt.lock, but until_ns, which is atomic.  lease_lock: one writer of the lease, held across its write
 * of 512 bytes, that a lease is visible when the lock is free again.
 */
#ifndef CWT_ENGINE_ORIGIN_WATCH_H
#define CWT_ENGINE_ORIGIN_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "metadata/origin_state.h"

#define LEASE_MS 300u		/* from its writing */
#define LEASE_MARGIN_MS 100u	/* that it must last when a leg is issued */

struct cwt;

/* An E that a superblock may say, and the first leg since. */
struct origin_since { bool valid; uint64_t seq; int64_t t1_ns; };

struct origin_watch {
	bool on;			/* there is something to compare: a file */
	bool network;
	struct origin_state e;
	bool wrote;			/* a leg was begun since e */
	int64_t t1_ns, t2_ns;
	bool clock_moved;		/* since e: no window */
	uint64_t nr_begun, nr_in_flight;	/* legs */
	uint64_t flushed_at;		/* nr_begun at the issue of the last good flush with none in flight; UINT64_MAX: none */
	bool suspect;			/* what is there is too young to be E for good */
	struct origin_since committed, pending;
	uint64_t lease_version;		/* of what the lease must say */
	pthread_mutex_t lease_lock;
	atomic_int_least64_t until_ns;	/* of the lease that is visible; 0: it does not say what it must */
	bool lease_short;		/* it ends with the last leg */
	int64_t clock_ns;		/* CLOCK_REALTIME at boot, as of the last look */
	uint64_t next_look_ms;
	uint64_t nr_changes;		/* times that a stranger was met */
	char change[160];		/* the last one, in words */
};

void origin_watch_init(struct cwt *e);	/* after the store is open */

/* A leg is decided; it has left. */
void origin_leg_begin_locked(struct cwt *e);
void origin_leg_end_locked(struct cwt *e);
/* A loop is about to issue legs.  Expects no lock. */
void origin_lease(struct cwt *e);

/* Around a flush of the origin. */
uint64_t origin_flush_begin_locked(struct cwt *e);
void origin_flush_done_locked(struct cwt *e, uint64_t begun);

/* Look now, by the thread that calls: false: it was a stranger's, and everything is dropped.  Expects no lock. */
bool origin_look(struct cwt *e);
/* Every 100 ms, on the commit thread: the lease, and a look if it is time. */
void origin_watch_tick(struct cwt *e);

/* The commit that begins carries E.  origin_commit_begun() makes the lease visible that it needs, before its first step. */
void origin_commit_begin_locked(struct cwt *e);
void origin_commit_begun(struct cwt *e);
void origin_commit_end_locked(struct cwt *e, bool committed, bool unknown);
/* The last look of a stop.  The commit under way carries what it has seen; false: a stranger's. */
bool origin_commit_clean(struct cwt *e);
/* No E: the next start finds the origin changed. */
void origin_disown_locked(struct cwt *e);

#endif
