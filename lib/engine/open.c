/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cwt_open(): from paths to an engine.
 *
 * Order: everything that can be refused is refused before anything is made or written; what was made here is removed
 * again when something later fails.  The metadata is locked first and unlocked last, so whoever gets it can have the
 * other two, and it names the owner to those who do not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/log.h"
#include "device/aio.h"
#include "device/faulty.h"
#include "engine/engine.h"
#include "engine/owner.h"

struct opening {
	const struct cwt_config *config;
	struct cwt_error *err;
	struct store_devices dev;
	bool cache_created;
	bool metadata_blank, metadata_unreadable;	/* to be formatted; and given up by --reset */
	uint32_t block_size, nr_cblocks;
	uint64_t cache_size;
};

/*
 * ------------------------------------------------------------------ the three are there, and are three
 */
struct path_id { bool exists; mode_t mode; dev_t dev, rdev; ino_t ino; };

static int path_identify(const char *path, struct path_id *id)
{
	struct stat st;

	memset(id, 0, sizeof(*id));
	if (stat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	*id = (struct path_id){ true, st.st_mode, st.st_dev, st.st_rdev, st.st_ino };
	return 0;
}

static bool path_same(const char *path_a, const struct path_id *a, const char *path_b, const struct path_id *b)
{
	if (!a->exists && !b->exists)
		return !strcmp(path_a, path_b);
	if (!a->exists || !b->exists)
		return false;
	if (S_ISBLK(a->mode) && S_ISBLK(b->mode))
		return a->rdev == b->rdev;
	return a->dev == b->dev && a->ino == b->ino;
}

static int check_paths(struct opening *o)
{
	const char *const paths[] = { o->config->origin_path, o->config->cache_path, o->config->metadata_path };
	const char *const words[] = { "origin", "cache", "metadata" };
	struct path_id ids[3];

	for (int i = 0; i < 3; i++) {
		int ret = path_identify(paths[i], &ids[i]);

		if (ret)
			return error_set(o->err, ret, "%s: %s", paths[i], strerror(-ret));
	}
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < i; j++)
			if (path_same(paths[i], &ids[i], paths[j], &ids[j]))
				return error_set(o->err, -EINVAL, "%s: given as the %s and as the %s (they must be "
						 "different files)",
						 paths[i], words[j], words[i]);
	if (!ids[0].exists)
		return error_set(o->err, -ENOENT, "%s: %s (the origin must exist)", paths[0], strerror(ENOENT));
	return 0;
}

/*
 * ------------------------------------------------------------------ locks
 */
/* The metadata's owner says of itself what it is doing. */
static bool owner_is_stopping(const char *metadata_path)
{
	struct aio_options options = { .read_only = true, .buffered = true, .no_lock = true };
	struct store_runtime rt;
	struct device *dev;
	bool stopping;

	if (aio_device_open(metadata_path, &options, &dev, NULL, NULL))
		return false;
	stopping = !store_read_runtime(dev, &rt) && rt.state == STORE_RUNTIME_STOPPING;
	device_close(dev);
	return stopping;
}

static void sleep_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

/* Who has the store locked, where that can be seen; else the line stays what the device says. */
static int say_owner(struct opening *o, const char *path, int ret)
{
	struct owner owner;

	if (!owner_find(path, &owner))
		return ret;
	if (*owner.mountpoint)
		return error_set(o->err, ret, "%s: in use by process %ld (%s), mounted on %s (unmount it, or wait until it has "
				 "ended)", path, owner.pid, owner.name, owner.mountpoint);
	return error_set(o->err, ret, "%s: in use by process %ld (%s), which has it locked (unmount it, or wait until it has "
			 "ended)", path, owner.pid, *owner.name ? owner.name : "?");
}

/*
 * umount returns before the daemon has ended: an owner that says "stopping" is waited for, any other is an error at
 * once.  Only the metadata is ever waited for: it is unlocked last, so whoever has it can have the other two, unless a
 * stranger has them.
 */
static int open_locked(struct opening *o, const char *path, const struct aio_options *options, struct device **out,
		       bool *created)
{
	const unsigned pause_ms = 50;
	unsigned waited_ms = 0;
	int ret;

	for (;; waited_ms += pause_ms) {
		ret = aio_device_open(path, options, out, created, o->err);
		if (ret != -EBUSY || path != o->config->metadata_path || waited_ms >= o->config->wait_stopping_ms ||
		    !owner_is_stopping(path))
			break;
		if (o->config->give_up && o->config->give_up(o->config->give_up_user))
			return error_set(o->err, -EINTR, "%s: given up while waiting for its owner to end (start again)", path);
		sleep_ms(pause_ms);
	}
	return ret == -EBUSY ? say_owner(o, path, ret) : ret;
}

/*
 * ------------------------------------------------------------------ the metadata, if there is one
 */
static int check_block_size(struct opening *o, const struct store_geometry *geo)
{
	const struct cwt_config *c = o->config;

	if (c->block_size_bytes && c->block_size_bytes != geo->block_size_bytes)
		return error_set(o->err, -EINVAL, "%s: has blocks of %u bytes, not %u (leave --block-size out, or "
				 "remove the metadata and the cache to start anew)",
				 c->metadata_path, geo->block_size_bytes, c->block_size_bytes);
	if (c->cache_size_bytes && store_nr_cblocks(c->cache_size_bytes, geo->block_size_bytes) != geo->nr_cblocks)
		return error_set(o->err, -EINVAL, "%s: is for a cache of %llu bytes, not %llu (leave --cache-size out, or "
				 "remove the metadata and the cache to start anew)", c->metadata_path,
				 ((unsigned long long)geo->nr_cblocks + 1) * geo->block_size_bytes,
				 (unsigned long long)c->cache_size_bytes);
	o->block_size = geo->block_size_bytes;
	o->nr_cblocks = geo->nr_cblocks;
	o->cache_size = ((uint64_t)geo->nr_cblocks + 1) * geo->block_size_bytes;
	return 0;
}

/* What is there is open and locked: is it ours, and does it fit? */
static int judge_metadata(struct opening *o)
{
	const char *path = o->config->metadata_path;
	struct store_geometry geo;
	enum store_kind kind;
	int ret = store_probe_metadata(o->dev.metadata, &kind);

	if (ret)
		return error_set(o->err, ret, "%s: cannot be read: %s (check the disk)", path, strerror(-ret));
	if (kind == STORE_FOREIGN)
		return error_set(o->err, -EINVAL, "%s: is not the metadata of a cache, and is left alone (give "
				 "another path, or remove it)", path);
	o->metadata_blank = kind == STORE_BLANK;
	if (o->metadata_blank)
		return 0;
	ret = store_read_geometry(o->dev.metadata, &geo, o->err);
	if (!ret)
		return check_block_size(o, &geo);
	if (!o->config->reset)
		return ret;
	o->metadata_blank = o->metadata_unreadable = true;
	return 0;
}

/* Sets dev.metadata when there is one that is ours, or a blank device; leaves it NULL when a file has to be made. */
static int open_existing_metadata(struct opening *o)
{
	const struct aio_options options = { .buffered = true };
	const char *path = o->config->metadata_path;
	struct stat st;
	int ret;

	if (stat(path, &st))
		return errno == ENOENT ? 0 : error_set(o->err, -errno, "%s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && !st.st_size)
		return 0;
	ret = open_locked(o, path, &options, &o->dev.metadata, NULL);
	return ret ? ret : judge_metadata(o);
}

/*
 * ------------------------------------------------------------------ origin and cache
 */
/* I4.  Asked of a new metadata and of one that is there. */
static int check_align(struct opening *o, const struct device *dev)
{
	return engine_check_align(dev, o->block_size, o->nr_cblocks ? "remove the metadata and the cache, and start with" : "use",
				  o->err);
}

static int open_origin(struct opening *o)
{
	const struct aio_options options = { .read_only = o->config->read_only };
	int ret = open_locked(o, o->config->origin_path, &options, &o->dev.origin, NULL);

	if (!o->config->read_only && (ret == -EROFS || ret == -EACCES || ret == -EPERM))
		return error_set(o->err, ret, "%s: cannot be opened for writing: %s (give --read-only if it need only be read)",
				 o->config->origin_path, strerror(-ret));
	if (ret)
		return ret;
	if (!device_info(o->dev.origin)->size_bytes)
		return error_set(o->err, -EINVAL, "%s: is empty (the origin must have a size)", o->config->origin_path);
	if (!o->block_size)
		o->block_size = o->config->block_size_bytes ? o->config->block_size_bytes : CWT_BLOCK_SIZE_DEFAULT;
	if (div_round_up(device_info(o->dev.origin)->size_bytes, o->block_size) > BLOCK_MAX)
		return error_set(o->err, -EFBIG, "%s: has more than %u blocks of %u bytes (use a larger --block-size)",
				 o->config->origin_path, BLOCK_MAX, o->block_size);
	return check_align(o, o->dev.origin);
}

static int check_cache_size(struct opening *o)
{
	uint64_t found = device_info(o->dev.cache)->size_bytes;

	if (o->nr_cblocks && found < o->cache_size)
		return error_set(o->err, -EINVAL, "%s: has %llu bytes, its metadata says %llu (remove both to start anew)",
				 o->config->cache_path, (unsigned long long)found, (unsigned long long)o->cache_size);
	if (!o->nr_cblocks && o->config->cache_size_bytes && !device_info(o->dev.cache)->is_block &&
	    found != o->config->cache_size_bytes)
		return error_set(o->err, -EINVAL, "%s: has %llu bytes, not %llu (leave --cache-size out, or remove it)",
				 o->config->cache_path, (unsigned long long)found,
				 (unsigned long long)o->config->cache_size_bytes);
	if (!o->nr_cblocks) {
		uint64_t use = o->config->cache_size_bytes ? o->config->cache_size_bytes : found;

		if (use > found)
			return error_set(o->err, -EINVAL, "%s: has %llu bytes, not %llu (use a smaller --cache-size)",
					 o->config->cache_path, (unsigned long long)found, (unsigned long long)use);
		o->nr_cblocks = store_nr_cblocks(use, o->block_size);
	}
	if (!o->nr_cblocks)
		return error_set(o->err, -EINVAL, "%s: %llu bytes are too small for a block of %u bytes and the label (use a larger "
				 "--cache-size)", o->config->cache_path, (unsigned long long)found, o->block_size);
	return 0;
}

static int open_cache(struct opening *o)
{
	struct aio_options options = { .create = true, .size_bytes = o->cache_size };
	const char *path = o->config->cache_path;
	enum store_kind kind;
	int ret;

	if (!options.size_bytes)
		options.size_bytes = o->config->cache_size_bytes;
	if (!options.size_bytes && access(path, F_OK))
		return error_set(o->err, -ENOENT, "%s: %s (give --cache-size to have it made)", path, strerror(ENOENT));
	if (options.size_bytes && !store_nr_cblocks(options.size_bytes, o->block_size))
		return error_set(o->err, -EINVAL, "%s: %llu bytes are too small for a block of %u bytes and the label (use a larger "
				 "--cache-size)", path, (unsigned long long)options.size_bytes, o->block_size);
	ret = open_locked(o, path, &options, &o->dev.cache, &o->cache_created);
	if (!ret)
		ret = check_align(o, o->dev.cache);
	if (ret)
		return ret;
	ret = check_cache_size(o);
	if (ret)
		return ret;
	ret = store_probe_cache(o->dev.cache, &kind);
	if (ret)
		return error_set(o->err, ret, "%s: %s", path, strerror(-ret));
	if (kind == STORE_FOREIGN)
		return error_set(o->err, -EINVAL, "%s: is neither a cache nor blank, and is left alone (give another "
				 "path, or remove it)", path);
	return 0;
}

/*
 * ------------------------------------------------------------------ a new metadata
 */
/* --reset of what cannot be read: the file becomes empty and is made anew. */
static int empty_metadata(struct opening *o)
{
	int ret = ftruncate(aio_device_fd(o->dev.metadata), 0) ? -errno : 0;

	device_close(o->dev.metadata);
	o->dev.metadata = NULL;
	return ret ? error_set(o->err, ret, "%s: cannot be made empty: %s", o->config->metadata_path, strerror(-ret)) : 0;
}

static int make_metadata(struct opening *o)
{
	struct store_geometry geo = { .block_size_bytes = o->block_size, .nr_cblocks = o->nr_cblocks,
		.origin_size_bytes = device_info(o->dev.origin)->size_bytes };
	uint64_t size = store_metadata_size(geo.nr_cblocks, geo.origin_size_bytes, geo.block_size_bytes);
	const struct aio_options options = { .create = true, .buffered = true, .size_bytes = size };
	const char *path = o->config->metadata_path;
	int ret;

	if (o->metadata_unreadable && !device_info(o->dev.metadata)->is_block) {
		ret = empty_metadata(o);
		if (ret)
			return ret;
	}
	if (!o->dev.metadata) {
		ret = open_locked(o, path, &options, &o->dev.metadata, NULL);
		if (ret)
			return ret;
	}
	if (device_info(o->dev.metadata)->size_bytes < size)
		return error_set(o->err, -ENOSPC, "%s: is blank, but has only %llu bytes; %llu are needed (remove it, "
				 "or give another path)", path,
				 (unsigned long long)device_info(o->dev.metadata)->size_bytes, (unsigned long long)size);
	return store_format(o->dev.metadata, &geo, o->err);
}

/*
 * ------------------------------------------------------------------ faults
 */
static int add_fault(struct device **dev, bool *wrapped, const char *rule_text, struct cwt_error *err)
{
	static const struct faulty_options options;
	struct faulty_rule rule;
	struct device *faulty;
	int ret = faulty_rule_parse(rule_text, &rule, err);

	if (!ret && !*wrapped) {
		ret = faulty_device_open(*dev, &options, &faulty);
		if (!ret)
			*dev = faulty;
		*wrapped = !ret;
	}
	if (ret)
		return ret;
	ret = faulty_device_add_rule(*dev, &rule);
	return ret ? error_set(err, ret, "fault '%s': at most %d of them for one store", rule_text, FAULTY_RULES_MAX) : 0;
}

static int add_faults(struct opening *o)
{
	static const char *const words[] = { "origin:", "cache:", "metadata:" };
	struct device **const devs[] = { &o->dev.origin, &o->dev.cache, &o->dev.metadata };
	bool wrapped[3] = { false, false, false };

	for (const char *const *f = o->config->faults; f && *f; f++) {
		int i = 0, ret;

		while (i < 3 && strncmp(*f, words[i], strlen(words[i])))
			i++;
		if (i == 3)
			return error_set(o->err, -EINVAL, "fault '%s': must begin with origin:, cache: or metadata:", *f);
		ret = add_fault(devs[i], &wrapped[i], *f + strlen(words[i]), o->err);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * ------------------------------------------------------------------ all together
 */
static void read_boot_id(uint64_t id[2])
{
	char text[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	unsigned nr = 0;

	id[0] = id[1] = 0;
	if (!f)
		return;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	for (const char *s = text; *s && nr < 32; s++) {
		int digit = *s >= '0' && *s <= '9' ? *s - '0' : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10 : -1;

		if (digit >= 0) {
			id[nr / 16] = id[nr / 16] << 4 | (unsigned)digit;
			nr++;
		}
	}
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	return clock_gettime(clock, &ts) ? 0 : (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int open_engine(struct opening *o, struct cwt **out)
{
	struct engine_options options = { .mode = o->config->mode, .policy = o->config->policy,
		.commit_interval_ms = o->config->commit_interval_ms, .read_only = o->config->read_only,
		.trust_origin = o->config->trust_origin, .reset = o->config->reset,
		.warm_after_power = o->config->warm_after_power };
	const struct store_devices aio = o->dev;	/* below the faults */
	int ret = add_faults(o);

	if (ret)
		return ret;
	read_boot_id(options.env.boot_id);
	options.env.boot_time_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
	options.env.pid = (uint32_t)getpid();
	options.env.seed = (uint64_t)getpid() ^ options.env.boot_id[0];
	ret = engine_open(&o->dev, &options, out, o->err);
	memset(&o->dev, 0, sizeof(o->dev));	/* the engine's, or closed */
	if (ret)
		return ret;
	aio_device_keep(aio.cache);
	aio_device_keep(aio.metadata);
	(*out)->origin_fd = aio_device_fd(aio.origin);
	(*out)->origin_io = aio_device_path_name(aio.origin);
	(*out)->cache_io = aio_device_path_name(aio.cache);
	return 0;
}

/* Closing undoes what was made here; the engine has done so already if it has had the devices. */
static void open_failed(struct opening *o)
{
	device_close(o->dev.origin);
	device_close(o->dev.cache);
	device_close(o->dev.metadata);
}

static int check_config(struct opening *o)
{
	const struct cwt_config *c = o->config;
	uint32_t b = c->block_size_bytes;

	if (!c->origin_path || !c->cache_path || !c->metadata_path)
		return error_set(o->err, -EINVAL, "origin, cache and metadata: a path is missing");
	if (b && (!is_power_of_2(b) || b < CWT_BLOCK_SIZE_MIN || b > CWT_BLOCK_SIZE_MAX))
		return error_set(o->err, -EINVAL, "block size %u: must be a power of two from %u to %u", b, CWT_BLOCK_SIZE_MIN,
				 CWT_BLOCK_SIZE_MAX);
	return 0;
}

int cwt_open(const struct cwt_config *config, struct cwt **out, struct cwt_error *err)
{
	struct opening o = { .config = config, .err = err };
	int ret = check_config(&o);

	if (!ret)
		ret = check_paths(&o);
	if (!ret)
		ret = open_existing_metadata(&o);
	if (!ret)
		ret = open_origin(&o);
	if (!ret)
		ret = open_cache(&o);
	if (!ret && (!o.dev.metadata || o.metadata_blank))
		ret = make_metadata(&o);
	if (!ret)
		ret = open_engine(&o, out);
	if (ret)
		open_failed(&o);
	return ret;
}

int cwt_origin_fd(const struct cwt *e)
{
	return e->origin_fd;
}

const char *cwt_version(void)
{
	return CWT_VERSION;
}

void cwt_set_log(void (*sink)(void *ctx, int level, const char *line), void *ctx, int most)
{
	log_set_sink((log_sink_fn *)sink, ctx, (enum log_level)most);
}
