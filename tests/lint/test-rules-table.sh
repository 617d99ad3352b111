#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# HACKING.md's table of rules: each rule of cachewtfs-internals(7) has its row, and what a row names exists.
set -euo pipefail
cd "${srcdir:-.}"
failed=0
rules_of_page() { sed -n 's/^\.It \([WLBFCERS][0-9]\)\( .*\)\?$/\1/p' man/cachewtfs-internals.7; }
rows() { grep -E '^\| [WLBFCERS][0-9] \|' HACKING.md; }

# names COLUMN <ROW: what stands in backquotes there.
# shellcheck disable=SC2016
names() { cut -d'|' -f"$1" | grep -oE '`[^`]+`' | tr -d '`'; }

complain() {
	echo "HACKING.md, rule $1: $2" >&2
	failed=1
}

diff <(rules_of_page) <(rows | cut -d' ' -f2) >&2 || complain '*' 'the rules of the page and those of the table differ'
[ "$(rows | wc -l)" -ge 30 ] || complain '*' 'the table is gone'
while IFS= read -r row; do
	rule=$(cut -d' ' -f2 <<<"$row")
	functions=$(names 3 <<<"$row") || complain "$rule" 'no function'
	for name in $functions; do
		grep -rqE "^[a-z].*[ *]$name\(" lib --include='*.[ch]' || complain "$rule" "there is no function $name"
	done
	tests=$(names 4 <<<"$row") || complain "$rule" 'no test'
	for name in $tests; do
		if [[ $name == *.sh ]]; then
			[ -f "tests/mount/$name" ] || complain "$rule" "there is no test $name"
		else
			grep -rqE "^START_TEST\($name\)" tests/unit || complain "$rule" "there is no test $name"
		fi
	done
	for name in $(names 5 <<<"$row" || :); do
		grep -qE "^#define ${name}[[:space:]]" tests/model/rules.pml || complain "$rule" "the model has no $name"
	done
done < <(rows)
exit $failed
