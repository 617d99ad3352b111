/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work that may never end, done by a child process: a call into a mount whose daemon is stopped waits as long as that,
 * and once the daemon has taken the request, no signal ends it, not even SIGKILL.  So it can be no thread of ours, for
 * our exit would wait for it.  The child has none of our descriptors, so that who reads our output does not wait for it
 * either.
 *
 * Context: the one thread.
 */
#ifndef CWT_SRC_CACHEWT_CHILD_H
#define CWT_SRC_CACHEWT_CHILD_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* 0 with text in out, or an errno with a line. */
typedef int child_work_fn(const void *ctx, GString *out, struct cwt_error *err);

struct child {
	pid_t pid;
	int fd;			/* its report comes from here */
	GString *report;
};

/* -EAGAIN ...: no child, with a line.  -ETIMEDOUT, without one: a child that was given up before has not ended yet. */
int child_start(struct child *child, child_work_fn *work, const void *ctx, struct cwt_error *err);

/* Has it ended within this time? */
bool child_wait(struct child *child, double seconds);

/* What the work has returned, once it has ended.  text may be NULL; free with g_free(). */
int child_result(struct child *child, char **text, struct cwt_error *err);

/* It is killed, and ends when it can. */
void child_give_up(struct child *child);

#endif
