/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and times as a person writes them.  Pure. */
#ifndef CWT_SRC_SIZES_H
#define CWT_SRC_SIZES_H

#include <stdint.h>

/*
 * "4096", "64K", "1m", "10GiB", "1.5G": bytes, powers of 1024; "10GB": powers of 1000.  Up to six decimals before a unit, and
 * what they make is rounded down to a byte.  -EINVAL: no such number; -ERANGE: more than 64 bits.
 */
int size_parse(const char *text, uint64_t *bytes);

/* What is wrong with text, to be said behind it: "is no size ..."; NULL: nothing. */
const char *size_why(const char *text);

/* For people: "512 bytes", "1.5 GiB". */
#define SIZE_TEXT_BYTES 32u
void size_format(uint64_t bytes, char text[SIZE_TEXT_BYTES]);

/* "5", "0.25": seconds with up to three decimals, as milliseconds.  -EINVAL, -ERANGE: more than a million seconds. */
int seconds_parse(const char *text, uint32_t *ms);

/* All of text is a number of this base (8, 10) and at most most.  -EINVAL, -ERANGE. */
int number_parse(const char *text, unsigned base, uint64_t most, uint64_t *number);

#endif
