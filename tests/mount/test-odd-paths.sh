#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Paths with spaces, commas, quotes, backslashes, control characters, bytes that are not UTF-8, and relative ones.
# Nothing of them reaches a terminal but what is harmless: by the status, by stats.json, by the log.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

# FILE...: no control character but its own line feeds.
check_harmless() {
	if grep -aqP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$@"; then fail "control characters in $(cat -v "$@")"; fi
}

check_paths() {
	make_image 1M
	start_cachewtfs --cache-size 1M
	[ -f "$image" ] || fail "no \"$image\""
	compare_image
	write_at "$image" 5000 "$(random_file 100K)"
	compare_image
	awk '{ if (NF > 1 && $0 !~ /^[0-9]/ && $0 !~ /^[A-Za-z\/ -]+: /) exit 1 }' "$mnt/.cachewtfs/status" ||
		fail "a path breaks the lines of the status"
	"$CACHEWT" status "$mnt" >"$tmp/out"
	"$CACHEWT" status --json "$mnt" >"$tmp/json"
	check_harmless "$mnt/.cachewtfs/status" "$mnt/.cachewtfs/stats.json" "$tmp/out" "$tmp/json"
	stop_cachewtfs
	verify_mappings
	start_cachewtfs
	status start | grep -q '^warm' || fail "not warm: $(status start)"
	compare_image
	stop_cachewtfs
	check_harmless "$log"
	if grep -vq ' cachewtfs: ' "$log"; then fail "a path makes lines of its own in the log: $(cat -v "$log")"; fi
}

for name in 'a b' 'a,b=c' "it's" 'say "x"' 'back\\slash' $'byte\xff' $'new\nline' $'esc\e[31mred\x7f' $'c1\xc2\x9b31m' '-dash' '#%*?'; do
	odd=$stores/$name
	mnt="$tmp/m $name"
	mkdir -p "$odd" "$mnt"
	origin=$odd/$name.img cache=$odd/$name.cache meta=$odd/$name.meta image=$mnt/$name.img
	check_paths
done

# The line of a failed start, too.
if "$CACHEWTFS" "$origin"$'\n\e[2J' "$mnt" 2>"$tmp/err"; then fail "an origin that is not there was mounted"; fi
check_harmless "$tmp/err"
grep -qF '\012\033[2J' "$tmp/err" || fail "not escaped: $(cat -v "$tmp/err")"
if "$CACHEWT" status "$mnt"$'\n\e[2J' 2>"$tmp/err"; then fail "a mount that is not there has a status"; fi
check_harmless "$tmp/err"

# Relative, and the daemon goes on when the folder it was started from is gone.
cd "$stores"
mkdir rel "$tmp/relmnt"
mnt=../relmnt origin=rel/disk.img cache=rel/cache meta=rel/meta image=$mnt/disk.img
check_paths

# The options in the way of fstab, with a comma escaped.
cd "$tmp"
mnt=$tmp/relmnt origin=$stores/plain.img image=$mnt/plain.img
cache="$stores/with,comma" meta="$stores/m"
make_image 1M
"$CACHEWTFS" "$origin" "$mnt" -o "cache=$stores/with\\,comma,metadata=$stores/m,cache-size=1M" \
	-o _netdev,nofail,x-systemd.automount,pidfile="$pidfile"
[ -f "$stores/with,comma" ] || fail "the escaped comma was not understood"
compare_image
umount "$mnt"
wait_gone "$(cat "$pidfile")"
