/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mutants: bugs that other caches had, or that this one must never have, each put back at one place.
 *
 * A build configured with --enable-mutants has them all, and CWT_MUTANT=name in the environment brings one of them to
 * life; it is read once, before main().  The tests must fail on every one: `make check-mutants`.  In every other build
 * mutant_is() is the constant false, and nothing is left of them.
 *
 * Where: `mutant_is(MUTANT_NAME)` in the line that the mutant changes.  What kills each: HACKING.md, section 9.
 */
#ifndef CWT_BASE_MUTANT_H
#define CWT_BASE_MUTANT_H

#include <stdbool.h>

#define MUTANTS(M) \
	/* cells and legs */ \
	M(DECIDE_BEFORE_ENTERING, "decide-before-entering")	/* I1: what was looked up before the hold is used after it */ \
	M(OVERLAPS_NOT_ORDERED, "overlaps-not-ordered")		/* I4: two writes of one range run side by side */ \
	M(HOLD_NOT_WIDENED, "hold-not-widened")			/* I4: neighbours in one sector undo each other */ \
	M(CACHE_FIRST, "cache-first")				/* I3: the legs are swapped */ \
	M(REUSED_FIELDS, "reused-fields")			/* the cache leg goes where the origin leg ended */ \
	M(WRITEAROUND_KEEPS, "writearound-keeps")		/* a write that goes past the cache does not invalidate */ \
	M(PUNCH_KEEPS, "punch-keeps")				/* L2: nor does a punch */ \
	M(ZERO_TAIL, "zero-tail")				/* I14: the unaligned tail of a zeroed range is forgotten */ \
	M(ORIGIN_ERROR_KEEPS, "origin-error-keeps")		/* W4: a failed origin leg leaves the mapping */ \
	M(CACHE_ERROR_KEEPS, "cache-error-keeps")		/* W4: a failed cache leg leaves the mapping */ \
	M(CACHE_ERROR_ANSWERED, "cache-error-answered")		/* I12: and is the user's error */ \
	M(PAST_ODD_END, "past-odd-end")				/* I6: the last block of an odd-sized origin is taken for whole */ \
	M(ANSWERED_TWICE, "answered-twice")			/* I13 */ \
	M(WRONG_PREFIX, "wrong-prefix")				/* I14: up to the last failed block, not to the first */ \
	/* the answer between the legs */ \
	M(CELL_LEFT_AT_ANSWER, "cell-left-at-answer")		/* W1: nobody waits for the cache leg any more */ \
	M(RELEASED_AT_ANSWER, "released-at-answer")		/* the buffer is given back before the cache leg has ended */ \
	M(REGION_LEFT_AT_ANSWER, "region-left-at-answer")	/* C1: a commit sees no write in the region any more */ \
	/* fill and reuse */ \
	M(FILL_HOLDS_NOTHING, "fill-holds-nothing")		/* I5, F1: writes pass a fill */ \
	M(VOID_FILL_PUBLISHED, "void-fill-published")		/* F1: what voids a fill is not heard */ \
	M(FAILED_FILL_PUBLISHED, "failed-fill-published")	/* I6: nor that the cache refused it */ \
	M(REUSE_BEFORE_COMMIT, "reuse-before-commit")		/* I7, F3 */ \
	M(REUSE_UNDER_READER, "reuse-under-reader")		/* F3: requests that decided on it are still in flight */ \
	/* busy marks */ \
	M(MARK_AFTER_LEG, "mark-after-leg")			/* W2, B2: written after the origin leg was issued */ \
	M(MARK_CLEARED_EARLY, "mark-cleared-early")		/* B1: when the origin leg has ended, answered or not */ \
	M(REMOVAL_NOT_MARKED, "removal-not-marked")		/* B1: a removal that is not committed has no mark */ \
	M(FAILED_MARK_IGNORED, "failed-mark-ignored")		/* W5 */ \
	/* commit */ \
	M(CACHE_NOT_FLUSHED, "cache-not-flushed")		/* I8, C3: a mapping is committed before its data */ \
	M(ORIGIN_NOT_FLUSHED, "origin-not-flushed")		/* I8, C3: and before what it is a copy of */ \
	M(LATER_REMOVALS_FREED, "later-removals-freed")		/* C1, C6: removals after the snapshot come free with it */ \
	M(ONE_SUPERBLOCK, "one-superblock")			/* C5: the second copy is never written */ \
	M(CLEAN_WHILE_SERVING, "clean-while-serving")		/* I9: every commit says "clean" */ \
	/* region marks */ \
	M(REGION_MARK_NOT_FLUSHED, "region-mark-not-flushed")	/* W3 */ \
	M(REGION_UNNEEDED_EARLY, "region-unneeded-early")	/* W3 b, c: a removal that is not committed needs no mark */ \
	M(REGIONS_CLEARED_EARLY, "regions-cleared-early")	/* C7: before both sides are flushed */ \
	M(REGION_KEPT_IN_SET, "region-kept-in-set")		/* C2: a write that enters does not take its region out */ \
	/* flush */ \
	M(FLUSH_ERROR_FORGOTTEN, "flush-error-forgotten")	/* I11: the error of a failed flush is answered once only */ \
	M(FLUSH_ANSWERS_LATER, "flush-answers-later")		/* I11: also those that came after it was issued */ \
	M(FLUSH_FAILURE_KEEPS, "flush-failure-keeps")		/* E2: what the origin may have lost stays cached */ \
	M(CACHE_FLUSH_FAILURE_KEEPS, "cache-flush-failure-keeps")	/* E3 */ \
	M(FROZEN_KEEPS, "frozen-keeps")				/* E_VOID: nor are they void after it where no commit can say so */ \
	/* start and recovery */ \
	M(BUSY_MARKS_IGNORED, "busy-marks-ignored")		/* R3: what may differ is trusted after a kill */ \
	M(ANY_BOOT_TRUSTED, "any-boot-trusted")			/* R1: and after a power cut */ \
	M(SLOTS_NOT_ERASED, "slots-not-erased")			/* R3: of a commit that was not finished */ \
	M(DIGEST_NOT_CHECKED, "digest-not-checked")		/* R3 */ \
	M(BOOT_BEFORE_DROPS, "boot-before-drops")		/* R4 */ \
	M(SESSION_IGNORED, "session-ignored")			/* I15: an older copy of the cache is believed */ \
	M(TAG_IGNORED, "tag-ignored")				/* R2: the origin was another's meanwhile */ \
	M(TIMES_IGNORED, "times-ignored")			/* the origin was written while it was not mounted */ \
	/* the mount */ \
	M(PAGES_KEPT, "pages-kept")				/* page_cache=on: what is written beside them stays unseen */

enum mutant {
	MUTANT_NONE,
#define M(id, name) MUTANT_##id,
	MUTANTS(M)
#undef M
};

#ifdef CWT_MUTANTS
extern enum mutant mutant_chosen;	/* constant from before main() */
static inline bool mutant_is(enum mutant m) { return mutant_chosen == m; }
#else
static inline bool mutant_is(enum mutant m) { (void)m; return false; }
#endif

#endif
