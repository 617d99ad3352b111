/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The busy marks, in memory as on disk: units of one sector, 4032 bits and a seal.
 *
 * The seal is seed(metadata, unit) XOR, over all set bits c, mix(metadata, c).  So a change of one bit costs one XOR of
 * the seal, in the same sector, and whatever else changes a sector - a bit that rots, a sector that is lost, of another
 * place or of another metadata - gives a seal that is wrong.  A unit that does not verify counts as all marked: then
 * mappings are dropped that need not be, never one kept that must not be.  The seed is not zero, so a sector of zeros
 * never verifies.
 *
 * Pure functions on bytes, any thread; the caller's lock protects them.
 */
#ifndef CWT_METADATA_BUSY_MARKS_H
#define CWT_METADATA_BUSY_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

#define BUSY_UNIT_BYTES 512u
#define BUSY_UNIT_MARKS 4032u		/* a multiple of 64: bit c is bit c % 8 of its byte */
#define BUSY_UNIT_SEAL (BUSY_UNIT_MARKS / 8)
#define BUSY_UNITS_PER_PAGE 8u
#define BUSY_MARKS_PER_PAGE (BUSY_UNIT_MARKS * BUSY_UNITS_PER_PAGE)

uint64_t busy_key(const uint8_t uuid[16]);

/* Odd, so never zero: one bit that changes always changes the seal. */
static inline uint64_t busy_mix(uint64_t key, uint64_t n)
{
	uint64_t z = key + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 32) * UINT64_C(0xd6e8feb86659fd93);
	z = (z ^ z >> 29) * UINT64_C(0xa0761d6478bd642f);
	return (z ^ z >> 32) | 1;
}

static inline uint8_t *busy_unit(uint8_t *units, uint32_t c)
{
	return units + (size_t)(c / BUSY_UNIT_MARKS) * BUSY_UNIT_BYTES;
}

static inline bool busy_test(const uint8_t *units, uint32_t c)
{
	return bitmap_test(units + (size_t)(c / BUSY_UNIT_MARKS) * BUSY_UNIT_BYTES, c % BUSY_UNIT_MARKS);
}

/* Set if it is clear, clear if it is set. */
static inline void busy_flip(uint8_t *units, uint64_t key, uint32_t c)
{
	uint8_t *unit = busy_unit(units, c), *seal = unit + BUSY_UNIT_SEAL;
	uint32_t bit = c % BUSY_UNIT_MARKS;

	unit[bit >> 3] ^= (uint8_t)(1u << (bit & 7));
	put_le64(seal, get_le64(seal) ^ busy_mix(key, c));
}

/* nr units, of which the first has this number, all clear. */
void busy_clear(uint8_t *units, uint64_t key, uint64_t first, uint64_t nr);
bool busy_verify(const uint8_t *unit, uint64_t key, uint64_t number);

#endif
