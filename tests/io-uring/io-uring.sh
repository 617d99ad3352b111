#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	make check-io-uring	[ROUNDS=3] [SECONDS_EACH=1] [WORK=DIR]
#
# -o io_uring, with the system's libfuse if that has rings, else with a newer one (libfuse.sh): builds cachewtfs with
# it, lets mounted tests run over the rings, and measures both transports side by side (measure.sh).  In the end it gives
# automake's counts.  Where it cannot be had it says "skipped: libfuse VERSION: WHY" and exits 77.  The kernel's
# permission (a parameter of the module fuse) is given for the time of the run.
#
# WORK is where it builds; left there for the next run if given, else removed.
set -uo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

cd "$(dirname "$0")/../.." || exit 1
source=$PWD
parameter=/sys/module/fuse/parameters/enable_uring
keep=${WORK:-}
work=${WORK:-$(mktemp -d "${TMPDIR:-/var/tmp}/cachewtfs-io-uring.XXXXXX")}
mkdir -p "$work/build" || exit 1
was=

cleanup() {
	local status=$?
	trap - EXIT
	[ -z "$was" ] || echo "$was" >$parameter
	[ -n "$keep" ] || rm -rf --one-file-system "$work"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skipped() {
	echo "skipped: libfuse $(pkg-config --modversion fuse3 2>/dev/null): $*"
	exit 77
}

allow_rings() {
	[ -r $parameter ] || skipped "this kernel has no $parameter"
	[ "$(cat $parameter)" = Y ] && return
	[ "$(id -u)" -eq 0 ] || skipped "$parameter is N, and needs root to be changed"
	was=N
	echo Y 2>/dev/null >$parameter || skipped "$parameter cannot be changed"
}

build_cachewtfs() {
	local rpath
	rpath=$(pkg-config --variable=libdir fuse3)
	cd "$work/build" || return
	[ -f Makefile ] || "$source/configure" -q "LDFLAGS=-Wl,-rpath,$rpath" || return
	make -s "-j$(nproc)" all tests/mount/io-helper tests/mount/fsync-writer
}

# one_test NAME: a mounted test whose every mount gets -o io_uring.
one_test() {
	local status=0 build=$work/build/tests/mount
	CACHEWTFS=$work/cachewtfs CACHEWT=$work/build/src/cachewt IO_HELPER=$build/io-helper \
		FSYNC_WRITER=$build/fsync-writer srcdir=$source "$source/tests/mount/test-$1.sh" >"$work/$1.log" 2>&1 || status=$?
	case $status in
	0) echo "PASS: $1" ;;
	77) echo "SKIP: $1: $(tail -n 1 "$work/$1.log")" ;;
	*)
		echo "FAIL: $1"
		tail -n 30 "$work/$1.log"
		;;
	esac
}

allow_rings
# shellcheck source=libfuse.sh
. tests/io-uring/libfuse.sh
why=$(newer_libfuse "$work") || skipped "$why"
newer_libfuse "$work" || exit 1		# it is there by now; this time for the path
echo "libfuse $(pkg-config --modversion fuse3) with rings; building cachewtfs"
build_cachewtfs >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log"; echo "# FAIL: 1"; exit 1; }
printf '#!/bin/sh\nexec "%s/build/src/cachewtfs" -o io_uring "$@"\n' "$work" >"$work/cachewtfs"
chmod +x "$work/cachewtfs"

tests=(io-uring status-readers clean-unmount processes threads-on-one-page punch-zero-seek odd-size faults-of-the-origin
	faults-of-the-cache fio-verify ext4-on-loop)
for name in "${tests[@]}"; do
	one_test "$name"
done | tee "$work/results"
echo "# PASS: $(grep -c '^PASS' "$work/results")"
echo "# FAIL: $(grep -c '^FAIL' "$work/results")"
echo "# SKIP: $(grep -c '^SKIP' "$work/results")"
CACHEWTFS=$work/build/src/cachewtfs "$source/tests/io-uring/measure.sh" || exit
! grep -q '^FAIL' "$work/results"
