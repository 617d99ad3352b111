#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	make check-kill9 ROUNDS=n [SEED=n] [TMPDIR=/dev/shm]
#
# kill -9 under load at a random moment, and again on the same stores, ROUNDS times: every byte is one that may be
# there, what differs between origin and cache is marked, and the cache stays warm.  The first half of the rounds runs
# with --warm-after kill, the second with --warm-after power.  TMPDIR decides whether the stores are on a disk or in
# memory.
#
# Warm: of the mappings in the last commit before the kill, without those that were demoted after it, 99 % are kept.
# shellcheck source=functions.sh
ROUNDS=${ROUNDS:-50} SEED=${SEED:-$((RANDOM << 15 | RANDOM))} DEPTH=${DEPTH:-32}
TEST_TIMEOUT=${TEST_TIMEOUT:-$((120 + ROUNDS * 12))}
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

RANDOM=$SEED
record=$tmp/record
hot_bytes=$((40 << 20))
nr_kept=0 nr_due=0 nr_writes=0 lowest=1000000 least=1000000
round=0

# The values that a helper printed as KEY=VALUE: value KEY TEXT
value() { grep -oE "(^| )$1=[0-9]+" <<<"$2" | cut -d= -f2; }

# The daemon is dead: a difference between origin and cache must be marked.  Not in each round, since it reads much; what
# is not marked is read in each, through the next mount.
examine_stores() {
	local text
	[ $((round % 5)) -eq 0 ] || return 0
	text=$("$CACHEWT" verify --origin "$origin" --cache "$cache" --metadata "$meta" 2>"$tmp/err" || true)
	grep -q 'mappings equal' <<<"$text" || fail "round $round: cachewt verify: $(cat "$tmp/err")"
	if grep '^block' <<<"$text" | grep -v 'marked busy'; then fail "round $round: a difference without a mark"; fi
}

# account LOAD-RESULT GENERATION: what the start says against what was in the commit of that generation.
account() {
	local start kept dropped demoted due share
	start=$(status start)
	[[ $start =~ ^warm:\ the\ last\ run\ was\ killed,\ ([0-9]+)\ blocks\ kept,\ ([0-9]+)\ dropped ]] ||
		fail "round $round: it starts \"$start\""
	kept=${BASH_REMATCH[1]} dropped=${BASH_REMATCH[2]}
	demoted=$(value demoted "$1")
	[ "$(value generation "$1")" = "$2" ] || demoted=0	# a commit in between: nothing is known to be demoted
	[ "$demoted" -le "$dropped" ] || demoted=$dropped
	due=$((kept + dropped - demoted))
	[ $due -ge 10000 ] || fail "round $round: only $due mappings"
	share=$((kept * 1000000 / due))
	[ $share -ge 990000 ] || fail "round $round: $kept of $due mappings kept"
	[ $share -ge $lowest ] || lowest=$share
	[ $due -ge $least ] || least=$due
	nr_kept=$((nr_kept + kept)) nr_due=$((nr_due + due)) nr_writes=$((nr_writes + $(value writes "$1")))
	echo "round $round: $1; $kept kept of $due due, $demoted demoted"
}

start_of_half() {
	options=(--commit-interval 1 --warm-after "$1")
	start_cachewtfs --cache-size 48M --block-size 4K "${options[@]}"
	for ((pass = 0; pass < 20 && $(status mapped) < 12000; pass++)); do	# a pass promotes what it has slots for
		cat "$image" >/dev/null
	done
	"$CACHEWT" message "$mnt" commit
	echo "${options[*]}: $(status mapped) of $(status cblocks) blocks mapped, on $(stat -f -c %T "$stores")"
}

end_of_half() {
	compare_image
	stop_cachewtfs
	verify_mappings 10000
}

one_round() {
	local result verdict generation seed=$((RANDOM << 15 | RANDOM)) ms=$((100 + RANDOM % 1300))
	result=$("$KILL9_WRITER" load "$record" "$image" $seed "$DEPTH" $hot_bytes $ms \
		"$daemon" "$mnt/.cachewtfs/status") || fail "round $round: wrong data under load"
	wait_gone "$daemon"
	wait "$daemon" 2>/dev/null || true
	forget_daemon
	[[ $(stat "$image" 2>&1) == *"Transport endpoint is not connected"* ]] || fail "round $round: not ENOTCONN"
	examine_stores
	generation=$("$CACHEWT" dump "$meta" | sed -n 's/^generation //p')
	start_cachewtfs "${options[@]}"
	account "$result" "$generation"
	verdict=$("$KILL9_WRITER" verify "$record" "$image" "$origin") || fail "round $round: $verdict"
	"$CACHEWT" message "$mnt" commit	# what verify's reads have demoted is not counted under load
}

echo "SEED=$SEED ROUNDS=$ROUNDS DEPTH=$DEPTH"
"$KILL9_WRITER" init "$record" "$origin" $((64 << 20))
start_of_half kill
for ((round = 1; round <= ROUNDS; round++)); do
	if [ $round -eq $((ROUNDS / 2 + 1)) ]; then
		end_of_half
		start_of_half power
	fi
	one_round
done
end_of_half
echo "$ROUNDS rounds in $SECONDS s, $nr_writes writes, at least $least mappings: 0 wrong bytes," \
	"$(awk "BEGIN { printf \"%.2f %% kept, at least %.2f %% in each\", 100 * $nr_kept / $nr_due, $lowest / 1e4 }")"
