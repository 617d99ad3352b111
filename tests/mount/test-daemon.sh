#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Without -f the command returns when the image answers; -V and -h say what they should; logs go to syslog.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

"$CACHEWTFS" --version | grep -qE '^cachewtfs [0-9]+\.[0-9]+' || fail "--version: $("$CACHEWTFS" --version)"
"$CACHEWTFS" --help | grep -q 'ORIGIN MOUNTPOINT' || fail "--help does not show the usage"
"$CACHEWT" --version | grep -qE '[0-9]+\.[0-9]+' || fail "cachewt --version"

make_image 1M
cd "$stores"
"$CACHEWTFS" --cache "$cache" --metadata "$meta" --cache-size 1M --pidfile ../pid disk.img ../mnt >"$tmp/out" \
	2>"$tmp/err"
[ -f "$image" ] || fail "it returned before the image was there"
if [ -s "$tmp/out" ] || [ -s "$tmp/err" ]; then fail "it said: $(cat "$tmp/out" "$tmp/err")"; fi
daemon=$(cat "$pidfile")
[ "$(readlink "/proc/$daemon/cwd")" = / ] || fail "it stays in $(readlink "/proc/$daemon/cwd")"
compare_image
[ "$(stat -c %o "$image")" -eq 65536 ] || fail "st_blksize is $(stat -c %o "$image")"
grep -q " $mnt fuse.cachewtfs " /proc/self/mounts || fail "not in the mount table as fuse.cachewtfs"
"$CACHEWT" status "$mnt" >"$tmp/status"
[ "$(head -n 1 "$tmp/status" | wc -w)" -ge 14 ] || fail "the first line of the status is short"
"$CACHEWT" status "$mnt" --json | grep -q '"read_hits"' || fail "the JSON has no read_hits"
"$CACHEWT" wait "$mnt" --ready
"$CACHEWT" wait "$mnt" --idle
"$CACHEWT" invalidate "$mnt" 0 64K
compare_image
"$CACHEWT" message "$mnt" drop
expect mapped -eq 0
if "$CACHEWT" message "$mnt" nonsense 2>"$tmp/err"; then fail "an unknown message was accepted"; fi
[ "$(wc -l <"$tmp/err")" -eq 1 ] || fail "not one line: $(cat "$tmp/err")"
compare_image
fusermount3 -u "$mnt"
wait_gone "$daemon"
[ ! -e "$pidfile" ] || fail "the pidfile is left behind"
verify_mappings
