/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is the origin still as we left it?  The rule, as a pure function: for the start (store_open.c) and for every look of a
 * running engine (engine/origin_watch.h), so that both judge alike.
 *
 * E is the last state seen with no *origin leg* of ours in flight before and after the look; legs are writes, punches,
 * zeros, and the tag.  A state S is ours
 *
 *	equal		if it equals E; or
 *	in the window	if a leg was begun since E, and ctime lies in [t1 - slack, t2], and mtime too or it has not moved (the
 *			tag sets ctime alone): t1 was taken before the first leg since E, from the clock that file times come
 *			from, t2 after the last one has ended, "now" while any is in flight, the lease after a kill
 *
 * Anything else is a stranger's, older or newer.  Both times count: who sets mtime back (cp -p, rsync -t, touch -r) moves
 * ctime, and who only moves ctime (chmod, ln, setfattr) may have done anything.  What is not known is never equal.
 *
 * Slack: the clock of file times goes by ticks of up to 10 ms, and may be read a moment after the file's; a file system
 * that keeps whole seconds (FAT: even ones, ext4 with small inodes) rounds down, and shows it by times without a fraction.
 * It only widens the lower end: no file time is later than the clock when it was set.
 *
 * What this cannot see: a stranger's write within our own window, and, on kernels whose file times have only ticks, one
 * within the same tick as E.
 */
#ifndef CWT_METADATA_ORIGIN_STATE_H
#define CWT_METADATA_ORIGIN_STATE_H

#include "metadata/identity.h"

#define ORIGIN_TICK_NS INT64_C(10000000)
#define ORIGIN_SECONDS_NS INT64_C(2000000000)	/* of a file system that keeps whole seconds */

/* When our legs since E may have set the times.  from_ns > to_ns: never. */
struct origin_window { int64_t from_ns, to_ns; };
#define ORIGIN_NO_WINDOW ((struct origin_window){ INT64_MAX, INT64_MIN })

bool origin_state_equal(const struct origin_state *a, const struct origin_state *b);
bool origin_state_is_ours(const struct origin_state *e, const struct origin_state *s, const struct origin_window *w);
/* May another change still leave the same ctime?  now_ns: taken before the look. */
bool origin_state_is_fresh(const struct origin_state *s, int64_t now_ns);
/* What moved, in words for a log line: "mtime and ctime", "ctime alone (as by chmod, ln or setfattr)". */
const char *origin_state_moved(const struct origin_state *e, const struct origin_state *s);

#endif
