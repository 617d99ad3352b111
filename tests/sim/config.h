/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one seed chooses: the stores, the engine's options, how the workload looks, and which kinds of events there
 * are and how often.  Kinds are switched off at random, since some trouble is only met where other trouble does not
 * stop it first; the shrinker switches more of them off.
 */
#ifndef SIM_CONFIG_H
#define SIM_CONFIG_H

#include "base/random.h"
#include "cachewt.h"

/*
 * name, for --without and the trace; how many of 8 seeds have it; its weight among the events where it is one by
 * itself
 */
#define SIM_KINDS(K) \
	K(READ, "read", 8, 0)			/* requests */ \
	K(WRITE, "write", 8, 0) \
	K(PUNCH, "punch", 4, 0) \
	K(ZERO, "zero", 4, 0) \
	K(FLUSH, "flush", 6, 0) \
	K(SUBMIT, "submit", 8, 120)		/* any of the above */ \
	K(TURN, "turn", 8, 100)			/* one turn of one loop */ \
	K(STEP, "step", 8, 100)			/* one transfer of one device takes effect */ \
	K(JOB, "job", 8, 30)			/* one job, or one step of a commit */ \
	K(TIME, "time", 7, 15) \
	K(STALE, "stale", 6, 5)			/* late clears of marks are written */ \
	K(REST, "rest", 7, 6)			/* everything comes to rest; all checks */ \
	K(MESSAGE, "message", 4, 5) \
	K(ORIGIN_FAULT, "origin-fault", 3, 4)	/* the n-th operation of that store fails */ \
	K(CACHE_FAULT, "cache-fault", 3, 4) \
	K(METADATA_FAULT, "metadata-fault", 3, 2) \
	K(LOSS, "loss", 3, 5)			/* a flush of the origin or cache fails and takes data with it */ \
	K(CLEAR, "clear", 8, 6)			/* faults end */ \
	K(KILL, "kill", 5, 1) \
	K(POWER, "power", 5, 1) \
	K(LAST, "last", 5, 2)			/* an operation to come is the last one: kill or power cut in a blocking call */ \
	K(RESTART, "restart", 5, 1)		/* orderly */ \
	K(RESET, "reset", 2, 0)			/* with --reset */ \
	K(MODE, "mode", 2, 0)			/* a start in another mode */ \
	K(ROT, "rot", 2, 0)			/* a page of mappings or region marks is spoilt while nobody looks */ \
	K(READ_ONLY, "read-only", 2, 0)		/* a start that may not write the origin */ \
	K(BEHIND, "behind", 2, 0)		/* the origin is changed while it is not mounted */ \
	K(RECOVERY, "recovery", 4, 0)		/* crashes during a start */ \
	K(EARLY, "early", 6, 0)			/* most writes are answered when the origin has them */ \
	K(SYNC, "sync", 4, 0)			/* some writes are synchronous */

enum sim_kind {
#define K(id, name, of8, weight) SIM_##id,
	SIM_KINDS(K)
#undef K
	SIM_NR_KINDS
};

extern const char *const sim_kind_names[SIM_NR_KINDS];

enum sim_align { SIM_BLOCKS, SIM_SECTORS, SIM_BYTES };

struct config {
	uint64_t seed;
	uint32_t block_size, nr_cblocks, origin_size;
	uint32_t origin_align, cache_align;
	bool cache_buffered;
	unsigned nr_loops;
	enum cwt_mode mode;
	const char *policy;
	uint32_t commit_interval_ms;
	bool warm_after_power;
	unsigned region_blocks;		/* a region mark stands for this many, a power of two */

	unsigned nr_events, max_requests;
	enum sim_align align;		/* of the workload */
	unsigned hot_blocks;		/* most requests go there */
	unsigned read_weight, write_weight;
	unsigned weight[SIM_NR_KINDS];	/* 0: switched off by the seed */
	uint32_t without;		/* a bit per kind that is left out where it is chosen: the rest stays as it is */
};

static inline bool config_has(const struct config *c, enum sim_kind kind)
{
	return c->weight[kind] && !(c->without >> kind & 1);
}

void config_choose(struct config *c, uint64_t seed, uint32_t without);
void config_print(const struct config *c);
/* A stream of its own for each use, so that leaving one out changes no other. */
struct random config_random(const struct config *c, uint64_t use);

static inline bool one_in(struct random *r, uint64_t n) { return random_below(r, n) == 0; }
static inline uint64_t random_from(struct random *r, uint64_t lo, uint64_t hi)
{
	return lo + random_below(r, hi - lo + 1);
}

#endif
