/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text form of a metadata: lines "key value", then one line "mapping CBLOCK OBLOCK HINT" for each mapping, in
 * cblock order; cachewt-metadata(5), TEXT FORM.  Reads only.  A damaged metadata is written as far as it verifies, and
 * says "damaged yes".
 */
#ifndef CWT_METADATA_DUMP_H
#define CWT_METADATA_DUMP_H

#include <stdio.h>

#include "base/error.h"
#include "device/device.h"

#define UUID_TEXT_BYTES 37u	/* with the zero at the end */
void uuid_format(const uint8_t uuid[16], char text[UUID_TEXT_BYTES]);

/* Errors as metadata_check(), and -EIO or -ENOSPC when out could not be written. */
int metadata_dump(struct device *metadata, FILE *out, struct cwt_error *err);

#endif
