# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/metadata/libmetadata.la
lib_metadata_libmetadata_la_SOURCES = lib/metadata/store.h
