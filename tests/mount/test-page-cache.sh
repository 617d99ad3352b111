#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# -o page_cache=on: handles are cached, and what is written beside the page cache is seen through it at once.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop fio

# Cached: what was read is not asked for again.  More than one try, since others on this machine may throw pages out.
is_cached() {
	local i requests
	for ((i = 0; i < 5; i++)); do
		cat "$image" >/dev/null
		requests=$(status 'block requests')
		cmp "$image" "$origin"
		[ "$(status 'block requests')" -ne "$requests" ] || return 0
	done
	return 1
}

make_image 24M
slow_read=$((16 << 20)) slow_write=$((20 << 20)) slow_punch=$((21 << 20))
start_cachewtfs --cache-size 8M -o page_cache=on \
	--fault "origin:read:delay=2500,offset=$slow_read,len=128K" \
	--fault "origin:write:delay=1500,offset=$slow_write,len=64K"
[ "$(status 'page cache')" = on ] || fail "the status does not say so"

is_cached || fail "what was read before was not in the page cache"
expect 'block requests' -ge 384

# Buffered writes of parts of pages that are not in memory: these pages are locked until the answer.
part=$(random_file 10001)
for offset in 100 5000 4097 1048000 3000000; do
	dd if="$image" of=/dev/null iflag=nocache count=0 status=none
	timeout 60 dd if="$part" of="$image" bs=10001 seek=$offset oflag=seek_bytes conv=notrunc,nocreat status=none ||
		fail "a buffered write at $offset"
	cmp -n 10001 -i 0:$offset "$part" "$origin" || fail "write(2) returned before the origin had it"
done
[ "$("$IO_HELPER" pwrite "$image" $((24 << 20)) 10)" = EFBIG ] || fail "a write past the end was not refused"
[ "$("$IO_HELPER" pwrite "$image" $(((24 << 20) - 5)) 10)" = 5 ] || fail "a write across the end was not cut"
compare_image

# The same, and then asynchronous writes, beside the page cache: straight, and through a loop device.
attach_loop "$image"
for way in "$image" "$loop"; do		# each with slow blocks of its own, since these get cached
	timeout 60 "$PAGE_HELPER" held "$way" "$image" $slow_write || fail "a write through $way that was held"
	timeout 60 "$PAGE_HELPER" overtaken "$image" $slow_read "$way" "$image" $((2 << 20)) ||
		fail "a write through $way that was overtaken"
	slow_read=$((slow_read + (64 << 10)))
done
fio --name=random --filename="$loop" --rw=randwrite --bs=4k --size=8M --ioengine=libaio --iodepth=32 --direct=1 \
	--verify=crc32c --verify_fatal=1 --output=/dev/null || fail "fio on the loop device"
compare_image
detach_loop "$loop"

# A loop device without direct I/O goes through the page cache.
loop=$(losetup -f --show --direct-io=off "$image")
dd if="$part" of="$loop" bs=512 count=16 oflag=direct status=none
detach_loop "$loop"
cmp -n 8192 "$part" "$origin" || fail "written through a loop device without direct I/O"

# Mappings.
[ "$("$PAGE_HELPER" map shared "$image" 8192 'shared text')" = new ] || fail "a shared mapping is old"
[ "$("$PAGE_HELPER" map private "$image" 12288 'private text')" = new ] || fail "a private mapping is old"
timeout 60 "$PAGE_HELPER" map-write "$image" 40960 'mapped text' 0 >/dev/null
"$IO_HELPER" fsync "$image" >/dev/null
[ "$("$PAGE_HELPER" look "$origin" 40960 11)" = 'mapped text' ] || fail "fsync left a mapping's text behind"

# Holes and zeros.
cat "$image" >/dev/null
fallocate --punch-hole --keep-size --offset $slow_punch --length 100000 "$image"
fallocate --zero-range --keep-size --offset $((4 << 20)) --length 70000 "$image"
cmp -n 100000 -i $slow_punch:0 "$image" /dev/zero || fail "a hole reads as before"
cmp -n 70000 -i $((4 << 20)):0 "$image" /dev/zero || fail "a zeroed range reads as before"
attach_loop "$image"
"$PAGE_HELPER" look "$image" $((5 << 20)) 1 >/dev/null
fallocate --zero-range --keep-size --offset $((5 << 20)) --length 65536 "$loop"
cmp -n 65536 -i $((5 << 20)):0 "$image" /dev/zero || fail "zeroed by a loop device, and reads as before"
detach_loop "$loop"
compare_image

# Somebody has written to the origin, and the user says so: when that is answered the kernel shows it, too.
change_behind() {
	cat "$image" >/dev/null
	text=$(head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \n')
	printf '%s' "$text" | dd of="$origin" bs=1 seek=$((5 << 20)) conv=notrunc status=none
}
expect_change() {
	[ "$("$PAGE_HELPER" look "$image" $((5 << 20)) 12)" = "$text" ] || fail "after $1 the old data is read"
}
change_behind
"$CACHEWT" invalidate "$mnt" 5M 4K
expect_change invalidate
change_behind
"$CACHEWT" message "$mnt" drop
expect_change drop
compare_image

# A stop while a mapping has changes that the kernel still keeps to itself.
"$PAGE_HELPER" map-write "$image" 81920 'last words' 30 >"$tmp/mapped" &
mapper=$!
while ! grep -q written "$tmp/mapped"; do sleep 0.05; done
stop_cachewtfs TERM
kill $mapper
wait $mapper 2>/dev/null || true
[ "$("$PAGE_HELPER" look "$origin" 81920 10)" = 'last words' ] || fail "the stop lost what a mapping had changed"
verify_mappings

# Off, and by default: nothing is kept, and a shared mapping for writing is refused.
for option in '' '-o page_cache=off'; do
	# shellcheck disable=SC2086
	start_cachewtfs $option
	[ "$(status 'page cache')" = off ] || fail "the status does not say that it is off"
	if is_cached; then fail "kept in the page cache without being told to"; fi
	[ "$("$PAGE_HELPER" map shared "$image" 8192 'another text')" = ENODEV ] || fail "a shared mapping"
	stop_cachewtfs
done
verify_mappings

# Read-only.
start_cachewtfs -o page_cache=on,ro
is_cached || fail "read-only, and not from the page cache"
stop_cachewtfs
