#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One slow thing does not hold up others.  Nothing here is about how long something takes, but about what has ended before
# what: a disturbance that takes seconds by a fault is begun, what must not wait for it is done, and then the disturbance
# must still be under way.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse fallocate

# begin COMMAND...: the disturbance, in the background; still_there WHAT: what was done has not waited for it.
begin() {
	"$@" &
	slow=$!
	sleep 0.5
}
still_there() {
	if is_gone $slow; then fail "$1 has waited"; fi
}
cached_read() { dd if="$image" of=/dev/null bs=4096 count=16 iflag=direct status=none; }

# A punch of a whole disk, a slow store: cached reads, the status.
truncate -s 64G "$origin"
start_cachewtfs --cache-size 64M --loops 1 --fault origin:zero:delay=8000
cached_read && cached_read && cached_read
expect 'read hits' -gt 0
begin fallocate -p -o 1M -l 63G "$image"
cached_read
status 'read hits' >/dev/null
still_there "a cached read behind a punch"
kill_cachewtfs
wait $slow || true
umount -l "$mnt"
rm "$origin" "$cache" "$meta"

# 64 writes of 1 MiB at once to a slow origin.
if command -v fio >/dev/null; then
	truncate -s 512M "$origin"
	start_cachewtfs --cache-size 64M --loops 2 --fault origin:write:delay=8000
	cached_read && cached_read && cached_read
	begin fio --name=w --filename="$image" --ioengine=libaio --direct=1 --rw=write --bs=1M --offset=64M --size=64M \
		--iodepth=64 --output=/dev/null
	sleep 1
	cached_read
	status 'read hits' >/dev/null
	still_there "a cached read beside large writes"
	wait $slow || fail "fio fails"
	stop_cachewtfs
fi

# More blocks than anybody wants to look up one by one.
rm -f "$origin" "$cache" "$meta"
truncate -s 4T "$origin"
start_cachewtfs --cache-size 1M --block-size 4K
cached_read && cached_read
expect 'read hits' -gt 0
timeout 60 "$CACHEWT" invalidate "$mnt" 0 4T || fail "invalidating 4 TiB of a cache of 1 MiB takes more than a minute"
expect invalidations -gt 0
stop_cachewtfs

# A stop that waits for a write does so asleep: 2 s of it are less than half a second of processor.
rm "$origin" "$cache" "$meta"
make_image 4M
start_cachewtfs --cache-size 8M --loops 2 --fault origin:write:delay=5000
ticks() { awk '{ print $14 + $15 }' "/proc/$daemon/stat"; }
begin "$IO_HELPER" pwrite "$image" 0 4096 >/dev/null
kill -TERM "$daemon"
sleep 0.5
before=$(ticks)
sleep 2
[ $(($(ticks) - before)) -lt $(($(getconf CLK_TCK) / 2)) ] || fail "the stop spins: $(($(ticks) - before)) ticks in 2 s"
wait $slow || true
wait_gone "$daemon"
