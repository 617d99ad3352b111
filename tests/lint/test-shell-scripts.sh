#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All scripts pass shellcheck, and those that are run directly can be.
set -euo pipefail
cd "${srcdir:-.}"

if ! command -v shellcheck >/dev/null; then
	echo "shellcheck is not installed" >&2
	[ "${CI:-}" = true ] && exit 1
	exit 77
fi
mapfile -d '' scripts < <(find quickstart.sh run-tests.sh .ci/run scripts examples tests \
	\( -name '*.sh' -o -path .ci/run \) -type f -print0)
shellcheck -x -P SCRIPTDIR -e SC2119,SC2120 "${scripts[@]}"
for script in "${scripts[@]}"; do
	case $(head -c 2 "$script") in
	'#!') [ -x "$script" ] || { echo "$script: not executable" >&2; exit 1; } ;;
	esac
done
