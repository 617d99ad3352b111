#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# 8 threads each write every 8th byte of one page: all bytes are there at the end, cached or not.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

make_image 1M
start_cachewtfs --cache-size 1M --block-size 4K
for _ in 1 2 3; do
	"$IO_HELPER" threads "$image" 8 3
	compare_image				# reads all, so that the page is cached from the second round on
done
expect 'write hits' -gt 0
stop_cachewtfs
verify_mappings
