/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commit, top to bottom, one at a time; also the last one of an orderly stop (S1).
 *
 * step			next			with --warm-after kill (C8)
 * (none)		FLUSH_CACHE		snapshot; PAGES
 * FLUSH_CACHE		FLUSH_ORIGIN		not taken
 * FLUSH_ORIGIN		PAGES			not taken
 * PAGES + c		FLUSH_PAGES		FIRST_COPY
 * FLUSH_PAGES		FIRST_COPY		not taken
 * FIRST_COPY		FLUSH_FIRST		SECOND_COPY
 * FLUSH_FIRST		SECOND_COPY		not taken
 * SECOND_COPY		FLUSH_SECOND		FINISH
 * FLUSH_SECOND		FINISH			not taken
 * FINISH		(none), or DOWN		the same
 */
#define FLUSH_CACHE 1
#define FLUSH_ORIGIN 2
#define PAGES 3
#define FLUSH_PAGES 5
#define FIRST_COPY 6
#define FLUSH_FIRST 7
#define SECOND_COPY 8
#define FLUSH_SECOND 9
#define FINISH 10
#define FLUSHES (POWER || (stopping && RULE(S1_FLUSH)))

/* ---- C1 ----------------------------------------------------------------------------------------------- */

#define MAY_COMMIT (phase == RUN && !step && commits < COMMITS && !stopping && !frozen && !failed)
/* S1: all requests parked, all legs ended. */
#define MAY_STOP (phase == RUN && !step && stops < STOPS && !stopping && !frozen && !failed && \
	(PARKED || !RULE(S1_PARK)))

inline take_snapshot()
{
	dirty = redo;
	removed = 0;
	for (i : 0 .. CBLOCKS - 1) {
		snapshot[i] = map[i];
		if
		:: map[i] != committed[i] -> dirty = dirty | BIT(i)
		:: else
		fi;
		if
		:: state[i] == REMOVED -> removed = removed | BIT(i)
		:: else
		fi
	}
	if
	:: dirty && ONE_PAGE -> dirty = ALL_CBLOCKS
	:: else
	fi;
	clearable = (POWER -> known : 0);
	for (i : 0 .. 1) {
		if
		:: w[i].stage > DECIDED && RULE(C1_QUIET) && (RULE(C1_LEGS) || w[i].stage != AT_CACHE) ->
			clearable = clearable & ~REGION(BLOCK(w[i].sector))
		:: else
		fi
	}
}

inline commit_begins()
{
	commits++;
	step = (POWER -> FLUSH_CACHE : PAGES);
	take_snapshot();
	printf("commit: snapshot, pages %d, removed %d, clearable region marks %d\n", dirty, removed, clearable)
}

inline stop_begins()
{
	stops++;
	stopping = true;
	step = (RULE(S1_FLUSH) -> FLUSH_CACHE : PAGES);
	take_snapshot();
	printf("stop: all parked, snapshot\n")
}

/* C9: clear nothing, free nothing; what was written stays dirty. */
inline abort_commit()
{
	printf("commit aborted\n");
	if
	:: RULE(C9_DIRTY) -> redo = redo | dirty
	:: else
	fi;
	if
	:: RULE(C9_NOTHING)
	:: else -> free_removed()
	fi;
	forget_attempt();
	stopping = false
}

inline forget_attempt()
{
	step = 0;
	for (i : 0 .. CBLOCKS - 1) {
		snapshot[i] = 0
	}
	dirty = 0;
	removed = 0;
	clearable = 0
}

/* ---- C3 to C5 ----------------------------------------------------------------------------------------- */

/* C3: not issued where nothing was written since the last good one. */
inline commit_flushes_cache()
{
	printf("commit: cache flushed\n");
	if
	:: unflushed_cache && RULE(C3_CACHE) -> flush_cache()
	:: else
	fi;
	step = FLUSH_ORIGIN
}

inline commit_flushes_origin()
{
	printf("commit: origin flushed\n");
	if
	:: unflushed && RULE(C3_ORIGIN) -> flush_origin()
	:: else
	fi;
	step = PAGES;
	if
	:: RULE(C1_INSTANT)
	:: else -> take_snapshot()
	fi;
	if
	:: RULE(C7_LAST)
	:: else -> clear_regions()
	fi
}

inline commit_writes_page()
{
	c = step - PAGES;
	printf("commit: page of cblock %d\n", c);
	if
	:: dirty & BIT(c) ->
		if
		:: RULE(C1_COPY)
		:: else -> snapshot[c] = map[c]
		fi;
		n = (committed_slot >> c) & 1;
		slot[2 * c + (RULE(C4_SLOT) -> 1 - n : n)] = PAGE(generation + 1, snapshot[c])
	:: else
	fi;
	if
	:: c + 1 < CBLOCKS -> step++
	:: else ->
		step = (FLUSHES && RULE(C4_FLUSH) -> FLUSH_PAGES : FIRST_COPY);
		if
		:: RULE(C6_FREE)
		:: else -> free_removed()
		fi
	fi
}

inline commit_flushes(next)
{
	printf("commit: metadata flushed\n");
	if
	:: step == FLUSH_FIRST && !RULE(C5_FLUSH)
	:: else -> flush_metadata()
	fi;
	step = next;
	if
	:: step == SECOND_COPY && !RULE(C5_WAIT) -> free_removed(); removed = 0; clear_regions()
	:: else
	fi
}

inline write_super(copy, clean)
{
	k = copy;
	super[k] = SUPER(generation + 1, clean, boot);
#if DIGEST
	for (i : 0 .. CBLOCKS - 1) {
		n = (committed_slot >> i & 1) ^ (dirty >> i & 1);
		digest[2 * i + k] = slot[2 * i + n]
	}
#endif
}

inline mirror_super()
{
	k = NEWEST;
	super[1 - k] = super[k];
#if DIGEST
	for (i : 0 .. CBLOCKS - 1) {
		digest[2 * i + 1 - k] = digest[2 * i + k]
	}
#endif
}

inline commit_writes_first_copy()
{
	write_super((RULE(C5_TARGET) -> 1 - NEWEST : NEWEST), stopping);
	printf("commit: superblock copy %d, generation %d\n", k, generation + 1);
	step = (FLUSHES -> FLUSH_FIRST : SECOND_COPY);
	if
	:: step == SECOND_COPY && !RULE(C5_WAIT) -> free_removed(); removed = 0
	:: else
	fi
}

inline commit_writes_second_copy()
{
	printf("commit: the other superblock copy\n");
	if
	:: RULE(C5_SECOND) -> mirror_super()
	:: else
	fi;
	step = (FLUSHES -> FLUSH_SECOND : FINISH)
}

/* ---- C6, C7 ------------------------------------------------------------------------------------------- */

/* C6 c and d, F3: only R; where a request that decided on the cblock is in flight, its end frees it (leave). */
inline free_removed()
{
	for (i : 0 .. CBLOCKS - 1) {
		if
		:: state[i] == REMOVED && ((removed & BIT(i)) || !RULE(C2_REMOVED)) ->
			if
			:: USED(i) && RULE(F3_USERS) -> state[i] = LEAVING
			:: else ->
				state[i] = FREE;
				if
				:: RULE(F3_CLEAR)
				:: else -> late_clear = late_clear | BIT(i)
				fi
			fi
		:: else
		fi
	}
}

inline clear_regions()
{
	region = region & ~clearable;
	if
	:: RULE(C7_OWN) -> known = known & ~clearable
	:: else
	fi;
	clearable = 0
}

inline commit_finishes()
{
	printf("commit: done, cblocks freed, marks cleared\n");
	generation++;
	for (i : 0 .. CBLOCKS - 1) {
		committed[i] = snapshot[i]
	}
	if
	:: RULE(C6_TOGGLE) -> committed_slot = committed_slot ^ dirty
	:: else
	fi;
	free_removed();
	clear_regions();
	forget_attempt();
	redo = 0;
	if
	:: stopping -> forget()		/* the process ends */
	:: else
	fi
}

/* ---- C9: failures ------------------------------------------------------------------------------------- */

#define MAY_FAIL_METADATA (bad_metadata < FAIL_METADATA)

/*
 * After the superblock was issued nothing is known: every mapping goes, for good; W5: every busy mark is set.  A
 * stop is over in any case (S1).
 */
inline outcome_unknown()
{
	printf("commit: superblock fails, outcome unknown\n");
	bad_metadata++;
	if
	:: stopping && RULE(S1_SILENT) -> forget()
	:: else ->
		if
		:: RULE(C9_FREEZE) ->
			freeze();
			step = 0;
			dirty = 0;
			removed = 0;
			clearable = 0;
			stopping = false
		:: else -> abort_commit()
		fi
	fi
}

/* W5: a busy mark cannot be stored.  Kill mode knows no other, so it is noted elsewhere before the next write. */
inline marks_fail()
{
	bad_metadata++;
	if
	:: step -> abort_commit()
	:: else
	fi;
	unmarked = true;
	freeze();
	printf("no mark can be stored any more: bypass\n")
}

inline freeze()
{
	frozen = true;
	for (c : 0 .. CBLOCKS - 1) {
		unmap(c)
	}
	if
	:: filling -> fill_void = true
	:: else
	fi;
	store_busy_page(true)
}
