# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += lib/device/libdevice.la
lib_device_libdevice_la_SOURCES = lib/device/device.c lib/device/device.h lib/device/queue.c \
	lib/device/memory.c lib/device/memory.h \
	lib/device/faulty.c lib/device/faulty.h lib/device/faulty_internal.h lib/device/faulty_power.c \
	lib/device/faulty_queue.c lib/device/faulty_rules.c lib/device/faulty_timer.c \
	lib/device/aio.c lib/device/aio.h lib/device/aio_async.c lib/device/aio_attach.c lib/device/aio_direct.c lib/device/aio_edge.c lib/device/aio_identity.c \
	lib/device/aio_internal.h lib/device/aio_open.c lib/device/aio_pool.c lib/device/aio_run.c lib/device/aio_source.h
