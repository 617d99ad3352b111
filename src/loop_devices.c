/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See loop_devices.h. */
#include <string.h>

#include "loop_devices.h"
#include "mount_table.h"

#define DEPTH_MAX 16u		/* of a stack of devices; also ends a ring that does not come by us */

struct walk {
	const struct block_view *view;
	GPtrArray *way;		/* of char *, from the store down */
};

static bool walk_place(struct walk *walk, const struct place *place);

/* The first line of a file under /sys; NULL: there is none.  Free with g_free(). */
static char *read_line(const char *folder, const char *name)
{
	char *path = g_build_filename(folder, name, NULL), *text = NULL;

	if (g_file_get_contents(path, &text, NULL, NULL) && g_str_has_suffix(text, "\n"))
		text[strlen(text) - 1] = '\0';
	g_free(path);
	return text;
}

static bool has(const char *folder, const char *name)
{
	char *path = g_build_filename(folder, name, NULL);
	bool found = g_file_test(path, G_FILE_TEST_EXISTS);

	g_free(path);
	return found;
}

/*
 * ------------------------------------------------------------------ where something lies
 */

/* /sys/fs/btrfs/UUID/devices/NAME */
static void find_btrfs(const struct block_view *view, const char *source, struct place *place)
{
	char *folder = g_build_filename(view->sysfs, "fs/btrfs", NULL), *base = g_path_get_basename(source);
	GDir *dir = g_dir_open(folder, 0, NULL);
	const char *uuid;

	while (dir && (uuid = g_dir_read_name(dir))) {
		char *device = g_build_filename(uuid, "devices", base, NULL);

		if (has(folder, device))
			g_strlcpy(place->btrfs, uuid, sizeof(place->btrfs));
		g_free(device);
	}
	if (dir)
		g_dir_close(dir);
	g_free(base);
	g_free(folder);
}

static void find_device_node(const struct block_view *view, const char *path, struct place *place)
{
	char *base = g_path_get_basename(path), *name = g_build_filename("class/block", base, "dev", NULL);
	char *device = read_line(view->sysfs, name);

	if (device)
		g_strlcpy(place->device, device, sizeof(place->device));
	g_free(device);
	g_free(name);
	g_free(base);
}

struct place place_of(const struct block_view *view, const char *path)
{
	const struct mount_entry *mount = mounts_find(view->mounts, path);
	struct place place = { "", "" };

	if (!mount)
		return place;
	if (!strcmp(mount->type, "btrfs"))
		find_btrfs(view, mount->source, &place);
	else if (g_str_has_prefix(path, "/dev/"))
		find_device_node(view, path, &place);
	else
		g_strlcpy(place.device, mount->device, sizeof(place.device));
	return place;
}

/*
 * ------------------------------------------------------------------ the walk
 */
static void step_in(struct walk *walk, const char *name)
{
	g_ptr_array_add(walk->way, g_strdup(name));
}

static void step_back(struct walk *walk)
{
	g_ptr_array_remove_index(walk->way, walk->way->len - 1);
}

/* The backing file of a loop device: ours, or to be followed. */
static bool walk_file(struct walk *walk, const char *path)
{
	const struct mount_entry *mount = mounts_find(walk->view->mounts, path);
	struct place place;
	bool found;

	if (!mount)
		return false;
	if (!strcmp(mount->device, walk->view->image_device))
		return true;
	if (strcmp(mount->type, MOUNT_TYPE) != 0) {
		place = place_of(walk->view, path);
		return walk_place(walk, &place);
	}
	place = place_of(walk->view, mount->source);
	step_in(walk, path);
	found = walk_place(walk, &place);
	if (!found)
		step_back(walk);
	return found;
}

/* Every entry of FOLDER/NAME is a device. */
static bool walk_folder(struct walk *walk, const char *folder, const char *name)
{
	char *path = g_build_filename(folder, name, NULL);
	GDir *dir = g_dir_open(path, 0, NULL);
	const char *entry;
	bool found = false;

	while (dir && !found && (entry = g_dir_read_name(dir))) {
		char *device_file = g_build_filename(entry, "dev", NULL);
		struct place place = { "", "" };
		char *device = read_line(path, device_file);

		if (device)
			g_strlcpy(place.device, device, sizeof(place.device));
		found = device && walk_place(walk, &place);
		g_free(device);
		g_free(device_file);
	}
	if (dir)
		g_dir_close(dir);
	g_free(path);
	return found;
}

/* A partition lies in the folder of its disk, and is no step of its own. */
static bool walk_disk_of_partition(struct walk *walk, const char *folder)
{
	struct place place = { "", "" };
	char *device = read_line(folder, "../dev");
	bool found;

	if (device)
		g_strlcpy(place.device, device, sizeof(place.device));
	found = device && walk_place(walk, &place);
	g_free(device);
	return found;
}

static bool walk_device(struct walk *walk, const char *folder)
{
	char *link = g_file_read_link(folder, NULL), *name = g_path_get_basename(link ? link : folder);
	char *backing_file = NULL;
	bool found;

	if (has(folder, "partition")) {
		found = walk_disk_of_partition(walk, folder);
	} else {
		step_in(walk, name);
		backing_file = read_line(folder, "loop/backing_file");
		found = backing_file ? walk_file(walk, backing_file) : walk_folder(walk, folder, "slaves");
		if (!found)
			step_back(walk);
	}
	g_free(backing_file);
	g_free(name);
	g_free(link);
	return found;
}

static bool walk_place(struct walk *walk, const struct place *place)
{
	char *folder;
	bool found;

	if (walk->way->len >= DEPTH_MAX)
		return false;
	if (*place->btrfs) {
		folder = g_build_filename(walk->view->sysfs, "fs/btrfs", place->btrfs, NULL);
		found = walk_folder(walk, folder, "devices");
	} else {
		folder = g_build_filename(walk->view->sysfs, "dev/block", place->device, NULL);
		found = *place->device && has(folder, "dev") && walk_device(walk, folder);
	}
	g_free(folder);
	return found;
}

char *place_on_image(const struct block_view *view, const struct place *place)
{
	struct walk walk = { view, g_ptr_array_new_with_free_func(g_free) };
	bool found = walk_place(&walk, place);
	char *way;

	g_ptr_array_add(walk.way, NULL);
	way = found ? g_strjoinv(", ", (char **)walk.way->pdata) : NULL;
	g_ptr_array_unref(walk.way);
	return way;
}

/*
 * ------------------------------------------------------------------ direct I/O
 */
static bool is_without_direct_io(const struct block_view *view, const char *folder)
{
	char *backing_file = read_line(folder, "loop/backing_file"), *direct_io = read_line(folder, "loop/dio");
	const struct mount_entry *mount = backing_file ? mounts_find(view->mounts, backing_file) : NULL;
	bool found = mount && direct_io && !strcmp(mount->device, view->image_device) && !strcmp(direct_io, "0");

	g_free(direct_io);
	g_free(backing_file);
	return found;
}

char **loop_devices_without_direct_io(const struct block_view *view)
{
	char *folder = g_build_filename(view->sysfs, "block", NULL);
	GPtrArray *names = g_ptr_array_new();
	GDir *dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		char *device = g_build_filename(folder, name, NULL);

		if (g_str_has_prefix(name, "loop") && is_without_direct_io(view, device))
			g_ptr_array_add(names, g_strdup(name));
		g_free(device);
	}
	if (dir)
		g_dir_close(dir);
	g_free(folder);
	g_ptr_array_add(names, NULL);
	return (char **)g_ptr_array_free(names, FALSE);
}

/*
 * ------------------------------------------------------------------ who uses the image
 */
static bool is_over_image(const struct block_view *view, const char *folder)
{
	char *backing_file = read_line(folder, "loop/backing_file");
	const struct mount_entry *mount = backing_file ? mounts_find(view->mounts, backing_file) : NULL;
	bool found = mount && !strcmp(mount->device, view->image_device);

	g_free(backing_file);
	return found;
}

static void add_mounts_of(const struct block_view *view, const char *folder, const char *name, GString *out)
{
	char *device = read_line(folder, "dev"), *node = g_strconcat("/dev/", name, NULL);

	for (guint i = 0; i < view->mounts->len; i++) {
		const struct mount_entry *entry = g_ptr_array_index(view->mounts, i);

		if (!strcmp(entry->source, node) || (device && !strcmp(entry->device, device)))
			g_string_append_printf(out, "%s%s", out->len ? ", " : "", entry->mountpoint);
	}
	g_free(node);
	g_free(device);
}

/* Its partitions are folders of it; what is stacked on it, and on them, is in holders. */
static void add_all_mounts(const struct block_view *view, const char *folder, const char *name, unsigned depth, GString *out)
{
	char *holders = g_build_filename(folder, "holders", NULL);
	const char *const folders[] = { folder, holders };

	add_mounts_of(view, folder, name, out);
	for (size_t i = 0; depth < DEPTH_MAX && i < G_N_ELEMENTS(folders); i++) {
		GDir *dir = g_dir_open(folders[i], 0, NULL);
		const char *entry;

		while (dir && (entry = g_dir_read_name(dir))) {
			char *inner = g_build_filename(folders[i], entry, NULL);

			if (has(inner, "dev") && (i == 1 || has(inner, "partition")))
				add_all_mounts(view, inner, entry, depth + 1, out);
			g_free(inner);
		}
		if (dir)
			g_dir_close(dir);
	}
	g_free(holders);
}

char **loop_devices_users(const struct block_view *view)
{
	char *folder = g_build_filename(view->sysfs, "block", NULL);
	GPtrArray *users = g_ptr_array_new();
	GDir *dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		char *device = g_build_filename(folder, name, NULL);
		GString *mounts = g_string_new(NULL);

		if (g_str_has_prefix(name, "loop") && is_over_image(view, device)) {
			add_all_mounts(view, device, name, 0, mounts);
			g_ptr_array_add(users, mounts->len ? g_strdup_printf("/dev/%s (mounted on %s)", name, mounts->str)
							   : g_strdup_printf("/dev/%s", name));
		}
		g_string_free(mounts, TRUE);
		g_free(device);
	}
	if (dir)
		g_dir_close(dir);
	g_free(folder);
	g_ptr_array_add(users, NULL);
	return (char **)g_ptr_array_free(users, FALSE);
}
