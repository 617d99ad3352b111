/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The numbers of a mount's stats.json that the tool looks at, and what of them a person watches.
 *
 * Errors: a negative errno with the line in err.  Context: stats_read may block as long as the mount does; the rest is pure.
 */
#ifndef CWT_SRC_CACHEWT_STATS_H
#define CWT_SRC_CACHEWT_STATS_H

#include <stdint.h>

#include "base/error.h"

enum stats_field {
	STATS_READ_HITS, STATS_READ_MISSES, STATS_WRITE_HITS, STATS_WRITE_MISSES, STATS_BYPASSED,
	STATS_PROMOTIONS, STATS_DEMOTIONS, STATS_INVALIDATIONS, STATS_COMMITS, STATS_ERRORS,
	STATS_MAPPED, STATS_CBLOCKS, STATS_IN_FLIGHT, STATS_PARKED,
	STATS_NR,
};

struct stats { uint64_t value[STATS_NR]; };

/* -EINVAL: not JSON, or a number is missing or not one. */
int stats_parse(const char *json, struct stats *stats, struct cwt_error *err);
int stats_read(const char *mount, double timeout_s, struct stats *stats, struct cwt_error *err);

/*
 * The picture of now: totals, and the rate of each counter since before; before NULL: no rates yet.  A counter that went back (the
 * mount was restarted between the two) has the rate of what it counted since.  Free with g_free().
 */
char *stats_picture(const struct stats *now, const struct stats *before, double seconds);

#endif
