#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# No signal that has no meaning leaves a dead mount; SIGUSR1 logs statistics; a stop is logged, and what it costs who still
# uses the image.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse

logged() {
	local i
	for ((i = 0; i < 100; i++)); do
		grep -qE -- "$1" "$log" && return
		sleep 0.05
	done
	fail "not logged: $1"
}

make_image 8M
start_cachewtfs --cache-size 4M
logged '^[0-9-]{10} [0-9:]{8}\.[0-9]{3} cachewtfs: .* is mounted on '
head -c 1M "$image" >/dev/null
for signal in USR2 ALRM VTALRM PROF IO PWR STKFLT XFSZ TTIN TTOU PIPE CHLD WINCH URG RTMIN RTMIN+7 RTMAX; do
	kill "-$signal" "$daemon"
	sleep 0.02
	if is_gone "$daemon"; then fail "SIG$signal ends it"; fi
done
compare_image
kill -USR1 "$daemon"
logged 'statistics: read hits [0-9]+, read misses [1-9]'
kill -USR1 "$daemon"
compare_image
stop_cachewtfs TERM
logged 'stopped: .* clean'
for signal in QUIT HUP INT; do
	start_cachewtfs
	stop_cachewtfs $signal
	is_marked_clean || fail "SIG$signal makes no orderly stop"
done

# In the background SIGHUP has no meaning.
rm -f "$pidfile"
"$CACHEWTFS" --cache "$cache" --metadata "$meta" --pidfile "$pidfile" "$origin" "$mnt"
daemon=$(cat "$pidfile")
echo "$daemon" >>"$tmp/daemons"
kill -HUP "$daemon"
kill -USR1 "$daemon"
sleep 0.2
compare_image
umount "$mnt" 2>/dev/null || fusermount3 -u "$mnt"
wait_gone "$daemon"
forget_daemon

# A file system on the image, in use: the log says which one and what comes of it.
if [ "$(id -u)" -eq 0 ] && losetup -f >/dev/null 2>&1; then
	mkfs.ext4 -q "$origin"
	start_cachewtfs --reset
	attach_loop "$image"
	mkdir "$tmp/disk"
	mount "$loop" "$tmp/disk"
	kill -TERM "$daemon"
	wait_gone "$daemon"
	logged "warning: $loop \\(mounted on $tmp/disk\\) is over the image: what was written there and not synced is lost"
	umount -l "$tmp/disk"
	losetup -d "$loop" || true
	forget_daemon
fi
