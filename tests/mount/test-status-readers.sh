#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many readers open, read and close the status while the image is read: a handle is not used after its last answer.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 1M
start_cachewtfs --cache-size 1M --loops 2
for _ in 1 2 3 4 5 6 7 8; do
	for _ in {1..150}; do
		cat "$mnt/.cachewtfs/status" "$mnt/.cachewtfs/stats.json" "$image" >/dev/null || exit 1
	done &
	readers+=($!)
done
for reader in "${readers[@]}"; do
	wait "$reader" || fail "a reader failed"
done
compare_image
stop_cachewtfs
verify_mappings
