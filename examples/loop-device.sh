#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Make an image, mount it through the cache, put a loop device and ext4 on it, write and read files, and take all down again.
# Needs root (losetup, mount), cachewtfs and cachewt in PATH, mkfs.ext4, /dev/fuse.
#
#	loop-device.sh [FOLDER]		works in FOLDER; default: a new one in /tmp, removed at the end
set -eu

die() { echo "loop-device.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "must run as root: losetup and mount need it"
[ -e /dev/fuse ] || die "/dev/fuse is missing (modprobe fuse; in a container: --device /dev/fuse)"
for tool in cachewtfs cachewt losetup mkfs.ext4 fusermount3; do
	command -v $tool >/dev/null || die "$tool is not installed"
done

own=
dir=${1-}
if [ -z "$dir" ]; then
	dir=$(mktemp -d)
	own=yes
fi
loop=
cleanup() {
	mountpoint -q "$dir/files" && umount "$dir/files"
	[ -z "$loop" ] || losetup -d "$loop"
	mountpoint -q "$dir/mnt" && fusermount3 -u "$dir/mnt"
	[ -z "$own" ] || rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

mkdir -p "$dir/mnt" "$dir/files"
[ -e "$dir/disk.img" ] || { truncate -s 256M "$dir/disk.img"; mkfs.ext4 -q "$dir/disk.img"; }

# The cache: a file on a fast disk.  Here it is in the same folder, which only shows how it is done.
cachewtfs --cache "$dir/disk.cache" --metadata "$dir/disk.meta" --cache-size 64M "$dir/disk.img" "$dir/mnt"

# --direct-io=on: without it every byte is cached twice and small requests are four times slower.
loop=$(losetup --find --show --direct-io=on "$dir/mnt/disk.img")
mount "$loop" "$dir/files"

i=0
while [ $i -lt 20 ]; do
	dd if=/dev/urandom of="$dir/files/file$i" bs=64k count=16 2>/dev/null
	i=$((i + 1))
done
(cd "$dir/files" && sha256sum file*) >"$dir/sums"

# Read all twice past the page cache of the file system: what the first pass misses may be cached for the second.
for pass in 1 2; do
	sync
	echo 3 >/proc/sys/vm/drop_caches
	(cd "$dir/files" && sha256sum --quiet -c "$dir/sums")
	echo "pass $pass: $(cat "$dir/files"/file* | wc -c) bytes, checksums equal"
done
cachewt status "$dir/mnt"

umount "$dir/files"
losetup -d "$loop"
loop=
fusermount3 -u "$dir/mnt"

# umount returns before the daemon has made its last commit; cachewt waits for it.
cachewt verify --origin "$dir/disk.img" --cache "$dir/disk.cache" --metadata "$dir/disk.meta"
