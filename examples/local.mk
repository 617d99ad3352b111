# SPDX-License-Identifier: LGPL-2.1-or-later
# Built by make check, with the public header and the installed library only.
check_PROGRAMS += examples/simple
examples_simple_SOURCES = examples/simple.c
examples_simple_CPPFLAGS = -I$(top_srcdir)/lib
examples_simple_LDADD = lib/libcachewt.la
EXTRA_DIST += examples/container.sh examples/loop-device.sh
