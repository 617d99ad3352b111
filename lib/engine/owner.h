/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has a store open: for the line that refuses it.  Looks through /proc, so it sees the processes that the caller
 * may see; open file locks do not carry a pid.
 */
#ifndef CWT_ENGINE_OWNER_H
#define CWT_ENGINE_OWNER_H

/* The pid of a process other than this one that has path open; 0: none was found.  Any thread; slow. */
long owner_find(const char *path);

#endif
