#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A full cache disk: at format a clear error and nothing left behind, later no error for the user at all.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse root

small=$tmp/small
mkdir "$small"
mount -t tmpfs -o size=4M tmpfs "$small"
make_image 16M

refused 1 "$small/cache.*no space" --cache "$small/cache" --metadata "$meta" --cache-size 16M "$origin" "$mnt"
[ -z "$(ls -A "$small")" ] || fail "left behind: $(ls -A "$small")"
cat /dev/zero >"$small/filler" 2>/dev/null || true
refused 1 "$small/meta.*no space" --cache "$cache" --metadata "$small/meta" --cache-size 1M "$origin" "$mnt"
[ "$(ls -A "$small")" = filler ] || fail "left behind: $(ls -A "$small")"
rm "$small/filler"

# A cache file with holes: its disk is full after a fourth of it.
cache=$small/cache
truncate -s 16M "$cache"
start_cachewtfs --block-size 16K
cat "$image" >/dev/null
expect 'cache write errors' -gt 0
compare_image
write_at "$image" 12345 "$(random_file 12M)"
compare_image
"$IO_HELPER" fsync "$image" | grep -qx 0 || fail "fsync fails because the cache is full"
[ "$(status bypass)" = cache-errors ] || [ "$(status mapped)" -le 256 ] || fail "bypass: $(status bypass)"
stop_cachewtfs
verify_mappings 0
