/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See mount_holders.h. */
#include <string.h>
#include <unistd.h>

#include "mount_holders.h"
#include "mount_table.h"
#include "mountpoint.h"

#define COMM_MAX 32u

static char *proc_path(const char *proc, const char *who, const char *what)
{
	return g_strdup_printf("%s/%s/%s", proc, who, what);
}

/* The name of a mount namespace, "mnt:[4026531841]"; NULL: it may not be asked. */
static char *namespace_of(const char *proc, const char *who)
{
	char *path = proc_path(proc, who, "ns/mnt"), *name = g_file_read_link(path, NULL);

	g_free(path);
	return name;
}

static char *comm_of(const char *proc, const char *who)
{
	char *path = proc_path(proc, who, "comm"), *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		text = g_strdup("?");
	g_free(path);
	g_strchomp(text);
	if (strlen(text) > COMM_MAX)
		text[COMM_MAX] = '\0';
	return text;
}

static bool is_number(const char *name)
{
	return *name && strspn(name, "0123456789") == strlen(name);
}

static gint by_number(gconstpointer a, gconstpointer b)
{
	guint64 x = g_ascii_strtoull(*(char *const *)a, NULL, 10), y = g_ascii_strtoull(*(char *const *)b, NULL, 10);

	return x < y ? -1 : x > y;
}

/* The pids as text, in order. */
static GPtrArray *processes(const char *proc)
{
	GPtrArray *pids = g_ptr_array_new_with_free_func(g_free);
	GDir *dir = g_dir_open(proc, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (is_number(name))
			g_ptr_array_add(pids, g_strdup(name));
	if (dir)
		g_dir_close(dir);
	g_ptr_array_sort(pids, by_number);
	return pids;
}

static GPtrArray *mounts_of(const char *proc, const char *who)
{
	char *path = proc_path(proc, who, "mountinfo");
	GPtrArray *mounts = mounts_read(path);

	g_free(path);
	return mounts;
}

static bool is_of(const struct mount_entry *entry, const char *source)
{
	return !strcmp(entry->type, MOUNT_TYPE) && !strcmp(entry->source, source);
}

static const struct mount_entry *mount_of(const GPtrArray *mounts, const char *source)
{
	for (guint i = mounts->len; i--;)
		if (is_of(g_ptr_array_index(mounts, i), source))
			return g_ptr_array_index(mounts, i);
	return NULL;
}

char *mount_place_of(const char *proc, const char *source)
{
	GPtrArray *mounts = mounts_of(proc, "self");
	const struct mount_entry *entry = mount_of(mounts, source);
	char *place = entry ? g_strdup(entry->mountpoint) : NULL;

	g_ptr_array_unref(mounts);
	return place;
}

/*
 * ------------------------------------------------------------------ the other namespaces
 */

/* Call see() once for each mount namespace but our own, with a process in it and its table. */
static void each_namespace(const char *proc, void (*see)(void *ctx, const char *pid, const GPtrArray *mounts), void *ctx)
{
	GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GPtrArray *pids = processes(proc);
	char *own = namespace_of(proc, "self");

	if (own)
		g_hash_table_add(seen, own);
	for (guint i = 0; i < pids->len; i++) {
		const char *pid = g_ptr_array_index(pids, i);
		char *name = namespace_of(proc, pid);

		if (name && g_hash_table_add(seen, name)) {
			GPtrArray *mounts = mounts_of(proc, pid);

			see(ctx, pid, mounts);
			g_ptr_array_unref(mounts);
		}
	}
	g_ptr_array_unref(pids);
	g_hash_table_unref(seen);
}

struct holders { const char *proc, *source; char *first; unsigned nr; };

static void see_holder(void *ctx, const char *pid, const GPtrArray *mounts)
{
	struct holders *h = ctx;

	if (!mount_of(mounts, h->source))
		return;
	if (!h->nr++) {
		char *comm = comm_of(h->proc, pid);

		h->first = g_strdup_printf("process %s (%s)", pid, comm);
		g_free(comm);
	}
}

char *mount_holders(const char *proc, const char *source)
{
	struct holders h = { proc, source, NULL, 0 };
	char *all;

	each_namespace(proc, see_holder, &h);
	if (h.nr < 2)
		return h.first;
	all = g_strdup_printf("%s and %u more", h.first, h.nr - 1);
	g_free(h.first);
	return all;
}

/*
 * ------------------------------------------------------------------ whose mount
 */
static void add_sources(void *ctx, const char *pid, const GPtrArray *mounts)
{
	(void)pid;
	for (guint i = 0; i < mounts->len; i++) {
		const struct mount_entry *entry = g_ptr_array_index(mounts, i);

		if (!strcmp(entry->type, MOUNT_TYPE))
			g_hash_table_add(ctx, g_strdup(entry->source));
	}
}

char *mount_source_of(const char *proc, long pid)
{
	GHashTable *sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GPtrArray *own = mounts_of(proc, "self");
	char *folder = g_strdup_printf("%s/%ld/fd", proc, pid), *found = NULL;
	GDir *dir = g_dir_open(folder, 0, NULL);
	const char *name;

	add_sources(sources, NULL, own);
	g_ptr_array_unref(own);
	each_namespace(proc, add_sources, sources);
	while (dir && !found && (name = g_dir_read_name(dir))) {
		char *link = g_build_filename(folder, name, NULL), *file = g_file_read_link(link, NULL);

		if (file && g_hash_table_contains(sources, file))
			found = g_strdup(file);
		g_free(link);
		g_free(file);
	}
	if (dir)
		g_dir_close(dir);
	g_free(folder);
	g_hash_table_unref(sources);
	return found;
}

char *mount_remedy(const char *proc, const char *source, long pid)
{
	char *place = source ? mount_place_of(proc, source) : NULL;
	char *holders = source && !place ? mount_holders(proc, source) : NULL;
	char *text;

	if (place)
		text = g_strdup_printf("mounted on %s: unmount that first", place);
	else if (holders)
		text = g_strdup_printf("unmounted here, but a copy of the mount lives in another mount namespace, that of %s: "
				       "unmount it there, or end the daemon, cleanly, by cachewt stop %ld", holders, pid);
	else if (mount_is_served_by(proc, pid))
		text = g_strdup_printf("its mount is not to be seen from here: it is in another mount namespace, or detached and a "
				       "program or loop device still has the image open; cachewt stop %ld ends it, cleanly", pid);
	else
		text = g_strdup("end that, or wait until it has ended");
	g_free(place);
	g_free(holders);
	return text;
}

bool mount_is_served_by(const char *proc, long pid)
{
	char *who = g_strdup_printf("%ld", pid), *comm = comm_of(proc, who), *link = proc_path(proc, who, "exe");
	char *file = g_file_read_link(link, NULL), *name = file ? g_path_get_basename(file) : g_strdup(comm);
	bool is = !strcmp(comm, "cachewtfs") && (g_str_has_prefix(name, "cachewtfs") || g_str_has_prefix(name, "lt-cachewtfs"));

	g_free(who);
	g_free(comm);
	g_free(link);
	g_free(file);
	g_free(name);
	return is;
}
