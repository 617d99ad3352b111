#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	ROUNDS=n SEED=n tests/mount/test-kill9-filesystem.sh
#
# kill -9 under an ext4 that is busy on a loop device over the image: after the restart the journal is all that is
# needed, and every file that was fsynced is there.
# shellcheck source=functions.sh
ROUNDS=${ROUNDS:-6} SEED=${SEED:-$((RANDOM << 15 | RANDOM))}
TEST_TIMEOUT=${TEST_TIMEOUT:-$((120 + ROUNDS * 30))}
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop mkfs.ext4 e2fsck tar
# shellcheck source=filesystem.sh
. "${srcdir:-.}/tests/mount/filesystem.sh"

RANDOM=$SEED
sources=$(cd "${srcdir:-.}" && pwd)
round=0

# Copies and removes until the file system is gone.
churn() {
	local n=0
	while mkdir "$fs/copy.$n" && tar -C "$sources" -cf - lib tests | tar -C "$fs/copy.$n" -xf -; do
		[ $((n % 3)) -eq 0 ] || rm -r "$fs/copy.$n"
		sync -f "$fs"
		n=$((n + 1))
		[ $n -lt 30 ] || rm -rf "$fs"/copy.*
	done
}

# Both writers have their own folder.  All of it ends when the daemon is killed.
load_and_kill() {
	local writer pids=()
	for writer in 1 2; do
		"$FSYNC_WRITER" write "$fs/files.$writer" "$tmp/record.$writer" $((RANDOM << 15 | RANDOM)) \
			>"$tmp/changes.$writer" &
		pids+=($!)
	done
	churn >/dev/null 2>&1 &
	pids+=($!)
	sleep "$((1 + RANDOM % 2)).$((RANDOM % 10))"
	kill_cachewtfs
	wait "${pids[@]}" || true
	umount "$fs" || umount -l "$fs"
	detach_loop "$loop"
}

# In every other round e2fsck replays the journal, else the mount does.  Then nothing is left to repair.
recover_filesystem() {
	local status=0
	attach_loop "$image"
	if [ $((round % 2)) -eq 1 ]; then
		e2fsck -fy "$loop" >"$tmp/fsck" 2>&1 || status=$?
		[ $status -le 1 ] || fail "round $round: e2fsck -fy: status $status: $(cat "$tmp/fsck")"
	fi
	mount "$loop" "$fs"
	for writer in 1 2; do
		"$FSYNC_WRITER" check "$fs/files.$writer" "$tmp/record.$writer" && continue
		cmp "$origin" "$image" && echo "the image equals the origin: it is not the cache that is wrong" >&2
		fail "round $round: a file that was fsynced is not what it was"
	done
	fs_umount
	e2fsck -fn "$origin" >"$tmp/fsck" 2>&1 || fail "round $round: e2fsck -fn: $(cat "$tmp/fsck")"
}

echo "SEED=$SEED ROUNDS=$ROUNDS"
truncate -s 256M "$origin"
start_cachewtfs --cache-size 48M --block-size 16K --commit-interval 1
attach_loop "$image"
mkfs.ext4 -q -F "$loop"
mount "$loop" "$fs"
mkdir "$fs/files.1" "$fs/files.2"
fs_umount
for ((round = 1; round <= ROUNDS; round++)); do
	fs_mount
	rm -rf "$fs"/copy.*
	load_and_kill
	[[ $(stat "$image" 2>&1) == *"Transport endpoint is not connected"* ]] || fail "round $round: not ENOTCONN"
	start_cachewtfs --commit-interval 1
	status start | grep -q '^warm: the last run was killed' || fail "round $round: it starts \"$(status start)\""
	recover_filesystem
	echo "round $round: $(($(cat "$tmp/changes.1") + $(cat "$tmp/changes.2"))) changes, $(status start)"
done
compare_image
stop_cachewtfs
verify_mappings
