#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# With --busy-poll the mount serves as ever, and an idle one sleeps: it uses next to no processor time.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

ticks() { awk '{ print $14 + $15 }' "/proc/$daemon/stat"; }

make_image 4M
start_cachewtfs --cache-size 4M --busy-poll 1000 --loops 2
for _ in 1 2 3; do
	"$IO_HELPER" threads "$image" 8 3
	compare_image
done
before=$(ticks)
sleep 2
used=$(($(ticks) - before))
[ "$used" -le $(($(getconf CLK_TCK) / 5)) ] || fail "an idle mount used $used ticks in 2 seconds"
stop_cachewtfs
verify_mappings
