/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See mount_table.h. */
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

	for (unsigned n = 0; n < 5; n++) {
		word = strsep(&rest, " ");
		if (n == 0)
			entry->id = word;
		else if (n == 2)
			entry->device = word;
	}
	if (!rest || !word)
		return false;
	entry->mountpoint = word;
	while ((word = strsep(&rest, " ")) && strcmp(word, "-"))
		;
	if (!word)
		return false;
	entry->type = strsep(&rest, " ");
	entry->source = strsep(&rest, " \n");
	entry->options = rest ? strsep(&rest, " \n") : word + strlen(word);
	if (!entry->type || !entry->source)
		return false;
	unescape(entry->mountpoint);
	unescape(entry->type);
	unescape(entry->source);
	return true;
}

/* Call see() for every mount until it returns true. */
static void each_mount(const char *file, bool (*see)(void *ctx, const struct mount_entry *entry), void *ctx)
{
	FILE *table = fopen(file, "re");
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

	each_mount(MOUNT_TABLE, see_type_at, &at);
	return at.type;
}

struct type_of { int id; char *type; };

static bool see_type_of(void *ctx, const struct mount_entry *entry)
{
	struct type_of *of = ctx;

	if (atoi(entry->id) == of->id)
		of->type = g_strdup(entry->type);
	return of->type != NULL;
}

char *mount_type_of(int id)
{
	struct type_of of = { id, NULL };

	each_mount(MOUNT_TABLE, see_type_of, &of);
	return of.type;
}

/* The number after key in /proc/self/fdinfo/FD; -1: there is none. */
static int fdinfo_number(int fd, const char *key)
{
	char *path = g_strdup_printf("/proc/self/fdinfo/%d", fd), *text = NULL, *line = NULL;
	int number = -1;

	if (g_file_get_contents(path, &text, NULL, NULL))
		line = strstr(text, key);
	if (line)
		number = atoi(line + strlen(key));
	g_free(text);
	g_free(path);
	return number;
}

int mount_id_of(int fd)
{
	return fdinfo_number(fd, "mnt_id:");
}

struct fuse_mount { char device[32]; char *mountpoint, *options; };

static bool see_fuse_mount(void *ctx, const struct mount_entry *entry)
{
	struct fuse_mount *mount = ctx;

	if (strcmp(entry->device, mount->device) != 0)
		return false;
	mount->mountpoint = g_strdup(entry->mountpoint);
	mount->options = g_strdup(entry->options);
	return true;
}

char *mount_of_fuse_fd(int fd, char **options)
{
	struct fuse_mount mount = { "", NULL, NULL };
	int connection = fdinfo_number(fd, "fuse_connection:");

	g_snprintf(mount.device, sizeof(mount.device), "0:%d", connection);
	if (connection > 0)
		each_mount(MOUNT_TABLE, see_fuse_mount, &mount);
	*options = mount.options;
	return mount.mountpoint;
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

	each_mount(MOUNT_TABLE, see_visible, &visible);
	return visible.found;
}

static void free_entry(gpointer data)
{
	struct mount_entry *entry = data;

	g_free(entry->id);
	g_free(entry->device);
	g_free(entry->mountpoint);
	g_free(entry->type);
	g_free(entry->source);
	g_free(entry->options);
	g_free(entry);
}

static bool see_all(void *ctx, const struct mount_entry *entry)
{
	struct mount_entry *copy = g_new(struct mount_entry, 1);

	*copy = (struct mount_entry){ g_strdup(entry->id), g_strdup(entry->device), g_strdup(entry->mountpoint),
				      g_strdup(entry->type), g_strdup(entry->source), g_strdup(entry->options) };
	g_ptr_array_add(ctx, copy);
	return false;
}

GPtrArray *mounts_read(const char *file)
{
	GPtrArray *mounts = g_ptr_array_new_with_free_func(free_entry);

	each_mount(file, see_all, mounts);
	return mounts;
}

static bool lies_in(const char *path, const char *mountpoint)
{
	size_t len = strlen(mountpoint);

	if (!strcmp(mountpoint, "/"))
		return *path == '/';
	return !strncmp(path, mountpoint, len) && (path[len] == '/' || !path[len]);
}

const struct mount_entry *mounts_find(const GPtrArray *mounts, const char *path)
{
	const struct mount_entry *found = NULL;

	for (guint i = 0; i < mounts->len; i++) {
		const struct mount_entry *entry = g_ptr_array_index(mounts, i);

		if (lies_in(path, entry->mountpoint) &&
		    (!found || strlen(entry->mountpoint) >= strlen(found->mountpoint)))
			found = entry;
	}
	return found;
}
