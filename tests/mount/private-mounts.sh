# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced first of all, by tests that need a mount namespace of their own: they start again in one.  It is a copy that
# would keep alive what other tests have mounted there just now, whose daemons and loop devices could not end then; so
# that is detached, from the copy.
if [ "$(id -u)" -eq 0 ]; then
	if [ -z "${CWT_PRIVATE_MOUNTS:-}" ]; then
		CWT_PRIVATE_MOUNTS=1 exec unshare --mount --propagation private -- "$BASH" "$0" "$@"
	fi
	unset CWT_PRIVATE_MOUNTS
	tac /proc/self/mountinfo | while read -r _ _ _ _ mountpoint _ rest; do
		case "$(printf '%b' "$mountpoint") ${rest#* - }" in
		*/cachewtfs-test.* | *\ fuse[.\ ]* | *\ /dev/loop*) umount -l "$(printf '%b' "$mountpoint")" 2>/dev/null ;;
		esac
	done
fi
