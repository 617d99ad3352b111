/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must come before what: orders that show only while a call of a store takes long, or at a second crash.  A call is
 * made long by a HOLD rule, in a thread of its own; everything else is stepped.
 */
#include "engine-rig.h"
#include "metadata/store_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define BLOCK 4096u

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static void hold(struct device *dev, unsigned kind, uint64_t offset, uint64_t len)
{
	struct faulty_rule rule = { .kinds = kind, .effect = FAULTY_HOLD, .offset_bytes = offset, .len_bytes = len };

	ck_assert_int_eq(faulty_device_add_rule(dev, &rule), 0);
}

/* Returns when the thread is in the call: the count goes up as it enters. */
static void begin(pthread_t *thread, void *(*fn)(void *), struct rig *rig, struct device *dev, unsigned kind)
{
	struct faulty_counts before = faulty_device_counts(dev), now;

	ck_assert_int_eq(pthread_create(thread, NULL, fn, rig), 0);
	for (unsigned ms = 0; ms < 10000; ms++) {
		sleep_ms(1);
		now = faulty_device_counts(dev);
		if (kind == FAULTY_FLUSH ? now.flushes > before.flushes : now.writes > before.writes)
			return;
	}
	ck_abort_msg("the call never came");
}

static void *turn(void *arg)
{
	cwt_loop_turn(((struct rig *)arg)->loop[0]);
	return NULL;
}

static void *run_job(void *arg)
{
	ck_assert(engine_step_job(((struct rig *)arg)->e));
	return NULL;
}

static void *commit(void *arg)
{
	ck_assert_int_eq(cwt_message(((struct rig *)arg)->e, "commit", NULL), 0);
	return NULL;
}

/* Let q end by turns and transfers alone: no job, no step of a commit. */
static void end_without_jobs(struct rig *rig, struct rig_request *q)
{
	for (unsigned i = 0; !q->done; i++) {
		ck_assert_uint_lt(i, 1000);
		cwt_loop_turn(rig->loop[0]);
		if (faulty_device_nr_pending(rig->dev.origin))
			faulty_device_step(rig->dev.origin, 0);
		if (faulty_device_nr_pending(rig->dev.cache))
			faulty_device_step(rig->dev.cache, 0);
	}
	rig_free(q);
}

/* W2, B2. */
START_TEST(no_origin_leg_is_issued_while_its_mark_is_being_written)
{
	struct rig_request *q;
	pthread_t thread;
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 2);
	marks_write_stale(rig.e);
	hold(rig.dev.metadata, FAULTY_WRITE, rig.e->store->busy_offset_bytes, STORE_MARK_PAGE_BYTES);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x31);
	begin(&thread, turn, &rig, rig.dev.metadata, FAULTY_WRITE);
	sleep_ms(10);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.origin), 0);
	faulty_device_release(rig.dev.metadata);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.origin), 1);
	rig_settle(&rig);
	rig_expect(&rig, 0, BLOCK, 0x31);
	rig_free(q);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* I11: a flush covers what was acknowledged before it was issued, so what comes later needs another one. */
START_TEST(an_fsync_that_comes_during_a_flush_is_not_answered_by_it)
{
	struct rig_request *first, *second;
	pthread_t thread;
	struct rig rig;

	rig_start(&rig, NULL);
	hold(rig.dev.origin, FAULTY_FLUSH, 0, 0);
	first = rig_begin(&rig, 0, CWT_FLUSH, 0, 0, 0);
	begin(&thread, run_job, &rig, rig.dev.origin, FAULTY_FLUSH);
	second = rig_begin(&rig, 1, CWT_FLUSH, 0, 0, 0);
	faulty_device_release(rig.dev.origin);
	pthread_join(thread, NULL);
	while (!first->done)
		cwt_loop_turn(rig.loop[0]);
	cwt_loop_turn(rig.loop[1]);
	ck_assert(!second->done);
	rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	rig_settle(&rig);
	ck_assert_int_eq(first->r.result, 0);
	ck_assert_int_eq(second->r.result, -EIO);
	rig_free(first);
	rig_free(second);
	cwt_message(rig.e, "origin-ok", NULL);
	rig_end(&rig);
}
END_TEST

/* I11: the flush that is under way was issued before the write had ended on the origin, and says nothing of it. */
START_TEST(a_synchronous_write_that_ends_during_a_flush_is_not_answered_by_it)
{
	struct rig_request *flush, *write;
	pthread_t thread;
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 1);
	rig.sync = true;
	write = rig_begin(&rig, 1, CWT_WRITE, 0, BLOCK, 0x32);
	cwt_loop_turn(rig.loop[1]);
	hold(rig.dev.origin, FAULTY_FLUSH, 0, 0);
	flush = rig_begin(&rig, 0, CWT_FLUSH, 0, 0, 0);
	begin(&thread, run_job, &rig, rig.dev.origin, FAULTY_FLUSH);
	faulty_device_step(rig.dev.origin, 0);
	while (cwt_loop_turn(rig.loop[1]))
		if (faulty_device_nr_pending(rig.dev.cache))
			faulty_device_step(rig.dev.cache, 0);
	ck_assert_uint_eq(rig.e->nr_in_cells, 0);
	faulty_device_release(rig.dev.origin);
	pthread_join(thread, NULL);
	while (!flush->done)
		cwt_loop_turn(rig.loop[0]);
	cwt_loop_turn(rig.loop[1]);
	ck_assert(!write->done);
	rig_fail(rig.dev.origin, FAULTY_FLUSH, 0, 1, -EIO);
	rig_settle(&rig);
	ck_assert_int_eq(flush->r.result, 0);
	ck_assert_int_eq(write->r.result, -EIO);
	rig_free(flush);
	rig_free(write);
	cwt_message(rig.e, "origin-ok", NULL);
	rig_end(&rig);
}
END_TEST

/*
 * E1: the kernel tells of a failed write-back once for each open file.  Of two flushes side by side, fsync's and a commit's,
 * only one would hear of it, and the other would call lost bytes durable.
 */
START_TEST(a_commit_waits_with_its_flush_of_the_origin_for_that_of_an_fsync)
{
	struct rig_options o = { .warm_after_power = true };
	pthread_t fsync_thread, commit_thread;
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 2);
	hold(rig.dev.origin, FAULTY_FLUSH, 0, 0);
	q = rig_begin(&rig, 0, CWT_FLUSH, 0, 0, 0);
	begin(&fsync_thread, run_job, &rig, rig.dev.origin, FAULTY_FLUSH);
	begin(&commit_thread, commit, &rig, rig.dev.cache, FAULTY_FLUSH);
	sleep_ms(20);
	ck_assert_uint_eq(faulty_device_counts(rig.dev.origin).flushes, 1);
	faulty_device_release(rig.dev.origin);
	pthread_join(fsync_thread, NULL);
	pthread_join(commit_thread, NULL);
	ck_assert_uint_eq(faulty_device_counts(rig.dev.origin).flushes, 2);
	rig_settle(&rig);
	rig_free(q);
	rig_end(&rig);
}
END_TEST

/* W3 b and d: what is durable still maps the block, so a write that misses it needs the mark as a hit does. */
START_TEST(a_write_to_a_block_whose_removal_is_not_committed_waits_for_its_region_mark)
{
	struct rig_options o = { .warm_after_power = true };
	struct rig_request *q;
	uint64_t flushes;
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 1);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	ck_assert_int_eq(cwt_message(rig.e, "invalidate 0 1", NULL), 0);
	flushes = faulty_device_counts(rig.dev.metadata).flushes;
	q = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x32);
	while (!faulty_device_nr_pending(rig.dev.origin))
		ck_assert(rig_step(&rig));
	ck_assert_uint_gt(faulty_device_counts(rig.dev.metadata).flushes, flushes);
	end_without_jobs(&rig, q);
	rig_expect(&rig, 0, BLOCK, 0x32);
	rig_kill(&rig);
	rig.boot++;
	ck_assert_int_eq(rig_open(&rig, false), 0);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* B1: between the legs origin and cache differ; a kill there must find the mark, late clears or not. */
START_TEST(a_mark_stays_until_the_cache_leg_has_ended)
{
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 2);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x34);
	cwt_loop_turn(rig.loop[0]);
	faulty_device_step(rig.dev.origin, 0);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 1);
	marks_write_stale(rig.e);
	rig_kill(&rig);
	free(q->buf);
	free(q);
	rig_expect(&rig, 0, BLOCK, 0x34);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert(!rig_mapped(&rig, 0));
	ck_assert(rig_mapped(&rig, 1));
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* Power mode; block 0 is mapped, committed and written since, and the snapshot of the next commit was just taken. */
static void start_with_a_snapshot(struct rig *rig)
{
	struct rig_options o = { .nr_cblocks = 8, .warm_after_power = true };

	rig_start(rig, &o);
	rig_warm(rig, 0, 2);
	ck_assert_int_eq(cwt_message(rig->e, "commit", NULL), 0);
	ck_assert_int_eq(rig_do(rig, CWT_WRITE, 0, BLOCK, 0x35), BLOCK);
	rig->now_ms += 100000;
	ck_assert(engine_step_job(rig->e));
	ck_assert_int_eq(rig->e->commit.step, COMMIT_FLUSH_CACHE);
}

static void end_commit(struct rig *rig)
{
	while (rig->e->commit.step != COMMIT_IDLE)
		ck_assert(engine_step_job(rig->e));
	while (engine_step_job(rig->e))
		;
}

static void cut_and_expect_unmapped(struct rig *rig)
{
	rig_kill(rig);
	rig->boot++;
	ck_assert_int_eq(rig_open(rig, false), 0);
	ck_assert(!rig_mapped(rig, 0));
	rig_check(rig);
	rig_end(rig);
}

/* C6: a removal after the snapshot is not in what was committed. */
START_TEST(a_cblock_removed_after_the_snapshot_is_freed_by_the_next_commit)
{
	uint32_t nr_free;
	struct rig rig;

	start_with_a_snapshot(&rig);
	nr_free = rig_status(&rig).nr_free;
	ck_assert_int_eq(cwt_message(rig.e, "invalidate 0 1", NULL), 0);
	end_commit(&rig);
	ck_assert_uint_eq(rig_status(&rig).nr_free, nr_free);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	ck_assert_uint_eq(rig_status(&rig).nr_free, nr_free + 1);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* C7: until both stores are flushed a power cut may leave either of them older. */
START_TEST(region_marks_stay_until_both_stores_are_flushed)
{
	struct rig rig;

	start_with_a_snapshot(&rig);
	ck_assert(engine_step_job(rig.e));	/* a job that has marks to clear would run before the next step of the commit */
	ck_assert_uint_gt(rig.e->regions.nr_marked, 0);
	cut_and_expect_unmapped(&rig);
}
END_TEST

/* C2: the flushes of a commit may have been issued before a write that entered after its snapshot. */
START_TEST(a_write_after_the_snapshot_keeps_its_region_mark)
{
	struct rig rig;

	start_with_a_snapshot(&rig);
	end_without_jobs(&rig, rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x36));
	rig_expect(&rig, 0, BLOCK, 0x36);
	end_commit(&rig);
	ck_assert_uint_gt(rig.e->regions.nr_marked, 0);
	cut_and_expect_unmapped(&rig);
}
END_TEST

/* W3: its mark is a matter of the metadata; who waits for it waits for no flush and no fallocate of a slow origin. */
START_TEST(a_write_that_waits_for_its_region_mark_waits_for_no_other_job)
{
	struct rig_options o = { .nr_cblocks = 8, .warm_after_power = true, .threads = true };
	struct rig_request *slow[4], *write;
	struct rig rig;

	rig_start(&rig, &o);
	end_without_jobs(&rig, rig_begin(&rig, 0, CWT_READ, 0, BLOCK, 0));
	for (unsigned i = 0; rig_status(&rig).nr_mapped < 1; i++) {
		ck_assert_uint_lt(i, 1000);
		cwt_loop_turn(rig.loop[0]);
		if (faulty_device_nr_pending(rig.dev.cache))
			faulty_device_step(rig.dev.cache, 0);
	}
	hold(rig.dev.origin, FAULTY_FLUSH, 0, 0);
	hold(rig.dev.origin, FAULTY_ZERO, 0, 0);
	slow[0] = rig_begin(&rig, 0, CWT_FLUSH, 0, 0, 0);
	for (unsigned i = 1; i < 4; i++)
		slow[i] = rig_begin(&rig, 0, CWT_PUNCH, (2 + i) * BLOCK, BLOCK, 0);
	for (unsigned ms = 0; faulty_device_counts(rig.dev.origin).flushes + faulty_device_counts(rig.dev.origin).zeros < 2; ms++) {
		ck_assert_uint_lt(ms, 10000);
		cwt_loop_turn(rig.loop[0]);
		sleep_ms(1);
	}
	write = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x37);
	for (unsigned ms = 0; !write->done; ms++) {
		ck_assert_msg(ms < 10000, "it waits for a job of another kind");
		cwt_loop_turn(rig.loop[0]);
		if (faulty_device_nr_pending(rig.dev.origin))
			faulty_device_step(rig.dev.origin, 0);
		if (faulty_device_nr_pending(rig.dev.cache))
			faulty_device_step(rig.dev.cache, 0);
		sleep_ms(1);
	}
	rig_expect(&rig, 0, BLOCK, 0x37);
	rig_free(write);
	faulty_device_release(rig.dev.origin);
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned ms = 0; !slow[i]->done; ms++) {
			ck_assert_uint_lt(ms, 10000);
			cwt_loop_turn(rig.loop[0]);
			sleep_ms(1);
		}
		if (i)
			rig_expect(&rig, (2 + i) * BLOCK, BLOCK, 0);
		rig_free(slow[i]);
	}
	rig_check(&rig);
	for (unsigned i = 0; i < RIG_LOOPS; i++)
		cwt_loop_close(rig.loop[i]);
	ck_assert_int_eq(cwt_close(rig.e), 0);
	rig.e = NULL;
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-order");
	TCase *tc = tcase_create("order");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, no_origin_leg_is_issued_while_its_mark_is_being_written);
	tcase_add_test(tc, an_fsync_that_comes_during_a_flush_is_not_answered_by_it);
	tcase_add_test(tc, a_synchronous_write_that_ends_during_a_flush_is_not_answered_by_it);
	tcase_add_test(tc, a_commit_waits_with_its_flush_of_the_origin_for_that_of_an_fsync);
	tcase_add_test(tc, a_write_to_a_block_whose_removal_is_not_committed_waits_for_its_region_mark);
	tcase_add_test(tc, a_mark_stays_until_the_cache_leg_has_ended);
	tcase_add_test(tc, a_write_that_waits_for_its_region_mark_waits_for_no_other_job);
	tcase_add_test(tc, a_cblock_removed_after_the_snapshot_is_freed_by_the_next_commit);
	tcase_add_test(tc, region_marks_stay_until_both_stores_are_flushed);
	tcase_add_test(tc, a_write_after_the_snapshot_keeps_its_region_mark);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
