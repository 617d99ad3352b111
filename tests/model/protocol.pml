/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The protocol of marks, commits and recovery: every order in which its steps can happen, with kills, power cuts
 * and failing stores between any two.  The texts of the rules are in cachewtfs-internals(7); how to run this is in
 * README.md.
 *
 * One process, one loop: each turn is one event, which is what the program does under one lock or one device call
 * that ends. Each event ends with check().
 */
#include "rules.pml"
#include "state.pml"
#include "write.pml"
#include "commit.pml"
#include "flush.pml"
#include "recovery.pml"
#include "crash.pml"

/*
 * What must always hold (DESIGN I6, I7, I10, I11):
 * - where a mapping is visible, cache and origin are equal in every sector that no write is holding;
 * - no block is mapped twice;
 * - no value that a completed fsync covers is lost;
 * - with --warm-after power some superblock copy verifies at every start, unless copies rotted (C5: else all is cold).
 */
inline check()
{
	if
	:: phase == RUN && !failed ->
		for (i : 0 .. CSECTS - 1) {
			c = i / SECTORS;
			n = (map[c] -> (map[c] - 1) * SECTORS + i % SECTORS : 0);
			assert(!map[c] || IN_FLIGHT(n) || cache[i] == origin[n])
		}
#if CBLOCKS > 1
		assert(!map[0] || map[0] != map[1])
#endif
	:: else
	fi;
	assert(phase != LOADED || !POWER || rots || generation);
#if FSYNCS
	for (i : 0 .. SECTS - 1) {
		assert(allowed[i] & BIT(origin[i]))
	}
#endif
}

/* A cleanly stopped system with block 0 cached; the first event is the start. */
inline format()
{
	for (i : 0 .. SECTS - 1) {
		origin[i] = i;
		origin_may[i] = BIT(i);
#if FSYNCS
		recent[i] = BIT(i);
		allowed[i] = 255;
#endif
	}
	for (i : 0 .. CSECTS - 1) {
		cache[i] = (i < SECTORS -> i : GARBAGE);
		cache_may[i] = BIT(cache[i])
	}
	for (i : 0 .. CBLOCKS - 1) {
		slot[2 * i] = PAGE(1, (i == 0 -> 1 : 0));
		slot_durable[2 * i] = slot[2 * i]
#if DIGEST
		;
		digest[2 * i] = slot[2 * i];
		digest[2 * i + 1] = slot[2 * i]
#endif
	}
	super[0] = SUPER(1, 1, 0);
	super[1] = super[0];
	super_durable[0] = super[0];
	super_durable[1] = super[0]
}

init {
	d_step { format() }
	do
	:: atomic {
		if
		/* Requests: write.pml */
		:: MAY_WRITE -> choose(SECTS); d_step { write_begins(x) }
		:: d_step { w[0].stage == DECIDED -> late_entry(0) }
		:: d_step { w[1].stage == DECIDED -> late_entry(1) }
		:: d_step { MARK_FLUSH_DUE -> mark_flush_issued() }
		:: d_step { MARKED_IN_TIME -> mark_flush_returned() }
		:: d_step { MARK_NEEDLESS(0) -> issue_origin_leg(0); printf("request 0 goes on without a mark\n") }
		:: d_step { MARK_NEEDLESS(1) -> issue_origin_leg(1); printf("request 1 goes on without a mark\n") }
		:: d_step { w[0].stage == AT_ORIGIN -> origin_leg_ends(0) }
		:: d_step { w[1].stage == AT_ORIGIN -> origin_leg_ends(1) }
		:: d_step { w[0].stage == AT_CACHE -> cache_leg_ends(0) }
		:: d_step { w[1].stage == AT_CACHE -> cache_leg_ends(1) }
		:: bad_origin < FAIL_ORIGIN && w[0].stage == AT_ORIGIN -> choose(2); d_step { origin_leg_fails(0, x) }
		:: bad_origin < FAIL_ORIGIN && w[1].stage == AT_ORIGIN -> choose(2); d_step { origin_leg_fails(1, x) }
		:: bad_cache < FAIL_CACHE && w[0].stage == AT_CACHE -> choose(2); d_step { cache_leg_fails(0, x) }
		:: bad_cache < FAIL_CACHE && w[1].stage == AT_CACHE -> choose(2); d_step { cache_leg_fails(1, x) }
		:: d_step { phase == RUN -> store_busy_page(true); printf("busy marks stored\n") }	/* B3 */
		:: MAY_FILL -> choose(BLOCKS); d_step { fill_begins(x) }
		:: d_step { filling -> fill_ends() }
#if FAIL_CACHE_FLUSH
		:: d_step { filling == 1 -> fill_is_stored() }
#endif
		:: d_step { MAY_DEMOTE(0) -> demote(0) }
#if CBLOCKS > 1
		:: d_step { MAY_DEMOTE(1) -> demote(1) }
#endif
		/* The commit: commit.pml */
		:: d_step { MAY_COMMIT -> commit_begins() }
		:: d_step { MAY_STOP -> stop_begins() }
		:: d_step { step == FLUSH_CACHE && !failed -> commit_flushes_cache() }
		:: d_step { step == FLUSH_ORIGIN && MAY_FLUSH && failed != BY_COMMIT -> commit_flushes_origin() }
		:: d_step { step >= PAGES && step < FLUSH_PAGES && failed != BY_COMMIT -> commit_writes_page() }
		:: d_step { step == FLUSH_PAGES -> commit_flushes(FIRST_COPY) }
		:: d_step { step == FIRST_COPY -> commit_writes_first_copy() }
		:: d_step { step == FLUSH_FIRST -> commit_flushes(SECOND_COPY) }
		:: d_step { step == SECOND_COPY -> commit_writes_second_copy() }
		:: d_step { step == FLUSH_SECOND -> commit_flushes(FINISH) }
		:: d_step { step == FINISH -> commit_finishes() }
		:: d_step { MAY_FAIL_METADATA && step > PAGES && step <= FIRST_COPY -> bad_metadata++; abort_commit() }
		:: d_step { MAY_FAIL_METADATA && step > FIRST_COPY -> outcome_unknown() }
		:: d_step { MAY_FAIL_METADATA && phase == RUN && !frozen && !stopping -> marks_fail() }
		:: d_step { frozen && !void_all -> void_durably() }
		:: d_step { late_clear && !step ->
			busy = busy & ~late_clear; late_clear = 0; printf("late clearing of busy marks\n") }
		/* Flushes: flush.pml */
#if FSYNCS
		:: d_step { MAY_FSYNC -> fsync_succeeds() }
#endif
#if FAIL_ORIGIN_FLUSH
		:: FSYNC_MAY_FAIL ->
			SETTLE(origin, origin_may, SECTS);
			bad_origin_flush++; failed = BY_FSYNC; printf("an fsync of the origin fails\n")
		:: MAY_FAIL_FLUSH && step == FLUSH_ORIGIN && unflushed ->
			SETTLE(origin, origin_may, SECTS);
			bad_origin_flush++; failed = BY_COMMIT; printf("the commit's flush of the origin fails\n")
		:: d_step { failed -> origin_flush_handled() }
#endif
#if FAIL_CACHE_FLUSH
		:: bad_cache_flush < FAIL_CACHE_FLUSH && step == FLUSH_CACHE && unflushed_cache ->
			SETTLE(cache, cache_may, CSECTS);
			d_step { bad_cache_flush++; cache_flush_handled() }
#endif
		/* Starts: recovery.pml */
		:: d_step { phase == DOWN -> load() }
		:: d_step { phase == LOADED -> erase_slots() }
		:: d_step { phase == ERASED -> recovery_writes_pages() }
		:: d_step { phase == PAGED -> flush_metadata(); phase = DURABLE; printf("start: flushed\n") }
		:: d_step { phase == DURABLE -> recovery_writes_super() }
		:: d_step { phase == FIRST -> recovery_writes_second() }
		:: d_step { phase == SECOND -> recovery_ends() }
		:: d_step { MAY_FAIL_METADATA && (phase == PAGED || phase == FIRST) -> recovery_fails() }
		/* Crashes: crash.pml */
		:: MAY_KILL -> leg_lands_or_not(0); leg_lands_or_not(1); fill_lands_in_part(); d_step { killed() }
		:: MAY_CUT ->
			d_step { legs_may_land() };
			SETTLE(origin, origin_may, SECTS);
			SETTLE(cache, cache_may, CSECTS);
			SETTLE_PAGES(slot, slot_durable, 2 * CBLOCKS);
			SETTLE_PAGES(super, super_durable, 2);
			settle_marks();
			d_step { cut() }
		:: MAY_ROT(0) -> d_step { super_rots(0) }
		:: MAY_ROT(1) -> d_step { super_rots(1) }
#if ROT_SLOTS
		:: phase == DOWN && rot_slots < ROT_SLOTS -> choose(2 * CBLOCKS); d_step { slot_rots(x) }
#endif
		fi;
		d_step {
			check();
			b = 0; c = 0; i = 0; j = 0; k = 0; n = 0; r = 0; u = 0; x = 0
		}
	}
	od
}
