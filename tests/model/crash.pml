/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a process: a kill leaves what is visible, a power cut what is durable and any of the rest.  Legs in
 * flight land or do not.  (A dead process's I/O has ended before the next one starts: R0.)
 */

inline forget()
{
	phase = DOWN;
	start = 0;
	for (i : 0 .. CBLOCKS - 1) {
		map[i] = 0;
		state[i] = FREE;
		committed[i] = 0;
		snapshot[i] = 0
	}
	committed_slot = 0;
	generation = 0;
	for (i : 0 .. 1) {
		w[i].stage = IDLE;
		w[i].sector = 0;
		w[i].value = 0;
		w[i].c = 0
	}
	filling = 0;
	fill_void = false;
	fill_block = 0;
	fill_c = 0;
	for (i : 0 .. SECTORS - 1) {
		fill_value[i] = 0
	}
	unflushed = 0;
	unflushed_cache = 0;
	known = 0;
	failed = 0;
	frozen = false;
	unmarked = false;
	stopping = false;
	step = 0;
	removed = 0;
	clearable = 0;
	dirty = 0;
	redo = 0;
	late_clear = 0;
#if FSYNCS
	for (i : 0 .. SECTS - 1) {
		if
		/* the user has had E2's errno, which ends with the mount */
		:: sticky -> recent[i] = recent[i] | BIT(origin[i])
		:: else
		fi
	}
	sticky = false
#else
	skip
#endif
}

/* ---- Kill --------------------------------------------------------------------------------------------- */

/* Not between the failure of an origin flush and its handling: the known limit, which -DWITHOUT=KNOWN_LIMIT shows. */
#define MAY_KILL (phase != DOWN && kills < KILLS && (!failed || !RULE(KNOWN_LIMIT)))

inline leg_lands_or_not(i)
{
	if
	:: true
	:: w[i].stage == AT_ORIGIN -> d_step { origin_stores(i) }
	:: w[i].stage == AT_CACHE -> d_step { cache_stores(i) }
	fi
}

inline fill_lands_in_part()
{
	x = 0;
	do
	:: filling == 1 && x < SECTORS ->
		if
		:: true
		:: d_step {
			n = fill_c * SECTORS + x;
			cache[n] = fill_value[x];
			cache_may[n] = cache_may[n] | BIT(fill_value[x])
		}
		fi;
		x++
	:: else -> break
	od;
	x = 0
}

inline killed()
{
	kills++;
	forget();
	printf("KILL\n")
}

/* ---- Power cut ---------------------------------------------------------------------------------------- */

/* While no process runs a cut is worth exploring, too: recovery's writes may be unflushed. */
#define MAY_CUT (cuts < CUTS)

inline legs_may_land()
{
	for (k : 0 .. 1) {
		if
		:: w[k].stage == AT_ORIGIN -> origin_may[w[k].sector] = origin_may[w[k].sector] | BIT(w[k].value)
		:: w[k].stage == AT_CACHE ->
			n = (w[k].c - 1) * SECTORS + w[k].sector % SECTORS;
			cache_may[n] = cache_may[n] | BIT(w[k].value)
		:: else
		fi
	}
	for (i : 0 .. SECTORS - 1) {
		if
		:: filling ->
			n = fill_c * SECTORS + i;
			cache_may[n] = cache_may[n] | BIT(fill_value[i])
		:: else
		fi
	}
}

/* A page or a superblock copy not flushed: the old one, the new one, or torn. */
#define SETTLE_PAGES(now, durable, pages) \
	x = 0; \
	do \
	:: x < pages -> \
		if \
		:: true \
		:: now[x] != durable[x] -> now[x] = durable[x] \
		:: now[x] != durable[x] && now[x] && durable[x] -> now[x] = 0 \
		fi; \
		d_step { \
			durable[x] = now[x]; \
			x++ \
		} \
	:: else -> break \
	od; \
	x = 0

/* Marks are single bits: each one not flushed is as it was or as it is.  Busy marks are never flushed: anything. */
inline settle_marks()
{
	x = 0;
	do
	:: x < REGIONS ->
		if
		:: true
		:: (region ^ region_durable) & BIT(x) -> region = region ^ BIT(x)
		fi;
		x++
	:: else -> break
	od;
	if
	:: true
	:: busy -> busy = 0
	fi
}

inline cut()
{
	region_durable = region;
#if FSYNCS
	for (i : 0 .. SECTS - 1) {
		recent[i] = BIT(origin[i])	/* what no fsync covered may change at a cut, and only there (I10) */
	}
#endif
	cuts++;
	boot++;
	forget();
	printf("POWER CUT\n")
}

/* ---- Rot ---------------------------------------------------------------------------------------------- */

/* One copy at a time: with both unreadable there is no mapping to be wrong (R7). */
#define MAY_ROT(k) (phase == DOWN && rots < ROTS && super[k] && (super[1 - k] || ROTS > 1))

inline super_rots(k)
{
	printf("superblock copy %d rots\n", k);
	rots++;
	super[k] = 0;
	super_durable[k] = 0
}

inline slot_rots(k)
{
	printf("slot %d rots\n", k);
	rot_slots++;
	slot[k] = 0;
	slot_durable[k] = 0
}
