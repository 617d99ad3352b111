/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Seeded random numbers for tests, faults and policies: the same seed gives the same run on every machine.
 * After: splitmix64 (Steele, Lea, Flood 2014), chosen for its one-word state.  Not for secrets.
 */
#ifndef CWT_BASE_RANDOM_H
#define CWT_BASE_RANDOM_H

#include <stdint.h>

struct random { uint64_t state; };

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = (r->state += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

/* Uniform in [0, n), n > 0; the bias of the modulus is of no matter for what this is used for. */
static inline uint64_t random_below(struct random *r, uint64_t n) { return random_next(r) % n; }

#endif
