#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A metadata that is ours and cannot be used: refused with a line that names --reset, and --reset starts anew.  Zeros, and
# what an interrupted format leaves, are formatted without being asked.  What is not ours is left alone, even with --reset.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 2M
both=(--cache "$cache" --metadata "$meta")
start_cachewtfs --cache-size 1M --block-size 16K
cat "$image" >/dev/null
stop_cachewtfs
cp "$meta" "$tmp/meta.good"
size=$(stat -c %s "$meta")

# bytes_at OFFSET BYTES: printf's escapes, into the metadata.
bytes_at() {
	# shellcheck disable=SC2059
	printf "$2" >"$tmp/bytes"
	write_at "$meta" "$1" "$tmp/bytes"
}

# It mounts, cold, with the geometry of its own; serves; caches; and the next start is warm.
starts_anew() {
	start_cachewtfs "$@"
	status start | grep -q '^cold' || fail "$*: \"$(status start)\""
	expect mapped -eq 0
	compare_image
	expect mapped -gt 0
	stop_cachewtfs
	verify_mappings
	start_cachewtfs
	status start | grep -q '^warm: clean' || fail "the start after it: \"$(status start)\""
	compare_image
	stop_cachewtfs
}

random_superblocks_behind_their_magic() {
	local copy
	for copy in 0 65536; do
		write_at "$meta" $((copy + 8)) "$(random_file 4088)"
	done
}

cp "$tmp/meta.good" "$meta"
random_superblocks_behind_their_magic
refused 1 "$meta.*--reset" "${both[@]}" "$origin" "$mnt"
starts_anew --reset

cp "$tmp/meta.good" "$meta"
truncate -s 5000 "$meta"
refused 1 "$meta.*--reset" "${both[@]}" "$origin" "$mnt"
starts_anew --reset

# The same damage, without the magic: it may be anybody's.
cp "$tmp/meta.good" "$meta"
write_at "$meta" 0 "$(random_file 68K)"
refused 1 "$meta.*left alone" "${both[@]}" "$origin" "$mnt"
refused 1 "$meta.*left alone" "${both[@]}" --reset "$origin" "$mnt"

# Zeros of the right size, and of the size of a file that was just touched.
truncate -s 0 "$meta"
starts_anew
truncate -s 0 "$meta"
truncate -s "$size" "$meta"
starts_anew

# An interrupted format.  Both copies said so before anything else was touched, or the first of them over a blank file.
formatting=(
	'cachewtM\xdf\x4d\x39\xba\xdf\xf2\x64\x3a\x06\0\0\0\0\0\0\0\0'
	'cachewtM\x31\x58\x14\x3e\xcf\x5d\xab\x11\x06\0\0\0\0\0\0\0\x10'
)
truncate -s 0 "$meta"
truncate -s "$size" "$meta"
bytes_at 0 "${formatting[0]}"
starts_anew
cp "$tmp/meta.good" "$meta"
for i in 0 1; do
	dd if=/dev/zero of="$meta" bs=512 count=1 seek=$((i * 128)) conv=notrunc status=none
	bytes_at $((i * 65536)) "${formatting[i]}"
done
starts_anew

# What was cached is not in the cache file after --reset, though nothing else was cached meanwhile; and the file stays allocated.
printf 'a secret that nobody shall find' >"$tmp/secret"
write_at "$origin" 100000 "$tmp/secret"
rm -f "$cache" "$meta"
start_cachewtfs --cache-size 4M --block-size 16K
cat "$image" >/dev/null
stop_cachewtfs
grep -qa 'a secret that nobody' "$cache" || fail "it was never cached"
blocks=$(stat -c %b "$cache")
start_cachewtfs --reset
! grep -qa 'a secret that nobody' "$cache" || fail "--reset leaves what was cached in the cache"
[ "$(stat -f -c %T "$cache")" = tmpfs ] || [ "$(stat -c %b "$cache")" -ge "$blocks" ] || fail "the cache has lost its space"
compare_image
stop_cachewtfs
verify_mappings
