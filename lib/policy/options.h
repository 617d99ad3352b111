/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The options of a policy: "key=value,key=value", each value a whole number with a range.  Pure.
 */
#ifndef CWT_POLICY_OPTIONS_H
#define CWT_POLICY_OPTIONS_H

#include <stdint.h>

#include "base/error.h"

struct policy_option {
	const char *key;
	uint32_t min, max;
	const char *unit;	/* for messages: "percent of cblocks" */
	uint32_t *value;	/* holds the default; written only when the option is given and right */
};

/*
 * Parse text ("" is allowed) against options, ended by a NULL key.  -EINVAL with a line in err that names the policy,
 * the option, the value found and the values allowed; options before the wrong one are already written then.
 */
int policy_options_parse(const char *policy_name, const char *text, const struct policy_option *options,
			 struct cwt_error *err);

#endif
