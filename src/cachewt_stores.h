/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening the stores of a stopped cache for the subcommands that look at them.  Always read-only, and with the lock of a reader: a
 * running mount keeps us out, two readers do not disturb each other.
 *
 * Errors: a negative errno with the line in err.  Context: may block.
 */
#ifndef CWT_SRC_CACHEWT_STORES_H
#define CWT_SRC_CACHEWT_STORES_H

#include "device/device.h"
#include "metadata/format.h"

#define STOPPING_WAIT_MS 60000u
#define GRACE_MS 1000u

/*
 * umount(8) returns before the daemon has ended, and even before it has heard of it: an owner that says it is stopping is waited
 * for, at most STOPPING_WAIT_MS, and any other gets a moment, GRACE_MS, to say so.
 */
int stores_open_metadata(const char *path, struct device **out, struct cwt_error *err);
/* Origin or cache; what says which, for the line. */
int stores_open_data(const char *path, const char *what, struct device **out, struct cwt_error *err);

/* Does this cache belong to this metadata: size, label, session?  0, or -EINVAL and others with the line. */
int stores_check_cache(struct device *cache, const struct superblock *sb, struct cwt_error *err);
/* Is this origin as long as the metadata says? */
int stores_check_origin(struct device *origin, const struct superblock *sb, struct cwt_error *err);

/* The path of the origin that this metadata is of, read past its lock; NULL: it does not say.  Free with g_free(). */
char *stores_origin_path(const char *metadata_path);

#endif
