/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* "a, b" for the message about an unknown option. */
static void list_keys(const struct policy_option *options, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (; options->key && used < size; options++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", options->key);
}

/* Digits only: strtoul would take "-1", " 7" and "0x10". */
static bool parse_number(const char *text, size_t len, uint64_t *out)
{
	uint64_t n = 0;

	if (!len || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	*out = n;
	return true;
}

static const struct policy_option *find_option(const struct policy_option *options, const char *key, size_t len)
{
	for (; options->key; options++)
		if (strlen(options->key) == len && !memcmp(options->key, key, len))
			return options;
	return NULL;
}

static int parse_one(const char *policy_name, const char *text, size_t len, const struct policy_option *options,
		     struct cwt_error *err)
{
	const char *equals = memchr(text, '=', len);
	size_t key_len = equals ? (size_t)(equals - text) : len;
	const struct policy_option *option = find_option(options, text, key_len);
	char known[128];
	uint64_t n;

	if (!option && !options->key)
		return error_set(err, -EINVAL, "policy %s: unknown option \"%.*s\" (it has none)", policy_name,
				 (int)len, text);
	if (!option) {
		list_keys(options, known, sizeof(known));
		return error_set(err, -EINVAL, "policy %s: unknown option \"%.*s\" (known: %s)", policy_name,
				 (int)len, text, known);
	}
	if (!equals || !parse_number(equals + 1, len - key_len - 1, &n) || n < option->min || n > option->max)
		return error_set(err, -EINVAL, "policy %s: \"%.*s\" is not valid (%s=%u to %u, in %s)", policy_name,
				 (int)len, text, option->key, option->min, option->max, option->unit);
	*option->value = (uint32_t)n;
	return 0;
}

int policy_options_parse(const char *policy_name, const char *text, const struct policy_option *options,
			 struct cwt_error *err)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		int r = parse_one(policy_name, text, len, options, err);

		if (r)
			return r;
		text += len;
		if (*text == ',' && !*++text)	/* "ghost=50," is a slip, not an option */
			return error_set(err, -EINVAL, "policy %s: nothing after the last comma (remove it)",
					 policy_name);
	}
	return 0;
}
