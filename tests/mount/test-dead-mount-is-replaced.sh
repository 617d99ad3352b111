#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A killed daemon leaves a dead mount: the next mount takes its place, says so, and shows what was written.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 4M
for mode in foreground daemon; do
	start_cachewtfs --cache-size 4M
	cat "$image" >/dev/null
	new=$(random_file 1M)
	write_at "$image" 1000003 "$new"
	kill_cachewtfs
	if stat "$image" >/dev/null 2>&1; then fail "the mount is not dead"; fi

	if [ $mode = foreground ]; then
		: >"$log"
		start_cachewtfs
		grep -qiE 'dead|detach|stale' "$log" || fail "it does not say that it detached the dead mount"
	else
		"$CACHEWTFS" --cache "$cache" --metadata "$meta" --pidfile "$pidfile" "$origin" "$mnt" 2>"$tmp/err"
		grep -qiE 'dead|detach|stale' "$tmp/err" || fail "it does not say that it detached the dead mount"
		daemon=$(cat "$pidfile")
	fi
	[ "$(mounts_of_test | wc -l)" -eq 1 ] || fail "mounts: $(mounts_of_test)"
	cmp -n 1048576 -i 1000003:0 "$image" "$new" || fail "a write that was answered is gone"
	compare_image
	umount "$mnt"
	wait_gone "$daemon"
	verify_mappings
done
