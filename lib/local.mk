# SPDX-License-Identifier: LGPL-2.1-or-later
# The installed library, and the same objects for programs of this tree that look inside (tests, tools).
noinst_LTLIBRARIES += lib/libcachewt-internal.la
lib_libcachewt_internal_la_SOURCES =
lib_libcachewt_internal_la_LIBADD = lib/engine/libengine.la lib/policy/libpolicy.la \
	lib/metadata/libmetadata.la lib/device/libdevice.la lib/base/libbase.la $(XXHASH_LIBS) $(AIO_LIBS) $(BLKID_LIBS)

lib_LTLIBRARIES += lib/libcachewt.la
lib_libcachewt_la_SOURCES =
lib_libcachewt_la_LIBADD = lib/libcachewt-internal.la
lib_libcachewt_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined
include_HEADERS += lib/cachewt.h
pkgconfig_DATA += lib/libcachewt.pc
