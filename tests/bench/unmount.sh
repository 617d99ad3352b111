# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# For ack.sh and marks.sh, whose mount is $work/mnt.

# Detach it, if it is there, and wait until the daemon of $work/pid has ended.
unmount() {
	local pid
	if [ -z "$work" ] || ! mountpoint -q "$work/mnt"; then return 0; fi
	pid=$(cat "$work/pid" 2>/dev/null)
	fusermount3 -u "$work/mnt" || fusermount3 -u -z "$work/mnt"
	while [ -n "$pid" ] && [ -e "/proc/$pid" ]; do sleep 0.05; done
}
