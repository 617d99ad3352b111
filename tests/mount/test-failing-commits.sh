#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Commits that keep failing: the cache is bypassed, the status says why, the log says so once and not each time.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

# What lies behind the first 320 KiB are pages of mappings.
make_image 64M
start_cachewtfs --cache-size 4M --policy lru --commit-interval 0.5 --fault metadata:write:error=EIO,offset=320K,len=1G
for ((i = 0; i < 100; i++)); do
	dd if="$image" of=/dev/null bs=64K iflag=direct status=none
	if status bypass | grep -q metadata; then break; fi
	sleep 0.1
done
status bypass | grep -q metadata || fail "bypass: $(status bypass)"
expect 'metadata errors' -le 20
[ "$(grep -c 'commit' "$log")" -le 4 ] || fail "a flood: $(grep -c commit "$log") lines about commits"
compare_image
kill_cachewtfs
umount -l "$mnt"
start_cachewtfs
compare_image
compare_image
stop_cachewtfs
verify_mappings
