#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --ack origin: a write is answered before the cache has it, and nobody can tell by what he reads: not at once, not after
# a kill, and not after an unmount.  --ack both waits for the cache.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

spared=offset=64K,len=1G	# the label, which a start writes
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# timed COMMAND...: sets ms
timed() {
	local begin
	begin=$(now_ms)
	"$@"
	ms=$(($(now_ms) - begin))
}

make_image 4M
start_cachewtfs --cache-size 8M
cat "$image" >/dev/null
stop_cachewtfs

# The cache takes four seconds for a write.
start_cachewtfs --ack both --fault cache:write:delay=4000,$spared
[ "$(status ack)" = both ] || fail "ack: $(status ack)"
timed write_at "$image" 65536 "$(random_file 64K)"
[ "$ms" -ge 4000 ] || fail "--ack both: answered after $ms ms, before the cache had it"
stop_cachewtfs
verify_mappings 64

start_cachewtfs --ack origin --fault cache:write:delay=4000,$spared
[ "$(status ack)" = origin ] || fail "ack: $(status ack)"
data=$(random_file 64K)
begin=$(now_ms)
timed write_at "$image" 65536 "$data"
[ "$ms" -lt 3000 ] || fail "--ack origin: answered after $ms ms"
timed "$IO_HELPER" fsync "$image"
[ "$ms" -lt 3000 ] || fail "fsync has waited $ms ms for the cache"
cmp -n 65536 -i 65536:0 "$image" "$data" || fail "read back at once, it is not what was written"
[ $(($(now_ms) - begin)) -ge 4000 ] || fail "a read was served while the cache had the old data"
expect 'write hits' -eq 1
write_at "$image" 200000 "$(random_file 300K)"	# and unmounted at once
stop_cachewtfs
is_marked_clean || fail "no clean mark"
verify_mappings 64

# All of it is still warm.
start_cachewtfs
compare_image
expect 'read misses' -eq 0
stop_cachewtfs

# Killed between the legs: the new data is there, and what was not written is still cached.
start_cachewtfs --ack origin --fault cache:write:hold,$spared
data=$(random_file 128K)
write_at "$image" 1048576 "$data"
[ "$("$IO_HELPER" fsync "$image")" = 0 ] || fail "fsync"
kill_cachewtfs
umount -l "$mnt"
start_cachewtfs
status start | grep -q '^warm: the last run was killed' || fail "the start is \"$(status start)\""
expect mapped -eq 62
cmp -n 131072 -i 1048576:0 "$image" "$data" || fail "after a kill an answered write is not there"
compare_image
stop_cachewtfs
verify_mappings 62

# A cache that fails after the answer is nobody's trouble.
start_cachewtfs --ack origin --fault cache:write:error=EIO,times=3,$spared
write_at "$image" 100 "$(random_file 700K)"
compare_image
expect 'cache write errors' -ge 1
compare_image
stop_cachewtfs
verify_mappings

# More writes than there are buffers, over a cache that is behind: the front door waits, and nothing is lost.
start_cachewtfs --ack origin --fault cache:write:delay=30,$spared
"$IO_HELPER" processes "$image" 8 40 disjoint
"$IO_HELPER" processes "$image" 4 20 overlapping
compare_image
stop_cachewtfs
verify_mappings
