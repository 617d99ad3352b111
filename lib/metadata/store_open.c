/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening: every refusal first, then the facts, the decision, and only then recover.c writes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mutant.h"
#include "metadata/reader.h"
#include "metadata/store_internal.h"

int store_probe_metadata(struct device *metadata, enum store_kind *kind)
{
	struct superblock_pair pair;
	bool blank = false;
	int ret = 0;

	superblock_pair_read(metadata, &pair);
	*kind = STORE_OURS;
	for (int i = 0; i < SUPERBLOCK_COPIES; i++)
		if (pair.verdict[i] == PAGE_OK || (pair.verdict[i] == PAGE_BROKEN && !pair.formatting))
			return 0;
	if (pair.formatting) {
		*kind = STORE_BLANK;	/* whatever it held is gone, and nothing has taken its place */
		return 0;
	}
	ret = reader_is_blank(metadata, &blank);
	*kind = blank ? STORE_BLANK : STORE_FOREIGN;
	return ret;
}

static int label_read(struct device *cache, struct label *label, enum page_verdict *verdict)
{
	uint8_t page[PAGE_BYTES];
	int ret;

	*verdict = PAGE_FOREIGN;
	if (device_info(cache)->size_bytes < sizeof(page))
		return 0;
	ret = device_read(cache, 0, page, sizeof(page));
	if (!ret)
		*verdict = label_decode(page, label);
	return ret;
}

static int cache_kind(struct device *cache, struct label *label, enum page_verdict *verdict, enum store_kind *kind)
{
	bool blank = false;
	int ret = label_read(cache, label, verdict);

	if (ret)
		return ret;
	*kind = STORE_OURS;
	if (*verdict == PAGE_OK || *verdict == PAGE_BROKEN)
		return 0;
	ret = reader_is_blank(cache, &blank);
	*kind = blank ? STORE_BLANK : STORE_FOREIGN;
	return ret;
}

int store_probe_cache(struct device *cache, enum store_kind *kind)
{
	enum page_verdict verdict;
	struct label label;

	return cache_kind(cache, &label, &verdict, kind);
}

static void geometry_of(const struct superblock *sb, struct store_geometry *geo)
{
	geo->block_size_bytes = sb->block_size_bytes;
	geo->nr_cblocks = sb->nr_cblocks;
	geo->origin_size_bytes = sb->origin_size_bytes;
	memcpy(geo->uuid, sb->uuid, UUID_BYTES);
}

int store_read_geometry(struct device *metadata, struct store_geometry *geo, struct cwt_error *err)
{
	struct superblock_pair pair;
	struct superblock sb;
	int ret;

	superblock_pair_read(metadata, &pair);
	ret = superblock_pair_choose(metadata, &pair, true, &sb, err);
	if (!ret)
		geometry_of(&sb, geo);
	return ret;
}

/* With reset the metadata is made to fit the origin; where the region marks are too few, each stands for more. */
static int fit_origin(struct superblock *sb, const struct store_devices *dev, bool reset, struct cwt_error *err)
{
	uint64_t size = device_info(dev->origin)->size_bytes;

	if (size == sb->origin_size_bytes)
		return 0;
	if (!reset)
		return error_set(err, -EINVAL,
				 "%s: the origin has %" PRIu64 " bytes, the metadata %s was made for %" PRIu64
				 " (give the right origin, or --reset to drop the cached contents)",
				 dev->origin->name, size, dev->metadata->name, sb->origin_size_bytes);
	if (!size || nr_oblocks_of(size, sb->block_size_bytes) > BLOCK_MAX)
		return error_set(err, -EINVAL,
				 "%s: the origin has %" PRIu64 " bytes, blocks of %u bytes can hold 1 to %" PRIu64
				 " (format a new metadata with another --block-size)",
				 dev->origin->name, size, sb->block_size_bytes,
				 (uint64_t)BLOCK_MAX * sb->block_size_bytes);
	sb->origin_size_bytes = size;
	while (nr_region_mark_pages_of(size, sb->region_shift) * PAGE_BYTES >
	       superblock_region(sb, REGION_REGION_MARKS)->len_bytes)
		sb->region_shift++;
	return 0;
}

static int refuse_cache(const struct superblock *sb, struct device *cache, enum store_kind kind, struct cwt_error *err)
{
	uint64_t has = device_info(cache)->size_bytes;
	uint64_t needs = store_cache_offset(CBLOCK(sb->nr_cblocks), sb->block_size_bytes);

	if (kind == STORE_FOREIGN)
		return error_set(err, -EINVAL,
				 "%s: the cache is neither blank nor a cache of cachewtfs, and is left alone (give "
				 "another --cache path; remove the file, or wipe the device)",
				 cache->name);
	if (has < needs)
		return error_set(err, -EINVAL, "%s: the cache has %" PRIu64 " bytes, its metadata was made for %" PRIu64
				 " (give the right cache, or format a new metadata)", cache->name, has, needs);
	return 0;
}

static bool label_matches(const struct superblock *sb, enum page_verdict verdict, const struct label *label)
{
	return verdict == PAGE_OK && !memcmp(label->uuid, sb->uuid, UUID_BYTES) &&
	       (label->session == sb->session || label->session == sb->old_session || mutant_is(MUTANT_SESSION_IGNORED)) &&
	       label->block_size_bytes == sb->block_size_bytes && label->nr_cblocks == sb->nr_cblocks;
}

static int store_alloc(struct store *s)
{
	s->nr_pages = (uint32_t)nr_mapping_pages_of(s->sb.nr_cblocks);
	s->checksums = calloc(s->nr_pages, sizeof(*s->checksums));
	s->pages = calloc(s->nr_pages, sizeof(*s->pages));
	if (!s->checksums || !s->pages)
		return -ENOMEM;
	return store_marks_init(s) ? -ENOMEM : commit_init(s);
}

/* next: what is known of the stores from now on, as they are found now. */
static int find_identity(struct store *s, struct identity *next)
{
	struct device *dev[PLACES] = { s->dev.origin, s->dev.cache, s->dev.metadata };

	for (int i = 0; i < PLACES; i++) {
		struct device_identity id;
		int ret = device_identity(dev[i], &id);

		if (ret)
			return ret;
		next->places[i] = (struct place){ .dev = id.dev, .ino = id.ino, .rdev = id.rdev, .birth_ns = id.birth_ns,
						  .mount_id = id.mount_id, .fsid = id.fsid, .diskseq = id.diskseq };
		if (i == PLACE_ORIGIN)
			origin_state_take(dev[i], &id, &next->origin);
	}
	next->origin_kind = device_info(s->dev.origin)->is_block ? ORIGIN_BLOCK_DEVICE : ORIGIN_FILE;
	return origin_ids_take(s, next);
}

/*
 * Random, not counted: two copies of one pair of files, both started, must not get the same session.  The old session
 * is the one that the label still carries: after a start that ended before the label was written, this is not the
 * superblock's last.
 */
static int session_new(struct superblock *next, const struct start_facts *f)
{
	uint64_t session = 0;

	while (!session || session == next->session || session == next->old_session)
		if (getrandom(&session, sizeof(session), 0) != (ssize_t)sizeof(session))
			return -EIO;
	next->old_session = f->label_matches ? f->label_session : session;
	next->session = session;
	return 0;
}

static void explain(struct store *s, const struct start_facts *f)
{
	static const char *const why[] = {
		[START_COLD_NEW] = "cold: a new cache",
		[START_COLD_UNCLEAN] = "cold: the last run did not stop in order",
		[START_COLD_CACHE_CHANGED] = "cold: the cache is of another metadata or another session",
		[START_COLD_DAMAGED] = "cold: the metadata was damaged",
		[START_COLD_RESET] = "cold: reset",
	};

	if (s->start == START_WARM_KILL)
		snprintf(s->reason, sizeof(s->reason), "warm: the last run was killed, %" PRIu64 " blocks kept, %" PRIu64
			 " dropped",
			 s->nr_mapped, s->nr_dropped);
	else if (s->start == START_WARM_POWER)
		snprintf(s->reason, sizeof(s->reason), "warm: the machine went down, %" PRIu64 " blocks kept, %" PRIu64
			 " dropped",
			 s->nr_mapped, s->nr_dropped);
	else if (start_is_warm(s->start))
		snprintf(s->reason, sizeof(s->reason), "warm: clean stop, %" PRIu64 " blocks", s->nr_mapped);
	else if (s->start == START_COLD_CACHE_CHANGED && f->label_blank)
		snprintf(s->reason, sizeof(s->reason), "cold: the cache was blank");
	else if (s->start == START_COLD_ORIGIN_CHANGED)
		snprintf(s->reason, sizeof(s->reason), "cold: the origin was changed: %s", f->origin_why);
	else
		snprintf(s->reason, sizeof(s->reason), "%s", why[s->start]);
}

/* Everything that refuses; *s holds what was found.  Reads only. */
static int open_look(struct store *s, const struct store_options *o, struct start_facts *f, struct cwt_error *err)
{
	struct superblock_pair pair;
	enum page_verdict verdict;
	enum store_kind kind;
	struct label label;
	int ret;

	superblock_pair_read(s->dev.metadata, &pair);
	ret = superblock_pair_choose(s->dev.metadata, &pair, true, &s->sb, err);
	if (!ret)
		ret = fit_origin(&s->sb, &s->dev, o->reset, err);
	if (ret)
		return ret;
	ret = cache_kind(s->dev.cache, &label, &verdict, &kind);
	if (ret)
		return error_set(err, ret,
				 "%s: the cache's label cannot be read: %s (check the disk, or give another --cache)",
				 s->dev.cache->name, strerror(-ret));
	ret = refuse_cache(&s->sb, s->dev.cache, kind, err);
	if (ret)
		return ret;
	for (int i = 0; i < SUPERBLOCK_COPIES; i++)
		s->copy_generation[i] = pair.verdict[i] == PAGE_OK ? pair.sb[i].generation : 0;
	f->reset = o->reset;
	f->never_started = !s->sb.session;
	f->clean = s->sb.state & STATE_CLEAN;
	f->region_marks_kept = s->sb.state & STATE_REGION_MARKS;
	f->label_blank = kind == STORE_BLANK;
	f->label_matches = label_matches(&s->sb, verdict, &label);
	f->label_session = f->label_matches ? label.session : 0;
	return 0;
}

/*
 * ------------------------------------------------------------------ what only an unclean start asks
 */
/* R1: the page caches that the last run wrote to are those we read from, and none of them has lost anything. */
static bool is_same_boot(struct store *s, const struct identity *next)
{
	if (mutant_is(MUTANT_ANY_BOOT_TRUSTED))
		return true;
	return places_equal(s, s->identity.places, next->places) && !device_flush(s->dev.origin) && !device_flush(s->dev.cache) &&
	       !device_flush(s->dev.metadata);
}

static int load_marks(struct store *s, const struct start_facts *f, struct recovery *r)
{
	enum store_start start = start_decide(f);

	if (f->region_marks_kept)
		store_marks_load_regions(s);
	r->by_region = start == START_WARM_POWER;
	return start == START_WARM_KILL ? store_marks_load_busy(s, &r->busy) : 0;
}

static int open_recover(struct store *s, const struct store_options *o, struct start_facts *f, struct cwt_error *err)
{
	struct superblock next = s->sb;
	struct identity identity;
	struct recovery r = { 0 };
	bool known = false;
	int ret = store_alloc(s);

	if (!ret)
		ret = recovery_read_identity(s, &r, &known);
	f->damaged = !known;
	identity = s->identity;
	if (!ret)
		ret = find_identity(s, &identity);
	if (!ret)
		ret = session_new(&next, f);
	if (!ret) {
		f->boot_id_equal = (o->boot_id[0] | o->boot_id[1]) && o->boot_id[0] == s->sb.boot_id[0] &&
				   o->boot_id[1] == s->sb.boot_id[1];
		f->same_boot = !f->clean && (f->boot_id_equal || mutant_is(MUTANT_ANY_BOOT_TRUSTED)) && is_same_boot(s, &identity);
		origin_judge(s, o, f, &identity);
	}
	if (!ret && !f->clean)
		ret = load_marks(s, f, &r);
	if (!ret)
		ret = recovery_read(s, &r, start_is_warm(start_decide(f)));
	if (ret) {
		error_set(err, ret, "%s: opening the metadata failed: %s (check the disk and the memory)",
			  s->dev.metadata->name, strerror(-ret));
		goto out;
	}
	f->damaged |= r.bad_entry || (r.digest != s->sb.set_digest && !mutant_is(MUTANT_DIGEST_NOT_CHECKED));
	s->start = start_decide(f);
	s->nr_mapped = start_is_warm(s->start) ? r.nr_mapped - r.nr_dropped : 0;
	s->nr_dropped = r.nr_dropped;
	s->keep_region_marks = s->start == START_WARM_KILL && f->region_marks_kept;
	next.state = o->warm_after_power ? STATE_REGION_MARKS : 0;
	next.boot_id[0] = o->boot_id[0];
	next.boot_id[1] = o->boot_id[1];
	ret = recovery_write(s, &r, &next, &identity, err);
out:
	recovery_free(&r);
	return ret;
}

int store_open(const struct store_devices *devices, const struct store_options *options, struct store **out,
	       enum store_start *start, struct cwt_error *err)
{
	struct start_facts facts = { 0 };
	struct store *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return error_set(err, -ENOMEM, "%s: out of memory (free some)", devices->metadata->name);
	s->dev = *devices;
	s->real_ns = options->real_ns;
	s->clock_ctx = options->ctx;
	s->clock_ns = options->clock_ns;
	ret = open_look(s, options, &facts, err);
	if (ret)
		goto fail;
	geometry_of(&s->sb, &s->geo);
	ret = open_recover(s, options, &facts, err);
	if (ret)
		goto fail;
	explain(s, &facts);
	s->may_load = true;
	store_write_runtime(s->dev.metadata,
			    &(struct store_runtime){ .pid = options->pid, .state = STORE_RUNTIME_SERVING });
	*out = s;
	*start = s->start;
	return 0;
fail:
	store_close(s);
	return ret;
}
