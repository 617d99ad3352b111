#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# quickstart.sh in a copy of the tree with small sources, built by the real autotools, whose cachewtfs only says what it
# was asked to mount: a build that fails is noticed, also after a good one, relative paths are the caller's, the tree may
# lie in a path with a space, and what is said is short and can be done.
set -euo pipefail
cd "${srcdir:-.}"
unset MAKEFLAGS MAKELEVEL MFLAGS

fail() {
	echo "FAIL at line ${BASH_LINENO[0]}: $*" >&2
	tail -n 30 "$dir/out" >&2
	exit 1
}
for tool in autoreconf cc make; do
	command -v $tool >/dev/null && continue
	echo "SKIP: needs $tool" >&2
	[ "${CI:-}" = true ] && exit 1
	exit 77
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/cachewtfs-test.XXXXXX")
trap 'rm -rf "$dir"' EXIT
tree="$dir/a tree"
mkdir -p "$tree/scripts" "$tree/src" "$dir/bin" "$dir/home" "$dir/caller/my mount"
export XDG_CACHE_HOME=$dir/home
cp quickstart.sh "$tree/"
cp scripts/packages.sh scripts/places.sh "$tree/scripts/"

cat >"$tree/configure.ac" <<'END'
AC_INIT([quickstart-test], [1])
AM_INIT_AUTOMAKE([foreign subdir-objects])
AC_PROG_CC
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
END
cat >"$tree/Makefile.am" <<'END'
bin_PROGRAMS = src/cachewtfs
src_cachewtfs_SOURCES = src/main.c
END
cat >"$tree/src/main.c" <<'END'
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (access(argv[i], F_OK) == 0)
			printf("got %s\n", argv[i]);
	return 0;
}
END

# dpkg knows all packages, or with MISSING one is missing; apt-get says a lot.
cat >"$dir/bin/dpkg-query" <<'END'
#!/bin/sh
[ "${*#*$MISSING}" = "$*" ] || [ -z "$MISSING" ] || exit 1
echo installed
END
cat >"$dir/bin/apt-get" <<'END'
#!/bin/sh
echo "$*" >>"$APT_CALLS"
seq 600
[ -z "$APT_FAILS" ]
END
# shellcheck disable=SC2016
printf '#!/bin/sh\necho %s\n' '"${USER_ID:-0}"' >"$dir/bin/id"
chmod +x "$dir/bin"/*
export APT_CALLS=$dir/apt-calls APT_FAILS='' MISSING='' PATH=$dir/bin:$PATH

# quickstart STATUS ARGUMENT...: in the caller's folder
quickstart() {
	local wanted=$1 status=0
	shift
	(cd "$dir/caller" && "$tree/quickstart.sh" "$@") >"$dir/out" 2>&1 || status=$?
	[ $status = "$wanted" ] || fail "status $status, not $wanted"
}
says() { grep -qE -- "$1" "$dir/out" || fail "it does not say \"$1\""; }
says_not() { ! grep -qE -- "$1" "$dir/out" || fail "it says \"$1\""; }

# Found in the caller's folder, not in the tree, where a file of that name lies too.
touch "$dir/caller/disk.img" "$tree/only-in-the-tree" "$tree/disk.img"
MISSING=libaio-dev quickstart 0 disk.img 'my mount'
says '^Installing libaio-dev .* [0-9]+ s$'
says '^  autoreconf \.\.\. [0-9]+ s$'
says '^  make \.\.\. [0-9]+ s$'
says "autotools cannot work in \"$tree\""
says '^got disk.img$'
says '^got my mount$'
says 'losetup -f --show --direct-io=on .*my\\ mount/disk\.img$'
[ "$(wc -l <"$dir/out")" -le 16 ] || fail "too much is said"
[ "$(head -n 1 "$APT_CALLS")" = '-q update' ] || fail "installed without an update: $(cat "$APT_CALLS")"
quickstart 1 only-in-the-tree 'my mount'
says 'only-in-the-tree: there is no such image'
quickstart 1 disk.img nowhere
says 'nowhere: there is no such folder'

# A plain user gets no advice that only root can follow.
USER_ID=1000 quickstart 0 "$dir/caller/disk.img" "$dir/caller/my mount"
says 'allow_other'
says_not 'losetup -f'

# A line for the user who cannot install it himself, and for one whose apt-get fails.
MISSING=libaio-dev APT_FAILS=1 quickstart 1 disk.img 'my mount'
says 'apt-get update && apt-get install libaio-dev$'
says 'failed after [0-9]+ s$'

# The program of the last good build is not run.
echo junk >>"$tree/src/main.c"
quickstart 1 disk.img 'my mount'
says 'the build failed'
says 'main\.c:[0-9]+'
says_not '^got'
quickstart 1
says 'the build failed'
