/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seam to a policy: what to promote and what to demote.  A policy decides only; it has no devices, no metadata and
 * no locks, and nothing it says can make an answer wrong (I16): the engine may refuse any advice.
 *
 * Locking: all calls but hit() are made under the engine's lock, never concurrently.  hit() may come from several
 * threads at once and beside any other call; it touches only words of its own cblock, with relaxed atomics, and no
 * list.  A hit may also come late, when its cblock was unmapped or given to another block: imprecise, never harmful.
 *
 * Memory: allocated in create(), none later.  Cost: at most 16 bytes per cblock (DESIGN: 32 for all of the engine).
 */
#ifndef CWT_POLICY_POLICY_H
#define CWT_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/types.h"

struct policy;

enum policy_advice { POLICY_SKIP, POLICY_PROMOTE };

#define POLICY_HINT_MAX 255u

/*
 * create    options is what followed the name and the first comma ("" if nothing), e.g. "ghost=50"; -EINVAL with a line
 *           in err that names the option, the value found and the values allowed; -ENOMEM.
 * hit       a read or a write found cblock c mapped.
 * miss      a read or a write missed oblock o; cblocks_free says whether a promotion would need no demotion.
 *           POLICY_PROMOTE for a write is advice for the next read: the engine fills from reads only.
 * mapped    c, which held none, now holds o: promoted (hint 0), or loaded at start with the hint of the last stop.
 * unmapped  c no longer holds a block: demoted, invalidated.
 * victim    propose the next mapped block to demote; false: none is mapped.  The engine may refuse it (in use) and ask
 *           again; a proposal that was refused is not made again before others were.  Bounded work per call.
 * hint      what to keep of c across a restart, 0 (nothing known) to POLICY_HINT_MAX.
 * bytes     memory allocated, for status.
 */
struct policy_ops {
	const char *name;
	const char *help;	/* one line for the man page and --help: the options, with ranges and defaults */
	int (*create)(uint32_t nr_cblocks, uint64_t seed, const char *options, struct policy **out,
		      struct cwt_error *err);
	void (*destroy)(struct policy *p);
	void (*hit)(struct policy *p, cblock_t c, bool is_write);
	enum policy_advice (*miss)(struct policy *p, oblock_t o, bool is_write, bool cblocks_free);
	void (*mapped)(struct policy *p, cblock_t c, oblock_t o, uint8_t hint);
	void (*unmapped)(struct policy *p, cblock_t c);
	bool (*victim)(struct policy *p, cblock_t *out);
	uint8_t (*hint)(const struct policy *p, cblock_t c);
	size_t (*bytes)(const struct policy *p);
};

/* A policy embeds this first. */
struct policy { const struct policy_ops *ops; };

#define POLICY_DEFAULT "clock"

extern const struct policy_ops policy_clock;	/* ghost admission, 2-bit clock eviction */
extern const struct policy_ops policy_lru;	/* promotes at every miss, evicts (nearly) the least recently used */

/* All policies, ended by NULL. */
extern const struct policy_ops *const policy_all[];

/* spec is NAME[,key=value...].  -EINVAL names the policies there are.  Frees with policy_destroy(). */
int policy_create(const char *spec, uint32_t nr_cblocks, uint64_t seed, struct policy **out, struct cwt_error *err);
void policy_destroy(struct policy *p);	/* NULL is allowed */

static inline void policy_hit(struct policy *p, cblock_t c, bool is_write) { p->ops->hit(p, c, is_write); }

#endif
