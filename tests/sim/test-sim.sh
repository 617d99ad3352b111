#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A few hundred seeds: the kept ones, the first ones, and some that depend on the commit, so that every commit looks
# elsewhere.
set -eu
here=$(dirname "$0")
sim=${SIM:-tests/sim/sim}
seeds=${SIM_SEEDS:-300}

"$sim" --kept "$here/seeds.txt"
"$sim" --first 1 --seeds "$seeds" --coverage
commit=$(git -C "$here" rev-parse --short=12 HEAD 2>/dev/null) || exit 0
"$sim" --first "0x$commit" --seeds "$seeds"
