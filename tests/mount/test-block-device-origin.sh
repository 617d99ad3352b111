#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The origin is a block device: its size is shown, it is exclusively ours, and all else holds as for a file.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop

make_image 8M "$stores/backing"
attach_loop "$stores/backing"
origin=$loop
image=$mnt/$(basename "$loop")
start_cachewtfs --cache-size 4M
[ "$(stat -c %s "$image")" -eq 8388608 ] || fail "the size is $(stat -c %s "$image")"
compare_image
write_at "$image" 123457 "$(random_file 3M)"
"$IO_HELPER" processes "$image" 4 50 overlapping
fallocate -p -o 1000001 -l 500000 "$image"
compare_image
if mount "$loop" "$tmp" 2>/dev/null; then fail "the device could be mounted meanwhile"; fi
mkdir "$tmp/mnt2"
refused 1 "$loop.*(in use|busy)" --cache "$stores/c2" --metadata "$stores/m2" --cache-size 1M "$loop" "$tmp/mnt2"
stop_cachewtfs
verify_mappings
start_cachewtfs
status start | grep -q '^warm' || fail "not warm: $(status start)"
compare_image
stop_cachewtfs
verify_mappings

# The cache on a block device too: its size is the cache's, and what is on it is not overwritten.
truncate -s 4M "$stores/cache-backing"
cache=$(losetup -f --show "$stores/cache-backing")
rm "$meta"
start_cachewtfs
expect cblocks -eq 63
compare_image
stop_cachewtfs
verify_mappings
losetup -d "$cache"
losetup -d "$loop"
