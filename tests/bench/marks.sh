#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	make bench-marks	[DIRS="/dev/shm /var/tmp"] [MIB=256] [BLOCK_SIZE=65536] [ROUNDS=9] [MS=1000]
#				[INTERVAL_MS=1000] [MOUNTED=yes]
#
# The cost of the marks: random write hits of 4 KiB with busy marks (kill), with region marks too (power), and without
# (off), in the same run.  First through the engine alone (bench-marks.c), then, with fio, through a mount, where there
# is no "off".  Nothing is asserted.  DIRS decide what is measured: memory (/dev/shm) and a disk.
#
# INTERVAL_MS is that of commits.  After one, each region's next write waits for a mark and its flush, so the smaller the
# interval the larger the cost of power; MS should not be much less than it.
set -euo pipefail
export LC_ALL=C

DIRS=${DIRS:-/dev/shm /var/tmp} MIB=${MIB:-256} BLOCK_SIZE=${BLOCK_SIZE:-65536}
ROUNDS=${ROUNDS:-9} MS=${MS:-1000} INTERVAL_MS=${INTERVAL_MS:-1000} MOUNTED=${MOUNTED:-yes}
work=

cleanup() {
	local status=$?
	trap - EXIT
	set +e
	unmount
	[ -z "$work" ] || rm -rf --one-file-system "$work"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/unmount.sh"

# mount_with --warm-after MODE: over the stores that the engine's bench has left, which are warm.
mount_with() {
	"$CACHEWTFS" --cache "$work/cache" --metadata "$work/metadata" --pidfile "$work/pid" \
		--commit-interval "$(awk "BEGIN { print $INTERVAL_MS / 1000 }")" "$@" "$work/origin" "$work/mnt"
}

# write_hits DEPTH: writes per second.
write_hits() {
	fio --name=write --filename="$work/mnt/origin" --size="${MIB}M" --rw=randwrite --bs=4k --iodepth="$1" \
		--ioengine=libaio --direct=1 --overwrite=1 --time_based --runtime="${MS}ms" --ramp_time=0.3 --output-format=terse \
		--terse-version=3 | cut -d';' -f49
}

summary() {		# of the numbers in a file: median, lowest, highest
	sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%9d [%8d %8d]", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

mounted() {
	local round mode depth
	mkdir "$work/mnt"
	for ((round = 1; round <= ROUNDS; round++)); do
		for mode in kill power; do
			mount_with --warm-after $mode
			for depth in 1 32; do
				write_hits $depth >>"$work/result.$mode.$depth"
			done
			[ "$(sed -n 's/^write misses: //p' "$work/mnt/.cachewtfs/status")" -eq 0 ] ||
				echo "warning: not every write was a hit" >&2
			unmount
		done
	done
	echo "mounted, writes per second:"
	for depth in 1 32; do
		for mode in kill power; do
			printf '%5s  %-5s %s\n' $depth $mode "$(summary "$work/result.$mode.$depth")"
		done
	done
}

for dir in $DIRS; do
	work=$(mktemp -d "$dir/cachewtfs-bench.XXXXXX")
	echo "$(uname -sr), $(nproc) CPUs, $(date -I), $(stat -f -c %T "$work"): $MIB MiB cached," \
		"blocks of $BLOCK_SIZE, $ROUNDS rounds of $MS ms, a commit every $INTERVAL_MS ms"
	"$BENCH_MARKS" "$work" "$MIB" "$BLOCK_SIZE" "$MS" "$ROUNDS" "$INTERVAL_MS"
	if [ "$MOUNTED" = yes ]; then mounted; fi
	rm -rf --one-file-system "$work"
	work=
	echo
done
