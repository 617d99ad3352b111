/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See status_text.h. */
#include <json-glib/json-glib.h>
#include <stddef.h>

#include "base/bits.h"
#include "escape.h"
#include "status_text.h"

enum field_kind { U32, U64, BOOLEAN, TEXT };

#define FIELD(kind, name) { #name, kind, offsetof(struct cwt_status, name) }

static const struct { const char *name; enum field_kind kind; size_t offset; } fields[] = {
	FIELD(U32, block_size_bytes), FIELD(U32, metadata_block_size_bytes),
	FIELD(U64, nr_metadata_blocks_used), FIELD(U64, nr_metadata_blocks),
	FIELD(U64, nr_cblocks), FIELD(U64, nr_mapped), FIELD(U64, nr_free),
	FIELD(U64, read_hits), FIELD(U64, read_misses), FIELD(U64, write_hits), FIELD(U64, write_misses),
	FIELD(U64, bypassed),
	FIELD(U64, block_requests), FIELD(BOOLEAN, books_balance),
	FIELD(U64, promotions), FIELD(U64, demotions), FIELD(U64, invalidations), FIELD(U64, fills_voided),
	FIELD(U64, fills_failed),
	FIELD(U64, origin_read_errors), FIELD(U64, origin_write_errors), FIELD(U64, origin_flush_errors),
	FIELD(U64, cache_read_errors), FIELD(U64, cache_write_errors), FIELD(U64, cache_flush_errors),
	FIELD(U64, metadata_errors),
	FIELD(U64, commits), FIELD(U64, generation), FIELD(U64, last_commit_ms_ago),
	FIELD(U64, requests_in_flight), FIELD(U64, parked), FIELD(U64, memory_bytes),
	FIELD(BOOLEAN, read_only), FIELD(TEXT, bypass_reason), FIELD(TEXT, policy), FIELD(TEXT, start_reason),
	FIELD(TEXT, origin_path), FIELD(TEXT, cache_path), FIELD(TEXT, metadata_path), FIELD(TEXT, origin_io),
	FIELD(TEXT, cache_io),
};

/* JSON has no unsigned 64-bit numbers here; no counter gets near the limit. */
static gint64 as_int64(uint64_t n)
{
	return (gint64)MIN(n, (uint64_t)G_MAXINT64);
}

static void add_text(JsonBuilder *builder, const char *name, const char *text)
{
	char *valid = g_utf8_make_valid(text, -1);

	json_builder_set_member_name(builder, name);
	json_builder_add_string_value(builder, valid);
	g_free(valid);
}

static void add_field(JsonBuilder *builder, const char *name, enum field_kind kind, const void *value)
{
	if (kind == TEXT) {
		add_text(builder, name, value);
		return;
	}
	json_builder_set_member_name(builder, name);
	if (kind == BOOLEAN)
		json_builder_add_boolean_value(builder, *(const bool *)value);
	else
		json_builder_add_int_value(builder, kind == U32 ? *(const uint32_t *)value
								: as_int64(*(const uint64_t *)value));
}

static void add_mount(JsonBuilder *builder, const struct mount_status *mount)
{
	add_text(builder, "locked_memory", mount->locked_memory);
	add_field(builder, "io_flusher", BOOLEAN, &mount->io_flusher);
	json_builder_set_member_name(builder, "warnings");
	json_builder_begin_array(builder);
	for (const char *const *warning = mount->warnings; *warning; warning++) {
		char *valid = g_utf8_make_valid(*warning, -1);

		json_builder_add_string_value(builder, valid);
		g_free(valid);
	}
	json_builder_end_array(builder);
	add_text(builder, "transport", status_transport(mount));
	add_field(builder, "pid", U32, &mount->pid);
}

char *status_json(const struct cwt_status *status, const struct mount_status *mount)
{
	JsonBuilder *builder = json_builder_new();
	JsonNode *root;
	char *text, *line, *escaped;

	json_builder_begin_object(builder);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		add_field(builder, fields[i].name, fields[i].kind, (const char *)status + fields[i].offset);
	add_text(builder, "mode", status_mode_name(status->mode));
	add_text(builder, "warm_after", status_warm_after(status));
	add_text(builder, "bypass", status_bypass_name(status->bypass));
	add_text(builder, "ack", status_ack(mount));
	add_field(builder, "page_cache", BOOLEAN, &mount->page_cache);
	add_mount(builder, mount);
	json_builder_end_object(builder);
	root = json_builder_get_root(builder);
	text = json_to_string(root, TRUE);
	escaped = text_escaped(text, TEXT_JSON | TEXT_KEEP_LINES);	/* DEL and C1 are left to us */
	line = g_strconcat(escaped, "\n", NULL);
	g_free(escaped);
	g_free(text);
	json_node_unref(root);
	g_object_unref(builder);
	return line;
}
