# SPDX-License-Identifier: LGPL-2.1-or-later
# The examples of a page, one line each: "NAME<tab>LINE" where NAME is the page and its example's number.  They are what
# is between ``` in README.md, literal displays and .Dl lines of man pages, and the lines of an example's head that
# begin with a tab behind the comment's sign.
function put(line) {
	gsub(/\\e/, "\\", line)
	sub(/^\\&/, "", line)
	print page " " nr "\t" line
}
FNR == 1 { page = FILENAME; sub(/.*\//, "", page); nr = 0; inside = 0; head = 1; last = -1 }
page ~ /\.md$/ {
	if (/^```/) { inside = !inside; nr += inside } else if (inside) put($0)
}
page ~ /\.[1-8]$/ {
	if (/^\.Bd -literal/) { inside = 1; nr++ }
	else if (/^\.Ed/) inside = 0
	else if (inside) put($0)
	else if (/^\.Dl /) { if (last != FNR - 1) nr++; last = FNR; put(substr($0, 5)) }
}
page ~ /\.(c|sh)$/ {
	if (!/^(#| \*|\/\*)/) head = 0
	if (head && /^(#| \*)\t/) { if (last != FNR - 1) nr++; last = FNR; sub(/^(#| \*)\t+/, ""); put($0) }
}
