/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sizes.h. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
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

/* Powers of 1024, but for a unit that ends in B alone: GB is what disks are sold by.  Returns where it ends. */
static const char *size_unit(const char *p, uint64_t *unit)
{
	static const char letters[] = "kKmMgGtT";
	const char *letter = *p ? strchr(letters, *p) : NULL;
	unsigned power = letter ? (unsigned)(letter - letters) / 2 + 1 : 0;
	bool decimal = letter && p[1] == 'B';

	for (*unit = 1; power; power--)
		*unit *= decimal ? 1000 : 1024;
	if (!letter)
		return p;
	return p + (decimal ? 2 : p[1] == 'i' && p[2] == 'B' ? 3 : 1);
}

/* "5" behind the point of 1.5: half a million. */
static int decimals_parse(const char **p, uint64_t *millionths)
{
	const char *decimals = *p;
	int err = digits(decimals, 10, millionths, p);

	if (err || *p - decimals > 6)
		return -EINVAL;
	for (ptrdiff_t n = *p - decimals; n < 6; n++)
		*millionths *= 10;
	return 0;
}

int size_parse(const char *text, uint64_t *bytes)
{
	uint64_t n, millionths = 0, unit;
	bool fraction;
	const char *p;
	int err = digits(text, 10, &n, &p);

	if (err)
		return err;
	fraction = *p == '.';
	if (fraction) {
		p++;
		err = decimals_parse(&p, &millionths);
		if (err)
			return err;
	}
	p = size_unit(p, &unit);
	if (*p || (fraction && unit == 1))
		return -EINVAL;
	if (__builtin_mul_overflow(n, unit, &n) || __builtin_add_overflow(n, millionths * unit / 1000000, &n))
		return -ERANGE;
	*bytes = n;
	return 0;
}

const char *size_why(const char *text)
{
	uint64_t bytes;

	switch (size_parse(text, &bytes)) {
	case 0:
		return NULL;
	case -ERANGE:
		return "is too large, at most 2^64 - 1 bytes";
	}
	if (*text && text[strlen(text) - 1] == '%')
		return "is a share of nothing that is known here: give an amount, as 10G";
	if (strchr(text, ','))
		return "has a comma: a fraction is written 1.5G";
	return "is no size: give bytes, or K, M, G, T (1024), KB, MB, GB, TB (1000), as 10G or 1.5G";
}

void size_format(uint64_t bytes, char text[SIZE_TEXT_BYTES])
{
	static const char letters[] = "KMGTPE";
	double n = (double)bytes / 1024;
	const char *letter = letters;

	if (bytes < 1024) {
		snprintf(text, SIZE_TEXT_BYTES, "%u bytes", (unsigned)bytes);
		return;
	}
	for (; n >= 1024 && letter[1]; letter++)
		n /= 1024;
	snprintf(text, SIZE_TEXT_BYTES, "%.1f %ciB", n, *letter);
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
