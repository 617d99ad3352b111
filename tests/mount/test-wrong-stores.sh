#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A cache or metadata that cannot be one: one line, status 1, nothing mounted, nothing changed on disk.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 2M
both=(--cache "$cache" --metadata "$meta")

# To be made, and cannot be.
refused 1 "$cache.*(too small|smaller)" "${both[@]}" --cache-size 4K "$origin" "$mnt"
refused 1 "$cache.*(too small|smaller)" "${both[@]}" --cache-size 100K "$origin" "$mnt"
missing=$stores/missing
refused 1 "$missing/cache.*(no such file|does not exist)" --cache "$missing/cache" --metadata "$meta" --cache-size 1M \
	"$origin" "$mnt"
refused 1 "$missing/meta.*(no such file|does not exist)" --cache "$cache" --metadata "$missing/meta" --cache-size 1M \
	"$origin" "$mnt"
refused 1 'directory' --cache "$stores" --metadata "$meta" --cache-size 1M "$origin" "$mnt"

# The same file twice, also by another name.
ln "$origin" "$stores/second-name"
refused 1 "$origin" --cache "$origin" --metadata "$meta" "$origin" "$mnt"
refused 1 'second-name' --cache "$stores/second-name" --metadata "$meta" "$origin" "$mnt"
refused 1 "$origin" --cache "$cache" --metadata "$origin" --cache-size 1M "$origin" "$mnt"
refused 1 "$cache" --cache "$cache" --metadata "$cache" --cache-size 1M "$origin" "$mnt"
rm "$stores/second-name"

# A foreign file or disk image given as the cache or the metadata: not even --reset takes it.
make_image 1M "$cache"
refused 1 "$cache" "${both[@]}" "$origin" "$mnt"
refused 1 "$cache" "${both[@]}" --reset "$origin" "$mnt"
truncate -s 4M "$cache"
mkfs.ext4 -q -F "$cache"
refused 1 "$cache" "${both[@]}" "$origin" "$mnt"
refused 1 "$cache" "${both[@]}" --reset "$origin" "$mnt"
rm "$cache"
make_image 1M "$meta"
refused 1 "$meta" "${both[@]}" --cache-size 1M "$origin" "$mnt"
refused 1 "$meta" "${both[@]}" --reset --cache-size 1M "$origin" "$mnt"
rm "$meta"

# A real pair, then one thing wrong at a time.
start_cachewtfs --cache-size 1M --block-size 16K
cat "$image" >/dev/null
stop_cachewtfs
refused 1 '8K.*16K|16K.*8K|8192.*16384|16384.*8192' "${both[@]}" --block-size 8K "$origin" "$mnt"
refused 1 "cache.*size" "${both[@]}" --cache-size 2M "$origin" "$mnt"
make_image 3M "$stores/longer.img"
refused 1 '2097152.*3145728|3145728.*2097152' "${both[@]}" "$stores/longer.img" "$mnt"

cp "$meta" "$tmp/meta.good"
for size in 5000 100 -60000; do	# the last one cuts the mappings
	truncate -s $size "$meta"
	refused 1 "$meta.*reset" "${both[@]}" "$origin" "$mnt"
	cp "$tmp/meta.good" "$meta"
done
write_at "$meta" 0 "$(random_file 128K)"
refused 1 "$meta" "${both[@]}" "$origin" "$mnt"

# And undamaged it mounts.
cp "$tmp/meta.good" "$meta"
start_cachewtfs --block-size 16K --cache-size 1M
compare_image
stop_cachewtfs
verify_mappings
