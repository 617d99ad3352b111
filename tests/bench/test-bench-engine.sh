#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# bench-engine works, and what it says that does not depend on the machine is as promised: at most 32 bytes of memory per
# cblock, also of a small cache.  Times are not judged here.
set -euo pipefail
export LC_ALL=C

table=$(tests/bench/bench-engine 5 1 4096 131072)
echo "$table"
awk -F'|' '
	/Ki/ {
		rows++
		for (i = 3; i <= 9; i++)
			if ($i + 0 <= 0) { print "no time in column " i; bad = 1 }
		if ($11 + 0 <= 0 || $11 + 0 > 32) { print $11 " bytes per cblock"; bad = 1 }
	}
	END { if (rows != 2) print rows " rows"; exit bad || rows != 2 }
' <<<"$table"
