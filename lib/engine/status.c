/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The numbers a person or a script reads: a copy taken under the lock, and whether the books balance (I17). */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"

static void status_of_stats(const struct engine_stats *s, struct cwt_status *out)
{
	out->block_requests = s->block_requests;
	out->read_hits = s->read_hits;
	out->read_misses = s->read_misses;
	out->write_hits = s->write_hits;
	out->write_misses = s->write_misses;
	out->bypassed = s->bypassed;
	out->books_balance = s->read_hits + s->read_misses + s->write_hits + s->write_misses + s->bypassed +
			     s->nr_undecided == s->block_requests;
	out->promotions = s->promotions;
	out->demotions = s->demotions;
	out->invalidations = s->invalidations;
	out->fills_voided = s->fills_voided;
	out->fills_failed = s->fills_failed;
	out->origin_read_errors = s->origin_read_errors;
	out->origin_write_errors = s->origin_write_errors;
	out->origin_flush_errors = s->origin_flush_errors;
	out->cache_read_errors = s->cache_read_errors;
	out->cache_write_errors = s->cache_write_errors;
	out->cache_flush_errors = s->cache_flush_errors;
	out->metadata_errors = s->metadata_errors;
	out->commits = s->commits;
}

static void status_of_names(struct cwt *e, struct cwt_status *out)
{
	snprintf(out->bypass_reason, sizeof(out->bypass_reason), "%s", e->bypass_reason);
	snprintf(out->policy, sizeof(out->policy), "%s", e->policy->ops->name);
	snprintf(out->start_reason, sizeof(out->start_reason), "%s", e->start_reason);
	snprintf(out->origin_path, sizeof(out->origin_path), "%s", e->dev.origin->name);
	snprintf(out->cache_path, sizeof(out->cache_path), "%s", e->dev.cache->name);
	snprintf(out->metadata_path, sizeof(out->metadata_path), "%s", e->dev.metadata->name);
	snprintf(out->origin_io, sizeof(out->origin_io), "%s", e->origin_io);
	snprintf(out->cache_io, sizeof(out->cache_io), "%s", e->cache_io);
}

static uint64_t memory_locked(const struct cwt *e)
{
	return map_bytes(&e->map) + e->policy->ops->bytes(e->policy) + marks_bytes(&e->marks) +
	       regions_bytes(&e->regions) + e->loops_bytes +
	       sizeof(*e) + 2u * (e->commit.nr_pages / 8 + 1);
}

void cwt_get_status(struct cwt *e, struct cwt_status *out)
{
	uint64_t now = engine_now_ms(e);

	memset(out, 0, sizeof(*out));
	out->block_size_bytes = e->block_size;
	out->metadata_block_size_bytes = 4096;
	out->nr_metadata_blocks = device_info(e->dev.metadata)->size_bytes / 4096;
	out->nr_cblocks = e->nr_cblocks;
	out->mode = e->options.mode;
	out->read_only = e->options.read_only;
	out->warm_after_power = e->options.warm_after_power;

	pthread_mutex_lock(&e->lock);
	status_of_stats(&e->stats, out);
	status_of_names(e, out);
	out->nr_mapped = e->map.nr_mapped;
	out->nr_free = e->map.free.nr;
	/* The superblock's copies and the pages that hold mappings, if these were packed. */
	out->nr_metadata_blocks_used = 2 + (e->map.nr_mapped + STORE_ENTRIES_PER_PAGE - 1) / STORE_ENTRIES_PER_PAGE;
	out->generation = store_generation(e->store);
	out->last_commit_ms_ago = now - e->stats.last_commit_ms;
	out->parked = e->cells.nr_parked;
	out->requests_in_flight = e->nr_in_cells;
	out->memory_bytes = memory_locked(e);
	out->bypass = e->bypass;
	pthread_mutex_unlock(&e->lock);
}
