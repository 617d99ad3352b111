#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Dependencies point down: src -> engine -> {policy, metadata, device} -> base.  Siblings do not include each other, but
# for metadata/, which may include the vtable device/device.h.  Only src/ includes FUSE and GLib headers, only
# device/aio libaio's.
set -euo pipefail
cd "${srcdir:-.}"

# outside FOLDER ALLOWED: print the project's headers that FOLDER includes and that do not match the pattern ALLOWED.
outside() {
	[ -d "$1" ] || return 0
	grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$1" |
		grep -vE "include[[:space:]]*\"($2)\"" || true
}

# system FOLDER PATTERN: print where FOLDER includes a system header that matches.
system() {
	[ -d "$1" ] || return 0
	grep -rnE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" "$1" || true
}

violations() {
	outside lib/base 'base/[^"]*|cachewt\.h'
	outside lib/device 'base/[^"]*|device/[^"]*|cachewt\.h'
	outside lib/policy 'base/[^"]*|policy/[^"]*|cachewt\.h'
	outside lib/metadata 'base/[^"]*|metadata/[^"]*|device/device\.h|cachewt\.h'
	outside lib/engine '(base|device|policy|metadata|engine)/[^"]*|cachewt\.h'
	system lib 'fuse|glib|gio|json-glib|check\.h'
	system lib 'libaio\.h' | grep -v '^lib/device/aio[^/]*:' || true
	system src 'libaio\.h|check\.h'
	grep -nE '^[[:space:]]*#[[:space:]]*include' lib/cachewt.h | grep -vE '<(stdbool|stddef|stdint)\.h>' || true
	grep -rnE --include='*.[ch]' '#[[:space:]]*include[[:space:]]*"\.\./' lib src || true
}

# The check itself is checked: each of these lines, in its file, must be found.
must_find() {
	local tree=$1 file=$2 line=$3
	mkdir -p "$tree/lib" "$tree/src" "$tree/$(dirname "$file")"
	touch "$tree/lib/cachewt.h"
	echo "$line" >"$tree/$file"
	if [ -z "$(cd "$tree" && violations)" ]; then
		echo "not found: $line in $file" >&2
		exit 1
	fi
	rm "$tree/$file"
}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
must_find "$tree" lib/base/x.c '#include "device/device.h"'
must_find "$tree" lib/device/x.h '#include "metadata/store.h"'
must_find "$tree" lib/metadata/x.c '#include "device/aio.h"'
must_find "$tree" lib/metadata/x.c '#include "policy/policy.h"'
must_find "$tree" lib/policy/x.c '#  include "engine/engine.h"'
must_find "$tree" lib/engine/x.c '#include "options.h"'
must_find "$tree" lib/engine/x.c '#include <fuse_lowlevel.h>'
must_find "$tree" lib/base/x.c '#include <glib.h>'
must_find "$tree" lib/engine/x.c '#include <libaio.h>'
must_find "$tree" lib/device/memory.c '#include <libaio.h>'
must_find "$tree" src/x.c '#include "../lib/base/log.h"'

found=$(violations)
if [ -n "$found" ]; then
	echo "these includes are against the order of the folders:" >&2
	echo "$found" >&2
	exit 1
fi
# It looked at something.
[ "$(find lib -name '*.c' | wc -l)" -gt 5 ]
