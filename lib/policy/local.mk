# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/policy/libpolicy.la
lib_policy_libpolicy_la_SOURCES = lib/policy/policy.h
