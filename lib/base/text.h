/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text for people's terminals and line-wise files: names come from anywhere and may have any bytes, and what a terminal
 * would obey must not reach it.  The one place that says what is harmful, for status, JSON, log and error lines.
 *
 * Context: any thread; no memory is asked for.
 */
#ifndef CWT_BASE_TEXT_H
#define CWT_BASE_TEXT_H

#include <stddef.h>

enum text_flags {
	TEXT_LINE = 0,			/* one line: line feeds and backslashes are escaped, too */
	TEXT_KEEP_LINES = 1 << 0,	/* it has lines of its own */
	TEXT_KEEP_BACKSLASHES = 1 << 1,	/* it is escaped already, or not to be read back */
	TEXT_JSON = 1 << 2,		/* it is JSON: \u00XX instead of \ooo, backslashes stay */
};

#define TEXT_ESCAPED_MAX 6u		/* bytes that one byte may become */

/*
 * Copy text to out without control characters: C0, DEL, C1 (as UTF-8 and as single bytes, which UTF-8 does not have
 * alone).  Each of their bytes becomes \ooo.  Ends in NUL; what no longer fits in size is left out, never half of an
 * escape.  Returns the length of out.
 */
size_t text_escape(char *out, size_t size, const char *text, unsigned flags);

#endif
