#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Stores that are reached through the page cache, and lose writes that were answered: it is asked for, also while nobody calls
# fsync, and then nothing of them is believed.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop

# full_loop SIZE SECTOR: a loop device on a tmpfs of 2M, so that write-back fails when more is written.  Sets $loop.
mkdir "$tmp/small"
full_loop() {
	mount -t tmpfs -o size=2M none "$tmp/small"
	truncate -s "$1" "$tmp/small/back"
	loop=$(losetup -f --show -b "$2" "$tmp/small/back" 2>/dev/null) || skip "needs loop devices of $2-byte sectors"
}

end_of_loop() {
	losetup -d "$loop"
	umount "$tmp/small"
}

# give_up_pages FILE: as memory pressure does.
give_up_pages() { dd if="$1" iflag=nocache count=0 status=none; }

wait_for_bypass() {
	local i
	for ((i = 0; i < 100; i++)); do
		if status bypass | grep -q "$1"; then return; fi
		sleep 0.1
	done
	fail "no bypass by $1: $(status bypass)"
}

# A cache without direct I/O, for its sectors are too large for it.
make_image 8M
full_loop 16M 65536
cache=$loop
start_cachewtfs --policy lru --commit-interval 0.3
status 'cache I.O' | grep -q pool || fail "the cache is not reached by the pool"
cat "$image" >/dev/null
wait_for_bypass cache-errors
expect 'cache flush errors' -ge 1
give_up_pages "$cache"
compare_image
"$CACHEWT" message "$mnt" cache-ok
write_at "$image" 12345 "$(random_file 100K)"
compare_image
kill_cachewtfs
detach umount "$mnt"
give_up_pages "$cache"
start_cachewtfs
compare_image
kill_cachewtfs
detach umount "$mnt"
end_of_loop

# The metadata: its store fails when the mount is up.
rm "$meta"
full_loop 1M 512
meta=$loop
cache=$stores/cache
start_cachewtfs --policy lru --cache-size 1M --commit-interval 0.3
"$IO_HELPER" processes "$image" 1 20 overlapping
fallocate -p -o 0 -l 1M "$tmp/small/back"
head -c 2M /dev/zero >"$tmp/small/fill" 2>/dev/null || true
for _ in 1 2 3 4; do
	cat "$image" >/dev/null
	write_at "$image" 4096 "$(random_file 200K)"
	sleep 0.2
done
wait_for_bypass metadata
sync "$meta" 2>/dev/null || true	# another program is told, and we are killed
kill_cachewtfs
detach umount "$mnt"
rm "$tmp/small/fill"
give_up_pages "$meta"
start_cachewtfs --policy lru --cache-size 1M --reset
compare_image
stop_cachewtfs
end_of_loop
