#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# examples/simple.c does what its head says: the line is in the origin, the second run starts warm, the cache equals the origin.
set -eu

simple=$PWD/examples/simple cachewt=$PWD/src/cachewt
dir=$(mktemp -d "${TMPDIR:-/tmp}/test-example.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

truncate -s 10M disk.img
timeout 60 "$simple" disk.img disk.cache disk.meta >first
grep -q '^cold' first
[ "$(dd if=disk.img bs=1M skip=1 count=1 status=none | head -n 1 | tr -d '\0')" = "written through the cache" ]
[ "$(stat -c %s disk.img)" = 10485760 ]
"$cachewt" verify --origin disk.img --cache disk.cache --metadata disk.meta
timeout 60 "$simple" disk.img disk.cache disk.meta >second
grep -q '^warm' second
grep -q '^read hits 3,' second
"$cachewt" verify --origin disk.img --cache disk.cache --metadata disk.meta

# Wrong use is one line.
if "$simple" missing disk.cache disk.meta 2>err; then exit 1; fi
[ "$(wc -l <err)" = 1 ]
