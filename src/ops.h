/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handlers of all FUSE requests.  userdata of the session is the struct server. */
#ifndef CWT_SRC_OPS_H
#define CWT_SRC_OPS_H

#include <fuse_lowlevel.h>

struct fuse_lowlevel_ops ops_all(void);

#endif
