/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/text.h for texts of any length.  Any thread that may ask for memory. */
#ifndef CWT_SRC_ESCAPE_H
#define CWT_SRC_ESCAPE_H

#include "base/text.h"

/* flags: enum text_flags.  Free with g_free(). */
char *text_escaped(const char *text, unsigned flags);

#endif
