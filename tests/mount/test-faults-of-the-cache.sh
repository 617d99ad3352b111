#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Errors of the cache never reach the user and never make anything stale.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

# A cache that cannot be labelled is refused at the start; here it begins to fail later.
label_spared=offset=64K,len=1G

make_image 4M
start_cachewtfs --cache-size 8M
cat "$image" >/dev/null
stop_cachewtfs

# A cache write that fails: success, the block is dropped.
start_cachewtfs --fault cache:write:error=EIO,times=2,$label_spared
status start | grep -q '^warm' || fail "not warm: $(status start)"
[ "$("$IO_HELPER" pwrite "$image" 1050000 5000)" = 5000 ] || fail "a failing write of the cache reaches the user"
compare_image			# waits for the cache
expect 'cache write errors' -ge 1
expect invalidations -ge 1
compare_image
stop_cachewtfs
verify_mappings

# A cache read that fails: the origin is read instead.
start_cachewtfs --fault cache:read:error=EIO,times=3,skip=2,$label_spared
compare_image
expect 'cache read errors' -ge 1
compare_image
stop_cachewtfs
verify_mappings

# A fill that fails: nothing is mapped, the reader gets the origin's data.
start_cachewtfs --reset --fault cache:write:error=ENOSPC,times=1,$label_spared
compare_image
compare_image
stop_cachewtfs
verify_mappings

# A cache that always fails: bypassed, and all is as without one.
start_cachewtfs --fault cache:write:error=EIO,$label_spared --fault cache:read:error=EIO,$label_spared
compare_image
write_at "$image" 777 "$(random_file 3M)"
compare_image
[ "$("$IO_HELPER" fsync "$image")" = 0 ] || fail "fsync fails because of the cache"
[ "$(status bypass)" = cache-errors ] || fail "bypass: $(status bypass)"
stop_cachewtfs
verify_mappings 0

# A slow cache only makes it slower.
start_cachewtfs --fault cache:write:delay=20,$label_spared
"$IO_HELPER" processes "$image" 4 10 overlapping
compare_image
stop_cachewtfs
verify_mappings
