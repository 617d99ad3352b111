# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# Where the sources are and where to build; sourced by quickstart.sh and run-tests.sh, which set here first.
#
#	find_places		sets source and build
#
# Usually the folder itself and build/ in it.  But autotools cannot work in a path with a space or another character
# that means something to the shell or to make: then the sources are reached by a link, and what is built lies beside
# that link, in the user's cache, where the next run finds it again.

is_plain_path() {
	local LC_ALL=C
	case $1 in
	*[!A-Za-z0-9_/.+@=,~-]*) return 1 ;;
	/*) return 0 ;;
	*) return 1 ;;
	esac
}

find_places() {
	local base=${XDG_CACHE_HOME:-${HOME:-}/.cache}/cachewtfs-build place
	source=$here build=$here/build
	is_plain_path "$here" && return
	is_plain_path "$base" || base=/var/tmp/cachewtfs-build.$(id -u)
	place=$base/$(sha256sum <<<"$here" | cut -c 1-16)
	if ! (umask 077 && mkdir -p "$place") || [ ! -O "$base" ] || [ -L "$base" ] ||
		! ln -sfn "$here" "$place/source"; then
		echo "$base: cannot be used to build in (not ours, or no space?)" >&2
		return 1
	fi
	source=$place/source build=$place/build
	echo "autotools cannot work in \"$here\", for its name: building in $build"
}
