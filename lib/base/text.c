/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The length of the UTF-8 character at p, 2 to 4 bytes; 1: ASCII, or a byte that is none. */
static size_t character_bytes(const unsigned char *p)
{
	size_t len = *p >= 0xf0 && *p <= 0xf4 ? 4 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xc2 && *p < 0xe0 ? 2 : 1;

	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)	/* the NUL at the end is none, too */
			return 1;
	if (len == 3 && ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f)))	/* too long; a surrogate */
		return 1;
	if (len == 4 && ((*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f)))
		return 1;
	return len;
}

static bool is_harmful(const unsigned char *p, size_t len, unsigned flags)
{
	if (len == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (len > 2)
		return false;
	if (*p == '\n')
		return !(flags & TEXT_KEEP_LINES);
	if (*p == '\\')
		return !(flags & (TEXT_KEEP_BACKSLASHES | TEXT_JSON));
	return *p < ' ' || (*p >= 0x7f && *p < 0xa0);
}

/* JSON names characters, text names bytes.  Returns the bytes written; escape is large enough. */
static size_t escape_one(char *escape, size_t size, const unsigned char *p, size_t len, unsigned flags)
{
	if (flags & TEXT_JSON)
		return (size_t)snprintf(escape, size, "\\u%04x", len == 2 ? (unsigned)p[1] : (unsigned)*p);
	if (len == 2)
		return (size_t)snprintf(escape, size, "\\%03o\\%03o", (unsigned)p[0], (unsigned)p[1]);
	return (size_t)snprintf(escape, size, "\\%03o", (unsigned)*p);
}

size_t text_escape(char *out, size_t size, const char *text, unsigned flags)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t used = 0;

	while (*p) {
		size_t len = character_bytes(p), n = len;
		char part[16];

		if (is_harmful(p, len, flags))
			n = escape_one(part, sizeof(part), p, len, flags);
		else
			memcpy(part, p, len);
		if (n >= size - used)
			break;
		memcpy(out + used, part, n);
		used += n;
		p += len;
	}
	out[used] = '\0';
	return used;
}
