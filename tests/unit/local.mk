# SPDX-License-Identifier: LGPL-2.1-or-later
# Unit tests (Check), one program per subject, no FUSE and no root.
UNIT_LIBS = lib/libcachewt-internal.la $(CHECK_LIBS)
UNIT_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit $(CHECK_CFLAGS)

include $(srcdir)/tests/unit/src.mk
include $(srcdir)/tests/unit/base.mk
include $(srcdir)/tests/unit/device.mk
include $(srcdir)/tests/unit/metadata.mk
include $(srcdir)/tests/unit/policy.mk
include $(srcdir)/tests/unit/engine.mk
include $(srcdir)/tests/unit/tool.mk
