# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# For bench.sh: who is measured.  Each is set up as its own pages advise for a warm local cache, over the same
# image.  Those that go "by the page cache" have no option to do otherwise: on a disk their reads are reads of memory,
# for as long as memory holds both image and cache.

# name | how it is started | options | what this is
contenders_table() {
	cat <<'END'
raw | raw | | the image itself, no server: what the store gives
passthrough_ll | passthrough | cache=never | libfuse's example: no cache; cannot write a disk for clients with O_DIRECT
nbdfuse | nbdfuse | | nbdkit with its cache filter (writethrough, cache-on-read), 4 connections; by the page cache
qemu-storage-daemon | qemu | | its FUSE export, cache.direct=on, aio=native: no cache
s3backer | s3backer | | local test mode, 64 KiB blocks, cache file for all; writes back after 250 ms; by the page cache
cachewtfs | cachewtfs | | as it comes
cachewtfs-ack-both | cachewtfs | --ack=both | a write is answered after origin and cache
cachewtfs-ack-origin | cachewtfs | --ack=origin | a write is answered after the origin
cachewtfs-writearound | cachewtfs | --mode=writearound | writes go past the cache
cachewtfs-passthrough | cachewtfs | --mode=passthrough | reads too: the same path without a cache
cachewtfs-page-cache | cachewtfs | -o page_cache=on | cached handles
cachewtfs-busy-poll | cachewtfs | --busy-poll=50 | looks for work 50 us long before it sleeps
cachewtfs-io-uring | cachewtfs | -o io_uring | the kernel's ring for FUSE
END
}

# field NAME N: a field of its line.
field() { contenders_table | awk -F ' *[|] *' -v name="$1" -v n="$2" '$1 == name { print $n }'; }

# What each way of starting needs to be there: programs.
needs() {
	case $1 in
	passthrough) echo "$bin/passthrough_ll" ;;
	nbdfuse) echo nbdkit nbdfuse ;;
	qemu) echo qemu-storage-daemon ;;
	s3backer) echo s3backer ;;
	esac
}

# has_option WORD...: the names of all these options are in cachewtfs --help or in what it says of mount options.
has_option() {
	local help word name
	help=$("$CACHEWTFS" --help)
	for word; do
		[ "$word" != -o ] || continue
		name=${word%%=*}
		grep -qE -- "(^|[^[:alnum:]_-])$name([^[:alnum:]_-]|$)" <<<"$help" || return 1
	done
}

# find_contenders: sets usable, and notes who is missing.  A name that nobody has is wrong usage.
find_contenders() {
	local name way program options
	for name in $CONTENDERS; do
		if [ -z "$(field "$name" 1)" ] && [ -z "$(layout_field "$name" 1)" ]; then
			say "no contender \"$name\""
			exit 2
		fi
	done
	build_passthrough || true
	usable=()
	while read -r name; do
		is_wanted "$name" "$CONTENDERS" || continue
		way=$(field "$name" 2)
		for program in $(needs "$way"); do
			if command -v "$program" >/dev/null; then continue; fi
			note "missing: $name, for ${program##*/} is not here"
			continue 2
		done
		read -ra options <<<"$(field "$name" 3)"
		if [ "$way" = cachewtfs ] && ! has_option "${options[@]}"; then
			note "not in this build: $name (${options[*]})"
			continue
		fi
		usable+=("$name")
	done < <(contenders_table | awk -F ' *[|] *' '{ print $1 }')
}

# start_contender NAME, in $place: sets contender_file.
start_contender() {
	local options
	read -ra options <<<"$(field "$1" 3)"
	contender_file=$place/mnt/disk.img
	"start_$(field "$1" 2)" "${options[@]}" && return
	note "failed: $1 did not start ($(tail -n 1 "$log"))"
	return 1
}

# ------------------------------------------------------------------ one function for each way

start_raw() { contender_file=$place/stores/disk.img; }

# Compiled from the example that comes with libfuse3-dev; the compiler may be set by CC.
build_passthrough() {
	local source
	source=$(dpkg -L libfuse3-dev 2>/dev/null | grep '/passthrough_ll\.c\(\.gz\)\?$' | head -n 1)
	[ -n "$source" ] || return
	mkdir "$bin/example"
	cp "$(dirname "$source")"/passthrough_* "$bin/example/"
	gunzip -f "$bin/example"/*.gz 2>/dev/null || true
	# shellcheck disable=SC2046
	"${CC:-cc}" -O2 -DHAVE_POSIX_FALLOCATE -I"$bin/example" "$bin/example/passthrough_ll.c" \
		-o "$bin/passthrough_ll" $(pkg-config --cflags --libs fuse3) -pthread >>"$log" 2>&1
}

start_passthrough() {
	spawn "$bin/passthrough_ll" -f -o "$1,source=$place/stores" "$place/mnt"
	wait_mounted "$place/mnt"
}

# nbdkit and nbdfuse as two processes: a socket gives nbdfuse several connections, a subprocess only one.
start_nbdfuse() {
	rm -f "$bin/socket"
	TMPDIR=$place spawn nbdkit -f -U "$bin/socket" --filter=cache file "$place/stores/disk.img" cache=writethrough \
		cache-on-read=true
	wait_until test -S "$bin/socket" || return
	spawn nbdfuse "$place/mnt/disk.img" "nbd+unix:///?socket=$bin/socket"
	wait_mounted "$place/mnt"
}

start_qemu() {
	contender_file=$place/export.img
	: >"$contender_file"
	spawn qemu-storage-daemon \
		--blockdev "driver=file,node-name=image,filename=$place/stores/disk.img,cache.direct=on,aio=native" \
		--export "type=fuse,id=export,node-name=image,mountpoint=$contender_file,writable=on"
	wait_mounted "$contender_file" || return
	ending=TERM		# it does not end with its export
}

# No read-ahead: it asks for a block past the end, for which a cache of just all blocks has to give up one of them.
# It has a store of its own kind, a file for each block, filled once; writes to it take 0.1 s or so by design.  Each
# start takes a fresh copy of the cache file of then.  It is killed rather than stopped: it would first write back what the
# case before has left.
start_s3backer() {
	local dir=$place/s3backer
	if [ ! -d "$dir" ]; then
		mkdir -p "$dir/store"
		s3backer_serve --directIO --listBlocks --blockCacheThreads=256 || return
		timeout --kill-after=5 120 dd if="$place/stores/disk.img" of="$contender_file" bs=1M conv=notrunc \
			2>>"$log" || return
		stop_servers
		mv "$dir/cache" "$dir/cache.filled"
	fi
	cp "$dir/cache.filled" "$dir/cache"
	rm -f "$dir/store/s3backer-mounted"
	s3backer_serve --blockCacheNoVerify
	ending=KILL
}

s3backer_serve() {
	spawn s3backer --test -f --quiet --blockSize=64k --size="$size_bytes" --filename=disk.img \
		--blockCacheFile="$place/s3backer/cache" --blockCacheSize=$((size_bytes / 65536)) --md5CacheSize=0 \
		--md5CacheTime=0 --minWriteDelay=0 --readAhead=0 "$@" "$place/s3backer/store" "$place/mnt"
	wait_mounted "$place/mnt"
}

# All modes share one pair of cache and metadata, as one user who changes his mind would.  Other contenders have
# written the image meanwhile; then it starts cold, and is warmed like all the others.
start_cachewtfs() {
	spawn "$CACHEWTFS" -f --cache "$place/cache" --metadata "$place/metadata" \
		--cache-size $((size_bytes + (64 << 20))) "$@" "$place/stores/disk.img" "$place/mnt"
	wait_mounted "$place/mnt"
}
