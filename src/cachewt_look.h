/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A look at a mount, and at its daemon, that does not hang on one that does not answer.
 *
 * Errors: a negative errno with the line in err.  Context: one thread; child processes are made.
 */
#ifndef CWT_SRC_CACHEWT_LOOK_H
#define CWT_SRC_CACHEWT_LOOK_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "base/error.h"

#define LOOK_TIMEOUT_MS 3000u

/* stats.json of a mount; free with json_object_unref().  -ETIMEDOUT: no answer in time. */
int look_at(const char *mount, unsigned timeout_ms, JsonObject **stats, struct cwt_error *err);

/* Members of it; what is missing or of another type is 0, false or "". */
gint64 look_number(JsonObject *stats, const char *name);
bool look_flag(JsonObject *stats, const char *name);
const char *look_text(JsonObject *stats, const char *name);

/* The daemons that may belong to mount: what its status says, and those whose command line names it, which also finds one
 * whose mount is gone already.  long; free with g_array_unref(). */
GArray *look_daemons(const char *mount);

/* Wait until pid has ended.  -ETIMEDOUT; timeout_s may be INFINITY. */
int look_wait_ended(long pid, double timeout_s);

#endif
