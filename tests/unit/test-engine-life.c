/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restarts, reuse of cblocks, byte ranges, the front door: what is not a race and not a fault. */
#include "engine-rig.h"
#include "engine/zero.h"
#include "metadata/store_internal.h"

#include <errno.h>
#include <stdlib.h>

#define BLOCK 4096u

START_TEST(a_clean_stop_starts_warm)
{
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 1, 3);
	rig_do(&rig, CWT_WRITE, BLOCK, 2 * BLOCK, 0x21);
	ck_assert_int_eq(rig_stop(&rig), 0);
	rig.boot++;
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 3);
	rig_check(&rig);
	rig_do(&rig, CWT_READ, BLOCK, 3 * BLOCK, 0);
	ck_assert_uint_eq(rig_status(&rig).read_hits, 3);
	rig_end(&rig);
}
END_TEST

START_TEST(a_kill_shows_nothing_stale)
{
	struct rig rig;

	for (unsigned steps = 0; steps < 60; steps++) {
		struct rig_request *q;
		bool in_time = true;

		rig_start(&rig, NULL);
		rig_warm(&rig, 0, 4);
		rig.now_ms += 100000;
		q = rig_begin(&rig, 0, CWT_WRITE, 0, 3 * BLOCK, 0x22);
		for (unsigned i = 0; i < steps && in_time; i++)
			in_time = rig_step(&rig);
		rig_kill(&rig);
		free(q->buf);
		free(q);
		memcpy(rig.expect, memory_device_bytes(rig.origin_memory), rig.o.origin_size);
		rig.boot += steps & 1;
		ck_assert_int_eq(rig_open(&rig, false), 0);
		rig_check(&rig);
		rig_do(&rig, CWT_READ, 0, 8 * BLOCK, 0);
		rig_check(&rig);
		rig_end(&rig);
	}
}
END_TEST

/* A kill at every step of a write: at most the blocks that it was writing are lost, and nothing stale is read. */
START_TEST(a_kill_keeps_what_was_not_being_written)
{
	struct rig rig;

	for (unsigned power = 0; power < 2; power++)
	for (unsigned steps = 0; steps < 60; steps++) {
		struct rig_options o = { .nr_cblocks = 70, .origin_size = 64 * BLOCK, .warm_after_power = power };
		struct rig_request *q;
		bool in_time = true;

		rig_start(&rig, &o);
		rig_warm(&rig, 0, 32);
		ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
		q = rig_begin(&rig, 0, CWT_WRITE, 0, 2 * BLOCK, 0x22);
		for (unsigned i = 0; i < steps && in_time; i++)
			in_time = rig_step(&rig);
		rig_kill(&rig);
		free(q->buf);
		free(q);
		memcpy(rig.expect, memory_device_bytes(rig.origin_memory), rig.o.origin_size);
		ck_assert_int_eq(rig_open(&rig, false), 0);
		ck_assert_msg(strstr(cwt_start_reason(rig.e), "killed"), "%s", cwt_start_reason(rig.e));
		ck_assert_uint_ge(rig_status(&rig).nr_mapped, 30);
		rig_check(&rig);
		rig_end(&rig);
	}
}
END_TEST

START_TEST(an_uncommitted_promotion_is_forgotten_by_a_kill)
{
	struct rig_options o = { .nr_cblocks = 70, .origin_size = 64 * BLOCK };
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 10);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	rig_warm(&rig, 10, 10);
	rig_kill(&rig);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 10);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* Another boot id: without region marks all is dropped, with them only the regions written since the last commit are. */
START_TEST(after_a_power_cut_only_region_marks_keep_anything)
{
	for (unsigned power = 0; power < 2; power++) {
		struct rig_options o = { .nr_cblocks = 70, .origin_size = (64ull << 20) + 5, .block_size = 1 << 20,
			.warm_after_power = power };
		struct rig rig;

		rig_start(&rig, &o);
		rig_warm(&rig, 0, 64);
		ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
		ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 100, 100, 0x66), 100);
		rig_kill(&rig);
		rig.boot++;
		ck_assert_int_eq(rig_open(&rig, false), 0);
		if (power) {
			ck_assert_uint_ge(rig_status(&rig).nr_mapped, 32);
			ck_assert_uint_le(rig_status(&rig).nr_mapped, 63);
			ck_assert(!rig_mapped(&rig, 0));
			ck_assert(rig_mapped(&rig, 63));
		} else {
			ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
		}
		rig_check(&rig);
		rig_end(&rig);
	}
}
END_TEST

/* A commit clears the marks of regions without a write in flight: a cut after it costs nothing. */
START_TEST(a_commit_clears_region_marks)
{
	struct rig_options o = { .nr_cblocks = 70, .origin_size = 64 << 20, .block_size = 1 << 20, .warm_after_power = true };
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 64);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 100, 100, 0x67), 100);
	rig.now_ms += 10000;	/* the interval: marks alone make a commit due */
	rig_settle(&rig);
	ck_assert_uint_eq(rig.e->regions.nr_marked, 0);
	rig_kill(&rig);
	rig.boot++;
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 64);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* W3: before the origin leg of a write to a mapped block is issued, its region's mark is durable. */
START_TEST(the_region_mark_is_durable_before_the_origin_leg)
{
	struct rig_options o = { .warm_after_power = true };
	struct rig_request *q;
	struct rig rig;
	uint64_t flushes;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 2);
	flushes = faulty_device_counts(rig.dev.metadata).flushes;
	q = rig_begin(&rig, 0, CWT_WRITE, 0, 10, 0x68);
	while (!faulty_device_nr_pending(rig.dev.origin))
		ck_assert(rig_step(&rig));
	ck_assert_uint_gt(faulty_device_counts(rig.dev.metadata).flushes, flushes);
	rig_settle(&rig);
	rig_free(q);
	rig_expect(&rig, 0, 10, 0x68);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* R2: another pair had the origin meanwhile. */
START_TEST(an_origin_that_another_had_meanwhile_starts_cold)
{
	static const uint8_t others[DEVICE_TAG_BYTES] = { 1, 2, 3 };
	struct rig rig;

	for (unsigned kill = 0; kill < 2; kill++) {
		rig_start(&rig, NULL);
		rig_warm(&rig, 0, 4);
		cwt_message(rig.e, "commit", NULL);
		if (kill)
			rig_kill(&rig);
		else
			ck_assert_int_eq(rig_stop(&rig), 0);
		ck_assert_int_eq(device_tag(rig.origin_memory, others, NULL), 0);
		ck_assert_int_eq(rig_open(&rig, false), 0);
		ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
		rig_end(&rig);
	}
}
END_TEST

START_TEST(reset_starts_cold)
{
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 4);
	ck_assert_int_eq(rig_stop(&rig), 0);
	ck_assert_int_eq(rig_open(&rig, true), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 0);
	rig_end(&rig);
}
END_TEST

START_TEST(an_origin_of_another_size_is_refused)
{
	struct memory_options o = { .size_bytes = 9 * BLOCK, .seed = 3 };
	struct rig rig;

	rig_start(&rig, NULL);
	ck_assert_int_eq(rig_stop(&rig), 0);
	device_close(rig.origin_memory);
	ck_assert_int_eq(memory_device_open("origin", &o, &rig.origin_memory), 0);
	ck_assert_int_eq(rig_open(&rig, false), -EINVAL);
	ck_assert(strstr(rig.err.text, "origin"));
	rig_end(&rig);
}
END_TEST

/* Let a read end by turns and transfers alone: no job is run, so no commit. */
static void read_without_jobs(struct rig *rig, uint32_t oblock)
{
	struct rig_request *q = rig_begin(rig, 0, CWT_READ, (uint64_t)oblock * BLOCK, 10, 0);

	for (int i = 0; i < 200; i++) {
		cwt_loop_turn(rig->loop[0]);
		if (faulty_device_nr_pending(rig->dev.origin))
			faulty_device_step(rig->dev.origin, 0);
		if (faulty_device_nr_pending(rig->dev.cache))
			faulty_device_step(rig->dev.cache, 0);
	}
	rig_free(q);
}

/* I7: a demoted block's cblock is not given away before the commit that says so. */
/* Writes to neighbouring blocks would undo each other in a unit that they share. */
START_TEST(a_store_whose_unit_is_larger_than_a_block_is_refused)
{
	for (unsigned cache = 0; cache < 2; cache++) {
		struct device **memory;
		struct rig rig;

		rig_start(&rig, &(struct rig_options){ .block_size = 2 * BLOCK });
		rig_warm(&rig, 0, 2);
		ck_assert_int_eq(rig_stop(&rig), 0);
		memory = cache ? &rig.cache_memory : &rig.origin_memory;
		(*memory)->info.align_bytes = 4 * BLOCK;
		ck_assert_int_eq(rig_open(&rig, false), -EINVAL);
		ck_assert_ptr_nonnull(strstr(rig.err.text, cache ? "cache: " : "origin: "));
		ck_assert_ptr_nonnull(strstr(rig.err.text, "16384"));
		ck_assert_ptr_nonnull(strstr(rig.err.text, "8192"));
		ck_assert_ptr_nonnull(strstr(rig.err.text, "--block-size 16K"));
		(*memory)->info.align_bytes = 2 * BLOCK;
		ck_assert_int_eq(rig_open(&rig, false), 0);
		ck_assert_uint_eq(rig_status(&rig).nr_mapped, 2);	/* the refusal cost nothing */
		rig_end(&rig);
	}
}
END_TEST

START_TEST(a_cblock_is_reused_only_after_the_commit)
{
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 3);
	ck_assert_uint_eq(rig_status(&rig).demotions, 0);
	read_without_jobs(&rig, 5);		/* takes the last one, and another block is demoted */
	ck_assert(rig_mapped(&rig, 5));
	ck_assert_uint_eq(rig_status(&rig).demotions, 1);
	ck_assert_uint_eq(rig_status(&rig).nr_free, 0);
	read_without_jobs(&rig, 6);
	ck_assert(!rig_mapped(&rig, 6));
	rig_settle(&rig);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 3);
	ck_assert_uint_eq(rig_status(&rig).nr_free, 1);
	rig_warm(&rig, 6, 1);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* F3: nor while a request that decided on it is in flight. */
START_TEST(a_cblock_is_reused_only_when_its_last_request_has_left)
{
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 1);
	q = rig_begin(&rig, 0, CWT_READ, 0, BLOCK, 0);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 1);
	ck_assert_int_eq(cwt_message(rig.e, "invalidate 0 1", NULL), 0);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_free, 3);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_status(&rig).nr_free, 4);
	ck_assert(!memcmp(q->buf, rig.expect, BLOCK));
	rig_free(q);
	rig_end(&rig);
}
END_TEST

/* W2 and B1, seen from the metadata: before the origin leg of a hit is issued, its mark is in the file. */
START_TEST(the_mark_is_visible_before_the_origin_leg)
{
	struct rig_request *q;
	struct rig rig;
	uint8_t *metadata, *before;
	size_t size;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 2);
	rig.now_ms += 1000000;
	rig_settle(&rig);
	size = STORE_MARK_PAGE_BYTES;	/* the page of the marks; the lease is in another */
	metadata = memory_device_bytes(rig.metadata_memory) + rig.e->store->busy_offset_bytes;
	before = malloc(size);
	memcpy(before, metadata, size);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, 10, 0x23);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.origin), 1);
	ck_assert(memcmp(before, metadata, size));
	rig_settle(&rig);
	marks_write_stale(rig.e);
	ck_assert(!memcmp(before, metadata, size));	/* and cleared again, late */
	free(before);
	rig_free(q);
	rig_end(&rig);
}
END_TEST

START_TEST(any_byte_range_works)
{
	static const uint64_t sizes[] = { 1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7, 10007 };
	struct random r = { 42 };

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct rig_options o = { .origin_size = sizes[i], .align = i & 1 ? 512 : 1 };
		uint64_t size = sizes[i];
		struct rig rig;

		rig_start(&rig, &o);
		for (unsigned n = 0; n < 60; n++) {
			uint64_t offset = random_below(&r, size + 2), len = random_below(&r, size + 10);
			int64_t fits = offset >= size ? 0 : (int64_t)(len < size - offset ? len : size - offset);

			ck_assert_int_eq(rig_do(&rig, CWT_READ, offset, len, 0), fits);
			ck_assert_int_eq(rig_do(&rig, CWT_WRITE, offset, len, (uint8_t)n), offset >= size && len ? -EFBIG : fits);
			if (n % 5 == 0)
				ck_assert_int_eq(rig_do(&rig, n & 1 ? CWT_PUNCH : CWT_ZERO, offset, len, 0), fits);
			rig_check(&rig);
		}
		ck_assert_int_eq(rig_stop(&rig), 0);
		ck_assert_int_eq(rig_open(&rig, false), 0);
		rig_check(&rig);
		rig_end(&rig);
	}
}
END_TEST

START_TEST(offsets_near_the_end_of_the_number_range_are_harmless)
{
	struct rig rig;

	rig_start(&rig, NULL);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, UINT64_MAX - 1, 100, 0), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, UINT64_MAX - 1, 100, 1), -EFBIG);
	ck_assert_int_eq(rig_do(&rig, CWT_PUNCH, 4, UINT64_MAX, 0), 8 * BLOCK - 4);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* I14: the prefix that succeeded, an errno only when that is empty. */
START_TEST(a_request_over_several_blocks_answers_the_prefix_that_succeeded)
{
	struct faulty_rule rule = { .kinds = FAULTY_WRITE, .error = -EIO, .offset_bytes = 2 * BLOCK, .len_bytes = BLOCK };
	struct rig rig;

	rig_start(&rig, NULL);
	faulty_device_add_rule(rig.dev.origin, &rule);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 100, 5 * BLOCK, 0x24), 2 * BLOCK - 100);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 2 * BLOCK + 5, 2 * BLOCK, 0x25), -EIO);
	rule.offset_bytes = 4 * BLOCK;		/* of two failures the first one counts */
	faulty_device_add_rule(rig.dev.origin, &rule);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 100, 6 * BLOCK, 0x26), 2 * BLOCK - 100);
	rig_end(&rig);
}
END_TEST

START_TEST(a_read_only_origin_is_never_written)
{
	struct rig_options o = { .read_only = true };
	struct rig rig;

	rig_start(&rig, &o);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, 10, 1), -EROFS);
	ck_assert_int_eq(rig_do(&rig, CWT_PUNCH, 0, 10, 1), -EROFS);
	ck_assert_int_eq(rig_do(&rig, CWT_FLUSH, 0, 0, 0), 0);
	rig_warm(&rig, 0, 2);
	rig_check(&rig);
	ck_assert_int_eq(rig_stop(&rig), 0);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 2);
	rig_end(&rig);
}
END_TEST

START_TEST(passthrough_keeps_nothing_stale)
{
	struct rig_options o = { 0 };
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 3);
	ck_assert_int_eq(rig_stop(&rig), 0);
	rig.o.mode = CWT_PASSTHROUGH;
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, BLOCK, 0), BLOCK);
	ck_assert_uint_eq(rig_status(&rig).read_hits, 0);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, BLOCK, 10, 0x26), 10);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 2);
	rig_check(&rig);
	ck_assert_int_eq(rig_stop(&rig), 0);
	rig.o.mode = CWT_WRITETHROUGH;
	ck_assert_int_eq(rig_open(&rig, false), 0);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* More than the pool of block requests at once: the front door waits, and everything is answered (I13). */
/* More oblocks than cblocks, and fewer: each walks something else. */
START_TEST(invalidating_a_range_removes_what_lies_in_it_and_voids_its_fills)
{
	struct rig_options o = { .origin_size = 64 * BLOCK, .nr_cblocks = 8 };
	static const char *const messages[] = { "invalidate 8192 18446744073709551615", "invalidate 8192 12288" };
	struct rig_request *fill;
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 4);
	fill = rig_begin(&rig, 0, CWT_READ, 4 * BLOCK, BLOCK, 0);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_int_eq(cwt_message(rig.e, messages[_i], NULL), 0);
	for (uint32_t n = 0; n < 4; n++)
		ck_assert_int_eq(rig_mapped(&rig, n), n < 2);
	rig_settle(&rig);
	ck_assert(!rig_mapped(&rig, 4));
	ck_assert_uint_eq(rig_status(&rig).invalidations, 2);
	rig_free(fill);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

START_TEST(more_requests_than_the_pool_has_are_all_answered)
{
	struct rig_options o = { .origin_size = 600 * BLOCK, .nr_cblocks = 64 };
	struct rig_request *q[40];
	struct rig rig;

	rig_start(&rig, &o);
	for (unsigned i = 0; i < 40; i++) {
		enum cwt_op op = i % 5 == 4 ? CWT_PUNCH : i & 1 ? CWT_WRITE : CWT_READ;

		q[i] = rig_begin(&rig, i % RIG_LOOPS, op, (i % 7) * 1000, 256 * BLOCK, 0);
	}
	rig_settle(&rig);
	rig_expect(&rig, 0, 6000 + 256 * BLOCK, 0);
	memcpy(rig.expect, memory_device_bytes(rig.origin_memory), rig.o.origin_size);
	for (unsigned i = 0; i < 40; i++) {
		ck_assert_int_eq(q[i]->r.result, 256 * BLOCK);
		rig_free(q[i]);
	}
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

START_TEST(a_fill_reads_the_origin_once_for_all_who_wait)
{
	struct rig_request *q[8];
	struct rig rig;

	rig_start(&rig, NULL);
	for (unsigned i = 0; i < 8; i++)
		q[i] = rig_begin(&rig, i % RIG_LOOPS, CWT_READ, i * 512, 512, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(faulty_device_counts(rig.dev.origin).reads, 1);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(q[i]->r.result, 512);
		ck_assert(!memcmp(q[i]->buf, rig.expect + i * 512, 512));
		rig_free(q[i]);
	}
	ck_assert(rig_mapped(&rig, 0));
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* There is no partial success of fallocate(2), so its user needs the reason beside the prefix. */
START_TEST(a_zero_range_that_fails_in_its_midst_says_why)
{
	static const struct rig_options o = { .origin_size = 300ull * BLOCK };
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, &o);
	rig_fail(rig.dev.origin, FAULTY_ZERO, 1, 1, -ENOSPC);
	q = rig_begin(&rig, 0, CWT_ZERO, 0, 300 * BLOCK, 0);
	rig_settle(&rig);
	ck_assert_int_eq(q->r.result, ZERO_CHUNK_BLOCKS * BLOCK);
	ck_assert_int_eq(q->r.error, -ENOSPC);
	rig_expect(&rig, 0, ZERO_CHUNK_BLOCKS * BLOCK, 0);
	rig_free(q);
	q = rig_begin(&rig, 0, CWT_ZERO, 0, 300 * BLOCK, 0);
	rig_settle(&rig);
	ck_assert_int_eq(q->r.result, 300 * BLOCK);
	ck_assert_int_eq(q->r.error, 0);
	rig_expect(&rig, 0, 300 * BLOCK, 0);
	rig_free(q);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* By message nothing is wrong with the cache: what is not written stays, what is written goes. */
START_TEST(bypass_by_message_keeps_what_is_not_written)
{
	uint64_t hits, cache_reads;
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 3);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	ck_assert_int_eq(cwt_message(rig.e, "bypass on", NULL), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 3);
	hits = rig_status(&rig).read_hits;
	cache_reads = faulty_device_counts(rig.dev.cache).reads;
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, 8 * BLOCK, 0), 8 * BLOCK);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 100, 10, 0x61), 10);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 5 * BLOCK, BLOCK, 0x62), BLOCK);
	ck_assert_uint_eq(rig_status(&rig).read_hits, hits);
	ck_assert_uint_eq(rig_status(&rig).write_hits, 0);
	ck_assert_uint_eq(rig_status(&rig).bypassed, 10);
	ck_assert_uint_eq(faulty_device_counts(rig.dev.cache).reads, cache_reads);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 2);
	ck_assert(!rig_mapped(&rig, 0));
	rig_check(&rig);
	rig_kill(&rig);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 2);
	ck_assert_int_eq(cwt_message(rig.e, "bypass on", NULL), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_ZERO, BLOCK, BLOCK, 0), BLOCK);
	ck_assert_int_eq(cwt_message(rig.e, "bypass off", NULL), 0);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 2 * BLOCK, BLOCK, 0), BLOCK);
	ck_assert_uint_eq(rig_status(&rig).read_hits, 1);
	ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, 8 * BLOCK, 0), 8 * BLOCK);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* Somebody has written to the origin, and the user says so: a kill right after the answer must not bring the old data back. */
START_TEST(a_kill_does_not_undo_a_message_that_was_answered)
{
	static const struct { const char *text; uint32_t nr_left; } messages[] = { { "invalidate 0 1", 2 }, { "drop", 0 } };

	for (unsigned i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct rig rig;

		rig_start(&rig, NULL);
		rig_warm(&rig, 0, 3);
		ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
		memory_device_bytes(rig.origin_memory)[17] ^= 0xff;
		rig.expect[17] ^= 0xff;
		ck_assert_int_eq(cwt_message(rig.e, messages[i].text, NULL), 0);
		rig_kill(&rig);
		ck_assert_int_eq(rig_open(&rig, false), 0);
		ck_assert_uint_eq(rig_status(&rig).nr_mapped, messages[i].nr_left);
		ck_assert_int_eq(rig_do(&rig, CWT_READ, 0, 3 * BLOCK, 0), 3 * BLOCK);
		rig_check(&rig);
		rig_end(&rig);
	}
}
END_TEST

/* One pass over a block is one miss, in however many reads, forwards or backwards: a scan is no wish to keep it. */
START_TEST(a_scan_in_small_reads_leaves_the_warm_blocks)
{
	static const struct rig_options o = { .origin_size = 1400ull * BLOCK, .nr_cblocks = 256, .policy = "clock" };

	for (unsigned backwards = 0; backwards < 2; backwards++) {
		uint32_t nr_warm = 0;
		struct rig rig;

		rig_start(&rig, &o);
		rig_warm(&rig, 0, 200);
		for (uint32_t at = 200; at < 1400; at++)
			for (uint32_t part = 0; part < 4; part++)
				rig_do(&rig, CWT_READ, at * BLOCK + (backwards ? 3 - part : part) * BLOCK / 4, BLOCK / 4, 0);
		for (uint32_t at = 0; at < 200; at++)
			nr_warm += rig_mapped(&rig, at);
		ck_assert_uint_ge(nr_warm, 190);	/* the ghost's fingerprints have twins */
		ck_assert_uint_le(rig_status(&rig).promotions, 266);
		rig_check(&rig);
		rig_end(&rig);
	}
}
END_TEST

/* But to come back is: each block is wanted twice, by two passes. */
START_TEST(a_second_pass_in_small_reads_is_a_second_miss)
{
	static const struct rig_options o = { .origin_size = 400ull * BLOCK, .nr_cblocks = 256, .policy = "clock" };
	uint64_t before;
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 240);
	rig_do(&rig, CWT_READ, 240 * BLOCK, 80 * BLOCK, 0);	/* no cblock is free after that */
	before = rig_status(&rig).promotions;
	for (uint32_t pass = 0; pass < 2; pass++)
		for (uint32_t at = 320; at < 330; at++)
			for (uint32_t part = 0; part < 4; part++)
				rig_do(&rig, CWT_READ, at * BLOCK + part * BLOCK / 4, BLOCK / 4, 0);
	for (uint32_t at = 320; at < 330; at++)
		ck_assert(rig_mapped(&rig, at));
	ck_assert_uint_eq(rig_status(&rig).promotions, before + 10);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

START_TEST(wrong_messages_are_refused_with_a_line)
{
	static const char *const wrong[] = { "", "nonsense", "bypass", "bypass maybe", "invalidate", "invalidate 1", "invalidate x 1",
		"drop everything", "origin-okay" };
	struct cwt_error err;
	struct rig rig;

	rig_start(&rig, NULL);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		err.text[0] = '\0';
		ck_assert_int_eq(cwt_message(rig.e, wrong[i], &err), -EINVAL);
		ck_assert(err.text[0]);
	}
	rig_warm(&rig, 0, 4);
	ck_assert_int_eq(cwt_message(rig.e, "invalidate 4095 2\n", &err), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 2);
	ck_assert_int_eq(cwt_message(rig.e, "bypass on", &err), 0);
	rig_do(&rig, CWT_READ, 0, BLOCK, 0);
	ck_assert_uint_eq(rig_status(&rig).nr_mapped, 2);
	ck_assert_int_eq(cwt_message(rig.e, "bypass off", &err), 0);
	rig_warm(&rig, 0, 1);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-life");
	TCase *tc = tcase_create("life");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_clean_stop_starts_warm);
	tcase_add_test(tc, a_kill_shows_nothing_stale);
	tcase_add_test(tc, a_kill_keeps_what_was_not_being_written);
	tcase_add_test(tc, an_uncommitted_promotion_is_forgotten_by_a_kill);
	tcase_add_test(tc, after_a_power_cut_only_region_marks_keep_anything);
	tcase_add_test(tc, a_commit_clears_region_marks);
	tcase_add_test(tc, the_region_mark_is_durable_before_the_origin_leg);
	tcase_add_test(tc, an_origin_that_another_had_meanwhile_starts_cold);
	tcase_add_test(tc, reset_starts_cold);
	tcase_add_test(tc, an_origin_of_another_size_is_refused);
	tcase_add_test(tc, a_store_whose_unit_is_larger_than_a_block_is_refused);
	tcase_add_test(tc, a_cblock_is_reused_only_after_the_commit);
	tcase_add_test(tc, a_cblock_is_reused_only_when_its_last_request_has_left);
	tcase_add_test(tc, the_mark_is_visible_before_the_origin_leg);
	tcase_add_test(tc, any_byte_range_works);
	tcase_add_test(tc, offsets_near_the_end_of_the_number_range_are_harmless);
	tcase_add_test(tc, a_request_over_several_blocks_answers_the_prefix_that_succeeded);
	tcase_add_test(tc, a_read_only_origin_is_never_written);
	tcase_add_test(tc, passthrough_keeps_nothing_stale);
	tcase_add_loop_test(tc, invalidating_a_range_removes_what_lies_in_it_and_voids_its_fills, 0, 2);
	tcase_add_test(tc, more_requests_than_the_pool_has_are_all_answered);
	tcase_add_test(tc, a_fill_reads_the_origin_once_for_all_who_wait);
	tcase_add_test(tc, a_zero_range_that_fails_in_its_midst_says_why);
	tcase_add_test(tc, bypass_by_message_keeps_what_is_not_written);
	tcase_add_test(tc, a_kill_does_not_undo_a_message_that_was_answered);
	tcase_add_test(tc, a_scan_in_small_reads_leaves_the_warm_blocks);
	tcase_add_test(tc, a_second_pass_in_small_reads_is_a_second_miss);
	tcase_add_test(tc, wrong_messages_are_refused_with_a_line);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
