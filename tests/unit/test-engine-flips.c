/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Single bits that flip while nobody looks, and what a user then reads.  The real engine makes three small pairs of
 * cache and metadata: stopped in order, killed, and after a power cut.  In each there are traps, blocks whose cached copy
 * is older than the origin:
 *
 *	stopped	what the older slot of the mapping page still maps and was zeroed since
 *	killed	blocks that a busy mark covers: their origin leg ended and their cache leg did not, or they were zeroed and
 *		the removal is not committed
 *	power	blocks in marked regions: of what was written since the commit the origin has all, the cache nothing
 *
 * Each bit of each page of the metadata that is in use, and of the cache's label, is flipped alone.  The start may refuse,
 * with a line; else every mapping equals the origin, the whole image reads as the origin has it, and so it does after a stop
 * or a kill and one start more.
 *
 * CWT_FLIP_STRIDE=n	every n-th bit (default 211); make check-bit-flips: every one
 * CWT_FLIP_FIRST=n	from this one on (default 0).  A failure names its bit: with that and a large stride it is alone
 */
#include "engine-rig.h"
#include "metadata/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK 4096u
#define NR_BLOCKS 24u
#define NR_CBLOCKS 16u
#define IMAGE_BYTES (NR_BLOCKS * BLOCK)
#define CACHE_BYTES ((NR_CBLOCKS + 1) * BLOCK)
#define REGION_SHIFT 12u	/* one mark for each block: the default has one for all */

enum image { STOPPED, KILLED, POWER, NR_IMAGES };
static const char *const names[NR_IMAGES] = { "stopped", "killed", "power" };

static struct rig rig;
static enum image image;
static uint8_t *good_metadata, good_cache[CACHE_BYTES], good_tag[DEVICE_TAG_BYTES];
static struct device_identity good_origin;
static uint64_t good_boot;

/*
 * ------------------------------------------------------------------ the images
 */
/* Pages of the metadata that are in use; label: of the cache. */
static const struct stretch { uint64_t at, len; bool label; } stretches[] = {
	{ 0, SECTOR_BYTES, false },		/* superblocks */
	{ 65536, SECTOR_BYTES, false },
	{ 131072, PAGE_BYTES, false },		/* runtime */
	{ 196608, 2 * PAGE_BYTES, false },	/* identity, two slots */
	{ 262144, PAGE_BYTES + SECTOR_BYTES, false },	/* busy marks, lease */
	{ 327680, PAGE_BYTES, false },		/* region marks */
	{ 393216, 2 * PAGE_BYTES, false },	/* mappings, two slots */
	{ 0, SECTOR_BYTES, true },
};

static uint64_t metadata_bytes(void) { return device_info(rig.metadata_memory)->size_bytes; }

static void small_regions(void)
{
	uint8_t *bytes = memory_device_bytes(rig.metadata_memory);
	struct superblock sb;

	for (int copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
		uint8_t *sector = bytes + superblock_page(copy) * PAGE_BYTES;

		ck_assert_int_eq(superblock_decode(sector, copy, &sb), PAGE_OK);
		sb.region_shift = REGION_SHIFT;
		superblock_encode(&sb, copy, sector);
	}
}

static void commit(void) { ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0); }

/* Two commits, whose slots say different things of the same cblocks. */
static void both_slots(void)
{
	rig_warm(&rig, 0, NR_CBLOCKS);
	commit();
	rig_do(&rig, CWT_WRITE, 0, 4 * BLOCK, 0x31);
	rig_warm(&rig, NR_CBLOCKS, 4);		/* demotes as many */
	rig_do(&rig, CWT_WRITE, 5 * BLOCK, BLOCK, 0x32);
	commit();
}

/* Up to the moment at which the origin has the data and the cache has not. */
static void write_halfway(struct rig_request **q, uint32_t oblock, unsigned nr)
{
	*q = rig_begin(&rig, 0, CWT_WRITE, (uint64_t)oblock * BLOCK, (uint64_t)nr * BLOCK, 0x33);
	while (faulty_device_nr_pending(rig.dev.cache) < nr) {
		if (cwt_loop_turn(rig.loop[0]))
			continue;
		if (faulty_device_nr_pending(rig.dev.origin))
			faulty_device_step(rig.dev.origin, 0);
		else
			ck_assert(engine_step_job(rig.e));
	}
}

static void kill(void)
{
	rig_kill(&rig);
	memcpy(rig.expect, memory_device_bytes(rig.origin_memory), IMAGE_BYTES);
}

static void make_stopped(void)
{
	both_slots();
	rig_do(&rig, CWT_ZERO, 12 * BLOCK, 4 * BLOCK, 0);
	ck_assert_int_eq(rig_stop(&rig), 0);
	rig.boot++;
}

static void make_killed(void)
{
	struct rig_request *q;

	both_slots();
	rig_do(&rig, CWT_ZERO, 12 * BLOCK, 2 * BLOCK, 0);
	write_halfway(&q, 8, 3);
	kill();
	free(q->buf);
	free(q);
}

static void make_power(void)
{
	uint8_t *cache = memory_device_bytes(rig.cache_memory);
	uint8_t flushed[CACHE_BYTES];

	both_slots();
	memcpy(flushed, cache, CACHE_BYTES);
	rig_do(&rig, CWT_WRITE, 8 * BLOCK, 3 * BLOCK, 0x35);
	rig_do(&rig, CWT_WRITE, 14 * BLOCK, BLOCK, 0x36);
	kill();
	memcpy(cache, flushed, CACHE_BYTES);
	rig.boot++;
}

static void make(enum image which)
{
	struct rig_options o = { .nr_cblocks = NR_CBLOCKS, .origin_size = IMAGE_BYTES, .warm_after_power = which == POWER };

	image = which;
	rig_start(&rig, &o);
	if (image == POWER) {
		ck_assert_int_eq(rig_stop(&rig), 0);
		small_regions();
		ck_assert_int_eq(rig_open(&rig, false), 0);
	}
	(void (*const[])(void)){ make_stopped, make_killed, make_power }[image]();
	good_metadata = malloc(metadata_bytes());
	memcpy(good_metadata, memory_device_bytes(rig.metadata_memory), metadata_bytes());
	memcpy(good_cache, memory_device_bytes(rig.cache_memory), CACHE_BYTES);
	ck_assert_int_eq(device_tag(rig.origin_memory, NULL, good_tag), 0);
	ck_assert_int_eq(device_identity(rig.origin_memory, &good_origin), 0);
	good_boot = rig.boot;
}

/* No test writes the origin; but the tag moves its ctime. */
static void restore(void)
{
	memcpy(memory_device_bytes(rig.metadata_memory), good_metadata, metadata_bytes());
	memcpy(memory_device_bytes(rig.cache_memory), good_cache, CACHE_BYTES);
	(void)device_tag(rig.origin_memory, good_tag, NULL);
	memory_device_touch(rig.origin_memory, good_origin.mtime_ns, good_origin.ctime_ns);
	rig.boot = good_boot;
}

static void end(void)
{
	rig_end(&rig);
	free(good_metadata);
}

/*
 * ------------------------------------------------------------------ the user's side.  Asserts only what fails: Check writes
 * to a file for each that it passes.
 */
static void no_mapping_is_stale(const char *what)
{
	const uint8_t *cache = memory_device_bytes(rig.cache_memory);

	for (uint32_t o = 0; o < NR_BLOCKS; o++) {
		cblock_t c = map_lookup(&rig.e->map, OBLOCK(o));

		if (!cblock_is_none(c) && memcmp(rig.expect + o * BLOCK, cache + store_cache_offset(c, BLOCK), BLOCK))
			ck_abort_msg("%s: block %u is stale in cache block %u", what, o, c.v);
	}
	if (memcmp(rig.expect, memory_device_bytes(rig.origin_memory), IMAGE_BYTES))
		ck_abort_msg("%s: the origin changed", what);
}

static void read_all(const char *what)
{
	struct rig_request *q = rig_begin(&rig, 0, CWT_READ, 0, IMAGE_BYTES, 0);
	unsigned steps = 0;

	while (rig_step(&rig))
		if (++steps > 100000)
			ck_abort_msg("%s: never comes to rest", what);
	if (!q->done || q->r.result != IMAGE_BYTES)
		ck_abort_msg("%s: a read ended with %lld", what, q->done ? (long long)q->r.result : 0);
	if (memcmp(q->buf, rig.expect, IMAGE_BYTES))
		ck_abort_msg("%s: wrong bytes were read", what);
	rig_free(q);
}

static bool starts(const char *what, bool *warm)
{
	int ret = rig_open(&rig, false);

	if (ret) {
		if (ret != -EINVAL || !strchr(rig.err.text, '(') || strchr(rig.err.text, '\n'))
			ck_abort_msg("%s: %d %s", what, ret, rig.err.text);
		return false;
	}
	*warm = rig_status(&rig).nr_mapped;
	return true;
}

static void use(const char *what)
{
	no_mapping_is_stale(what);
	read_all(what);
	no_mapping_is_stale(what);
}

/* True: the start was warm. */
static bool one_life(const char *what, bool kill_it)
{
	bool warm, again;

	if (!starts(what, &warm))
		return false;
	use(what);
	if (kill_it)
		rig_kill(&rig);
	else if (rig_stop(&rig))
		ck_abort_msg("%s: no clean stop", what);
	if (!starts(what, &again))
		ck_abort_msg("%s: refused the second time: %s", what, rig.err.text);
	use(what);
	rig_kill(&rig);
	return warm;
}

/*
 * ------------------------------------------------------------------ tests
 */
static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* How many of what is mapped on disk is older than the origin: looked at with the marks taken for none. */
static unsigned nr_traps(void)
{
	const uint8_t *page, *cache = memory_device_bytes(rig.cache_memory);
	struct page_header h[2];
	unsigned nr = 0;

	for (unsigned slot = 0; slot < 2; slot++) {
		page = good_metadata + 393216 + slot * PAGE_BYTES;
		ck_assert_int_eq(page_verify(page, PAGE_BYTES, PAGE_MAPPING, 393216 / PAGE_BYTES + slot, &h[slot]), PAGE_OK);
	}
	/* Of a stop the older slot, else the one that counts. */
	page = good_metadata + 393216 + ((h[1].generation > h[0].generation) != (image == STOPPED)) * PAGE_BYTES;
	for (uint32_t c = 0; c < NR_CBLOCKS; c++) {
		struct mapping m = mapping_get(page, c);

		nr += m.flags && memcmp(rig.expect + m.oblock * BLOCK, cache + store_cache_offset(CBLOCK(c), BLOCK), BLOCK);
	}
	return nr;
}

START_TEST(the_images_untouched_are_warm_and_have_traps)
{
	static const char *const how[NR_IMAGES] = { "clean", "killed", "went down" };
	static const unsigned nr_traps_of[NR_IMAGES] = { 4, 5, 4 };

	for (enum image i = 0; i < NR_IMAGES; i++) {
		bool warm;

		make(i);
		ck_assert_uint_eq(nr_traps(), nr_traps_of[i]);
		ck_assert(starts(names[i], &warm) && warm);
		ck_assert_msg(strstr(cwt_start_reason(rig.e), how[i]), "%s", cwt_start_reason(rig.e));
		ck_assert_uint_eq(rig_status(&rig).nr_mapped, NR_CBLOCKS - 1 - nr_traps_of[i]);	/* one is kept free */
		rig_kill(&rig);
		restore();
		ck_assert(one_life(names[i], i & 1));
		end();
	}
}
END_TEST

#define NR_PARTS 64u	/* of an image: each is a process, with a time limit of its own */

static uint64_t nr_bits(void)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(stretches); i++)
		nr += stretches[i].len * 8;
	return nr;
}

static void flip(uint64_t bit)
{
	const struct stretch *s = stretches;

	for (; bit >= s->len * 8; s++)
		bit -= s->len * 8;
	memory_device_bytes(s->label ? rig.cache_memory : rig.metadata_memory)[s->at + bit / 8] ^= (uint8_t)(1u << bit % 8);
}

START_TEST(no_flipped_bit_shows_a_wrong_byte)
{
	uint64_t stride = number_from("CWT_FLIP_STRIDE", 211), first = number_from("CWT_FLIP_FIRST", 0);
	uint64_t nr = 0, nr_warm = 0;

	make((enum image)_i / NR_PARTS);
	for (uint64_t bit = first + _i % NR_PARTS * stride; bit < nr_bits(); bit += stride * NR_PARTS) {
		char what[80];

		snprintf(what, sizeof(what), "%s, CWT_FLIP_FIRST=%llu", names[image], (unsigned long long)bit);
		restore();
		flip(bit);
		nr_warm += one_life(what, (bit / stride ^ bit / stride / NR_PARTS) & 1);
		nr++;
	}
	/* Most bits take nothing with them: else this test has seen nothing. */
	if (nr > 50)
		ck_assert_msg(nr_warm > nr / 4, "%s: only %llu of %llu starts were warm", names[image],
			      (unsigned long long)nr_warm, (unsigned long long)nr);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-flips");
	TCase *tc = tcase_create("flips");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, the_images_untouched_are_warm_and_have_traps);
	tcase_add_loop_test(tc, no_flipped_bit_shows_a_wrong_byte, 0, NR_IMAGES * NR_PARTS);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
