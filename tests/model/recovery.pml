/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A start: recovery is one commit, and nothing else happens before it is durable (R3 to R7).  A crash may come
 * between any two of its steps.
 */

/* R3: the newest slot not above the superblock's generation is the page of cblock c; 0 if there is none. */
inline choose_slot(c)
{
	n = 2;
	for (j : 0 .. 1) {
		if
		:: slot[2 * c + j] && PAGE_GEN(slot[2 * c + j]) <= generation &&
		   (n == 2 || PAGE_GEN(slot[2 * c + j]) > PAGE_GEN(slot[2 * c + n])) -> n = j
		:: else
		fi
	}
}

inline load()
{
	k = (RULE(R3_NEWEST) || !super[1 - NEWEST] -> NEWEST : 1 - NEWEST);
	generation = SUPER_GEN(super[k]);
	u = 0;					/* the digest differs, or W5's note was found: drop all */
	if
	:: !super[k] -> start = OTHER_BOOT	/* R7: cold; with generation 0 every slot is above it */
	:: SUPER_CLEAN(super[k]) -> start = CLEAN
	:: !SUPER_CLEAN(super[k]) && super[k] && SUPER_BOOT(super[k]) == boot -> start = SAME_BOOT
	:: else -> start = OTHER_BOOT
	fi;
	for (c : 0 .. CBLOCKS - 1) {
		choose_slot(c);
		if
		:: n < 2 ->
			committed[c] = PAGE_MAPPING(slot[2 * c + n]);
			committed_slot = committed_slot & ~BIT(c) | n << c
		:: else
		fi;
#if DIGEST
		if
		:: digest[2 * c + k] != (n < 2 -> slot[2 * c + n] : 0) && RULE(R3_DIGEST) -> u = 1
		:: else
		fi;
#endif
	}
	if
	:: void_all -> u = 1
	:: else
	fi;
	for (c : 0 .. CBLOCKS - 1) {
		if
		:: !committed[c] || u ||
		   (start == SAME_BOOT && (busy & BIT(c)) && RULE(R3_DROP)) ||
		   (start == OTHER_BOOT && (!POWER || (region & REGION(committed[c] - 1))) && RULE(R3_DROP))
		:: else ->
			map[c] = committed[c];
			state[c] = MAPPED
		fi
	}
	printf("start: superblock copy %d, generation %d, %e\n", k, generation, start);
	phase = LOADED;
	if
	:: RULE(R5_BUSY)
	:: else -> busy = 0
	fi;
	if	/* without R4 the boot id is made durable first, the drops only by the next commit */
	:: RULE(R4_TOGETHER) || start == SAME_BOOT
	:: else -> super[k] = SUPER(generation, 0, boot); super_durable[k] = super[k]
	fi
}

inline erase_slots()
{
	printf("start: slots above generation %d erased\n", generation);
	for (i : 0 .. 2 * CBLOCKS - 1) {
		if
		:: PAGE_GEN(slot[i]) > generation && (generation -> RULE(R3_ERASE) : RULE(R7_ERASE)) -> slot[i] = 0
		:: else
		fi
	}
	phase = ERASED
}

inline recovery_writes_pages()
{
	printf("start: changed pages written\n");
	for (i : 0 .. CBLOCKS - 1) {
		if
		:: map[i] != committed[i] ->
			dirty = dirty | BIT(i);
			slot[2 * i + 1 - (committed_slot >> i & 1)] = PAGE(generation + 1, map[i])
		:: else
		fi
	}
	phase = PAGED;
	if
	:: RULE(R5_REGION) || start == SAME_BOOT
	:: else -> region = 0
	fi;
	if
	:: RULE(R3_BEFORE)
	:: else -> recovery_ends()
	fi
}

inline recovery_writes_super()
{
	printf("start: superblock generation %d\n", generation + 1);
	write_super((RULE(C5_TARGET) -> 1 - NEWEST : NEWEST), 0);
	phase = FIRST
}

inline recovery_writes_second()
{
	printf("start: flushed, and the other copy\n");
	if
	:: RULE(C8_UNCLEAN) -> flush_metadata()
	:: else
	fi;
	mirror_super();
	phase = SECOND
}

/* R5, R6; the latter after any start: also a cold one (R7) may follow a kill, with the stores in the page cache. */
inline recovery_ends()
{
	printf("start: flushed, done\n");
	if
	:: RULE(C8_UNCLEAN) -> flush_metadata()
	:: else
	fi;
	generation++;
	committed_slot = committed_slot ^ dirty;
	dirty = 0;
	for (i : 0 .. CBLOCKS - 1) {
		committed[i] = map[i]
	}
	busy = 0;
	void_all = false;
	if
	:: start == SAME_BOOT && RULE(R6_REGION)
	:: else -> region = 0
	fi;
	known = region_durable & region;
	if
	:: start == SAME_BOOT || RULE(R7_UNFLUSHED) ->
		unflushed = (RULE(R6_ORIGIN) -> ALL_BLOCKS : 0);
		unflushed_cache = (RULE(R6_CACHE) -> ALL_CBLOCKS : 0)
	:: else
	fi;
	start = 0;
	phase = RUN
}

/*
 * R7: recovery's commit fails, before its superblock was written or with unknown outcome: the process serves
 * without any mapping and never writes the metadata.  The generations that a later start may find are the old and
 * the new one (W3 d).
 */
inline recovery_fails()
{
	printf("start: the commit fails; bypass\n");
	bad_metadata++;
	for (i : 0 .. CBLOCKS - 1) {
		snapshot[i] = map[i]
	}
	dirty = 0;
	if
	:: start == SAME_BOOT -> known = region_durable & region
	:: else
	fi;
	phase = RUN;
	if
	:: RULE(R7_BYPASS) -> freeze()
	:: else -> frozen = true
	fi
}

/* W5 by R2's means, the origin's session or the cache's label. */
inline void_durably()
{
	printf("all mappings made void, durably\n");
	void_all = true
}
