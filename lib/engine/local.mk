# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/engine/libengine.la
lib_engine_libengine_la_SOURCES = 
