/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: chosen by the event's random numbers, given to the engine, and judged when they are answered.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "world.h"

void workload_submit(struct world *w);
void workload_submit_flush(struct world *w);
void workload_message(struct world *w);
/* The process is dead, and nobody hears the answers; or everything is at rest. */
void workload_forget(struct world *w);

/* A range as the workload likes it, within [0, size] or a little beyond. */
void workload_range(struct world *w, uint32_t *offset, uint32_t *len);

#endif
