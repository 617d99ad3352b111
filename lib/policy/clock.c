/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clock: promote at the second miss, demote by a 2-bit clock.
 *
 * Admission.  A miss leaves the block's fingerprint in the ghost, and a miss that finds it there advises promotion;
 * while cblocks are free every miss does.  The fingerprint goes when the block is mapped, not when the advice is given:
 * the engine may refuse, and then the next miss must not begin from nothing.
 *
 * Write misses count like read misses.  The engine fills from reads only, so a write alone never costs a copy; but a
 * block written lately and now read has been wanted twice, and to wait for a second read of it would be one origin read
 * more.
 *
 * Demotion.  One byte per cblock:
 *
 *	value   meaning                             hit     the hand passes
 *	0       not used since the hand came by     1       proposed, value 7
 *	1..3    used; 3 is the most that counts     +1..3   -1
 *	4..7    proposed, and still mapped: the     same    -1
 *	        engine refused it or is at work
 *
 * A proposed block is passed over for at least four rounds, in which every other one (0 to 3) comes to be proposed: so
 * no refused victim returns before the others.  The hand looks at SCAN_MAX mapped cblocks, then takes the next below 4,
 * and after twice as many the next of all: a call stays short on a cache of millions of hot blocks.
 *
 * Memory per cblock: 1 byte, 1 bit for "mapped", and 2 bytes times ghost percent: 2.1 bytes with the default.
 *
 * After: the clock of Corbato (1968), with the admission of 2Q (Johnson, Shasha 1994).
 */
#include "policy/policy.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "policy/ghost.h"
#include "policy/options.h"

#define COUNT_MAX 3u
#define COUNT_PROPOSED 7u
#define SCAN_MAX 256u
#define GHOST_PERCENT_DEFAULT 50u

struct clock {
	struct policy base;
	uint32_t nr_cblocks, nr_mapped;
	uint32_t hand;			/* the next cblock to look at */
	struct ghost ghost;
	uint64_t *mapped;		/* bitmap; apart from counts, since a late hit may store a count at any time */
	_Atomic uint8_t *counts;	/* relaxed; a lost update costs precision only */
};

static struct clock *clock_of(struct policy *p) { return container_of(p, struct clock, base); }

static bool is_mapped(const struct clock *k, uint32_t c) { return k->mapped[c / 64] >> (c % 64) & 1; }

static uint8_t count_get(const struct clock *k, uint32_t c)
{
	return atomic_load_explicit(&k->counts[c], memory_order_relaxed);
}

static void count_set(struct clock *k, uint32_t c, uint32_t count)
{
	atomic_store_explicit(&k->counts[c], (uint8_t)count, memory_order_relaxed);
}

static void clock_destroy(struct policy *p)
{
	struct clock *k = clock_of(p);

	ghost_close(&k->ghost);
	free(k->mapped);
	free(k->counts);
	free(k);
}

static int clock_create(uint32_t nr_cblocks, uint64_t seed, const char *options, struct policy **out,
			struct cwt_error *err)
{
	uint32_t ghost_percent = GHOST_PERCENT_DEFAULT;
	const struct policy_option table[] = {
		{ "ghost", 1, 400, "percent of the cblocks", &ghost_percent },
		{ 0 },
	};
	int r = policy_options_parse(policy_clock.name, options, table, err);
	struct clock *k;

	if (r)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return error_set(err, -ENOMEM, "policy clock: out of memory");
	k->base.ops = &policy_clock;
	k->nr_cblocks = nr_cblocks;
	k->mapped = calloc(div_round_up(nr_cblocks, 64), sizeof(*k->mapped));
	k->counts = calloc(nr_cblocks, sizeof(*k->counts));
	r = ghost_open(&k->ghost, div_round_up((uint64_t)nr_cblocks * ghost_percent, 100), seed);
	if (r || !k->mapped || !k->counts) {
		clock_destroy(&k->base);
		return error_set(err, -ENOMEM, "policy clock: out of memory for %u cblocks", nr_cblocks);
	}
	*out = &k->base;
	return 0;
}

static void clock_hit(struct policy *p, cblock_t c, bool is_write)
{
	struct clock *k = clock_of(p);
	uint8_t count;

	(void)is_write;
	cwt_assert(c.v < k->nr_cblocks);
	count = count_get(k, c.v);
	if (count < COUNT_MAX)
		count_set(k, c.v, count + 1u);
}

static enum policy_advice clock_miss(struct policy *p, oblock_t o, bool is_write, bool cblocks_free)
{
	struct clock *k = clock_of(p);

	(void)is_write;
	if (ghost_has(&k->ghost, o))
		return POLICY_PROMOTE;
	ghost_add(&k->ghost, o);
	return cblocks_free ? POLICY_PROMOTE : POLICY_SKIP;
}

static void clock_mapped(struct policy *p, cblock_t c, oblock_t o, uint8_t hint)
{
	struct clock *k = clock_of(p);

	cwt_assert(c.v < k->nr_cblocks);
	cwt_assert(!is_mapped(k, c.v));
	k->mapped[c.v / 64] |= 1ull << (c.v % 64);
	k->nr_mapped++;
	count_set(k, c.v, MIN(hint, COUNT_MAX));
	ghost_remove(&k->ghost, o);
}

static void clock_unmapped(struct policy *p, cblock_t c)
{
	struct clock *k = clock_of(p);

	cwt_assert(c.v < k->nr_cblocks);
	cwt_assert(is_mapped(k, c.v));
	k->mapped[c.v / 64] &= ~(1ull << (c.v % 64));
	k->nr_mapped--;
}

/* The next mapped cblock; the hand moves past it.  Unmapped ones are skipped by the word; one at least is mapped. */
static uint32_t hand_next(struct clock *k)
{
	uint32_t word = k->hand / 64, nr_words = (uint32_t)div_round_up(k->nr_cblocks, 64), c;
	uint64_t bits = k->mapped[word] & ~0ull << (k->hand % 64);

	while (!bits) {
		word = word + 1 == nr_words ? 0 : word + 1;
		bits = k->mapped[word];
	}
	c = word * 64 + (uint32_t)__builtin_ctzll(bits);
	k->hand = c + 1 == k->nr_cblocks ? 0 : c + 1;
	return c;
}

static bool clock_victim(struct policy *p, cblock_t *out)
{
	struct clock *k = clock_of(p);
	uint32_t c, count;

	if (!k->nr_mapped)
		return false;
	for (uint32_t seen = 0; ; seen++) {
		c = hand_next(k);
		count = count_get(k, c);
		if (!count || seen >= (count <= COUNT_MAX ? SCAN_MAX : 2 * SCAN_MAX))
			break;
		count_set(k, c, count - 1);
	}
	count_set(k, c, COUNT_PROPOSED);
	*out = CBLOCK(c);
	return true;
}

/* A proposed block that is still here was in use: as good as one hit. */
static uint8_t clock_hint(const struct policy *p, cblock_t c)
{
	const struct clock *k = container_of(p, const struct clock, base);
	uint8_t count;

	cwt_assert(c.v < k->nr_cblocks);
	count = count_get(k, c.v);
	return count > COUNT_MAX ? 1 : count;
}

static size_t clock_bytes(const struct policy *p)
{
	const struct clock *k = container_of(p, const struct clock, base);

	return sizeof(*k) + div_round_up(k->nr_cblocks, 64) * sizeof(*k->mapped) + k->nr_cblocks * sizeof(*k->counts) +
	       ghost_bytes(&k->ghost);
}

const struct policy_ops policy_clock = {
	.name = "clock",
	.help = "promote at the second miss, demote by a 2-bit clock; ghost=PERCENT: misses remembered, in percent of "
		"the cblocks (1 to 400, default 50)",
	.create = clock_create,
	.destroy = clock_destroy,
	.hit = clock_hit,
	.miss = clock_miss,
	.mapped = clock_mapped,
	.unmapped = clock_unmapped,
	.victim = clock_victim,
	.hint = clock_hint,
	.bytes = clock_bytes,
};
