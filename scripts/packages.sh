# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
#
# What has to be installed, in one place; sourced by quickstart.sh and run-tests.sh.
#
#	install_packages build		what ./configure and make need, and what a mount needs
#	install_packages build test	and what the tests and the bench need

# Names as Debian and Ubuntu have them.
packages_build=(gcc libc6-dev make autoconf automake libtool pkg-config libfuse3-dev fuse3 libaio-dev libxxhash-dev
	libglib2.0-dev libjson-glib-dev check mount util-linux e2fsprogs)
packages_test=(clang valgrind fio xfsprogs btrfs-progs git mandoc shellcheck spin xz-utils libc6-dbg jq strace gnuplot-nox
	nbdkit libnbd-bin qemu-system-common s3backer podman crun debootstrap meson ninja-build liburing-dev libnuma-dev
	dpkg-dev debian-archive-keyring qemu-utils)

# What these packages bring, by which they are recognised where there is no dpkg.
commands_build=(gcc make autoreconf libtoolize pkg-config fusermount3 losetup mkfs.ext4)
commands_test=(clang valgrind fio mkfs.xfs mkfs.btrfs git mandoc shellcheck spin xz jq strace gnuplot nbdkit nbdfuse
	qemu-storage-daemon s3backer podman crun debootstrap meson ninja qemu-img)
modules_build=(fuse3 libxxhash glib-2.0 json-glib-1.0 check)

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Everything that the groups bring can be found: nothing to do on this system, whatever it is.
is_complete() {
	local group name PATH=$PATH:/usr/sbin:/sbin
	for group; do
		local -n names=commands_$group
		for name in "${names[@]}"; do
			command -v "$name" >/dev/null || return 1
		done
	done
	for name in "${modules_build[@]}"; do
		pkg-config --exists "$name" || return 1
	done
	echo '#include <libaio.h>' | gcc -E - >/dev/null 2>&1
}

missing_packages() {
	local group name
	for group; do
		local -n list=packages_$group
		for name in "${list[@]}"; do
			is_installed "$name" || echo "$name"
		done
	done
}

# Hundreds of lines, which only a failure makes worth reading.
apt_get() {
	local log=$1
	shift
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >>"$log" 2>&1 </dev/null
}

install_packages() {
	local group missing all=() as_root=() log before=$SECONDS
	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
		is_complete "$@" && return
		for group; do
			local -n list=packages_$group
			all+=("${list[@]}")
		done
		echo "Packages are installed on Debian and Ubuntu only. Please install what brings: ${all[*]}" >&2
		return 1
	fi
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "Please install, as root: apt-get update && apt-get install ${missing[*]}" >&2
			return 1
		fi
		as_root=(sudo)
	fi
	log=$(mktemp "${TMPDIR:-/tmp}/cachewtfs-packages.XXXXXX") || return 1
	printf 'Installing %s (log: %s) ... ' "${missing[*]}" "$log"
	if ! apt_get "$log" update || ! apt_get "$log" -y install --no-install-recommends "${missing[@]}"; then
		echo "failed after $((SECONDS - before)) s"
		tail -n 20 "$log" >&2
		echo "Please install, as root: apt-get update && apt-get install ${missing[*]}" >&2
		return 1
	fi
	echo "$((SECONDS - before)) s"
	rm -f "$log"
}
