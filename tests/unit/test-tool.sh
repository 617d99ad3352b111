#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# cachewt as its users see it: exit status, lines, and what changes on disk.  No mount is needed: stores are made by hand with
# make-cache.
set -u

build=${top_builddir:-.}
cachewt=$PWD/$build/src/cachewt
make_cache=$PWD/$build/tests/unit/make-cache
dir=$(mktemp -d "${TMPDIR:-/tmp}/test-tool.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 99

nr_failed=0 test=none
begin() { test=$1; rm -rf "${dir:?}"/* ; }
fail() { echo "FAIL $test: $*"; nr_failed=$((nr_failed + 1)); }

# run STATUS COMMAND...: the exit status is this one; stdout and stderr are in the files out and err, and a failure is one line.
run()
{
	local expected=$1 status
	shift
	timeout 60 "$@" >out 2>err </dev/null
	status=$?
	[ $status = "$expected" ] || fail "$*: exit status $status, expected $expected: $(cat err)"
	if [ "$expected" = 0 ]; then
		[ ! -s err ] || fail "$*: says something on stderr: $(cat err)"
	else
		[ "$(wc -l <err)" = 1 ] || fail "$*: not one line on stderr: $(cat err)"
		grep -q '^cachewt: ' err || fail "$*: no 'cachewt: ' in: $(cat err)"
	fi
}
says() { grep -qF -e "$2" "$1" || fail "no '$2' in $1: $(cat "$1")"; }
same() { cmp "$1" "$2" || fail "$1 was changed"; }

# flip FILE OFFSET: change one byte.
flip()
{
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	# shellcheck disable=SC2059
	printf "\\$(printf %03o $((byte ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# An origin of 10 blocks of 4 KiB and 1 byte less, and a metadata for 8 cblocks, with four of them mapped.
origin_size=40959
make_stores()
{
	head -c $origin_size /dev/urandom >origin
	"$cachewt" format --cblocks 8 --origin-size $origin_size --block-size 4K meta >/dev/null || fail "format"
	"$make_cache" fill origin cache meta "${1-clean}" 0=3 1=0 5=9 7=4 || fail "make-cache"
}
verify() { run "$1" "$cachewt" verify --origin "${3-origin}" --cache "${2-cache}" --metadata meta; }

# ---------------------------------------------------------------- usage

begin wrong_usage_is_2_and_one_line
for args in "" bogus status "status a b" "status --bogus a" "status --json --watch a" message "message a" "message a b c d" \
	    "message a ''" "invalidate a 1" "invalidate a x 1" "invalidate a 1 1Q" "invalidate a 1 10%" "invalidate a 0.5 1" "invalidate a -- -1 1" "invalidate a 18446744073709551616 1" "invalidate a 16777216T 1" \
	    "wait a" "wait --ended --idle a" "list a" stop "stop --timeout -1 a" "stop a b" "health" "health --timeout 0 a" "prune a b" "prune --older-than -2" "wait --ready --idle a" "wait --ready --timeout -1 a" "wait --ready --timeout soon a" \
	    format "format m" "format --cblocks 8 m" "format --origin-size 1M m" "format --cblocks 8 --cache-size 1M --origin-size 1M m" \
	    "format --cblocks 0 --origin-size 1M m" "format --cblocks 4294967295 --origin-size 1M m" \
	    "format --cblocks 8 --origin-size 0 m" "format --cblocks 8 --origin-size 1M --block-size 5000 m" \
	    "format --cblocks 8 --origin-size 1M --block-size 2K m" "format --cblocks 8 --origin-size 1M --block-size 4M m" \
	    "format --cblocks 8 --origin-size 16T --block-size 4K m" \
	    "format --cache-size 64K --origin-size 1M m" "format --cache-size 127K --origin-size 1M m" \
	    check "check a b" dump "verify" "verify --origin a --cache b" "verify --origin a --cache b --metadata c d"; do
	eval run 2 "$cachewt" "$args"
	[ ! -s out ] || fail "$args: says something on stdout"
done
[ ! -e m ] || fail "a file was made"

begin help_and_version_are_not_errors
run 0 "$cachewt" --version
grep -qE '^cachewt [0-9]+\.[0-9]+' out || fail "no version"
run 0 "$cachewt" --help
nr_subcommands=0
while read -r sub; do
	nr_subcommands=$((nr_subcommands + 1))
	run 0 "$cachewt" "$sub" --help
	says out "cachewt $sub "
done < <(sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p' out)
[ $nr_subcommands = 12 ] || fail "$nr_subcommands subcommands"

begin output_that_cannot_be_written_is_an_error
if [ -c /dev/full ]; then
	"$cachewt" --help >/dev/full 2>err && fail "--help > /dev/full succeeded"
	make_stores
	"$cachewt" dump meta >/dev/full 2>err && fail "dump > /dev/full succeeded"
	[ "$(wc -l <err)" = 1 ] || fail "not one line: $(cat err)"
fi

# ---------------------------------------------------------------- daemons

begin what_is_no_daemon_is_not_stopped
sleep 60 & stranger=$!
run 1 "$cachewt" stop $stranger
says err "is not a cachewtfs"
kill -0 $stranger || fail "a stranger was ended"
kill $stranger
run 1 "$cachewt" stop 999999999
run 1 "$cachewt" stop .
run 0 "$cachewt" wait --ended --timeout 1 "$dir/nothing"

begin health_of_what_is_no_mount_is_2
run 2 "$cachewt" health .
says err "not a mount"
"$cachewt" health --json . >out 2>err
[ $? = 2 ] || fail "with --json it is not 2"
says out '"no-answer"'

begin prune_without_a_folder_has_nothing_to_do
run 0 "$cachewt" prune "$dir/nothing"
says out "0 pairs"

# ---------------------------------------------------------------- format, check, dump

begin a_new_metadata_is_sound_and_empty
run 0 "$cachewt" format --cache-size 36K --origin-size 1000001 --block-size 4K meta
says out "8 cblocks of 4096 bytes"
run 0 "$cachewt" check meta
says out "0 of 8 blocks mapped"
run 0 "$cachewt" dump meta
says out "nr_cblocks 8"
says out "block_size 4096"
says out "origin_size 1000001"
says out "nr_mapped 0"
grep -q '^mapping' out && fail "a mapping in an empty metadata"

begin the_default_block_size_is_64K
run 0 "$cachewt" format --cache-size 1M --origin-size 5M meta
says out "15 cblocks of 65536 bytes"

begin format_takes_nothing_that_is_not_blank
make_stores
cp meta before
run 1 "$cachewt" format --cblocks 8 --origin-size 1M meta
same meta before
head -c 2M /dev/urandom >foreign
cp foreign before
run 1 "$cachewt" format --cblocks 8 --origin-size 1M foreign
same foreign before
mkdir folder
run 1 "$cachewt" format --cblocks 8 --origin-size 1M folder
mkfifo fifo
run 1 "$cachewt" format --cblocks 8 --origin-size 1M fifo
run 1 "$cachewt" format --cblocks 8 --origin-size 1M missing/meta
head -c 8192 /dev/zero >small
cp small before
run 1 "$cachewt" format --cblocks 8 --origin-size 1M small
same small before

begin format_takes_an_empty_and_a_blank_file
: >empty
run 0 "$cachewt" format --cblocks 8 --origin-size 1M empty
run 0 "$cachewt" check empty
truncate -s 4M blank
run 0 "$cachewt" format --cblocks 8 --origin-size 1M blank
run 0 "$cachewt" check blank

begin dump_lists_the_mappings
make_stores
run 0 "$cachewt" dump meta
says out "clean yes"
printf 'mapping %s 1\n' "0 3" "1 0" "5 9" "7 4" >expected
grep '^mapping' out | cmp - expected || fail "mappings: $(cat out)"
run 0 "$cachewt" check meta
says out "4 of 8 blocks mapped"

begin what_is_no_metadata_is_refused
make_stores
for file in origin missing . /dev/null; do
	run 1 "$cachewt" check $file
	run 1 "$cachewt" dump $file
	run 1 "$cachewt" verify --origin origin --cache cache --metadata $file
done
: >empty
head -c 100 meta >short
for file in empty short; do
	run 1 "$cachewt" check $file
done

begin paths_may_hold_any_byte
name=$'a b,c"d\'\xff'
make_stores
mv meta "$name"
run 0 "$cachewt" check "$name"
run 0 "$cachewt" verify --origin origin --cache cache --metadata "$name"
run 1 "$cachewt" check $'no such\nfile'

# ---------------------------------------------------------------- verify

begin a_cache_filled_from_the_origin_verifies
make_stores
cp meta meta.before; cp cache cache.before; cp origin origin.before
verify 0
[ "$(cat out)" = "4 mappings equal, 0 different" ] || fail "$(cat out)"
same meta meta.before; same cache cache.before; same origin origin.before

begin a_damaged_block_is_found_to_the_byte
make_stores
flip cache $((4096 * (5 + 1) + 17))		# cblock 5 holds block 9
flip cache $((4096 * (5 + 1) + 18))
verify 1
says out "block 9 in cblock 5: first difference at offset $((9 * 4096 + 17)) of the origin"
says out "3 mappings equal, 1 different"
[ "$(wc -l <out)" = 2 ] || fail "$(cat out)"

begin the_first_and_the_last_byte_of_a_block_are_compared
for at in 0 4095; do
	make_stores
	flip origin $((3 * 4096 + at))
	verify 1
	says out "block 3 in cblock 0: first difference at offset $((3 * 4096 + at)) of the origin"
	rm -f meta cache
done
make_stores
flip origin $((origin_size - 1))
verify 1
says out "block 9 in cblock 5: first difference at offset $((origin_size - 1)) of the origin"

begin what_follows_the_origins_end_is_not_compared
make_stores
flip cache $((4096 * (5 + 1) + 4095))		# the last block is one byte shorter
verify 0
flip origin 4096				# block 1 is not cached
verify 0

begin an_origin_of_another_size_is_refused
make_stores
cp origin longer; echo >>longer
run 1 "$cachewt" verify --origin longer --cache cache --metadata meta
says err "40960"
says err "40959"

begin the_cache_of_another_metadata_is_refused
make_stores
mkdir other
(cd other && make_stores)
verify 1 other/cache
says err "its label names the metadata"
head -c 1M /dev/urandom >foreign
verify 1 foreign
truncate -s 1M blank
verify 1 blank
says err "blank"
head -c 20000 cache >short
verify 1 short

begin a_cache_of_another_session_is_refused
make_stores
cp cache old
"$make_cache" fill origin cache meta clean 0=3 || fail "second session"
verify 0
verify 1 old
says err "session"

begin unclean_metadata_is_verified_and_said
make_stores unclean
verify 0
says out "4 mappings equal, 0 different (the metadata is unclean"
flip cache $((4096 * (5 + 1) + 17))
verify 1
says out "3 mappings equal, 1 different"

begin a_damaged_mapping_page_is_found
make_stores
# The committed copy of the only mapping page: find it by its content, the entry "cblock 0: block 3".
nr_pages=$(($(stat -c %s meta) / 4096))
damaged=
for page in $(seq 48 $((nr_pages - 1))); do
	if [ "$(od -An -tu8 -j $((page * 4096 + 64)) -N 16 meta | awk '{ print $1 % 65536, $2 % 256 }')" = "3 1" ]; then
		flip meta $((page * 4096 + 100))
		damaged=$page
	fi
done
[ -n "$damaged" ] || fail "no mapping page found"
verify 1
says err "damaged"
run 1 "$cachewt" check meta
says out "damage: "
run 0 "$cachewt" dump meta
says out "damaged yes"

# ---------------------------------------------------------------- locks

begin a_metadata_in_use_is_left_alone
make_stores
"$make_cache" hold meta serving 60000 >held &
holder=$!
until [ -s held ]; do sleep 0.01; done
cp meta before
for sub in check dump "verify --origin origin --cache cache --metadata"; do
	# shellcheck disable=SC2086
	run 1 "$cachewt" $sub meta
	says err "in use"
done
run 1 "$cachewt" format --cblocks 8 --origin-size 1M meta
same meta before
kill $holder
wait $holder 2>/dev/null

begin an_owner_that_is_stopping_is_waited_for
make_stores
"$make_cache" hold meta stopping 700 >held &
holder=$!
until [ -s held ]; do sleep 0.01; done
verify 0
says out "4 mappings equal, 0 different"
wait $holder

# ---------------------------------------------------------------- mounts: those that are none; tests/mount has the others

begin what_is_no_mount_of_cachewtfs_is_not_opened
mkdir -p mnt/.cachewtfs
echo precious >victim
ln -s ../../victim mnt/.cachewtfs/control
mkfifo mnt/.cachewtfs/status mnt/.cachewtfs/stats.json
: >mnt/disk.img
for mount in mnt mnt/disk.img .; do
	for args in "status" "status --json" "status --watch" "wait --idle" "invalidate $mount 1M 64k" "message $mount commit"; do
		[[ $args = *" $mount "* ]] || args+=" $mount"
		eval run 1 "$cachewt" "$args"
		says err "not a mount of cachewtfs"
	done
done
[ "$(cat victim)" = precious ] || fail "a link was followed: $(cat victim)"
run 1 "$cachewt" status missing
run 1 "$cachewt" wait --idle missing
run 1 "$cachewt" wait --ready --timeout 0.2 mnt
says err "not ready after 0.2 s"

[ $nr_failed = 0 ] || { echo "$nr_failed failed"; exit 1; }
echo "all passed"
