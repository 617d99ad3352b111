#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every source file and script says its licence within its first three lines, and no file is left half done.
set -euo pipefail
cd "${srcdir:-.}"
failed=0

while IFS= read -r -d '' file; do
	if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later'; then
		echo "$file: no SPDX line" >&2
		failed=1
	fi
	if grep -nE '\b(TO''DO|FIX''ME|XX''X)\b' "$file" >&2; then
		echo "$file: left half done" >&2
		failed=1
	fi
done < <(find lib src tests examples man scripts quickstart.sh run-tests.sh .ci Makefile.am configure.ac \
	\( -name '*.[ch]' -o -name '*.sh' -o -name '*.mk' -o -name '*.[1-8]' -o -path .ci/run -o -name Makefile.am \
	-o -name configure.ac \) -type f -print0)
exit $failed
