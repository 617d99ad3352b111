# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/metadata/libmetadata.la
lib_metadata_libmetadata_la_SOURCES = \
	lib/metadata/busy_marks.c lib/metadata/busy_marks.h \
	lib/metadata/check.c lib/metadata/check.h \
	lib/metadata/commit.c \
	lib/metadata/dump.c lib/metadata/dump.h \
	lib/metadata/format.c lib/metadata/format.h lib/metadata/format_disk.h \
	lib/metadata/identity.c lib/metadata/identity.h \
	lib/metadata/origin_state.c lib/metadata/origin_state.h \
	lib/metadata/reader.c lib/metadata/reader.h \
	lib/metadata/recover.c \
	lib/metadata/store.c lib/metadata/store_marks.c lib/metadata/store_void.c lib/metadata/store.h lib/metadata/store_format.c lib/metadata/store_internal.h \
	lib/metadata/store_open.c lib/metadata/store_origin.c \
	lib/metadata/superblock.c
