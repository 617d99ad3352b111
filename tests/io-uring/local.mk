# SPDX-License-Identifier: LGPL-2.1-or-later
# -o io_uring with a libfuse that is newer than the system's; not part of make check, since it fetches that.
EXTRA_DIST += tests/io-uring/io-uring.sh tests/io-uring/libfuse.sh tests/io-uring/measure.sh

# make check-io-uring [ROUNDS=n] [SECONDS_EACH=n] [WORK=DIR]
.PHONY: check-io-uring
check-io-uring: all
	@ROUNDS='$(ROUNDS)' SECONDS_EACH='$(SECONDS_EACH)' WORK='$(WORK)' CC='$(CC)' srcdir='$(srcdir)' \
		"$(srcdir)/tests/io-uring/io-uring.sh" || [ $$? -eq 77 ]
