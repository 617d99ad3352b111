# SPDX-License-Identifier: LGPL-2.1-or-later
include $(srcdir)/src/cachewtfs.mk
include $(srcdir)/src/cachewt.mk
