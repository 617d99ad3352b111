/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Breaks that only one narrow moment shows: the second thing comes while the first is between two of its steps, or a
 * request is larger than what a loop can hold.  Each test was made by breaking one line that everything else let pass.
 */
#include "engine-rig.h"
#include "metadata/store_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 4096u

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/*
 * ------------------------------------------------------------------ fills that are void
 */

/* A fill of block 0 whose read of the origin has ended, and whose write of the cache has not. */
static struct rig_request *begin_fill(struct rig *rig)
{
	struct rig_request *q = rig_begin(rig, 0, CWT_READ, 0, BLOCK, 0);

	while (!faulty_device_nr_pending(rig->dev.cache)) {
		cwt_loop_turn(rig->loop[0]);
		if (faulty_device_nr_pending(rig->dev.origin))
			faulty_device_step(rig->dev.origin, 0);
	}
	return q;
}

/* Somebody else writes the origin, and says so: what is being copied is not the origin's any more. */
static void change_behind(struct rig *rig, const char *message)
{
	memset(memory_device_bytes(rig->origin_memory), 0x77, BLOCK);
	rig_expect(rig, 0, BLOCK, 0x77);
	ck_assert_int_eq(cwt_message(rig->e, message, NULL), 0);
}

static const char *const voiding[] = { "drop", "invalidate 0 4096", "invalidate 100 1" };

/* F1: what was read before is no answer for who asks after. */
START_TEST(a_read_that_comes_after_its_fill_was_voided_sees_the_origin)
{
	struct rig_request *first, *second;
	struct rig rig;

	rig_start(&rig, NULL);
	first = begin_fill(&rig);
	change_behind(&rig, voiding[_i]);
	second = rig_begin(&rig, 1, CWT_READ, 0, BLOCK, 0);
	rig_settle(&rig);
	ck_assert_int_eq(second->r.result, BLOCK);
	ck_assert(!memcmp(second->buf, rig.expect, BLOCK));
	rig_free(first);
	rig_free(second);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

START_TEST(a_fill_that_is_under_way_when_its_block_is_invalidated_maps_nothing)
{
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, NULL);
	q = begin_fill(&rig);
	change_behind(&rig, voiding[_i]);
	rig_settle(&rig);
	ck_assert(!rig_mapped(&rig, 0));
	rig_free(q);
	rig_do(&rig, CWT_READ, 0, BLOCK, 0);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* The same one step earlier: the origin's bytes are in the fill's buffer, and nobody has looked at them yet. */
START_TEST(a_fill_that_has_just_read_the_origin_when_it_is_voided_answers_nobody)
{
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, NULL);
	q = rig_begin(&rig, 0, CWT_READ, 0, BLOCK, 0);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.origin), 1);
	faulty_device_step(rig.dev.origin, 0);
	change_behind(&rig, voiding[_i]);
	rig_settle(&rig);
	ck_assert(!memcmp(q->buf, rig.expect, BLOCK));
	ck_assert(!rig_mapped(&rig, 0));
	rig_free(q);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/*
 * ------------------------------------------------------------------ requests larger than a loop's pool
 */
#define MANY (BREQS_PER_LOOP + 300)

static void let_all_transfers_end_at_once(struct rig *rig)
{
	struct device *const devices[] = { rig->dev.origin, rig->dev.cache };

	for (unsigned i = 0; i < 2; i++)
		while (faulty_device_nr_pending(devices[i]))
			faulty_device_step(devices[i], 0);
}

/* I13, I14: every part that was cut so far has ended, and it is not the end. */
START_TEST(a_request_is_answered_only_when_all_of_it_was_cut_up_and_has_ended)
{
	struct rig_options o = { .origin_size = (uint64_t)MANY * BLOCK };
	const uint64_t len = o.origin_size;
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, &o);
	rig.early = _i / 2;
	q = rig_begin(&rig, 0, _i % 2 ? CWT_WRITE : CWT_READ, 0, len, 0x41);
	if (_i % 2)
		rig_expect(&rig, 0, len, 0x41);
	for (unsigned i = 0; !q->done; i++) {
		ck_assert_uint_lt(i, 10000);
		cwt_loop_turn(rig.loop[0]);
		if (q->done)
			break;
		let_all_transfers_end_at_once(&rig);
	}
	ck_assert_int_eq(q->r.result, (int64_t)len);
	ck_assert(!memcmp(memory_device_bytes(rig.origin_memory), rig.expect, len));
	if (!(_i % 2))
		ck_assert(!memcmp(q->buf, rig.expect, len));
	rig_settle(&rig);
	rig_free(q);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* A failure in the part that is cut last shortens the answer; one in the first part is the answer. */
START_TEST(a_failure_far_into_a_large_request_shortens_its_answer)
{
	struct rig_options o = { .origin_size = (uint64_t)MANY * BLOCK };
	struct faulty_rule rule = { .kinds = FAULTY_WRITE, .error = -EIO, .len_bytes = BLOCK,
				    .offset_bytes = (uint64_t)(MANY - 1) * BLOCK };
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, &o);
	ck_assert_int_eq(faulty_device_add_rule(rig.dev.origin, &rule), 0);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, o.origin_size, 0x42);
	for (unsigned i = 0; !q->done; i++) {
		ck_assert_uint_lt(i, 10000);
		cwt_loop_turn(rig.loop[0]);
		let_all_transfers_end_at_once(&rig);
	}
	ck_assert_int_eq(q->r.result, (int64_t)rule.offset_bytes);
	rig_settle(&rig);
	rig_free(q);
	rig_expect(&rig, 0, rule.offset_bytes, 0x42);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* I14: the errno is of the first byte that failed, whichever part ends last. */
START_TEST(the_errno_of_a_request_is_that_of_its_first_failed_block)
{
	const struct faulty_rule full = { .kinds = FAULTY_WRITE, .error = -ENOSPC, .offset_bytes = 0, .len_bytes = BLOCK };
	const struct faulty_rule bad = { .kinds = FAULTY_WRITE, .error = -EIO, .offset_bytes = 2 * BLOCK, .len_bytes = BLOCK };
	struct rig_request *q;
	struct rig rig;

	rig_start(&rig, NULL);
	ck_assert_int_eq(faulty_device_add_rule(rig.dev.origin, &full), 0);
	ck_assert_int_eq(faulty_device_add_rule(rig.dev.origin, &bad), 0);
	q = rig_begin(&rig, 0, CWT_WRITE, 0, 3 * BLOCK, 0x43);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.origin), 3);
	faulty_device_step(rig.dev.origin, _i ? 2 : 0);
	faulty_device_step(rig.dev.origin, _i ? 0 : 1);
	rig_settle(&rig);
	ck_assert_int_eq(q->r.result, -ENOSPC);
	rig_free(q);
	rig_expect(&rig, BLOCK, BLOCK, 0x43);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/*
 * ------------------------------------------------------------------ one flush of the origin at a time, failures included
 *
 * A flush of the origin that is in the kernel until the test lets it go, and then fails; those after it succeed, as they
 * do in Linux: a failed write-back is told once.
 */
static struct {
	struct device_ops ops;
	const struct device_ops *whole;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned nr_begun;
	bool go;
} held;

static int held_flush(struct device *dev)
{
	bool first;

	(void)dev;
	pthread_mutex_lock(&held.lock);
	first = !held.nr_begun++;
	pthread_cond_broadcast(&held.cond);
	while (first && !held.go)
		pthread_cond_wait(&held.cond, &held.lock);
	pthread_mutex_unlock(&held.lock);
	return first ? -EIO : 0;
}

static unsigned held_begun(void)
{
	unsigned nr;

	pthread_mutex_lock(&held.lock);
	nr = held.nr_begun;
	pthread_mutex_unlock(&held.lock);
	return nr;
}

static void held_let_go(void)
{
	pthread_mutex_lock(&held.lock);
	held.go = true;
	pthread_cond_broadcast(&held.cond);
	pthread_mutex_unlock(&held.lock);
}

static void *run_job(void *arg)
{
	ck_assert(engine_step_job(((struct rig *)arg)->e));
	return NULL;
}

static void *commit(void *arg)
{
	ck_assert_int_ne(cwt_message(((struct rig *)arg)->e, "commit", NULL), 0);
	return NULL;
}

/* An fsync whose flush has begun; block 0 is cached, and written since the last good flush. */
static struct rig_request *begin_failing_fsync(struct rig *rig, pthread_t *thread)
{
	struct rig_options o = { .warm_after_power = true };
	struct rig_request *q;

	rig_start(rig, &o);
	rig_warm(rig, 0, 1);
	held.whole = rig->origin_memory->ops;
	held.ops = *held.whole;
	held.ops.flush = held_flush;
	rig->origin_memory->ops = &held.ops;
	held.nr_begun = 0;
	held.go = false;
	pthread_mutex_init(&held.lock, NULL);
	pthread_cond_init(&held.cond, NULL);
	ck_assert_int_eq(rig_do(rig, CWT_WRITE, 0, BLOCK, 0x44), BLOCK);
	q = rig_begin(rig, 0, CWT_FLUSH, 0, 0, 0);
	ck_assert_int_eq(pthread_create(thread, NULL, run_job, rig), 0);
	while (!held_begun())
		sleep_ms(1);
	return q;
}

static void end_failed_fsync(struct rig *rig, struct rig_request *q)
{
	rig_settle(rig);
	ck_assert_int_eq(q->r.result, -EIO);
	rig_free(q);
	rig->origin_memory->ops = held.whole;
	ck_assert(!rig_mapped(rig, 0));
	rig_check(rig);
	ck_assert_int_eq(cwt_message(rig->e, "origin-ok", NULL), 0);
	rig_end(rig);
}

/* E1: whoever waited for the lock must hear of the failure before it, or it calls lost bytes durable. */
START_TEST(a_flush_that_waited_for_one_that_failed_is_not_issued)
{
	pthread_t fsync_thread, commit_thread;
	struct rig_request *q;
	struct rig rig;

	q = begin_failing_fsync(&rig, &fsync_thread);
	ck_assert_int_eq(pthread_create(&commit_thread, NULL, commit, &rig), 0);
	sleep_ms(50);	/* it waits for the flush's lock; on a slow machine it comes later, and sees the same */
	held_let_go();
	pthread_join(fsync_thread, NULL);
	pthread_join(commit_thread, NULL);
	ck_assert_uint_eq(held_begun(), 1);
	end_failed_fsync(&rig, q);
}
END_TEST

/* E1: between the failure and its handling nobody can get at the flush, for there the sticky error is not set yet. */
START_TEST(a_failed_flush_is_handled_before_another_can_begin)
{
	struct rig_request *q;
	pthread_t thread;
	struct rig rig;

	q = begin_failing_fsync(&rig, &thread);
	pthread_mutex_lock(&rig.e->lock);
	held_let_go();
	sleep_ms(50);	/* the failure is known now, and its handling waits for the lock that is held here */
	ck_assert_int_eq(rig.e->flush.sticky_error, 0);
	ck_assert_int_eq(pthread_mutex_trylock(&rig.e->flush.io_lock), EBUSY);
	pthread_mutex_unlock(&rig.e->lock);
	pthread_join(thread, NULL);
	ck_assert_int_eq(rig.e->flush.sticky_error, -EIO);
	end_failed_fsync(&rig, q);
}
END_TEST

/*
 * ------------------------------------------------------------------ marks
 */

/* W5: no way is left to say that the region differs, so nothing may make it differ. */
START_TEST(a_punch_whose_region_mark_failed_does_not_happen)
{
	struct rig_options o = { .warm_after_power = true };
	const struct device_ops *whole;
	struct device_ops ops;
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 2);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	whole = rig.origin_memory->ops;
	ops = *whole;
	ops.tag = NULL;
	rig.origin_memory->ops = &ops;
	rig_fail(rig.dev.metadata, FAULTY_WRITE | FAULTY_FLUSH, 0, 0, -EIO);
	rig_fail(rig.dev.cache, FAULTY_WRITE | FAULTY_FLUSH, 0, 0, -EIO);
	ck_assert_int_eq(rig_do(&rig, _i ? CWT_ZERO : CWT_PUNCH, 100, BLOCK, 0), -EIO);
	rig.origin_memory->ops = whole;
	rig_check(&rig);
	faulty_device_clear_rules(rig.dev.metadata);
	faulty_device_clear_rules(rig.dev.cache);
	ck_assert_int_ne(rig_stop(&rig), 0);	/* no clean mark after this */
	rig_end(&rig);
}
END_TEST

static void *turn_0(void *arg)
{
	cwt_loop_turn(((struct rig *)arg)->loop[0]);
	return NULL;
}

static void *turn_1(void *arg)
{
	cwt_loop_turn(((struct rig *)arg)->loop[1]);
	return NULL;
}

/* B2: a mark that is set while its page is being written is not in what is being written. */
START_TEST(a_mark_set_during_the_write_of_its_page_is_written_before_its_leg)
{
	struct rig_request *first, *second;
	struct faulty_rule rule = { .kinds = FAULTY_WRITE, .effect = FAULTY_HOLD, .times = 1 };
	uint64_t nr_writes;
	pthread_t thread[2];
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 2);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	marks_write_stale(rig.e);
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 7 * BLOCK, 1, 0x45), 1);	/* the time of the write is stored */
	rule.offset_bytes = rig.e->store->busy_offset_bytes;
	rule.len_bytes = 512;
	ck_assert_int_eq(faulty_device_add_rule(rig.dev.metadata, &rule), 0);
	nr_writes = faulty_device_counts(rig.dev.metadata).writes;
	first = rig_begin(&rig, 0, CWT_WRITE, 0, BLOCK, 0x46);
	ck_assert_int_eq(pthread_create(&thread[0], NULL, turn_0, &rig), 0);
	while (faulty_device_counts(rig.dev.metadata).writes == nr_writes)
		sleep_ms(1);
	second = rig_begin(&rig, 1, CWT_WRITE, BLOCK, BLOCK, 0x47);
	ck_assert_int_eq(pthread_create(&thread[1], NULL, turn_1, &rig), 0);
	sleep_ms(50);	/* it has set its mark, and waits for the page */
	faulty_device_release(rig.dev.metadata);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	while (faulty_device_nr_pending(rig.dev.origin))
		faulty_device_step(rig.dev.origin, 0);
	rig_kill(&rig);
	free(first->buf);
	free(first);
	free(second->buf);
	free(second);
	rig_expect(&rig, 0, BLOCK, 0x46);
	rig_expect(&rig, BLOCK, BLOCK, 0x47);
	ck_assert_int_eq(rig_open(&rig, false), 0);
	ck_assert(!rig_mapped(&rig, 0));
	ck_assert(!rig_mapped(&rig, 1));
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/* W3: what is mapped neither in memory nor in what is durable needs no region mark, whoever still reads the cblock. */
START_TEST(a_removed_block_that_is_still_being_read_needs_no_region_mark_after_the_commit)
{
	struct rig_options o = { .warm_after_power = true };
	struct rig_request *q;
	uint64_t flushes;
	struct rig rig;

	rig_start(&rig, &o);
	rig_warm(&rig, 0, 1);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	q = rig_begin(&rig, 0, CWT_READ, 0, BLOCK, 0);
	cwt_loop_turn(rig.loop[0]);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 1);
	ck_assert_int_eq(cwt_message(rig.e, "invalidate 0 1", NULL), 0);
	ck_assert_int_eq(cwt_message(rig.e, "commit", NULL), 0);
	rig_settle(&rig);
	ck_assert(!memcmp(q->buf, rig.expect, BLOCK));
	rig_free(q);
	flushes = faulty_device_counts(rig.dev.metadata).flushes;
	ck_assert_int_eq(rig_do(&rig, CWT_WRITE, 0, BLOCK, 0x48), BLOCK);
	ck_assert_uint_eq(faulty_device_counts(rig.dev.metadata).flushes, flushes);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/*
 * ------------------------------------------------------------------ the order in a cell
 */

/* Readers that may pass a parked write starve it, and see what was before it. */
START_TEST(a_read_that_comes_after_a_parked_write_waits_for_it)
{
	struct rig_request *q[3];
	struct rig rig;

	rig_start(&rig, NULL);
	rig_warm(&rig, 0, 1);
	rig.early = _i;
	q[0] = rig_begin(&rig, 0, CWT_READ, 0, BLOCK, 0);
	cwt_loop_turn(rig.loop[0]);
	q[1] = rig_begin(&rig, 0, CWT_WRITE, 1000, 1000, 0x49);
	cwt_loop_turn(rig.loop[0]);
	q[2] = rig_begin(&rig, 1, CWT_READ, 500, 1000, 0);
	cwt_loop_turn(rig.loop[1]);
	ck_assert_uint_eq(faulty_device_nr_pending(rig.dev.cache), 1);
	ck_assert_uint_eq(rig.e->cells.nr_parked, 2);
	rig_settle(&rig);
	rig_expect(&rig, 1000, 1000, 0x49);
	ck_assert(!memcmp(q[2]->buf, rig.expect + 500, 1000));
	for (unsigned i = 0; i < 3; i++)
		rig_free(q[i]);
	rig_check(&rig);
	rig_end(&rig);
}
END_TEST

/*
 * ------------------------------------------------------------------ wake-ups
 *
 * Two flushes are answered by one job, one right after the other, to a loop that looks all the time: the second is
 * posted while the loop takes the first.  A post that is lost there is never seen, since nothing comes after it.
 */
#define POSTS 4000u	/* one of some dozens is enough where the order is wrong */

struct poster {
	struct rig *rig;
	atomic_bool stop;
};

static void *run_jobs(void *arg)
{
	struct poster *p = arg;

	while (!atomic_load(&p->stop))
		engine_step_job(p->rig->e);
	return NULL;
}

static time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

START_TEST(no_answer_that_is_posted_while_a_loop_takes_another_is_lost)
{
	struct poster p = { .stop = false };
	pthread_t thread;
	struct rig rig;

	rig_start(&rig, NULL);
	p.rig = &rig;
	ck_assert_int_eq(pthread_create(&thread, NULL, run_jobs, &p), 0);
	for (unsigned i = 0; i < POSTS; i++) {
		struct rig_request *a = rig_begin(&rig, 0, CWT_FLUSH, 0, 0, 0), *b = rig_begin(&rig, 0, CWT_FLUSH, 0, 0, 0);
		time_t deadline = now_s() + 30;

		while (!a->done || !b->done) {
			cwt_loop_turn(rig.loop[0]);
			ck_assert_msg(now_s() < deadline, "round %u: an answer was lost", i);
		}
		rig_free(a);
		rig_free(b);
	}
	atomic_store(&p.stop, true);
	pthread_join(thread, NULL);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine-breaks");
	TCase *tc = tcase_create("breaks");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_read_that_comes_after_its_fill_was_voided_sees_the_origin, 0, 3);
	tcase_add_loop_test(tc, a_fill_that_is_under_way_when_its_block_is_invalidated_maps_nothing, 0, 3);
	tcase_add_loop_test(tc, a_fill_that_has_just_read_the_origin_when_it_is_voided_answers_nobody, 0, 3);
	tcase_add_loop_test(tc, a_request_is_answered_only_when_all_of_it_was_cut_up_and_has_ended, 0, 4);
	tcase_add_test(tc, a_failure_far_into_a_large_request_shortens_its_answer);
	tcase_add_loop_test(tc, the_errno_of_a_request_is_that_of_its_first_failed_block, 0, 2);
	tcase_add_test(tc, a_flush_that_waited_for_one_that_failed_is_not_issued);
	tcase_add_test(tc, a_failed_flush_is_handled_before_another_can_begin);
	tcase_add_loop_test(tc, a_punch_whose_region_mark_failed_does_not_happen, 0, 2);
	tcase_add_test(tc, a_mark_set_during_the_write_of_its_page_is_written_before_its_leg);
	tcase_add_test(tc, a_removed_block_that_is_still_being_read_needs_no_region_mark_after_the_commit);
	tcase_add_loop_test(tc, a_read_that_comes_after_a_parked_write_waits_for_it, 0, 2);
	tcase_add_test(tc, no_answer_that_is_posted_while_a_loop_takes_another_is_lost);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
