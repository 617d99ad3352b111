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

# A start that fails leaves what the user has made for it: an empty file, and a link to one.
: >"$stores/empty"
ln -s empty "$cache"
refused 1 'nonsense' "${both[@]}" --cache-size 1M --policy nonsense "$origin" "$mnt"
refused 1 'missing' --cache "$cache" --metadata "$missing/meta" --cache-size 1M "$origin" "$mnt"
ln -s empty "$meta"
refused 1 'nonsense' --cache "$stores/new" --metadata "$meta" --cache-size 1M --policy nonsense "$origin" "$mnt"
rm "$meta" "$cache" "$stores/empty"
for name in /dev/cachewtfs-nosuch /dev/disk/by-id/cachewtfs-nosuch; do
	[ -d "${name%/*}" ] || continue
	refused 1 "$name.*in /dev" --cache "$name" --metadata "$meta" --cache-size 1M "$origin" "$mnt"
	refused 1 "$name.*in /dev" --cache "$cache" --metadata "$name" --cache-size 1M "$origin" "$mnt"
	[ ! -e "$name" ] || fail "$name was made"
done

# Data behind zeros, also at the very end, and by another name: not blank.
truncate -s 64M "$stores/precious"
for at in 2M 33554432 67108863; do
	fallocate -p -o 0 -l 64M "$stores/precious"
	printf x | dd of="$stores/precious" bs=1 seek="$(numfmt --from=iec "$at")" conv=notrunc status=none
	refused 1 "precious.*(blank|not the metadata)" --cache "$stores/precious" --metadata "$meta" "$origin" "$mnt"
	refused 1 "precious.*(blank|not the metadata)" --cache "$cache" --metadata "$stores/precious" --cache-size 1M "$origin" "$mnt"
	ln -s precious "$cache"
	refused 1 "$cache.*blank" "${both[@]}" --reset "$origin" "$mnt"
	ln -f "$stores/precious" "$cache"
	refused 1 "$cache.*blank" "${both[@]}" "$origin" "$mnt"
	rm "$cache"
done
rm "$stores/precious"
# Zeros, written or not, are blank.
for how in truncate fallocate dd; do
	case $how in
	truncate) truncate -s 4M "$cache" ;;
	fallocate) fallocate -l 4M "$cache" ;;
	dd) head -c 4M /dev/zero >"$cache" ;;
	esac
	start_cachewtfs
	compare_image
	stop_cachewtfs
	rm "$cache" "$meta"
done

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
