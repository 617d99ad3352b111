# SPDX-License-Identifier: LGPL-2.1-or-later
dist_man_MANS += man/cachewtfs.1
dist_man_MANS += man/cachewt.1
dist_man_MANS += man/cachewt-metadata.5
dist_man_MANS += man/libcachewt.3
dist_man_MANS += man/cachewtfs-internals.7
