/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arithmetic on powers of two, little-endian fields and bitmaps.  Pure, any thread. */
#ifndef CWT_BASE_BITS_H
#define CWT_BASE_BITS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#ifndef MIN	/* GLib has the same */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline bool is_power_of_2(uint64_t n) { return n && !(n & (n - 1)); }
static inline uint64_t round_down_to(uint64_t n, uint64_t pow2) { return n & ~(pow2 - 1); }
static inline uint64_t round_up_to(uint64_t n, uint64_t pow2) { return (n + pow2 - 1) & ~(pow2 - 1); }
static inline uint64_t div_round_up(uint64_t n, uint64_t d) { return n / d + (n % d != 0); }
static inline unsigned log2_of(uint64_t pow2) { return (unsigned)__builtin_ctzll(pow2); }

/* The metadata's fields: unaligned little-endian loads and stores. */
static inline uint16_t get_le16(const void *p) { uint16_t v; memcpy(&v, p, 2); return le16toh(v); }
static inline uint32_t get_le32(const void *p) { uint32_t v; memcpy(&v, p, 4); return le32toh(v); }
static inline uint64_t get_le64(const void *p) { uint64_t v; memcpy(&v, p, 8); return le64toh(v); }
static inline void put_le16(void *p, uint16_t v) { v = htole16(v); memcpy(p, &v, 2); }
static inline void put_le32(void *p, uint32_t v) { v = htole32(v); memcpy(p, &v, 4); }
static inline void put_le64(void *p, uint64_t v) { v = htole64(v); memcpy(p, &v, 8); }

/* Bitmaps: bit n is bit n % 8 of byte n / 8, on disk as in memory. */
static inline bool bitmap_test(const uint8_t *map, uint64_t n) { return map[n >> 3] >> (n & 7) & 1; }
static inline void bitmap_set(uint8_t *map, uint64_t n) { map[n >> 3] |= (uint8_t)(1u << (n & 7)); }
static inline void bitmap_clear(uint8_t *map, uint64_t n) { map[n >> 3] &= (uint8_t)~(1u << (n & 7)); }

#endif
