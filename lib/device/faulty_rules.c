/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of the faulty device: which one applies to an operation, and their text form. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "device/faulty_internal.h"

static bool rule_matches(const struct faulty_rule *rule, enum faulty_kind kind, uint64_t offset_bytes,
			 uint64_t len_bytes)
{
	if (!(rule->kinds & kind))
		return false;
	if (kind == FAULTY_FLUSH || !rule->len_bytes)	/* a flush touches everything */
		return true;
	return offset_bytes < rule->offset_bytes + rule->len_bytes && rule->offset_bytes < offset_bytes + len_bytes;
}

/* The first rule that matches and is due applies; one that still skips counts the match and lets the next one look. */
struct faulty_verdict faulty_judge_locked(struct faulty *f, enum faulty_kind kind, uint64_t offset_bytes,
					  uint64_t len_bytes)
{
	struct faulty_verdict verdict = { 0 };

	for (unsigned i = 0; i < f->nr_rules; i++) {
		struct faulty_rule_state *s = &f->rules[i];
		const struct faulty_rule *rule = &s->rule;

		if (!s->active || !rule_matches(rule, kind, offset_bytes, len_bytes))
			continue;
		s->nr_matches++;
		if (s->nr_matches <= rule->skip)
			continue;
		if (rule->times && s->nr_matches - rule->skip >= rule->times)
			s->active = false;
		verdict.hit = true;
		verdict.effect = rule->effect;
		verdict.error = rule->error;
		verdict.delay_ms = rule->delay_ms;
		if (rule->effect == FAULTY_FAIL_PARTWAY && len_bytes)
			verdict.part_bytes = random_below(&f->random, len_bytes);
		f->counts.faults++;
		return verdict;
	}
	return verdict;
}

static const struct { const char *name; unsigned kinds; } kind_names[] = {
	{ "read", FAULTY_READ }, { "write", FAULTY_WRITE }, { "flush", FAULTY_FLUSH }, { "zero", FAULTY_ZERO },
	{ "any", FAULTY_ANY },
};

static const struct { const char *name; int error; } error_names[] = {
	{ "EIO", -EIO }, { "ENOSPC", -ENOSPC }, { "EROFS", -EROFS }, { "ENXIO", -ENXIO }, { "ENODEV", -ENODEV },
	{ "EAGAIN", -EAGAIN }, { "ENOMEM", -ENOMEM }, { "ETIMEDOUT", -ETIMEDOUT }, { "EDQUOT", -EDQUOT },
	{ "EINVAL", -EINVAL }, { "EFBIG", -EFBIG }, { "EBADF", -EBADF }, { "ESTALE", -ESTALE },
	{ "EREMOTEIO", -EREMOTEIO }, { "EILSEQ", -EILSEQ }, { "ENODATA", -ENODATA }, { "EOPNOTSUPP", -EOPNOTSUPP },
};

static int parse_kinds(const char *word, unsigned *kinds, struct cwt_error *err)
{
	char *save = NULL, copy[64];

	*kinds = 0;
	if (strlen(word) >= sizeof(copy))
		return error_set(err, -EINVAL, "fault '%.64s': unknown operation (read, write, flush, zero, any)",
				 word);
	strcpy(copy, word);
	for (char *name = strtok_r(copy, "+", &save); name; name = strtok_r(NULL, "+", &save)) {
		unsigned i = 0;

		while (i < ARRAY_SIZE(kind_names) && strcmp(name, kind_names[i].name))
			i++;
		if (i == ARRAY_SIZE(kind_names))
			return error_set(err, -EINVAL, "fault operation '%s': unknown (read, write, flush, zero, any)",
					 name);
		*kinds |= kind_names[i].kinds;
	}
	return *kinds ? 0 : error_set(err, -EINVAL, "fault: no operation given (read, write, flush, zero, any)");
}

/* Decimal digits and, for sizes, one of K M G T. */
static int parse_number(const char *key, const char *value, bool size, uint64_t *out, struct cwt_error *err)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (size && *end && strchr(units, *end))
		shift = 10 * (unsigned)(strchr(units, *end++) - units + 1);
	if (*value < '0' || *value > '9' || *end || errno || n > UINT64_MAX >> shift)
		return error_set(err, -EINVAL, "fault: %s=%s: not a number (%s)", key, value,
				 size ? "bytes, with K, M, G or T" : "decimal");
	*out = (uint64_t)n << shift;
	return 0;
}

static int parse_error_name(const char *value, int *error, struct cwt_error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(error_names); i++) {
		if (!strcmp(value, error_names[i].name)) {
			*error = error_names[i].error;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "fault: error=%s: unknown error name (EIO, ENOSPC, ENXIO ...)", value);
}

/* What has been said so far of the effect: exactly one of error, delay and hold; after or partway only beside error. */
struct effect_words { bool error, delay, hold, after, partway; };

static int parse_word(char *word, struct faulty_rule *rule, struct effect_words *said, struct cwt_error *err)
{
	char *value = strchr(word, '=');
	uint64_t n;
	int ret;

	if (!value) {
		bool *flag = !strcmp(word, "hold") ? &said->hold : !strcmp(word, "after") ? &said->after :
			     !strcmp(word, "partway") ? &said->partway : NULL;

		if (!flag)
			return error_set(err, -EINVAL,
					 "fault: '%s': unknown (error=, after, partway, delay=, hold, skip=, times=, "
					 "offset=, len=)",
					 word);
		*flag = true;
		return 0;
	}
	*value++ = '\0';
	if (!strcmp(word, "error")) {
		said->error = true;
		return parse_error_name(value, &rule->error, err);
	}
	if (!strcmp(word, "offset"))
		return parse_number(word, value, true, &rule->offset_bytes, err);
	if (!strcmp(word, "len"))
		return parse_number(word, value, true, &rule->len_bytes, err);
	if (!strcmp(word, "skip"))
		return parse_number(word, value, false, &rule->skip, err);
	if (!strcmp(word, "times"))
		return parse_number(word, value, false, &rule->times, err);
	if (strcmp(word, "delay"))
		return error_set(err, -EINVAL,
				 "fault: '%s=': unknown (error=, after, partway, delay=, hold, skip=, times=, "
				 "offset=, len=)",
				 word);
	ret = parse_number(word, value, false, &n, err);
	if (!ret && n > UINT32_MAX)
		ret = error_set(err, -EINVAL, "fault: delay=%s: too long (milliseconds, at most %u)", value,
				UINT32_MAX);
	rule->delay_ms = (uint32_t)n;
	said->delay = true;
	return ret;
}

static int choose_effect(const char *text, struct faulty_rule *rule, const struct effect_words *said,
			 struct cwt_error *err)
{
	if (said->error + said->delay + said->hold != 1)
		return error_set(err, -EINVAL, "fault '%s': exactly one of error=, delay= and hold is needed", text);
	if ((said->after || said->partway) && (!said->error || (said->after && said->partway)))
		return error_set(err, -EINVAL,
				 "fault '%s': 'after' or 'partway' goes with error=, and only one of them", text);
	if (rule->offset_bytes && !rule->len_bytes)
		return error_set(err, -EINVAL, "fault '%s': offset= needs len=", text);
	if (rule->offset_bytes + rule->len_bytes < rule->offset_bytes)
		return error_set(err, -EINVAL, "fault '%s': offset + len is beyond 2^64", text);
	rule->effect = said->hold ? FAULTY_HOLD : said->delay ? FAULTY_DELAY : said->after ? FAULTY_FAIL_AFTER :
		       said->partway ? FAULTY_FAIL_PARTWAY : FAULTY_FAIL;
	return 0;
}

int faulty_rule_parse(const char *text, struct faulty_rule *rule, struct cwt_error *err)
{
	struct effect_words said = { 0 };
	char copy[256], *colon, *save = NULL;
	int ret;

	*rule = (struct faulty_rule){ 0 };
	if (strlen(text) >= sizeof(copy))
		return error_set(err, -EINVAL, "fault: longer than %zu characters", sizeof(copy) - 1);
	strcpy(copy, text);
	colon = strchr(copy, ':');
	if (!colon)
		return error_set(err, -EINVAL, "fault '%s': no ':' (OPERATION:error=EIO, for example)", text);
	*colon = '\0';
	ret = parse_kinds(copy, &rule->kinds, err);
	if (ret)
		return ret;
	for (char *word = strtok_r(colon + 1, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		ret = parse_word(word, rule, &said, err);
		if (ret)
			return ret;
	}
	return choose_effect(text, rule, &said, err);
}
