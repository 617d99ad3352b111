#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	make bench [VARIABLE=VALUE...]
#
# cachewtfs and its peers side by side, over the same image, warm: every contender of contenders.sh, every case of
# workloads.sh, through the mount and through loop devices, with stores in memory and on a disk; then an ext4 in an
# image whose origin is slow (filesystem.sh).  Nothing is asserted: the report says what was measured, how far it
# spreads, and which of the targets in targets.jq are met.
#
#	OUT=bench-results	where the results go: results.jsonl (every measurement), summary.json, table.md, plot.svg
#	ROUNDS=5		each contender is measured once in each round, so that a slow minute hits all of them
#	SECONDS_EACH=1		of each measurement
#	SIZE=512M		of the image; the caches hold all of it
#	DIR=/dev/shm		the store in memory
#	DISK=/var/tmp		the store on a disk
#	STORES='memory disk'	the stores
#	VIA='mount loop loop-buffered filesystem'
#				the mounted file; losetup --direct-io=on; --direct-io=off; the slow origin
#	CONTENDERS, CASES	only these, by name; default: all.  Names are those of the tables in contenders.sh,
#				workloads.sh and filesystem.sh
#
# A whole run of five rounds takes about two hours.  Quick is, for instance
#	make bench CONTENDERS='cachewtfs passthrough_ll' CASES=randread-4k-1 VIA=mount STORES=memory
#
# Loop devices need root; without it, and where a peer is not installed, the report says so and goes on.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

# Which of them were given: the report names the command it came from.
given=
for name in ROUNDS SECONDS_EACH SIZE STORES VIA CONTENDERS CASES; do
	if [ -n "${!name:-}" ]; then given+=" $name"; fi
done

: "${CACHEWTFS:?is not set: make bench does that}"

here=$(cd "$(dirname "$0")" && pwd)
source_dir=$(cd "$here/../.." && pwd)
OUT=${OUT:-bench-results} ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-1} SIZE=${SIZE:-512M}
DIR=${DIR:-/dev/shm} DISK=${DISK:-/var/tmp} STORES=${STORES:-memory disk}
VIA=${VIA:-mount loop loop-buffered filesystem} CONTENDERS=${CONTENDERS:-} CASES=${CASES:-}
size_bytes=$(numfmt --from=iec "$SIZE")

# shellcheck source-path=SCRIPTDIR
. "$here/servers.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/contenders.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/workloads.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/filesystem.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/report.sh"

# say TEXT: progress, on stderr.  note TEXT: what the reader of the report has to know, once.
say() { echo "$*" >&2; }
note() {
	grep -qxF "$*" "$OUT/notes" && return
	echo "$*" >>"$OUT/notes"
	say "note: $*"
}

# is_wanted NAME LIST: the list is empty or has it.
is_wanted() { [ -z "$2" ] || [[ " $2 " == *" $1 "* ]]; }

# make_places: a folder and an image on each store; sets work[STORE].
make_places() {
	local store
	for store in $STORES; do
		case $store in
		memory) work[$store]=$(mktemp -d "$DIR/cachewtfs-bench.XXXXXX") ;;
		disk) work[$store]=$(mktemp -d "$DISK/cachewtfs-bench.XXXXXX") ;;
		*) say "no store \"$store\": memory and disk are"; exit 2 ;;
		esac
		mkdir "${work[$store]}/mnt" "${work[$store]}/stores"
		say "an image of $SIZE in ${work[$store]}"
		head -c "$size_bytes" /dev/urandom >"${work[$store]}/stores/disk.img"
		sync "${work[$store]}/stores/disk.img"
	done
}

# run_contender ROUND STORE VIA NAME: start it, warm it, measure all cases, stop it.
run_contender() {
	local round=$1 store=$2 via=$3 name=$4 file target
	place=${work[$store]}
	if ! start_contender "$name"; then
		stop_servers
		return
	fi
	file=$contender_file
	warm "$file"
	if ! target=$(attach "$via" "$file"); then
		note "$name: no loop device over it ($via)"
	else
		run_cases "$round" "$store" "$via" "$name" "$target"
	fi
	stop_servers
}

run_all() {
	local round store via name
	for ((round = 1; round <= ROUNDS; round++)); do
		for via in $VIA; do
			if [ "$via" = filesystem ]; then continue; fi
			if [[ $via == loop* ]] && [ "$(id -u)" -ne 0 ]; then
				note "$via: not measured, losetup needs root"
				continue
			fi
			for store in $STORES; do
				for name in "${usable[@]}"; do
					say "round $round of $ROUNDS: $store, $via, $name"
					run_contender "$round" "$store" "$via" "$name"
				done
			done
		done
		if [[ " $VIA " == *" filesystem "* ]]; then run_filesystem "$round"; fi
	done
}

declare -A work=()
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
: >"$OUT/notes"
: >"$OUT/results.jsonl"
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
bin=$(mktemp -d "${TMPDIR:-/tmp}/cachewtfs-bench.XXXXXX")
log=$bin/log
find_contenders
make_places
run_all
write_report
cat "$OUT/table.md"
say "the results are in $OUT"
