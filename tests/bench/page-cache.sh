#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	make bench-page-cache	[DIR=/var/tmp] [SIZE=256M] [ROUNDS=5] [SECONDS_EACH=1] [TABLE=mdoc]
#
# -o page_cache=off and on side by side, over a warm cache, for what people do with an image: dd, cp, qemu-img, loop
# devices.  Rounds are interleaved; printed are medians with the lowest and the highest, and the ratio of the medians,
# above 1 where page_cache=on is faster.  "again" means that the program read the same before: with page_cache=on it is in
# the page cache then.  Nothing is asserted.  Needs root, for losetup.  TABLE=mdoc prints rows for cachewtfs(1).
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

DIR=${DIR:-/var/tmp} SIZE=${SIZE:-256M} ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-1}
work=$(mktemp -d "$DIR/cachewtfs-bench.XXXXXX")
bytes=$(numfmt --from=iec "$SIZE")
loop=

cleanup() {
	local status=$? mode
	trap - EXIT
	set +e
	[ -z "$loop" ] || losetup -d "$loop"
	for mode in off on; do
		mountpoint -q "$work/$mode" || continue
		fusermount3 -u "$work/$mode" || fusermount3 -uz "$work/$mode"
	done
	rm -rf --one-file-system "$work"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

prepare() {
	local mode
	for mode in off on; do
		mkdir "$work/$mode"
		head -c "$bytes" /dev/urandom >"$work/$mode.img"
		"$CACHEWTFS" -o page_cache=$mode --name disk.img --cache "$work/$mode.cache" --metadata "$work/$mode.meta" \
			--cache-size $((bytes + (16 << 20))) "$work/$mode.img" "$work/$mode"
		cat "$work/$mode/disk.img" "$work/$mode/disk.img" >/dev/null
	done
}

# rate COMMAND...: the image's MiB per second that the command takes for all of it.
rate() {
	local begin=${EPOCHREALTIME/./}
	"$@" >/dev/null 2>&1
	awk "BEGIN { printf \"%.1f\n\", $bytes / 1.048576 / (${EPOCHREALTIME/./} - $begin) }"
}

# calls COMMAND...: how often a second the command can be run.
calls() {
	local n begin=${EPOCHREALTIME/./}
	for ((n = 0; n < 20; n++)); do "$@" >/dev/null; done
	awk "BEGIN { printf \"%.1f\n\", 20e6 / (${EPOCHREALTIME/./} - $begin) }"
}

forget() { dd if="$1" of=/dev/null iflag=nocache count=0 status=none; }

# on_loop IMAGE DIRECT-IO FIO-OPTION...: requests per second of a loop device over the image.
on_loop() {
	local image=$1 direct=$2 field=8
	shift 2
	[[ $* == *randwrite* ]] && field=49
	loop=$(losetup --find --show --direct-io="$direct" "$image")
	fio --name=x --filename="$loop" --ioengine=libaio --direct=1 --bs=4k --time_based --runtime="$SECONDS_EACH" \
		--output-format=terse --terse-version=3 "$@" | cut -d';' -f$field
	losetup -d "$loop"
	loop=
}

qemu_bench() {		# requests per second
	local nr=4000 seconds
	seconds=$(qemu-img bench -f raw -c $nr -d 32 -s 4096 -S 69632 "$@" | sed -n 's/^Run completed in \([0-9.]*\) .*/\1/p')
	awk "BEGIN { printf \"%.0f\n\", $nr / $seconds }"
}

measure() {		# CASE IMAGE: one number
	case $1 in
	'dd bs=1M, first, MiB/s') forget "$2"; rate dd if="$2" of=/dev/null bs=1M ;;
	'dd bs=1M, again, MiB/s') rate dd if="$2" of=/dev/null bs=1M ;;
	'dd bs=4K, first, MiB/s') forget "$2"; rate dd if="$2" of=/dev/null bs=4K ;;
	'dd bs=4K, again, MiB/s') rate dd if="$2" of=/dev/null bs=4K ;;
	'dd bs=64K onto it, MiB/s') rate dd if=/dev/zero of="$2" bs=64K count=$((bytes >> 16)) conv=notrunc,fsync ;;
	'cp, first, MiB/s') forget "$2"; rate cp "$2" "$work/copy" ;;
	'cp, again, MiB/s') rate cp "$2" "$work/copy" ;;
	'qemu-img convert, first, MiB/s') forget "$2"; rate qemu-img convert -f raw -O raw "$2" "$work/copy" ;;
	'qemu-img convert, again, MiB/s') rate qemu-img convert -f raw -O raw "$2" "$work/copy" ;;
	'qemu-img info, calls/s') calls qemu-img info "$2" ;;
	'qemu-img bench, reads/s') qemu_bench "$2" ;;
	'qemu-img bench -t none, reads/s') qemu_bench -t none "$2" ;;
	'loop --direct-io=on, reads/s') on_loop "$2" on --rw=randread --iodepth=32 ;;
	'loop --direct-io=on, writes/s') on_loop "$2" on --rw=randwrite --iodepth=32 ;;
	'loop --direct-io=off, reads/s') on_loop "$2" off --rw=randread --iodepth=32 ;;
	'loop --direct-io=off, writes/s') on_loop "$2" off --rw=randwrite --iodepth=32 ;;
	esac
}

summary() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'; }

for name in qemu-img fio losetup; do
	command -v $name >/dev/null || { echo "$name is not installed" >&2; exit 1; }
done
mapfile -t cases < <(sed -n "s/^\t'\(.*\/s\)') .*/\1/p" "$0")
prepare
for ((round = 1; round <= ROUNDS; round++)); do
	for name in "${cases[@]}"; do
		for mode in off on; do
			measure "$name" "$work/$mode/disk.img" >>"$work/${name//\//_}.$mode"
		done
	done
done

echo "$(uname -sr), $(nproc) processors, $(date -I), image of $SIZE in $(stat -f -c %T "$DIR"), $ROUNDS rounds"
[ "${TABLE:-}" = mdoc ] || printf '%-32s %28s %28s %6s\n' 'case, warm cache' page_cache=off page_cache=on ratio
for name in "${cases[@]}"; do
	read -r off low high < <(summary "$work/${name//\//_}.off")
	read -r on low2 high2 < <(summary "$work/${name//\//_}.on")
	ratio=$(awk "BEGIN { printf \"%.2f\", $on / $off }")
	if [ "${TABLE:-}" = mdoc ]; then
		printf '.It %s Ta %.0f Ta %.0f Ta %s\n' "$name" "$off" "$on" "$ratio"
	else
		printf '%-32s %28s %28s %6s\n' "$name" "$off [$low $high]" "$on [$low2 $high2]" "$ratio"
	fi
done
