# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/policy/libpolicy.la
lib_policy_libpolicy_la_SOURCES = lib/policy/clock.c lib/policy/ghost.c lib/policy/ghost.h lib/policy/lru.c \
	lib/policy/options.c lib/policy/options.h lib/policy/policy.c lib/policy/policy.h
