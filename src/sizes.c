/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sizes.h. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "sizes.h"

/* Digits at text, in base; returns where they end.  No digit at all: -EINVAL. */
static int digits(const char *text, unsigned base, uint64_t *number, const char **end)
{
	uint64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p < (char)('0' + base); p++)
		if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return -ERANGE;
	if (p == text)
		return -EINVAL;
	*number = n;
	*end = p;
	return 0;
}

static unsigned unit_shift(char unit)
{
	switch (unit) {
	case 'k': case 'K': return 10;
	case 'm': case 'M': return 20;
	case 'g': case 'G': return 30;
	case 't': case 'T': return 40;
	}
	return 0;
}

int size_parse(const char *text, uint64_t *bytes)
{
	const char *end;
	unsigned shift;
	uint64_t n;
	int err = digits(text, 10, &n, &end);

	if (err)
		return err;
	shift = unit_shift(*end);
	if (end[shift != 0])
		return -EINVAL;
	if (n > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = n << shift;
	return 0;
}

int seconds_parse(const char *text, uint32_t *ms)
{
	uint64_t whole, part = 0;
	const char *end;
	int err = digits(text, 10, &whole, &end);

	if (err)
		return err;
	if (*end == '.') {
		const char *decimals = end + 1;

		err = digits(decimals, 10, &part, &end);
		if (err || end - decimals > 3)
			return -EINVAL;
		for (ptrdiff_t n = end - decimals; n < 3; n++)
			part *= 10;
	}
	if (*end)
		return -EINVAL;
	if (whole > 1000000)
		return -ERANGE;
	*ms = (uint32_t)(whole * 1000 + part);
	return 0;
}

int number_parse(const char *text, unsigned base, uint64_t most, uint64_t *number)
{
	const char *end;
	uint64_t n;
	int err = digits(text, base, &n, &end);

	if (err)
		return err;
	if (*end)
		return -EINVAL;
	if (n > most)
		return -ERANGE;
	*number = n;
	return 0;
}
