/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Assertions: for bugs of ours, never for bad disks or users.  They stay on in release builds: a cache that goes on
 * after a broken invariant writes wrong data; one that stops is only a crash, and a crash is safe.
 */
#ifndef CWT_BASE_ASSERT_H
#define CWT_BASE_ASSERT_H

_Noreturn void assert_failed(const char *expr, const char *file, int line, const char *func);

#define cwt_assert(expr) \
	do { \
		if (__builtin_expect(!(expr), 0)) \
			assert_failed(#expr, __FILE__, __LINE__, __func__); \
	} while (0)

#endif
