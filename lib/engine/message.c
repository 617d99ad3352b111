/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages: what a person or a script may tell a running engine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/flush.h"
#include "engine/migration.h"

static int message_origin_ok(struct cwt *e, const char *args, struct cwt_error *err)
{
	(void)args;
	(void)err;
	pthread_mutex_lock(&e->lock);
	flush_origin_ok_locked(e);
	pthread_mutex_unlock(&e->lock);
	return 0;
}

static int bypass_end(struct cwt *e, enum cwt_bypass why, struct cwt_error *err)
{
	char reason[sizeof(e->bypass_reason)];
	int ret;

	pthread_mutex_lock(&e->lock);
	ret = bypass_end_locked(e, why);
	if (!ret)
		e->commit.retry_ms = 0;		/* who says so has mended something: try at once */
	memcpy(reason, e->bypass_reason, sizeof(reason));
	pthread_mutex_unlock(&e->lock);
	if (ret)
		error_set(err, ret, "the cache is bypassed for another reason: %s", reason);
	return ret;
}

static int message_cache_ok(struct cwt *e, const char *args, struct cwt_error *err)
{
	(void)args;
	return bypass_end(e, CWT_BYPASS_CACHE_ERRORS, err);
}

static int message_bypass(struct cwt *e, const char *args, struct cwt_error *err)
{
	if (!strcmp(args, "off"))
		return bypass_end(e, CWT_BYPASS_MESSAGE, err);
	if (strcmp(args, "on"))
		return error_set(err, -EINVAL, "bypass: '%s' is neither on nor off", args);
	pthread_mutex_lock(&e->lock);
	bypass_start_locked(e, CWT_BYPASS_MESSAGE, "by message");
	pthread_mutex_unlock(&e->lock);
	return 0;
}

static int message_commit(struct cwt *e, const char *args, struct cwt_error *err)
{
	int ret = engine_commit_run(e, 0);

	(void)args;
	return ret ? error_set(err, ret, "commit: %s", strerror(-ret)) : 0;
}

static int message_drop(struct cwt *e, const char *args, struct cwt_error *err)
{
	(void)args;
	(void)err;
	pthread_mutex_lock(&e->lock);
	drop_all_locked(e);
	pthread_mutex_unlock(&e->lock);
	return 0;
}

/* How much is looked at before others get the lock. */
#define INVALIDATE_SLICE 1024u

/* Oblocks [first, last]. */
struct range { uint64_t first, last; };

static bool range_has(const struct range *range, uint32_t oblock)
{
	return oblock >= range->first && oblock <= range->last;
}

static void invalidate_fills_locked(struct cwt *e, const struct range *range)
{
	list_for_each(n, &e->fills) {
		struct fill *f = list_entry(n, struct fill, all_node);

		f->void_it |= range_has(range, f->oblock.v);
	}
}

/* From is one of the blocks that are walked: an oblock, or, where these are fewer, a cblock. */
static void invalidate_slice_locked(struct cwt *e, const struct range *range, bool by_cblock, uint64_t from, uint64_t nr)
{
	for (uint64_t i = from; i < from + nr; i++) {
		cblock_t c = by_cblock ? CBLOCK(i) : map_lookup(&e->map, OBLOCK(i));

		if (cblock_is_none(c) || map_cb(&e->map, c)->state != CB_MAPPED || !range_has(range, map_cb(&e->map, c)->oblock))
			continue;
		cblock_remove_locked(e, c, REMOVAL_INVALIDATION);
	}
}

/*
 * A range of terabytes has more oblocks than there are cblocks: then these are walked.  In slices, so that requests get on
 * meanwhile.  Fills under way are void before the first slice: whatever is published after that was read after this began.
 */
static void invalidate(struct cwt *e, const struct range *range)
{
	bool by_cblock = range->last - range->first >= e->nr_cblocks;
	uint64_t at = by_cblock ? 0 : range->first, end = by_cblock ? e->nr_cblocks : range->last + 1;

	pthread_mutex_lock(&e->lock);
	invalidate_fills_locked(e, range);
	pthread_mutex_unlock(&e->lock);
	for (; at < end; at += INVALIDATE_SLICE) {
		pthread_mutex_lock(&e->lock);
		invalidate_slice_locked(e, range, by_cblock, at, MIN(end - at, INVALIDATE_SLICE));
		pthread_mutex_unlock(&e->lock);
	}
}

static int message_invalidate(struct cwt *e, const char *args, struct cwt_error *err)
{
	unsigned long long offset, len;
	uint64_t end;
	char rest;

	if (sscanf(args, "%llu %llu %c", &offset, &len, &rest) != 2)
		return error_set(err, -EINVAL, "invalidate: '%s' is not OFFSET LENGTH in bytes", args);
	if (offset >= e->origin_size || !len)
		return 0;
	end = offset + MIN((uint64_t)len, e->origin_size - offset);
	invalidate(e, &(struct range){ offset >> e->block_shift, (end - 1) >> e->block_shift });
	return 0;
}

static const struct {
	const char *key;
	bool has_args;
	int (*run)(struct cwt *e, const char *args, struct cwt_error *err);
} messages[] = {
	{ "origin-ok", false, message_origin_ok },
	{ "cache-ok", false, message_cache_ok },
	{ "bypass", true, message_bypass },
	{ "commit", false, message_commit },
	{ "drop", false, message_drop },
	{ "invalidate", true, message_invalidate },
};

static int message_run(struct cwt *e, const char *text, struct cwt_error *err)
{
	size_t len = strcspn(text, " \t\n");
	char args[128];

	snprintf(args, sizeof(args), "%s", text + len + strspn(text + len, " \t\n"));
	args[strcspn(args, "\n")] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(messages); i++) {
		if (strlen(messages[i].key) != len || memcmp(messages[i].key, text, len))
			continue;
		if (!messages[i].has_args && args[0])
			return error_set(err, -EINVAL, "%s: takes no value, found '%s'", messages[i].key, args);
		return messages[i].run(e, args, err);
	}
	return error_set(err, -EINVAL, "message '%.*s': not known (origin-ok, cache-ok, bypass on|off, commit, drop, "
			 "invalidate OFFSET LENGTH)", (int)MIN(len, 64), text);
}

/*
 * What a message has dropped stays so if this process is killed: the busy marks are visible before the answer (B1), for they
 * would else wait for the next I/O (B2).
 */
int cwt_message(struct cwt *e, const char *text, struct cwt_error *err)
{
	int ret = message_run(e, text, err);

	marks_write_urgent(e);
	return ret;
}
