/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See status_text.h. */
#include <glib.h>
#include <string.h>

#include "escape.h"
#include "status_text.h"

#define SECTOR_BYTES 512u
#define U64 "%" G_GUINT64_FORMAT

const char *status_transport(const struct mount_status *mount)
{
	return mount->io_uring ? "io_uring" : "classic";
}

const char *status_mode_name(enum cwt_mode mode)
{
	switch (mode) {
	case CWT_WRITETHROUGH: return "writethrough";
	case CWT_WRITEAROUND: return "writearound";
	case CWT_PASSTHROUGH: return "passthrough";
	}
	return "unknown";
}

const char *status_warm_after(const struct cwt_status *status)
{
	return status->warm_after_power ? "power" : "kill";
}

const char *status_bypass_name(enum cwt_bypass bypass)
{
	switch (bypass) {
	case CWT_BYPASS_NONE: return "none";
	case CWT_BYPASS_CACHE_ERRORS: return "cache-errors";
	case CWT_BYPASS_METADATA: return "metadata";
	case CWT_BYPASS_ORIGIN_FLUSH: return "origin-flush";
	case CWT_BYPASS_MESSAGE: return "message";
	}
	return "unknown";
}

const char *status_ack(const struct mount_status *mount)
{
	return mount->ack_origin ? "origin" : "both";
}

/* "clock,ghost=50" as dm-cache writes a policy: name, number of words, and a key and its value are two words. */
static void add_policy(GString *out, const char *policy)
{
	char **parts = g_strsplit(policy, ",", -1);
	GString *words = g_string_new(NULL);
	unsigned nr = 0;

	for (char **part = *parts ? parts + 1 : parts; *part; part++) {
		char **words_of_part = g_strsplit(*part, "=", 2);

		for (char **word = words_of_part; *word; word++, nr++)
			g_string_append_printf(words, " %s", *word);
		g_strfreev(words_of_part);
	}
	g_string_append_printf(out, " %s %u%s", *parts && **parts ? *parts : "-", nr, words->str);
	g_string_free(words, TRUE);
	g_strfreev(parts);
}

static void add_dm_line(GString *out, const struct cwt_status *s)
{
	bool failed = s->bypass == CWT_BYPASS_METADATA;

	g_string_append_printf(out, "%u " U64 "/" U64 " %u " U64 "/" U64, s->metadata_block_size_bytes / SECTOR_BYTES,
			       s->nr_metadata_blocks_used, s->nr_metadata_blocks, s->block_size_bytes / SECTOR_BYTES,
			       s->nr_mapped, s->nr_cblocks);
	g_string_append_printf(out, " " U64 " " U64 " " U64 " " U64 " " U64 " " U64 " 0", s->read_hits, s->read_misses,
			       s->write_hits, s->write_misses, s->demotions, s->promotions);
	g_string_append_printf(out, " 1 %s 0", status_mode_name(s->mode));	/* one feature; no core arguments */
	add_policy(out, s->policy);
	g_string_append_printf(out, " %s %s\n", failed ? "Fail" : "rw", failed ? "needs_check" : "-");
}

static void add_text(GString *out, const char *label, const char *text)
{
	char *escaped = text_escaped(text, TEXT_LINE);

	g_string_append_printf(out, "%s: %s\n", label, escaped);
	g_free(escaped);
}

static void add_number(GString *out, const char *label, uint64_t number)
{
	g_string_append_printf(out, "%s: " U64 "\n", label, number);
}

static void add_setup(GString *out, const struct cwt_status *s)
{
	add_text(out, "start", s->start_reason);
	add_text(out, "origin", s->origin_path);
	add_text(out, "origin I/O", s->origin_io);
	add_text(out, "cache", s->cache_path);
	add_text(out, "cache I/O", s->cache_io);
	add_text(out, "metadata", s->metadata_path);
	add_text(out, "mode", status_mode_name(s->mode));
	add_text(out, "read-only", s->read_only ? "yes" : "no");
	add_text(out, "warm after", status_warm_after(s));
	add_text(out, "policy", s->policy);
	add_text(out, "bypass", status_bypass_name(s->bypass));
	if (s->bypass != CWT_BYPASS_NONE)
		add_text(out, "bypass reason", s->bypass_reason);
}

static void add_numbers(GString *out, const struct cwt_status *s)
{
	const struct { const char *label; uint64_t number; } numbers[] = {
		{ "block size bytes", s->block_size_bytes },
		{ "cblocks", s->nr_cblocks },
		{ "mapped", s->nr_mapped },
		{ "free", s->nr_free },
		{ "read hits", s->read_hits },
		{ "read misses", s->read_misses },
		{ "write hits", s->write_hits },
		{ "write misses", s->write_misses },
		{ "bypassed", s->bypassed },
		{ "block requests", s->block_requests },
		{ "promotions", s->promotions },
		{ "demotions", s->demotions },
		{ "invalidations", s->invalidations },
		{ "fills voided", s->fills_voided },
		{ "fills failed", s->fills_failed },
		{ "origin read errors", s->origin_read_errors },
		{ "origin write errors", s->origin_write_errors },
		{ "origin flush errors", s->origin_flush_errors },
		{ "cache read errors", s->cache_read_errors },
		{ "cache write errors", s->cache_write_errors },
		{ "cache flush errors", s->cache_flush_errors },
		{ "metadata errors", s->metadata_errors },
		{ "commits", s->commits },
		{ "generation", s->generation },
		{ "last commit ms ago", s->last_commit_ms_ago },
		{ "requests in flight", s->requests_in_flight },
		{ "parked", s->parked },
		{ "memory bytes", s->memory_bytes },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		add_number(out, numbers[i].label, numbers[i].number);
	add_text(out, "books balance", s->books_balance ? "yes" : "no");
}

static void add_mount(GString *out, const struct mount_status *mount)
{
	add_text(out, "locked memory", mount->locked_memory);
	add_text(out, "io flusher", mount->io_flusher ? "yes" : "no");
	add_text(out, "transport", status_transport(mount));
	add_number(out, "pid", mount->pid);
	for (const char *const *warning = mount->warnings; *warning; warning++)
		add_text(out, "warning", *warning);
}

char *status_text(const struct cwt_status *status, const struct mount_status *mount)
{
	GString *out = g_string_new(NULL);

	add_dm_line(out, status);
	add_setup(out, status);
	add_numbers(out, status);
	add_text(out, "ack", status_ack(mount));
	add_text(out, "page cache", mount->page_cache ? "on" : "off");
	add_mount(out, mount);
	return g_string_free(out, FALSE);
}
