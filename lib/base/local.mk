# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/base/libbase.la
lib_base_libbase_la_SOURCES = lib/base/assert.h lib/base/bits.h lib/base/error.c lib/base/error.h lib/base/list.h \
	lib/base/log.c lib/base/log.h lib/base/mutant.c lib/base/mutant.h lib/base/random.h lib/base/text.c lib/base/text.h \
	lib/base/types.h
