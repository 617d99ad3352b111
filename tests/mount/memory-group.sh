# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# A memory cgroup of the test, below the one that the test runs in; of version 1 or 2, whichever has the memory
# controller.  The hierarchy is mounted afresh, in the folder of the test: where it usually is it may be read-only, as
# in a container.
#
#	group_make 32M; "$tmp/in-group" COMMAND...; group_failures; group_remove

groups=$tmp/groups
group=

# Whatever hangs, hangs on the mount: to abort it (umount -f) ends every request that waits for it, also where the
# daemon itself waits for one and cannot be killed.
group_cleanup() {
	local status=$?
	set +e
	if [ -d "$group" ]; then
		{
			umount -f "$mnt"
			[ -s "$tmp/daemons" ] && xargs kill -9 <"$tmp/daemons"
			xargs -r kill -9 <"$group/cgroup.procs"
			for ((i = 0; i < 100; i++)); do
				rmdir "$group" && break
				sleep 0.1
			done
		} >/dev/null 2>&1
	fi
	(exit $status)
	cleanup
}
trap group_cleanup EXIT

# Version 1: where we are in the hierarchy of the memory controller.
memory_path_v1() { sed -nE 's/^[0-9]+:([^:]*,)?memory(,[^:]*)?://p' /proc/self/cgroup; }

# Version 2: a cgroup that hands the memory controller to its children: ours, or the one above, for a cgroup with
# processes of its own may not.
memory_path_v2() {
	local path
	path=$(sed -n 's/^0:://p' /proc/self/cgroup)
	while :; do
		echo +memory 2>/dev/null >"$groups$path/cgroup.subtree_control" || true
		if grep -qw memory "$groups$path/cgroup.subtree_control"; then
			echo "$path"
			return
		fi
		[ -n "${path%/}" ] || return 1
		path=$(dirname "$path")
	done
}

group_mount() {
	local path
	mkdir "$groups"
	path=$(memory_path_v1)
	if [ -n "$path" ]; then
		mount -t cgroup -o memory cgroup "$groups" || skip "needs the right to mount cgroups"
	else
		mount -t cgroup2 cgroup2 "$groups" || skip "needs the right to mount cgroups"
		path=$(memory_path_v2) || skip "needs a cgroup that can have children with a limit of memory"
	fi
	group=$groups${path%/}/cachewtfs-test.$$
}

# group_make LIMIT: an empty cgroup; $tmp/in-group runs a command in it.
group_make() {
	local limit
	limit=$(numfmt --from=iec "$1")
	[ -n "$group" ] || group_mount
	mkdir "$group" || skip "needs the right to make a cgroup"
	if [ -e "$group/memory.max" ]; then
		echo "$limit" >"$group/memory.max"
	else
		echo "$limit" >"$group/memory.limit_in_bytes"
	fi
	cat >"$tmp/in-group" <<-END
		#!/bin/bash
		echo \$\$ >"$group/cgroup.procs" && exec "\$@"
	END
	chmod +x "$tmp/in-group"
}

group_has() { grep -qx "$1" "$group/cgroup.procs"; }

# How often the limit was reached.
group_failures() {
	cat "$group/memory.failcnt" 2>/dev/null || sed -n 's/^max //p' "$group/memory.events"
}

# When its processes have ended.
group_remove() {
	local i
	for ((i = 0; i < 100; i++)); do
		rmdir "$group" 2>/dev/null && return
		sleep 0.1
	done
	fail "processes are left in the cgroup: $(cat "$group/cgroup.procs")"
}
