# SPDX-License-Identifier: LGPL-2.1-or-later
# The mount.  Its pure parts are a convenience library, for the unit tests and for whoever wants the status in text or JSON.
noinst_LTLIBRARIES += src/libfront.la
src_libfront_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src $(GLIB_CFLAGS) $(JSON_CFLAGS) $(XXHASH_CFLAGS)
src_libfront_la_SOURCES = src/escape.c src/escape.h src/loop_devices.c src/loop_devices.h src/memory.c \
	src/memory.h src/mount_holders.c src/mount_holders.h \
	src/mount_options.c src/mount_options.h src/mount_table.c \
	src/mount_table.h src/options.c src/options.h src/paths.c src/paths.h src/sizes.c src/sizes.h src/status_json.c \
	src/status_text.c src/status_text.h
src_libfront_la_LIBADD = lib/libcachewt-internal.la $(JSON_LIBS) $(GLIB_LIBS) $(XXHASH_LIBS)

bin_PROGRAMS += src/cachewtfs
src_cachewtfs_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src -DFUSE_USE_VERSION=35 $(FUSE_CFLAGS) $(GLIB_CFLAGS)
src_cachewtfs_SOURCES = src/control.c src/control.h src/daemon.c src/daemon.h src/invalidate.c src/invalidate.h src/loop.c \
	src/loop.h src/main.c src/mountpoint.c src/mountpoint.h src/ops.c src/ops.h src/pidfile.c src/pidfile.h src/pool.c \
	src/pool.h \
	src/report.c src/report.h src/ring.c src/ring.h src/server.c src/server.h src/session.c src/session.h src/tree.c \
	src/tree.h src/warnings.c src/warnings.h src/worker.c src/worker.h
src_cachewtfs_LDADD = src/libfront.la $(FUSE_LIBS) $(GLIB_LIBS)
