# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/engine/libengine.la
lib_engine_libengine_la_SOURCES = lib/engine/cells.c lib/engine/cells.h lib/engine/commit.c lib/engine/commit.h \
	lib/engine/door.c lib/engine/door.h \
	lib/engine/engine.c lib/engine/engine.h lib/engine/flush.c lib/engine/flush.h lib/engine/jobs.c lib/engine/jobs.h \
	lib/engine/loop.c lib/engine/loop.h lib/engine/map.c lib/engine/map.h lib/engine/marks.c lib/engine/marks.h \
	lib/engine/message.c lib/engine/migration.c lib/engine/migration.h lib/engine/origin_watch.c lib/engine/origin_watch.h \
	lib/engine/open.c lib/engine/owner.c lib/engine/owner.h lib/engine/read.c \
	lib/engine/read.h lib/engine/regions.c lib/engine/regions.h lib/engine/request.c lib/engine/request.h lib/engine/status.c lib/engine/write_back.c lib/engine/write_back.h \
	lib/engine/writethrough.c \
	lib/engine/writethrough.h lib/engine/zero.c lib/engine/zero.h
lib_engine_libengine_la_CPPFLAGS = $(AM_CPPFLAGS) -DCWT_VERSION='"$(PACKAGE_VERSION)"'
