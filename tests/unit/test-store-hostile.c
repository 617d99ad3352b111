/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metadata whose checksums are right and whose contents are hostile, in three images: after a clean stop, a kill, a
 * power cut.  Each edit is sealed; then check, dump, a start, a commit, a stop, the start after that, and a start with
 * reset.  Each is refused with a line, or succeeds with mappings that are true: none is believed that was not there.
 * What no checksum can see, a map that is forged and consistent, is only used.
 *
 * Then every single bit of every page that is in use, flipped and not sealed.  make check-bit-flips does all of them,
 * some 370,000 starts an image; make check every 13th.
 */
#include "metadata-fixture.h"

#include <errno.h>
#include <stdio.h>

enum image { CLEAN, KILLED, POWER, NR_IMAGES };

static struct trio t;
static struct snapshot good[NR_IMAGES];
static struct model truth[NR_IMAGES];		/* what each may show at most */
static enum image image;
static struct store_options power_options;

/* Of the image under way. */
static int valid_slot[NR_PAGES], valid_identity;
static struct superblock sb;

/*
 * ------------------------------------------------------------------ the images
 */
static int note_slot(void *ctx, const struct scan_page *page)
{
	(void)ctx;
	valid_slot[page->number] = page->valid;
	return 0;
}

static void look(void)
{
	struct identity_pages pages;

	ck_assert_int_eq(superblock_decode(bytes_of(t.dev.metadata), 0, &sb), PAGE_OK);
	ck_assert_int_eq(mapping_scan(t.dev.metadata, &sb, note_slot, NULL), 0);
	identity_read(t.dev.metadata, &sb, &pages);
	valid_identity = pages.valid;
	ck_assert_int_ge(valid_identity, 0);
}

static void make_killed(const struct model *b)
{
	uint8_t units[PAGE_BYTES];
	enum store_start how;
	struct store *s = start(&t, &how);

	ck_assert_int_eq(commit_model(s, b, ALL_PAGES, 0), 0);
	busy_clear(units, store_marks_key(s), 0, BUSY_UNITS_PER_PAGE);
	truth[KILLED] = *b;
	for (uint32_t c = 0; c < NR_CBLOCKS; c += 5) {
		busy_flip(units, store_marks_key(s), c);
		truth[KILLED].entry[c].oblock = OBLOCK(BLOCK_NONE);
	}
	ck_assert_int_eq(store_write_marks(s, 0, units), 0);
	ck_assert_int_eq(store_write_lease(s, &(struct lease){ .until_ns = INT64_MAX / 2 }), 0);
	store_close(s);
}

static void make_power(const struct model *b)
{
	uint8_t bits[STORE_REGIONS_PER_PAGE / 8] = { 1 };
	struct cwt_error err;
	enum store_start how;
	struct store *s;

	ck_assert_msg(!try_start(&t, &power_options, &s, &how, &err), "%s", err.text);
	ck_assert_int_eq(commit_model(s, b, ALL_PAGES, COMMIT_FLUSH), 0);
	ck_assert_int_eq(store_write_region_marks(s, 0, bits), 0);
	truth[POWER] = *b;
	for (uint32_t c = 0; c < NR_CBLOCKS; c++)
		if (b->entry[c].oblock.v < 1024)
			truth[POWER].entry[c].oblock = OBLOCK(BLOCK_NONE);
	store_close(s);
}

static void setup(void)
{
	struct model b;

	power_options = default_options;
	power_options.warm_after_power = true;
	trio_open(&t, false);
	model_fill(&truth[CLEAN], 1);
	model_fill(&b, 2);
	for (image = CLEAN; image < NR_IMAGES; image++) {
		trio_prepare(&t, &truth[CLEAN]);
		if (image == KILLED)
			make_killed(&b);
		if (image == POWER)
			make_power(&b);
		snapshot_take(&t, &good[image]);
	}
}

static void teardown(void)
{
	for (image = CLEAN; image < NR_IMAGES; image++)
		snapshot_free(&good[image]);
	trio_close(&t);
}

static int open_image(struct store **s, enum store_start *how, struct cwt_error *err)
{
	struct store_options o = default_options;

	if (image == KILLED) {		/* the boot that its superblock names */
		o.boot_id[0] = sb.boot_id[0];
		return try_start(&t, &o, s, how, err);
	}
	return try_start(&t, image == POWER ? &power_options : &default_options, s, how, err);
}

/*
 * ------------------------------------------------------------------ edits
 */
static uint8_t *bytes(void) { return bytes_of(t.dev.metadata); }

static void put(uint64_t at, unsigned len, uint64_t value)
{
	for (unsigned i = 0; i < len; i++)
		bytes()[at + i] = (uint8_t)(i < 8 ? value >> 8 * i : 0);
}

static uint64_t get(uint64_t at) { return get_le64(bytes() + at); }

static void put_sb(unsigned field, unsigned len, uint64_t value)
{
	put(field, len, value);
	put(65536 + field, len, value);
}

static void put_region(unsigned i, unsigned field, unsigned len, uint64_t value) { put_sb(224 + 24 * i + field, len, value); }
static uint64_t region_at(unsigned i) { return sb.regions[i].offset_bytes; }
enum { RUNTIME, IDENTITY, BUSY, MARKS, MAPPING };

static uint64_t page_at(unsigned p) { return region_at(MAPPING) + (2 * p + (unsigned)valid_slot[p]) * PAGE_BYTES; }
static uint64_t entry_at(unsigned c) { return page_at(c / MAPPING_ENTRIES) + 64 + 16 * (c % MAPPING_ENTRIES); }
static uint64_t identity_at(void) { return region_at(IDENTITY) + (unsigned)valid_identity * PAGE_BYTES; }
static void put_entry(unsigned c, uint64_t oblock, unsigned flags) { put(entry_at(c), 8, oblock | (uint64_t)flags << 48); }

static uint64_t seal(uint64_t at, size_t len)
{
	uint8_t *page = bytes() + at;
	struct page_header h = { .type = get_le32(page + 16), .number = get_le64(page + 24),
				 .generation = get_le64(page + 32) };

	memcpy(h.uuid, page + 40, sizeof(h.uuid));
	page_seal(page, len, &h);
	return page_checksum(page);
}

static void seal_superblocks(void)
{
	seal(0, SECTOR_BYTES);
	seal(65536, SECTOR_BYTES);
}

static void finish(void)
{
	uint64_t digest = 0;

	for (unsigned p = 0; p < NR_PAGES; p++)
		digest ^= seal(page_at(p), PAGE_BYTES);
	put_sb(112, 8, digest);
	put_sb(168, 8, seal(identity_at(), PAGE_BYTES));
	seal(region_at(MARKS), PAGE_BYTES);
	seal_superblocks();
}

static void put_lease(int64_t until, uint64_t seq, int64_t t1)
{
	lease_encode(&(struct lease){ .until_ns = until, .since = { { seq, t1 }, { seq, t1 } } }, sb.uuid, bytes() + lease_offset(&sb));
}

static void mark_all_busy(void)
{
	uint64_t key = busy_key(sb.uuid);

	for (uint32_t c = 0; c < BUSY_MARKS_PER_PAGE; c++)
		if (!busy_test(bytes() + region_at(BUSY), c))
			busy_flip(bytes() + region_at(BUSY), key, c);
}

static void put_label(unsigned at, unsigned len, uint64_t value)
{
	uint8_t *page = bytes_of(t.dev.cache);
	struct page_header h = { .type = PAGE_LABEL };

	memcpy(h.uuid, page + 40, sizeof(h.uuid));
	for (unsigned i = 0; i < len; i++)
		(at == 40 ? h.uuid : page + at)[i] = (uint8_t)(value >> 8 * i);
	page_seal(page, SECTOR_BYTES, &h);
}

static void cut(struct device *dev, uint64_t size) { dev->info.size_bytes = size; }
static void garbage(uint8_t *at, size_t len) { for (size_t i = 0; i < len; i++) at[i] = (uint8_t)(i * 73 + 11); }

/* FORGED: the map is another one, and consistent.  RAW: as it stands, no checksum is made right. */
enum { FORGED = 1, RAW = 2 };
#define EDIT(edit_name, edit_flags, ...) { .name = #edit_name, .flags = (edit_flags), .run = edit_##edit_name },
#define DEFINE(edit_name, edit_flags, ...) static void edit_##edit_name(void) { __VA_ARGS__; }

#define EDITS(X) \
	X(untouched, 0, (void)0) \
	/* mapping entries */ \
	X(oblock_beyond_origin, 0, put_entry(0, 2000, 1)) \
	X(oblock_2_47, 0, put_entry(0, 1ull << 47, 1)) \
	X(oblock_2_48_less_1, 0, put_entry(251, (1ull << 48) - 1, 1)) \
	X(duplicate, 0, put_entry(0, 1, 1); put_entry(1, 1, 1)) \
	X(duplicate_over_pages, 0, put_entry(0, 1, 1); put_entry(700, 1, 1)) \
	X(flag_unknown, 0, put_entry(1, 3, 3)) \
	X(flag_without_mapped, 0, put_entry(1, 3, 2)) \
	X(flag_zero_but_oblock, 0, put_entry(1, 3, 0)) \
	X(flag_zero_but_hint, 0, put_entry(1, 0, 0); put(entry_at(1) + 8, 1, 9)) \
	X(cblock_beyond_cache, 0, put(page_at(2) + 64 + 16 * 251, 8, 1999 | 1ull << 48)) \
	X(first_cblock_beyond_cache, 0, put(page_at(2) + 64 + 16 * (NR_CBLOCKS - 504), 8, 1 | 1ull << 48)) \
	X(hints_255, 0, for (unsigned c = 0; c < NR_CBLOCKS; c++) if (get(entry_at(c))) put(entry_at(c) + 8, 1, 255)) \
	X(reserved_nonzero, 0, put(entry_at(1) + 9, 7, (1ull << 56) - 1)) \
	X(swapped_mappings, FORGED, uint64_t a = get(entry_at(0)); put(entry_at(0), 8, get(entry_at(2))); put(entry_at(2), 8, a)) \
	X(mapping_generation_above, 0, put(page_at(0) + 32, 8, get(32) + 1)) \
	X(mapping_generation_max, 0, put(page_at(0) + 32, 8, GENERATION_MAX)) \
	X(mapping_generation_2_63, 0, put(page_at(0) + 32, 8, 1ull << 63)) \
	X(mapping_of_another_uuid, 0, put(page_at(0) + 40, 8, 1)) \
	/* the table of regions */ \
	X(regions_overlap, 0, put_region(MARKS, 0, 8, region_at(BUSY))) \
	X(region_on_superblock, 0, put_region(MARKS, 0, 8, 65536)) \
	X(region_len_overflow, 0, put_region(MARKS, 8, 8, 0x7ffffffffffff000); put_region(MARKS, 0, 8, 0x7fffffffffff0000)) \
	X(region_len_2_32_pages, 0, put_region(MARKS, 8, 8, (1ull << 44) + 4096)) \
	X(busy_len_4_gib, 0, put_region(BUSY, 8, 8, 4ull << 30)) \
	X(busy_len_one_more, 0, put_region(BUSY, 8, 8, 3 * PAGE_BYTES)) \
	X(busy_len_one_less, 0, put_region(BUSY, 8, 8, PAGE_BYTES)) \
	X(identity_len_one_less, 0, put_region(IDENTITY, 8, 8, PAGE_BYTES)) \
	X(identity_len_one_more, 0, put_region(IDENTITY, 8, 8, 3 * PAGE_BYTES)) \
	X(runtime_len_zero, 0, put_region(RUNTIME, 8, 8, 0)) \
	X(runtime_elsewhere, 0, put_region(RUNTIME, 0, 8, region_at(MAPPING) + 65536)) \
	X(region_len_zero, 0, put_region(BUSY, 8, 8, 0)) \
	X(region_marks_half, 0, put_region(MARKS, 8, 8, 2048)) \
	X(region_marks_none, 0, put_region(MARKS, 8, 8, 0)) \
	X(mapping_len_one_more, 0, put_region(MAPPING, 8, 8, 7 * PAGE_BYTES)) \
	X(region_twice, 0, put_region(BUSY, 16, 4, 3)) \
	X(regions_swapped, 0, put_region(BUSY, 16, 4, 3); put_region(MARKS, 16, 4, 2)) \
	X(region_not_required, 0, put_region(BUSY, 20, 4, 0)) \
	X(regions_13, 0, put_sb(180, 4, 13)) \
	X(regions_2_31, 0, put_sb(180, 4, 1u << 31)) \
	X(regions_4, 0, put_sb(180, 4, 4)) \
	X(regions_0, 0, put_sb(180, 4, 0)) \
	X(region_unknown_required, 0, put_region(5, 0, 8, region_at(MAPPING) + 65536); put_region(5, 8, 8, 0); \
	  put_region(5, 16, 4, 77); put_region(5, 20, 4, 1); put_sb(180, 4, 6)) \
	X(region_reserved_kind_required, 0, put_region(5, 0, 8, region_at(MAPPING) + 65536); put_region(5, 8, 8, 0); \
	  put_region(5, 16, 4, 6); put_region(5, 20, 4, 1); put_sb(180, 4, 6)) \
	X(region_unknown_optional, 0, put_region(5, 0, 8, region_at(MAPPING) + 65536); put_region(5, 8, 8, 0); \
	  put_region(5, 16, 4, 77); put_sb(180, 4, 6)) \
	X(region_unknown_optional_beyond_file, 0, put_region(5, 0, 8, 1ull << 40); put_region(5, 8, 8, 4096); \
	  put_region(5, 16, 4, 77); put_sb(180, 4, 6)) \
	/* the superblock's fields */ \
	X(compat_unknown, 0, put_sb(72, 8, 1ull << 63)) \
	X(ro_compat_unknown, 0, put_sb(80, 8, 1)) \
	X(incompat_unknown, 0, put_sb(88, 8, 1ull << 40)) \
	X(version_1, 0, put_sb(64, 4, 1)) \
	X(version_3, 0, put_sb(64, 4, 3)) \
	X(version_0, 0, put_sb(64, 4, 0)) \
	X(state_all_bits, 0, put_sb(68, 4, UINT32_MAX)) \
	X(state_bit_2, 0, put_sb(68, 4, sb.state | 4)) \
	X(superblock_reserved, 0, put_sb(184, 8, UINT64_MAX)) \
	X(generation_max, 0, put_sb(32, 8, GENERATION_MAX)) \
	X(generation_max_less_3, 0, put_sb(32, 8, GENERATION_MAX - 3)) \
	X(generation_with_room, 0, put_sb(32, 8, GENERATION_MAX - GENERATION_ROOM - 1000)) \
	X(generation_2_63, 0, put_sb(32, 8, 1ull << 63)) \
	X(generation_0, 0, put_sb(32, 8, 0)) \
	X(generation_less, 0, put_sb(32, 8, get(32) - 1)) \
	X(floor_above, 0, put_sb(120, 8, get(32) + 2)) \
	X(floor_g_plus_1, 0, put_sb(120, 8, get(32) + 1)) \
	X(floor_max, 0, put_sb(120, 8, UINT64_MAX)) \
	X(origin_size_2_64, 0, put_sb(104, 8, UINT64_MAX)) \
	X(origin_size_2_53, 0, put_sb(104, 8, 1ull << 53)) \
	X(origin_size_2_43, 0, put_sb(104, 8, 1ull << 43)) \
	X(origin_size_0, 0, put_sb(104, 8, 0)) \
	X(origin_size_less, 0, put_sb(104, 8, ORIGIN_BYTES - 1)) \
	X(nr_cblocks_0, 0, put_sb(100, 4, 0)) \
	X(nr_cblocks_max, 0, put_sb(100, 4, 0xfffffffe)) \
	X(nr_cblocks_2_32_less_1, 0, put_sb(100, 4, UINT32_MAX)) \
	X(nr_cblocks_plus_1, 0, put_sb(100, 4, NR_CBLOCKS + 1)) \
	X(nr_cblocks_less, 0, put_sb(100, 4, 10)) \
	X(block_size_8192, 0, put_sb(96, 4, 8192)) \
	X(block_size_2_g, 0, put_sb(96, 4, 1u << 31)) \
	X(block_size_0, 0, put_sb(96, 4, 0)) \
	X(region_shift_62, 0, put_sb(176, 4, 62)) \
	X(region_shift_63, 0, put_sb(176, 4, 63)) \
	X(region_shift_64, 0, put_sb(176, 4, 64)) \
	X(region_shift_2_32_less_1, 0, put_sb(176, 4, UINT32_MAX)) \
	X(region_shift_54, 0, put_sb(176, 4, 54)) \
	X(region_shift_53, 0, put_sb(176, 4, 53)) \
	X(region_shift_45, 0, put_sb(176, 4, 45)) \
	X(region_shift_44, 0, put_sb(176, 4, 44)) \
	X(region_shift_12, FORGED, put_sb(176, 4, 12)) \
	X(region_shift_11, 0, put_sb(176, 4, 11)) \
	X(power_oblock_beyond, 0, put_sb(68, 4, STATE_REGION_MARKS); put_sb(144, 8, 99); put_entry(0, 1ull << 47, 1)) \
	X(power_all_regions_marked, 0, memset(bytes() + region_at(MARKS) + 64, 0xff, PAGE_BYTES - 64); \
	  put_sb(68, 4, STATE_REGION_MARKS); put_sb(144, 8, 99)) \
	X(session_0, 0, put_sb(128, 8, 0)) \
	X(old_session_other, 0, put_sb(136, 8, 99)) \
	X(sb1_other_uuid_newer, 0, put(65536 + 40, 8, 1); put(65536 + 32, 8, get(32) + 1)) \
	X(sb1_newer_smaller, 0, put(65536 + 32, 8, get(32) + 1); put(65536 + 100, 4, 50)) \
	X(commit_time_max, 0, put_sb(160, 8, INT64_MAX)) \
	X(commit_time_min, 0, put_sb(160, 8, 1ull << 63)) \
	X(unclean_commit_time_max, 0, put_sb(160, 8, INT64_MAX); put_sb(68, 4, 0)) \
	X(set_digest_0, RAW, put_sb(112, 8, 0); seal_superblocks()) \
	/* marks and lease */ \
	X(unclean_lease_max, 0, put_lease(INT64_MAX, UINT64_MAX, INT64_MAX); put_sb(68, 4, 0)) \
	X(unclean_lease_min, 0, put_lease(INT64_MIN, UINT64_MAX, INT64_MIN); put_sb(68, 4, 0)) \
	X(all_busy, 0, mark_all_busy()) \
	X(unclean_all_busy, 0, mark_all_busy(); put_sb(68, 4, 0)) \
	X(busy_zeros, 0, memset(bytes() + region_at(BUSY), 0, PAGE_BYTES)) \
	X(busy_ones, 0, memset(bytes() + region_at(BUSY), 0xff, PAGE_BYTES)) \
	X(busy_units_swapped, 0, memmove(bytes() + region_at(BUSY), bytes() + region_at(BUSY) + 512, 512)) \
	X(region_marks_zeros, 0, memset(bytes() + region_at(MARKS) + 16, 0, 16)) \
	X(region_marks_of_another_uuid, 0, put(region_at(MARKS) + 40, 8, 1)) \
	/* identity */ \
	X(identity_kind_3, 0, put(identity_at() + 256, 4, 3)) \
	X(identity_kind_max, 0, put(identity_at() + 256, 4, UINT32_MAX)) \
	X(identity_known_2, 0, put(identity_at() + 260, 4, 2)) \
	X(identity_unknown, 0, put(identity_at() + 260, 4, 0)) \
	X(identity_state_max, 0, memset(bytes() + identity_at() + 264, 0xff, 40)) \
	X(identity_times_max, 0, put(identity_at() + 288, 8, INT64_MAX); put(identity_at() + 296, 8, INT64_MAX)) \
	X(identity_times_min, 0, put(identity_at() + 288, 8, 1ull << 63); put(identity_at() + 296, 8, 1ull << 63)) \
	X(identity_places, 0, memset(bytes() + identity_at() + 64, 0xff, 192)) \
	X(identity_tag, 0, put(identity_at() + 304, 8, 1)) \
	X(identity_path_without_end, 0, memset(bytes() + identity_at() + 512, 'x', 1024)) \
	X(identity_path_behind_its_end, 0, put(identity_at() + 512 + 600, 1, 'x')) \
	X(identity_path_hostile, 0, memcpy(bytes() + identity_at() + 512, "\033]0;\n\302", 7)) \
	X(identity_reserved, 0, memset(bytes() + identity_at() + 2560, 0xff, 1536)) \
	X(identity_generation_above, 0, put(identity_at() + 32, 8, get(32) + 1)) \
	X(identity_of_another_uuid, 0, put(identity_at() + 40, 8, 1)) \
	X(identity_in_the_other_slot, 0, memcpy(bytes() + region_at(IDENTITY) + !valid_identity * PAGE_BYTES, \
						bytes() + identity_at(), PAGE_BYTES)) \
	X(identity_digest_0, RAW, put_sb(168, 8, 0); seal_superblocks()) \
	X(identity_lost, RAW, memset(bytes() + identity_at(), 0, PAGE_BYTES)) \
	X(runtime_state, RAW, put(131072 + 68, 4, UINT32_MAX); seal(131072, PAGE_BYTES)) \
	/* sizes */ \
	X(metadata_cut_to_0, RAW, cut(t.dev.metadata, 0)) \
	X(metadata_cut_to_1, RAW, cut(t.dev.metadata, 1)) \
	X(metadata_cut_to_511, RAW, cut(t.dev.metadata, 511)) \
	X(metadata_cut_to_512, RAW, cut(t.dev.metadata, 512)) \
	X(metadata_cut_to_4096, RAW, cut(t.dev.metadata, 4096)) \
	X(metadata_cut_to_65536, RAW, cut(t.dev.metadata, 65536)) \
	X(metadata_cut_to_66048, RAW, cut(t.dev.metadata, 66048)) \
	X(metadata_cut_to_131072, RAW, cut(t.dev.metadata, 131072)) \
	X(metadata_cut_to_135168, RAW, cut(t.dev.metadata, 135168)) \
	X(metadata_cut_to_204799, RAW, cut(t.dev.metadata, 204799)) \
	X(metadata_cut_to_266240, RAW, cut(t.dev.metadata, 266240)) \
	X(metadata_cut_to_327680, RAW, cut(t.dev.metadata, 327680)) \
	X(metadata_cut_to_393216, RAW, cut(t.dev.metadata, 393216)) \
	X(metadata_cut_by_a_byte, RAW, cut(t.dev.metadata, 393216 + 6 * PAGE_BYTES - 1)) \
	X(metadata_as_long_as_it_has_to_be, RAW, cut(t.dev.metadata, 393216 + 6 * PAGE_BYTES)) \
	X(cache_shorter_by_1, RAW, cut(t.dev.cache, CACHE_BYTES - 1)) \
	X(cache_cut_to_label, RAW, cut(t.dev.cache, 4096)) \
	X(cache_empty, RAW, cut(t.dev.cache, 0)) \
	X(cache_blank, RAW, memset(bytes_of(t.dev.cache), 0, CACHE_BYTES)) \
	X(cache_label_garbage, RAW, garbage(bytes_of(t.dev.cache), 512)) \
	X(cache_label_zero_rest_data, RAW, garbage(bytes_of(t.dev.cache), 8192); memset(bytes_of(t.dev.cache), 0, 4096)) \
	X(label_other_uuid, RAW, put_label(40, 8, 12345)) \
	X(label_other_session, RAW, put_label(64, 8, 12345)) \
	X(label_other_block_size, RAW, put_label(72, 4, 8192)) \
	X(label_other_nr, RAW, put_label(76, 4, 5))

EDITS(DEFINE)
static const struct edit { const char *name; unsigned flags; void (*run)(void); } edits[] = { EDITS(EDIT) };

/*
 * ------------------------------------------------------------------ what is done with each
 */
static void report(void)
{
	FILE *out = fopen("/dev/null", "w");
	struct check_result r;
	struct cwt_error err;

	metadata_check(t.dev.metadata, out, &r, &err);
	metadata_dump(t.dev.metadata, out, &err);
	fclose(out);
}

/* Asserts only what fails: Check writes to a file for each that it passes. */
static int load_one(void *ctx, cblock_t c, struct store_entry e)
{
	struct model *m = ctx;

	if (c.v >= NR_CBLOCKS || e.oblock.v >= 2000 || m->entry[c.v].oblock.v != BLOCK_NONE)
		ck_abort_msg("image %d: cblock %u, oblock %u handed out", image, c.v, e.oblock.v);
	m->entry[c.v] = e;
	return 0;
}

static void assert_true(const struct model *m, const char *name)
{
	for (uint32_t c = 0; c < NR_CBLOCKS; c++)
		if (m->entry[c].oblock.v != BLOCK_NONE && m->entry[c].oblock.v != truth[image].entry[c].oblock.v)
			ck_abort_msg("%s, image %d: cblock %u holds oblock %u", name, image, c, m->entry[c].oblock.v);
}

static void refused(int ret, const struct cwt_error *err, const char *name)
{
	ck_assert_msg(ret == -EINVAL && strchr(err->text, '(') && !strchr(err->text, '\n'), "%s, image %d: %d %s", name, image,
		      ret, err->text);
}

/* A start, and if it is one a commit and a clean stop.  m: what it loaded. */
static bool use(struct model *m, bool again, const char *name)
{
	struct cwt_error err;
	enum store_start how;
	struct store *s;
	int ret = again ? try_start(&t, &default_options, &s, &how, &err) : open_image(&s, &how, &err);

	model_clear(m);
	if (ret) {
		refused(ret, &err, name);
		return false;
	}
	ck_assert_int_eq(store_load(s, load_one, m), 0);
	ck_assert_int_eq(commit_model(s, m, ALL_PAGES, COMMIT_CLEAN), 0);
	store_close(s);
	return true;
}

static void use_with_reset(const char *name)
{
	struct store_options o = default_options;
	struct cwt_error err;
	enum store_start how;
	struct model m;
	struct store *s;
	int ret;

	o.reset = true;
	ret = try_start(&t, &o, &s, &how, &err);
	if (ret) {
		refused(ret, &err, name);
		return;
	}
	model_clear(&m);
	ck_assert_int_eq(store_load(s, load_one, &m), 0);
	for (uint32_t c = 0; c < NR_CBLOCKS; c++)
		if (m.entry[c].oblock.v != BLOCK_NONE)
			ck_abort_msg("%s: after a reset cblock %u is mapped", name, c);
	ck_assert_int_eq(commit_model(s, &truth[CLEAN], ALL_PAGES, COMMIT_CLEAN), 0);
	store_close(s);
}

static void restore(void)
{
	cut(t.dev.metadata, device_info(faulty_device_inner(t.dev.metadata))->size_bytes);
	cut(t.dev.cache, CACHE_BYTES);
	snapshot_restore(&t, &good[image]);
}

static void apply(const struct edit *edit)
{
	restore();
	look();
	edit->run();
	if (!(edit->flags & RAW))
		finish();
}

static void one_edit(const struct edit *edit)
{
	struct model first, second;

	apply(edit);
	report();
	if (use(&first, false, edit->name)) {
		if (!(edit->flags & FORGED))
			assert_true(&first, edit->name);
		ck_assert_msg(use(&second, true, edit->name), "%s, image %d", edit->name, image);
		ck_assert_msg(model_equals(&first, &second), "%s, image %d", edit->name, image);
	}
	apply(edit);
	use_with_reset(edit->name);
}

START_TEST(sealed_and_hostile_metadata_is_refused_or_shows_nothing_that_was_not_there)
{
	setup();
	for (image = CLEAN; image < NR_IMAGES; image++) {
		for (size_t i = 0; i < ARRAY_SIZE(edits); i++)
			one_edit(&edits[i]);
		restore();
	}
	teardown();
}
END_TEST

/* The images are not cold by themselves: else the test above would see nothing. */
START_TEST(the_images_untouched_are_warm)
{
	setup();
	for (image = CLEAN; image < NR_IMAGES; image++) {
		struct model m;

		apply(&edits[0]);
		ck_assert(use(&m, false, "untouched"));
		ck_assert_msg(model_equals(&m, &truth[image]), "image %d", image);
	}
	teardown();
}
END_TEST

/* What is wrong with a mapping makes all of them void; the same as check says. */
START_TEST(what_check_calls_damage_of_a_mapping_makes_the_start_cold)
{
	setup();
	for (image = CLEAN; image < NR_IMAGES; image++)
		for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
			struct check_result r;
			struct model m, none;

			if (strncmp(edits[i].name, "cblock_", 7) && strncmp(edits[i].name, "oblock_", 7) &&
			    strncmp(edits[i].name, "flag_", 5) && strncmp(edits[i].name, "duplicate", 9))
				continue;
			apply(&edits[i]);
			ck_assert_int_eq(metadata_check(t.dev.metadata, NULL, &r, NULL), 0);
			ck_assert_msg(r.nr_damage, "%s", edits[i].name);
			ck_assert(use(&m, false, edits[i].name));
			model_clear(&none);
			ck_assert_msg(model_equals(&m, &none), "%s, image %d", edits[i].name, image);
		}
	teardown();
}
END_TEST

/*
 * ------------------------------------------------------------------ single bits
 */
/* A start writes of the cache only the label. */
static void restore_quickly(void)
{
	memcpy(bytes(), good[image].metadata, device_info(t.dev.metadata)->size_bytes);
	memcpy(bytes_of(t.dev.cache), good[image].cache, PAGE_BYTES);
	(void)device_tag(t.dev.origin, good[image].tag, NULL);
}

struct stretch { struct device **dev; uint64_t at, len; };

static void flip_one(const struct stretch *stretch, uint64_t bit)
{
	uint8_t *at = bytes_of(*stretch->dev) + stretch->at + bit / 8;
	char name[320];
	struct cwt_error err;
	enum store_start how;
	struct model m;
	struct store *s;
	int ret;

	restore_quickly();
	*at ^= (uint8_t)(1u << bit % 8);
	snprintf(name, sizeof(name), "bit %llu of %s", (unsigned long long)(stretch->at * 8 + bit), (*stretch->dev)->name);
	ret = open_image(&s, &how, &err);
	if (ret) {
		refused(ret, &err, name);
		return;
	}
	model_clear(&m);
	ck_assert_int_eq(store_load(s, load_one, &m), 0);
	assert_true(&m, name);
	store_close(s);
}

START_TEST(no_flipped_bit_of_a_page_in_use_makes_a_mapping_untrue)
{
	uint64_t stride = getenv("CWT_FLIP_STRIDE") ? strtoull(getenv("CWT_FLIP_STRIDE"), NULL, 0) : 13;

	setup();
	for (image = CLEAN; image < NR_IMAGES; image++) {
		const struct stretch stretches[] = {
			{ &t.dev.metadata, 0, SECTOR_BYTES }, { &t.dev.metadata, 65536, SECTOR_BYTES },
			{ &t.dev.metadata, 131072, PAGE_BYTES }, { &t.dev.metadata, 196608, 2 * PAGE_BYTES },
			{ &t.dev.metadata, 262144, PAGE_BYTES + SECTOR_BYTES }, { &t.dev.metadata, 327680, PAGE_BYTES },
			{ &t.dev.metadata, 393216, 6 * PAGE_BYTES }, { &t.dev.cache, 0, SECTOR_BYTES },
		};

		restore();
		look();
		for (size_t i = 0; i < ARRAY_SIZE(stretches); i++)
			for (uint64_t bit = 0; bit < stretches[i].len * 8; bit += stride)
				flip_one(&stretches[i], bit);
	}
	teardown();
}
END_TEST

/* C.f. the raw bits of old: each of the busy marks, cleared or set, after a kill. */
START_TEST(no_flipped_bit_of_the_busy_marks_keeps_a_busy_mapping)
{
	const struct stretch busy = { &t.dev.metadata, 262144, SECTOR_BYTES };

	setup();
	image = KILLED;
	restore();
	look();
	for (uint64_t bit = 0; bit < busy.len * 8; bit++)
		flip_one(&busy, bit);
	teardown();
}
END_TEST

RUN("store-hostile", 3600, the_images_untouched_are_warm,
    sealed_and_hostile_metadata_is_refused_or_shows_nothing_that_was_not_there,
    what_check_calls_damage_of_a_mapping_makes_the_start_cold,
    no_flipped_bit_of_a_page_in_use_makes_a_mapping_untrue, no_flipped_bit_of_the_busy_marks_keeps_a_busy_mapping)
