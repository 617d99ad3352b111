# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += examples/container.sh examples/loop-device.sh
