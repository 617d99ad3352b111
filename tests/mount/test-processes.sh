#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# 8 processes write disjoint, then overlapping ranges; origin, image and cache are equal at the end.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

for block_size in 4K 64K; do
	rm -f "$cache" "$meta"
	make_image $((16 * 1024 * 1024 + 777))
	start_cachewtfs --cache-size 8M --block-size $block_size
	cat "$image" >/dev/null
	for ranges in disjoint overlapping; do
		"$IO_HELPER" processes "$image" 8 150 $ranges
		compare_image
	done
	expect 'write hits' -gt 0
	expect 'promotions' -gt 0
	stop_cachewtfs
	verify_mappings
done
