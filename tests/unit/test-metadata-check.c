/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What check and dump say of sound, crashed and damaged metadata. */
#include "metadata-fixture.h"

#include <errno.h>
#include <stdio.h>

static struct trio t;
static struct model a;
static char text[1 << 16];

static void setup(void)
{
	trio_open(&t, false);
	model_fill(&a, 1);
	trio_prepare(&t, &a);
}

static struct check_result check(void)
{
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct check_result r;
	struct cwt_error err;

	ck_assert_msg(!metadata_check(t.dev.metadata, out, &r, &err), "%s", err.text);
	fclose(out);
	return r;
}

static uint8_t *page(uint64_t number) { return bytes_of(t.dev.metadata) + number * PAGE_BYTES; }

/* Mapping page 0 as the clean stop of the fixture left it: written once, to slot 0. */
static uint64_t first_mapping_page(void)
{
	struct superblock sb;

	ck_assert_int_eq(superblock_decode(page(0), 0, &sb), PAGE_OK);
	return mapping_slot_page(superblock_region(&sb, REGION_MAPPING), 0, 0);
}

static void forge_entry(unsigned i, struct mapping m)
{
	uint64_t number = first_mapping_page();
	struct page_header h;

	ck_assert_int_eq(page_verify(page(number), PAGE_BYTES, PAGE_MAPPING, number, &h), PAGE_OK);
	mapping_put(page(number), i, &m);
	page_seal(page(number), PAGE_BYTES, &h);
}

START_TEST(a_clean_stop_is_sound)
{
	struct check_result r;

	setup();
	r = check();
	ck_assert_msg(!r.nr_damage && !r.nr_notes && r.digest_matches, "%s", text);
	ck_assert(strstr(text, ", clean\n") && strstr(text, " of 746 blocks mapped, 0 notes, 0 damages: sound\n"));
	trio_close(&t);
}
END_TEST

START_TEST(an_unfinished_commit_is_noted_and_is_no_damage)
{
	enum store_start how;
	struct check_result r;
	struct store *s;

	setup();
	s = start(&t, &how);
	ck_assert_int_eq(commit_begin_pages(s, &a, 1, 0), 0);
	ck_assert_int_eq(store_commit_step(s), 1);
	ck_assert_int_eq(store_commit_step(s), 1);
	store_close(s);
	r = check();
	ck_assert_uint_eq(r.nr_damage, 0);
	ck_assert_msg(strstr(text, "note: superblock copy 0 has generation"), "%s", text);
	ck_assert(strstr(text, ", unclean\n") && strstr(text, ": sound\n"));
	trio_close(&t);
}
END_TEST

START_TEST(a_rotten_page_is_found_by_place_and_by_digest)
{
	struct check_result r;

	setup();
	page(first_mapping_page())[1234] ^= 1;
	r = check();
	ck_assert_uint_eq(r.nr_damage, 1);
	ck_assert_msg(strstr(text, "note: mapping page 0, slot 0 does not verify"), "%s", text);
	ck_assert_msg(strstr(text, "damage: the mapping pages give the set digest"), "%s", text);
	ck_assert(strstr(text, ": damaged\n"));
	trio_close(&t);
}
END_TEST

START_TEST(every_impossible_mapping_is_named)
{
	struct check_result r;

	setup();
	forge_entry(10, (struct mapping){ 2000, MAPPING_FLAG_MAPPED, 0 });
	forge_entry(11, (struct mapping){ 1999, MAPPING_FLAG_MAPPED, 0 });
	forge_entry(12, (struct mapping){ 1500, MAPPING_FLAG_MAPPED | 4, 0 });
	r = check();
	ck_assert_msg(strstr(text, "cblock 10: oblock 2000 is beyond the origin's 2000"), "%s", text);
	ck_assert_msg(strstr(text, "oblock 1999 is mapped twice"), "%s", text);
	ck_assert_msg(strstr(text, "cblock 12: flags 0x5 do not exist"), "%s", text);
	ck_assert_uint_eq(r.nr_damage, 4);
	trio_close(&t);
}
END_TEST

START_TEST(a_lost_superblock_copy_and_rotten_marks_are_damage)
{
	struct check_result r;

	setup();
	memset(page(16), 0, PAGE_BYTES);
	page(80)[100] ^= 1;
	r = check();
	ck_assert_msg(strstr(text, "damage: superblock copy 1 is zeros"), "%s", text);
	ck_assert_msg(strstr(text, "damage: page 80 of region marks does not verify: counts as all marked"), "%s",
		      text);
	ck_assert_uint_eq(r.nr_damage, 2);
	trio_close(&t);
}
END_TEST

START_TEST(what_cannot_be_judged_is_an_error_with_a_line)
{
	struct check_result r;
	struct cwt_error err;

	trio_open(&t, false);
	ck_assert_int_eq(metadata_check(t.dev.metadata, NULL, &r, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "blank"), "%s", err.text);
	ck_assert_int_eq(metadata_dump(t.dev.metadata, stderr, &err), -EINVAL);
	ck_assert_int_eq(metadata_check(t.dev.origin, NULL, &r, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "not a metadata"), "%s", err.text);
	trio_close(&t);
}
END_TEST

START_TEST(checking_and_dumping_write_nothing)
{
	struct faulty_counts before;

	setup();
	before = faulty_device_counts(t.dev.metadata);
	check();
	model_read(&a, &t);
	ck_assert_uint_eq(faulty_device_counts(t.dev.metadata).writes, before.writes);
	ck_assert_uint_eq(faulty_device_counts(t.dev.metadata).zeros, before.zeros);
	trio_close(&t);
}
END_TEST

START_TEST(the_text_form_holds_every_mapping_and_a_full_disk_is_an_error)
{
	struct cwt_error err;
	struct model m;
	FILE *full;

	setup();
	model_read(&m, &t);
	ck_assert(model_equals(&m, &a));
	full = fopen("/dev/full", "w");
	ck_assert_ptr_nonnull(full);
	ck_assert_int_lt(metadata_dump(t.dev.metadata, full, &err), 0);
	fclose(full);
	trio_close(&t);
}
END_TEST

RUN("metadata-check", 60, a_clean_stop_is_sound, an_unfinished_commit_is_noted_and_is_no_damage,
    a_rotten_page_is_found_by_place_and_by_digest, every_impossible_mapping_is_named,
    a_lost_superblock_copy_and_rotten_marks_are_damage, what_cannot_be_judged_is_an_error_with_a_line,
    checking_and_dumping_write_nothing, the_text_form_holds_every_mapping_and_a_full_disk_is_an_error)
