# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# Containers with podman and crun, of a minimal system that debootstrap makes once, in CONTAINER_ROOTFS.  What podman
# keeps is in the test's folder.
#
#	container NAME OPTION... -- COMMAND...		in the foreground
#	container_stop NAME				SIGTERM, as a container is stopped

# crun refuses to work where controllers are in both versions of cgroups; the mount namespace is this test's own.
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi

bin=$(dirname "$CACHEWTFS")
podman=(podman --root "$tmp/podman/storage" --runroot "$tmp/podman/run" --tmpdir "$tmp/podman/tmp" --runtime crun
	--storage-driver vfs --cgroup-manager cgroupfs --events-backend none)

container_cleanup() {
	local status=$?
	set +e
	{
		"${podman[@]}" rm --all --force --time 0
	} >/dev/null 2>&1
	(exit $status)
	cleanup
}
trap container_cleanup EXIT

# The libraries that the programs need, by the names that this release has for them.
packages_of_container() {
	local name list=fuse3
	for name in libaio1 libglib2.0-0 libjson-glib-1.0-0 libxxhash0; do
		if dpkg-query -W "${name}t64" >/dev/null 2>&1; then name=${name}t64; fi
		list+=,$name
	done
	echo "$list"
}

make_rootfs() {
	local codename
	exec 9>"$CONTAINER_ROOTFS.lock"
	flock 9
	if [ ! -d "$CONTAINER_ROOTFS" ]; then
		codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
		rm -rf --one-file-system "$CONTAINER_ROOTFS.new"
		debootstrap --variant=minbase --include="$(packages_of_container)" "$codename" "$CONTAINER_ROOTFS.new" \
			>"$tmp/debootstrap" 2>&1 || skip "needs debootstrap to work: $(tail -n 3 "$tmp/debootstrap")"
		mv "$CONTAINER_ROOTFS.new" "$CONTAINER_ROOTFS"
	fi
	exec 9>&-
}

# No cgroups of its own and few files and processes: as much as it gets in the poorest of places.
container() {
	local name=$1 options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	"${podman[@]}" run --name "$name" --rm --network none --cgroups disabled --log-driver none \
		--ulimit nofile=256:256 --ulimit nproc=256:256 --volume "$bin:/opt/cachewtfs:ro" \
		--env PATH=/opt/cachewtfs:/usr/sbin:/usr/bin:/sbin:/bin "${options[@]}" --rootfs "$CONTAINER_ROOTFS:O" "$@"
}

container_stop() { "${podman[@]}" stop --time 60 "$1" >/dev/null; }
