#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# O_SYNC, O_DSYNC, RWF_DSYNC and -o sync: such a write is answered after a flush of the origin, so where no flush succeeds none
# does; a plain one does all the time.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

no_flush=(--fault origin:flush:error=EIO)
block=$tmp/block
make_image 4K "$block"

# must_fail FILE FLAGS
must_fail() {
	if dd if="$block" of="$1" bs=4096 count=1 seek=3 conv=notrunc oflag="$2" status=none 2>/dev/null; then
		fail "$3: a write with oflag=$2 succeeds although no flush does"
	fi
}

must_say() {
	local said
	said=$("$IO_HELPER" "${@:2}") || true
	[ "$said" = "$1" ] || fail "${*:2} says $said instead of $1"
}

handles() {
	local flags
	for flags in sync dsync direct,sync direct,dsync; do must_fail "$image" $flags "$1"; done
	must_say EIO pwrite-dsync "$image" 8192 4096
	must_say EIO zero-sync "$image" 16384 10000
	must_say 4096 pwrite "$image" 40960 4096
	must_say 0 zero "$image" 16384 10000
}

make_image 4M
for options in '--ack origin' '--ack both' '-o page_cache=on' '--mode writearound'; do
	read -ra words <<<"$options"
	start_cachewtfs --reset --cache-size 8M "${words[@]}" "${no_flush[@]}"
	cat "$image" >/dev/null
	handles "$options"
	expect 'origin flush errors' -eq 1
	[ "$(status bypass)" = origin-flush ] || fail "bypass: $(status bypass)"
	compare_image
	fusermount3 -u "$mnt"
	wait "$daemon" || true		# the last commit cannot flush the origin either
done

start_cachewtfs --reset -o sync "${no_flush[@]}"
must_say EIO pwrite "$image" 8192 4096
must_say EIO zero "$image" 16384 10000
fusermount3 -u "$mnt"
wait "$daemon" || true

# With flushes that work they are writes like others.
start_cachewtfs --reset -o sync
must_say 100000 pwrite "$image" 4000 100000
must_say 4096 pwrite-dsync "$image" 8192 4096
must_say 0 zero "$image" 16384 10000
expect 'origin flush errors' -eq 0
compare_image
stop_cachewtfs
verify_mappings 0

# A loop device hands the flush of its synchronous clients down as an fsync.
if [ "$(id -u)" -eq 0 ] && losetup -f >/dev/null 2>&1; then
	for direct in on off; do
		start_cachewtfs --reset "${no_flush[@]}"
		loop=$(losetup -f --show --direct-io=$direct "$image")
		must_fail "$loop" dsync "loop device, direct-io=$direct"
		must_fail "$loop" direct,dsync "loop device, direct-io=$direct"
		losetup -d "$loop"
		detach fusermount3 -u "$mnt"
		wait "$daemon" || true
	done
fi
