#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A writer with far more dirty pages than its memory cgroup may have, on ext4 on a loop device over the image, ends, with
# right data: in both modes of the loop device, and also with the daemon in the same cgroup, where each page that the
# daemon asks for has to wait for pages that only the daemon can clean.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop root fio mkfs.ext4
# shellcheck source=memory-group.sh
. "${srcdir:-.}/tests/mount/memory-group.sh"

fs=$tmp/fs
mkdir "$fs"
cachewtfs=$CACHEWTFS

# It fails by its own time limit, long before the watchdog's; then it is the daemon that has to be killed first.
run_in_group() {
	local status=0
	timeout --signal=KILL 60 "$tmp/in-group" "$@" || status=$?
	if [ $status -eq 137 ]; then
		tail -n +1 /proc/"$daemon"/task/*/stack >>"$log" 2>&1 || true
		umount -f "$mnt" 2>/dev/null || true
		fail "$* hangs"
	fi
	return $status
}

# pressure_test DIRECT-IO LIMIT DAEMON: what starts the daemon
pressure_test() {
	local loop sum
	rm -f "$origin" "$cache" "$meta"
	truncate -s 512M "$origin"
	group_make "$2"
	CACHEWTFS=$3 start_cachewtfs --cache-size 48M
	if [ "$3" != "$cachewtfs" ] && ! group_has "$daemon"; then fail "the daemon is not in the cgroup"; fi
	loop=$(losetup -f --show --direct-io="$1" "$image")
	mkfs.ext4 -q -F "$loop"
	mount "$loop" "$fs"
	sum=$(sha256sum <"$source")
	run_in_group dd if="$source" of="$fs/file" bs=1M conv=fsync status=none
	run_in_group fio --name=mapped --filename="$fs/mapped" --ioengine=mmap --rw=randwrite --bs=4k --size=40M \
		--aux-path="$tmp" --verify=crc32c --verify_fatal=1 --output="$tmp/fio" || fail "fio: $(cat "$tmp/fio")"
	[ "$(group_failures)" -gt 0 ] || fail "the limit of the cgroup was never reached: this proves nothing"
	umount "$fs"
	mount "$loop" "$fs"			# read back from the image
	[ "$(sha256sum <"$fs/file")" = "$sum" ] || fail "the file differs"
	umount "$fs"
	detach_loop "$loop"
	compare_image
	expect 'write hits' -gt 0
	stop_cachewtfs
	verify_mappings
	group_remove
}

source=$(random_file 128M)
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$tmp/in-group" "$cachewtfs" >"$tmp/daemon-in-group"
chmod +x "$tmp/daemon-in-group"
for direct_io in on off; do
	pressure_test $direct_io 32M "$cachewtfs"
	pressure_test $direct_io 120M "$tmp/daemon-in-group"
done
