# SPDX-License-Identifier: LGPL-2.1-or-later
# From results.jsonl (-s: all lines as one array): medians over the rounds with the lowest and the highest, and what
# became of the targets.  $about is the head of the report, $targets the rows of targets.jq.

def median: sort | .[(length - 1) / 2 | floor];
def spread: { median: median, low: min, high: max };

# What one contender did in one case: an object from round to value.
def by_round($all; $of; $field):
	$all | map(select(.store == $of.store and .via == $of.via and .case == $of.case and .contender == $of.contender)
		| { key: "\(.round)", value: .[$field] }) | from_entries;

# The ratio of two medians, and the lowest and the highest ratio of one round.
def ratio($a; $b; $scale):
	if $a == {} or $b == {} or ($b | map(.) | median) == 0 then { figure: null, low: null, high: null }
	else [$a | keys[] | select(($b[.] // 0) != 0) | $a[.] / $b[.] * $scale]
		| { figure: (($a | map(.) | median) / ($b | map(.) | median) * $scale), low: min, high: max }
	end;

def judged($all):
	by_round($all; .; .field) as $mine
	| by_round($all; . + .against; .field) as $other
	| . + (if .field == "seconds" then ratio($other; $mine; 1) else ratio($mine; $other; .scale // 1) end)
	| .met = (if .figure == null then null elif .at_most then .figure <= .at_most else .figure >= .at_least end);

def summed:
	(.[0] | { store, via, case, contender }) + { rounds: length }
	+ if .[0].seconds then
		{ seconds: (map(.seconds) | spread), synced_seconds: (map(.synced_seconds) | spread),
		cpu_s: (map(.cpu_s) | median) }
	else
		{ rate: (map(.rate) | spread), mean_us: (map(.mean_us) | median), p99_us: (map(.p99_us) | median),
		cpu_us: (map(.cpu_us) | spread) }
	end;

. as $all
| $about
+ { results: ($all | group_by([.store, .via, .case, .contender]) | map(summed)) }
+ { targets: ($targets | map(judged($all))) }
