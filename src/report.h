/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the program says: log lines, and the one line of a failed start.
 *
 * Log lines go to stderr in the foreground, with the local time in front, else to syslog as cachewtfs[NAME].  What
 * libfuse logs is taken in too.
 * Context: any thread, after report_open().
 */
#ifndef CWT_SRC_REPORT_H
#define CWT_SRC_REPORT_H

#include <stdbool.h>
#include <stddef.h>

void report_open(const char *name, bool foreground, bool debug);

/*
 * The reason why libfuse or its helper fusermount3 refused to mount is only printed by them.  Between begin and end
 * what they print is kept back; end gives its last line without the program's name in text ("" if there was none), and
 * on success (failed false) prints all of it after all.  Main thread.
 */
void report_capture_begin(void);
void report_capture_end(bool failed, char *text, size_t size);

#endif
