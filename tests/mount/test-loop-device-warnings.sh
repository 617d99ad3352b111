#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The status warns of a loop device without direct I/O, with the remedy, and of a loop device over the image that has
# come to carry one of the stores: directly, by a btrfs or by another backing file, and crosswise over a second
# cachewtfs. Each warning is logged once.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop root mkfs.ext4 mkfs.btrfs btrfs jq

# warnings [MOUNT]: those of stats.json, one in each line; status has the same.
warnings() {
	local m=${1:-$mnt}
	jq -r '.warnings[]' "$m/.cachewtfs/stats.json" >"$tmp/warnings"
	sed -n 's/^warning: //p' "$m/.cachewtfs/status" | cmp - "$tmp/warnings" || fail "status and stats.json differ"
	cat "$tmp/warnings"
}

# warns PATTERN [MOUNT]
warns() { warnings "${2:-$mnt}" | grep -qE "$1" || fail "no warning \"$1\": $(cat "$tmp/warnings")"; }
warns_not() { [ -z "$(warnings "${1:-$mnt}")" ] || fail "a warning without cause: $(cat "$tmp/warnings")"; }
logged_times() { [ "$(grep -cE "$1" "$log")" -eq "$2" ] || fail "logged $(grep -cE "$1" "$log") times, not $2: $1"; }

direct_io_test() {
	truncate -s 32M "$origin"
	start_cachewtfs --cache-size 8M
	warns_not
	loop=$(losetup -f --show --direct-io=off "$image")
	warns "^$loop .*losetup --direct-io=on $loop"
	warns "^$loop "
	logged_times "direct-io=on $loop" 1
	losetup --direct-io=on "$loop"
	warns_not
	detach_loop "$loop"

	# Nobody reads the status: it is noticed when something is mounted.
	loop=$(losetup -f --show --direct-io=off "$image")
	mkfs.ext4 -q -F "$loop"
	: >"$log"
	mount "$loop" "$tmp/fs"
	# shellcheck disable=SC2016
	timeout 20 sh -c 'until grep -q "$1" "$2"; do sleep 0.1; done' - "direct-io=on $loop" "$log" ||
		fail "no line in the log"
	umount "$tmp/fs"
	detach_loop "$loop"
	stop_cachewtfs
}

# The cache's file system gets a loop device over the image as a second disk.  Nothing may be written to the cache
# while it is so, for that would be the deadlock.
btrfs_test() {
	local below=$tmp/below.img fs=$tmp/btrfs disk
	rm "$origin"
	truncate -s 256M "$origin" "$below"
	mkdir "$fs"
	mkfs.btrfs -q "$below"
	attach_loop "$below"
	disk=$loop
	mount "$disk" "$fs"
	cache=$fs/cache meta=$stores/meta-btrfs
	start_cachewtfs --cache-size 8M --mode passthrough --reset
	warns_not
	attach_loop "$image"
	btrfs device add "$loop" "$fs" >/dev/null
	warns "^the cache lies on this image, by way of ${loop#/dev/}:"
	warns "^the cache "
	btrfs device remove "$loop" "$fs"
	warns_not
	logged_times 'the cache lies on this image' 1
	detach_loop "$loop"
	stop_cachewtfs
	umount "$fs"
	detach_loop "$disk"
}

# make_filesystem FILE CONTENT [NAME]: ext4 in FILE, 64M, with the one file NAME, which is as large, a sparse copy of
# CONTENT. So each of them can take the place of the other below a loop device.
make_filesystem() {
	truncate -s 64M "$1"
	mkfs.ext4 -q -F "$1"
	attach_loop "$1"
	mount "$loop" "$tmp/fs"
	cp --sparse=always "$2" "$tmp/fs/$3"
	umount "$tmp/fs"
	detach_loop "$loop"
}

# mount_read_only FILE FOLDER: sets $loop
mount_read_only() {
	loop=$(losetup -f --show -r --direct-io=on "$1")
	mkdir "$2"
	mount -o ro,noload "$loop" "$2"
}

# Another backing file is another medium: what lies on the device is shut down, and so no stop is clean any more.
stop_without_origin() {
	local status=0
	umount "$mnt"
	wait_gone "$daemon"
	wait "$daemon" || status=$?
	forget_daemon
	[ $status -le 1 ] || fail "cachewtfs ended with status $status"
}

# A read-only loop device, on which the origin lies, gets our own image as its backing file.
change_fd_test() {
	truncate -s 64M "$tmp/empty"
	make_filesystem "$tmp/x.img" "$tmp/empty" a.img
	mount_read_only "$tmp/x.img" "$tmp/x"
	origin=$tmp/x/a.img image=$mnt/a.img cache=$stores/cache-x meta=$stores/meta-x
	start_cachewtfs --cache-size 8M --read-only
	warns_not
	"$IO_HELPER" change-fd "$loop" "$image"
	warns "^the origin lies on this image, by way of ${loop#/dev/}:"
	"$IO_HELPER" change-fd "$loop" "$tmp/x.img"
	warns_not
	stop_without_origin
	umount "$tmp/x"
	detach_loop "$loop"
}

# A's origin comes to lie on a loop device over B's image, when B's lies on one over A's.
crosswise_test() {
	local mnt_a=$mnt mnt_b=$tmp/mnt-b loop_a loop_b daemon_a
	mkdir "$mnt_b"
	make_filesystem "$tmp/a.img" "$tmp/empty" b.img
	make_filesystem "$tmp/y.img" "$tmp/a.img" a.img
	mount_read_only "$tmp/y.img" "$tmp/y"
	loop_a=$loop
	origin=$tmp/y/a.img cache=$stores/cache-a meta=$stores/meta-a
	start_cachewtfs --cache-size 8M --read-only
	daemon_a=$daemon
	mount_read_only "$mnt_a/a.img" "$tmp/z"
	loop_b=$loop
	origin=$tmp/z/b.img cache=$stores/cache-b meta=$stores/meta-b mnt=$mnt_b
	start_cachewtfs --cache-size 8M --read-only
	warns_not "$mnt_a"
	warns_not "$mnt_b"
	"$IO_HELPER" change-fd "$loop_a" "$mnt_b/b.img"
	warns "^the origin lies on this image, by way of ${loop_a#/dev/}, $mnt_b/b.img, ${loop_b#/dev/}:" "$mnt_a"
	warns "^the origin lies on this image, by way of ${loop_b#/dev/}, $mnt_a/a.img, ${loop_a#/dev/}:" "$mnt_b"
	"$IO_HELPER" change-fd "$loop_a" "$tmp/y.img"
	warns_not "$mnt_a"
	warns_not "$mnt_b"
	stop_without_origin
	umount "$tmp/z"
	detach_loop "$loop_b"
	mnt=$mnt_a daemon=$daemon_a
	stop_without_origin
	umount "$tmp/y"
	detach_loop "$loop_a"
}

mkdir "$tmp/fs"
direct_io_test
btrfs_test
change_fd_test
crosswise_test
