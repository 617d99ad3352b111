#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fusermount3 -u, umount, SIGTERM and SIGINT each leave the clean mark; kill -9 does not.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 4M
start_cachewtfs --cache-size 4M
stop_cachewtfs
for how in fusermount3 umount TERM INT; do
	start_cachewtfs
	status start | grep -q '^warm: clean' || fail "before $how the start was \"$(status start)\""
	if is_marked_clean; then fail "the clean mark is set while it is mounted"; fi
	write_at "$image" 70000 "$(random_file 1M)"
	cat "$image" >/dev/null
	stop_cachewtfs $how
	is_marked_clean || fail "$how leaves no clean mark"
	cmp -n 1048576 -i 70000:0 "$origin" "$tmp"/random.* || fail "after $how a write is missing"
	rm "$tmp"/random.*
	verify_mappings
done

# With an open handle SIGTERM warns, once, with their number, and ends all the same.
start_cachewtfs
exec 7<"$image"
head -c 100 <&7 >/dev/null
: >"$log"
stop_cachewtfs TERM
exec 7<&-
[ "$(grep -c 'open' "$log")" -eq 1 ] || fail "not one warning of open handles: $(cat "$log")"
grep 'open' "$log" | grep -q 1 || fail "the warning does not say how many: $(cat "$log")"
is_marked_clean || fail "SIGTERM with an open handle leaves no clean mark"

start_cachewtfs
kill_cachewtfs
umount -l "$mnt"
if is_marked_clean; then fail "kill -9 leaves a clean mark"; fi
start_cachewtfs
status start | grep -q '^warm: the last run was killed' || fail "after kill -9 the start is \"$(status start)\""
compare_image
stop_cachewtfs
verify_mappings
