#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An origin on another FUSE file system, where each write takes 20 ms: writes to different places go side by side, although
# the kernel lets only one thread at a time write such a file.  What is not whole pages at its end goes another way.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse fio nbdkit nbdfuse

WRITES=128 DELAY_MS=20
slow=$tmp/slow

start_slow_origin() {
	local i
	mkdir "$slow"
	nbdkit -f -U "$tmp/socket" --filter=delay file "$origin" wdelay=${DELAY_MS}ms >>"$log" 2>&1 &
	echo $! >>"$tmp/daemons"
	for ((i = 0; i < 200; i++)); do
		if [ -S "$tmp/socket" ]; then break; fi
		sleep 0.05
	done
	nbdfuse "$slow/disk.img" "nbd+unix:///?socket=$tmp/socket" >>"$log" 2>&1 &
	echo $! >>"$tmp/daemons"
	for ((i = 0; i < 200; i++)); do
		mountpoint -q "$slow" && return
		sleep 0.05
	done
	fail "nbdfuse does not mount: $(cat "$log")"
}

make_image $(((16 << 20) + 1000))
behind=$origin
start_slow_origin
origin=$slow/disk.img
start_cachewtfs --cache-size 16M
[ "$(status 'origin I.O')" = direct ] || fail "the origin is reached by: $(status 'origin I.O')"

begin=$(date +%s%N)
fio --name=write --filename="$image" --ioengine=libaio --direct=1 --rw=randwrite --bs=64k --size=16M --iodepth=16 \
	--number_ios=$WRITES --verify=crc32c --do_verify=0 --randseed=1 --output="$tmp/fio" || fail "fio: $(cat "$tmp/fio")"
took_ms=$((($(date +%s%N) - begin) / 1000000))
# One after the other they would take WRITES * DELAY_MS, and 16 at a time a sixteenth of it.
[ $took_ms -lt $((WRITES * DELAY_MS / 2)) ] || fail "$WRITES writes took $took_ms ms"

compare_image
head -c 3000 /dev/urandom >"$tmp/end"
write_at "$image" $(((16 << 20) - 2000)) "$tmp/end"
cmp <(tail -c 3000 "$image") "$tmp/end" || fail "the end is not what was written"
stop_cachewtfs
umount "$slow"
origin=$behind
[ "$(stat -c %s "$origin")" -eq $(((16 << 20) + 1000)) ] || fail "the origin has another size"
cmp <(tail -c 3000 "$origin") "$tmp/end" || fail "the end did not reach the origin"
