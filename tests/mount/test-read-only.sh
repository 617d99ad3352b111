#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --read-only never writes the origin; several such mounts share it.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 4M
sum=$(sha256sum "$origin")
times=$(stat -c '%Y %Z' "$origin")

must_refuse_writes() {
	local result
	[ "$(stat -c %A "$image" | tr -d -c w)" = "" ] || fail "the image has write bits: $(stat -c %A "$image")"
	if result=$("$IO_HELPER" pwrite "$image" 0 1 2>&1); then
		[ "$result" = EROFS ] || fail "a write gives $result"
	fi
	if fallocate -p -o 0 -l 4096 "$image" 2>/dev/null; then fail "a punch was not refused"; fi
}

for how in '--read-only' '-o ro'; do
	# shellcheck disable=SC2086
	start_cachewtfs --cache-size 2M $how
	must_refuse_writes
	cat "$image" >/dev/null
	compare_image
	expect promotions -gt 0

	second=$tmp/second
	mkdir -p "$second"
	"$CACHEWTFS" --cache "$stores/c2" --metadata "$stores/m2" --cache-size 2M --read-only --pidfile "$tmp/pid2" \
		"$origin" "$second"
	cmp "$origin" "$second/disk.img"
	umount "$second"
	wait_gone "$(cat "$tmp/pid2")"

	stop_cachewtfs
	verify_mappings
done
start_cachewtfs --read-only
status start | grep -q '^warm' || fail "not warm: $(status start)"
stop_cachewtfs
[ "$(sha256sum "$origin")" = "$sum" ] || fail "the origin was written"
[ "$(stat -c '%Y %Z' "$origin")" = "$times" ] || fail "the origin's times changed"

# A file that is not ours to write is served, read-only, without being asked to write it.
chmod 444 "$origin"
start_cachewtfs --read-only --trust-origin
compare_image
stop_cachewtfs

# An origin that cannot be written: the line says what would help.  df calls nothing full that cannot be filled.
if [ "$(id -u)" -eq 0 ] && mkdir "$tmp/ro" && mount --bind "$stores" "$tmp/ro" && mount -o remount,bind,ro "$tmp/ro"; then
	refused 1 "cannot be opened for writing.*--read-only" --cache "$cache" --metadata "$meta" "$tmp/ro/disk.img" "$mnt"
	umount "$tmp/ro"
fi
start_cachewtfs --read-only
[ "$(df --output=pcent "$mnt" | tail -n 1 | tr -d ' ')" = - ] || fail "df says $(df "$mnt")"
stop_cachewtfs
