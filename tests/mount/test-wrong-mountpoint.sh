#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A mountpoint that cannot be one: one line, status 1, nothing changed on disk.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 1M
stores_given=(--cache "$cache" --metadata "$meta" --cache-size 1M)
refused 1 "$tmp/missing.*no such file" "${stores_given[@]}" "$origin" "$tmp/missing"
refused 1 "$origin.*not a directory" "${stores_given[@]}" "$origin" "$origin"

# Busy: another image is mounted there.
start_cachewtfs --cache-size 1M
make_image 1M "$stores/other.img"
refused 1 "$mnt.*(busy|mounted)" --cache "$stores/c2" --metadata "$stores/m2" --cache-size 1M "$stores/other.img" "$mnt"
compare_image
stop_cachewtfs

# What would be hidden by the mount: contents, and stores that are to be made there; -o nonempty knows better.
mkdir "$stores/full"
echo x >"$stores/full/file"
refused 1 "$stores/full: is not empty.*-o nonempty" "${stores_given[@]}" "$origin" "$stores/full"
refused 1 "$mnt: $mnt/cache lies in it.*-o nonempty" --cache "$mnt/cache" --metadata "$meta" --cache-size 1M "$origin" "$mnt"
refused 1 "$mnt: $mnt/meta lies in it.*-o nonempty" --cache "$cache" --metadata "$mnt/meta" --cache-size 1M "$origin" "$mnt"
refused 1 "$stores: $origin lies in it" "${stores_given[@]}" "$origin" "$stores"
echo x >"$mnt/file"
start_cachewtfs -o nonempty
compare_image
stop_cachewtfs
[ "$(cat "$mnt/file")" = x ] || fail "what was hidden is gone"
