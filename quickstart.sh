#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	./quickstart.sh				build, and show what it does with a demo in build/demo
#	./quickstart.sh ORIGIN MOUNTPOINT	build, and mount your image through a cache
#
# Installs what is missing (Debian and Ubuntu; elsewhere it says what that is).  The demo uses a loop device, which
# needs root; without root it reads and writes the image itself.  Run it twice: the second time the cache is warm.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

here=$(cd "$(dirname "$0")" && pwd)
loop=

# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh"
# shellcheck source=scripts/places.sh
. "$here/scripts/places.sh"

die() {
	echo "quickstart.sh: $*" >&2
	exit 1
}

# step WHAT COMMAND...: one line with the time it took; what the command says goes to the log.  The command is one that
# fails as a whole: errexit does not work in a function that is asked for its status.
step() {
	local what=$1 before=$SECONDS
	shift
	printf '%s ... ' "$what"
	if ! "$@" >>"$log" 2>&1; then
		echo "failed after $((SECONDS - before)) s"
		tail -n 20 "$log" >&2
		die "the build failed (log: $log)"
	fi
	echo "$((SECONDS - before)) s"
}

# The caller's folder stays the current one: the paths he gave may be relative to it.
build() {
	install_packages build || exit 1
	find_places || exit 1
	demo=$build/demo log=$build/quickstart.log cachewtfs=$build/src/cachewtfs cachewt=$build/src/cachewt
	mkdir -p "$build"
	: >"$log"
	echo "Building in $build (log: $log)"
	[ -x "$source/configure" ] || step "  autoreconf" env -C "$source" autoreconf -i
	[ -f "$build/Makefile" ] || step "  configure" env -C "$build" "$source/configure"
	step "  make" make -C "$build" -j"$(nproc)"
}

# ------------------------------------------------------------------ the user's own image

check_arguments() {
	[ -e "$1" ] || die "$1: there is no such image (ORIGIN is a file or block device)"
	[ -d "$2" ] || die "$2: there is no such folder (MOUNTPOINT is an empty one: mkdir it)"
}

mount_image() {
	local file status umount
	"$cachewtfs" -- "$1" "$2"
	printf -v file %q "$(cd "$2" && pwd)/$(basename -- "$1")"
	printf -v status '%q status %q' "$cachewt" "$(cd "$2" && pwd)"
	printf -v umount 'fusermount3 -u %q' "$(cd "$2" && pwd)"
	echo "$1 is mounted: $file"
	echo "  look at it:    $status"
	if [ "$(id -u)" -eq 0 ]; then
		echo "  as a disk:     losetup -f --show --direct-io=on $file"
	else
		echo "  as a disk:     root's losetup sees it only if it was mounted with -o allow_other, which needs the line"
		echo "                 user_allow_other in /etc/fuse.conf; without root: fuse2fs or guestmount"
	fi
	echo "  take it away:  $umount"
}

# ------------------------------------------------------------------ the demo

# An ext4 image with real files in it; made without mounting it, so that no root is needed.
demo_make_image() {
	local files=$demo/files name
	rm -rf "$files" "$demo"/disk.*
	mkdir -p "$files"
	for name in "$here"/{lib,src,man,README.md,COPYING} /usr/include/linux /usr/share/perl; do
		[ ! -e "$name" ] || cp -rL "$name" "$files/" 2>/dev/null || true	# as far as we may read
	done
	truncate -s 256M "$demo/disk.img.new"
	mkfs.ext4 -q -F -d "$files" "$demo/disk.img.new"
	rm -rf "$files"
	mv "$demo/disk.img.new" "$demo/disk.img"
}

demo_attach() {
	loop=$(losetup -f --show --direct-io=on "$demo/mnt/disk.img") || die "no loop device can be had"
	mount "$loop" "$demo/fs"
}

# The kernel keeps what it read of a mounted file system: unmounted in between, every pass comes through the cache.
demo_detach() {
	[ -n "$loop" ] || return 0
	! mountpoint -q "$demo/fs" || umount "$demo/fs"
	losetup -d "$loop"
	while losetup "$loop" >/dev/null 2>&1; do sleep 0.1; done
	loop=
}

demo_cleanup() {
	local status=$?
	trap - EXIT
	set +e
	demo_detach
	if mountpoint -q "$demo/mnt"; then fusermount3 -u "$demo/mnt" || fusermount3 -u -z "$demo/mnt"; fi
	exit $status
}

# Read every file of the image, and print one checksum of it all.  Without root: the first 32 MiB of the image.  All of
# it, one pass after the other, would be more than the cache can hold.
demo_read() {
	if [ "$(id -u)" -ne 0 ]; then
		dd if="$demo/mnt/disk.img" bs=1M count=32 status=none | sha256sum | cut -d' ' -f1
		return
	fi
	demo_attach
	(cd "$demo/fs" && find . -xdev -type f ! -name 'written-*' -print0 | sort -z | xargs -0 sha256sum) |
		sha256sum | cut -d' ' -f1
	demo_detach
}

demo_write() {
	if [ "$(id -u)" -ne 0 ]; then
		# The reserved first KiB of ext4 is free for boot loaders.
		date | dd of="$demo/mnt/disk.img" bs=512 count=1 conv=notrunc,fsync status=none
		return
	fi
	demo_attach
	cp -r "$here/lib" "$demo/fs/written-$(date +%s)"
	sync -f "$demo/fs"
	demo_detach
}

number() { sed -n "s/^$1: //p" "$demo/mnt/.cachewtfs/status"; }

demo_numbers() {
	local hits=$(($(number 'read hits') + $(number 'write hits')))
	local misses=$(($(number 'read misses') + $(number 'write misses')))
	printf '  %-16s %7s hits %7s misses %7s promotions\n' "$1:" $hits $misses "$(number promotions)"
}

run_demo() {
	local first second daemon
	[ -w /dev/fuse ] || die "no mount is possible: /dev/fuse is missing or not ours to write"
	mkdir -p "$demo/mnt" "$demo/fs"
	[ -f "$demo/disk.img" ] || demo_make_image
	trap demo_cleanup EXIT
	trap 'exit 130' INT TERM

	echo "Mounting $demo/disk.img through a cache of 64 MiB"
	"$cachewtfs" --cache "$demo/disk.cache" --metadata "$demo/disk.meta" --cache-size 64M \
		--pidfile "$demo/pid" "$demo/disk.img" "$demo/mnt"
	daemon=$(cat "$demo/pid")
	echo "  start: $(number start)"
	[ "$(id -u)" -eq 0 ] || echo "  (a loop device needs root: the first 32 MiB of the image are read, and it is written, directly)"

	first=$(demo_read)
	demo_numbers 'all files read'
	second=$(demo_read)
	demo_numbers 'and again'
	[ "$first" = "$second" ] || die "the two reads differ: $first and $second"
	echo "  equal checksums: $first"
	demo_write
	demo_numbers 'files written'
	[ "$(number 'books balance')" = yes ] || die "the books do not balance"

	fusermount3 -u "$demo/mnt"
	while [ -e "/proc/$daemon" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$daemon/status" 2>/dev/null; do
		sleep 0.1
	done
	"$cachewt" verify --origin "$demo/disk.img" --cache "$demo/disk.cache" --metadata "$demo/disk.meta" |
		sed 's/^/  verify: /'
	echo "Unmounted. Run it again: the cache is kept in $demo, and the next start is warm."
}

case $# in
0)
	build
	run_demo
	;;
2)
	check_arguments "$1" "$2"
	build
	mount_image "$1" "$2"
	;;
*)
	echo "usage: $0 [ORIGIN MOUNTPOINT]" >&2
	exit 2
	;;
esac
