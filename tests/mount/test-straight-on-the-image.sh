#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# cp, cmp and mkfs straight on the image; what would truncate it is refused.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse mkfs.ext4

make_image 24M
start_cachewtfs --cache-size 8M
cp "$image" "$tmp/copy"
cmp "$tmp/copy" "$origin"
cp --sparse=always "$image" "$tmp/copy"
cmp "$tmp/copy" "$image"

new=$(random_file 24M)
write_at "$image" 0 "$new"
cmp "$new" "$image"
cmp "$new" "$origin"

mkfs.ext4 -q -F "$image"
e2fsck -fn "$image"
e2fsck -fn "$origin"

if truncate -s 1M "$image" 2>"$tmp/err"; then fail "the image was truncated"; fi
grep -q 'Operation not permitted' "$tmp/err" || fail "not a clear errno: $(cat "$tmp/err")"
if cp "$new" "$image" 2>/dev/null; then fail "cp truncates, and was not refused"; fi
if (: >"$image") 2>/dev/null; then fail "the shell truncates, and was not refused"; fi
truncate -s 24M "$image"		# the size that it has
if chmod 777 "$image" 2>/dev/null; then fail "chmod was not refused"; fi
if rm -f "$image" 2>/dev/null; then fail "the image was removed"; fi
if (: >"$mnt/new") 2>/dev/null; then fail "a file was made beside the image"; fi
[ "$(ls -A "$mnt")" = $'.cachewtfs\ndisk.img' ] || fail "the mount holds $(ls -A "$mnt")"
compare_image
stop_cachewtfs
verify_mappings
