/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fsync and failing flushes (E1, E2, E3).
 *
 * A failed flush leaves each sector that was not yet durable as any of the values it could have after a power cut,
 * for good: some pages were written, others dropped.  The model goes on as if "origin-ok" were said at once, which
 * is more than the rules ask for: they bypass the cache until then.
 */

#define MAY_FLUSH (!failed || !RULE(E1_SERIAL))

#if FSYNCS
#define MAY_FSYNC (phase == RUN && fsyncs < FSYNCS && !stopping && MAY_FLUSH)

inline fsync_succeeds()
{
	fsyncs++;
	flush_origin();
	if
	:: sticky && RULE(E2_STICKY) -> printf("fsync: the old error again\n")
	:: else ->
		printf("fsync succeeds\n");
		for (i : 0 .. SECTS - 1) {
			allowed[i] = recent[i]
		}
	fi
}
#endif

#define MAY_FAIL_FLUSH (bad_origin_flush < FAIL_ORIGIN_FLUSH && !failed && phase == RUN)
#define FSYNC_MAY_FAIL (MAY_FAIL_FLUSH && !stopping && unflushed)

/* What is left of a store when its flush has failed; atomic, with one choice per sector. */
#define SETTLE(value, may, sectors) \
	x = 0; \
	do \
	:: x < sectors -> \
		if \
		:: may[x] & 1 -> value[x] = 0 \
		:: may[x] & 2 -> value[x] = 1 \
		:: may[x] & 4 -> value[x] = 2 \
		:: may[x] & 8 -> value[x] = 3 \
		:: may[x] & 16 -> value[x] = 4 \
		:: may[x] & 32 -> value[x] = 5 \
		:: may[x] & 64 -> value[x] = 6 \
		:: may[x] & 128 -> value[x] = 7 \
		fi; \
		d_step { \
			may[x] = BIT(value[x]); \
			x++ \
		} \
	:: else -> break \
	od; \
	x = 0

/* Nobody reads between the failure's return and this: the engine handles it before it answers anyone. */
inline origin_flush_handled()
{
	printf("failed origin flush handled\n");
	if
	:: RULE(E1_KEEP)
	:: else -> flush_origin()		/* what the flush took is not put back */
	fi;
	for (c : 0 .. CBLOCKS - 1) {
		if
		:: map[c] && (unflushed & BIT(map[c] - 1)) && RULE(E2_REMOVE) -> unmap(c)
		:: else
		fi
	}
	if
	:: filling && RULE(E2_FILLS) -> fill_void = true
	:: else
	fi;
	if
	:: (failed == BY_COMMIT || (step && step <= FIRST_COPY)) && RULE(E2_ABORT) -> abort_commit()
	:: else ->
		if
		:: RULE(E2_MARKS) -> clearable = 0
		:: else
		fi
	fi;
	failed = 0;
	if	/* what W5 and R7 say of the next write holds for this, too: the origin has changed below the mappings */
	:: frozen && RULE(E_VOID) -> void_all = true
	:: else
	fi;
#if FSYNCS
	sticky = true;
#endif
	if
	:: RULE(E_STORE) -> store_busy_page(true)
	:: else
	fi
}

inline cache_flush_handled()
{
	printf("failed cache flush handled\n");
	u = unflushed_cache;
	flush_cache();
	for (c : 0 .. CBLOCKS - 1) {
		if
		:: (u & BIT(c)) && RULE(E3_REMOVE) -> unmap(c)
		:: else
		fi
	}
	if
	:: filling && RULE(E3_FILLS) -> fill_void = true
	:: else
	fi;
	if
	:: RULE(E3_ABORT) -> abort_commit()
	:: else -> step = FLUSH_ORIGIN
	fi;
	if
	:: RULE(E_STORE) -> store_busy_page(true)
	:: else
	fi
}
