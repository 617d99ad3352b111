/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One run of one seed, or of a part of it. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define RUN_EVENTS_MAX 1024u

struct run {
	uint64_t seed;
	uint32_t without;		/* kinds left out */
	bool some;			/* only the events marked in keep */
	uint8_t keep[RUN_EVENTS_MAX / 8];
};

void run_prepare(void);			/* once per process: where log lines and signals go */
void run_seed(const struct run *run);	/* returns when nothing is wrong; else the process ends */
unsigned run_event(void);		/* of the run under way, or of the last one */
void run_share_event(void);		/* also a child's, from now on */
void run_print_command(const struct run *run, FILE *f);
int run_parse_kinds(const char *text, uint32_t *kinds);		/* -EINVAL */
int run_parse_events(struct run *run, const char *text);	/* "3,7-9"; -EINVAL */

/*
 * Leave out what is not needed for the failure; prints the shortest run found and its trace.  False: it does not
 * fail.
 */
bool shrink(const struct run *run);

#endif
