/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/mutant.h"

#ifdef CWT_MUTANTS

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum mutant mutant_chosen;

static const char *const names[] = {
#define M(id, name) [MUTANT_##id] = name,
	MUTANTS(M)
#undef M
};
#define NR_NAMES (sizeof(names) / sizeof(names[0]))

/*
 * A name that is not known ends the program, so that no test passes for lack of a mutant; tests/mutants reads the list.
 */
__attribute__((constructor)) static void mutant_choose(void)
{
	const char *name = getenv("CWT_MUTANT");
	unsigned i = 1;

	if (!name || !*name)
		return;
	while (i < NR_NAMES && strcmp(names[i], name))
		i++;
	if (i < NR_NAMES) {
		mutant_chosen = (enum mutant)i;
		return;
	}
	fprintf(stderr, "CWT_MUTANT=%s: not known; known are:\n", name);
	for (i = 1; i < NR_NAMES; i++)
		fprintf(stderr, "\t%s\n", names[i]);
	abort();
}

#endif
