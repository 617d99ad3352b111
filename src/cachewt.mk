# SPDX-License-Identifier: LGPL-2.1-or-later
# The tool.  All but main() is a convenience library, so that unit tests reach the pure parts.
noinst_LTLIBRARIES += src/libcachewttool.la
src_libcachewttool_la_CPPFLAGS = $(AM_CPPFLAGS) $(GLIB_CFLAGS) $(JSON_CFLAGS)
src_libcachewttool_la_SOURCES = src/cachewt_check.c src/cachewt_child.c src/cachewt_child.h src/cachewt_control.c \
	src/cachewt_control.h src/cachewt_format.c src/cachewt_health.c src/cachewt_list.c src/cachewt_look.c src/cachewt_look.h \
	src/cachewt_message.c src/cachewt_prune.c src/cachewt_stats.c src/cachewt_stats.h src/cachewt_status.c src/cachewt_stop.c \
	src/cachewt_stores.c src/cachewt_stores.h \
	src/cachewt_tool.c src/cachewt_tool.h src/cachewt_verify.c src/cachewt_wait.c
src_libcachewttool_la_LIBADD = src/libfront.la lib/libcachewt-internal.la $(JSON_LIBS) $(GLIB_LIBS)

bin_PROGRAMS += src/cachewt
src_cachewt_CPPFLAGS = $(AM_CPPFLAGS) $(GLIB_CFLAGS)
src_cachewt_SOURCES = src/cachewt.c
src_cachewt_LDADD = src/libcachewttool.la
