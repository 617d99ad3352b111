#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# -o page_cache=on: many asynchronous writes beside the page cache, more than the kernel sends at once with a second
# writer, and readers by read and by mapping, while pages are thrown out: nothing stale, and nothing waits for itself.
# Also where writes are answered while the cache's are under way.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop fio

# stress WRITE-FILE
stress() {
	local fio cat
	fio --name=beside --filename="$image" --offset=8M --size=8M --rw=randwrite --bs=16k --ioengine=libaio \
		--iodepth=128 --direct=1 --time_based --runtime=3 --output="$tmp/fio" &
	fio=$!
	cat "$image" "$image" >/dev/null &
	cat=$!
	timeout 60 "$PAGE_HELPER" stress "$1" "$image" 0 3 || fail "through $1"
	wait $fio || fail "fio: $(cat "$tmp/fio")"
	wait $cat
	compare_image
}

make_image 24M
for ack in both origin; do
	start_cachewtfs --cache-size 8M -o page_cache=on --ack $ack --fault origin:write:delay=2,offset=0,len=1M \
		--fault cache:write:delay=1,offset=0,len=2M
	attach_loop "$image"
	stress "$image"
	stress "$loop"
	detach_loop "$loop"
	stop_cachewtfs
	verify_mappings
done
