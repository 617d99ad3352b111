/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See mount_options.h. */
#include <glib.h>
#include <string.h>

#include "mount_options.h"

/* A name that ends in '=' or '-' stands for every option that begins so. */
static const struct { const char *name; enum mount_option_kind kind; } kinds[] = {
	{ "ro", MOUNT_OPTION_READ_ONLY },
	{ "uid=", MOUNT_OPTION_ATTRIBUTE },
	{ "gid=", MOUNT_OPTION_ATTRIBUTE },
	{ "umask=", MOUNT_OPTION_ATTRIBUTE },
	{ "page_cache=", MOUNT_OPTION_PAGE_CACHE },
	{ "io_uring", MOUNT_OPTION_IO_URING },
	{ "nonempty", MOUNT_OPTION_NONEMPTY },

	{ "allow_other", MOUNT_OPTION_FUSE },
	{ "allow_root", MOUNT_OPTION_FUSE },
	{ "auto_unmount", MOUNT_OPTION_FUSE },
	{ "fsname=", MOUNT_OPTION_FUSE },
	{ "context=", MOUNT_OPTION_FUSE },
	{ "fscontext=", MOUNT_OPTION_FUSE },
	{ "defcontext=", MOUNT_OPTION_FUSE },
	{ "rootcontext=", MOUNT_OPTION_FUSE },
	{ "suid", MOUNT_OPTION_FUSE },
	{ "nosuid", MOUNT_OPTION_FUSE },
	{ "dev", MOUNT_OPTION_FUSE },
	{ "nodev", MOUNT_OPTION_FUSE },
	{ "exec", MOUNT_OPTION_FUSE },
	{ "noexec", MOUNT_OPTION_FUSE },
	{ "async", MOUNT_OPTION_FUSE },
	{ "sync", MOUNT_OPTION_FUSE },
	{ "dirsync", MOUNT_OPTION_FUSE },
	{ "atime", MOUNT_OPTION_FUSE },
	{ "noatime", MOUNT_OPTION_FUSE },

	{ "rw", MOUNT_OPTION_IGNORED },
	{ "defaults", MOUNT_OPTION_IGNORED },
	{ "default_permissions", MOUNT_OPTION_IGNORED },
	{ "relatime", MOUNT_OPTION_IGNORED },
	{ "auto", MOUNT_OPTION_IGNORED },
	{ "noauto", MOUNT_OPTION_IGNORED },
	{ "user", MOUNT_OPTION_IGNORED },
	{ "user=", MOUNT_OPTION_IGNORED },
	{ "users", MOUNT_OPTION_IGNORED },
	{ "nouser", MOUNT_OPTION_IGNORED },
	{ "owner", MOUNT_OPTION_IGNORED },
	{ "group", MOUNT_OPTION_IGNORED },
	{ "nofail", MOUNT_OPTION_IGNORED },
	{ "_netdev", MOUNT_OPTION_IGNORED },
	{ "comment=", MOUNT_OPTION_IGNORED },
	{ "x-", MOUNT_OPTION_IGNORED },
	{ "X-", MOUNT_OPTION_IGNORED },
};

static gboolean is_option(const char *option, const char *name)
{
	char last = name[strlen(name) - 1];

	return last == '=' || last == '-' ? g_str_has_prefix(option, name) : !strcmp(option, name);
}

enum mount_option_kind mount_option_kind(const char *option)
{
	if (!*option)
		return MOUNT_OPTION_IGNORED;
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (is_option(option, kinds[i].name))
			return kinds[i].kind;
	return MOUNT_OPTION_OTHER;
}

static gboolean is_octal(char c, char most)
{
	return c >= '0' && c <= most;
}

/* The byte that the escape at p (behind its backslash) means; *len is how much of p it takes. */
static char escape_byte(const char *p, size_t *len)
{
	if (is_octal(p[0], '3') && is_octal(p[1], '7') && is_octal(p[2], '7')) {
		*len = 3;
		return (char)((p[0] - '0') << 6 | (p[1] - '0') << 3 | (p[2] - '0'));
	}
	*len = 1;
	return *p;
}

char **mount_options_split(const char *list)
{
	GPtrArray *options = g_ptr_array_new();
	GString *option = g_string_new(NULL);
	size_t len;

	for (const char *p = list; ; p += len) {
		len = 1;
		if (!*p || *p == ',') {
			g_ptr_array_add(options, g_string_free(option, FALSE));
			if (!*p)
				break;
			option = g_string_new(NULL);
		} else if (*p == '\\' && p[1]) {
			char byte = escape_byte(++p, &len);

			g_string_append_c(option, byte);
		} else {
			g_string_append_c(option, *p);
		}
	}
	g_ptr_array_add(options, NULL);
	return (char **)g_ptr_array_free(options, FALSE);
}
