#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	make bench		[DIR=/dev/shm] [SIZE=1G] [ROUNDS=5] [SECONDS_EACH=3]
#
# Reads of a warm image through the mount, against libfuse's passthrough_ll over the same file in the same run: 4 KiB
# random reads at queue depth 1 and 32, 1 MiB sequential reads.  Rounds are interleaved; printed are the medians with
# their spread and the ratio.  Nothing is asserted.  DIR decides what is measured: memory (/dev/shm) or a disk.
#
# passthrough_ll is compiled here from the example that comes with libfuse3-dev; the compiler may be set by CC.
set -euo pipefail
export LC_ALL=C

DIR=${DIR:-/dev/shm} SIZE=${SIZE:-1G} ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-3}
work=$(mktemp -d "$DIR/cachewtfs-bench.XXXXXX")
mkdir "$work/cached" "$work/passed" "$work/stores"

cleanup() {
	local status=$? dir
	trap - EXIT
	set +e
	for dir in cached passed; do
		if mountpoint -q "$work/$dir"; then fusermount3 -u "$work/$dir" || fusermount3 -u -z "$work/$dir"; fi
	done
	rm -rf --one-file-system "$work"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

build_passthrough() {
	local source
	source=$(dpkg -L libfuse3-dev 2>/dev/null | grep '/passthrough_ll\.c\(\.gz\)\?$' | head -n 1)
	[ -n "$source" ] || { echo "the example passthrough_ll.c of libfuse3-dev is not here" >&2; exit 1; }
	mkdir "$work/example"
	cp "$(dirname "$source")"/passthrough_* "$work/example/"
	gunzip -f "$work/example"/*.gz 2>/dev/null || true
	# shellcheck disable=SC2046
	"${CC:-cc}" -O2 -DHAVE_POSIX_FALLOCATE -I"$work/example" \
		"$work/example/passthrough_ll.c" -o "$work/passthrough_ll" $(pkg-config --cflags --libs fuse3) -pthread
}

# measure MOUNTED-FILE FIO-OPTION...: prints requests per second.
measure() {
	local file=$1
	shift
	fio --name=read --filename="$file" --readonly --ioengine=libaio --direct=1 --time_based \
		--runtime="$SECONDS_EACH" --ramp_time=0.5 --output-format=terse --terse-version=3 "$@" | cut -d';' -f8
}

# The CPU time, in clock ticks, that a process has used so far.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

summary() {		# of the numbers in a file: median, lowest, highest
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'
}

declare -A pids
cases=('random-4K-depth-1' 'random-4K-depth-32' 'sequential-1M-depth-4')
options_of() {
	case $1 in
	random-4K-depth-1) echo --rw=randread --bs=4k --iodepth=1 ;;
	random-4K-depth-32) echo --rw=randread --bs=4k --iodepth=32 ;;
	sequential-1M-depth-4) echo --rw=read --bs=1m --iodepth=4 ;;
	esac
}

build_passthrough
echo "making an image of $SIZE in $work"
head -c "$(numfmt --from=iec "$SIZE")" /dev/urandom >"$work/stores/disk.img"
cache_size=$(($(numfmt --from=iec "$SIZE") + (64 << 20)))
"$CACHEWTFS" --cache "$work/cache" --metadata "$work/meta" --cache-size $cache_size --pidfile "$work/pid" \
	"$work/stores/disk.img" "$work/cached"
pids[cached]=$(cat "$work/pid")
"$work/passthrough_ll" -f -o "source=$work/stores,cache=never" "$work/passed" &
pids[passed]=$!
while ! mountpoint -q "$work/passed"; do sleep 0.1; done
dd if="$work/cached/disk.img" of=/dev/null bs=1M status=none	# warm
dd if="$work/cached/disk.img" of=/dev/null bs=1M status=none

for ((round = 1; round <= ROUNDS; round++)); do
	for name in "${cases[@]}"; do
		for who in cached passed; do
			before=$(ticks "${pids[$who]}")
			# shellcheck disable=SC2046
			result=$(measure "$work/$who/disk.img" $(options_of "$name"))
			echo "$result" >>"$work/$name.$who"
			used=$(($(ticks "${pids[$who]}") - before))
			awk "BEGIN { print $used * 1e6 / $(getconf CLK_TCK) / ($result * ($SECONDS_EACH + 0.5)) }" \
				>>"$work/$name.$who.cpu"
		done
	done
	echo "round $round of $ROUNDS"
done

echo
echo "$(uname -sr), $(nproc) CPUs, $(date -I), image $SIZE in $(stat -f -c %T "$DIR"), warm; requests per second"
printf '%-22s %28s %28s %7s  %s\n' 'case' 'cachewtfs' 'passthrough_ll' 'ratio' 'CPU us/request'
for name in "${cases[@]}"; do
	read -r median low high < <(summary "$work/$name.cached")
	read -r median2 low2 high2 < <(summary "$work/$name.passed")
	read -r cpu _ < <(summary "$work/$name.cached.cpu")
	read -r cpu2 _ < <(summary "$work/$name.passed.cpu")
	ratio=$(awk "BEGIN { print $median / $median2 }")
	printf '%-22s %9s [%8s %8s] %9s [%8s %8s] %7.2f  %.1f : %.1f\n' "$name" "$median" "$low" "$high" \
		"$median2" "$low2" "$high2" "$ratio" "$cpu" "$cpu2"
done
read -r hits < <(sed -n 's/^read hits: //p' "$work/cached/.cachewtfs/status")
read -r misses < <(sed -n 's/^read misses: //p' "$work/cached/.cachewtfs/status")
echo "$hits read hits, $misses read misses (the misses are the warming)"
