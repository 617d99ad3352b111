#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs the model of the protocol (README.md beside this): every configuration with all rules must be explored to its
# end without a violation, every rule left out must give a trace, or, where README.md argues that it cannot, none.
#
#	run-model.sh			all of it, small configurations (about three minutes)
#	run-model.sh NAME...		only these rules, each followed by its trace, or configurations (kill/cuts)
#	MODEL=full run-model.sh		bigger configurations, too, and the shortest trace of each rule
#	KEEP_TRACES=DIR			the traces as text, one file per rule
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${CC:=cc}" "${MODEL:=small}" "${KEEP_TRACES:=}"

for tool in spin "${CC%% *}"; do
	command -v "$tool" >/dev/null && continue
	echo "run-model.sh: $tool is missing (apt-get install spin gcc)" >&2
	[ "${CI:-}" = true ] && exit 1
	exit 77
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1
passed=0 failed=0

# The budgets of a configuration; what is not named is as in state.pml.
budgets() {
	case $1 in
	plain)		echo ;;
	kills)		echo -DWRITES=1 -DKILLS=2 -DCUTS=0 -DCOMMITS=1 ;;
	one-kill)	echo -DCUTS=0 ;;
	cuts)		echo -DWRITES=1 -DCUTS=2 -DCOMMITS=1 ;;
	one-cut)	echo -DKILLS=0 ;;
	regions)	echo -DREGIONS=1 -DKILLS=0 ;;
	sectors)	echo -DBLOCKS=1 -DSECTORS=2 -DFILLS=0 -DDEMOTIONS=0 -DCOMMITS=1 ;;
	legs)		echo -DFILLS=0 -DDEMOTIONS=0 -DCOMMITS=1 -DFAIL_CACHE=1 -DFAIL_ORIGIN=1 ;;
	users)		echo -DSECTORS=2 -DDEMOTIONS=0 -DKILLS=0 -DCUTS=0 -DFAIL_CACHE=1 ;;
	void)		echo -DWRITES=1 -DVOID_FILLS=1 -DCUTS=0 ;;
	fsync)		echo -DWRITES=1 -DFSYNCS=1 -DFAIL_ORIGIN_FLUSH=1 -DCOMMITS=1 ;;
	fsyncs)		echo -DWRITES=1 -DFSYNCS=2 -DFAIL_ORIGIN_FLUSH=1 -DKILLS=0 -DCUTS=1 -DCOMMITS=1 ;;
	cache-flush)	echo -DWRITES=1 -DFAIL_CACHE_FLUSH=1 ;;
	metadata)	echo -DWRITES=1 -DFAIL_METADATA=1 ;;
	marks)		echo -DWRITES=1 -DFAIL_METADATA=1 -DFILLS=0 -DCOMMITS=0 ;;
	two-faults)	echo -DWRITES=1 -DFSYNCS=1 -DFAIL_METADATA=1 -DFAIL_ORIGIN_FLUSH=1 -DFILLS=0 -DCOMMITS=0 ;;
	cblocks)	echo -DWRITES=1 -DCBLOCKS=2 -DCOMMITS=1 ;;
	unknown)	echo -DWRITES=1 -DCBLOCKS=2 -DFAIL_METADATA=1 -DKILLS=0 -DCOMMITS=1 ;;
	page)		echo -DWRITES=1 -DCBLOCKS=2 -DONE_PAGE=1 -DKILLS=0 -DCOMMITS=1 ;;
	stop)		echo -DSTOPS=1 -DCOMMITS=0 -DKILLS=0 -DFAIL_METADATA=1 ;;
	rot)		echo -DWRITES=1 -DROTS=1 ;;
	cold)		echo -DWRITES=1 -DCOMMITS=1 -DROTS=2 ;;
	digest)		echo -DWRITES=1 -DDIGEST=1 -DROT_SLOTS=1 -DCUTS=0 ;;
	# MODEL=full
	writes)		echo -DWRITES=3 ;;
	crashes)	echo -DKILLS=2 -DCUTS=2 -DCOMMITS=1 ;;
	commits)	echo -DCOMMITS=3 -DFILLS=2 -DDEMOTIONS=2 -DWRITES=1 ;;
	wide)		echo -DCBLOCKS=2 -DCOMMITS=1 -DFILLS=2 ;;
	faults)		echo -DWRITES=1 -DFSYNCS=1 -DCOMMITS=1 -DFAIL_ORIGIN=1 -DFAIL_CACHE=1 -DFAIL_ORIGIN_FLUSH=1 \
				-DFAIL_CACHE_FLUSH=1 -DFAIL_METADATA=1 ;;
	*)		echo "run-model.sh: no configuration $1" >&2; exit 1 ;;
	esac
}

# MODE/NAME, MODE one of kill, power (protocol.pml), both, origin (readers.pml).  Sets file and defines.
configuration() {
	case $1 in
	kill/*)		file=protocol.pml defines="-DPOWER=0 $(budgets "${1#*/}")" ;;
	power/*)	file=protocol.pml defines="-DPOWER=1 $(budgets "${1#*/}")" ;;
	both/wait)	file=readers.pml defines= ;;
	both/pass)	file=readers.pml defines="-DREADS_PASS=1" ;;
	origin/wait)	file=readers.pml defines="-DACK_ORIGIN=1" ;;
	*)		echo "run-model.sh: no configuration $1" >&2; exit 1 ;;
	esac
}

# explore "DEFINES" "COMPILER OPTIONS" [PAN OPTIONS]; sets errors, states, seconds and complete.
explore() {
	begun=$(date +%s)
	rm -f pan* ./*.trail
	# shellcheck disable=SC2086
	if ! { spin -a $1 "$here/$file" && $CC $2 -w -DSAFETY -DNOFAIR -DMEMLIM=2800 -o pan pan.c; } \
		>spin.log 2>&1; then
		cat spin.log >&2
		errors='' states='' complete=no
		return 1
	fi
	# shellcheck disable=SC2086
	nice -n 10 ./pan -m20000 ${3:-} >pan.log 2>&1
	seconds=$(($(date +%s) - begun))
	errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' pan.log)
	complete=yes
	grep -qE 'not completed|too small|out of memory|memory limit|table full' pan.log && complete=no
	[ -n "$errors" ] && [ -n "$states" ]
}

line() {
	printf '%-7s%-14s%-18s%9s states %4s s  %s\n' "$1" "$2" "$3" "${states:-?}" "${seconds:-?}" "$4"
	case $1 in
	ok)	passed=$((passed + 1)) ;;
	*)	failed=$((failed + 1)); sed -n '/^pan:1/p' pan.log >&2 ;;
	esac
}

# All rules, or all but one of which README.md argues that its absence shows nothing: explored to the end, nothing
# found.
holds() {	# RULE-or-all CONFIGURATION
	configuration "$2"
	[ "$1" = all ] || defines="$defines -DWITHOUT=$1"
	case $2 in	# the compiler takes longer than most searches
	*/plain | */fsync | */metadata | */rot | */cold) options=-O1 ;;
	*) options=-O0 ;;
	esac
	[ "$MODEL" = full ] && options="-O2 -DCOLLAPSE"
	if explore "$defines" "$options" && [ "$errors" = 0 ] && [ "$complete" = yes ]; then
		line ok "$1" "$2" "no violation"
	else
		line FAILED "$1" "$2" "violation or not explored to the end"
	fi
}

# A rule left out: pan must find one of check()'s assertions violated, and the trace must replay without any other
# error.
breaks() {	# RULE CONFIGURATION
	configuration "$2"
	options=-O0 search=
	[ "$MODEL" = full ] && options="-O1 -DREACH" search=-i
	explore "$defines -DWITHOUT=$1" "$options" $search
	if [ -f "$file.trail" ] && grep -q 'assertion violated (' pan.log; then
		# shellcheck disable=SC2086
		spin -t -k "$file.trail" -B $defines -DWITHOUT="$1" "$here/$file" >trace.log 2>&1
		length=$(grep -c '^ *[a-zA-Z].*' trace.log)
		length=$((length - $(grep -c '^spin:' trace.log)))
		grep -qE 'truncated|indexing' trace.log && length=0
	else
		length=0
	fi
	if [ "$length" -gt 0 ]; then
		[ -z "$KEEP_TRACES" ] || grep '^ ' trace.log >"$KEEP_TRACES/$1.txt"
		line ok "$1" "$2" "trace of $length events"
	else
		line FAILED "$1" "$2" "no trace"
	fi
}

# What each rule's absence shows, and where; "none" where README.md argues that it cannot show.
table() {
	cat <<-'EOF'
	W1_DECIDE	kill/one-kill
	W1_OVERLAP	kill/legs
	W1_HOLD		kill/legs
	W1_READS	origin/wait
	W2_MARK		kill/kills
	W3_MAPPED	power/cuts
	W3_COMMITTED	power/cuts
	W3_SNAPSHOT	power/unknown
	W3_UNKNOWN	power/metadata
	W3_DURABLE	power/one-cut
	W4_FIRST	both/wait
	W4_REMOVE	both/wait
	W4_ORIGIN	kill/legs
	W4_CACHE	kill/legs
	W5_VOID		power/metadata
	W5_BUSY		kill/marks
	L1_READS	both/pass
	L1_DEMOTE	kill/one-kill	none
	L1_DEMOTE	power/one-cut	none
	B1_COUNT	kill/sectors
	B1_LEGS		kill/kills
	B1_REMOVED	kill/kills
	B2_FIRST	kill/kills
	F1_WRITES	kill/one-kill
	F1_WRITES	kill/void
	F1_WRITES	both/wait
	F1_COMPLETE	kill/kills
	F2_FREE		kill/kills
	F3_COMMITTED	kill/kills
	F3_USERS	kill/users
	F3_READS	both/wait
	F3_CLEAR	kill/one-kill
	C1_INSTANT	power/plain
	C1_COPY		power/page
	C1_QUIET	power/cuts
	C1_LEGS		power/cuts
	C2_REGION	power/one-cut
	C2_REMOVED	power/cuts
	C3_CACHE	power/cuts
	C3_ORIGIN	power/cuts
	C4_SLOT		power/cuts
	C4_FLUSH	power/cuts
	C5_TARGET	power/cuts
	C5_FLUSH	power/cuts
	C5_SECOND	kill/rot
	C5_WAIT		kill/rot
	C6_FREE		kill/one-kill
	C6_TOGGLE	kill/one-kill
	C7_LAST		power/cuts
	C7_OWN		power/one-cut
	C8_UNCLEAN	kill/cuts
	C9_DIRTY	kill/metadata
	C9_NOTHING	kill/metadata
	C9_FREEZE	power/unknown
	E1_MISSES	power/one-cut
	E1_FLIGHT	power/fsyncs
	E1_KEEP		kill/fsync
	E1_SERIAL	kill/fsync
	E2_STICKY	kill/fsync
	E2_REMOVE	kill/fsync
	E2_FILLS	kill/fsync
	E2_ABORT	power/fsync
	E2_MARKS	power/fsync	none
	E3_REMOVE	power/cache-flush
	E3_FILLS	power/cache-flush
	E3_ABORT	power/cache-flush
	E_STORE		power/cache-flush
	E_VOID		kill/two-faults
	KNOWN_LIMIT	kill/fsync
	R3_NEWEST	power/cuts	none
	R3_NEWEST	kill/kills	none
	R3_DIGEST	kill/digest
	R3_ERASE	power/cuts
	R3_DROP		kill/kills
	R3_BEFORE	kill/kills
	R4_TOGETHER	kill/cuts
	R5_BUSY		kill/kills
	R5_REGION	power/cuts
	R6_REGION	power/cuts
	R6_ORIGIN	power/cuts
	R6_CACHE	power/cuts
	R7_ERASE	kill/cold
	R7_UNFLUSHED	power/cold
	R7_BYPASS	power/marks	none
	R7_BYPASS	kill/marks	none
	R7_VOID		kill/marks
	S1_PARK		kill/stop
	S1_FLUSH	kill/stop
	S1_SILENT	kill/stop
	EOF
}

without() {	# RULE CONFIGURATION none|""
	if [ -n "$3" ]; then
		holds "$1" "$2"
	else
		breaks "$1" "$2"
	fi
}

table >rules.list
if [ $# -gt 0 ]; then
	for name; do
		case $name in
		*/*) holds all "$name"; continue ;;
		esac
		if ! grep -q "^$name	" rules.list; then
			echo "run-model.sh: no rule $name" >&2
			failed=$((failed + 1))
		fi
		while read -r rule where none; do
			[ "$rule" = "$name" ] || continue
			without "$rule" "$where" "$none"
			[ -n "$none" ] || grep '^ ' trace.log
		done <rules.list
	done
else
	small="plain kills cuts regions sectors legs users void fsync fsyncs cache-flush metadata marks two-faults cblocks"
	small="$small unknown page stop rot cold digest"
	[ "$MODEL" = full ] && small="$small writes crashes commits wide faults"
	for mode in kill power; do
		for name in $small; do
			holds all "$mode/$name"
		done
	done
	for name in both/wait both/pass origin/wait; do
		holds all $name
	done
	while read -r rule where none; do
		without "$rule" "$where" "$none"
	done <rules.list
	# A rule that can be named but is not in the table, or the other way round, is a rule nobody tries.
	sed -n 's/^#define \([A-Z][A-Z0-9]*_[A-Z]*\)\t\t*[0-9][0-9]*\t.*/\1/p' "$here/rules.pml" "$here/readers.pml" |
		sort -u >named
	cut -f1 rules.list | sort -u >tried
	if ! cmp -s named tried; then
		echo "FAILED rules named and rules tried differ:" && diff named tried
		failed=$((failed + 1))
	fi
fi
echo "# PASS: $passed"
echo "# FAIL: $failed"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
