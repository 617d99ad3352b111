#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# XFS on a loop device over the image: files, git clone, git fsck, restart; xfs_repair finds nothing.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop git mkfs.xfs xfs_repair
# shellcheck source=filesystem.sh
. "${srcdir:-.}/tests/mount/filesystem.sh"

filesystem_test mkfs.xfs -q -f
xfs_repair -n "$origin" 2>&1
