# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2153,SC2154
#
# For bench.sh: work on an ext4 in an image whose origin is slow, against the same image as a local file.
#
# The slow origin is nbdkit's file plugin behind its delay filter (5 ms for each read and write) and its rate filter
# (50 MB/s each way), mounted by nbdfuse.  Not our own --fault origin:any:delay=5: that has no rate, and it would be
# cachewtfs that says how slow its origin is; this one is the same file for everybody.  A flush costs nothing extra.
#
#	FS_SIZE=384M	of the image
#	FS_TREE=full	what is in it: the sources of this project and the system's headers; small: the sources alone
#	FS_DELAY=5ms FS_RATE=400M	of the origin, the rate in bits per second
#
# In each round every layout gets a fresh copy of the image and works through it twice.  The first run is cold, the
# second warm; before each step the file system is mounted anew, so that the page cache has nothing of it.
FS_SIZE=${FS_SIZE:-384M} FS_TREE=${FS_TREE:-full} FS_DELAY=${FS_DELAY:-5ms} FS_RATE=${FS_RATE:-400M}

# name | how the image is reached | what this is
layouts_table() {
	cat <<'END'
local-file | local | the image as a local file
slow-origin | slow | the slow origin itself
slow-nbdkit-cache | slow --filter=cache | the slow origin behind nbdkit's cache filter, writethrough
slow-cachewtfs | slow cachewtfs | the slow origin through cachewtfs, cache on the disk
END
}
layout_field() { layouts_table | awk -F ' *[|] *' -v name="$1" -v n="$2" '$1 == name { print $n }'; }

# Steps, in their order, each a function step_NAME that works in $fs/tree.
steps=(read checkout build write)

# run_filesystem ROUND
run_filesystem() {
	local name program wanted=()
	for name in $(layouts_table | cut -d" " -f1); do
		if is_wanted "$name" "$CONTENDERS"; then wanted+=("$name"); fi
	done
	if [ ${#wanted[@]} -eq 0 ]; then return; fi
	if [ "$(id -u)" -ne 0 ]; then
		note "filesystem: not measured, mount and losetup need root"
		return
	fi
	for program in nbdkit nbdfuse git mkfs.ext4; do
		command -v $program >/dev/null && continue
		note "missing: filesystem, for $program is not here"
		return
	done
	if [ -z "${work[files]:-}" ]; then make_filesystem; fi
	place=${work[files]}
	for name in "${wanted[@]}"; do
		say "round $1 of $ROUNDS: filesystem, $name"
		cp "$place/master.img" "$place/origin/disk.img"
		sync -f "$place"
		if reach "$name"; then run_layout "$1" "$name"; else note "failed: $name ($(tail -n 1 "$log"))"; fi
		stop_servers
		rm -rf "$place/cache" "$place/metadata" "$place/origin/disk.img"
	done
}

# make_filesystem: master.img, an ext4 with a git repository of two commits; HEAD is the first, "next" the second.
make_filesystem() {
	local tree
	work[files]=$(mktemp -d "$DISK/cachewtfs-bench.XXXXXX")
	place=${work[files]}
	tree=$place/root/tree
	mkdir -p "$place/origin" "$place/slow" "$place/mnt" "$place/fs" "$tree/usr/include"
	sources | tar -C "$source_dir" --null -T - -cf - | tar -C "$tree" -xf -
	if [ "$FS_TREE" = full ]; then
		cp -r /usr/include/*.h "$tree/usr/include/"
		cp -r /usr/include/{linux,asm-generic,"$(gcc -print-multiarch)"} "$tree/usr/include/"
	fi
	commit_twice "$tree" >>"$log"
	truncate -s "$FS_SIZE" "$place/master.img"
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -d "$place/root" "$place/master.img" >>"$log" 2>&1
	tar -C "$tree" -cf "$place/tree.tar" lib src tests usr
	rm -rf "$place/root"
}

# The project's sources, without what a build has left among them.
sources() {
	(cd "$source_dir" && find lib src tests man examples -type f \( -name "*.[ch1-8]" -o -name "*.sh" -o -name "*.mk" \
		-o -name "*.pml" -o -name "*.hex" \) -print0)
}

commit_twice() {
	local git=(git -C "$1" -c user.name=bench -c user.email=bench@localhost -c gc.auto=0 \
		-c init.defaultBranch=main -c commit.gpgsign=false)
	"${git[@]}" init -q
	"${git[@]}" add -A
	"${git[@]}" commit -q -m first
	"${git[@]}" checkout -q -b next
	find "$1" -path "$1/.git" -prune -o -type f -name '*[ace].[ch]' -exec sed -i '$a /* changed */' {} +
	"${git[@]}" commit -q -a -m second
	"${git[@]}" checkout -q -b work HEAD~1
	"${git[@]}" repack -q -a -d
}

# reach LAYOUT: starts what it needs, sets loop.
reach() {
	local how file=$place/origin/disk.img
	read -ra how <<<"$(layout_field "$1" 2)"
	if [ "${how[0]}" = slow ]; then
		serve_slowly "${how[@]:1}" || return
		file=$place/slow/disk.img
	fi
	if [ "${how[1]:-}" = cachewtfs ]; then
		spawn "$CACHEWTFS" -f --cache "$place/cache" --metadata "$place/metadata" --cache-size "$FS_SIZE" \
			"$file" "$place/mnt"
		wait_mounted "$place/mnt" || return
		file=$place/mnt/disk.img
	fi
	loop=$(losetup --find --show --direct-io=on "$file" 2>>"$log")
}

serve_slowly() {
	local cache=() options=()
	if [ "${1:-}" = --filter=cache ]; then
		cache=(--filter=cache)
		options=(cache=writethrough cache-on-read=true)
	fi
	rm -f "$bin/slow-socket"
	TMPDIR=$place spawn nbdkit -f -U "$bin/slow-socket" "${cache[@]}" --filter=delay --filter=rate \
		file "$place/origin/disk.img" "${options[@]}" "rdelay=$FS_DELAY" "wdelay=$FS_DELAY" "rate=$FS_RATE"
	wait_until test -S "$bin/slow-socket" || return
	spawn nbdfuse "$place/slow/disk.img" "nbd+unix:///?socket=$bin/slow-socket"
	wait_mounted "$place/slow"
}

# ------------------------------------------------------------------ the work

run_layout() {
	local run step
	for run in cold warm; do
		for step in "${steps[@]}"; do timed_step "$1" "$2" "$run" "$step"; done
		mount_filesystem
		undo
		unmount_filesystem "$fs"
	done
}

mount_filesystem() {
	fs=$place/fs
	mount "$loop" "$fs"
	filesystems=("$fs")
}

# timed_step ROUND LAYOUT RUN STEP: two times, that until the command ends and that until its writes are on the disk.
timed_step() {
	local begin ended synced before
	mount_filesystem
	before=$(ticks)
	begin=$(date +%s%N)
	if ! "step_$4" >>"$log" 2>&1; then note "failed: $2, $4, $3 ($(tail -n 1 "$log"))"; fi
	ended=$(date +%s%N)
	sync -f "$fs"
	synced=$(date +%s%N)
	jq -nc --argjson round "$1" --arg contender "$2" --arg run "$3" --arg step "$4" \
		--argjson command_ns $((ended - begin)) --argjson synced_ns $((synced - begin)) \
		--argjson ticks $(($(ticks) - before)) --argjson hz "$(getconf CLK_TCK)" \
		'{ $round, store: "slow origin", via: "filesystem", $contender, case: "\($step)-\($run)",
		seconds: (($command_ns / 1e6 | round) / 1e3), synced_seconds: (($synced_ns / 1e6 | round) / 1e3),
		cpu_s: ($ticks / $hz) }' >>"$OUT/results.jsonl"
	unmount_filesystem "$fs"
	filesystems=()
}

# All files of the tree.
step_read() { tar -C "$fs/tree" -cf - lib src tests man usr | cat >/dev/null; }

step_checkout() { git -C "$fs/tree" checkout -q next; }

# Each C file of the library that needs nothing configured, with the headers of the image where it has them.
step_build() {
	local root=/ dirs=("$fs/tree/lib/base")
	if [ "$FS_TREE" = full ]; then
		root=$fs/tree
		dirs+=("$fs/tree/lib/metadata" "$fs/tree/lib/policy" "$fs/tree/lib/device")
	fi
	mkdir "$fs/objects"
	# shellcheck disable=SC2016
	find "${dirs[@]}" -name '*.c' -print0 | xargs -0 -P 2 -I{} sh -c \
		'gcc --sysroot="$1" -std=gnu11 -O1 -D_GNU_SOURCE -I"$2" -c "$3" -o "$4/$(basename "$3").o"' \
		build "$root" "$fs/tree/lib" {} "$fs/objects"
}

step_write() {
	mkdir "$fs/copy"
	tar -C "$fs/copy" -xf "$place/tree.tar"
}

undo() {
	git -C "$fs/tree" checkout -q work
	rm -rf "$fs/objects" "$fs/copy"
}
