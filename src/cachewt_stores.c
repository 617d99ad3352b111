/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See cachewt_stores.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cachewt_stores.h"
#include "device/aio.h"
#include "metadata/check.h"
#include "metadata/dump.h"
#include "metadata/store.h"
#include "mount_holders.h"

#define STOPPING_POLL_MS 50u

/* The runtime page past the lock: it is advisory, and a torn one says nothing. */
static void read_owner(const char *path, struct store_runtime *owner)
{
	const struct aio_options options = { .read_only = true, .buffered = true, .no_lock = true };
	struct device *metadata;

	*owner = (struct store_runtime){ 0 };
	if (aio_device_open(path, &options, &metadata, NULL, NULL))
		return;
	if (store_read_runtime(metadata, owner))
		owner->state = STORE_RUNTIME_NONE;
	device_close(metadata);
}

int stores_open_metadata(const char *path, struct device **out, struct cwt_error *err)
{
	const struct timespec pause = { .tv_nsec = STOPPING_POLL_MS * 1000000L };
	const struct aio_options options = { .read_only = true, .buffered = true };
	struct store_runtime owner;
	int ret;

	for (unsigned waited_ms = 0; ; waited_ms += STOPPING_POLL_MS) {
		ret = aio_device_open(path, &options, out, NULL, err);
		if (ret != -EBUSY)
			return ret;
		read_owner(path, &owner);
		if (waited_ms >= (owner.state == STORE_RUNTIME_STOPPING ? STOPPING_WAIT_MS : GRACE_MS))
			break;
		nanosleep(&pause, NULL);
	}
	if (owner.state != STORE_RUNTIME_NONE && owner.pid) {
		char *source = mount_source_of("/proc", owner.pid), *remedy = mount_remedy("/proc", source, owner.pid);

		error_set(err, ret, "%s: in use by process %" PRIu32 " (%s)", path, owner.pid, remedy);
		g_free(source);
		g_free(remedy);
	}
	return ret;
}

int stores_open_data(const char *path, const char *what, struct device **out, struct cwt_error *err)
{
	const struct aio_options options = { .read_only = true };
	struct cwt_error why;
	int ret = aio_device_open(path, &options, out, NULL, &why);

	return ret ? error_set(err, ret, "%s %s", what, why.text) : 0;
}

static int check_label(struct device *cache, const struct label *label, const struct superblock *sb, struct cwt_error *err)
{
	char has[UUID_TEXT_BYTES], wants[UUID_TEXT_BYTES];

	if (memcmp(label->uuid, sb->uuid, UUID_BYTES)) {
		uuid_format(label->uuid, has);
		uuid_format(sb->uuid, wants);
		return error_set(err, -EINVAL, "cache %s: its label names the metadata %s, this metadata is %s (give the cache and the "
				 "metadata that belong together)", cache->name, has, wants);
	}
	if (label->session != sb->session && label->session != sb->old_session)
		return error_set(err, -EINVAL, "cache %s: its label is of session %016" PRIx64 ", the metadata of session %016" PRIx64
				 " (one of them is a copy or was used without the other; a mount starts cold)", cache->name,
				 label->session, sb->session);
	if (label->block_size_bytes != sb->block_size_bytes || label->nr_cblocks != sb->nr_cblocks)
		return error_set(err, -EINVAL, "cache %s: its label says %" PRIu32 " cblocks of %" PRIu32 " bytes, the metadata %" PRIu32
				 " of %" PRIu32 " (a mount starts cold)", cache->name, label->nr_cblocks, label->block_size_bytes,
				 sb->nr_cblocks, sb->block_size_bytes);
	return 0;
}

int stores_check_cache(struct device *cache, const struct superblock *sb, struct cwt_error *err)
{
	uint64_t size_bytes = device_info(cache)->size_bytes;
	uint64_t needed_bytes = ((uint64_t)sb->nr_cblocks + 1) * sb->block_size_bytes;
	uint8_t page[PAGE_BYTES];
	struct label label;
	int ret;

	if (size_bytes < needed_bytes)
		return error_set(err, -EINVAL, "cache %s: has %" PRIu64 " bytes, the metadata expects at least %" PRIu64
				 " (it is another cache, or was cut off)", cache->name, size_bytes, needed_bytes);
	ret = device_read(cache, 0, page, sizeof(page));
	if (ret)
		return error_set(err, ret, "cache %s: its label cannot be read: %s", cache->name, strerror(-ret));
	switch (label_decode(page, &label)) {
	case PAGE_OK:
		return check_label(cache, &label, sb, err);
	case PAGE_ZERO:
		return error_set(err, -EINVAL, "cache %s: it has no label, it is blank (a mount starts cold)", cache->name);
	default:
		return error_set(err, -EINVAL, "cache %s: its first block is not a label of cachewtfs, or is damaged (is it the cache?)",
				 cache->name);
	}
}

int stores_check_origin(struct device *origin, const struct superblock *sb, struct cwt_error *err)
{
	if (device_info(origin)->size_bytes == sb->origin_size_bytes)
		return 0;
	return error_set(err, -EINVAL, "origin %s: has %" PRIu64 " bytes, the metadata expects %" PRIu64 " (it is another origin, or "
			 "was resized)", origin->name, device_info(origin)->size_bytes, sb->origin_size_bytes);
}

char *stores_origin_path(const char *metadata_path)
{
	const struct aio_options options = { .read_only = true, .buffered = true, .no_lock = true };
	struct check_result result;
	struct device *metadata;
	struct cwt_error err;
	char *path = NULL;

	if (aio_device_open(metadata_path, &options, &metadata, NULL, NULL))
		return NULL;
	/* Of a path too long for the page only its end is kept. */
	if (!metadata_check(metadata, NULL, &result, &err) && result.identity_known && result.identity.origin_path[0] == '/' &&
	    strlen(result.identity.origin_path) < IDENTITY_PATH_BYTES - 1)
		path = g_strdup(result.identity.origin_path);
	device_close(metadata);
	return path;
}
