#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# umount, and cachewtfs again at once, 50 times: each waits for the one before it, and starts warm.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 2M
given=(--cache "$cache" --metadata "$meta" --pidfile "$pidfile")
"$CACHEWTFS" "${given[@]}" --cache-size 4M "$origin" "$mnt"
cat "$image" >/dev/null
for ((round = 1; round <= 50; round++)); do
	new=$(random_file 10K)
	write_at "$image" $((round * 30011)) "$new"
	umount "$mnt"
	"$CACHEWTFS" "${given[@]}" "$origin" "$mnt" || fail "mount $round"
	status start | grep -q '^warm: clean' || fail "mount $round: $(status start)"
	cmp -n 10240 -i $((round * 30011)):0 "$image" "$new" || fail "mount $round: another content than written"
	rm "$new"
done
compare_image
daemon=$(cat "$pidfile")
umount "$mnt"
wait_gone "$daemon"
verify_mappings 32
