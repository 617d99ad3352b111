#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What others may lay in the way of a start, as root too: a pidfile that is none, a mountpoint that becomes a link while the
# stores open, a default folder that others may write; and what the parent leaves open.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 4M
given=(--cache "$cache" --metadata "$meta" --cache-size 4M)

# ------------------------------------------------------------------ the pidfile

mkfifo "$tmp/fifo"
ln -s "$tmp/target" "$tmp/link"
head -c 100 /dev/zero >"$tmp/long"
for path in "$tmp/fifo" "$tmp/link" "$tmp/long" "$tmp" "$origin" /dev/null; do
	before=$(stat -c '%F %i %s' "$path")
	refused 1 "--pidfile $path: is there and no" --pidfile "$path" "${given[@]}" "$origin" "$mnt"
	[ "$(stat -c '%F %i %s' "$path")" = "$before" ] || fail "$path was replaced"
done
(umask 0 && "$CACHEWTFS" "${given[@]}" --pidfile "$pidfile" "$origin" "$mnt" 7</dev/zero 8>"$tmp/kept-open")
daemon=$(cat "$pidfile")
echo "$daemon" >>"$tmp/daemons"
[ "$(stat -c %a "$pidfile")" = 644 ] || fail "the pidfile has mode $(stat -c %a "$pidfile")"
[ -z "$(find "$tmp" -maxdepth 1 -name 'pid.*')" ] || fail "left beside the pidfile: $(ls "$tmp")"
if find "/proc/$daemon/fd" -lname /dev/zero -o -lname "$tmp/kept-open" | grep -q .; then
	fail "it keeps its parent's descriptors: $(ls -l "/proc/$daemon/fd")"
fi
grep -qx 'Umask:[[:space:]]*0077' "/proc/$daemon/status" || fail "its $(grep Umask "/proc/$daemon/status")"
echo 1 >"$pidfile.other"
mv "$pidfile.other" "$pidfile"
fusermount3 -u "$mnt"
wait_gone "$daemon"
forget_daemon
[ "$(cat "$pidfile")" = 1 ] || fail "another's pidfile was removed"
(umask 0777 && exec "$CACHEWTFS" "${given[@]}" --pidfile "$pidfile" "$origin" "$mnt")
daemon=$(cat "$pidfile")
echo "$daemon" >>"$tmp/daemons"
[ "$(stat -c %a "$pidfile")" = 644 ] || fail "the pidfile has mode $(stat -c %a "$pidfile")"

# ------------------------------------------------------------------ who is in the way

# Who only has the origin open is not named; who has it locked is, and where it is mounted if the kernel tells.
# shellcheck disable=SC2217
sleep 60 <"$origin" &
bystander=$!
echo $bystander >>"$tmp/daemons"
mkdir "$tmp/mnt2"
others=(--cache "$stores/c2" --metadata "$stores/m2" --cache-size 1M)
refused 1 "in use by process $daemon \\(cachewtfs\\)" "${others[@]}" "$origin" "$tmp/mnt2"
if grep -q fuse_connection "/proc/$daemon/fdinfo/"* 2>/dev/null; then
	grep -q "mounted on $mnt:" "$tmp/err" || fail "it does not say where: $(cat "$tmp/err")"
fi
kill $bystander
fusermount3 -u "$mnt"
wait_gone "$daemon"
forget_daemon
if command -v python3 >/dev/null; then
	python3 -c 'import fcntl, sys, time
f = open(sys.argv[1]); fcntl.lockf(f, fcntl.LOCK_SH); open(sys.argv[2], "w").close(); time.sleep(60)' "$origin" "$tmp/locked" &
	reader=$!
	echo $reader >>"$tmp/daemons"
	until [ -e "$tmp/locked" ]; do sleep 0.05; done
	refused 1 "in use by process $reader" "${given[@]}" "$origin" "$mnt"
	kill $reader
fi

[ "$(id -u)" -eq 0 ] || exit 0

# ------------------------------------------------------------------ the mountpoint, while the stores are slow

# The metadata of another owner makes the start wait: long enough to put a link in the mountpoint's place.
mkdir "$tmp/home" "$tmp/home/mnt" "$tmp/etc"
"$CACHEWTFS" -f "${given[@]}" --pidfile "$pidfile" --fault metadata:read:delay=700,times=3 "$origin" "$tmp/home/mnt" >>"$log" 2>&1 &
daemon=$!
echo $daemon >>"$tmp/daemons"
sleep 0.3
mv "$tmp/home/mnt" "$tmp/home/moved"
ln -s "$tmp/etc" "$tmp/home/mnt"
for ((i = 0; i < 400; i++)); do
	if [ -s "$pidfile" ] && [ "$(cat "$pidfile")" = "$daemon" ]; then break; fi
	sleep 0.05
done
if mountpoint -q "$tmp/etc"; then fail "mounted where a link led to"; fi
mountpoint -q "$tmp/home/moved" || fail "not mounted on the held directory: $(mounts_of_test)"
grep -q "mounted on $tmp/home/moved" "$log" || fail "it does not say so"
kill "$daemon"
wait_gone "$daemon"
forget_daemon
if mountpoint -q "$tmp/home/moved"; then fail "still mounted after a stop"; fi

# ------------------------------------------------------------------ a mount made by mount.fuse3

if command -v mount.fuse3 >/dev/null; then
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -eu -c '
		PATH=${1%/*}:$PATH mount.fuse3 "$2" "$3" -t fuse.cachewtfs -o "drop_privileges,allow_other,default_permissions,cache=$4,metadata=$5,pidfile=$6"
		cmp "$2" "$3/disk.img"
		"$7" status "$3" >/dev/null
		umount "$3"' - "$CACHEWTFS" "$origin" "$mnt" "$cache" "$meta" "$tmp/pid3" "$CACHEWT" ||
		fail "mount.fuse3 -o drop_privileges"
	for ((i = 0; i < 400; i++)); do
		[ -e "$tmp/pid3" ] || break
		sleep 0.05
	done
	[ ! -e "$tmp/pid3" ] || wait_gone "$(cat "$tmp/pid3")"
	is_marked_clean || fail "no clean stop after mount.fuse3"
fi

# ------------------------------------------------------------------ the default folder

mkdir "$tmp/var-cache"
# shellcheck disable=SC2016
unshare --mount --propagation private bash -eu -c '
	mount --bind "$1" /var/cache
	mkdir /var/cache/cachewtfs
	for how in "chmod 0777" "chmod 0720" "chown 65534"; do
		chown 0 /var/cache/cachewtfs
		chmod 0700 /var/cache/cachewtfs
		$how /var/cache/cachewtfs
		if "$2" "$3" "$4" 2>"$5"; then umount "$4"; exit 1; fi
		grep -qE "^cachewtfs: /var/cache/cachewtfs: (others may write|belongs to user 65534).*\(ch(mod|own)" "$5"
	done' - "$tmp/var-cache" "$CACHEWTFS" "$origin" "$mnt" "$tmp/err" || fail "a default folder of others is used: $(cat "$tmp/err")"
