/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is a metadata sound?  Reads only, so it may run on the metadata of a live mount if the caller may read it; what it
 * says is then of a moment that never was.  One line per finding to out, in the order of the file:
 *
 *	damage: ...	something that must not be: the next start drops mappings or repairs a copy
 *	note: ...	what a crash leaves and the next start clears away
 *
 * then the counts.  Context: a thread that may block.  Memory: one bit per block of the origin.
 */
#ifndef CWT_METADATA_CHECK_H
#define CWT_METADATA_CHECK_H

#include <stdio.h>

#include "base/error.h"
#include "device/device.h"
#include "metadata/format.h"

struct check_result {
	struct superblock sb;		/* the one that counts */
	uint64_t nr_mapped;		/* entries of committed pages, good or not */
	uint64_t nr_damage, nr_notes;
	bool digest_matches;
	bool identity_known;
	struct identity identity;
};

/*
 * out NULL: count only.  0: it could be checked, whatever was found.  -EINVAL: there is no superblock to judge by, or
 * one of another version; -ENOMEM; the device's error.  err has the line.
 */
int metadata_check(struct device *metadata, FILE *out, struct check_result *result, struct cwt_error *err);

#endif
