/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block numbers.
 *
 * A block of the origin and a block of the cache are numbered by two distinct types, so that the compiler refuses a
 * mix-up.  Both are plain values; .v is read only where a number is really meant (arithmetic, printing, the disk).
 */
#ifndef CWT_BASE_TYPES_H
#define CWT_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { uint32_t v; } oblock_t;	/* block number in the origin */
typedef struct { uint32_t v; } cblock_t;	/* block number in the cache */

#define OBLOCK(n) ((oblock_t){ (uint32_t)(n) })
#define CBLOCK(n) ((cblock_t){ (uint32_t)(n) })

/* No block: never a valid number, since an origin has at most BLOCK_MAX blocks. */
#define BLOCK_NONE UINT32_MAX
#define BLOCK_MAX (UINT32_MAX - 1)

#define BLOCK_SIZE_MIN 4096u
#define BLOCK_SIZE_MAX (2u << 20)
#define BLOCK_SIZE_DEFAULT (64u << 10)

#endif
