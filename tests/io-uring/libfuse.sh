# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# A libfuse with rings, for a system that has none; sourced by io-uring.sh.
#
#	newer_libfuse WORK	sets PKG_CONFIG_PATH to that of a libfuse of 3.18 or later that can do io_uring.  Fails,
#				and says why in one line, where none can be had
#
# The source is that of Debian's package in unstable, fetched by apt with lists of its own, so that nothing of the
# system's apt is changed, and checked by apt against Debian's keys.  It is built here because Debian's binary packages
# are built without rings.

libfuse_needs=3.18
debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

# Does the libfuse that pkg-config finds have rings?  Its calls are there also if it was built without them; then it
# does not need liburing.
libfuse_has_rings() {
	pkg-config --atleast-version=$libfuse_needs fuse3 || return 1
	# Not by grep -q: it ends at the first line that it likes, and ldd, still writing, would be the one that failed.
	[[ $(ldd "$(pkg-config --variable=libdir fuse3)/libfuse3.so" 2>/dev/null) == *liburing* ]]
}

fetch_libfuse() {
	local apt=(apt-get -q -o "Dir::State=$PWD/apt" -o "Dir::State::status=$PWD/apt/status"
		-o "Dir::Cache=$PWD/apt/cache" -o "Dir::Etc::sourcelist=$PWD/apt/debian.sources" -o Dir::Etc::sourceparts=- -o Acquire::Languages=none
		-o APT::Update::Error-Mode=any -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o APT::Sandbox::User=root)
	mkdir -p apt/lists/partial apt/cache/archives/partial
	: >apt/status
	cat >apt/debian.sources <<-END
		Types: deb-src
		URIs: ${DEBIAN_MIRROR:-http://deb.debian.org/debian}
		Suites: sid
		Components: main
		Signed-By: $debian_keys
	END
	timeout 120 "${apt[@]}" update && timeout 60 "${apt[@]}" --download-only source fuse3
}

build_libfuse() {
	mkdir -p source prefix
	tar -xf fuse3_*.orig.tar.?z -C source --strip-components=1
	meson setup build source --prefix="$PWD/prefix" --libdir=lib --buildtype=release -Denable-io-uring=true \
		-Dutils=false -Dexamples=false -Dtests=false && ninja -C build install
}

newer_libfuse() {
	local name here=$1/libfuse
	libfuse_has_rings && return
	for name in apt-get meson ninja; do
		command -v "$name" >/dev/null || { echo "$name is not installed"; return 1; }
	done
	[ -r $debian_keys ] || { echo "$debian_keys is not there"; return 1; }
	mkdir -p "$here"
	export PKG_CONFIG_PATH=$here/prefix/lib/pkgconfig
	libfuse_has_rings && return		# of an earlier run, in the same folder
	(cd "$here" && fetch_libfuse) >"$here/fetch.log" 2>&1 ||
		{ echo "its source cannot be fetched: $(grep -E '^(E|W):' "$here/fetch.log" | tail -n 1)"; return 1; }
	(cd "$here" && build_libfuse) >"$here/build.log" 2>&1 ||
		{ echo "it cannot be built: $(grep -iE 'error' "$here/build.log" | tail -n 1)"; return 1; }
	libfuse_has_rings || { echo "liburing or libnuma was not found: no rings in it"; return 1; }
}
