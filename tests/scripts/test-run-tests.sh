#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run-tests.sh ends with a status other than 0 when anything failed or nothing was tried, and says so in its last line.
# In a copy, with a configure and a make that do what the case says.
set -euo pipefail
cd "${srcdir:-.}"
unset CI MAKEFLAGS PHASE_TIMEOUT

dir=$(mktemp -d "${TMPDIR:-/tmp}/cachewtfs-test.XXXXXX")
trap 'rm -rf "$dir"' EXIT
tree=$dir/tree
mkdir -p "$tree/.ci" "$tree/scripts" "$dir/bin"
cp run-tests.sh "$tree/"
cp .ci/run "$tree/.ci/"
cp scripts/places.sh "$tree/scripts/"
# shellcheck disable=SC2016
echo 'install_packages() { [ -z "${NO_PACKAGES:-}" ]; }' >"$tree/scripts/packages.sh"

# make all builds; any other target is what tests are run by.
cat >"$tree/configure" <<'END'
#!/bin/sh
[ -z "${CONFIGURE_FAILS:-}" ] || { echo "configure: no compiler"; exit 1; }
touch Makefile
END
cat >"$dir/bin/make" <<'END'
#!/bin/bash
case " $* " in *" all "*) [ -z "${MAKE_FAILS:-}" ]; exit ;; esac
counts() { printf '# TOTAL: %d\n# PASS:  %d\n# SKIP:  %d\n# XFAIL: 0\n# FAIL:  %d\n# XPASS: 0\n# ERROR: %d\n' "$@"; }
[[ " $* " != *" print-tests "* ]] || exit 0
case $TESTS_DO in
pass) counts 3 3 0 0 0 ;;
fail) echo "FAIL: tests/one"; counts 3 2 0 1 0; exit 2 ;;
error) counts 3 2 0 0 1; exit 2 ;;
fail-quietly) counts 3 2 0 1 0 ;;
die) counts 3 3 0 0 0; kill -9 $$ ;;
hang) echo $$ "$(cut -d' ' -f4 "/proc/$PPID/stat")" >"$HANGS"; sleep 60 ;;	# ours, and run-tests.sh above timeout
skip) echo "SKIP: tests/two"; counts 3 2 1 0 0 ;;
skip-all) echo "skipped: nothing to try it with" ;;
nothing) ;;
esac
END
chmod +x "$tree/configure" "$dir/bin/make"

# ends STATUS LAST-LINE [VARIABLE=VALUE ...] COMMAND [PHASE...]: STATUS is a pattern.
ends() {
	local wanted=$1 line=$2 status=0
	shift 2
	rm -rf "$tree/build"
	env HANGS="$dir/hangs" PATH="$dir/bin:$PATH" "$@" >"$dir/out" 2>"$dir/err" || status=$?
	if ! [[ $status =~ ^($wanted)$ ]] || [ "$(tail -n 1 "$dir/out")" != "$line" ]; then
		echo "FAIL: $*: status $status, last \"$(tail -n 1 "$dir/out")\", expected $wanted, \"$line\""
		cat "$dir/out" "$dir/err"
		exit 1
	fi >&2
}

gcc=("$tree/run-tests.sh" gcc)

ends 0 "3 passed, 0 failed" TESTS_DO=pass "${gcc[@]}"
ends 0 "30 passed, 0 failed" TESTS_DO=pass CI=true "$tree/.ci/run"
ends 1 "20 passed, 10 failed" TESTS_DO=fail CI=true "$tree/.ci/run"
ends 1 "2 passed, 1 failed" TESTS_DO=fail "${gcc[@]}"
grep -qx 'FAIL: tests/one' "$dir/out"
ends 1 "2 passed, 1 failed" TESTS_DO=error "${gcc[@]}"
ends 1 "2 passed, 1 failed" TESTS_DO=fail-quietly "${gcc[@]}"
ends 1 "3 passed, 1 failed" TESTS_DO=die "${gcc[@]}"
ends 1 "0 passed, 1 failed" TESTS_DO=nothing CI=true "${gcc[@]}"
ends 1 "0 passed, 0 failed, 1 skipped" TESTS_DO=nothing "${gcc[@]}"
ends 1 "0 passed, 1 failed" TESTS_DO=pass CONFIGURE_FAILS=1 "${gcc[@]}"
ends 1 "0 passed, 1 failed" TESTS_DO=pass MAKE_FAILS=1 "${gcc[@]}"
ends 1 "0 passed, 1 failed" TESTS_DO=pass NO_PACKAGES=1 "${gcc[@]}"
ends 2 "0 passed, 1 failed" TESTS_DO=pass "$tree/run-tests.sh" no-such-phase
ends 2 "0 passed, 1 failed" TESTS_DO=pass "$tree/run-tests.sh" gcc ''

ends 0 "2 passed, 0 failed, 1 skipped" TESTS_DO=skip "${gcc[@]}"
ends 1 "2 passed, 1 failed" TESTS_DO=skip CI=true "${gcc[@]}"
ends 1 "0 passed, 0 failed, 1 skipped" TESTS_DO=skip-all "$tree/run-tests.sh" io_uring
ends 1 "0 passed, 1 failed" TESTS_DO=skip-all CI=true "$tree/run-tests.sh" io_uring

# What takes too long is ended, and so is what runs when run-tests.sh itself is told to end.
ends 1 "0 passed, 1 failed" TESTS_DO=hang PHASE_TIMEOUT=1 "${gcc[@]}"
grep -q 'did not end within 1 s' "$dir/out"
rm "$dir/hangs"
(
	while [ ! -s "$dir/hangs" ]; do sleep 0.1; done
	kill "$(cut -d' ' -f2 "$dir/hangs")"
) &
ends 143 "0 passed, 1 failed" TESTS_DO=hang "${gcc[@]}"
hung=$(cut -d' ' -f1 "$dir/hangs")
for ((i = 0; i < 100; i++)); do
	[ -d "/proc/$hung" ] || break
	sleep 0.1
done
[ ! -d "/proc/$hung" ]

# A phase that is left at once counts, too.
sed 's/^phase_gcc() {/&\n\treturn/' run-tests.sh >"$tree/run-tests.sh"
ends 1 "0 passed, 1 failed" TESTS_DO=pass "${gcc[@]}"
