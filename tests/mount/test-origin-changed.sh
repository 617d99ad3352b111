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

# At once after umount, while the stop may still be under way.
start_cachewtfs
cat "$image" >/dev/null
fusermount3 -u "$mnt"
printf 'at once' | dd of="$origin" bs=1 seek=200000 conv=notrunc status=none
wait "$daemon" || :
start_cachewtfs
cmp "$origin" "$image" || fail 'after a write at once after umount something old was read'
stop_cachewtfs

# While it is mounted: everything is dropped by the stop at the latest, and whatever the next start says, nothing old is read.
start_cachewtfs
cat "$image" >/dev/null
printf 'mounted' | dd of="$origin" bs=1 seek=300000 conv=notrunc status=none
stop_cachewtfs
start_cachewtfs
cmp "$origin" "$image" || fail 'after a write while it was mounted something old was read'
stop_cachewtfs

warm_up
chmod g+w "$origin"
must_be_cold 'chmod alone'

# A read-only mount asks too.
warm_up
printf 'readers' | dd of="$origin" bs=1 seek=400000 conv=notrunc status=none
start_cachewtfs --read-only
cmp "$origin" "$image" || fail 'a read-only mount read something old'
stop_cachewtfs
