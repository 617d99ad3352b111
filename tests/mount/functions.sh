# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
#
# For the mounted tests, which source it first:
#
#	. "${srcdir:-.}/tests/mount/functions.sh"
#	require fuse loop fio
#	make_image 64M
#	start_cachewtfs --cache-size 16M
#	... use "$image" ...
#	compare_image
#	stop_cachewtfs
#	verify_mappings
#
# Everything a test makes is in "$tmp", which the end of the test takes away, with what is mounted and attached there.
# A test must not wait for ever: after TEST_TIMEOUT seconds its daemons are killed, which ends each call into the mount.

set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
umask 022

# A requirement is not met: skipped by hand, failed in continuous integration, so that nothing is left untested unseen.
skip() {
	echo "SKIP: $*" >&2
	[ "${CI:-}" = true ] && exit 1
	exit 77
}

fail() {
	echo "FAIL at line ${BASH_LINENO[0]}: $*" >&2
	exit 1
}

# require fuse | loop | root | COMMAND ...
require() {
	local what
	for what; do
		case $what in
		root) [ "$(id -u)" -eq 0 ] || skip "needs root" ;;
		fuse)
			if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then skip "needs /dev/fuse"; fi
			command -v fusermount3 >/dev/null || skip "needs fusermount3"
			;;
		loop)
			[ "$(id -u)" -eq 0 ] || skip "needs root, for losetup"
			losetup -f >/dev/null 2>&1 || skip "needs loop devices"
			;;
		*) command -v "$what" >/dev/null || skip "needs $what" ;;
		esac
	done
}

# ------------------------------------------------------------------ the folder of the test, and its end

tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/cachewtfs-test.XXXXXX")
chmod 755 "$tmp"
stores=$tmp/stores
mnt=$tmp/mnt
mkdir "$stores" "$mnt"
origin=$stores/disk.img
cache=$stores/cache
meta=$stores/meta
image=$mnt/disk.img
pidfile=$tmp/pid
log=$tmp/log
daemon=

# Mounts below $tmp, the last one first.
mounts_of_test() {
	local line
	while read -r line; do
		printf '%b\n' "$line"		# the kernel writes a space as \040
	done < <(cut -d' ' -f5 /proc/self/mountinfo | grep -F "$tmp/" | tac)
}

loops_of_test() { losetup -n -O NAME,BACK-FILE 2>/dev/null | grep -F "$tmp/" | cut -d' ' -f1; }

cleanup() {
	local status=$? name loops
	trap - EXIT INT TERM
	set +e
	if [ $status -ne 0 ] && [ $status -ne 77 ] && [ -s "$log" ]; then
		echo "--- the daemon's log"
		tail -n 40 "$log"
	fi >&2
	{
		loops=$(loops_of_test)		# now: the path of what is detached lazily no longer begins with $tmp
		mounts_of_test | while IFS= read -r name; do umount -l "$name"; done
		for name in $loops; do losetup -d "$name"; done
	} >/dev/null 2>&1
	[ -s "$tmp/daemons" ] && xargs kill -9 <"$tmp/daemons" 2>/dev/null
	kill "$watchdog" 2>/dev/null
	rm -rf --one-file-system "$tmp"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

( # the watchdog
	exec >/dev/null 2>&1
	trap - EXIT INT TERM
	for ((i = 0; i < ${TEST_TIMEOUT:-240}; i++)); do
		sleep 1
		[ -d "$tmp" ] || exit 0
	done
	echo "the test takes longer than ${TEST_TIMEOUT:-240} s: killing its daemons" >>"$log"
	umount -f "$mnt"	# as root it ends each call, also one of the daemon's own that would outlive a kill
	xargs kill -9 <"$tmp/daemons"
	sleep 5
	kill -TERM $$
) &
watchdog=$!

# ------------------------------------------------------------------ images

# make_image SIZE [FILE]: random bytes, so that no block is like another.
make_image() {
	head -c "$(numfmt --from=iec "$1")" /dev/urandom >"${2:-$origin}"
}

# random_file SIZE: a file to copy from; its name is printed.
random_file() {
	local file
	file=$(mktemp "$tmp/random.XXXXXX")
	make_image "$1" "$file"
	echo "$file"
}

# write_at FILE OFFSET SOURCE: the whole of SOURCE into FILE, nothing truncated.  Fails as the write fails.
write_at() {
	dd if="$3" of="$1" bs=64K seek="$2" oflag=seek_bytes conv=notrunc status=none
}

# ------------------------------------------------------------------ the daemon

# Has this process ended?  One that nobody has waited for counts as ended.
is_gone() {
	[ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

wait_gone() {
	local i
	for ((i = 0; i < 1200; i++)); do
		is_gone "$1" && return
		sleep 0.05
	done
	fail "process $1 has not ended after 60 s"
}

# start_cachewtfs [OPTION...]: returns when "$image" is there.  A background job with -f, so that its exit status and
# its log are ours to see.
start_cachewtfs() {
	local i
	rm -f "$pidfile"
	"$CACHEWTFS" -f --cache "$cache" --metadata "$meta" --pidfile "$pidfile" "$@" "$origin" "$mnt" >>"$log" 2>&1 &
	daemon=$!
	echo $daemon >>"$tmp/daemons"
	for ((i = 0; i < 1200; i++)); do
		[ -s "$pidfile" ] && return
		if is_gone $daemon; then
			wait $daemon || fail "cachewtfs ended with status $? instead of mounting"
			fail "cachewtfs ended with status 0 instead of mounting"
		fi
		sleep 0.05
	done
	fail "cachewtfs is not ready after 60 s"
}

# Detach, also when the last user (a loop device that is just going away) takes a moment.
detach() {
	local i
	for ((i = 0; i < 100; i++)); do
		"$@" 2>>"$log" && return
		sleep 0.1
	done
	fail "$* fails: $(tail -n 1 "$log")"
}

# Its number may be another process's by the time of the cleanup.
forget_daemon() {
	sed -i "/^$daemon\$/d" "$tmp/daemons"
}

# stop_cachewtfs [fusermount3 | umount | TERM | INT]: the daemon ends, with status 0.
stop_cachewtfs() {
	local how=${1:-fusermount3} status=0
	case $how in
	fusermount3) detach fusermount3 -u "$mnt" ;;
	umount) detach umount "$mnt" ;;
	*) kill "-$how" "$daemon" ;;
	esac
	wait_gone "$daemon"
	wait "$daemon" || status=$?
	forget_daemon
	[ $status -eq 0 ] || fail "after $how cachewtfs ended with status $status"
	if mountpoint -q "$mnt"; then fail "after $how it is still mounted"; fi
}

kill_cachewtfs() {
	kill -9 "$daemon"
	wait_gone "$daemon"
	wait "$daemon" 2>/dev/null || true
	forget_daemon
}

# ------------------------------------------------------------------ what must hold

# status LABEL: a value of the status, such as "read hits".
status() {
	sed -n "s/^$1: //p" "$mnt/.cachewtfs/status" | grep . || fail "the status has no line \"$1\""
}

# The number LABEL is as the test says: expect "read hits" -gt 0
expect() {
	local value
	value=$(status "$1")
	test "$value" "$2" "$3" || fail "$1 is $value, expected $2 $3"
}

# The mounted image is the origin, byte for byte, of the same size, and the books balance.
compare_image() {
	local size
	size=$(blockdev --getsize64 "$origin" 2>/dev/null || stat -L -c %s "$origin")
	[ "$(stat -c %s "$image")" = "$size" ] || fail "the image has $(stat -c %s "$image") bytes, the origin $size"
	cmp "$origin" "$image" || fail "the image differs from the origin"
	[ "$(status 'books balance')" = yes ] || fail "hits + misses + bypassed are not the block requests"
}

# verify_mappings [AT-LEAST]: unmounted; every mapping's content is the origin's, and there are mappings (default: one).
verify_mappings() {
	local line
	line=$("$CACHEWT" verify --origin "$origin" --cache "$cache" --metadata "$meta" 2>&1) ||
		fail "cachewt verify: $line"
	[ "$(grep -oE '[0-9]+ mappings equal' <<<"$line" | cut -d' ' -f1)" -ge "${1:-1}" ] ||
		fail "too few mappings to mean anything: $line"
}

# Is the clean mark there?  Of a copy, so that it can be asked while the metadata is in use.
is_marked_clean() {
	local text
	cp "$meta" "$tmp/meta.copy"
	text=$("$CACHEWT" check "$tmp/meta.copy") || fail "cachewt check: $text"
	grep -qwE 'clean|unclean' <<<"$text" || fail "cachewt check does not say whether it is clean: $text"
	grep -qw clean <<<"$text"
}

# What there is in the folder of the stores, to show that nothing was changed.  A cache that is mounted commits at its
# own times, and is left out.
snapshot() {
	local but=()
	if [ -n "$daemon" ] && ! is_gone "$daemon"; then but=(! -path "$cache" ! -path "$meta"); fi
	find "$stores" -printf '%y %m %s %p\n' | sort
	find "$stores" -type f "${but[@]}" -print0 | sort -z | xargs -0r sha256sum
}

# refused STATUS PATTERN ARGUMENT...: cachewtfs ends with STATUS (a pattern too), says one line that matches PATTERN
# (extended, in any case), mounts nothing, and changes nothing in "$stores".
refused() {
	local wanted=$1 pattern=$2 before mounts status=0
	shift 2
	before=$(snapshot)
	mounts=$(mounts_of_test)
	"$CACHEWTFS" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	[[ $status =~ ^$wanted$ ]] || fail "status $status, expected $wanted: cachewtfs $* ($(cat "$tmp/err"))"
	[ "$(mounts_of_test)" = "$mounts" ] || fail "something was mounted"
	[ "$(wc -l <"$tmp/err")" -eq 1 ] || fail "not one line on stderr: $(cat "$tmp/err")"
	grep -q '^cachewtfs: [^:]*: ' "$tmp/err" || fail "not \"cachewtfs: WHAT: WHY\": $(cat "$tmp/err")"
	grep -qiE -- "$pattern" "$tmp/err" || fail "the line does not say \"$pattern\": $(cat "$tmp/err")"
	[ ! -s "$tmp/out" ] || fail "something on stdout: $(cat "$tmp/out")"
	[ "$(snapshot)" = "$before" ] || fail "something changed: $(diff <(echo "$before") <(snapshot))"
}

# ------------------------------------------------------------------ loop devices

# attach_loop FILE: sets $loop
attach_loop() {
	loop=$(losetup -f --show --direct-io=on "$1") || fail "losetup $1 failed"
}

detach_loop() {
	local i
	losetup -d "$1"
	for ((i = 0; i < 200; i++)); do
		losetup "$1" >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	fail "$1 is still attached"
}
