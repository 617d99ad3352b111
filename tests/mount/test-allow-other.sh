#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# -o allow_other: another user can use the image as far as its mode allows, and no further.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse root setpriv

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }

make_image 1M
chmod 600 "$origin"
start_cachewtfs --cache-size 1M -o allow_other
[ "$(stat -c '%a %u %g' "$image")" = "$(stat -c '%a %u %g' "$origin")" ] || fail "other mode or owner than the origin"
if as_nobody head -c 1 "$image" >/dev/null 2>&1; then fail "nobody can read an image of mode 0600"; fi
if as_nobody cat "$mnt/.cachewtfs/status" >/dev/null 2>&1; then fail "nobody can read the status"; fi
# shellcheck disable=SC2016
if as_nobody sh -c ': >"$1"' - "$mnt/.cachewtfs/control" 2>/dev/null; then fail "nobody can open control"; fi
compare_image
stop_cachewtfs

chmod 644 "$origin"
start_cachewtfs --trust-origin -o allow_other
as_nobody cmp "$origin" "$image"
[ "$(as_nobody "$IO_HELPER" pwrite "$image" 0 1 2>&1)" != 1 ] || fail "nobody can write an image of mode 0644"
stop_cachewtfs

chmod 600 "$origin"
start_cachewtfs --trust-origin -o allow_other,uid=65534,gid=65534,umask=027
attributes=$(stat -c '%a %u %g' "$image")
[[ $attributes =~ ^[67]..' 65534 65534'$ ]] || fail "uid, gid, umask: $attributes"
as_nobody head -c 1 "$image" >/dev/null
compare_image
stop_cachewtfs

# Without it nobody else, not even to look.
chmod 644 "$origin"
start_cachewtfs --trust-origin
if as_nobody stat "$image" >/dev/null 2>&1; then fail "without allow_other another user sees the image"; fi
stop_cachewtfs
verify_mappings
