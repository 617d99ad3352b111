#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# cachewtfs without root and without a kernel module, as in a container: in a user and mount namespace of its own.
# Needs user namespaces, /dev/fuse that this user may open, cachewtfs and cachewt in PATH.
#
#	container.sh ORIGIN COMMAND [ARGUMENTS]
#
# mounts ORIGIN through a cache that lives as long as the namespace and runs COMMAND with the path of the image as its last
# argument, e.g.		container.sh disk.img sha256sum
#
# With Docker or Podman nothing else is needed than the device and the right to mount:
#	docker run --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined -v /nfs:/nfs -v /ssd:/ssd IMAGE \
#		cachewtfs -f --cache /ssd/d.cache --metadata /ssd/d.meta --cache-size 10G /nfs/d.img /mnt
# --ulimit memlock=-1 lets it lock its memory; without, it says so and goes on.
# -f keeps the program in the foreground, so that it is the container's first process and gets its SIGTERM: then it stops
# orderly and the next start is warm.  Share /mnt with other containers by a volume with rshared propagation; cachewt works
# from any container that sees the mount, for all it uses is the files in /mnt/.cachewtfs.
set -eu

if [ "${1-}" != --inside ]; then
	if [ $# -lt 2 ]; then
		echo "usage: container.sh ORIGIN COMMAND [ARGUMENTS]" >&2
		exit 2
	fi
	exec unshare --user --map-root-user --mount -- "$0" --inside "$@"
fi

shift
origin=$1
shift
dir=$(mktemp -d)
cleanup() {
	mountpoint -q "$dir/image" && umount "$dir/image"
	mountpoint -q "$dir" && umount -l "$dir"
	rmdir "$dir"
}
trap cleanup EXIT
mount -t tmpfs -o size=128M cachewt "$dir"	# for the cache: gone with the namespace
mkdir "$dir/image"
cachewtfs --name image.img --cache "$dir/cache" --metadata "$dir/metadata" --cache-size 64M "$origin" "$dir/image"
"$@" "$dir/image/image.img"
cachewt status "$dir/image" >&2
