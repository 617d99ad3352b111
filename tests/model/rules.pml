/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules that can be taken out, one name each; numbers as in cachewtfs-internals(7).
 *
 *	spin -a -DWITHOUT=W2_MARK ... protocol.pml
 *
 * gives the protocol with that rule left out, and pan then finds a way to wrong data.  The texts say
 * what the rule demands; the place that obeys it asks RULE(name).  README.md tells which configuration shows which.
 */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define RULE(name) (WITHOUT != name)

/* Requests */
#define W1_DECIDE	1	/* hit or miss is decided after the request counts as in flight, not before */
#define W1_OVERLAP	2	/* a write waits while another one holds its range */
#define W1_HOLD		3	/* the range is held until the last leg has ended, not only until the origin leg has */
#define W2_MARK		4	/* the busy mark is visible before the origin leg of a hit, not just the cache leg */
#define W3_MAPPED	5	/* (a) a write to a block mapped in memory waits for its durable region mark */
#define W3_COMMITTED	6	/* (b) also one to a block mapped in the last committed generation only */
#define W3_SNAPSHOT	7	/* (c) also one to a block mapped in the running commit's snapshot only */
#define W3_UNKNOWN	8	/* (d) after a commit of unknown outcome both generations count */
#define W3_DURABLE	9	/* the mark is served by a flush issued after it was stored, not by one under way */
#define W4_ORIGIN	10	/* the origin leg of a hit failed: its mapping goes */
#define W4_CACHE	11	/* the cache leg failed: its mapping goes */
#define W5_VOID		12	/* no region mark can be stored: all mappings are made void before the write goes on */
#define W5_BUSY		13	/* no busy mark can be stored: the same */

#define L1_DEMOTE	14	/* a demotion excludes the writes of its block */

/* Busy marks */
#define B1_COUNT	15	/* a mark stands until the last of several writers has left the cblock */
#define B1_REMOVED	16	/* a mark stands from the removal of a mapping until that is committed */
#define B2_FIRST	17	/* a changed mark page is stored before the next leg is issued, by whomever */
#define F3_CLEAR	18	/* a cblock is free only when its busy mark has been cleared: not the other way round */

/* Fill and reuse */
#define F1_WRITES	19	/* a fill excludes, or is voided by, the writes of its block */
#define F1_COMPLETE	20	/* a fill is published when all of it is in the cache */
#define F2_FREE		21	/* only a free cblock is handed out */
#define F3_COMMITTED	22	/* a cblock is free only when the removal of its mapping is committed */
#define F3_USERS	23	/* and when the last request that decided on it has ended */

/* Commit */
#define C1_INSTANT	24	/* the snapshot is taken before the flushes */
#define C1_COPY		25	/* pages are written from copies, not from what is in memory meanwhile */
#define C1_QUIET	26	/* region marks with a write in flight are no candidates for clearing */
#define C2_REGION	27	/* a write that enters takes its region out of the candidates */
#define C2_REMOVED	28	/* what is removed after the snapshot is not freed by this commit */
#define C3_CACHE	29	/* the cache is flushed between snapshot and superblock */
#define C3_ORIGIN	30	/* so is the origin */
#define C4_SLOT		31	/* a page is written to the slot that does not hold its committed version */
#define C4_FLUSH	32	/* the pages are durable before the superblock is written */
#define C5_TARGET	33	/* the first superblock copy written is one that does not hold the newest generation */
#define C5_FLUSH	34	/* it is durable before the other copy is written, and before C6 and C7 */
#define C5_SECOND	35	/* the other copy is written as well */
#define C5_WAIT		36	/* C6 and C7 come after the second copy */
#define C6_FREE		37	/* cblocks are freed, their marks cleared, only after the superblock */
#define C6_TOGGLE	38	/* the committed slot of a written page is the one just written */
#define C7_LAST		39	/* region marks are cleared only after the superblock */
#define C7_OWN		40	/* a cleared mark no longer counts as durable: a new write waits for its own flush */
#define C8_UNCLEAN	41	/* both superblock copies are unclean, durably, before the first operation */
#define C9_DIRTY	42	/* pages written by a commit that failed stay dirty until one succeeds */
#define C9_NOTHING	43	/* a commit that failed frees and clears nothing */
#define C9_FREEZE	44	/* after an unknown outcome the metadata is never written again */

/* Failing flushes */
#define E1_MISSES	45	/* D holds the blocks of misses, too */
#define E1_FLIGHT	46	/* writes in flight stay in D when a flush takes it */
#define E1_KEEP		47	/* a failed flush drops nothing from D */
#define E1_SERIAL	48	/* no origin flush is issued until a failure has been handled */
#define E2_STICKY	49	/* a failed origin flush is answered to every later fsync */
#define E2_REMOVE	50	/* the mappings of the blocks in D go */
#define E2_FILLS	51	/* so do fills under way */
#define E2_ABORT	52	/* and the commit under way, if its superblock is not yet issued */
#define E2_MARKS	53	/* or else it clears no region mark */
#define E3_REMOVE	54	/* a cache flush failed: the mappings written since the last good one go */
#define E3_FILLS	55	/* so do fills under way */
#define E3_ABORT	56	/* and the commit */
#define KNOWN_LIMIT	57	/* not a rule: nobody kills between the failure of an origin flush and its handling */
#define E_STORE		58	/* the busy marks of E2's and E3's removals are stored at once */
#define E_VOID		59	/* with the metadata frozen, a failed flush voids all mappings before it is answered */

/* Recovery and stop */
#define R3_NEWEST	60	/* the newest superblock copy that verifies counts */
#define R3_DIGEST	61	/* the slots chosen must give its set digest, or all mappings are dropped */
#define R3_ERASE	62	/* slots of a generation above the superblock's are erased */
#define R3_DROP		63	/* what carries a mark is dropped */
#define R3_BEFORE	64	/* no request before recovery's superblock is durable */
#define R4_TOGETHER	65	/* the drops and the new boot id become durable by one superblock */
#define R5_BUSY		66	/* busy marks are cleared only after that */
#define R5_REGION	67	/* so are region marks */
#define R6_REGION	68	/* after the same boot region marks stay */
#define R6_ORIGIN	69	/* after the same boot every block of the origin counts as not flushed */
#define R6_CACHE	70	/* and so does every cblock */
#define R7_ERASE	71	/* no superblock verifies: every slot is erased before a superblock is written */
#define R7_UNFLUSHED	72	/* R6_ORIGIN and R6_CACHE hold for a cold start, too */
#define R7_BYPASS	73	/* recovery's own commit failed: no mapping is used */
#define R7_VOID		74	/* and all mappings are made void before the first write */
#define S1_PARK		75	/* the last commit begins when all legs have ended */
#define S1_FLUSH	76	/* and flushes, also where commits do not */
#define S1_SILENT	77	/* no leg is issued after its superblock, whatever fails */

/* --ack origin: the answer comes between the legs, and changes nothing else (see also W1_HOLD) */
#define B1_LEGS		78	/* a mark stands until the cache leg has ended, not only until the answer */
#define C1_LEGS		79	/* a write is in flight, for C1_QUIET, until then */
