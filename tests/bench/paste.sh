#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#	paste.sh README PART		put PART between the two marker lines of README, in place of what is there
set -euo pipefail
readme=$1 part=$2
begin='<!-- make bench: begin -->' end='<!-- make bench: end -->'
if [ "$(grep -cxF -e "$begin" -e "$end" "$readme")" -ne 2 ]; then
	echo "$readme does not have the lines \"$begin\" and \"$end\"" >&2
	exit 1
fi
[ -s "$part" ] || { echo "$part is not there: make bench first" >&2; exit 1; }
new=$(awk -v begin="$begin" -v end="$end" -v part="$part" '
	$0 == end { inside = 0 }
	!inside { print }
	$0 == begin { inside = 1; while ((getline line <part) > 0) print line }' "$readme")
printf '%s\n' "$new" >"$readme"
