/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See warnings.h. */
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "base/bits.h"
#include "base/log.h"
#include "loop_devices.h"
#include "mount_table.h"
#include "warnings.h"

#define SYSFS "/sys"
#define NR_STORES 3

static const char *const store_names[NR_STORES] = { "origin", "cache", "metadata" };

struct warnings {
	struct place places[NR_STORES];		/* constant */
	pthread_mutex_t lock;
	char image_device[32];			/* "MAJOR:MINOR"; empty before the mount.  Protected by lock */
	char **last;				/* what the last look saw.  Protected by lock */
};

struct warnings *warnings_new(const char *origin, const char *cache, const char *metadata)
{
	const char *const paths[NR_STORES] = { origin, cache, metadata };
	struct block_view view = { SYSFS, mounts_read(MOUNT_TABLE), "" };
	struct warnings *warnings = g_new0(struct warnings, 1);

	pthread_mutex_init(&warnings->lock, NULL);
	warnings->last = g_new0(char *, 1);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		char *real = realpath(paths[i], NULL);

		if (real)
			warnings->places[i] = place_of(&view, real);
		free(real);
	}
	g_ptr_array_unref(view.mounts);
	return warnings;
}

void warnings_free(struct warnings *warnings)
{
	if (!warnings)
		return;
	g_strfreev(warnings->last);
	pthread_mutex_destroy(&warnings->lock);
	g_free(warnings);
}

void warnings_mounted(struct warnings *warnings, dev_t image_device)
{
	pthread_mutex_lock(&warnings->lock);
	g_snprintf(warnings->image_device, sizeof(warnings->image_device), "%u:%u", major(image_device),
		   minor(image_device));
	pthread_mutex_unlock(&warnings->lock);
}

static void add_stores(const struct warnings *warnings, const struct block_view *view, GPtrArray *lines)
{
	for (unsigned i = 0; i < NR_STORES; i++) {
		char *way = place_on_image(view, &warnings->places[i]);

		if (way)
			g_ptr_array_add(lines, g_strdup_printf("the %s lies on this image, by way of %s: sooner or later it "
							       "waits for itself for ever (take that device away)",
							       store_names[i], way));
		g_free(way);
	}
}

static void add_loop_devices(const struct block_view *view, GPtrArray *lines)
{
	char **names = loop_devices_without_direct_io(view);

	for (char **name = names; *name; name++)
		g_ptr_array_add(lines, g_strdup_printf("/dev/%s has the image in the page cache a second time, which is slow "
						       "(losetup --direct-io=on /dev/%s)", *name, *name));
	g_strfreev(names);
}

static void say_new(struct warnings *warnings, char **lines)
{
	pthread_mutex_lock(&warnings->lock);
	for (char **line = lines; *line; line++)
		if (!g_strv_contains((const char *const *)warnings->last, *line))
			log_warning("%s", *line);
	g_strfreev(warnings->last);
	warnings->last = g_strdupv(lines);
	pthread_mutex_unlock(&warnings->lock);
}

char **warnings_look(struct warnings *warnings)
{
	GPtrArray *lines = g_ptr_array_new();
	struct block_view view = { .sysfs = SYSFS };
	char image_device[sizeof(warnings->image_device)];

	pthread_mutex_lock(&warnings->lock);
	g_strlcpy(image_device, warnings->image_device, sizeof(image_device));
	pthread_mutex_unlock(&warnings->lock);
	if (*image_device) {
		view.mounts = mounts_read(MOUNT_TABLE);
		view.image_device = image_device;
		add_stores(warnings, &view, lines);
		add_loop_devices(&view, lines);
		g_ptr_array_unref(view.mounts);
	}
	g_ptr_array_add(lines, NULL);
	say_new(warnings, (char **)lines->pdata);
	return (char **)g_ptr_array_free(lines, FALSE);
}

char **warnings_users(struct warnings *warnings)
{
	struct block_view view = { .sysfs = SYSFS, .mounts = mounts_read(MOUNT_TABLE) };
	char image_device[sizeof(warnings->image_device)], **users;

	pthread_mutex_lock(&warnings->lock);
	g_strlcpy(image_device, warnings->image_device, sizeof(image_device));
	pthread_mutex_unlock(&warnings->lock);
	view.image_device = image_device;
	users = loop_devices_users(&view);
	g_ptr_array_unref(view.mounts);
	return users;
}
