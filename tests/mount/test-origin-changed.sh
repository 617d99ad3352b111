#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The origin was written, checked or replaced while it was not mounted: nothing old is ever read.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

warm_up() {
	start_cachewtfs "$@"
	cat "$image" >/dev/null
	stop_cachewtfs
	verify_mappings
}

# Cold for a reason that it says, and equal to the origin.
must_be_cold() {
	start_cachewtfs
	status start | grep -q '^cold: .*origin' || fail "after $1 the start is \"$(status start)\""
	cmp "$origin" "$image" || fail "after $1 something old was read"
	compare_image
	stop_cachewtfs
	verify_mappings
}

make_image 4M
warm_up --cache-size 8M
printf 'changed' | dd of="$origin" bs=1 seek=100000 conv=notrunc status=none
must_be_cold 'a write of 7 bytes'

touch -r "$origin" "$tmp/times"
make_image 4M
touch -r "$tmp/times" "$origin"		# the mtime is as before; the ctime cannot be
must_be_cold 'new content with the old mtime'

make_image 4M "$tmp/new"
mv "$tmp/new" "$origin"
must_be_cold 'another file in its place'

mkfs.ext4 -q -F "$origin"
must_be_cold 'mkfs'

# Another size is refused, and --reset is the cure that the line names.
truncate -s 5M "$origin"
refused 1 'reset' --cache "$cache" --metadata "$meta" "$origin" "$mnt"
start_cachewtfs --reset
compare_image
stop_cachewtfs
verify_mappings

# Unchanged, or trusted: warm.
start_cachewtfs
status start | grep -q '^warm' || fail "unchanged, and the start is \"$(status start)\""
stop_cachewtfs
touch "$origin"
start_cachewtfs --trust-origin
status start | grep -q '^warm' || fail "--trust-origin, and the start is \"$(status start)\""
compare_image
stop_cachewtfs
verify_mappings
