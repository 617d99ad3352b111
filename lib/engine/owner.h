/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who holds a lock on a store: for the line that refuses it.  Open file locks do not carry a pid, but /proc/PID/fdinfo
 * shows the locks of each descriptor.  One that only has the store open is a bystander and is not named; of several with
 * locks, one with a write lock.  Sees the processes that the caller may see.  Who holds a block device open exclusively
 * without a lock (a mount, another program) cannot be told.
 */
#ifndef CWT_ENGINE_OWNER_H
#define CWT_ENGINE_OWNER_H

#include <stdbool.h>

struct owner {
	long pid;
	char name[64];			/* as ps shows it; "" if it cannot be seen */
	char mountpoint[512];		/* of a cachewtfs, in its own mount namespace; "" if it is none, or not known */
};

/* false: no process but this one was found.  Any thread; slow. */
bool owner_find(const char *path, struct owner *owner);

#endif
