/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See escape.h. */
#include <glib.h>
#include <string.h>

#include "escape.h"

char *text_escaped(const char *text, unsigned flags)
{
	size_t size = strlen(text) * TEXT_ESCAPED_MAX + 1;
	char *out = g_malloc(size);

	text_escape(out, size, text, flags);
	return out;
}
