/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An error that a person reads once, at start or from a tool: one line "WHAT: WHY (REMEDY)", naming the file, the value
 * found and the value expected.  Set where the cause is known, passed up unchanged beside the negative errno.
 */
#ifndef CWT_BASE_ERROR_H
#define CWT_BASE_ERROR_H

#include "cachewt.h"

/* Fill e (may be NULL) and return err, so that a caller can say: return error_set(e, -EINVAL, "%s: ...", path); */
int error_set(struct cwt_error *e, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
