#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A copy of the mount in another mount namespace keeps the daemon alive after umount: who has it is said, and cachewt stop
# ends it cleanly.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse root unshare

make_image 4M
mkdir "$tmp/mnt2"

# copy_mounts: a process with a copy of our mounts; sets $copy.
copy_mounts() {
	unshare -m --propagation private sleep 600 &
	copy=$!
	echo $copy >>"$tmp/daemons"
	for ((i = 0; i < 200; i++)); do
		[ "$(readlink /proc/$copy/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ] && grep -qF "$mnt" "/proc/$copy/mountinfo" && return
		sleep 0.05
	done
	fail "no copy of the mounts"
}

start_cachewtfs --cache-size 2M
cat "$image" >/dev/null
"$CACHEWT" list | grep -qE "^$daemon +writethrough .*$mnt  $origin$" || fail "not listed: $("$CACHEWT" list)"
"$CACHEWT" list --json | grep -qF "\"mountpoint\" : \"$mnt\"" || fail "not in JSON: $("$CACHEWT" list --json)"
[ "$("$CACHEWT" health "$mnt")" = fine ] || fail "not fine: $("$CACHEWT" health "$mnt")"

# In use and seen here: the place is named.
refused 1 "in use by process $daemon \(cachewtfs\) \(mounted on $mnt: unmount that first\)" --cache "$stores/c2" --metadata "$stores/m2" \
	--cache-size 1M "$origin" "$tmp/mnt2"

copy_mounts
umount "$mnt"
"$CACHEWT" wait --ended --timeout 1 "$mnt" 2>"$tmp/err" && fail "the daemon has ended although there is a copy"
grep -q "has not ended after 1 s" "$tmp/err" || fail "wait says: $(cat "$tmp/err")"
refused 1 "process $copy \(sleep\).*cachewt stop $daemon" --cache "$cache" --metadata "$meta" "$origin" "$tmp/mnt2"
"$CACHEWT" check "$meta" 2>"$tmp/err" && fail "a metadata in use was checked"
grep -qE "in use by process $daemon .*process $copy \(sleep\).*cachewt stop $daemon" "$tmp/err" || fail "check says: $(cat "$tmp/err")"

# What is no cachewtfs is left alone.
"$CACHEWT" stop "$copy" 2>"$tmp/err" && fail "a stranger was stopped"
grep -q "is not a cachewtfs" "$tmp/err" || fail "stop says: $(cat "$tmp/err")"
kill -0 "$copy"

"$CACHEWT" stop "$daemon"
is_gone "$daemon" || fail "stop returned before the daemon had ended"
wait "$daemon" || fail "the stop was not clean: status $?"
forget_daemon
"$CACHEWT" wait --ended --timeout 1 "$mnt"
is_marked_clean || fail "not marked clean after cachewt stop"
kill -9 "$copy"
sed -i "/^$copy\$/d" "$tmp/daemons"
verify_mappings

# By the mountpoint.
start_cachewtfs
status start | grep -q '^warm' || fail "not warm: $(status start)"
"$CACHEWT" message "$mnt" bypass on
ret=0
"$CACHEWT" health "$mnt" >"$tmp/out" || ret=$?
if [ $ret -ne 1 ] || ! grep -q '^bypassed: message' "$tmp/out"; then fail "health: $ret $(cat "$tmp/out")"; fi
kill -STOP "$daemon"
ret=0
"$CACHEWT" health --timeout 0.5 "$mnt" >"$tmp/out" 2>"$tmp/err" || ret=$?
kill -CONT "$daemon"
if [ $ret -ne 2 ] || ! grep -q '0.5 s' "$tmp/err"; then fail "health: $ret $(cat "$tmp/err")"; fi
"$CACHEWT" stop "$mnt"
wait "$daemon" || fail "the stop was not clean: status $?"
forget_daemon
if mountpoint -q "$mnt"; then fail "still mounted after cachewt stop"; fi
ret=0
"$CACHEWT" health "$mnt" 2>/dev/null || ret=$?
[ $ret -eq 2 ] || fail "health of no mount is $ret"
