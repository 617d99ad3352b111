#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	make bench-ack		[DIRS="/dev/shm /var/tmp /var/tmp:/dev/shm"] [MIB=256] [ROUNDS=5] [SECONDS_EACH=3]
#
# What a write costs, by --ack: random writes of 4 KiB into a warm image, all of them hits, at queue depth 1 and 32; beside
# them, in the same rounds,
#
#	plain	a copy of the origin alone, through the same FUSE path (--mode passthrough, over a cache that is empty)
#	disks	pairs of writes without FUSE, one to each of two such files, one after the other: what "both" has to be measured
#		by at depth 1
#
# Printed are medians of writes per second with their spread, and ratios of the medians.  Nothing is asserted, but that all
# writes were hits.  DIRS decide what is measured: where the origin is, and after a colon the cache if it is elsewhere.
set -euo pipefail
export LC_ALL=C

DIRS=${DIRS:-/dev/shm /var/tmp /var/tmp:/dev/shm} MIB=${MIB:-256} ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-3}
work='' caches=''

cleanup() {
	local status=$?
	trap - EXIT
	set +e
	unmount
	remove
	exit $status
}
remove() {
	[ -z "$work" ] || rm -rf --one-file-system "$work"
	[ -z "$caches" ] || rm -rf --one-file-system "$caches"
	work='' caches=''
}
trap cleanup EXIT
trap 'exit 130' INT TERM
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/unmount.sh"

mount_as() {		# both | origin | plain
	local name=cached options=(--ack "$1")
	if [ "$1" = plain ]; then name=plain options=(--mode passthrough); fi
	"$CACHEWTFS" "${options[@]}" --cache "$caches/$name" --metadata "$caches/$name.meta" --cache-size $(((MIB + 64) << 20)) \
		--pidfile "$work/pid" "$work/$name/image" "$work/mnt"
}

status() { sed -n "s/^$1: //p" "$work/mnt/.cachewtfs/status"; }

# fio_writes DEPTH FIO-OPTION...: writes per second.
fio_writes() {
	fio --name=write --size="${MIB}M" --rw=randwrite --bs=4k --iodepth="$1" --ioengine=libaio --direct=1 --overwrite=1 \
		--time_based --runtime="$SECONDS_EACH" --ramp_time=0.5 --output-format=terse --terse-version=3 "${@:2}" |
		cut -d';' -f49
}

# Two files in turn, each write waiting for the one before: pairs per second.
disk_pairs() {
	fio_writes 1 --filename="$work/plain/image:$caches/other" --file_service_type=roundrobin:1 | awk '{ print $1 / 2 }'
}

round() {
	local who depth
	for who in both origin plain; do
		mount_as $who
		for depth in 1 32; do
			fio_writes $depth --filename="$work/mnt/image" >>"$work/result.$who.$depth"
		done
		[ $who = plain ] || [ "$(status 'write misses')" -eq 0 ] || { echo "not every write was a hit" >&2; exit 1; }
		unmount
	done
	disk_pairs >>"$work/result.disks.1"
}

prepare() {
	mkdir "$work/mnt" "$work/cached" "$work/plain"
	head -c "${MIB}M" /dev/urandom | tee "$work/cached/image" "$work/plain/image" >"$caches/other"
	mount_as both
	for _ in 1 2; do cat "$work/mnt/image" >/dev/null; done
	[ "$(status mapped)" -eq $((MIB * 16)) ] || { echo "not all of it is cached" >&2; exit 1; }
	unmount
}

median() { sort -n "$work/result.$1.$2" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ends() { sort -n "$work/result.$1.$2" | sed -n '1p;$p' | xargs printf '[%8.0f %8.0f]'; }

print() {
	local depth who
	printf '%5s  %-7s %9s %-21s %s\n' depth case writes/s '[lowest  highest]' ratios
	for depth in 1 32; do
		for who in both origin plain disks; do
			[ -s "$work/result.$who.$depth" ] || continue
			printf '%5s  %-7s %9.0f %s' $depth $who "$(median $who $depth)" "$(ends $who $depth)"
			[ $who != origin ] || printf '  %.2f of plain' "$(ratio origin plain $depth)"
			if [ $who-$depth = both-1 ]; then printf '  %.2f of the two disk writes' "$(ratio both disks 1)"; fi
			echo
		done
	done
}
ratio() { awk "BEGIN { print $(median "$1" "$3") / $(median "$2" "$3") }"; }

for dir in $DIRS; do
	work=$(mktemp -d "${dir%%:*}/cachewtfs-bench.XXXXXX")
	caches=$(mktemp -d "${dir##*:}/cachewtfs-bench.XXXXXX")
	echo "$(uname -sr), $(nproc) CPUs, $(date -I), origin on $(stat -f -c %T "$work"), cache on $(stat -f -c %T "$caches"):" \
		"$MIB MiB cached, $ROUNDS rounds of $SECONDS_EACH s, load $(cut -d' ' -f1 /proc/loadavg)"
	prepare
	for ((n = 1; n <= ROUNDS; n++)); do round; done
	print
	remove
	echo
done
