#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# -o page_cache=on: many asynchronous writes beside the page cache, more than the kernel sends at once with a second
# writer, and readers by read and by mapping, while pages are thrown out: nothing stale, and nothing waits for itself.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop fio

make_image 24M
start_cachewtfs --cache-size 8M -o page_cache=on --fault origin:write:delay=2,offset=0,len=1M
attach_loop "$image"
for way in "$image" "$loop"; do
	fio --name=beside --filename="$image" --offset=8M --size=8M --rw=randwrite --bs=16k --ioengine=libaio \
		--iodepth=128 --direct=1 --time_based --runtime=5 --output="$tmp/fio" &
	fio=$!
	cat "$image" "$image" >/dev/null &
	cat=$!
	timeout 60 "$PAGE_HELPER" stress "$way" "$image" 0 5 || fail "through $way"
	wait $fio || fail "fio: $(cat "$tmp/fio")"
	wait $cat
	compare_image
done
detach_loop "$loop"
stop_cachewtfs
verify_mappings
