#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Both transports of one build side by side: requests per second of a warm image, medians of interleaved rounds with the
# lowest and the highest; called by io-uring.sh, which has seen to it that rings are allowed.  Nothing is asserted.
#
#	CACHEWTFS=... [ROUNDS=3] [SECONDS_EACH=1] [SIZE=128M] measure.sh
set -euo pipefail
export LC_ALL=C

ROUNDS=${ROUNDS:-3} SECONDS_EACH=${SECONDS_EACH:-1} SIZE=${SIZE:-128M}
cases=('4K random read, depth 1' '4K random read, depth 32' '4K random write, depth 1' '1M read, depth 4')
folders=()
cleanup() {
	local status=$? folder name
	trap - EXIT
	set +e
	for folder in "${folders[@]}"; do
		for name in classic io_uring; do
			mountpoint -q "$folder/$name" || continue
			fusermount3 -u "$folder/$name" || fusermount3 -uz "$folder/$name"
		done
		rm -rf --one-file-system "$folder"
	done
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# One origin and one cache for each transport, so that both are mounted all the time.
prepare() {
	local name options
	for name in classic io_uring; do
		options=()
		[ $name = classic ] || options=(-o io_uring)
		mkdir "$1/$name"
		head -c "$(numfmt --from=iec "$SIZE")" /dev/urandom >"$1/$name.img"
		"$CACHEWTFS" "${options[@]}" --name disk.img --cache "$1/$name.cache" --metadata "$1/$name.meta" \
			--cache-size "$(($(numfmt --from=iec "$SIZE") + (8 << 20)))" "$1/$name.img" "$1/$name"
		if ! grep -qx "transport: $name" "$1/$name/.cachewtfs/status"; then
			echo "the transport is not $name" >&2
			exit 1
		fi
		cat "$1/$name/disk.img" "$1/$name/disk.img" >/dev/null
	done
}

options_of() {
	case $1 in
	'4K random read, depth 1') echo --rw=randread --bs=4k --iodepth=1 ;;
	'4K random read, depth 32') echo --rw=randread --bs=4k --iodepth=32 ;;
	'4K random write, depth 1') echo --rw=randwrite --bs=4k --iodepth=1 ;;
	'1M read, depth 4') echo --rw=read --bs=1m --iodepth=4 ;;
	esac
}

measure() {		# FILE CASE
	local field=8 options
	read -ra options < <(options_of "$2")
	[[ $2 == *write* ]] && field=49
	fio --name=x --filename="$1" --ioengine=libaio --direct=1 --time_based --runtime="$SECONDS_EACH" \
		--output-format=terse --terse-version=3 "${options[@]}" | cut -d';' -f$field
}

summary() { sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%d [%d %d]", v[int((NR + 1) / 2)], v[1], v[NR] }'; }

echo
echo "$(uname -sr), $(nproc) processors, $(date -I), $ROUNDS rounds of $SECONDS_EACH s; requests per second"
printf '%-26s %-10s %24s %24s %7s\n' case stores classic io_uring ratio
for dir in /dev/shm "${TMPDIR:-/var/tmp}"; do
	folder=$(mktemp -d "$dir/cachewtfs-measure.XXXXXX")
	folders+=("$folder")
	prepare "$folder"
	stores=disk
	[ "$dir" != /dev/shm ] || stores=memory
	for name in "${cases[@]}"; do
		rm -f "$folder/r."*
		for ((round = 0; round < ROUNDS; round++)); do
			for transport in classic io_uring; do
				measure "$folder/$transport/disk.img" "$name" >>"$folder/r.$transport"
			done
		done
		read -r classic rest < <(summary "$folder/r.classic"; echo)
		read -r uring rest2 < <(summary "$folder/r.io_uring"; echo)
		printf '%-26s %-10s %24s %24s %7s\n' "$name" "$stores" "$classic $rest" "$uring $rest2" \
			"$(awk "BEGIN { printf \"%.2f\", $uring / $classic }")"
	done
done
