#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Stores that are written in units larger than a page: a block that is smaller is refused, at a new metadata and at one that is
# there; in a block that is not, neighbours do not undo each other.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop

# Sectors above the page size: since Linux 6.15.
large_loop() {
	loop=$(losetup -f --show --direct-io=on -b "$1" "$2" 2>/dev/null) || skip "needs loop devices of $1-byte sectors"
}

truncate -s 8M "$stores/backing" "$stores/cache-backing"
for sector in 8192 16384; do
	head -c 8M /dev/urandom >"$stores/backing"
	truncate -s 0 "$stores/cache-backing"
	truncate -s 4M "$stores/cache-backing"
	large_loop $sector "$stores/backing"
	origin=$loop
	image=$mnt/$(basename "$loop")
	large_loop $sector "$stores/cache-backing"
	large_cache=$loop
	rm -f "$meta" "$stores/cache"

	cache=$stores/cache
	refused 1 "$origin.*$sector.*4096.*--block-size $((sector / 1024))K" --cache "$cache" --metadata "$meta" --cache-size 1M \
		--block-size 4K "$origin" "$mnt"
	make_image 2M "$stores/disk.img"
	refused 1 "$large_cache.*$sector.*4096" --cache "$large_cache" --metadata "$meta" --block-size 4K "$stores/disk.img" "$mnt"
	"$CACHEWT" format --cblocks 100 --origin-size 8M --block-size 4K "$meta" >/dev/null
	refused 1 "$origin.*$sector.*4096.*remove the metadata" --cache "$cache" --metadata "$meta" "$origin" "$mnt"
	rm "$meta"

	cache=$large_cache
	start_cachewtfs --block-size ${sector} --loops 2
	[ "$(status 'origin I.O')" = direct ] || fail "the origin's I/O is $(status 'origin I.O')"
	[ "$(status 'cache I.O')" = direct ] || fail "the cache's I/O is $(status 'cache I.O')"
	for _ in 1 2 3; do
		"$IO_HELPER" processes "$image" 4 100 overlapping
		compare_image
	done
	pids=()
	random=$(random_file 64K)
	for ((i = 0; i < 16; i++)); do
		dd if="$random" of="$image" bs=4K count=1 skip=$i seek=$i conv=notrunc oflag=direct status=none &
		pids+=($!)
	done
	wait "${pids[@]}"
	cmp -n 65536 "$random" "$image" || fail "neighbours have undone each other"
	write_at "$image" 12345 "$(random_file 100K)"
	compare_image
	stop_cachewtfs
	verify_mappings
	losetup -d "$origin"
	losetup -d "$large_cache"
done
