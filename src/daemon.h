/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Going into the background.  The parent waits for the child's report, a line for a failure or nothing but its
 * readiness, prints it, and exits with the status of the command; the child never returns to the terminal.
 *
 * Context: main thread, before any other thread exists (daemon_fork).
 */
#ifndef CWT_SRC_DAEMON_H
#define CWT_SRC_DAEMON_H

#include "base/error.h"

/* Make sure that descriptors 0, 1 and 2 are open, so that a store cannot become stderr. */
void daemon_open_standard_fds(void);

/* What whoever started us had open is not ours to keep open.  All above stderr but these two are closed; -1: none. */
void daemon_close_inherited(int keep, int keep2);

/* Fork; returns in the child only, *report is where its report goes.  -EAGAIN ...: no child, with a line. */
int daemon_fork(int *report, struct cwt_error *err);

/* Print "cachewtfs: text" to stderr, as one line whatever bytes a path in it has. */
void daemon_print_line(const char *text);

/* The parent prints the line and will exit with the child's status.  report -1: we are in the foreground, print it. */
void daemon_failed(int report, const char *text);

/* The parent exits with 0; the child lets go of the terminal.  Nothing to do in the foreground. */
void daemon_ready(int report);

#endif
