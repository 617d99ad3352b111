#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every example of README.md, of the man pages and of examples/ works as it is printed, with /nfs, /ssd and /mnt in a
# folder of the test.  Each is in the table below, by the page and by how it begins; one that is not there, or is no
# longer printed, is a failure.
# shellcheck source=private-mounts.sh
. "${srcdir:-.}/tests/mount/private-mounts.sh"
TEST_TIMEOUT=${TEST_TIMEOUT:-400}
# shellcheck source=functions.sh
. "${srcdir:-.}/tests/mount/functions.sh"
require fuse loop mkfs.ext4 jq mount.fuse3

# HOW, the page, how the example begins, and for what cannot be run here why not.
#
#	run		over an origin of 32 MiB
#	mounted AT	with that mounted at AT
#	fails AT	so, and the command must fail with the line that is printed beneath it
#	options AT	each line is options of a mount
#	fstab		the line of an fstab
#	script ARGUMENT	one of examples/
#	no		not run
table() {
	cat <<-'END'
	run|README.md|cachewtfs --cache /ssd|
	no|README.md|./quickstart.sh|tests/scripts/test-quickstart.sh and test-run-tests.sh run them, in a copy
	no|README.md|autoreconf -i|the build itself; run-tests.sh has a phase that installs (distcheck)
	run|README.md|truncate -s 10G|
	no|README.md|make bench|takes hours; tests/bench/test-bench.sh runs a short one
	no|cachewt-metadata.5|z = k|a formula
	no|cachewt-metadata.5|cachewt_metadata|the text form, compared with tests/golden/metadata.dump
	run|cachewt.1|cachewtfs -f|
	mounted disk|cachewt.1|cachewt status --json|
	run|cachewt.1|cachewt format|
	mounted disk|cachewt.1|$ fusermount3 -u|
	mounted disk|cachewt.1|fusermount3 -u /mnt/disk|
	no|cachewtfs-internals.7|read    enter|a table
	fails .|cachewtfs.1|$ cp new.img|
	mounted .|cachewtfs.1|$ dd if=new.img|
	options disk|cachewtfs.1|--fault origin:write|
	run|cachewtfs.1|$ cachewtfs --cache|
	run|cachewtfs.1|# cachewtfs /nfs|
	fstab|cachewtfs.1|/nfs/disk.img|
	no|cachewtfs.1|$ docker run|tests/mount/test-container.sh does so with podman
	no|libcachewt.3|struct cwt_error|a part of a program; examples/simple.c is all of one
	no|simple.c|sudo ldconfig|wants the library installed; tests/unit/test-example-simple.sh runs the program
	script container|container.sh|container.sh ORIGIN|
	no|container.sh|docker run|tests/mount/test-container.sh does so with podman
	script loop-device|loop-device.sh|loop-device.sh [FOLDER]|
	END
}

sources=$(cd "${srcdir:-.}" && pwd)
world=$tmp/world
mkdir "$tmp/var-cache" "$tmp/bin"
mount --bind "$tmp/var-cache" /var/cache		# the default cache of root is the test's
ln -s "$CACHEWTFS" "$tmp/bin/cachewtfs"
ln -s "$CACHEWT" "$tmp/bin/cachewt"
export PATH=$tmp/bin:$PATH

mapped() { sed -E "s#/(nfs|ssd|mnt)\\b#$world/\\1#g"; }

# Of a page that shows prompts the commands are what is behind them, to the end of the last line of each.
commands() {
	if grep -qE '^[$#] ' "$1"; then
		awk '/^[$#] / || more { sub(/^[$#] /, ""); print; more = /\\$/ }' "$1"
	else
		sed -E 's/^cachewt status --watch [^#]*/timeout 3 &|| [ $? -eq 124 ] /' "$1"	# would never end
	fi
}

world_make() {
	mkdir -p "$world"/{nfs,ssd,mnt/disk,mnt/image}
	make_image 32M "$world/nfs/disk.img"
	mkfs.ext4 -q -F -E nodiscard "$world/nfs/disk.img"
	make_image 32M "$world/new.img"
}

world_mount() {
	[ "$1" != . ] || rmdir "$world"/mnt/*	# a mountpoint is empty
	cachewtfs --cache "$world/ssd/disk.cache" --metadata "$world/ssd/disk.meta" --cache-size 8M "${@:2}" \
		"$world/nfs/disk.img" "$world/mnt/$1"
	cmp "$world/nfs/disk.img" "$world/mnt/$1/disk.img"
	cmp -n 4M "$world/nfs/disk.img" "$world/mnt/$1/disk.img"
}

# Whatever is left mounted or attached; cachewt check waits for the daemon's end.
world_remove() {
	local name meta
	for name in $(loops_of_test); do losetup -d "$name"; done
	mounts_of_test | { grep -F "$world/" || true; } | while IFS= read -r name; do detach umount "$name"; done
	for meta in "$world"/ssd/*meta "$world"/ssd/m; do
		[ ! -e "$meta" ] || cachewt check "$meta" >/dev/null || fail "$meta is damaged"
	done
	rm -rf --one-file-system "$world" "$tmp"/var-cache/*
}

run() { (cd "$world" && bash -euo pipefail "$1") >"$tmp/out" 2>&1; }


run_example() {
	local how=$1 file=$2 at=${1#* } line what where type options
	world_make
	commands "$file" | mapped >"$tmp/commands"
	case $how in
	run) run "$tmp/commands" || fail "$(cat "$tmp/out")" ;;
	mounted*)
		world_mount "$at"
		run "$tmp/commands" || fail "$(cat "$tmp/out")"
		;;
	fails*)
		world_mount "$at"
		! run "$tmp/commands" || fail "it does not fail"
		mapped <"$file" | tail -n 1 | cmp - "$tmp/out" || fail "it says: $(cat "$tmp/out")"
		;;
	options*)
		while IFS= read -r line; do
			eval "set -- $line"
			cachewtfs --cache "$world/ssd/disk.cache" --metadata "$world/ssd/disk.meta" --cache-size 8M "$@" \
				"$world/nfs/disk.img" "$world/mnt/$at" 2>"$tmp/err" && { detach umount "$world/mnt/$at"; continue; }
			# A cache that fails from the start may be refused, by its name.
			[[ $line == *cache:any:error=ENODEV ]] || fail "$line: $(cat "$tmp/err")"
			grep -q 'disk.cache: .*No such device' "$tmp/err" || fail "$line: $(cat "$tmp/err")"
		done <"$file"
		;;
	fstab)
		# What mount(8) runs for it; that would have a PATH of its own, in which the program is not.
		read -r what where type options _ <"$tmp/commands"
		mount.fuse3 "$what" "$where" -t "$type" -o "$options" || fail "mount.fuse3"
		cmp "$world/nfs/disk.img" "$world/mnt/image/disk.img"
		;;
	*container)
		if ! unshare --user --map-root-user --mount true; then skip "needs user namespaces"; fi
		"$sources/examples/container.sh" "$world/nfs/disk.img" cmp "$world/nfs/disk.img" || fail "container.sh"
		;;
	*loop-device)
		mkdir "$world/loop"
		"$sources/examples/loop-device.sh" "$world/loop" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
		;;
	*) fail "the table's \"$how\" is no way to run it" ;;
	esac
	world_remove
}

mkdir "$tmp/examples"
awk -f "$sources/tests/mount/examples.awk" "$sources/README.md" "$sources"/man/*.[1-8] "$sources"/examples/*.c \
	"$sources"/examples/*.sh | awk -F'\t' -v dir="$tmp/examples" '{ print substr($0, length($1) + 2) >(dir "/" $1) }'
nr=0
for file in "$tmp"/examples/*; do
	page=${file##*/} first=$(head -n 1 "$file") known=
	page=${page% *}
	while IFS='|' read -r how on begins why; do
		if [ "$on" != "$page" ] || [ "${first#"$begins"}" = "$first" ]; then continue; fi
		known=yes
		echo "$on|$begins" >>"$tmp/seen"
		echo "$page: $first: $how ${why:-}"
		[ "$how" = no ] || run_example "$how" "$file"
		nr=$((nr + 1))
	done < <(table)
	[ -n "$known" ] || fail "$page has an example that this test does not know: $first"
done
diff <(table | cut -d'|' -f2,3 | sort) <(sort "$tmp/seen") || fail "the table has what no page has, or one for two"
[ $nr -ge 20 ]
