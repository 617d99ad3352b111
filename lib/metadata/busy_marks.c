/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metadata/busy_marks.h"

#include <xxhash.h>

#define KEY_SEED UINT64_C(0x6d61726b73)		/* the numbers of the lease's checksum, and of others, are not these */

uint64_t busy_key(const uint8_t uuid[16])
{
	return XXH3_64bits_withSeed(uuid, 16, KEY_SEED);
}

/* The numbers of the units are mixed with another key than those of the marks. */
static uint64_t seed(uint64_t key, uint64_t unit)
{
	return busy_mix(~key, unit);
}

void busy_clear(uint8_t *units, uint64_t key, uint64_t first, uint64_t nr)
{
	memset(units, 0, nr * BUSY_UNIT_BYTES);
	for (uint64_t i = 0; i < nr; i++)
		put_le64(units + i * BUSY_UNIT_BYTES + BUSY_UNIT_SEAL, seed(key, first + i));
}

bool busy_verify(const uint8_t *unit, uint64_t key, uint64_t number)
{
	uint64_t seal = seed(key, number);

	for (unsigned i = 0; i < BUSY_UNIT_MARKS; i += 64)
		for (uint64_t word = get_le64(unit + i / 8); word; word &= word - 1)
			seal ^= busy_mix(key, number * BUSY_UNIT_MARKS + i + (unsigned)__builtin_ctzll(word));
	return get_le64(unit + BUSY_UNIT_SEAL) == seal;
}
