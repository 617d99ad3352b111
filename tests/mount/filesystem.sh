# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# A file system on a loop device over the mounted image.

fs=$tmp/fs
mkdir "$fs"

fs_mount() {
	attach_loop "$image"
	mount "$loop" "$fs"
}

fs_umount() {
	umount "$fs"
	detach_loop "$loop"
}

# make_repository DIR: a local repository with some commits of real files.
make_repository() {
	local file n=0
	git init -q "$1"
	git -C "$1" config user.name tester
	git -C "$1" config user.email tester@localhost
	for file in "${srcdir:-.}"/lib/*/*.[ch] "${srcdir:-.}"/tests/unit/*.c "${srcdir:-.}"/COPYING; do
		cp "$file" "$1/$((n % 7))-$(basename "$file")"
		if ((++n % 5 == 0)); then
			git -C "$1" add -A
			git -C "$1" commit -q -m "$n files"
		fi
	done
	git -C "$1" gc -q
}

# filesystem_test MKFS...: files, a git clone, changes, then everything again after a restart.
filesystem_test() {
	local sums=$tmp/sums
	truncate -s 320M "$origin"
	make_repository "$tmp/repository"

	start_cachewtfs --cache-size 48M
	attach_loop "$image"
	"$@" "$loop"
	mount "$loop" "$fs"
	cp -r /etc "$fs/etc" 2>/dev/null || true	# some of it may not be ours to read
	git clone -q --no-local "file://$tmp/repository" "$fs/clone"
	git -C "$fs/clone" fsck --full --strict
	fs_umount
	fs_mount					# read back through the mount, not from the page cache
	git -C "$fs/clone" fsck --full --strict
	[ -z "$(git -C "$fs/clone" status --porcelain)" ] || fail "the clone's files differ from its commits"
	(cd "$fs" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$sums"
	[ "$(wc -l <"$sums")" -gt 50 ]
	fs_umount
	compare_image
	expect 'read hits' -gt 0
	expect 'write hits' -gt 0
	stop_cachewtfs
	verify_mappings

	start_cachewtfs
	fs_mount
	(cd "$fs" && sha256sum --quiet -c "$sums")
	rm -r "${fs:?}/etc"
	git -C "$fs/clone" checkout -q -b other HEAD~2
	git -C "$fs/clone" fsck --full --strict
	fs_umount
	expect 'read hits' -gt 0
	compare_image
	stop_cachewtfs
	verify_mappings
}
