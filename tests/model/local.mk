# SPDX-License-Identifier: LGPL-2.1-or-later
# The protocol's model (spin), not part of "make check": "make check-model", or MODEL=full for the bigger
# configurations.
EXTRA_DIST += \
	tests/model/README.md \
	tests/model/commit.pml \
	tests/model/crash.pml \
	tests/model/flush.pml \
	tests/model/protocol.pml \
	tests/model/readers.pml \
	tests/model/recovery.pml \
	tests/model/rules.pml \
	tests/model/run-model.sh \
	tests/model/state.pml \
	tests/model/write.pml

.PHONY: check-model
check-model:
	CC='$(CC)' MODEL='$(MODEL)' $(srcdir)/tests/model/run-model.sh || test $$? -eq 77
