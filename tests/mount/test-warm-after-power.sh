#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --warm-after power: the status says so, commits flush the origin (with kill they do not), a kill leaves the cache
# warm, and either mode may follow the other.  What a real power cut leaves is for tests/sim.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

# One run with the given mode, ended by kill -9 after a commit, some writes acknowledged behind it.
run_and_kill() {
	start_cachewtfs --cache-size 16M --commit-interval 0.1 --warm-after "$1"
	[ "$(status 'warm after')" = "$1" ] || fail "--warm-after $1: the status says \"$(status 'warm after')\""
	grep -q "\"warm_after\" *: *\"$1\"" "$mnt/.cachewtfs/stats.json" || fail "stats.json does not say $1"
	cat "$image" >/dev/null
	cat "$image" >/dev/null
	expect mapped -eq 128
	"$CACHEWT" message "$mnt" commit
	write_at "$image" $((RANDOM * 100)) "$(random_file 300K)"
	compare_image
	kill_cachewtfs
	fusermount3 -u "$mnt"
}

make_image 8M
run_and_kill power
for mode in power kill kill power kill; do
	start_cachewtfs
	status start | grep -q '^warm.*kill' || fail "after a kill: \"$(status start)\""
	expect mapped -ge 120
	compare_image
	expect 'read hits' -ge 120
	stop_cachewtfs
	verify_mappings 120
	run_and_kill $mode
done
start_cachewtfs --warm-after power
compare_image
stop_cachewtfs
verify_mappings 120

# Flushes of the origin that fail show whether a commit asks for one.
start_cachewtfs --commit-interval 0.1 --warm-after kill --fault origin:flush:error=EIO
write_at "$image" 0 "$(random_file 300K)"
"$CACHEWT" message "$mnt" commit
expect commits -ge 1
expect 'origin flush errors' -eq 0
detach fusermount3 -u "$mnt"
wait_gone "$daemon"
if wait "$daemon"; then fail "the stop cannot flush the origin, and the exit status is 0"; fi
forget_daemon

start_cachewtfs --commit-interval 0.1 --warm-after power --fault origin:flush:error=EIO
cat "$image" >/dev/null
if "$CACHEWT" message "$mnt" commit 2>/dev/null; then fail "the commit did not flush the origin"; fi
expect 'origin flush errors' -gt 0
[ "$(status bypass)" = origin-flush ] || fail "a commit's flush of the origin failed: \"$(status bypass)\""
expect mapped -eq 0
compare_image
