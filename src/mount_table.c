/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See mount_table.h. */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mount_table.h"

static void unescape(char *text)
{
	char *out = text;

	for (const char *p = text; *p; p++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
		    p[3] >= '0' && p[3] <= '7') {
			*out++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 3;
		} else {
			*out++ = *p;
		}
	}
	*out = '\0';
}

/* 36 35 98:0 /root /mountpoint options [optional fields] - type source superoptions */
bool mount_entry_parse(char *line, struct mount_entry *entry)
{
	char *rest = line, *word = NULL;

	for (unsigned n = 0; n < 5; n++)
		word = strsep(&rest, " ");
	if (!rest || !word)
		return false;
	entry->mountpoint = word;
	while ((word = strsep(&rest, " ")) && strcmp(word, "-"))
		;
	entry->type = strsep(&rest, " ");
	entry->source = strsep(&rest, " \n");
	if (!entry->type || !entry->source)
		return false;
	unescape(entry->mountpoint);
	unescape(entry->type);
	unescape(entry->source);
	return true;
}

/* Call see() for every mount until it returns true. */
static void each_mount(bool (*see)(void *ctx, const struct mount_entry *entry), void *ctx)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	struct mount_entry entry;
	char *line = NULL;
	size_t size = 0;

	if (!table)
		return;
	while (getline(&line, &size, table) > 0)
		if (mount_entry_parse(line, &entry) && see(ctx, &entry))
			break;
	free(line);
	fclose(table);
}

struct type_at { const char *path; char *type; };

/* The last one in the table lies on top: see them all. */
static bool see_type_at(void *ctx, const struct mount_entry *entry)
{
	struct type_at *at = ctx;

	if (!strcmp(entry->mountpoint, at->path)) {
		g_free(at->type);
		at->type = g_strdup(entry->type);
	}
	return false;
}

char *mount_type_at(const char *path)
{
	struct type_at at = { path, NULL };

	each_mount(see_type_at, &at);
	return at.type;
}

struct visible { const char *type, *source; bool found; };

static bool see_visible(void *ctx, const struct mount_entry *entry)
{
	struct visible *visible = ctx;

	visible->found = !strcmp(entry->type, visible->type) && !strcmp(entry->source, visible->source);
	return visible->found;
}

bool mount_is_visible(const char *type, const char *source)
{
	struct visible visible = { type, source, false };

	each_mount(see_visible, &visible);
	return visible.found;
}
