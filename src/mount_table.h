/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's table of mounts, /proc/self/mountinfo.  mount_entry_parse() is pure. */
#ifndef CWT_SRC_MOUNT_TABLE_H
#define CWT_SRC_MOUNT_TABLE_H

#include <stdbool.h>

struct mount_entry { char *mountpoint, *type, *source; };

/* Take line apart, in place, without the kernel's \ooo escapes: entry points into it.  false: not such a line. */
bool mount_entry_parse(char *line, struct mount_entry *entry);

/* The type of what is mounted (topmost) on the absolute path; NULL: nothing.  Free with g_free(). */
char *mount_type_at(const char *path);

/* Is there a mount of this type and source anywhere that this process can see? */
bool mount_is_visible(const char *type, const char *source);

#endif
