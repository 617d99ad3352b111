#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Under load, with as many requests under way as there can be, and while the status is read, no loop asks the system for
# memory and none reads a file: either could wait for dirty pages of the image, which only a loop can clean.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop root fio strace mkfs.ext4

load() {
	fio --name=direct --filename="$image" --size=96M --ioengine=libaio --rw=randrw --bs=4k --direct=1 --iodepth=64 \
		--numjobs=4 --runtime=3 --time_based --output="$tmp/fio" || fail "fio: $(cat "$tmp/fio")"
	dd if=/dev/zero of="$loop" bs=1M count=96 conv=fsync status=none
	for _ in {1..20}; do cat "$mnt/.cachewtfs/status" "$mnt/.cachewtfs/stats.json" >/dev/null; done
}

truncate -s 96M "$origin"
start_cachewtfs --cache-size 24M --loops 2
attach_loop "$image"
strace -f -o "$tmp/calls" -e trace=mmap,munmap,mprotect,mremap,brk,madvise,open,openat,read -p "$daemon" 2>"$tmp/strace" &
tracer=$!
# shellcheck disable=SC2016 # for the inner shell
timeout 20 sh -c 'until grep -q attached "$0"; do sleep 0.1; done' "$tmp/strace" || skip "needs the right to trace"
load
kill -INT $tracer
wait $tracer || true

# A loop is who reads the requests: those of a status are read by it too.
loops=$(grep -E ' read\([0-9]+, .*, 10[0-9]{5}\)' "$tmp/calls" | cut -d' ' -f1 | sort -u)
[ "$(wc -w <<<"$loops")" -eq 2 ] || fail "not two loops: $loops"
for thread in $loops; do
	if grep "^$thread " "$tmp/calls" | grep -vE "^$thread +(<... )?read" | head -n 5 | grep .; then
		fail "a loop asked for memory, or opened something"
	fi
done
grep -q 'openat(.*"/proc/self/mountinfo"' "$tmp/calls" || fail "nobody looked at the mounts: this proves nothing"
detach_loop "$loop"
compare_image
stop_cachewtfs
verify_mappings
