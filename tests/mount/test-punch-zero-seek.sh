#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fallocate punches and zeroes, lseek finds data and holes; what cannot be done says EOPNOTSUPP.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse fallocate

make_image $((4 * 1024 * 1024 + 333))
start_cachewtfs --cache-size 8M
cat "$image" >/dev/null

is_zero() { cmp -n "$2" -i "$1":0 "$image" /dev/zero || fail "bytes from $1 on are not zero"; }

fallocate -p -o 100001 -l 500003 "$image"		# all blocks are cached, the edges unaligned
is_zero 100001 500003
compare_image
fallocate -z -n -o 1000001 -l 70007 "$image"
is_zero 1000001 70007
compare_image
fallocate -p -o 2097152 -l 1048576 "$image"
fallocate -z -n -o 4100000 -l 94637 "$image"		# up to the very end
is_zero 4100000 94637
compare_image
[ "$(stat -c %s "$image")" -eq $((4 * 1024 * 1024 + 333)) ] || fail "the size changed"

for offset in 0 1 100000 2097152 2097153 3145727 3145728 4194636 4194637 9999999; do
	for what in data hole; do
		of_image=$("$IO_HELPER" seek "$image" $what $offset)
		of_origin=$("$IO_HELPER" seek "$origin" $what $offset)
		[ "$of_image" = "$of_origin" ] || fail "seek $what from $offset: $of_image, in the origin $of_origin"
	done
done
[ "$("$IO_HELPER" seek "$image" data 2097152)" = 3145728 ] || fail "the punched hole has data"

if fallocate -o 0 -l 4096 "$image" 2>"$tmp/err"; then fail "plain fallocate was not refused"; fi
grep -qi 'not supported' "$tmp/err" || fail "plain fallocate: $(cat "$tmp/err")"
if fallocate -c -o 0 -l 65536 "$image" 2>"$tmp/err"; then fail "collapse was not refused"; fi
grep -qi 'not supported' "$tmp/err" || fail "collapse: $(cat "$tmp/err")"
compare_image
stop_cachewtfs
verify_mappings
