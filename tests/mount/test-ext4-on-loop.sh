#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# ext4 on a loop device over the image: files, git clone, git fsck, restart; e2fsck finds nothing.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop git mkfs.ext4
# shellcheck source=filesystem.sh
. "${srcdir:-.}/tests/mount/filesystem.sh"

filesystem_test mkfs.ext4 -q -F
e2fsck -fn "$origin"
