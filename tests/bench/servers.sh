# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# For bench.sh: the processes that serve the contender being measured, the loop devices over it, and their end.  Nothing
# is ended, detached or unmounted here that was not started, attached or mounted here.

servers=()		# their process numbers
mounts=()		# what to unmount, in the order of mounting
mounters=()		# and the process behind each
filesystems=()		# mounted on loop devices
ending=			# a signal to end them with, before their mounts go; else they end as their mounts do

# spawn COMMAND...: a server, in the foreground of its own, its output in the log.
spawn() {
	"$@" >>"$log" 2>&1 </dev/null &
	servers+=($!)
}

is_gone() { [ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

# wait_until COMMAND...: until it succeeds; fails after 20 s or when a server has ended.
wait_until() {
	local i pid
	for ((i = 0; i < 400; i++)); do
		"$@" 2>/dev/null && return
		for pid in "${servers[@]}"; do
			if is_gone "$pid"; then return 1; fi
		done
		sleep 0.05
	done
	return 1
}

# wait_mounted PATH: and remember to unmount it.
wait_mounted() {
	wait_until mountpoint -q "$1" || return
	mounts+=("$1")
	mounters+=("${servers[-1]}")
}

# The CPU time, in clock ticks, that the servers have used so far: all threads, and the children they have waited for.
# What the kernel does in threads of its own (loop devices, I/O completion) is not in it.
ticks() {
	local pid
	for pid in "${servers[@]}"; do
		sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null
	done | awk '{ n += $12 + $13 + $14 + $15 } END { print n + 0 }'
}

# attach VIA FILE: prints what to measure.  In a subshell for its output: the loop device is known by its number.
attach() {
	local direct=on
	[ "$1" != mount ] || { echo "$2"; return; }
	[ "$1" != loop-buffered ] || direct=off
	losetup --find --show --direct-io=$direct "$2" 2>>"$log"
}

# Loop devices over files of ours, whoever attached them; a loop that is going away is let go.
our_loops() {
	local dir
	for dir in "${work[@]}"; do
		losetup -n -O NAME,BACK-FILE 2>/dev/null | awk -v dir="$dir/" 'index($2, dir) == 1 { print $1 }'
	done
}

detach_loops() {
	local i device
	for device in $(our_loops); do
		losetup -d "$device" 2>>"$log" || true
	done
	for ((i = 0; i < 200; i++)); do
		[ -n "$(our_loops)" ] || return 0
		sleep 0.05
	done
	note "a loop device would not go: $(our_loops)"
}

# signal NAME PID: if it is still a child of ours: the number of one that was waited for may be another's by now.
signal() {
	jobs -p | grep -qx "$2" || return 0
	kill "-$1" "$2" 2>/dev/null || true
}

# end_server PID: it has lost its mount or got a signal; what does not end is asked, then killed.
end_server() {
	local i
	for ((i = 0; i < 1200; i++)); do
		if is_gone "$1"; then break; fi
		if [ $i -eq 400 ]; then signal TERM "$1"; fi
		if [ $i -eq 800 ]; then signal KILL "$1"; fi
		sleep 0.05
	done
	wait "$1" || true
} 2>/dev/null

# Take down what the contender has: file systems, loop devices, then mounts and their processes from the top, for the
# one above keeps the one below busy; at last those without a mount.
stop_servers() {
	local i pid
	for ((i = ${#filesystems[@]} - 1; i >= 0; i--)); do unmount_filesystem "${filesystems[i]}"; done
	filesystems=()
	detach_loops
	if [ -n "$ending" ]; then
		for pid in "${servers[@]}"; do
			signal "$ending" "$pid"
			end_server "$pid"
		done
	fi
	for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
		fusermount3 -u "${mounts[i]}" 2>>"$log" || fusermount3 -u -z "${mounts[i]}" 2>>"$log" || true
		end_server "${mounters[i]}"
	done
	for pid in "${servers[@]}"; do
		signal TERM "$pid"
		end_server "$pid"
	done
	servers=() mounts=() mounters=() ending=
}

unmount_filesystem() {
	mountpoint -q "$1" || return 0
	umount "$1" 2>>"$log" || umount -l "$1" 2>>"$log" || true
}

# What is still mounted below DIR, the last first: of a server that died or came up too late.
leftover_mounts() {
	cut -d" " -f5 /proc/self/mountinfo | grep -F "$1/" | tac
}

cleanup() {
	local status=$? dir
	trap - EXIT
	trap '' HUP INT TERM
	set +e
	stop_servers
	if [ $status -ne 0 ] && [ -s "$log" ]; then
		echo "--- what the servers said last"
		tail -n 20 "$log"
	fi >&2
	for dir in "${work[@]}" "$bin"; do
		leftover_mounts "$dir" | while IFS= read -r mount; do umount -l "$mount"; done
		[ -z "$dir" ] || rm -rf --one-file-system "$dir"
	done
	exit $status
}
