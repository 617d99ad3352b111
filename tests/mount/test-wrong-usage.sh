#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Wrong usage: status 2, one line, nothing mounted, nothing changed on disk.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 1M
stores_given=(--cache "$cache" --metadata "$meta" --cache-size 1M)
refused 2 'ORIGIN' "${stores_given[@]}"
refused 2 'MOUNTPOINT' "${stores_given[@]}" "$origin"
refused 2 '3 argument' "${stores_given[@]}" "$origin" "$mnt" more
refused 2 'no-such-option' --no-such-option "${stores_given[@]}" "$origin" "$mnt"
refused 2 'no-such-option' -o no-such-option "${stores_given[@]}" "$origin" "$mnt"
refused 2 'a/b' --name a/b "${stores_given[@]}" "$origin" "$mnt"
refused 2 'name' --name '' "${stores_given[@]}" "$origin" "$mnt"
refused 2 'name' --name .. "${stores_given[@]}" "$origin" "$mnt"
refused 2 '\.cachewtfs' --name .cachewtfs "${stores_given[@]}" "$origin" "$mnt"
refused 2 '5000' --block-size 5000 "${stores_given[@]}" "$origin" "$mnt"
refused 2 '4M' --block-size 4M "${stores_given[@]}" "$origin" "$mnt"
refused 2 '2K' -o block-size=2K "${stores_given[@]}" "$origin" "$mnt"
refused 2 '10X' --cache "$cache" --metadata "$meta" --cache-size 10X "$origin" "$mnt"
refused 2 'cache-size' --cache "$cache" --metadata "$meta" --cache-size -5 "$origin" "$mnt"
refused 2 'sideways' --mode sideways "${stores_given[@]}" "$origin" "$mnt"
refused '[12]' 'nosuchpolicy.*clock' --policy nosuchpolicy "${stores_given[@]}" "$origin" "$mnt"
refused '[12]' 'ghost=900.*1 to 400' --policy clock,ghost=900 "${stores_given[@]}" "$origin" "$mnt"
refused '[12]' 'fault' --fault nonsense "${stores_given[@]}" "$origin" "$mnt"
refused '[12]' 'EWRONG' --fault origin:write:error=EWRONG "${stores_given[@]}" "$origin" "$mnt"
