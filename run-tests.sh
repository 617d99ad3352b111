#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	./run-tests.sh [PHASE...]	every test there is, or only the phases named (see the end of this file)
#
# Installs what is missing, builds each variant in a folder of its own under build/, and runs its tests.  The last line
# is "N passed, N failed"; without CI=true tests whose requirements are not met (root, /dev/fuse, loop devices) are
# skipped and counted: "N passed, N failed, N skipped".  The exit status is 0 if something passed and nothing failed.
#
# PHASE_TIMEOUT is how many seconds each step of a phase may take (default 1200).
#
# shellcheck disable=SC2317	# the phases are called by name
set -uo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

here=$(cd "$(dirname "$0")" && pwd)
jobs=-j$(nproc)
passed=0 failed=0 skipped=0
child=

# The status is said here, not left to a bare exit: in a trap that one ends with the status from before the trap.
finish() {
	local status=$? also=
	trap - EXIT
	trap '' INT TERM
	[ -z "$child" ] || kill "$child" 2>/dev/null
	if [ "$status" -ne 0 ]; then
		echo "not all was run"
		failed=$((failed + 1))
	fi
	[ "$skipped" -eq 0 ] || also=", $skipped skipped"
	echo "$passed passed, $failed failed$also"
	if [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]; then exit 0; fi
	[ "$status" -ne 0 ] || status=1
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=scripts/packages.sh
. "$here/scripts/packages.sh" || exit 1
# shellcheck source=scripts/places.sh
. "$here/scripts/places.sh" || exit 1

# limited LOG COMMAND...: for at most PHASE_TIMEOUT seconds, in a process group of its own, which finish() can end.
limited() {
	local log=$1 status=0
	shift
	set -m
	timeout --kill-after=30 "${PHASE_TIMEOUT:-1200}" "$@" >"$log" 2>&1 </dev/null &
	child=$!
	set +m
	wait "$child" || status=$?
	child=
	[ "$status" -ne 124 ] || echo "it did not end within ${PHASE_TIMEOUT:-1200} s: $*" >>"$log"
	return "$status"
}

# step LOG COMMAND...: run it quietly; when it fails, show how it ended, and count one failure.
step() {
	local log=$1
	shift
	if ! limited "$log" "$@"; then
		echo "FAILED: $*"
		tail -n 40 "$log"
		failed=$((failed + 1))
		return 1
	fi
}

# build_in NAME CONFIGURE-ARGUMENT...: configure once and make, in build/NAME.
build_in() {
	local dir=$build/$1
	shift
	mkdir -p "$dir"
	cd "$dir" || return 1
	[ -f Makefile ] || step configure.log "$source/configure" "$@" || return 1
	step make.log make "$jobs" all || return 1
}

# The number that automake's summary gives for a result, summed up over all that the log holds.
count() { awk -v name="$1:" '$1 == "#" && $2 == name && NF == 3 { n += $3 } END { print n + 0 }' "$2"; }

# What could not be tried for want of something: fine by hand, a failure in continuous integration.
add_skipped() {
	if [ "${CI:-}" = true ]; then
		failed=$((failed + $1))
	else
		skipped=$((skipped + $1))
	fi
}

# check NAME MAKE-ARGUMENT...: run tests in the current folder with make, and add up their results.
check() {
	local log=check-$1.log failures successes skips status=0
	shift
	limited "$log" make "$@" || status=$?
	failures=$(($(count FAIL "$log") + $(count ERROR "$log") + $(count XPASS "$log")))
	successes=$(count PASS "$log")
	skips=$(count SKIP "$log")
	if [ "$status" -ne 0 ] && [ "$failures" -eq 0 ]; then	# not as far as the tests, or not to their end
		tail -n 40 "$log"
		failures=1
	fi
	grep -E '^(FAIL|ERROR|XPASS): ' "$log" | sort -u | while read -r line; do
		echo "$line"
		tail -n 60 "$(sed -E 's/^[A-Z]+: //' <<<"$line").log" 2>/dev/null
	done
	grep -E '^SKIP: ' "$log" | sort -u
	if [ $((failures + successes + skips)) -eq 0 ]; then	# all of it was left out, as a whole
		grep -E '^skipped: ' "$log" || tail -n 5 "$log"
		skips=1
	fi
	passed=$((passed + successes))
	failed=$((failed + failures))
	add_skipped "$skips"
}

# ------------------------------------------------------------------ the phases

phase_gcc() {
	build_in gcc --enable-warnings CC=gcc && check all "$jobs" check
}

phase_clang() {
	build_in clang --enable-warnings CC=clang && check unit "$jobs" check-unit
}

# The unit tests, and the mounted tests that reach most of the code.
phase_asan() {
	local name mounts=
	for name in ext4-on-loop faults-of-the-cache faults-of-the-origin loop-device-warnings odd-size processes \
		wrong-stores; do
		mounts+=" tests/mount/test-$name.sh"
	done
	export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
	build_in asan --enable-warnings --enable-sanitizer=address,undefined || return
	CWT_FLIP_STRIDE=997 CK_TIMEOUT_MULTIPLIER=5 check unit "$jobs" check-unit
	TEST_TIMEOUT=500 check mount "$jobs" check "TESTS=$mounts"
}

phase_tsan() {
	build_in tsan --enable-warnings --enable-sanitizer=thread || return
	CWT_FLIP_STRIDE=2999 CK_TIMEOUT_MULTIPLIER=10 TSAN_OPTIONS=halt_on_error=1 check unit "$jobs" check-unit
}

# Check forks for each test, and valgrind follows: a leak or an error in a child is that test's failure.
phase_valgrind() {
	build_in gcc --enable-warnings CC=gcc || return
	CWT_FUZZ_RUNS=300 CWT_FLIP_STRIDE=9973 CWT_STRESS_ROUNDS=1 CK_TIMEOUT_MULTIPLIER=30 check valgrind "$jobs" check-valgrind
}

# Known bugs, one after the other: the tests must fail on every one.
phase_mutants() {
	mkdir -p "$build/mutants" && cd "$build/mutants" || return
	[ -f Makefile ] || step configure.log "$source/configure" --enable-warnings --enable-mutants || return
	CWT_FLIP_STRIDE=997 check mutants "$jobs" check-mutants
}

# The protocol itself, for a model checker: all rules hold, and each one left out gives a trace.
phase_model() {
	build_in gcc --enable-warnings CC=gcc && check model check-model
}

# The io_uring transport, with a libfuse that has it; where none can be had this says so, and counts as one skipped.
phase_io_uring() {
	build_in gcc --enable-warnings CC=gcc && check io_uring check-io-uring
}

# The tarball is complete: it builds from read-only sources, checks, installs, uninstalls and leaves nothing.
phase_distcheck() {
	local tests
	build_in gcc --enable-warnings CC=gcc || return
	tests=$(make -s print-tests | grep -E '^tests/(lint/|unit/test-policy|unit/test-base)' | tr '\n' ' ')
	check distcheck distcheck "$jobs" DISTCHECK_CONFIGURE_FLAGS=--enable-warnings "TESTS=$tests"
}

phases=("$@")
[ ${#phases[@]} -gt 0 ] || phases=(gcc clang asan tsan valgrind mutants model io_uring distcheck)
for phase in "${phases[@]}"; do
	if ! declare -F "phase_$phase" >/dev/null; then
		echo "usage: $0 [gcc] [clang] [asan] [tsan] [valgrind] [mutants] [model] [io_uring] [distcheck]" >&2
		exit 2
	fi
done

install_packages build test || exit 1
find_places || exit 1
mkdir -p "$build" && cd "$source" || exit 1
[ -x configure ] || step "$build/autoreconf.log" autoreconf -i || exit 1
for phase in "${phases[@]}"; do
	echo "== $phase"
	before=$SECONDS counted=$((passed + failed + skipped))
	"phase_$phase"
	if [ $((passed + failed + skipped)) -eq "$counted" ]; then
		echo "FAILED: $phase: nothing was tried"
		failed=$((failed + 1))
	fi
	echo "   $((SECONDS - before)) s; so far $passed passed, $failed failed"
done
exit 0
