/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts and stops: what stays warm, what goes cold and why, what is refused with nothing changed. */
#include "metadata-fixture.h"

#include <errno.h>

static struct trio t;
static struct model a;

static void setup(void)
{
	trio_open(&t, false);
	model_fill(&a, 1);
}

/* Next start, from what the disk now says: must be `how`, and map nothing unless warm. */
static void assert_start(const struct store_options *o, enum store_start how, const char *reason)
{
	enum store_start got;
	struct cwt_error err;
	struct store *s;
	struct model m, none;
	int ret = try_start(&t, o, &s, &got, &err);

	ck_assert_msg(!ret, "%s", err.text);
	ck_assert_msg(strstr(store_start_reason(s), reason), "%s", store_start_reason(s));
	ck_assert_int_eq(got, how);
	model_load(&m, s);
	model_clear(&none);
	ck_assert(model_equals(&m, how == START_WARM_CLEAN ? &a : &none));
	model_read(&m, &t);
	ck_assert(model_equals(&m, how == START_WARM_CLEAN ? &a : &none));
	store_close(s);
}

static void assert_refused(const struct store_options *o, const char *word)
{
	struct snapshot before;
	enum store_start how;
	struct cwt_error err;
	struct store *s;
	struct faulty_counts metadata = faulty_device_counts(t.dev.metadata), cache = faulty_device_counts(t.dev.cache);

	snapshot_take(&t, &before);
	ck_assert_int_eq(try_start(&t, o, &s, &how, &err), -EINVAL);
	ck_assert_ptr_null(s);
	ck_assert_msg(strstr(err.text, word) && strchr(err.text, '(') && !strchr(err.text, '\n'), "%s", err.text);
	ck_assert(snapshot_equals(&t, &before));
	ck_assert_uint_eq(faulty_device_counts(t.dev.metadata).writes, metadata.writes);
	ck_assert_uint_eq(faulty_device_counts(t.dev.metadata).zeros, metadata.zeros);
	ck_assert_uint_eq(faulty_device_counts(t.dev.cache).writes, cache.writes);
	snapshot_free(&before);
}

START_TEST(a_clean_stop_keeps_every_mapping_and_its_hint)
{
	setup();
	trio_prepare(&t, &a);
	assert_start(&default_options, START_WARM_CLEAN, "warm: clean stop, ");
	trio_close(&t);
}
END_TEST

START_TEST(a_stop_without_the_clean_mark_drops_every_mapping)
{
	setup();
	trio_prepare(&t, &a);
	assert_start(&default_options, START_WARM_CLEAN, "warm");	/* which makes it unclean, durably */
	assert_start(&default_options, START_COLD_UNCLEAN, "order");
	trio_close(&t);
}
END_TEST

START_TEST(mappings_committed_after_a_cold_start_survive_the_next_clean_stop)
{
	enum store_start how;
	struct store *s;

	setup();
	trio_prepare(&t, &a);
	assert_start(&default_options, START_WARM_CLEAN, "warm");
	s = start(&t, &how);
	ck_assert_int_eq(how, START_COLD_UNCLEAN);
	model_fill(&a, 2);
	ck_assert_int_eq(commit_model(s, &a, 1, 0), 0);
	ck_assert_int_eq(commit_model(s, &a, 6, COMMIT_CLEAN), 0);
	store_close(s);
	assert_start(&default_options, START_WARM_CLEAN, "warm");
	trio_close(&t);
}
END_TEST

START_TEST(only_the_changed_pages_and_the_superblocks_are_written)
{
	enum store_start how;
	struct store *s;
	struct faulty_counts before, after;

	setup();
	trio_prepare(&t, &a);
	s = start(&t, &how);
	before = faulty_device_counts(t.dev.metadata);
	ck_assert_int_eq(commit_model(s, &a, 2, 0), 0);
	after = faulty_device_counts(t.dev.metadata);
	ck_assert_uint_eq(after.writes - before.writes, 1 + 2);
	ck_assert_uint_eq(after.flushes - before.flushes, 0);
	ck_assert_int_eq(commit_model(s, &a, 3, COMMIT_FLUSH), 0);
	ck_assert_uint_eq(faulty_device_counts(t.dev.metadata).writes - after.writes, 2 + 2);
	ck_assert_uint_eq(faulty_device_counts(t.dev.metadata).flushes - after.flushes, 3);
	store_close(s);
	trio_close(&t);
}
END_TEST

START_TEST(each_step_makes_at_most_one_device_call)
{
	enum store_start how;
	struct store *s;
	int ret;

	setup();
	trio_prepare(&t, &a);
	s = start(&t, &how);
	ck_assert_int_eq(commit_begin_pages(s, &a, ALL_PAGES, COMMIT_CLEAN), 0);
	do {
		struct faulty_counts b = faulty_device_counts(t.dev.metadata), c;

		ret = store_commit_step(s);
		c = faulty_device_counts(t.dev.metadata);
		ck_assert_uint_le(c.writes + c.reads + c.flushes + c.zeros - b.writes - b.reads - b.flushes - b.zeros,
				  1);
	} while (ret > 0);
	ck_assert_int_eq(ret, 0);
	store_close(s);
	trio_close(&t);
}
END_TEST

START_TEST(an_origin_whose_times_changed_drops_every_mapping_unless_it_is_trusted)
{
	struct store_options trust = default_options;
	struct snapshot clean;

	setup();
	trio_prepare(&t, &a);
	snapshot_take(&t, &clean);
	trio_touch_origin(&t);
	assert_start(&default_options, START_COLD_ORIGIN_CHANGED, "origin was changed");
	snapshot_restore(&t, &clean);
	trio_touch_origin(&t);
	trust.trust_origin = true;
	assert_start(&trust, START_WARM_CLEAN, "warm");
	snapshot_free(&clean);
	trio_close(&t);
}
END_TEST

/* An origin that is nothing but a size and a serial number: the store never reads or writes it. */
static uint64_t sized_serial;

static int sized_identity(struct device *dev, struct device_identity *id)
{
	id->size_bytes = dev->info.size_bytes;
	return 0;
}

static int sized_ids(struct device *dev, struct device_ids *ids)
{
	ids->id[DEVICE_ID_SERIAL] = dev->info.is_block ? sized_serial : 0;
	return 0;
}

static void sized_close(struct device *dev)
{
	free(dev);
}

static void replace_origin(uint64_t size, bool is_block)
{
	static const struct device_ops ops = { .name = "sized", .identity = sized_identity, .close = sized_close,
		.ids = sized_ids };
	struct device *dev = calloc(1, sizeof(*dev));

	ck_assert_ptr_nonnull(dev);
	device_close(t.dev.origin);
	dev->ops = &ops;
	dev->info.size_bytes = size;
	dev->info.is_block = is_block;
	strcpy(dev->name, "sized");
	t.dev.origin = dev;
}

START_TEST(an_origin_of_another_size_is_refused_even_if_trusted_and_reset_takes_it)
{
	struct store_options o = default_options;
	struct store_geometry geo;

	setup();
	trio_prepare(&t, &a);
	replace_origin(ORIGIN_BYTES + 1, false);
	assert_refused(&o, "8191001 bytes");
	o.trust_origin = true;
	assert_refused(&o, "8191000");
	o.reset = true;
	replace_origin(1ull << 43, false);	/* one page of region marks is to do for 8 TiB: each stands for more */
	assert_start(&o, START_COLD_RESET, "reset");
	ck_assert_int_eq(store_read_geometry(t.dev.metadata, &geo, NULL), 0);
	ck_assert_uint_eq(geo.origin_size_bytes, 1ull << 43);
	replace_origin(1ull << 45, false);
	assert_refused(&o, "--block-size");
	replace_origin(0, false);
	assert_refused(&o, "0 bytes");
	trio_close(&t);
}
END_TEST

START_TEST(a_block_device_is_known_by_its_size_and_a_file_is_not_taken_for_one)
{
	enum store_start how;
	struct store *s;

	setup();
	sized_serial = 77;
	replace_origin(ORIGIN_BYTES, true);
	trio_prepare(&t, &a);
	assert_start(&default_options, START_WARM_CLEAN, "warm");
	s = start(&t, &how);
	ck_assert_int_eq(commit_model(s, &a, ALL_PAGES, COMMIT_CLEAN), 0);
	store_close(s);
	replace_origin(ORIGIN_BYTES, false);
	assert_start(&default_options, START_COLD_ORIGIN_CHANGED, "origin was changed");
	trio_close(&t);
}
END_TEST

/* Unknown never equals: neither is a disk without a number the one that was there, nor the one with another. */
START_TEST(another_disk_of_the_same_size_starts_cold_unless_it_is_trusted)
{
	static const uint64_t serials[][2] = { { 77, 78 }, { 77, 0 }, { 0, 77 }, { 0, 0 } };

	for (unsigned i = 0; i < 4; i++) {
		struct store_options trust = default_options;

		trust.trust_origin = true;
		setup();
		sized_serial = serials[i][0];
		replace_origin(ORIGIN_BYTES, true);
		trio_prepare(&t, &a);
		sized_serial = serials[i][1];
		assert_start(&trust, START_WARM_CLEAN, "warm");
		trio_close(&t);
		setup();
		sized_serial = serials[i][0];
		replace_origin(ORIGIN_BYTES, true);
		trio_prepare(&t, &a);
		sized_serial = serials[i][1];
		assert_start(&default_options, START_COLD_ORIGIN_CHANGED, "disk");
		trio_close(&t);
	}
}
END_TEST

START_TEST(reset_drops_every_mapping)
{
	struct store_options o = default_options;

	setup();
	trio_prepare(&t, &a);
	o.reset = true;
	assert_start(&o, START_COLD_RESET, "reset");
	trio_close(&t);
}
END_TEST

START_TEST(a_blank_cache_under_used_metadata_starts_cold)
{
	setup();
	trio_prepare(&t, &a);
	memset(bytes_of(t.dev.cache), 0, PAGE_BYTES);
	assert_start(&default_options, START_COLD_CACHE_CHANGED, "blank");
	trio_close(&t);
}
END_TEST

static void relabel(void (*change)(struct label *label))
{
	uint8_t *page = bytes_of(t.dev.cache);
	struct label label;

	ck_assert_int_eq(label_decode(page, &label), PAGE_OK);
	change(&label);
	label_encode(&label, page);
}

static void other_uuid(struct label *label) { label->uuid[3] ^= 1; }
static void other_session(struct label *label) { label->session++; }
static void other_block_size(struct label *label) { label->block_size_bytes *= 2; }
static void other_nr_cblocks(struct label *label) { label->nr_cblocks--; }

START_TEST(a_cache_with_another_label_starts_cold_and_is_taken_over)
{
	void (*const changes[])(struct label *) = { other_uuid, other_session, other_block_size, other_nr_cblocks };
	struct snapshot clean;

	setup();
	trio_prepare(&t, &a);
	snapshot_take(&t, &clean);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		enum store_start how;
		struct store *s;

		snapshot_restore(&t, &clean);
		relabel(changes[i]);
		assert_start(&default_options, START_COLD_CACHE_CHANGED, "another");
		s = start(&t, &how);
		ck_assert_int_eq(how, START_COLD_UNCLEAN);	/* the label is right now */
		store_close(s);
	}
	snapshot_restore(&t, &clean);
	bytes_of(t.dev.cache)[70] ^= 1;		/* our magic, but rotten */
	assert_start(&default_options, START_COLD_CACHE_CHANGED, "another");
	snapshot_free(&clean);
	trio_close(&t);
}
END_TEST

START_TEST(a_restored_older_copy_of_the_cache_starts_cold)
{
	struct snapshot old;
	enum store_start how;
	struct store *s;

	setup();
	trio_prepare(&t, &a);
	snapshot_take(&t, &old);
	s = start(&t, &how);
	ck_assert_int_eq(commit_model(s, &a, 0, COMMIT_CLEAN), 0);
	store_close(s);
	memcpy(bytes_of(t.dev.cache), old.cache, CACHE_BYTES);
	assert_start(&default_options, START_COLD_CACHE_CHANGED, "session");
	snapshot_free(&old);
	trio_close(&t);
}
END_TEST

START_TEST(a_foreign_cache_is_refused_untouched_even_with_reset)
{
	struct store_options o = default_options;

	setup();
	trio_prepare(&t, &a);
	memcpy(bytes_of(t.dev.cache), "XFSB", 4);
	assert_refused(&o, "neither blank nor");
	o.reset = true;
	assert_refused(&o, "neither blank nor");
	memset(bytes_of(t.dev.cache), 0, PAGE_BYTES);
	bytes_of(t.dev.cache)[1080] = 0x53;	/* ext4's magic, with zeros in front of it */
	assert_refused(&o, "neither blank nor");
	trio_close(&t);
}
END_TEST

static bool looks_blank(struct device *dev)
{
	bool blank;

	ck_assert_int_eq(reader_is_blank(dev, &blank), 0);
	return blank;
}

/* Wherever it is; of a large block device, at both ends, at each power of two and at places in between. */
START_TEST(a_store_with_data_behind_zeros_is_not_blank)
{
	const struct memory_options o = { .size_bytes = (5 << 20) + 3 }, large = { .size_bytes = BLANK_DISK_BYTES + (33 << 20) };
	const uint64_t seen[] = { 0, BLANK_END_BYTES - 1, 32 << 20, 64 << 20, 128 << 20, BLANK_DISK_BYTES,
		large.size_bytes - BLANK_END_BYTES, large.size_bytes - 1, large.size_bytes / BLANK_SAMPLES * 77 };
	struct device *dev;

	ck_assert_int_eq(memory_device_open("file", &o, &dev), 0);
	for (unsigned block = 0; block < 2; block++) {
		dev->info.is_block = block;
		ck_assert(looks_blank(dev));
		for (uint64_t at = 0; at < o.size_bytes; at += at < o.size_bytes - 1 ? MIN(499979, o.size_bytes - 1 - at) : 1) {
			bytes_of(dev)[at] = 1;
			ck_assert_msg(!looks_blank(dev), "a byte at %llu was not seen", (unsigned long long)at);
			dev->info.fresh = true;
			ck_assert(looks_blank(dev));	/* it is not even asked */
			dev->info.fresh = false;
			bytes_of(dev)[at] = 0;
		}
	}
	device_close(dev);
	ck_assert_int_eq(memory_device_open("disk", &large, &dev), 0);
	dev->info.is_block = true;
	ck_assert(looks_blank(dev));
	for (unsigned i = 0; i < ARRAY_SIZE(seen); i++) {
		bytes_of(dev)[seen[i]] = 1;
		ck_assert_msg(!looks_blank(dev), "a byte at %llu was not seen", (unsigned long long)seen[i]);
		bytes_of(dev)[seen[i]] = 0;
	}
	device_close(dev);
}
END_TEST

START_TEST(metadata_given_as_the_cache_is_refused)
{
	struct store_devices swapped;
	enum store_start how;
	struct cwt_error err;
	struct store *s;

	setup();
	trio_prepare(&t, &a);
	swapped = t.dev;
	swapped.cache = t.dev.metadata;
	ck_assert_int_eq(store_open(&swapped, &default_options, &s, &how, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "neither blank nor"), "%s", err.text);
	swapped = t.dev;
	swapped.metadata = t.dev.cache;
	ck_assert_int_eq(store_open(&swapped, &default_options, &s, &how, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "not a metadata"), "%s", err.text);
	trio_close(&t);
}
END_TEST

START_TEST(a_cache_smaller_than_its_metadata_says_is_refused)
{
	struct memory_options o = { .size_bytes = CACHE_BYTES - 1 };
	struct device *memory;

	setup();
	trio_prepare(&t, &a);
	device_close(t.dev.cache);
	ck_assert_int_eq(memory_device_open("cache", &o, &memory), 0);
	ck_assert_int_eq(faulty_device_open(memory, &(struct faulty_options){ .seed = 1 }, &t.dev.cache), 0);
	struct cwt_error err;
	enum store_start how;
	struct store *s;

	ck_assert_int_eq(try_start(&t, &default_options, &s, &how, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "3059711") && strstr(err.text, "3059712"), "%s", err.text);
	trio_close(&t);
}
END_TEST

START_TEST(blank_foreign_and_broken_metadata_are_refused_each_with_its_line)
{
	uint8_t *bytes;

	setup();
	bytes = bytes_of(t.dev.metadata);
	assert_refused(&default_options, "blank");
	bytes[0] = 'x';
	assert_refused(&default_options, "not a metadata");
	bytes[0] = 0;
	trio_prepare(&t, &a);
	bytes[300] ^= 1;
	bytes[65536 + 300] ^= 1;
	assert_refused(&default_options, "--reset");
	trio_close(&t);
}
END_TEST

START_TEST(one_rotten_superblock_copy_costs_nothing_and_is_repaired)
{
	struct check_result r;

	for (int copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
		setup();
		trio_prepare(&t, &a);
		memset(bytes_of(t.dev.metadata) + superblock_page(copy) * PAGE_BYTES, 0x5A, SECTOR_BYTES);
		assert_start(&default_options, START_WARM_CLEAN, "warm");
		ck_assert_int_eq(metadata_check(t.dev.metadata, NULL, &r, NULL), 0);
		ck_assert_uint_eq(r.nr_damage + r.nr_notes, 0);
		trio_close(&t);
	}
}
END_TEST

START_TEST(an_unreadable_superblock_copy_costs_nothing)
{
	for (int copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
		struct faulty_rule rule = { .kinds = FAULTY_READ,
					    .offset_bytes = superblock_page(copy) * PAGE_BYTES,
					    .len_bytes = SECTOR_BYTES,
					    .times = 1,
					    .effect = FAULTY_FAIL,
					    .error = -EIO };

		setup();
		trio_prepare(&t, &a);
		ck_assert_int_eq(faulty_device_add_rule(t.dev.metadata, &rule), 0);
		assert_start(&default_options, START_WARM_CLEAN, "warm");
		trio_close(&t);
	}
}
END_TEST

/* Where the committed version of mapping page p is. */
static uint8_t *committed_slot(uint32_t p)
{
	struct superblock_pair pair;
	struct superblock sb;
	uint8_t *best = NULL;

	superblock_pair_read(t.dev.metadata, &pair);
	ck_assert_int_eq(superblock_pair_choose(t.dev.metadata, &pair, true, &sb, NULL), 0);
	for (int slot = 0; slot < 2; slot++) {
		uint64_t page = mapping_slot_page(superblock_region(&sb, REGION_MAPPING), p, slot);
		uint8_t *bytes = bytes_of(t.dev.metadata) + page * PAGE_BYTES;
		struct page_header h, b;

		if (page_verify(bytes, PAGE_BYTES, PAGE_MAPPING, page, &h) != PAGE_OK)
			continue;
		if (best)
			page_verify(best, PAGE_BYTES, PAGE_MAPPING, page - 1, &b);
		if (!best || h.generation > b.generation)
			best = bytes;
	}
	ck_assert_ptr_nonnull(best);
	return best;
}

/* Two versions of every page, so that an older one is there to be believed. */
static void prepare_two_versions(void)
{
	enum store_start how;
	struct store *s;
	struct model old;

	setup();
	trio_format(&t);
	s = start(&t, &how);
	old = a;
	for (size_t c = 0; c < ARRAY_SIZE(old.entry); c++)
		old.entry[c].hint ^= 0xFF;	/* no oblock twice in any mix: only the digest can tell */
	ck_assert_int_eq(commit_model(s, &old, ALL_PAGES, 0), 0);
	ck_assert_int_eq(commit_model(s, &a, ALL_PAGES, COMMIT_CLEAN), 0);
	store_close(s);
}

START_TEST(a_rotten_or_lost_mapping_page_never_brings_back_an_older_one)
{
	for (unsigned how = 0; how < 3; how++) {
		uint8_t *slot;

		prepare_two_versions();
		slot = committed_slot(1);
		if (how == 0)
			slot[2000] ^= 4;
		else if (how == 1)
			memset(slot, 0, PAGE_BYTES);
		else /* the write was lost: the other slot's older version stands in both places, rightly numbered or
			not */
			memcpy(slot, slot + (slot[24] & 1 ? -1 : 1) * (ptrdiff_t)PAGE_BYTES, PAGE_BYTES);
		assert_start(&default_options, START_COLD_DAMAGED, "damaged");
		trio_close(&t);
	}
}
END_TEST

START_TEST(an_unreadable_mapping_page_starts_cold_and_is_erased)
{
	struct faulty_rule rule = {
		.kinds = FAULTY_READ, .times = 2, .len_bytes = PAGE_BYTES, .effect = FAULTY_FAIL, .error = -EIO
	};
	struct check_result r;

	prepare_two_versions();
	rule.offset_bytes = (uint64_t)(committed_slot(1) - bytes_of(t.dev.metadata));
	ck_assert_int_eq(faulty_device_add_rule(t.dev.metadata, &rule), 0);	/* the large read, and the page's own */
	assert_start(&default_options, START_COLD_DAMAGED, "damaged");
	ck_assert(bytes_are_zero(bytes_of(t.dev.metadata) + rule.offset_bytes, PAGE_BYTES));
	ck_assert_int_eq(metadata_check(t.dev.metadata, NULL, &r, NULL), 0);
	ck_assert_uint_eq(r.nr_damage, 0);
	trio_close(&t);
}
END_TEST

/* A page whose checksum is right but whose content cannot be: the digest is made to agree. */
static void forge(uint32_t p, unsigned entry, struct mapping m)
{
	uint8_t *bytes = bytes_of(t.dev.metadata), *slot = committed_slot(p);
	uint64_t number = (uint64_t)(slot - bytes) / PAGE_BYTES, old = page_checksum(slot);
	struct page_header h;

	ck_assert_int_eq(page_verify(slot, PAGE_BYTES, PAGE_MAPPING, number, &h), PAGE_OK);
	mapping_put(slot, entry, &m);
	page_seal(slot, PAGE_BYTES, &h);
	for (int copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
		struct superblock sb;

		ck_assert_int_eq(superblock_decode(bytes + superblock_page(copy) * PAGE_BYTES, copy, &sb), PAGE_OK);
		sb.set_digest ^= old ^ page_checksum(slot);
		superblock_encode(&sb, copy, bytes + superblock_page(copy) * PAGE_BYTES);
	}
}

START_TEST(mappings_that_cannot_be_are_never_handed_out)
{
	const struct mapping bad[] = {
		{ 2000, MAPPING_FLAG_MAPPED, 0 },		/* the origin has 2000 blocks */
		{ 1ull << 47, MAPPING_FLAG_MAPPED, 0 },
		{ 1999, MAPPING_FLAG_MAPPED, 0 },		/* mapped by the last cblock, too */
		{ 1500, MAPPING_FLAG_MAPPED | 0x8000, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		setup();
		trio_prepare(&t, &a);
		forge(0, 17, bad[i]);
		assert_start(&default_options, START_COLD_DAMAGED, "damaged");
		trio_close(&t);
	}
}
END_TEST

/* What an earlier metadata left in this file, in the right place and with a believable generation. */
START_TEST(a_page_of_another_metadata_is_not_believed)
{
	uint8_t *slot, *other;
	struct page_header h;
	enum store_start how;
	uint64_t number;
	struct store *s;

	setup();
	trio_prepare(&t, &a);		/* every page was written once, to slot 0 */
	s = start(&t, &how);
	ck_assert_int_eq(commit_model(s, &a, 0, COMMIT_CLEAN), 0);
	store_close(s);
	slot = committed_slot(1);
	other = slot + PAGE_BYTES;
	number = (uint64_t)(slot - bytes_of(t.dev.metadata)) / PAGE_BYTES;
	ck_assert_int_eq(page_verify(slot, PAGE_BYTES, PAGE_MAPPING, number, &h), PAGE_OK);
	memcpy(other, slot, PAGE_BYTES);
	h.number++;
	h.generation++;
	h.uuid[5] ^= 1;
	page_seal(other, PAGE_BYTES, &h);
	assert_start(&default_options, START_WARM_CLEAN, "warm");
	trio_close(&t);
}
END_TEST

static int stop_at_three(void *ctx, cblock_t c, struct store_entry e)
{
	(void)c;
	(void)e;
	return ++*(int *)ctx == 3 ? 77 : 0;
}

START_TEST(a_page_that_changes_between_open_and_load_is_not_believed)
{
	enum store_start how;
	struct store *s;
	int nr = -10000;		/* never three */

	setup();
	trio_prepare(&t, &a);
	s = start(&t, &how);
	ck_assert_int_eq(how, START_WARM_CLEAN);
	forge(2, 1, (struct mapping){ 1998, MAPPING_FLAG_MAPPED, 0 });
	ck_assert_int_eq(store_load(s, stop_at_three, &nr), -EIO);
	committed_slot(2)[100] ^= 1;
	ck_assert_int_eq(store_load(s, stop_at_three, &nr), -EIO);
	store_close(s);
	trio_close(&t);
}
END_TEST

START_TEST(load_stops_where_the_callback_says)
{
	enum store_start how;
	struct store *s;
	int nr = 0;

	setup();
	trio_prepare(&t, &a);
	s = start(&t, &how);
	ck_assert_int_eq(store_load(s, stop_at_three, &nr), 77);
	ck_assert_int_eq(nr, 3);
	store_close(s);
	trio_close(&t);
}
END_TEST

START_TEST(a_start_writes_a_new_session_on_both_sides)
{
	uint64_t sessions[3];

	setup();
	trio_prepare(&t, &a);
	for (int i = 0; i < 3; i++) {
		struct identity_pages pages;
		struct superblock sb[2];
		struct label label;
		enum store_start how;

		store_close(start(&t, &how));
		for (int copy = 0; copy < 2; copy++)
			ck_assert_int_eq(
				superblock_decode(bytes_of(t.dev.metadata) + superblock_page(copy) * PAGE_BYTES, copy,
						  &sb[copy]),
				PAGE_OK);
		ck_assert_int_eq(label_decode(bytes_of(t.dev.cache), &label), PAGE_OK);
		ck_assert_uint_eq(sb[0].session, label.session);
		ck_assert_uint_eq(sb[0].old_session, label.session);
		ck_assert_uint_eq(sb[1].session, label.session);
		ck_assert_uint_eq(sb[0].generation, sb[1].generation);
		ck_assert_uint_eq(sb[0].boot_id[1], 0x2222);
		identity_read(t.dev.metadata, &sb[0], &pages);
		ck_assert_int_ge(pages.valid, 0);
		ck_assert_uint_ne(pages.identity.places[PLACE_CACHE].ino, 0);
		ck_assert_uint_eq(sb[0].state, 0);
		sessions[i] = label.session;
	}
	ck_assert(sessions[0] != sessions[1] && sessions[1] != sessions[2] && sessions[0] != sessions[2]);
	trio_close(&t);
}
END_TEST

START_TEST(busy_marks_are_written_where_the_region_is_and_cleared_by_a_start)
{
	uint8_t bits[PAGE_BYTES];
	enum store_start how;
	struct lease lease;
	struct store *s;
	struct superblock sb;
	uint64_t at;

	setup();
	trio_prepare(&t, &a);
	s = start(&t, &how);
	memset(bits, 0xA5, sizeof(bits));
	ck_assert_int_eq(store_write_marks(s, 0, bits), 0);
	store_close(s);
	ck_assert_int_eq(superblock_decode(bytes_of(t.dev.metadata), 0, &sb), PAGE_OK);
	at = superblock_region(&sb, REGION_BUSY_MARKS)->offset_bytes;
	ck_assert_mem_eq(bytes_of(t.dev.metadata) + at, bits, sizeof(bits));
	store_close(start(&t, &how));
	busy_clear(bits, busy_key(sb.uuid), 0, BUSY_UNITS_PER_PAGE);
	ck_assert_mem_eq(bytes_of(t.dev.metadata) + at, bits, sizeof(bits));
	ck_assert(lease_read(t.dev.metadata, &sb, &lease));
	ck_assert_int_eq(lease.until_ns, 0);
	trio_close(&t);
}
END_TEST

START_TEST(the_runtime_page_says_who_and_a_torn_one_says_none)
{
	struct store_runtime rt = { 1, STORE_RUNTIME_STOPPING };
	enum store_start how;

	setup();
	ck_assert_int_eq(store_read_runtime(t.dev.metadata, &rt), 0);
	ck_assert_int_eq(rt.state, STORE_RUNTIME_NONE);
	trio_prepare(&t, &a);
	store_close(start(&t, &how));
	ck_assert_int_eq(store_read_runtime(t.dev.metadata, &rt), 0);
	ck_assert_int_eq(rt.state, STORE_RUNTIME_SERVING);
	ck_assert_uint_eq(rt.pid, 42);
	rt.state = STORE_RUNTIME_STOPPING;
	ck_assert_int_eq(store_write_runtime(t.dev.metadata, &rt), 0);
	ck_assert_int_eq(store_read_runtime(t.dev.metadata, &rt), 0);
	ck_assert_int_eq(rt.state, STORE_RUNTIME_STOPPING);
	bytes_of(t.dev.metadata)[RUNTIME_PAGE * PAGE_BYTES + 66] ^= 1;
	ck_assert_int_eq(store_read_runtime(t.dev.metadata, &rt), 0);
	ck_assert_int_eq(rt.state, STORE_RUNTIME_NONE);
	trio_close(&t);
}
END_TEST

START_TEST(probing_tells_blank_ours_and_foreign)
{
	enum store_kind kind;
	uint8_t *bytes;

	setup();
	bytes = bytes_of(t.dev.metadata);
	ck_assert(!store_probe_metadata(t.dev.metadata, &kind) && kind == STORE_BLANK);
	ck_assert(!store_probe_cache(t.dev.cache, &kind) && kind == STORE_BLANK);
	trio_prepare(&t, &a);
	ck_assert(!store_probe_metadata(t.dev.metadata, &kind) && kind == STORE_OURS);
	ck_assert(!store_probe_cache(t.dev.cache, &kind) && kind == STORE_OURS);
	memset(bytes, 0, PAGE_BYTES);
	ck_assert(!store_probe_metadata(t.dev.metadata, &kind) && kind == STORE_OURS);
	bytes[65536 + 400] ^= 1;
	ck_assert(!store_probe_metadata(t.dev.metadata, &kind) && kind == STORE_OURS);
	memset(bytes + 65536, 0, PAGE_BYTES);
	ck_assert(!store_probe_metadata(t.dev.metadata, &kind) && kind == STORE_FOREIGN);
	ck_assert(!store_probe_cache(t.dev.origin, &kind) && kind == STORE_FOREIGN);
	trio_close(&t);
}
END_TEST

START_TEST(formatting_again_leaves_nothing_of_before)
{
	setup();
	trio_prepare(&t, &a);
	trio_format(&t);
	assert_start(&default_options, START_COLD_NEW, "new");
	trio_close(&t);
}
END_TEST

START_TEST(a_format_that_cannot_be_is_refused_with_nothing_written)
{
	const struct store_geometry bad[] = {
		{ .block_size_bytes = 5000, .nr_cblocks = 1, .origin_size_bytes = 1 },
		{ .block_size_bytes = BS, .nr_cblocks = 0, .origin_size_bytes = 1 },
		{ .block_size_bytes = BS, .nr_cblocks = 1, .origin_size_bytes = 0 },
		{ .block_size_bytes = BS, .nr_cblocks = 1, .origin_size_bytes = 1ull << 44 },
		{ .block_size_bytes = BS,
		  .nr_cblocks = 1u << 20,
		  .origin_size_bytes = 1ull << 30 }, /* the file is too small */
	};

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct store_geometry geo = bad[i];
		struct cwt_error err = { "" };

		ck_assert_int_eq(store_format(t.dev.metadata, &geo, &err), -EINVAL);
		ck_assert_msg(strchr(err.text, '('), "%s", err.text);
		ck_assert_uint_eq(faulty_device_counts(t.dev.metadata).writes, 0);
	}
	trio_close(&t);
}
END_TEST

START_TEST(a_truncated_metadata_is_refused)
{
	struct memory_options o = { .size_bytes = store_metadata_size(NR_CBLOCKS, ORIGIN_BYTES, BS) - PAGE_BYTES * 11 };
	struct device *memory;
	uint8_t *whole;

	setup();
	trio_prepare(&t, &a);
	ck_assert_int_eq(memory_device_open("metadata", &o, &memory), 0);
	whole = bytes_of(t.dev.metadata);
	memcpy(memory_device_bytes(memory), whole, o.size_bytes);
	device_close(t.dev.metadata);
	ck_assert_int_eq(faulty_device_open(memory, &(struct faulty_options){ .seed = 1 }, &t.dev.metadata), 0);
	assert_refused(&default_options, "truncated");
	trio_close(&t);
}
END_TEST

/* More pages than the buffer kept for good: the chunks that a large commit takes are given back and taken again. */
START_TEST(a_commit_of_thousands_of_pages_is_whole)
{
	enum { NR = 2500 * 252 };
	struct store_geometry geo = { .block_size_bytes = BS,
				      .nr_cblocks = NR,
				      .origin_size_bytes = (uint64_t)NR * BS };
	struct memory_options o = { .size_bytes = store_metadata_size(NR, geo.origin_size_bytes, BS) };
	struct memory_options lazy = { .size_bytes = geo.origin_size_bytes + BS };
	struct store_entry entries[STORE_ENTRIES_PER_PAGE];
	enum store_start how;
	struct check_result r;
	struct cwt_error err;
	struct store *s;

	ck_assert_int_eq(memory_device_open("metadata", &o, &t.dev.metadata), 0);
	ck_assert_int_eq(memory_device_open("cache", &lazy, &t.dev.cache), 0);
	t.dev.cache->info.fresh = true;		/* 2 GiB of nothing need not be read */
	lazy.size_bytes -= BS;
	ck_assert_int_eq(memory_device_open("origin", &lazy, &t.dev.origin), 0);
	ck_assert_int_eq(store_format(t.dev.metadata, &geo, &err), 0);
	s = start(&t, &how);
	for (int round = 0; round < 2; round++) {
		store_commit_begin(s, round ? COMMIT_CLEAN : 0);
		for (uint32_t p = 0; p < store_nr_pages(s); p++) {
			for (uint32_t i = 0; i < STORE_ENTRIES_PER_PAGE; i++)
				entries[i] = (struct store_entry){ .oblock = OBLOCK(p * STORE_ENTRIES_PER_PAGE + i) };
			ck_assert_int_eq(store_commit_page(s, p, entries), 0);
		}
		int ret;

		while ((ret = store_commit_step(s)) > 0)
			;
		ck_assert_int_eq(ret, 0);
	}
	store_close(s);
	ck_assert_int_eq(metadata_check(t.dev.metadata, NULL, &r, NULL), 0);
	ck_assert_uint_eq(r.nr_mapped, NR);
	ck_assert_uint_eq(r.nr_damage, 0);
	store_close(start(&t, &how));
	ck_assert_int_eq(how, START_WARM_CLEAN);
	trio_close(&t);
}
END_TEST

RUN("store", 120, a_clean_stop_keeps_every_mapping_and_its_hint, a_stop_without_the_clean_mark_drops_every_mapping,
    mappings_committed_after_a_cold_start_survive_the_next_clean_stop,
    only_the_changed_pages_and_the_superblocks_are_written, each_step_makes_at_most_one_device_call,
    an_origin_whose_times_changed_drops_every_mapping_unless_it_is_trusted,
    an_origin_of_another_size_is_refused_even_if_trusted_and_reset_takes_it,
    a_block_device_is_known_by_its_size_and_a_file_is_not_taken_for_one,
    another_disk_of_the_same_size_starts_cold_unless_it_is_trusted, reset_drops_every_mapping,
    a_blank_cache_under_used_metadata_starts_cold, a_cache_with_another_label_starts_cold_and_is_taken_over,
    a_restored_older_copy_of_the_cache_starts_cold, a_store_with_data_behind_zeros_is_not_blank,
    a_foreign_cache_is_refused_untouched_even_with_reset,
    metadata_given_as_the_cache_is_refused, a_cache_smaller_than_its_metadata_says_is_refused,
    blank_foreign_and_broken_metadata_are_refused_each_with_its_line,
    one_rotten_superblock_copy_costs_nothing_and_is_repaired, an_unreadable_superblock_copy_costs_nothing,
    a_rotten_or_lost_mapping_page_never_brings_back_an_older_one, an_unreadable_mapping_page_starts_cold_and_is_erased,
    mappings_that_cannot_be_are_never_handed_out, a_page_of_another_metadata_is_not_believed,
    a_page_that_changes_between_open_and_load_is_not_believed, load_stops_where_the_callback_says,
    a_start_writes_a_new_session_on_both_sides, busy_marks_are_written_where_the_region_is_and_cleared_by_a_start,
    the_runtime_page_says_who_and_a_torn_one_says_none,
    probing_tells_blank_ours_and_foreign, formatting_again_leaves_nothing_of_before,
    a_format_that_cannot_be_is_refused_with_nothing_written, a_truncated_metadata_is_refused,
    a_commit_of_thousands_of_pages_is_whole)
