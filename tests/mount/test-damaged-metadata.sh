#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Damage at any one place of the metadata: refused with one line, or mounted with nothing that cannot be trusted.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 2M
start_cachewtfs --cache-size 1M --block-size 16K
cat "$image" >/dev/null
stop_cachewtfs
verify_mappings
cp "$meta" "$tmp/meta.good"
cp "$cache" "$tmp/cache.good"
nr_mounted=0

# Mount with what is there now, read all, stop: right at every step, or refused.
mount_or_refuse() {
	cp "$tmp/cache.good" "$cache"
	if ! "$CACHEWTFS" --cache "$cache" --metadata "$meta" --pidfile "$pidfile" "$origin" "$mnt" 2>"$tmp/err"; then
		[ "$(wc -l <"$tmp/err")" -eq 1 ] || fail "$1: not one line: $(cat "$tmp/err")"
		return
	fi
	daemon=$(cat "$pidfile")
	compare_image
	umount "$mnt"
	wait_gone "$daemon"
	daemon=
	verify_mappings 0
	nr_mounted=$((nr_mounted + 1))
}

size=$(stat -c %s "$meta")
for ((at = 0; at < size; at += 8192)); do
	cp "$tmp/meta.good" "$meta"
	dd if=/dev/urandom of="$meta" bs=4096 count=2 oflag=seek_bytes seek=$at conv=notrunc status=none
	mount_or_refuse "random bytes at $at"
	cp "$tmp/meta.good" "$meta"
	dd if=/dev/zero of="$meta" bs=4096 count=2 oflag=seek_bytes seek=$at conv=notrunc status=none
	mount_or_refuse "zeros at $at"
done
for ((at = 1; at < size; at += 16381)); do
	cp "$tmp/meta.good" "$meta"
	truncate -s $at "$meta"
	mount_or_refuse "truncated to $at bytes"
done
[ $nr_mounted -gt 0 ] || fail "one damaged place, and it never mounts: two copies are of no use"
