#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Origins of odd size and smaller than one block keep their size, whatever is read and written at their end.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

check_end() {
	local size=$1 result
	result=$("$IO_HELPER" pwrite "$image" $((size - 1)) 20)
	[ "$result" = 1 ] || fail "a write across the end of $size bytes: $result, expected 1"
	result=$("$IO_HELPER" pwrite "$image" "$size" 1)
	[ "$result" = EFBIG ] || fail "a write at the end of $size bytes: $result, expected EFBIG"
	result=$("$IO_HELPER" pwrite "$image" "$((size + 100000))" 5)
	[ "$result" = EFBIG ] || fail "a write behind the end of $size bytes: $result, expected EFBIG"
	[ "$(tail -c +$((size + 1)) "$image" | wc -c)" -eq 0 ] || fail "something can be read behind $size bytes"
	[ "$(stat -c %s "$origin")" -eq "$size" ] || fail "the origin's $size bytes became $(stat -c %s "$origin")"
}

for size in 10007 1 511 512 4095 4097 65535 65537 200001; do
	rm -f "$cache" "$meta"
	make_image $size
	start_cachewtfs --cache-size 1M
	[ "$(stat -c %s "$image")" -eq $size ] || fail "$size bytes are shown as $(stat -c %s "$image")"
	for _ in 1 2 3; do
		compare_image
		check_end $size
	done
	expect 'read hits' -gt 0
	expect 'write hits' -gt 0
	"$IO_HELPER" fsync "$image" >/dev/null
	stop_cachewtfs
	[ "$(stat -c %s "$origin")" -eq $size ] || fail "after the stop the origin has $(stat -c %s "$origin") bytes"
	verify_mappings
	start_cachewtfs
	compare_image
	stop_cachewtfs
done
