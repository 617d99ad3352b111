/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: the two legs of a write, promotion and demotion.
 *
 * A write enters its cell, decides and marks in one step: nothing of it is visible to others before its first leg
 * is issued, so a crash between is the same as one before.  Each leg ends in a step of its own.
 */

/* ---- A write enters (W1, W2, W3) ---------------------------------------------------------------------- */

/* W1: the ranges held; only without a rule does a range count as free while a leg is in flight. */
#define HOLDS(i, s) (AT(i, s) && RULE(W1_OVERLAP) && (RULE(W1_HOLD) || w[i].stage != AT_CACHE))
#define HELD(s) (HOLDS(0, s) || HOLDS(1, s))
/* F1: a fill makes the writes of its block wait, or is voided by them. */
#define FILL_HOLDS(o) (filling && fill_block == (o) && !VOID_FILLS && RULE(F1_WRITES))

/* W3 a to d.  A block that is mapped nowhere needs no mark: no start can find a mapping of it. */
#define NEEDS_REGION(o, hit) \
	(POWER && (((hit) && RULE(W3_MAPPED)) || \
	 (IN(committed, o) && RULE(W3_COMMITTED) && (!frozen || RULE(W3_UNKNOWN))) || \
	 (IN(snapshot, o) && (frozen -> RULE(W3_UNKNOWN) : RULE(W3_SNAPSHOT)))))
/*
 * W5: no region mark can be stored once the metadata is frozen, perhaps no busy mark either; then only a note
 * elsewhere that voids all mappings lets the write go on.  R7: likewise where recovery's commit failed: its
 * superblock may be one that was never durable, and what a later start finds instead may be older than all marks,
 * or clean.
 */
#define UNMARKABLE(o) (frozen && !void_all && \
	((NEEDS_REGION(o, false) && !(known & REGION(o)) && RULE(W5_VOID)) || \
	 (unmarked && RULE(W5_BUSY)) || (start && RULE(R7_VOID))))

inline issue_origin_leg(i)
{
	w[i].stage = AT_ORIGIN;
	store_busy_page(false)			/* B2, and with it W2 */
}

inline decide(s)
{
	c = 0;
	for (j : 0 .. CBLOCKS - 1) {
		if
		:: map[j] == BLOCK(s) + 1 -> c = j + 1
		:: else
		fi
	}
}

inline enter(i)
{
	b = BLOCK(w[i].sector);
	c = w[i].c;
	if
	:: c || RULE(E1_MISSES) -> unflushed = unflushed | BIT(b)		/* E1 */
	:: else
	fi;
	if
	:: c -> unflushed_cache = unflushed_cache | BIT(c - 1)			/* E3 */
	:: else
	fi;
	if
	:: filling && fill_block == b && VOID_FILLS && RULE(F1_WRITES) -> fill_void = true
	:: else
	fi;
	w[i].stage = MARKING;
	if
	:: NEEDS_REGION(b, c) ->
		if
		:: RULE(C2_REGION) -> clearable = clearable & ~REGION(b)	/* C2 */
		:: else
		fi;
		if
		:: (known & REGION(b)) || frozen -> issue_origin_leg(i)
		:: else -> region = region | REGION(b)
		fi
	:: else -> issue_origin_leg(i)
	fi;
#if FSYNCS
	recent[w[i].sector] = recent[w[i].sector] | BIT(w[i].value);
	allowed[w[i].sector] = allowed[w[i].sector] | BIT(w[i].value);
#endif
	printf("request %d: write of value %d to sector %d, cblock + 1 = %d\n", i, w[i].value, w[i].sector, w[i].c)
}

#define MAY_WRITE (phase == RUN && writes < WRITES && !stopping && (w[0].stage == IDLE || w[1].stage == IDLE))

inline write_begins(s)
{
	r = (w[0].stage == IDLE -> 0 : 1);
	if
	:: HELD(s) || FILL_HOLDS(BLOCK(s)) || UNMARKABLE(BLOCK(s))		/* parked */
	:: else ->
		decide(s);
		w[r].sector = s;
		w[r].value = SECTS + writes;
		w[r].c = c;
		writes++;
		if
		:: RULE(W1_DECIDE) -> enter(r)
		:: else -> w[r].stage = DECIDED; printf("request %d looks sector %d up: cblock + 1 = %d\n", r, s, c)
		fi
	fi
}

/* W1_DECIDE left out: the bug of 2013.  The request enters with what it found before it counted. */
inline late_entry(i)
{
	if
	:: HELD(w[i].sector) || FILL_HOLDS(BLOCK(w[i].sector))
	:: else -> enter(i)
	fi
}

/* ---- Region marks: one flush serves all that wait (W3, "Durable") ------------------------------------- */

#define STAGE(s) (w[0].stage == (s) || w[1].stage == (s))
#define MARK_FLUSH_DUE (STAGE(MARKING) && !STAGE(FLUSHING) && !frozen)

inline mark_flush_issued()
{
	flush_metadata();
	for (i : 0 .. 1) {
		if
		:: w[i].stage == MARKING -> w[i].stage = FLUSHING
		:: else
		fi
	}
	printf("flush of the region marks issued\n")
}

/* W5 may have been met meanwhile: then a waiting write goes on only when all mappings are void. */
#define MARKED_IN_TIME (STAGE(FLUSHING) && (!unmarked || void_all || !RULE(W5_BUSY)))
#define MARK_NEEDLESS(i) (w[i].stage == MARKING && frozen && void_all)

inline mark_flush_returned()
{
	for (k : 0 .. 1) {
		if
		:: w[k].stage == FLUSHING || (w[k].stage == MARKING && !RULE(W3_DURABLE)) ->
			known = known | REGION(BLOCK(w[k].sector));
			issue_origin_leg(k)
		:: else
		fi
	}
	printf("flush of the region marks returned: origin legs issued\n")
}

/* ---- The legs end (W4) -------------------------------------------------------------------------------- */

/* The request leaves its cell.  B1: its busy mark goes with the last user; F3: so does the last hold on the cblock. */
inline leave(i)
{
	c = w[i].c;
	w[i].stage = IDLE;
	w[i].sector = 0;
	w[i].value = 0;
	w[i].c = 0;
	if
	:: c && state[c - 1] == LEAVING && !USED(c - 1) -> state[c - 1] = FREE
	:: else
	fi;
	if
	:: c && !RULE(B1_COUNT) -> busy = busy & ~BIT(c - 1)
	:: else
	fi;
	if	/* the two are alike: keep the first one in use, so that equal situations are equal states */
	:: i == 0 && w[1].stage != IDLE ->
		w[0].stage = w[1].stage;
		w[0].sector = w[1].sector;
		w[0].value = w[1].value;
		w[0].c = w[1].c;
		w[1].stage = IDLE;
		w[1].sector = 0;
		w[1].value = 0;
		w[1].c = 0
	:: else
	fi
}

inline origin_stores(i)
{
	origin[w[i].sector] = w[i].value;
	origin_may[w[i].sector] = origin_may[w[i].sector] | BIT(w[i].value)
}

inline cache_stores(i)
{
	n = (w[i].c - 1) * SECTORS + w[i].sector % SECTORS;
	cache[n] = w[i].value;
	cache_may[n] = cache_may[n] | BIT(w[i].value)
}

/* Answered here at the earliest (--ack origin): fsync must keep it from now on. */
inline acknowledge(i)
{
#if FSYNCS
	recent[w[i].sector] = BIT(w[i].value)
#else
	skip
#endif
}

inline origin_leg_ends(i)
{
	printf("origin leg of request %d ends\n", i);
	origin_stores(i);
	acknowledge(i);
	if
	:: w[i].c ->
		w[i].stage = AT_CACHE;
		store_busy_page(false)			/* B2: a leg is issued */
	:: else -> leave(i)
	fi
}

inline cache_leg_ends(i)
{
	printf("cache leg of request %d ends\n", i);
	cache_stores(i);
	leave(i)
}

/* W4: the sector is now the old one or the new one.  The removal is not yet durable; its mark stands. */
inline origin_leg_fails(i, stored)
{
	printf("origin leg of request %d fails, %d stored\n", i, stored);
	bad_origin++;
	if
	:: stored -> origin_stores(i)
	:: else -> origin_may[w[i].sector] = origin_may[w[i].sector] | BIT(w[i].value)
	fi;
	if
	:: w[i].c && RULE(W4_ORIGIN) -> unmap(w[i].c - 1)
	:: else
	fi;
	leave(i)
}

inline cache_leg_fails(i, stored)
{
	printf("cache leg of request %d fails, %d stored\n", i, stored);
	bad_cache++;
	if
	:: stored -> cache_stores(i)
	:: else ->
		n = (w[i].c - 1) * SECTORS + w[i].sector % SECTORS;
		cache_may[n] = cache_may[n] | BIT(w[i].value)
	fi;
	if
	:: RULE(W4_CACHE) -> unmap(w[i].c - 1)
	:: else
	fi;
	leave(i)
}

/* ---- Promotion and demotion (L1, F1, F2, F3) ---------------------------------------------------------- */

#define MAY_FILL (phase == RUN && fills < FILLS && !filling && !stopping && !frozen && !failed)
#define TAKEABLE(cb) (state[cb] == FREE || (!RULE(F2_FREE) && state[cb] == MAPPED))

inline fill_begins(o)
{
	c = (TAKEABLE(0) -> 0 : CBLOCKS - 1);
	if
	:: !IN(map, o) && TAKEABLE(c) && (!WRITING(o) || !RULE(F1_WRITES)) ->
		printf("fill of block %d into cblock %d: origin read\n", o, c);
		fills++;
		filling = 1;
		fill_block = o;
		fill_c = c;
		for (i : 0 .. SECTORS - 1) {
			fill_value[i] = origin[o * SECTORS + i]
		}
		unflushed_cache = unflushed_cache | BIT(c);
		if
		:: RULE(F2_FREE) -> state[c] = FILLING
		:: else
		fi;
		if
		:: RULE(F1_COMPLETE)
		:: else -> state[c] = MAPPED; map[c] = o + 1
		fi
	:: else
	fi
}

inline fill_stores()
{
	for (i : 0 .. SECTORS - 1) {
		n = fill_c * SECTORS + i;
		cache[n] = fill_value[i];
		cache_may[n] = cache_may[n] | BIT(fill_value[i]);
	}
}

/* A step of its own only where a flush may fail between it and the end: else nobody looks at the cblock before. */
inline fill_is_stored()
{
	printf("fill stored\n");
	fill_stores();
	filling = 2
}

inline fill_ends()
{
	printf("fill ends, void %d\n", fill_void);
	if
	:: filling == 1 -> fill_stores()
	:: else
	fi;
	for (i : 0 .. SECTORS - 1) {
		fill_value[i] = 0
	}
	if
	:: fill_void || frozen -> state[fill_c] = FREE
	:: else ->
		state[fill_c] = MAPPED;
		map[fill_c] = fill_block + 1
	fi;
	filling = 0;
	fill_void = false;
	fill_block = 0;
	fill_c = 0
}

/* L1: exclusive with the writes of the block. */
#define MAY_DEMOTE(cb) (phase == RUN && demotions < DEMOTIONS && !stopping && !frozen && state[cb] == MAPPED && \
	(!USED(cb) || !RULE(L1_DEMOTE)))

inline demote(cb)
{
	printf("cblock %d demoted in memory\n", cb);
	demotions++;
	unmap(cb);
	if
	:: RULE(F3_COMMITTED)
	:: else -> state[cb] = FREE
	fi
}
