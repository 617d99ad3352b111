/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What readers see: one sector of one block, its writes one after the other (W1), and another block that takes the
 * cblock over as soon as it is free.  Values are versions: a read or an answered write raises the floor, and no
 * read that begins afterwards may return less.  So two reads with no write between them agree, and an answered
 * write is seen (DESIGN I10).
 *
 *	-DACK_ORIGIN=1		--ack origin: a write is answered after its origin leg
 *	-DREADS_PASS=1		reads do not wait for writes: right with --ack both only, and only with L1_READS
 *	-DWITHOUT=name		one of the rules below left out
 */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define RULE(name) (WITHOUT != name)
#define W4_FIRST	1	/* the cache leg starts after the origin leg has succeeded */
#define W4_REMOVE	2	/* a failed leg takes the mapping away before the answer */
#define L1_READS	3	/* promotion and demotion wait for the reads of the block */
#define F3_READS	4	/* a cblock is free only when the reads that decided on it have ended */
#define F1_WRITES	5	/* a fill excludes writes */
#define W1_READS	6	/* a read waits for the write that holds its range */

#ifndef ACK_ORIGIN
#define ACK_ORIGIN 0
#endif
#ifndef READS_PASS
#define READS_PASS 0
#endif
#define WRITES 2
#define READS 3
#define FAILURES 1		/* of each leg */
#define FILLS 1
#define STRANGER 7		/* the cblock holds another block's data */

byte origin, cache;
bool mapped = true;
bool taken;			/* the cblock is another block's, or was and is free */

byte leg;			/* of the write under way */
#define NONE 0
#define AT_ORIGIN 1
#define AT_CACHE 2
byte version;
bool hit;

byte reading[2];		/* 0, or where the read decided to read from */
#define FROM_ORIGIN 1
#define FROM_CACHE 2
byte floor_then[2];		/* the floor when it began */
byte floor;

bool filling;
byte fill_version;

byte writes, reads, bad_origin, bad_cache, fills;

#define RAISE(to) floor = (floor < (to) -> (to) : floor)
#define ANY_READ (reading[0] || reading[1])
#define CACHE_READ (reading[0] == FROM_CACHE || reading[1] == FROM_CACHE)

inline write_ends()
{
	leg = NONE;
	hit = false
}

inline origin_leg_ends()
{
	printf("origin leg of version %d ends\n", version);
	origin = version;
	if
	:: !hit || ACK_ORIGIN || !RULE(W4_FIRST) -> RAISE(version)
	:: else
	fi;
	if
	:: hit && RULE(W4_FIRST) -> leg = AT_CACHE
	:: else -> write_ends()
	fi
}

inline cache_leg_ends()
{
	printf("cache leg of version %d ends\n", version);
	cache = version;
	if
	:: RULE(W4_FIRST) ->
		RAISE(version);
		write_ends()
	:: else -> leg = AT_ORIGIN
	fi
}

inline leg_fails(errors)
{
	printf("leg %d of version %d fails\n", leg, version);
	errors++;
	if
	:: hit && RULE(W4_REMOVE) -> mapped = false
	:: else
	fi;
	if
	:: leg == AT_CACHE && RULE(W4_FIRST) -> RAISE(version)		/* success: the origin has it */
	:: else
	fi;
	write_ends()
}

#define MAY_READ(i) (reads < READS && !reading[i] && !filling && (leg == NONE || READS_PASS || !RULE(W1_READS)))

inline read_begins(i)
{
	reads++;
	reading[i] = (mapped -> FROM_CACHE : FROM_ORIGIN);
	floor_then[i] = floor;
	printf("read %d begins, from %d\n", i, reading[i])
}

#define RESULT(i) (reading[i] == FROM_CACHE -> cache : origin)

inline read_ends(i)
{
	printf("read %d returns version %d, at least %d is right\n", i, RESULT(i), floor_then[i]);
	assert(reading[i] == FROM_ORIGIN || cache != STRANGER);
	assert(RESULT(i) >= floor_then[i]);
	RAISE(RESULT(i));
	reading[i] = 0;
	floor_then[i] = 0
}

#define QUIET (leg == NONE && (!RULE(L1_READS) || !ANY_READ))

init {
end:	do
	:: d_step { leg == NONE && writes < WRITES && (!filling || !RULE(F1_WRITES)) ->
		writes++;
		version = writes;
		hit = mapped;
		leg = (hit && !RULE(W4_FIRST) -> AT_CACHE : AT_ORIGIN);
		printf("write of version %d begins, hit %d\n", version, hit) }
	:: d_step { leg == AT_ORIGIN -> origin_leg_ends() }
	:: d_step { leg == AT_CACHE -> cache_leg_ends() }
	:: d_step { leg == AT_ORIGIN && bad_origin < FAILURES -> leg_fails(bad_origin) }
	:: d_step { leg == AT_ORIGIN && bad_origin < FAILURES -> origin = version; leg_fails(bad_origin) }
	:: d_step { leg == AT_CACHE && bad_cache < FAILURES -> leg_fails(bad_cache) }
	:: d_step { leg == AT_CACHE && bad_cache < FAILURES -> cache = version; leg_fails(bad_cache) }
	:: d_step { MAY_READ(0) -> read_begins(0) }
	:: d_step { MAY_READ(1) -> read_begins(1) }
	:: d_step { reading[0] -> read_ends(0) }
	:: d_step { reading[1] -> read_ends(1) }
	:: d_step { mapped && QUIET -> mapped = false; printf("demoted\n") }
	:: d_step { !mapped && !taken && leg == NONE && (!RULE(F3_READS) || !CACHE_READ) ->
		taken = true; cache = STRANGER; printf("removal committed, cblock reused\n") }
	:: d_step { !mapped && taken && QUIET && !filling && fills < FILLS ->
		fills++; filling = true; fill_version = origin; printf("fill reads version %d\n", origin) }
	:: d_step { filling ->
		cache = fill_version; fill_version = 0; filling = false;
		mapped = true; taken = false; printf("fill published\n") }
	od
}
