#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Without --cache and --metadata a pair of its own is made for each origin, and found again.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse root unshare

# As root the pair is in /var/cache: in a mount namespace of our own that is a folder of the test.
if [ "${1:-}" != inside ]; then
	mkdir "$tmp/var-cache"
	TEST_VAR_CACHE=$tmp/var-cache unshare -m --propagation private "$0" inside
	exit
fi
mount --bind "$TEST_VAR_CACHE" /var/cache

make_image 4M
start() { "$CACHEWTFS" --pidfile "$pidfile" "$@" "$origin" "$mnt"; daemon=$(cat "$pidfile"); }
stop() { umount "$mnt"; wait_gone "$daemon"; }

start 2>"$tmp/said"
grep -qE "^cachewtfs: /var/cache/cachewtfs/disk.img-[0-9a-f]{16}.cache: made this cache, of 4\.[0-9] MiB .*--cache-size" "$tmp/said" ||
	fail "nobody says that a cache was made: $(cat "$tmp/said")"
[ "$(wc -l <"$tmp/said")" -eq 1 ] || fail "more than that is said: $(cat "$tmp/said")"
compare_image
compare_image
[ "$(find /var/cache/cachewtfs -name 'disk.img-*.cache' | wc -l)" -eq 1 ] || fail "made: $(ls -R /var/cache)"
[ "$(find /var/cache/cachewtfs -name 'disk.img-*.meta' | wc -l)" -eq 1 ] || fail "made: $(ls -R /var/cache)"
stop
start 2>"$tmp/said"
[ ! -s "$tmp/said" ] || fail "a cache that was there is said to be made: $(cat "$tmp/said")"
status start | grep -q '^warm' || fail "not warm: $(status start)"
stop

# Another origin of the same name has another pair; two read-only mounts of one origin have two.
mkdir "$stores/other"
make_image 4M "$stores/other/disk.img"
origin=$stores/other/disk.img
start --read-only
status start | grep -q '^cold' || fail "the pair of another origin was taken: $(status start)"
mkdir "$tmp/mnt2"
"$CACHEWTFS" --read-only --pidfile "$tmp/pid2" "$origin" "$tmp/mnt2"
cmp "$origin" "$tmp/mnt2/disk.img"
[ "$(find /var/cache/cachewtfs -name '*.cache' | wc -l)" -eq 3 ] || fail "made: $(ls -R /var/cache)"
umount "$tmp/mnt2"
wait_gone "$(cat "$tmp/pid2")"
compare_image
stop

# prune: nothing of it is old, or an orphan; what is in use stays, whatever is asked; then all but what is in use goes.
find /var/cache/cachewtfs -exec touch -d '3 days ago' {} +
touch -d '3 days ago' /var/cache/cachewtfs/notes.cache
"$CACHEWT" prune --yes | grep -q '^0 pairs' || fail "pruned: $("$CACHEWT" prune)"
start --read-only
"$CACHEWT" prune --older-than 2 >"$tmp/out"
grep -q '^2 pairs.*--yes' "$tmp/out" || fail "prune says: $(cat "$tmp/out")"
[ "$(find /var/cache/cachewtfs -name '*-*' | wc -l)" -eq 6 ] || fail "removed without --yes: $(ls -R /var/cache)"
"$CACHEWT" prune --older-than 2 -y >"$tmp/out"
[ "$(find /var/cache/cachewtfs -name 'disk.img-*' | wc -l)" -eq 2 ] || fail "left: $(ls -R /var/cache), $(cat "$tmp/out")"
[ -e /var/cache/cachewtfs/notes.cache ] || fail "a file that is not ours was removed"
compare_image
stop
