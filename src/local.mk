include $(srcdir)/src/cachewtfs.mk
include $(srcdir)/src/cachewt.mk
