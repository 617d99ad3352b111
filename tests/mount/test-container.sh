#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# In a container with /dev/fuse and CAP_SYS_ADMIN, its stores in volumes: mount, write, stop as containers are
# stopped, and start warm.  A second container, without any right, sees the mount by propagation, uses the image, and
# the tool works.
if [ "$(id -u)" -eq 0 ] && [ -z "${CWT_PRIVATE_MOUNTS:-}" ]; then
	CWT_PRIVATE_MOUNTS=1 exec unshare --mount --propagation private -- "$BASH" "$0" "$@"
fi
TEST_TIMEOUT=${TEST_TIMEOUT:-600}		# the first time a system is put together
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse root podman crun debootstrap flock
# shellcheck source=container.sh
. "${srcdir:-.}/tests/mount/container.sh"
make_rootfs

ssd=$tmp/ssd
cache=$ssd/c meta=$ssd/m
mkdir "$ssd"
mount --bind "$mnt" "$mnt"
mount --make-shared "$mnt"

user() { container user --volume "$mnt:/mnt:rslave" -- "$@"; }

# As the page and examples/container.sh have it, but for Podman.
mount_start() {
	local i
	container cachewtfs --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
		--volume "$stores:/nfs" --volume "$ssd:/ssd" --volume "$mnt:/mnt:rshared" -- \
		cachewtfs -f --cache /ssd/c --metadata /ssd/m --cache-size 16M /nfs/disk.img /mnt >>"$log" 2>&1 &
	run=$!
	for ((i = 0; i < 600; i++)); do
		if [ -e "$image" ]; then
			"${podman[@]}" inspect --format '{{.State.Pid}}' cachewtfs >"$tmp/daemons"
			return
		fi
		if is_gone $run; then fail "podman run ended"; fi
		sleep 0.1
	done
	fail "no image after 60 s"
}

mount_stop() {
	container_stop cachewtfs
	wait "$run" || fail "the container ended with status $?"
	: >"$tmp/daemons"
	[ ! -e "$image" ] || fail "it is still mounted"
}

make_image 12M
mount_start
user cachewt wait --ready --timeout 20 /mnt
user sha256sum /mnt/disk.img | cut -d' ' -f1 >"$tmp/sum"
[ "$(cat "$tmp/sum")" = "$(sha256sum <"$origin" | cut -d' ' -f1)" ] || fail "the second container reads something else"
user dd if=/dev/urandom of=/mnt/disk.img bs=64K count=40 seek=7 conv=notrunc,fsync status=none
user sh -c 'cat /mnt/disk.img >/dev/null'
user cachewt status /mnt >"$tmp/status"
grep -qx 'origin: /nfs/disk.img' "$tmp/status" || fail "$(cat "$tmp/status")"
grep -qx 'io flusher: no' "$tmp/status" || fail "$(cat "$tmp/status")"
grep -q '^start: cold' "$tmp/status" || fail "$(cat "$tmp/status")"
[ "$(sed -n 's/^write hits: //p' "$tmp/status")" -eq 40 ] || fail "$(cat "$tmp/status")"
user cachewt message /mnt commit
compare_image
mount_stop
is_marked_clean || fail "the container was stopped, and the metadata is unclean"

mount_start
user sh -c 'cat /mnt/disk.img >/dev/null'
user cachewt status --json /mnt >"$tmp/status"
grep -q '"start_reason" : "warm: clean stop' "$tmp/status" || fail "$(cat "$tmp/status")"
grep -q '"read_misses" : 0,' "$tmp/status" || fail "$(cat "$tmp/status")"
compare_image
mount_stop
verify_mappings
