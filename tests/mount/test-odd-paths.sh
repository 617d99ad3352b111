#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Paths with spaces, commas, quotes, backslashes, bytes that are not UTF-8, and relative ones.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

check_paths() {
	make_image 1M
	start_cachewtfs --cache-size 1M
	[ -f "$image" ] || fail "no \"$image\""
	compare_image
	write_at "$image" 5000 "$(random_file 100K)"
	compare_image
	awk '{ if (NF > 1 && $0 !~ /^[0-9]/ && $0 !~ /^[A-Za-z\/ -]+: /) exit 1 }' "$mnt/.cachewtfs/status" ||
		fail "a path breaks the lines of the status"
	stop_cachewtfs
	verify_mappings
	start_cachewtfs
	status start | grep -q '^warm' || fail "not warm: $(status start)"
	compare_image
	stop_cachewtfs
}

for name in 'a b' 'a,b=c' "it's" 'say "x"' 'back\\slash' $'byte\xff' $'new\nline' '-dash' '#%*?'; do
	odd=$stores/$name
	mnt="$tmp/m $name"
	mkdir -p "$odd" "$mnt"
	origin=$odd/$name.img cache=$odd/$name.cache meta=$odd/$name.meta image=$mnt/$name.img
	check_paths
done

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
