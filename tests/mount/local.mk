# SPDX-License-Identifier: LGPL-2.1-or-later
# Real mounts.  Without root, /dev/fuse or loop devices they are skipped (exit 77); under CI=true that is a failure.
AM_TESTS_ENVIRONMENT = \
	CACHEWTFS='$(abs_top_builddir)/src/cachewtfs$(EXEEXT)'; export CACHEWTFS; \
	CACHEWT='$(abs_top_builddir)/src/cachewt$(EXEEXT)'; export CACHEWT; \
	IO_HELPER='$(abs_top_builddir)/tests/mount/io-helper$(EXEEXT)'; export IO_HELPER; \
	PAGE_HELPER='$(abs_top_builddir)/tests/mount/page-helper$(EXEEXT)'; export PAGE_HELPER; \
	KILL9_WRITER='$(abs_top_builddir)/tests/mount/kill9-writer$(EXEEXT)'; export KILL9_WRITER; \
	HOSTILE_MOUNT='$(abs_top_builddir)/tests/mount/hostile-mount$(EXEEXT)'; export HOSTILE_MOUNT; \
	CONTAINER_ROOTFS='$(abs_top_builddir)/tests/mount/container-rootfs'; export CONTAINER_ROOTFS; \
	FSYNC_WRITER='$(abs_top_builddir)/tests/mount/fsync-writer$(EXEEXT)'; export FSYNC_WRITER;

MOUNT_TESTS = \
	tests/mount/test-ack.sh \
	tests/mount/test-allow-other.sh \
	tests/mount/test-block-device-origin.sh \
	tests/mount/test-buffered-cache.sh \
	tests/mount/test-busy-poll.sh \
	tests/mount/test-clean-unmount.sh \
	tests/mount/test-container.sh \
	tests/mount/test-daemon.sh \
	tests/mount/test-damaged-metadata.sh \
	tests/mount/test-dead-mount-is-replaced.sh \
	tests/mount/test-default-paths.sh \
	tests/mount/test-examples.sh \
	tests/mount/test-ext4-on-loop.sh \
	tests/mount/test-failing-commits.sh \
	tests/mount/test-faults-of-the-cache.sh \
	tests/mount/test-faults-of-the-origin.sh \
	tests/mount/test-fifty-remounts.sh \
	tests/mount/test-fio-verify.sh \
	tests/mount/test-full-cache-disk.sh \
	tests/mount/test-fuse-origin.sh \
	tests/mount/test-hostile-start.sh \
	tests/mount/test-io-uring.sh \
	tests/mount/test-kill9.sh \
	tests/mount/test-kill9-filesystem.sh \
	tests/mount/test-large-sectors.sh \
	tests/mount/test-locked-memory.sh \
	tests/mount/test-loop-device-warnings.sh \
	tests/mount/test-loops-ask-for-no-memory.sh \
	tests/mount/test-memory-pressure.sh \
	tests/mount/test-mount-namespace.sh \
	tests/mount/test-odd-paths.sh \
	tests/mount/test-odd-size.sh \
	tests/mount/test-origin-changed.sh \
	tests/mount/test-page-cache.sh \
	tests/mount/test-page-cache-faults.sh \
	tests/mount/test-page-cache-stress.sh \
	tests/mount/test-processes.sh \
	tests/mount/test-punch-zero-seek.sh \
	tests/mount/test-read-only.sh \
	tests/mount/test-reset-of-damaged-metadata.sh \
	tests/mount/test-signals.sh \
	tests/mount/test-slow-neighbours.sh \
	tests/mount/test-start-signal.sh \
	tests/mount/test-status-readers.sh \
	tests/mount/test-straight-on-the-image.sh \
	tests/mount/test-synchronous-writes.sh \
	tests/mount/test-threads-on-one-page.sh \
	tests/mount/test-tool-on-a-mount.sh \
	tests/mount/test-unprivileged.sh \
	tests/mount/test-warm-after-power.sh \
	tests/mount/test-warm-restart.sh \
	tests/mount/test-wrong-mountpoint.sh \
	tests/mount/test-wrong-origin.sh \
	tests/mount/test-wrong-stores.sh \
	tests/mount/test-wrong-usage.sh \
	tests/mount/test-xfs-on-loop.sh
TESTS += $(MOUNT_TESTS)
dist_check_SCRIPTS += $(MOUNT_TESTS)
EXTRA_DIST += tests/mount/functions.sh tests/mount/filesystem.sh tests/mount/container.sh tests/mount/memory-group.sh \
	tests/mount/private-mounts.sh tests/mount/examples.awk

check_PROGRAMS += tests/mount/fsync-writer tests/mount/hostile-mount tests/mount/io-helper tests/mount/kill9-writer \
	tests/mount/page-helper
tests_mount_fsync_writer_SOURCES = tests/mount/fsync-writer.c
tests_mount_hostile_mount_SOURCES = tests/mount/hostile-mount.c
tests_mount_hostile_mount_CPPFLAGS = $(AM_CPPFLAGS) $(FUSE_CFLAGS)
tests_mount_hostile_mount_LDADD = $(FUSE_LIBS)
tests_mount_io_helper_SOURCES = tests/mount/io-helper.c
tests_mount_kill9_writer_SOURCES = tests/mount/kill9-writer.c
tests_mount_kill9_writer_LDADD = $(AIO_LIBS)
tests_mount_page_helper_SOURCES = tests/mount/page-helper.c
tests_mount_page_helper_LDADD = $(AIO_LIBS)

# make check-kill9 [ROUNDS=n] [SEED=n] [DEPTH=n] [TMPDIR=DIR]
.PHONY: check-kill9
check-kill9: all
	@$(MAKE) tests/mount/kill9-writer	# not beside all, which is a make of its own
	$(AM_TESTS_ENVIRONMENT) srcdir='$(srcdir)' ROUNDS='$(ROUNDS)' SEED='$(SEED)' DEPTH='$(DEPTH)' \
		"$(srcdir)/tests/mount/test-kill9.sh"

# The system of the containers is put together once.
distclean-local: distclean-container
.PHONY: distclean-container
distclean-container:
	rm -rf tests/mount/container-rootfs tests/mount/container-rootfs.new tests/mount/container-rootfs.lock
