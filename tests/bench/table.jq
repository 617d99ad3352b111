# SPDX-License-Identifier: LGPL-2.1-or-later
# The report as Markdown, from summary.json.  $what is "all", or "short" for README.md.

def order($names): . as $name | ($names | index($name)) // 99;

# Three digits are more than the spread allows.
def number:
	if . == null then "-"
	elif . >= 99500 then "\(. / 1000 | round)k"
	elif . >= 9950 then "\(. / 100 | round / 10)k"
	elif . >= 995 then "\(. / 10 | round / 100)k"
	elif . >= 99.5 then "\(round)"
	elif . >= 9.95 then "\(. * 10 | round / 10)"
	else "\(. * 100 | round / 100)" end;
def with_spread: if . == null then "-" else "\(.median | number) (\(.low | number)-\(.high | number))" end;

def line: "| \(join(" | ")) |";
def table($head; $rows): ([$head, ($head | map("---"))] + $rows | map(line) | join("\n")) + "\n";

# A table of what cell gives, a row for each contender, a column for each case.
def grid($results; $names; $cases; cell):
	($cases | map(select(. as $case | any($results[]; .case == $case)))) as $columns
	| ($results | map(.contender) | unique | sort_by(order($names))) as $rows
	| table(["contender"] + $columns; $rows | map(. as $name | [$name] + ($columns | map(. as $case
		| [$results[] | select(.case == $case and .contender == $name)][0] | if . == null then "-" else cell end))));

def title($via): { mount: "mounted file", loop: "loop device, `--direct-io=on`",
	"loop-buffered": "loop device, `--direct-io=off`" }[$via];

def rates:
	. as $s
	| [["memory", "disk"][] as $store
		| (if $what == "all" then ["mount", "loop", "loop-buffered"] else ["mount"] end)[] as $via
		| [$s.results[] | select(.store == $store and .via == $via)] | select(length > 0)
		| "**Stores \({ memory: "in memory", disk: "on the disk" }[$store]), \(title($via)): requests per second**\n\n"
		+ grid(.; $s.contenders; $s.cases; .rate | with_spread)
		+ if $what == "all" then
			"\nCPU time of the server processes, us per request\n\n"
			+ grid(.; $s.contenders; $s.cases; .cpu_us.median | number)
			+ "\nLatency, 99th percentile, us\n\n" + grid(.; $s.contenders; $s.cases; .p99_us | number)
		else "" end] | join("\n");

def slow:
	. as $s
	| [$s.results[] | select(.via == "filesystem")]
	| if length == 0 then "" else
		"\n**\($s.slow_origin): seconds until the command ends; in brackets: until its writes are on the disk**\n\n"
		+ grid(.; $s.layouts; $s.steps; "\(.seconds.median | number) (\(.seconds.low | number)-\(.seconds.high | number))"
			+ " [\(.synced_seconds.median | number)]")
	end;

def goal: if .at_most then "at most \(.at_most)" else "at least \(.at_least)" end;
def figure: if .figure == null then "-" else "\(.figure | number) (\(.low | number)-\(.high | number))" end;
def verdict: if .met == null then "not measured" elif .met then "yes" else "no" end;

# The fewest words after "make bench" that measure a row again.
def command:
	"`CONTENDERS='\([.contender, .against.contender // empty] | join(" "))'"
	+ " VIA=\(if .via == "filesystem" then "filesystem" else "'\([.against.via // empty, .via] | join(" "))'"
		+ " STORES=\(.store) CASES=\(.case)" end)`";

def targets:
	"\n**Targets** (ratios of medians; in brackets the lowest and the highest of one round)\n\n"
	+ table(["what", "store", "target", "measured", "met"] + (if $what == "all" then ["`make bench ...`"] else [] end);
		.targets | map([.what, .store, goal, figure, verdict]
			+ (if $what == "all" then [command] else [] end)));

def contenders:
	"\n**Who is who**\n\n" + table(["contender", "options", "what it is"]; .explained | map([.name, .options, .what]));

"\(.date), \(.machine). Image and caches of \(.size), warm; \(.rounds) rounds of \(.seconds_each) s, interleaved;"
+ " medians (lowest-highest). `\(.command)`\n\n"
+ rates + slow + targets
+ (if $what == "all" then contenders + "\n\(.versions)\n" else "" end)
+ (if (.notes | length) > 0 then "\nNotes:\n" + (.notes | map("\n- \(.)") | join("")) + "\n" else "" end)
