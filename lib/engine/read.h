/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads.  A hit goes to the cache; a miss to the origin, or it becomes a promotion, or joins one (migration.h).  A read
 * that the cache fails goes to the origin under the same hold, and the block is invalidated: nobody notices (I12).
 */
#ifndef CWT_ENGINE_READ_H
#define CWT_ENGINE_READ_H

#include "engine/request.h"

void read_start_locked(struct block_request *b);
/* loop->retry: what it was given up for is accounted for here; then the origin is asked. */
void read_retry_locked(struct block_request *b);
/*
 * A hit has ended whose mapping was dropped meanwhile: true, and the origin is asked.  The mapping may have gone
 * because a flush of the cache failed, and then what was read may be what the cache held before (E3).
 */
bool read_overtaken_locked(struct block_request *b);

#endif
