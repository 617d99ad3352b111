#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# fio writes mixed and unaligned sizes with several jobs at queue depth 32, and reads back what it wrote.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse fio

run_fio() {
	fio --filename="$image" --ioengine=libaio --iodepth=32 --numjobs=4 --size=12M --offset_increment=12M \
		--verify=crc32c --verify_fatal=1 --verify_state_save=0 --do_verify=1 --group_reporting \
		--output="$tmp/fio" "$@" || { cat "$tmp/fio"; fail "fio $*"; }
}

for block_size in 4K 64K; do
	rm -f "$cache" "$meta"
	make_image $((48 * 1024 * 1024 + 4000))
	start_cachewtfs --cache-size 16M --block-size $block_size
	cat "$image" >/dev/null
	run_fio --name=aligned --rw=randwrite --direct=1 --bsrange=4k-256k
	run_fio --name=mixed --rw=randrw --direct=0 --bsrange=1001-130999 --bs_unaligned=1
	run_fio --name=sequential --rw=write --direct=0 --bs=70001 --bs_unaligned=1 --size=$((70001 * 170))
	fsync_result=$("$IO_HELPER" fsync "$image")
	[ "$fsync_result" = 0 ] || fail "fsync: $fsync_result"
	compare_image
	expect 'write hits' -gt 0
	expect 'demotions' -gt 0
	stop_cachewtfs
	verify_mappings
done
