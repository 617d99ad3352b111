/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens next: one event, chosen and done with random numbers of its own. */
#ifndef SIM_EVENTS_H
#define SIM_EVENTS_H

#include "world.h"

void event_happen(struct world *w, unsigned event);

#endif
