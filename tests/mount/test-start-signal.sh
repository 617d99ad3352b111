#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A start that waits for another's stop hears signals, in the foreground and in the background, and leaves everything alone.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

# Until SIGTERM is blocked or caught: before that it has not come so far that it could wait.
wait_hearing() {
	local i masks
	for ((i = 0; i < 1200; i++)); do
		masks=$(sed -n 's/^Sig\(Blk\|Cgt\):[[:space:]]*/0x/p' "/proc/$1/status") || return 0
		for mask in $masks; do if ((mask & 0x4000)); then return; fi; done
		sleep 0.05
	done
	fail "it does not come to wait"
}

make_image 4M
for how in foreground background; do
	for signal in INT TERM; do
		option=()
		if [ $how = foreground ]; then option=(-f); fi
		start_cachewtfs --cache-size 8M --fault origin:flush:delay=12000
		cat "$image" >/dev/null
		fusermount3 -u "$mnt"
		# not in the background of this shell, which would have it ignore SIGINT
		python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$CACHEWTFS" "${option[@]}" --cache "$cache" --metadata "$meta" "$origin" "$mnt" \
			>"$tmp/out" 2>&1 &
		second=$!
		wait_hearing $second
		sleep 1
		if is_gone $second; then fail "it did not wait: $(cat "$tmp/out")"; fi
		kill -$signal $second
		wait_gone $second
		if is_gone "$daemon"; then fail "$how, $signal: it has waited for the other one's end"; fi
		status=0
		wait $second || status=$?
		[ $status -eq 1 ] || fail "$how, $signal: status $status: $(cat "$tmp/out")"
		grep -q 'given up while waiting' "$tmp/out" || fail "$how, $signal: says $(cat "$tmp/out")"
		wait_gone "$daemon"
		if mountpoint -q "$mnt"; then fail "$how, $signal: something is mounted"; fi
		forget_daemon
	done
done
