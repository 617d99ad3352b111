/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registry of policies, and "NAME[,key=value...]". */
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

const struct policy_ops *const policy_all[] = { &policy_clock, &policy_lru, NULL };

static const struct policy_ops *find_policy(const char *name, size_t len)
{
	for (const struct policy_ops *const *ops = policy_all; *ops; ops++)
		if (strlen((*ops)->name) == len && !memcmp((*ops)->name, name, len))
			return *ops;
	return NULL;
}

static int unknown_policy(const char *name, size_t len, struct cwt_error *err)
{
	char known[128] = "";
	size_t used = 0;

	for (const struct policy_ops *const *ops = policy_all; *ops && used < sizeof(known); ops++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", (*ops)->name);
	return error_set(err, -EINVAL, "policy \"%.*s\": unknown (known: %s)", (int)len, name, known);
}

int policy_create(const char *spec, uint32_t nr_cblocks, uint64_t seed, struct policy **out, struct cwt_error *err)
{
	size_t len = strcspn(spec, ",");
	const struct policy_ops *ops = find_policy(spec, len);
	int r;

	cwt_assert(nr_cblocks > 0 && nr_cblocks <= BLOCK_MAX);
	if (!ops)
		return unknown_policy(spec, len, err);
	if (spec[len] && !spec[len + 1])
		return error_set(err, -EINVAL, "policy %s: nothing after the last comma (remove it)", ops->name);
	r = ops->create(nr_cblocks, seed, spec[len] ? spec + len + 1 : "", out, err);
	if (!r)
		cwt_assert((*out)->ops == ops);
	return r;
}

void policy_destroy(struct policy *p)
{
	if (p)
		p->ops->destroy(p);
}
