/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The comma-separated list of -o, as fstab and mount(8) give it.  Pure.
 *
 * A backslash takes the meaning from the character after it, and \ooo (three octal digits) is the byte of that value,
 * the rules of fuse_opt: so a path with a comma is written cache=/a\,b.
 */
#ifndef CWT_SRC_MOUNT_OPTIONS_H
#define CWT_SRC_MOUNT_OPTIONS_H

enum mount_option_kind {
	MOUNT_OPTION_IGNORED,		/* mount(8)'s own, or what holds anyway: noauto, _netdev, x-*, rw ... */
	MOUNT_OPTION_FUSE,		/* goes to libfuse as it is: allow_other, nosuid ... */
	MOUNT_OPTION_READ_ONLY,		/* ro: --read-only, and the mount is read-only for the kernel too */
	MOUNT_OPTION_ATTRIBUTE,		/* uid=, gid=, umask=: ours, for the image's attributes */
	MOUNT_OPTION_PAGE_CACHE,	/* page_cache=: how the image's handles are opened */
	MOUNT_OPTION_IO_URING,		/* io_uring: how requests come */
	MOUNT_OPTION_NONEMPTY,		/* nonempty: the mountpoint may have contents; libfuse 3 no longer knows it */
	MOUNT_OPTION_OTHER,		/* perhaps one of our long options */
};

enum mount_option_kind mount_option_kind(const char *option);

/* The options of list without their escapes; NULL-ended, for g_strfreev(). */
char **mount_options_split(const char *list);

#endif
