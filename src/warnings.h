/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is wrong around the mount and no error yet: lines for the status, each also logged when a look sees it and the
 * look before did not.  See loop_devices.h for what is looked for.
 *
 * Nobody tells us of a loop device, so it is looked when the status is read, and when the table of mounts has changed.
 */
#ifndef CWT_SRC_WARNINGS_H
#define CWT_SRC_WARNINGS_H

#include <sys/types.h>

struct warnings;

/* The paths of the stores, which are open.  Before the mount: it waits for the file systems that they lie on. */
struct warnings *warnings_new(const char *origin, const char *cache, const char *metadata);
void warnings_free(struct warnings *warnings);		/* NULL: nothing */

/* The mount stands and has this st_dev.  Until then there are no warnings. */
void warnings_mounted(struct warnings *warnings, dev_t image_device);

/* Look now.  Any thread, also one that serves requests.  NULL-ended; free with g_strfreev(). */
char **warnings_look(struct warnings *warnings);

/* The loop devices over the image and what is mounted on them: loop_devices_users(). */
char **warnings_users(struct warnings *warnings);

#endif
