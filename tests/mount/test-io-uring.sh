#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# -o io_uring: refused with the reason where it cannot be had; where it can, requests come that way and all is answered.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 8M
parameter=/sys/module/fuse/parameters/enable_uring
refused 2 'page_cache=on' -o io_uring,page_cache=on "$origin" "$mnt"

why=$("$CACHEWTFS" -f -o io_uring "$tmp/none" "$mnt" 2>&1) && fail "an origin that is not there was mounted"
case $why in
*'-o io_uring: this cachewtfs was built with'*)
	refused 1 'built with libfuse 3\.[0-9.]+.*3\.18 or later' -o io_uring "$origin" "$mnt"
	exit 0
	;;
*io_uring*)
	[ "$(cat $parameter 2>/dev/null)" != Y ] || fail "the kernel allows it, and it is refused: $why"
	refused 1 "$parameter" -o io_uring "$origin" "$mnt"
	exit 0
	;;
esac

[ "$(cat $parameter)" = Y ] || fail "it is not refused, and the kernel does not allow it"
start_cachewtfs --cache-size 4M -o io_uring
[ "$(status transport)" = io_uring ] || fail "the requests come by $(status transport)"
"$IO_HELPER" processes "$image" 4 40 disjoint
"$IO_HELPER" processes "$image" 4 40 overlapping
compare_image
"$CACHEWT" message "$mnt" commit
"$CACHEWT" message "$mnt" drop
compare_image
[ "$("$IO_HELPER" fsync "$image")" = 0 ] || fail "fsync"
stop_cachewtfs
verify_mappings 0

# A stop while the image is open: who has it open gets errors, and nobody waits.
start_cachewtfs -o io_uring
exec 3<"$image"
stop_cachewtfs TERM
if timeout 10 dd bs=4096 count=1 status=none <&3 >/dev/null 2>&1; then fail "a read after the stop succeeded"; fi
exec 3<&-
