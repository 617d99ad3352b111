#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# After a clean stop the cache is warm: hits from the first read on, and the status says why.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 8M
start_cachewtfs --cache-size 16M
status start | grep -q '^cold' || fail "a new cache starts \"$(status start)\""
cat "$image" >/dev/null
cat "$image" >/dev/null
expect 'promotions' -eq 128
expect 'read hits' -ge 128
stop_cachewtfs
verify_mappings 128

for round in 1 2 3; do
	start_cachewtfs
	status start | grep -q '^warm.*128' || fail "start $round: \"$(status start)\""
	cmp -n 65536 "$origin" "$image"
	expect 'read hits' -ge 1
	expect 'read misses' -eq 0
	compare_image
	expect 'read misses' -eq 0
	write_at "$image" $((round * 100000)) "$(random_file 300K)"
	expect 'write hits' -ge 5
	expect 'write misses' -eq 0
	compare_image
	stop_cachewtfs
	verify_mappings 128
done

start_cachewtfs --reset
status start | grep -q '^cold' || fail "--reset: \"$(status start)\""
expect mapped -eq 0
stop_cachewtfs
