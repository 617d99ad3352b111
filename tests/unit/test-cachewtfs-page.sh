#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every option of --help is in cachewtfs(1), and every one of the page is in --help; the page has no faults.
# Run from the build folder, with srcdir set, as make check does.
set -eu
page=${srcdir:-.}/man/cachewtfs.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

./src/cachewtfs --help > "$work/help"
sed -n '/^Options:/,/^$/s/^  [-a-zA-Z, ]*\(--[a-z-]*\).*/\1/p' "$work/help" | sort > "$work/in-help"
sed -n '/^\.Ss Options/,/^\.Ss Mount/s/^\.It .*\(Fl \|, \)-\([a-z][a-z-]*\).*/--\2/p' "$page" | sort > "$work/in-page"
test "$(wc -l < "$work/in-help")" -ge 15
diff -u "$work/in-help" "$work/in-page"

if command -v mandoc > /dev/null; then
	mandoc -T lint -W warning "$page"
fi
