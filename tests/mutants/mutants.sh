#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	tests/mutants/mutants.sh [NAME...]	(in the folder of a build with --enable-mutants; `make check-mutants`)
#
# Wakes each mutant of lib/base/mutant.h, or those named, runs the simulator and then the unit programs until one fails,
# and says which and after how long.  Mutants of the mount are for mounted tests (make check-mutants sets up what these
# want), and are skipped where those cannot run.  A mutant that all pass is a failure: a test is missing.  First of all
# the same tests must pass without a mutant.  It ends with automake's counts, for run-tests.sh; the last line is
# "N passed, N failed".
# Exit status 0: nothing failed; 2: this build has no mutants.
#
#	SIM_SEEDS	for each mutant, at most (default 600)
#	JOBS		mutants at a time (default: processors)
set -uo pipefail
export LC_ALL=C

sim=tests/sim/sim
mounted=(page-cache)
of_the_mount=' pages-kept '
units=(engine-early engine-order store-marks engine-life store engine-races engine-faults device-faulty store-crash)
seeds=${SIM_SEEDS:-600}
jobs=${JOBS:-$(nproc)}
seconds=120			# for one program: a mutant may never end
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
ulimit -c 0

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# What a failed program says of itself, in one line.
reason() {
	local line bug
	line=$(grep -m1 -E '^(FAILED: |FAIL at |SKIP: )' "$1") || line=$(grep -m1 -E '^[^ ]*:[0-9]+:[FE]:' "$1") ||
		line=$(tail -n 1 "$1")
	bug=$(sed -n 's/.*cachewtfs: bug: [^ ]* \(.*\)/ (\1)/p' "$1" | head -n 1)
	case $line in *assertion*) line+=$bug ;; esac
	sed -E 's/^FAILED: //; s|^.*/(test-[^:]*):[0-9]+:[FE]:[^:]*:([^:]*):[0-9]+: .*|\2|' <<<"$line" | cut -c 1-110
}

# run LOG COMMAND...: true if it passes.
run() {
	local log=$1 status
	shift
	timeout --kill-after=5 "$seconds" "$@" >"$log" 2>&1
	status=$?
	[ "$status" -ne 124 ] && [ "$status" -ne 137 ] || echo "FAILED: does not end" >>"$log"
	return "$status"
}

try_mounted() {
	local unit log=$tmp/$1.log
	for unit in "${mounted[@]}"; do
		run "$log" "${srcdir:?}/tests/mount/test-$unit.sh" || { by="test-$unit: $(reason "$log")"; return; }
	done
	return 1
}

# try NAME: sets by to what has killed it; false: nothing has.
try() {
	local log=$tmp/$1.log unit
	by=
	if [[ $of_the_mount == *" $1 "* ]]; then
		try_mounted "$1"
		return
	fi
	run "$log" "$sim" --first 1 --seeds "$seeds" || { by="sim: $(reason "$log")"; return; }
	for unit in "${units[@]}"; do
		run "$log" "tests/unit/test-$unit" || { by="test-$unit: $(reason "$log")"; return; }
	done
	[ "$1" = none ] && try_mounted none
}

check_mutant() {
	local before=${EPOCHREALTIME/./} by ms
	export CWT_MUTANT=$1
	if try "$1" && [[ $by != *': SKIP: '* ]]; then
		ms=$(((${EPOCHREALTIME/./} - before) / 1000))
		printf 'PASS: %-26s %3d.%d s  %s\n' "$1" $((ms / 1000)) $((ms % 1000 / 100)) "$by"
	elif [ -n "$by" ]; then
		printf 'SKIP: %-26s %s\n' "$1" "$by"
	else
		printf 'FAIL: %-26s survives: a test is missing\n' "$1"
	fi
}

# Without a mutant everything passes, or being killed means nothing.
check_none() {
	local by
	unset CWT_MUTANT
	if try none && [[ $by != *': SKIP: '* ]]; then
		echo "FAIL: without a mutant: $by"
	else
		echo "PASS: without a mutant all tests pass"
	fi
}

mapfile -t known < <(CWT_MUTANT='?' "$sim" 2>&1 | sed -n 's/^\t//p')
if [ ${#known[@]} -eq 0 ]; then
	echo "$0: this build has no mutants (configure with --enable-mutants)" >&2
	exit 2
fi
[ $# -gt 0 ] || set -- none "${known[@]}"
begin=$SECONDS
for name; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	if [ "$name" = none ]; then
		check_none
	else
		check_mutant "$name"
	fi | tee -a "$tmp/results" &
done
wait
passed=$(grep -c '^PASS' "$tmp/results") failed=$(grep -c '^FAIL' "$tmp/results")
skipped=$(grep -c '^SKIP' "$tmp/results")
echo "# $((SECONDS - begin)) s"
echo "# PASS: $passed"
echo "# FAIL: $failed"
echo "# SKIP: $skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
