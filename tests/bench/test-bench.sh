#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The bench works: it measures every contender, case and layout there is, reports all of it, computes what it says, and
# leaves nothing behind, also when it is interrupted.  How fast anything is does not matter here.
TEST_TIMEOUT=${TEST_TIMEOUT:-500}	# a minute, but for machines that do much else
# shellcheck source=../mount/functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require root fuse loop fio jq gnuplot nbdkit nbdfuse qemu-storage-daemon s3backer git gcc

bench=${srcdir:-.}/tests/bench
out=$tmp/out
mkdir "$tmp/places"
mount -t tmpfs -o size=1G tmpfs "$tmp/places"	# memory, that other tests do not wait for
export TMPDIR=$tmp/places DIR=$tmp/places DISK=$tmp/places OUT=$out ROUNDS=1 SECONDS_EACH=0.1 SIZE=8M
export FS_SIZE=48M FS_TREE=small FS_DELAY=1ms FS_RATE=4G

names() { sed -n "/^$1() {/,/^}/ s/ *|.*//p" "$bench/$2" | grep -v '[( ]'; }

# run VARIABLE=VALUE...: the bench; nothing is left of it.
run() {
	env "$@" "$bench/bench.sh" >"$tmp/shown" 2>"$log" || fail "the bench failed"
	nothing_left
}

nothing_left() {
	[ "$(mounts_of_test)" = "$tmp/places" ] || fail "still mounted: $(mounts_of_test)"
	[ -z "$(loops_of_test)" ] || fail "still attached: $(loops_of_test)"
	[ -z "$(ls -A "$tmp/places")" ] || fail "left: $(ls -A "$tmp/places")"
}

# has_result VIA CASE CONTENDER FIELD: and it is a number above zero.
has_result() {
	jq -e --arg via "$1" --arg case "$2" --arg name "$3" --arg field "$4" '[.results[]
		| select(.via == $via and .case == $case and .contender == $name)] | length == 1 and .[0][$field].median > 0' \
		"$out/summary.json" >/dev/null || fail "no result: $1, $2, $3 ($(cat "$out/notes"))"
}

# Every tag that is opened is closed, in the right order.
is_well_formed() {
	tr '\n' ' ' <"$1" | grep -oE '<[^>]*>' | awk '
		/^<[?!]/ || /\/>$/ { next }
		/^<\// { name = substr($1, 3); sub(/>$/, "", name); if (stack[n--] != name) exit bad = 1; next }
		{ name = substr($1, 2); sub(/>$/, "", name); stack[++n] = name; seen++ }
		END { exit bad || n != 0 || seen < 10 }'
}

# ------------------------------------------------------------------ every contender, every layout

# Through the mount, a loop device, the file system.
run STORES=memory VIA='mount loop filesystem' CASES=randwrite-4k-32
if grep -E '^(missing|failed)' "$out/notes"; then fail "not everybody was measured"; fi
nr=0
for name in $(names contenders_table contenders.sh); do
	if grep -q "^not in this build: $name " "$out/notes"; then continue; fi
	for via in mount loop; do
		has_result $via randwrite-4k-32 "$name" rate
		nr=$((nr + 1))
	done
	[ "$(grep -c "^| $name | [0-9]" "$out/table.md")" -ge 2 ] || fail "no row for $name in the table"
done
[ $nr -ge 14 ] || fail "only $nr results"
[ "$(names layouts_table filesystem.sh | wc -l)" -ge 4 ] || fail "no layouts"
for name in $(names layouts_table filesystem.sh); do
	for step in read checkout build write; do
		has_result filesystem $step-cold "$name" seconds
		has_result filesystem $step-warm "$name" seconds
	done
	grep -q "^| $name | [0-9]" "$out/table.md" || fail "no row for $name in the table"
done
jq -e '[.targets[] | select(.figure > 0)] | length >= 4' "$out/summary.json" >/dev/null ||
	fail "no figures for the targets"
nr=$(jq ".targets | length" "$out/summary.json")
[ "$(grep -cE '^\| .* \| at (least|most) [0-9.]+ \|' "$out/table.md")" -eq "$nr" ] ||
	fail "not every target is in the table"
cmp "$tmp/shown" "$out/table.md" || fail "what it prints is not the table"
is_well_formed "$out/plot.svg" || fail "the plot is not well-formed"

# -------------------------------------------------------------- every case, on the other store

run STORES=disk VIA=loop-buffered CONTENDERS='raw cachewtfs'
[ "$(names cases_table workloads.sh | wc -l)" -ge 8 ] || fail "no cases"
for case in $(names cases_table workloads.sh); do
	for name in raw cachewtfs; do has_result loop-buffered "$case" "$name" rate; done
done
if grep 'not every read' "$out/notes"; then fail "cachewtfs was not warm"; fi

# ------------------------------------------------------------------ what it computes

for round in 1 2 3; do
	for line in "cachewtfs $((round * 30)) 2" "passthrough_ll $((round * 10 + 10)) 8"; do
		read -r name rate cpu <<<"$line"
		jq -nc --argjson round $round --arg contender "$name" --argjson rate "$rate" --argjson cpu "$cpu" '{ $round,
			store: "disk", via: "mount", $contender, case: "randread-4k-32", $rate, cpu_us: $cpu, mean_us: 1, p99_us: 1 }'
	done
done >"$tmp/made"
jq -n -f "$bench/targets.jq" >"$tmp/targets"
jq -s --argjson about '{}' --argjson targets "$(cat "$tmp/targets")" -f "$bench/summary.jq" "$tmp/made" \
	>"$tmp/computed"
jq -e '.results | length == 2 and
	(.[] | select(.contender == "cachewtfs") | .rate == { median: 60, low: 30, high: 90 })' \
	"$tmp/computed" >/dev/null || fail "wrong medians: $(cat "$tmp/computed")"
jq -e '[.targets[] | select(.figure)] | length == 2 and (.[] | select(.at_least) | .figure == 2 and .low == 1.5 and
	.high == 2.25 and .met) and (.[] | select(.at_most) | .figure == 0.25 and .met)' "$tmp/computed" >/dev/null ||
	fail "wrong ratios: $(jq -c '.targets[] | select(.figure)' "$tmp/computed")"

# ------------------------------------------------------------------ the page, and the end of an interrupted run

printf '%s\n' before '<!-- make bench: begin -->' old '<!-- make bench: end -->' after >"$tmp/page"
"$bench/paste.sh" "$tmp/page" "$out/readme.md"
[ "$(sed '/begin -->$/,/end -->$/d' "$tmp/page")" = $'before\nafter' ] || fail "the page lost something"
[ "$(sed '1,/begin -->$/d; /end -->$/,$d' "$tmp/page")" = "$(cat "$out/readme.md")" ] ||
	fail "the table is not in the page"

if CONTENDERS=nobody "$bench/bench.sh" 2>/dev/null; then fail "a contender that nobody knows was not refused"; fi
nothing_left

env STORES=memory VIA=loop CONTENDERS=cachewtfs SECONDS_EACH=1 "$bench/bench.sh" >"$log" 2>&1 &
pid=$!
for ((i = 0; i < 400; i++)); do
	if [ -n "$(loops_of_test)" ]; then break; fi
	sleep 0.05
done
[ $i -lt 400 ] || fail "no loop device in 20 s"
kill -TERM $pid
status=0
wait $pid || status=$?
# bash 5.2 takes a trap for garbage if the signal comes while it parses a $( ), and ends with 2; its EXIT trap has run.
if [ $status -eq 2 ] && grep -q 'trap: line .*unexpected EOF' "$log"; then status=143; fi
[ $status -eq 143 ] || fail "after SIGTERM the bench ended with status $status"
nothing_left
