#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Errors of the origin reach the user with their errno, and leave nothing stale in the cache.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 4M
start_cachewtfs --cache-size 8M --fault origin:write:error=EIO,offset=1M,len=64K,times=1 \
	--fault origin:write:error=ENOSPC,offset=2M,len=64K,times=1
cat "$image" >/dev/null
hits_before=$(status 'read hits')
[ "$("$IO_HELPER" pwrite "$image" 1050000 5000)" = EIO ] || fail "a failing write of the origin is not EIO"
[ "$("$IO_HELPER" pwrite "$image" 2100000 5000)" = ENOSPC ] || fail "a failing write of the origin is not ENOSPC"
expect 'origin write errors' -eq 2
expect invalidations -ge 2
compare_image
compare_image
[ "$(status 'read hits')" -gt "$hits_before" ] || fail "no more hits"
[ "$("$IO_HELPER" pwrite "$image" 1050000 5000)" = 5000 ] || fail "the next write is not right"
compare_image
stop_cachewtfs
verify_mappings

# A read that fails is an errno, and is not cached: the next one is right.
# Twice: the fill of the block, and then the read itself.
start_cachewtfs --reset --fault origin:read:error=EIO,offset=1M,len=64K,times=2
if cat "$image" >/dev/null 2>&1; then fail "a failing read of the origin succeeds"; fi
expect 'origin read errors' -eq 1
expect 'fills failed' -eq 1
compare_image
stop_cachewtfs
verify_mappings

# A flush that fails: fsync says so now and later, until the user says origin-ok.
start_cachewtfs --fault origin:flush:error=EIO,times=1
write_at "$image" 300000 "$(random_file 100K)"
[ "$("$IO_HELPER" fsync "$image")" = EIO ] || fail "a failing flush of the origin is not EIO"
[ "$("$IO_HELPER" fsync "$image")" = EIO ] || fail "the failed flush is forgotten"
[ "$(status bypass)" = origin-flush ] || fail "bypass: $(status bypass)"
compare_image
"$CACHEWT" message "$mnt" origin-ok
[ "$("$IO_HELPER" fsync "$image")" = 0 ] || fail "after origin-ok fsync fails"
[ "$(status bypass)" = none ] || fail "after origin-ok bypass: $(status bypass)"
compare_image
stop_cachewtfs
verify_mappings 0

# fallocate knows no partial success, and its second half finds no room: that, and not EIO.
rm -f "$origin" "$cache" "$meta"
make_image 20M
start_cachewtfs --cache-size 8M --fault origin:zero:error=ENOSPC,skip=1,times=1
[ "$("$IO_HELPER" zero "$image" 0 20971520)" = ENOSPC ] || fail "a zero range without room is not ENOSPC"
compare_image
stop_cachewtfs
verify_mappings 0
