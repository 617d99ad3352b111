# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# For bench.sh: what is measured, with fio.  Reads come first, for some contenders are colder after writes.

# name | options of fio.  A request of 1 MiB makes the rate one of MiB/s.
cases_table() {
	cat <<'END'
randread-4k-1 | --rw=randread --bs=4k --iodepth=1
randread-4k-32 | --rw=randread --bs=4k --iodepth=32
randread-4k-4x8 | --rw=randread --bs=4k --iodepth=8 --numjobs=4
seqread-1m | --rw=read --bs=1m --iodepth=4
randwrite-4k-1 | --rw=randwrite --bs=4k --iodepth=1
randwrite-4k-32 | --rw=randwrite --bs=4k --iodepth=32
randwrite-4k-4x8 | --rw=randwrite --bs=4k --iodepth=8 --numjobs=4
seqwrite-1m | --rw=write --bs=1m --iodepth=4
END
}

# warm FILE: twice through, as a client with O_DIRECT, so that the cache is what gets warm.
warm() {
	dd if="$1" of=/dev/null bs=1M iflag=direct status=none 2>>"$log" || dd if="$1" of=/dev/null bs=1M status=none
	dd if="$1" of=/dev/null bs=1M iflag=direct status=none 2>>"$log" || true
}

# The number of read misses so far, of a cachewtfs; nothing for others.
read_misses() { sed -n 's/^read misses: //p' "$place/mnt/.cachewtfs/status" 2>/dev/null || true; }

# run_cases ROUND STORE VIA CONTENDER TARGET
run_cases() {
	local line name options misses
	while IFS= read -r line; do
		name=${line%% *}
		is_wanted "$name" "$CASES" || continue
		read -ra options <<<"${line#*| }"
		misses=$(read_misses)
		measure "$@" "$name" "${options[@]}"
		if [[ $name == *read* ]] && [ "$4" != cachewtfs-passthrough ] && [ "$misses" != "$(read_misses)" ]; then
			note "$4: not every read of $name was a hit ($2, $3)"
		fi
	done < <(cases_table)
}

# measure ROUND STORE VIA CONTENDER TARGET CASE FIO-OPTION...: a line in results.jsonl.
#
# No ramp: then the CPU time before and after is that of the very requests which fio counts.
measure() {
	local round=$1 store=$2 via=$3 name=$4 target=$5 case=$6 before used
	shift 6
	before=$(ticks)
	if ! fio_json "$target" "$@"; then
		note "failed: $name, $case ($via, $store): $(why_fio_failed)"
		return
	fi
	used=$(($(ticks) - before))
	jq -c --argjson round "$round" --arg store "$store" --arg via "$via" --arg contender "$name" --arg case "$case" \
		--argjson cpu_s "$(awk "BEGIN { print $used / $(getconf CLK_TCK) }")" \
		'.jobs[0] | (if .read.total_ios > 0 then .read else .write end) |
		{ $round, $store, $via, $contender, $case, rate: .iops, requests: .total_ios,
		mean_us: (.clat_ns.mean / 1000), p99_us: ((.clat_ns.percentile["99.000000"] // 0) / 1000),
		cpu_us: ($cpu_s * 1e6 / .total_ios) }' "$bin/fio.json" >>"$OUT/results.jsonl"
}

# The errno alone, so that every round says the same.
why_fio_failed() { sed -E "s/^fio: io_u error on file [^:]*: ([^:]*):.*/\\1/" "$bin/fio.err" | tail -n 1; }

# fio_json TARGET OPTION...: into $bin/fio.json.  A client with O_DIRECT, where that is taken; threads, since a server may be slow to see
# processes go.  timeout, for a server that hangs must not hang the bench.
fio_json() {
	local target=$1 direct=1
	shift
	if ! dd if="$target" of=/dev/null bs=4k count=1 iflag=direct status=none 2>>"$log"; then
		direct=0
		note "$name: no O_DIRECT ($via, $store), the client goes through the page cache"
	fi
	timeout --kill-after=5 $((${SECONDS_EACH%.*} + 60)) fio --name=bench --filename="$target" --size="$size_bytes" \
		--ioengine=libaio --direct=$direct --thread --group_reporting --allow_file_create=0 --overwrite=1 \
		--fallocate=none --time_based --runtime="$(awk "BEGIN { print int($SECONDS_EACH * 1000) }")ms" \
		--randrepeat=0 --norandommap --output-format=json --output="$bin/fio.json" "$@" >"$bin/fio.err" 2>&1
}
