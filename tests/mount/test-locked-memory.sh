#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Memory is locked as far as the limit of locked memory goes, the soft limit being raised first; what is refused is
# one line and no failure.  The status says what became of it, and whether the threads are IO_FLUSHERs.
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse root setpriv prlimit jq strace

locked_kib() { sed -n 's/^VmLck:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status"; }
json() { jq -r ".$1" "$mnt/.cachewtfs/stats.json"; }

# An IO_FLUSHER's requests for memory do no I/O, and it is not held back for dirty pages (PF_MEMALLOC_NOIO and
# PF_LOCAL_THROTTLE).
is_io_flusher() { [ $(($(cut -d')' -f2 "$1/stat" | cut -d' ' -f8) & 0x180000)) -eq $((0x180000)) ]; }

# CAP_SYS_RESOURCE is bit 24.
io_flusher_is_as_allowed() {
	local task effective
	effective=$((16#$(sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$daemon/status")))
	if [ $((effective >> 24 & 1)) -eq 1 ]; then
		[ "$(status 'io flusher')" = yes ] || fail "allowed, and no IO_FLUSHER"
		[ "$(json io_flusher)" = true ]
		for task in "/proc/$daemon/task"/*; do
			is_io_flusher "$task" || fail "$(cat "$task/comm") is no IO_FLUSHER"
		done
	else
		[ "$(status 'io flusher')" = no ] || fail "not allowed, and an IO_FLUSHER"
		[ "$(json io_flusher)" = false ]
	fi
}

# with_limits SOFT HARD EXPECTED: started as root without the right to lock what it likes
with_limits() {
	cat >"$tmp/limited" <<-END
		#!/bin/sh
		exec prlimit --memlock=$1:$2 setpriv --bounding-set=-ipc_lock -- "$CACHEWTFS" "\$@"
	END
	chmod +x "$tmp/limited"
	: >"$log"
	CACHEWTFS=$tmp/limited start_cachewtfs --cache-size 4M
	[ "$(status 'locked memory')" = "$3" ] || fail "limits $1:$2: locked memory is $(status 'locked memory'), not $3"
	[ "$(json locked_memory)" = "$3" ]
	io_flusher_is_as_allowed
	compare_image
}

lines_of_memory() { grep -c 'warning: .*memory' "$log" || true; }

make_image 8M
start_cachewtfs --cache-size 4M
[ "$(status 'locked memory')" = yes ] || fail "root may lock, and did not"
[ "$(locked_kib)" -gt 70000 ] || fail "only $(locked_kib) KiB are locked"
[ "$(lines_of_memory)" -eq 0 ]
io_flusher_is_as_allowed
stop_cachewtfs

# Who waits for the pidfile finds the memory locked: it comes last.
printf '#!/bin/sh\nexec strace -f -qq -o "%s" -e trace=mlockall,/rename "%s" "$@"\n' "$tmp/trace" "$CACHEWTFS" \
	>"$tmp/traced"
chmod +x "$tmp/traced"
CACHEWTFS=$tmp/traced start_cachewtfs
stop_cachewtfs
calls=$(sed -nE 's/^[0-9]+ +(mlockall|rename[a-z0-9]*)\(.*/\1/p' "$tmp/trace" | sed 's/^rename.*/pidfile/' | tr '\n' ' ')
[ "$calls" = "mlockall pidfile " ] || fail "not locked, then the pidfile, but: $calls"

# Enough for the buffers, not for the whole address space (tests/unit/test-memory has this too, where the limit cannot
# be raised); the soft limit is not the one that counts.
if prlimit --memlock=65536:$((192 << 20)) true 2>/dev/null; then
	with_limits 65536 $((192 << 20)) buffers
	[ "$(locked_kib)" -gt 70000 ] || fail "only $(locked_kib) KiB are locked"
	[ "$(lines_of_memory)" -eq 0 ]
	stop_cachewtfs
fi

# Not even for them: the metadata's pages alone, whose loss from the page cache could stop a loop.
with_limits 65536 $((4 << 20)) no
[ "$(lines_of_memory)" -eq 1 ] || fail "not one line: $(cat "$log")"
grep -qE 'warning: memory is not locked: [0-9]+ KiB are needed, the limit is 4096 KiB' "$log" || fail "$(cat "$log")"
if [ "$(locked_kib)" -lt 300 ] || [ "$(locked_kib)" -gt 4096 ]; then fail "$(locked_kib) KiB are locked"; fi
stop_cachewtfs

with_limits 0 0 no
[ "$(locked_kib)" -eq 0 ]
[ "$(lines_of_memory)" -eq 1 ] || fail "not one line: $(cat "$log")"
stop_cachewtfs
verify_mappings
