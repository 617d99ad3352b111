#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# -o page_cache=on: what the origin refused is not shown by the kernel's pages either.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

# is_of_the_origin OFFSET: soon, for pages are dropped after a failed write-back is answered.
is_of_the_origin() {
	local i
	for ((i = 0; i < 100; i++)); do
		cmp -s -n 4096 -i "$1" "$image" "$origin" && return
		sleep 0.1
	done
	return 1
}

make_image 8M
mapped=$((1 << 20)) written=$((2 << 20))
start_cachewtfs --cache-size 4M -o page_cache=on --fault "origin:write:error=EIO,offset=$mapped,len=64K" \
	--fault "origin:write:error=ENOSPC,offset=$written,len=64K" --fault origin:flush:error=EIO,skip=1,times=1

# Write-back of a mapping.
"$PAGE_HELPER" map-write "$image" $mapped 'not to be' 0 >/dev/null
[ "$("$IO_HELPER" fsync "$image")" != 0 ] || fail "an fsync succeeded whose write-back failed"
is_of_the_origin $mapped || fail "the page shows what could not be written back"

# A buffered write, of a page that is in memory and of one that is not.
"$PAGE_HELPER" look "$image" $written 1 >/dev/null
for offset in $written $((written + 8192)); do
	if dd if=/dev/zero of="$image" bs=100 count=1 seek="$offset" oflag=seek_bytes conv=notrunc 2>"$tmp/err"; then
		fail "a write that the origin refused succeeded"
	fi
	grep -q 'No space left' "$tmp/err" || fail "not the origin's errno: $(cat "$tmp/err")"
	is_of_the_origin "$offset" || fail "the page shows what was refused"
done

# A flush of the origin that fails: everything is read from the origin again.
cat "$image" >/dev/null
[ "$("$IO_HELPER" fsync "$image")" = 0 ] || fail "the first flush of the origin has no fault"
requests=$(status 'block requests')
[ "$("$IO_HELPER" fsync "$image")" = EIO ] || fail "the fault was not met"
compare_image
[ "$(status 'block requests')" -ge $((requests + 128)) ] || fail "the kernel kept pages over a failed flush"
"$CACHEWT" message "$mnt" origin-ok
stop_cachewtfs
