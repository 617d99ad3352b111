#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The tool on a living mount, on one whose daemon is stopped, and on what only looks like one.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse jq

# run STATUS ARGUMENT...: within 20 s; out and err are kept, and an error is one line.
run() {
	local expected=$1 status=0
	shift
	timeout 20 "$CACHEWT" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
	[ $status = "$expected" ] || fail "cachewt $*: status $status, expected $expected: $(cat "$tmp/err")"
	[ "$(wc -l <"$tmp/err")" = $((expected != 0)) ] || fail "cachewt $*: $(cat "$tmp/err")"
}
says() { grep -qF -- "$1" "$tmp/err" || fail "no \"$1\" in: $(cat "$tmp/err")"; }
logged() { grep -qF -- "$1" "$log" || fail "not logged: $1"; }

make_image 4M
run 1 wait --ready --timeout 0.2 "$mnt"
says 'not ready after 0.2 s'
"$CACHEWT" wait --ready --timeout 60 "$mnt" &
waiter=$!
start_cachewtfs --cache-size 4M --fault origin:read:delay=1500,skip=1,times=1
wait $waiter || fail "wait --ready: status $?"

# ------------------------------------------------------------------ a living one

for name in "$mnt" "$image"; do
	run 0 status "$name"
	grep -q '^origin: ' "$tmp/out" || fail "status $name: $(cat "$tmp/out")"
	run 0 status --json "$name"
	jq -e '.read_hits >= 0' "$tmp/out" >/dev/null || fail "status --json $name: $(cat "$tmp/out")"
done
(cd "$mnt" && "$CACHEWT" status disk.img && "$CACHEWT" status .) >"$tmp/out" || fail "status disk.img"
run 0 message "$mnt" commit
logged 'message "commit": done'
run 0 message "$image" bypass on
logged 'message "bypass on": done'
run 0 message "$image" bypass off
run 0 invalidate "$mnt" 1M 64k
logged 'message "invalidate 1048576 65536": done'
run 1 message "$mnt" nonsense
says 'refuses the message "nonsense"'

# Idle when the request that takes 1.5 s has ended.
cat "$image" >/dev/null &
reader=$!
for ((i = 0; i < 100; i++)); do
	[ "$(status 'requests in flight')" -eq 0 ] || break
	sleep 0.02
done
run 1 wait --idle --timeout 0 "$mnt"
says 'not idle'
run 0 wait --idle --timeout 20 "$mnt"
wait $reader

# ------------------------------------------------------------------ one that is stopped

# Held up at once or not: after a message, which takes 10 s and the same again.
kill -STOP "$daemon"
begin=$SECONDS
run 1 wait --ready --timeout 1 "$mnt"
says 'not ready after 1 s'
run 1 wait --idle --timeout 0 "$mnt"
says 'not idle after 0 s'
[ $((SECONDS - begin)) -le 5 ] || fail "the timeouts are not kept: $((SECONDS - begin)) s"
run 1 status "$mnt"
says 'no answer for 10 s'
# Who reads the tool's output does not wait for what it has left behind.
line=$("$CACHEWT" message "$mnt" commit 2>&1) && fail "a message to a stopped daemon succeeded"
[[ $line = *'no answer'* ]] || fail "$line"
[ $((SECONDS - begin)) -le 50 ] || fail "a stopped daemon holds the tool up: $((SECONDS - begin)) s"
kill -CONT "$daemon"
run 0 wait --ready --timeout 20 "$mnt"

# ------------------------------------------------------------------ until it goes away

"$CACHEWT" status --watch "$mnt" >"$tmp/watched" 2>"$tmp/err" &
watcher=$!
sleep 1.5
stop_cachewtfs
status=0
wait $watcher || status=$?
[ $status -eq 1 ] || fail "status --watch: status $status after the unmount"
[ "$(grep -c '^read hits' "$tmp/watched")" -ge 2 ] || fail "not two pictures: $(cat "$tmp/watched")"
grep -qE '^read hits .*/s$' "$tmp/watched" || fail "no rate: $(cat "$tmp/watched")"
[ "$(wc -l <"$tmp/err")" = 1 ] || fail "$(cat "$tmp/err")"

# ------------------------------------------------------------------ what only looks like one

echo precious >"$tmp/victim"
"$HOSTILE_MOUNT" "$tmp/victim" "$mnt" >>"$log" 2>&1 &
hostile=$!
echo $hostile >>"$tmp/daemons"
for ((i = 0; i < 200; i++)); do
	mountpoint -q "$mnt" && break
	sleep 0.05
done
run 1 message "$mnt" drop
says 'no control file'
[ "$(cat "$tmp/victim")" = precious ] || fail "a link was followed: $(cat "$tmp/victim")"
run 1 status --json "$mnt"
says 'no control file'
run 1 wait --idle --timeout 1 "$mnt"
run 0 status "$mnt"
if grep -aqP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$tmp/out"; then fail "escapes: $(cat -v "$tmp/out")"; fi
grep -qxF 'start: \033[2J\033]0;title\007 \302\233m \177 a\b' "$tmp/out" || fail "$(cat -v "$tmp/out")"
kill $hostile
wait_gone $hostile
umount -l "$mnt" 2>/dev/null || true

# A folder of anybody's: nothing in it is opened.
mkdir "$mnt/.cachewtfs"
ln -s "$tmp/victim" "$mnt/.cachewtfs/control"
mkfifo "$mnt/.cachewtfs/status" "$mnt/.cachewtfs/stats.json"
for arguments in status 'status --json' 'wait --idle' 'wait --ready --timeout 0'; do
	# shellcheck disable=SC2086
	run 1 $arguments "$mnt"
done
run 1 message "$mnt" drop
says 'not a mount of cachewtfs'
[ "$(cat "$tmp/victim")" = precious ] || fail "a link was followed: $(cat "$tmp/victim")"
