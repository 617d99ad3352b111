# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2153,SC2154
#
# For bench.sh: from results.jsonl to summary.json, table.md, readme.md (the part that README.md shows) and plot.svg.

# machine: its class, not its name.
machine() {
	local cpus=CPUs disk='a disk' source
	if grep -qw hypervisor /proc/cpuinfo; then cpus='virtual CPUs'; fi
	source=$(findmnt -n -o SOURCE -T "$DISK")
	case ${source##*/} in
	vd*) disk='a virtio disk' ;;
	nvme*) disk='an NVMe disk' ;;
	esac
	echo "$(nproc) $cpus, Linux $(uname -r | grep -oE '^[0-9]+\.[0-9]+'), $(findmnt -n -o FSTYPE -T "$DISK") on $disk"
}

versions() {
	echo "Versions: libfuse $(pkg-config --modversion fuse3), $(nbdkit --version 2>&1 | head -n 1)," \
		"$(nbdfuse --version 2>&1 | head -n 1), $(qemu-storage-daemon --version 2>&1 | head -n 1 | cut -d' ' -f1-3)," \
		"$(s3backer --version 2>&1 | head -n 1), $(fio --version), $("$CACHEWTFS" --version | head -n 1)."
}

# names TABLE: the first column, as a JSON array.
names() { "$1" | awk -F ' *[|] *' '{ print $1 }' | jq -R . | jq -s -c .; }

# The variables that were given, as the user gave them.
command_line() {
	local name line='make bench'
	for name in ROUNDS SECONDS_EACH SIZE STORES VIA CONTENDERS CASES; do
		if [[ " $given " != *" $name "* ]]; then continue; fi
		line+=" $name='${!name}'"
	done
	echo "$line"
}

explained() {
	{ contenders_table; layouts_table; } | awk -F ' *[|] *' -v OFS='\t' '{ print $1, (NF > 3 ? $3 : ""), $NF }' |
		jq -R 'split("\t") | { name: .[0], options: .[1], what: .[2] }' | jq -s -c .
}

about() {
	jq -nc --arg date "$(date -I)" --arg machine "$(machine)" --arg size "$SIZE" --argjson rounds "$ROUNDS" \
		--arg seconds_each "$SECONDS_EACH" --arg command "$(command_line)" --arg versions "$(versions)" \
		--argjson contenders "$(names contenders_table)" --argjson cases "$(names cases_table)" \
		--argjson layouts "$(names layouts_table)" --argjson explained "$(explained)" --arg steps "${steps[*]}" \
		--arg slow_origin "A slow origin ($FS_DELAY, ${FS_RATE}bit/s), ext4 on a loop device over the image" \
		--rawfile notes "$OUT/notes" \
		'{ $date, $machine, $size, $rounds, $seconds_each, $command, $versions, $contenders, $cases, $layouts, $explained,
		$slow_origin, steps: ($steps | split(" ") | map("\(.)-cold", "\(.)-warm")),
		notes: ($notes | split("\n") | map(select(. != ""))) }'
}

write_report() {
	jq -n -f "$here/targets.jq" >"$bin/targets.json"
	jq -s --argjson about "$(about)" --argjson targets "$(cat "$bin/targets.json")" -f "$here/summary.jq" \
		"$OUT/results.jsonl" >"$OUT/summary.json"
	jq -r --arg what all -f "$here/table.jq" "$OUT/summary.json" >"$OUT/table.md"
	jq -r --arg what short -f "$here/table.jq" "$OUT/summary.json" >"$OUT/readme.md"
	if command -v gnuplot >/dev/null; then plot; else note "missing: the plot, for gnuplot is not here"; fi
}

# A panel for each store: what each contender does in the cases of 4 KiB, through the mount.
plot() {
	local store panels=()
	for store in $STORES; do
		jq -r --arg store "$store" '[.results[] | select(.store == $store and .via == "mount")] as $r
			| [.cases[] | select(. as $case | startswith("rand") and any($r[]; .case == $case))] as $columns
			| select(($columns | length) > 0)
			| (["contender"] + $columns | @tsv),
			(.contenders[] | . as $name | select(any($r[]; .contender == $name))
				| [$name] + [$columns[] as $case | [$r[] | select(.case == $case and .contender == $name) | .rate.median][0] // 0]
				| @tsv)' "$OUT/summary.json" >"$bin/plot.$store"
		if [ -s "$bin/plot.$store" ]; then panels+=("$store"); fi
	done
	if [ ${#panels[@]} -eq 0 ]; then return; fi
	{
		echo "set terminal svg size 1100,$((440 * ${#panels[@]})) dynamic enhanced background 'white'"
		echo "set output '$OUT/plot.svg'"
		echo "set multiplot layout ${#panels[@]},1"
		cat <<-'END'
			set datafile separator "\t"
			set style data histograms
			set style fill solid 0.8 border -1
			set logscale y
			set grid y
			set key outside right noenhanced
			set xtics rotate by -20 noenhanced
			set ylabel 'requests per second'
		END
		for store in "${panels[@]}"; do
			echo "set title 'mounted file, stores in $store'"
			echo "stats '$bin/plot.$store' skip 1 nooutput"
			echo "plot for [i=2:$(head -n 1 "$bin/plot.$store" | awk -F '\t' '{ print NF }')]" \
				"'$bin/plot.$store' using i:xtic(1) title columnheader(i)"
		done
		echo 'unset multiplot'
	} | gnuplot 2>>"$log"
}
