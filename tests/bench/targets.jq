# SPDX-License-Identifier: LGPL-2.1-or-later
# What the bench is to show, row by row: a figure of one contender against another ("against" says in what that one
# differs), at least or at most so much.  The figure is the ratio of their rates; of their speed, for seconds; or of
# another field, if one is named.

def row($what; $store; $via; $case; $contender; $against):
	{ $what, $store, $via, $case, $contender, $against, field: "rate" };

def reads($depth): "4 KiB random reads, depth \($depth), mounted";

def against_example($store; $depth):
	row("\(reads($depth)), against passthrough_ll"; $store; "mount"; "randread-4k-\($depth)"; "cachewtfs";
		{ contender: "passthrough_ll" });

[
	(against_example("memory"; 1, 32) | .at_least = 1),
	(row("1 MiB reads, depth 4, mounted, against passthrough_ll"; "memory"; "mount"; "seqread-1m"; "cachewtfs";
		{ contender: "passthrough_ll" }) | .at_least = 2),
	(against_example("disk"; 1, 32) | .at_least = 1),
	(against_example("disk"; 1, 32) | .what += ": CPU time per request" | .field = "cpu_us" | .at_most = 0.5),
	([1, 0.65], [32, 0.8] | . as [$depth, $least]
		| row("\(reads($depth)), against the disk itself"; "disk"; "mount"; "randread-4k-\($depth)"; "cachewtfs";
			{ contender: "raw" }) | .at_least = $least),
	("memory", "disk" | . as $store
		| ["nbdfuse", 10], ["qemu-storage-daemon", 2], ["s3backer", 1.5] | . as [$peer, $least]
		| row("\(reads(32)), against \($peer)"; $store; "mount"; "randread-4k-32"; "cachewtfs"; { contender: $peer })
		| .at_least = $least),
	(row("4 KiB write hits, depth 1, --ack=both, against two writes of the disk in series"; "disk"; "mount";
		"randwrite-4k-1"; "cachewtfs-ack-both"; { contender: "raw" }) | .scale = 2 | .at_least = 0.9),
	(1, 32 | row("4 KiB write hits, depth \(.), --ack=origin, against --mode=passthrough"; "disk"; "mount";
		"randwrite-4k-\(.)"; "cachewtfs-ack-origin"; { contender: "cachewtfs-passthrough" }) | .at_least = 0.9),
	("memory", "disk" | . as $store | ["reads", "randread"], ["writes", "randwrite"] | . as [$what, $name]
		| row("4 KiB random \($what), depth 32, loop device with direct I/O, against the mounted file"; $store; "loop";
			"\($name)-4k-32"; "cachewtfs"; { via: "mount" }) | .at_least = 0.9),
	("read", "checkout", "build" | row("second run of \"\(.)\" on ext4 in the image, against a local file"; "slow origin";
		"filesystem"; "\(.)-warm"; "slow-cachewtfs"; { contender: "local-file" })
		| .field = "seconds" | .at_least = 0.95)
]
