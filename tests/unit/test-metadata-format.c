/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The format's bytes: what is written is read back, what is not ours is refused, and no byte moves (golden files). */
#include "metadata-fixture.h"

#include <errno.h>
#include <stdio.h>

static const uint8_t uuid[16] = { 0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

/* Every field has a value of its own, so that two that change places are seen. */
static void sample(struct superblock *sb)
{
	memset(sb, 0, sizeof(*sb));
	sb->generation = 0x0102030405060708;
	memcpy(sb->uuid, uuid, sizeof(uuid));
	sb->version = FORMAT_VERSION;
	sb->state = STATE_CLEAN;
	sb->compat = 0x8000000000000001;
	sb->block_size_bytes = BS;
	sb->nr_cblocks = NR_CBLOCKS;
	sb->origin_size_bytes = ORIGIN_BYTES;
	sb->set_digest = 0x1122334455667788;
	sb->floor_generation = 0x0102030405060000;
	sb->session = 0xa1a2a3a4a5a6a7a8;
	sb->old_session = 0xb1b2b3b4b5b6b7b8;
	sb->boot_id[0] = 0xc1c2c3c4c5c6c7c8;
	sb->boot_id[1] = 0xd1d2d3d4d5d6d7d8;
	sb->commit_time_ns = 1700000000123456789;
	sb->identity_digest = 0xe1e2e3e4e5e6e7e8;
	sb->region_shift = region_shift_default(BS);
	superblock_lay_out(sb);
}

static void sample_identity(struct identity *id)
{
	memset(id, 0, sizeof(*id));
	for (uint64_t i = 0; i < PLACES; i++)
		id->places[i] = (struct place){ 0x10 + i, 0x20 + i, 0x30 + i, 0x40 + i, 0x50 + i, 0x60 + i, 0x70 + i };
	id->origin_kind = ORIGIN_FILE;
	id->origin.known = true;
	id->origin.seq = 0x81;
	id->origin.size_bytes = ORIGIN_BYTES;
	id->origin.ino = 0x82;
	id->origin.mtime_ns = -5;
	id->origin.ctime_ns = 1600000000000000001;
	id->origin_tag = 0x1a2a3a4a5a6a7a8a;
	for (uint64_t i = 0; i < IDENTITY_IDS; i++)
		id->ids[i] = 0x90 + i;
	id->origin_path_digest = 0xb1;
	id->cache_path_digest = 0xb2;
	strcpy(id->origin_path, "/srv/a disk.img");
	memset(id->cache_path, 'c', IDENTITY_PATH_BYTES - 1);
}

static void sample_mapping_page(uint8_t page[PAGE_BYTES])
{
	struct page_header h = { .type = PAGE_MAPPING, .number = 81, .generation = 5 };

	memset(page, 0, PAGE_BYTES);
	memcpy(h.uuid, uuid, sizeof(uuid));
	mapping_put(page, 0, &(struct mapping){ .oblock = 0, .flags = MAPPING_FLAG_MAPPED, .hint = 0 });
	mapping_put(page, 1, &(struct mapping){ .oblock = 0x01020304, .flags = MAPPING_FLAG_MAPPED, .hint = 255 });
	mapping_put(page, 251, &(struct mapping){ .oblock = 0xa1a2a3a4a5a6, .flags = MAPPING_FLAG_MAPPED, .hint = 3 });
	page_seal(page, PAGE_BYTES, &h);
}

START_TEST(a_superblock_reads_back_every_field)
{
	struct superblock in, out;
	uint8_t sector[SECTOR_BYTES];

	sample(&in);
	for (int copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
		superblock_encode(&in, copy, sector);
		memset(&out, 0xEE, sizeof(out));
		ck_assert_int_eq(superblock_decode(sector, copy, &out), PAGE_OK);
		ck_assert_mem_eq(&in, &out, sizeof(in));
	}
}
END_TEST

START_TEST(an_identity_page_reads_back_every_field)
{
	struct identity in, out;
	uint8_t page[PAGE_BYTES];

	sample_identity(&in);
	identity_encode(&in, uuid, 48, 7, page);
	ck_assert_int_eq(page_verify(page, PAGE_BYTES, PAGE_IDENTITY, 48, NULL), PAGE_OK);
	memset(&out, 0xEE, sizeof(out));
	ck_assert_int_eq(identity_decode(page, &out), 0);
	ck_assert_mem_eq(&in, &out, sizeof(in));
	ck_assert(identity_reserved_is_zero(page));
	page[PAGE_BYTES - 1] = 1;
	ck_assert(!identity_reserved_is_zero(page));
}
END_TEST

/* A kind that does not exist, a flag that is no flag, a path without an end, bytes behind the end of a path. */
START_TEST(an_identity_page_whose_values_cannot_be_says_nothing)
{
	static const struct { unsigned at; uint8_t byte; } edits[] = { { 256, 3 }, { 259, 1 }, { 260, 2 }, { 1535, 'x' },
								       { 530, 'x' }, { 2559, 'c' } };
	static const struct identity nothing;
	struct identity in, out;
	uint8_t page[PAGE_BYTES];

	for (unsigned i = 0; i < ARRAY_SIZE(edits); i++) {
		sample_identity(&in);
		identity_encode(&in, uuid, 48, 7, page);
		page[edits[i].at] = edits[i].byte;
		ck_assert_int_eq(identity_decode(page, &out), -EINVAL);
		ck_assert_mem_eq(&out, &nothing, sizeof(out));
	}
}
END_TEST

START_TEST(a_lease_reads_back_and_every_flipped_bit_makes_it_unknown)
{
	struct lease in = { .until_ns = 0x0102030405060708, .clock_ns = 9, .since = { { 5, 6 }, { 7, -8 } } }, out;
	static const struct lease unknown;
	uint8_t sector[SECTOR_BYTES], other[16] = { 9 };

	lease_encode(&in, uuid, sector);
	ck_assert(lease_decode(sector, uuid, &out));
	ck_assert_mem_eq(&in, &out, sizeof(in));
	ck_assert(!lease_decode(sector, other, &out));
	for (unsigned bit = 0; bit < SECTOR_BYTES * 8; bit++) {
		sector[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert(!lease_decode(sector, uuid, &out));
		ck_assert_mem_eq(&out, &unknown, sizeof(out));
		sector[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	memset(sector, 0, sizeof(sector));
	ck_assert(!lease_decode(sector, uuid, &out));
}
END_TEST

/* Changed bit by bit the seal is the same as computed whole; and nothing else verifies. */
START_TEST(busy_marks_verify_as_they_were_set_and_with_no_flipped_bit)
{
	uint8_t units[2 * BUSY_UNIT_BYTES], zeros[BUSY_UNIT_BYTES] = { 0 };
	uint64_t key = busy_key(uuid);
	static const uint32_t marks[] = { 0, 7, 8, 4031, 4032, 4095, 8063 };

	busy_clear(units, key, 0, 2);
	for (unsigned i = 0; i < ARRAY_SIZE(marks); i++) {
		busy_flip(units, key, marks[i]);
		ck_assert(busy_test(units, marks[i]));
		ck_assert(busy_verify(units, key, 0) && busy_verify(units + BUSY_UNIT_BYTES, key, 1));
	}
	for (unsigned bit = 0; bit < sizeof(units) * 8; bit++) {
		uint64_t unit = bit / 8 / BUSY_UNIT_BYTES;

		units[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert(!busy_verify(units + unit * BUSY_UNIT_BYTES, key, unit));
		ck_assert(busy_verify(units + !unit * BUSY_UNIT_BYTES, key, !unit));
		units[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert(!busy_verify(units, key, 1) && !busy_verify(units, key + 1, 0) && !busy_verify(zeros, key, 0));
	for (unsigned i = 0; i < ARRAY_SIZE(marks); i++)
		busy_flip(units, key, marks[i]);
	ck_assert(bytes_are_zero(units, BUSY_UNIT_SEAL) && busy_verify(units, key, 0));
}
END_TEST

START_TEST(a_superblock_copy_in_the_place_of_the_other_is_refused)
{
	struct superblock sb;
	uint8_t sector[SECTOR_BYTES];

	sample(&sb);
	superblock_encode(&sb, 0, sector);
	ck_assert_int_eq(superblock_decode(sector, 1, &sb), PAGE_BROKEN);
}
END_TEST

/* Magic (the first 8 bytes) makes it foreign, anything else broken. */
START_TEST(every_flipped_bit_of_a_superblock_is_seen)
{
	struct superblock sb;
	uint8_t sector[SECTOR_BYTES];

	sample(&sb);
	superblock_encode(&sb, 0, sector);
	for (unsigned bit = 0; bit < SECTOR_BYTES * 8; bit++) {
		sector[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(superblock_decode(sector, 0, &sb), bit < 64 ? PAGE_FOREIGN : PAGE_BROKEN);
		sector[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_int_eq(superblock_decode(sector, 0, &sb), PAGE_OK);
}
END_TEST

START_TEST(a_mapping_page_reads_back_and_free_entries_are_zeros)
{
	uint8_t page[PAGE_BYTES];
	struct page_header h;
	struct mapping m;

	sample_mapping_page(page);
	ck_assert_int_eq(page_verify(page, PAGE_BYTES, PAGE_MAPPING, 81, &h), PAGE_OK);
	ck_assert_uint_eq(h.generation, 5);
	ck_assert_mem_eq(h.uuid, uuid, sizeof(uuid));
	m = mapping_get(page, 251);
	ck_assert_uint_eq(m.oblock, 0xa1a2a3a4a5a6);
	ck_assert_uint_eq(m.flags, MAPPING_FLAG_MAPPED);
	ck_assert_uint_eq(m.hint, 3);
	mapping_put(page, 251, &(struct mapping){ .oblock = 9, .flags = 0, .hint = 9 });
	ck_assert(bytes_are_zero(page + PAGE_BYTES - 16, 16));
	ck_assert_uint_eq(mapping_get(page, 2).flags, 0);
}
END_TEST

START_TEST(a_page_of_another_kind_or_place_is_refused)
{
	uint8_t page[PAGE_BYTES];

	sample_mapping_page(page);
	ck_assert_int_eq(page_verify(page, PAGE_BYTES, PAGE_MAPPING, 80, NULL), PAGE_BROKEN);
	ck_assert_int_eq(page_verify(page, PAGE_BYTES, PAGE_REGION_MARKS, 81, NULL), PAGE_BROKEN);
	ck_assert_int_eq(page_verify(page, PAGE_BYTES, PAGE_LABEL, 81, NULL), PAGE_FOREIGN);
	memset(page, 0, sizeof(page));
	ck_assert_int_eq(page_verify(page, PAGE_BYTES, PAGE_MAPPING, 81, NULL), PAGE_ZERO);
}
END_TEST

START_TEST(a_label_and_a_runtime_page_read_back)
{
	struct label in = { .session = 77, .block_size_bytes = BS, .nr_cblocks = 12 }, out;
	struct runtime rt_in = { 4711, 2 }, rt_out;
	uint8_t page[PAGE_BYTES];

	memcpy(in.uuid, uuid, sizeof(uuid));
	label_encode(&in, page);
	ck_assert_int_eq(label_decode(page, &out), PAGE_OK);
	ck_assert_mem_eq(&in, &out, sizeof(in));
	ck_assert(bytes_are_zero(page + SECTOR_BYTES, PAGE_BYTES - SECTOR_BYTES));
	page[100] ^= 1;
	ck_assert_int_eq(label_decode(page, &out), PAGE_BROKEN);
	runtime_encode(&rt_in, page);
	ck_assert_int_eq(runtime_decode(page, &rt_out), PAGE_OK);
	ck_assert_mem_eq(&rt_in, &rt_out, sizeof(rt_in));
}
END_TEST

START_TEST(a_region_mark_page_of_another_metadata_does_not_verify)
{
	uint8_t bits[PAGE_BYTES - 64] = { 1 }, page[PAGE_BYTES], other[16] = { 9 };

	region_marks_encode(uuid, 64, 3, bits, page);
	ck_assert_int_eq(region_marks_verify(page, uuid, 64), PAGE_OK);
	ck_assert_int_eq(region_marks_verify(page, other, 64), PAGE_BROKEN);
	ck_assert_int_eq(region_marks_verify(page, uuid, 65), PAGE_BROKEN);
	page[PAGE_BYTES - 1] ^= 0x80;
	ck_assert_int_eq(region_marks_verify(page, uuid, 64), PAGE_BROKEN);
}
END_TEST

static void assert_refused(const struct superblock *sb, uint64_t size, const char *word)
{
	struct cwt_error err = { "" };

	ck_assert_int_eq(superblock_check(sb, size, true, "FILE", &err), -EINVAL);
	ck_assert_msg(strstr(err.text, word) && !strncmp(err.text, "FILE: ", 6) && strchr(err.text, '('), "%s",
		      err.text);
}

#define REFUSED_IF(change, word) do { struct superblock sb = good; change; assert_refused(&sb, size, word); } while (0)

START_TEST(a_superblock_whose_values_make_no_sense_is_refused_with_a_line)
{
	struct superblock good;
	struct cwt_error err;
	uint64_t size;

	sample(&good);
	size = superblock_lay_out(&good);
	ck_assert_msg(!superblock_check(&good, size, true, "FILE", &err), "%s", err.text);
	REFUSED_IF(sb.version++, "format 3");
	REFUSED_IF(sb.version--, "format 1");
	REFUSED_IF(sb.incompat = 4, "0x4");
	REFUSED_IF(sb.ro_compat = 8, "0x8");
	REFUSED_IF(sb.block_size_bytes = 0, "sense");
	REFUSED_IF(sb.block_size_bytes = 5000, "sense");
	REFUSED_IF(sb.block_size_bytes = 4u << 20, "sense");
	REFUSED_IF(sb.nr_cblocks = 0, "sense");
	REFUSED_IF(sb.nr_cblocks = 3 * 252 + 1, "sense");
	REFUSED_IF(sb.nr_cblocks = UINT32_MAX, "sense");
	REFUSED_IF(sb.origin_size_bytes = 0, "sense");
	REFUSED_IF(sb.origin_size_bytes = UINT64_MAX, "sense");
	REFUSED_IF(sb.region_shift = 11, "sense");
	REFUSED_IF(sb.region_shift = 64, "sense");
	REFUSED_IF(sb.generation = 0, "sense");
	REFUSED_IF(sb.floor_generation = sb.generation + 2, "sense");
	REFUSED_IF(sb.nr_regions = 13, "sense");
	REFUSED_IF(sb.nr_regions = 4, "sense");
	REFUSED_IF(sb.regions[4].offset_bytes += 4096, "sense");
	REFUSED_IF(sb.regions[4].offset_bytes = 0, "sense");
	REFUSED_IF(sb.regions[4].offset_bytes = UINT64_MAX & ~65535ull, "sense");
	REFUSED_IF(sb.regions[4].len_bytes -= 4096, "sense");
	REFUSED_IF(sb.regions[4].len_bytes = UINT64_MAX & ~4095ull, "sense");
	REFUSED_IF(sb.regions[4].offset_bytes = sb.regions[3].offset_bytes, "sense");
	REFUSED_IF(sb.regions[0].offset_bytes += 100 * 65536, "sense");
	REFUSED_IF(sb.regions[4].offset_bytes += 65536, "sense");
	REFUSED_IF(sb.regions[2].len_bytes += 4096, "sense");
	REFUSED_IF(sb.regions[3].len_bytes += 65536, "sense");
	REFUSED_IF(sb.regions[4].flags = 0, "sense");
	REFUSED_IF(sb.regions[4].len_bytes += 4096, "sense");
	REFUSED_IF(sb.region_shift = 54, "sense");
	REFUSED_IF(sb.state |= 4, "sense");
	REFUSED_IF(sb.generation = GENERATION_MAX - 100, "sense");
	assert_refused(&good, good.regions[4].offset_bytes + good.regions[4].len_bytes - 1, "truncated");
	REFUSED_IF(sb.regions[5] = ((struct region){ 100 << 16, 4096, 99, REGION_REQUIRED }); sb.nr_regions++,
		   "kind 99");
}
END_TEST

START_TEST(what_only_a_reader_may_ignore_does_not_stop_a_reader)
{
	struct superblock sb;
	uint64_t size;

	sample(&sb);
	size = superblock_lay_out(&sb);
	sb.ro_compat = 8;
	sb.regions[5] = (struct region){ size, 4096, 99, 0 };
	sb.nr_regions++;
	ck_assert_int_eq(superblock_check(&sb, size + 4096, false, "FILE", NULL), 0);
}
END_TEST

START_TEST(regions_never_overlap_and_always_suffice_whatever_the_geometry)
{
	static const uint32_t cblocks[] = { 1, 252, 253, 32768, 32769, 16u << 20, BLOCK_MAX };
	static const uint64_t origins[] = { 1, 4096, 1ull << 30, (1ull << 30) + 1, 1ull << 44 };
	static const uint32_t sizes[] = { 8192, 65536, 2u << 20 };

	for (size_t i = 0; i < ARRAY_SIZE(cblocks) * ARRAY_SIZE(origins) * ARRAY_SIZE(sizes); i++) {
		struct superblock sb;
		struct cwt_error err;
		uint64_t size;

		sample(&sb);
		sb.nr_cblocks = cblocks[i % 7];
		sb.origin_size_bytes = origins[i / 7 % 5];
		sb.block_size_bytes = sizes[i / 35];
		sb.region_shift = region_shift_default(sb.block_size_bytes);
		size = superblock_lay_out(&sb);
		ck_assert_msg(!superblock_check(&sb, size, true, "FILE", &err), "%s", err.text);
		ck_assert_uint_eq(size, store_metadata_size(sb.nr_cblocks, sb.origin_size_bytes, sb.block_size_bytes));
	}
}
END_TEST

START_TEST(a_cache_holds_its_size_in_blocks_less_the_label)
{
	ck_assert_uint_eq(store_nr_cblocks(0, 65536), 0);
	ck_assert_uint_eq(store_nr_cblocks(65536, 65536), 0);
	ck_assert_uint_eq(store_nr_cblocks(2 * 65536 - 1, 65536), 0);
	ck_assert_uint_eq(store_nr_cblocks(2 * 65536, 65536), 1);
	ck_assert_uint_eq(store_nr_cblocks(10 * 65536 + 5, 65536), 9);
	ck_assert_uint_eq(store_nr_cblocks(UINT64_MAX, 4096), BLOCK_MAX);
	ck_assert_uint_eq(store_cache_offset(CBLOCK(0), 65536), 65536);
	ck_assert_uint_eq(store_cache_offset(CBLOCK(BLOCK_MAX), 2u << 20), (uint64_t)UINT32_MAX << 21);
}
END_TEST

/* Lines "OFFSET: 16 bytes"; lines of zeros are left out. */
static void hex_text(const uint8_t *bytes, size_t len, FILE *out)
{
	for (size_t at = 0; at < len; at += 16) {
		if (bytes_are_zero(bytes + at, 16))
			continue;
		fprintf(out, "%04zx:", at);
		for (size_t i = 0; i < 16; i++)
			fprintf(out, " %02x", bytes[at + i]);
		fputc('\n', out);
	}
}

/* CWT_WRITE_GOLDEN=1 writes the file: only ever for a new format version. */
static void compare_golden(const char *name, const char *text)
{
	const char *srcdir = getenv("srcdir");
	char path[1024], have[8192];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/golden/%s", srcdir ? srcdir : ".", name);
	if (getenv("CWT_WRITE_GOLDEN")) {
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		fputs(text, f);
		fclose(f);
	}
	f = fopen(path, "r");
	ck_assert_msg(f, "%s: %s", path, strerror(errno));
	len = fread(have, 1, sizeof(have) - 1, f);
	fclose(f);
	have[len] = 0;
	ck_assert_str_eq(have, text);
}

static void compare_golden_bytes(const char *name, const uint8_t *bytes, size_t len)
{
	char text[8192] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	hex_text(bytes, len, out);
	fclose(out);
	compare_golden(name, text);
}

START_TEST(no_byte_of_the_format_has_moved)
{
	uint8_t page[PAGE_BYTES], bits[PAGE_BYTES - 64] = { 0x81 };
	struct superblock sb;
	struct identity identity;
	struct label label = { .session = 0xa1a2a3a4a5a6a7a8, .block_size_bytes = BS, .nr_cblocks = NR_CBLOCKS };

	sample(&sb);
	superblock_encode(&sb, 1, page);
	compare_golden_bytes("superblock.hex", page, SECTOR_BYTES);
	sample_mapping_page(page);
	compare_golden_bytes("mapping-page.hex", page, PAGE_BYTES);
	memcpy(label.uuid, uuid, sizeof(uuid));
	label_encode(&label, page);
	compare_golden_bytes("label.hex", page, PAGE_BYTES);
	runtime_encode(&(struct runtime){ 4711, 1 }, page);
	compare_golden_bytes("runtime-page.hex", page, PAGE_BYTES);
	region_marks_encode(uuid, 64, 3, bits, page);
	compare_golden_bytes("region-marks-page.hex", page, PAGE_BYTES);
	sample_identity(&identity);
	identity_encode(&identity, uuid, 48, 7, page);
	compare_golden_bytes("identity-page.hex", page, PAGE_BYTES);
	busy_clear(page, busy_key(uuid), 0, BUSY_UNITS_PER_PAGE);
	busy_flip(page, busy_key(uuid), 4033);
	compare_golden_bytes("busy-marks-page.hex", page, PAGE_BYTES);
	lease_encode(&(struct lease){ .until_ns = 1700000000123456789, .clock_ns = 1690000000987654321,
				     .since = { { 1, 2 }, { 3, -4 } } }, uuid, page);
	compare_golden_bytes("lease.hex", page, SECTOR_BYTES);
}
END_TEST

static void read_golden_bytes(const char *name, uint8_t *bytes, size_t len)
{
	const char *srcdir = getenv("srcdir");
	char path[1024], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/golden/%s", srcdir ? srcdir : ".", name);
	f = fopen(path, "r");
	ck_assert_msg(f, "%s: %s", path, strerror(errno));
	memset(bytes, 0, len);
	while (fgets(line, sizeof(line), f)) {
		char *at;
		unsigned long offset = strtoul(line, &at, 16);

		for (at++; *at == ' ' && offset < len; offset++)
			bytes[offset] = (uint8_t)strtoul(at, &at, 16);
	}
	fclose(f);
}

/* Bytes that a program of version 1 wrote. */
START_TEST(a_metadata_of_version_1_is_refused_with_both_versions_and_a_remedy)
{
	struct memory_options o = { .size_bytes = 1 << 20 };
	struct store_geometry geo;
	struct cwt_error err;
	enum store_kind kind;
	struct device *dev;

	ck_assert_int_eq(memory_device_open("FILE", &o, &dev), 0);
	read_golden_bytes("superblock-v1.hex", memory_device_bytes(dev) + superblock_page(1) * PAGE_BYTES, SECTOR_BYTES);
	ck_assert_int_eq(store_read_geometry(dev, &geo, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "format 1") && strstr(err.text, "knows 2") && strstr(err.text, "--reset") &&
		      !strchr(err.text, '\n'), "%s", err.text);
	ck_assert_int_eq(store_probe_metadata(dev, &kind), 0);
	ck_assert_int_eq(kind, STORE_OURS);
	device_close(dev);
}
END_TEST

/* An image from the format's functions alone, so that its UUID and generations are known. */
static struct device *golden_image(void)
{
	struct memory_options o = { .size_bytes = store_metadata_size(NR_CBLOCKS, ORIGIN_BYTES, BS) };
	static const uint8_t clear[PAGE_BYTES - 64];
	uint8_t page[PAGE_BYTES], *bytes;
	struct identity identity;
	struct superblock sb;
	struct device *dev;
	uint64_t at;

	ck_assert_int_eq(memory_device_open("golden", &o, &dev), 0);
	bytes = memory_device_bytes(dev);
	sample(&sb);
	sb.generation = 9;
	sb.floor_generation = 2;
	at = mapping_slot_page(superblock_region(&sb, REGION_MAPPING), 0, 1);
	memset(page, 0, sizeof(page));
	for (unsigned i = 0; i < 3; i++)
		mapping_put(page, i * 100, &(struct mapping){ 1999 - i, MAPPING_FLAG_MAPPED, (uint8_t)i });
	page_seal(page, PAGE_BYTES,
		  &(struct page_header){
			  PAGE_MAPPING, at, 9, { 0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } });
	memcpy(bytes + at * PAGE_BYTES, page, PAGE_BYTES);
	sb.set_digest = page_checksum(page);
	at = identity_slot_page(superblock_region(&sb, REGION_IDENTITY), 1);
	sample_identity(&identity);
	strcpy(identity.cache_path, "/ssd/tab\there, back\\slash, \303\244, \302\233");
	identity_encode(&identity, uuid, at, 9, bytes + at * PAGE_BYTES);
	sb.identity_digest = identity_digest_of(bytes + at * PAGE_BYTES);
	at = superblock_region(&sb, REGION_REGION_MARKS)->offset_bytes;
	region_marks_encode(uuid, at / PAGE_BYTES, 0, clear, bytes + at);
	for (int i = 0; i < SUPERBLOCK_COPIES; i++)
		superblock_encode(&sb, i, bytes + superblock_page(i) * PAGE_BYTES);
	return dev;
}

START_TEST(the_text_form_has_not_changed)
{
	char text[8192] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct device *dev = golden_image();

	ck_assert_int_eq(metadata_dump(dev, out, NULL), 0);
	fclose(out);
	device_close(dev);
	compare_golden("metadata.dump", text);
}
END_TEST

RUN("metadata-format", 60, a_superblock_reads_back_every_field, an_identity_page_reads_back_every_field,
    an_identity_page_whose_values_cannot_be_says_nothing, a_lease_reads_back_and_every_flipped_bit_makes_it_unknown,
    busy_marks_verify_as_they_were_set_and_with_no_flipped_bit,
    a_metadata_of_version_1_is_refused_with_both_versions_and_a_remedy,
    a_superblock_copy_in_the_place_of_the_other_is_refused,
    every_flipped_bit_of_a_superblock_is_seen, a_mapping_page_reads_back_and_free_entries_are_zeros,
    a_page_of_another_kind_or_place_is_refused, a_label_and_a_runtime_page_read_back,
    a_region_mark_page_of_another_metadata_does_not_verify,
    a_superblock_whose_values_make_no_sense_is_refused_with_a_line,
    what_only_a_reader_may_ignore_does_not_stop_a_reader,
    regions_never_overlap_and_always_suffice_whatever_the_geometry, a_cache_holds_its_size_in_blocks_less_the_label,
    no_byte_of_the_format_has_moved, the_text_form_has_not_changed)
