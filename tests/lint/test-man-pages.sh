#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The man pages are well-formed, and page and --help name the same options.
set -euo pipefail
failed=0

if ! command -v mandoc >/dev/null; then
	echo "mandoc is not installed" >&2
	[ "${CI:-}" = true ] && exit 1
	exit 77
fi

for page in "${srcdir:-.}"/man/*.[1-8]; do
	mandoc -T lint -W warning "$page" || failed=1
done

# Long options as the program's help names them.
help_options() { grep -oE -- '(^|[^[:alnum:]-])--[a-z][a-z-]*' | grep -oE -- '--[a-z-]+' | sort -u; }

# Long options as the page marks them up: "Fl -name" in mdoc, or "Fl n , -name".  Examples and other programs' options
# are plain text.
page_options() { grep -oE '(Fl|Fl [[:alpha:]] ,) -[a-z][a-z-]*' "$1" | sed -E 's/.* -/--/' | sort -u; }

compare() {
	local name=$1 page=${srcdir:-.}/man/$2 help=$3
	if ! diff <(help_options <<<"$help") <(page_options "$page") >&2; then
		echo "$name: < is only in --help, > is only in $2" >&2
		failed=1
	fi
	if [ "$(help_options <<<"$help" | wc -l)" -lt 3 ]; then
		echo "$name: --help names hardly any option" >&2
		failed=1
	fi
}

compare cachewtfs cachewtfs.1 "$("$CACHEWTFS" --help)"

subcommands=$(grep -oE '^\.Ss cachewt [a-z]+' "${srcdir:-.}/man/cachewt.1" | cut -d' ' -f3 | sort -u)
help=$("$CACHEWT" --help)
for subcommand in $subcommands; do
	help+=$'\n'$("$CACHEWT" "$subcommand" --help)
done
compare cachewt cachewt.1 "$help"
exit $failed
