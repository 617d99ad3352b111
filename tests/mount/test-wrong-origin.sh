#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An origin that cannot be one: one line, status 1, nothing mounted, nothing changed on disk.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

stores_given=(--cache "$cache" --metadata "$meta" --cache-size 1M)
refused 1 "$origin.*no such file" "${stores_given[@]}" "$origin" "$mnt"
refused 1 "$stores.*directory" "${stores_given[@]}" "$stores" "$mnt"
mkfifo "$stores/fifo"
refused 1 "$stores/fifo.*file.*block device" "${stores_given[@]}" "$stores/fifo" "$mnt"
refused 1 '/dev/zero.*file.*block device' "${stores_given[@]}" /dev/zero "$mnt"
: >"$origin"
refused 1 "$origin.*(empty|0 bytes)" "${stores_given[@]}" "$origin" "$mnt"
ln -s nowhere "$stores/dangling"
refused 1 "$stores/dangling.*no such file" "${stores_given[@]}" "$stores/dangling" "$mnt"

# Not ours to read: root may read everything, so another user tries.
make_image 1M
chmod 000 "$origin"
if [ "$(id -u)" -ne 0 ]; then
	refused 1 "$origin.*permission" "${stores_given[@]}" "$origin" "$mnt"
fi
chmod 644 "$origin"

# The origin is in use by another mount.
start_cachewtfs --cache-size 1M
mkdir "$tmp/mnt2"
refused 1 "$origin.*(in use|busy|locked).*$daemon" --cache "$stores/c2" --metadata "$stores/m2" --cache-size 1M \
	"$origin" "$tmp/mnt2"
refused 1 "(in use|busy|locked).*$daemon" --read-only --cache "$stores/c2" --metadata "$stores/m2" --cache-size 1M \
	"$origin" "$tmp/mnt2"
compare_image
stop_cachewtfs
verify_mappings 0
