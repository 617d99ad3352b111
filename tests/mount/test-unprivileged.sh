#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user without any right but to open /dev/fuse, with small limits of locked memory and of open files: it works, with a
# line about the memory, and restarts warm.
if [ "$(id -u)" -eq 0 ] && [ -z "${CWT_PRIVATE_MOUNTS:-}" ]; then
	CWT_PRIVATE_MOUNTS=1 exec unshare --mount --propagation private -- "$BASH" "$0" "$@"
fi
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse root setpriv prlimit

# Of this test alone: elsewhere the device stays as it is.
mknod -m 666 "$tmp/fuse" c 10 229
mount --bind "$tmp/fuse" /dev/fuse

user=(prlimit --memlock=65536:65536 --nofile=64:64 setpriv --reuid=65534 --regid=65534 --clear-groups --)
as_user() { "${user[@]}" "$@"; }
printf '#!/bin/sh\nexec %s "%s" "$@"\n' "${user[*]}" "$CACHEWTFS" >"$tmp/cachewtfs-as-user"
chmod 755 "$tmp/cachewtfs-as-user"
CACHEWTFS=$tmp/cachewtfs-as-user

make_image 8M
chown -R 65534:65534 "$tmp"

# Root does not get into this mount, so the user does it all.
user_start() {
	local i
	: >"$log"
	start_cachewtfs "$@"
	grep -qE 'warning: memory is not locked: [0-9]+ KiB are needed, the limit is 64 KiB' "$log" || fail "$(cat "$log")"
	for ((i = 0; i < 2; i++)); do as_user cmp "$origin" "$image"; done
	as_user "$CACHEWT" status "$mnt" >"$tmp/status"
	grep -qx 'locked memory: no' "$tmp/status" || fail "$(cat "$tmp/status")"
	grep -qx 'io flusher: no' "$tmp/status" || fail "$(cat "$tmp/status")"
	grep -qx 'books balance: yes' "$tmp/status" || fail "$(cat "$tmp/status")"
}

user_stop() {
	as_user fusermount3 -u "$mnt"
	wait_gone "$daemon"
	wait "$daemon" || fail "cachewtfs ended with status $?"
	forget_daemon
}

user_start --cache-size 10M
if cat "$image" >/dev/null 2>&1; then fail "root got into the mount of another"; fi
as_user dd if=/dev/urandom of="$image" bs=64K count=16 conv=notrunc,fsync status=none
as_user cmp "$origin" "$image"
user_stop
user_start
grep -q '^start: warm: clean stop' "$tmp/status" || fail "$(cat "$tmp/status")"
grep -qx 'read misses: 0' "$tmp/status" || fail "$(cat "$tmp/status")"
user_stop
verify_mappings
