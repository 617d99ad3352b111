# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/device/libdevice.la
lib_device_libdevice_la_SOURCES = lib/device/device.h lib/device/aio.h lib/device/memory.h lib/device/faulty.h
