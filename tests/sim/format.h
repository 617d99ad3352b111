/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new metadata with small regions: the default one is larger than all of a test's origin. */
#ifndef SIM_FORMAT_H
#define SIM_FORMAT_H

#include "metadata/store.h"

/* bytes: the content of metadata itself.  Asserts that it works. */
void sim_format(struct device *metadata, uint8_t *bytes, const struct store_geometry *geometry, unsigned region_shift);

#endif
