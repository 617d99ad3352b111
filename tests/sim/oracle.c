/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/random.h"

static void *grow(void *p, uint32_t *room, size_t each)
{
	*room = *room ? 2 * *room : 8;
	p = realloc(p, *room * each);
	cwt_assert(p);
	return p;
}

/*
 * ------------------------------------------------------------------ bytes that name their write
 */
static uint64_t word_of(const struct written *w, uint32_t n)
{
	uint64_t z = w->key + n * 0x9E3779B97F4A7C15u;

	if (w->zeros)
		return 0;
	z = (z ^ (z >> 29)) * 0xBF58476D1CE4E5B9u;
	return z ^ (z >> 32);
}

static uint8_t byte_of(const struct written *w, uint32_t at)
{
	return (uint8_t)(word_of(w, at / 8) >> (8 * (at % 8)));
}

void oracle_fill(const struct oracle *o, uint32_t write, uint32_t lo, void *buf, uint32_t len)
{
	const struct written *w = &o->writes[write];
	uint8_t *p = buf;
	uint32_t at = lo, end = lo + len;

	while (at < end && (at % 8 || end - at < 8))
		*p++ = byte_of(w, at++);
	for (; end - at >= 8; at += 8, p += 8)
		put_le64(p, word_of(w, at / 8));
	while (at < end)
		*p++ = byte_of(w, at++);
}

/* How many leading bytes of data are those of w. */
static uint32_t match(const struct written *w, uint32_t lo, const uint8_t *data, uint32_t len)
{
	uint32_t n = 0;

	while (n < len) {
		if ((lo + n) % 8 == 0 && len - n >= 8 && get_le64(data + n) == word_of(w, (lo + n) / 8))
			n += 8;
		else if (data[n] == byte_of(w, lo + n))
			n++;
		else
			break;
	}
	return n;
}

/*
 * ------------------------------------------------------------------ segments
 */
static uint32_t seg_end(const struct oracle *o, uint32_t i) { return o->seg[i + 1].lo; }

/* The segment that holds byte at. */
static uint32_t seg_find(const struct oracle *o, uint32_t at)
{
	uint32_t lo = 0, hi = o->nr_segs;

	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;

		if (o->seg[mid].lo <= at)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Make a border at byte at, and return the segment that begins there. */
static uint32_t seg_split(struct oracle *o, uint32_t at)
{
	uint32_t i = at == o->size ? o->nr_segs : seg_find(o, at);
	struct segment *s;

	if (o->seg[i].lo == at)
		return i;
	if (o->nr_segs + 1 == o->room_segs)
		o->seg = grow(o->seg, &o->room_segs, sizeof(*o->seg));
	memmove(&o->seg[i + 2], &o->seg[i + 1], (o->nr_segs - i) * sizeof(*o->seg));
	o->nr_segs++;
	s = &o->seg[i + 1];
	*s = o->seg[i];
	s->lo = at;
	s->v = malloc(s->room * sizeof(*s->v));
	cwt_assert(s->v);
	memcpy(s->v, o->seg[i].v, s->nr * sizeof(*s->v));
	return i + 1;
}

static void seg_add(struct segment *s, uint32_t write)
{
	if (s->nr == s->room)
		s->v = grow(s->v, &s->room, sizeof(*s->v));
	s->v[s->nr++] = (struct version){ write, ORACLE_NEVER, 0 };
}

/* All versions that were over before the time began are gone at the time gone_at, but for keep. */
static void seg_supersede(struct oracle *o, struct segment *s, uint32_t keep, uint32_t began, uint32_t gone_at)
{
	for (uint32_t i = 0; i < s->nr; i++) {
		struct version *v = &s->v[i];

		if (v->write != keep && v->gone_at == ORACLE_NEVER && o->writes[v->write].ended < began)
			v->gone_at = gone_at;
	}
}

/*
 * ------------------------------------------------------------------ writes and flushes
 */
static uint32_t write_new(struct oracle *o, bool zeros)
{
	struct random r = { o->nr_writes * 0x5851F42D4C957F2Du + o->writes[0].key };

	if (o->nr_writes == o->room_writes)
		o->writes = grow(o->writes, &o->room_writes, sizeof(*o->writes));
	o->writes[o->nr_writes] = (struct written){ ++o->now, ORACLE_NEVER, zeros, random_next(&r) };
	return o->nr_writes++;
}

void oracle_init(struct oracle *o, uint32_t size, uint64_t seed)
{
	memset(o, 0, sizeof(*o));
	o->size = size;
	o->seg = grow(NULL, &o->room_segs, sizeof(*o->seg));
	memset(o->seg, 0, 2 * sizeof(*o->seg));
	o->nr_segs = 1;
	o->seg[1].lo = size;
	o->writes = grow(NULL, &o->room_writes, sizeof(*o->writes));
	o->writes[0] = (struct written){ 0, 0, false, seed ^ 0xA0761D6478BD642Fu };
	o->nr_writes = 1;
	seg_add(&o->seg[0], 0);
}

void oracle_free(struct oracle *o)
{
	for (uint32_t i = 0; i < o->nr_segs; i++)
		free(o->seg[i].v);
	free(o->seg);
	free(o->writes);
}

uint32_t oracle_write_begin(struct oracle *o, uint32_t lo, uint32_t hi, bool zeros)
{
	uint32_t write = write_new(o, zeros), end;

	seg_split(o, lo);
	end = seg_split(o, hi);
	for (uint32_t i = seg_find(o, lo); i < end; i++)
		seg_add(&o->seg[i], write);
	return write;
}

void oracle_write_end(struct oracle *o, uint32_t write, uint32_t lo, uint32_t upto)
{
	uint32_t end;

	o->writes[write].ended = ++o->now;
	if (upto <= lo)
		return;
	end = seg_split(o, upto);
	for (uint32_t i = seg_find(o, lo); i < end; i++)
		seg_supersede(o, &o->seg[i], write, o->writes[write].submitted, o->now);
}

void oracle_write_lasts(struct oracle *o, uint32_t write, uint32_t lo, uint32_t upto)
{
	uint32_t end = seg_split(o, upto), began = o->writes[write].submitted;

	oracle_flush_end(o, began);	/* its flush was issued after that */
	for (uint32_t i = seg_find(o, lo); i < end; i++) {
		for (uint32_t k = 0; k < o->seg[i].nr; k++) {
			struct version *v = &o->seg[i].v[k];

			v->for_good |= v->write != write && o->writes[v->write].ended < began;
		}
	}
}

void oracle_write_refused(struct oracle *o, uint32_t write, uint32_t lo, uint32_t hi)
{
	uint32_t end = seg_split(o, hi);

	o->writes[write].ended = ++o->now;
	for (uint32_t i = seg_find(o, lo); i < end; i++) {
		struct segment *s = &o->seg[i];
		uint32_t n = 0;

		for (uint32_t k = 0; k < s->nr; k++)
			if (s->v[k].write != write)
				s->v[n++] = s->v[k];
		s->nr = n;
	}
}

uint32_t oracle_flush_begin(struct oracle *o) { return ++o->now; }

void oracle_flush_end(struct oracle *o, uint32_t since)
{
	++o->now;
	if (since > o->durable)
		o->durable = since;
}

/*
 * ------------------------------------------------------------------ reads
 */
static bool may_see(const struct version *v, uint32_t since) { return v->gone_at > since; }

static void explain(struct oracle *o, uint32_t since, uint32_t at, const uint8_t *data, uint32_t len,
		    const struct segment *s)
{
	size_t n = 0;

#define SAY(...) \
	do { \
		if (n < sizeof(o->why)) \
			n += (size_t)snprintf(o->why + n, sizeof(o->why) - n, __VA_ARGS__); \
	} while (0)
	SAY("byte %u: found", at);
	for (uint32_t w = o->nr_writes; w--; ) {
		uint32_t most = MIN(len, 8);

		if (match(&o->writes[w], at, data, most) == most) {
			SAY(" write %u%s", w, o->writes[w].zeros ? " (zeros)" : "");
			break;
		}
		if (!w)
			SAY(" bytes of no write (%02x)", data[0]);
	}
	SAY(", permitted since %u:", since);
	for (uint32_t i = 0; i < s->nr; i++) {
		const struct version *v = &s->v[i];

		SAY(" %swrite %u [%u..", may_see(v, since) ? "" : "not ", v->write, o->writes[v->write].submitted);
		if (o->writes[v->write].ended != ORACLE_NEVER)
			SAY("%u", o->writes[v->write].ended);
		SAY("]");
		if (v->gone_at != ORACLE_NEVER)
			SAY(" gone at %u", v->gone_at);
	}
#undef SAY
}

/*
 * The read has seen one of the versions marked in seen.  When that was over before the read began, the rest was gone
 * as soon as all of them were over; else it may have come about during the read.
 */
static void narrow(struct oracle *o, struct segment *s, const bool *seen, uint32_t since)
{
	uint32_t nr_seen = 0, last_ended = 0, only = 0;

	for (uint32_t i = 0; i < s->nr; i++) {
		if (!seen[i])
			continue;
		if (s->v[i].gone_at != ORACLE_NEVER)
			return;		/* an older read that was overtaken says nothing of now */
		nr_seen++;
		only = s->v[i].write;
		last_ended = MAX(last_ended, o->writes[only].ended);
	}
	for (uint32_t i = 0; i < s->nr; i++) {
		struct version *v = &s->v[i];
		uint32_t ended = o->writes[v->write].ended;

		if (seen[i] || v->gone_at != ORACLE_NEVER)
			continue;
		if (ended < since)
			v->gone_at = last_ended < since ? MAX(ended, last_ended) : o->now;
		else if (nr_seen == 1 && ended < o->writes[only].submitted)
			v->gone_at = o->now;
	}
}

/* The data of one segment, whole or from its beginning: how many bytes come from one version; 0: from none. */
static uint32_t check_segment(struct oracle *o, uint32_t i, uint32_t since, const uint8_t *data, uint32_t len)
{
	struct segment *s = &o->seg[i];
	uint32_t longest = 0;
	bool seen[s->nr];

	for (uint32_t k = 0; k < s->nr; k++) {
		uint32_t n = may_see(&s->v[k], since) ? match(&o->writes[s->v[k].write], s->lo, data, len) : 0;

		longest = MAX(longest, n);
		seen[k] = n == len;
	}
	if (longest == len)
		narrow(o, s, seen, since);
	return longest;
}

static bool check(struct oracle *o, uint32_t since, uint32_t lo, const uint8_t *data, uint32_t len)
{
	uint32_t end = lo + len;

	if (!len)
		return true;
	seg_split(o, lo);
	seg_split(o, end);
	for (uint32_t i = seg_find(o, lo); i < o->nr_segs && o->seg[i].lo < end; i++) {
		uint32_t at = o->seg[i].lo, n = seg_end(o, i) - at, found;

		found = check_segment(o, i, since, data + (at - lo), n);
		if (found == n)
			continue;
		if (!found) {
			explain(o, since, at, data + (at - lo), n, &o->seg[i]);
			return false;
		}
		seg_split(o, at + found);	/* torn here: each part for itself */
		(void)check_segment(o, i, since, data + (at - lo), found);
	}
	return true;
}

uint32_t oracle_read_begin(struct oracle *o)
{
	o->nr_reads++;
	return ++o->now;
}

void oracle_read_gone(struct oracle *o)
{
	cwt_assert(o->nr_reads);
	o->nr_reads--;
}

bool oracle_read_end(struct oracle *o, uint32_t since, uint32_t lo, const uint8_t *data, uint32_t len)
{
	oracle_read_gone(o);
	++o->now;
	return check(o, since, lo, data, len);
}

/*
 * ------------------------------------------------------------------ crashes
 */
void oracle_kill(struct oracle *o)
{
	++o->now;
	for (uint32_t i = 0; i < o->nr_writes; i++)
		if (o->writes[i].ended == ORACLE_NEVER)
			o->writes[i].ended = o->now;
	o->nr_reads = 0;
}

/* What was not durable may have come back, at this moment: so it counts as being over now, not before. */
static void revive(struct oracle *o)
{
	++o->now;
	for (uint32_t i = 0; i < o->nr_segs; i++) {
		struct segment *s = &o->seg[i];

		for (uint32_t k = 0; k < s->nr; k++) {
			struct written *w = &o->writes[s->v[k].write];

			if (s->v[k].gone_at <= o->durable || s->v[k].for_good)
				continue;
			s->v[k].gone_at = ORACLE_NEVER;
			if (w->ended != ORACLE_NEVER)
				w->ended = o->now;
		}
	}
	o->durable = o->now;
}

void oracle_power_cut(struct oracle *o) { revive(o); }
void oracle_flush_lost(struct oracle *o) { revive(o); }

/*
 * ------------------------------------------------------------------ at rest
 */
static void seg_forget(struct oracle *o, struct segment *s)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < s->nr; k++)
		if (s->v[k].gone_at > o->durable)
			s->v[n++] = s->v[k];
	s->nr = n;
}

static bool seg_equal(const struct segment *a, const struct segment *b)
{
	return a->nr == b->nr && !memcmp(a->v, b->v, a->nr * sizeof(*a->v));
}

static void forget(struct oracle *o)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < o->nr_segs; i++) {
		seg_forget(o, &o->seg[i]);
		if (n && seg_equal(&o->seg[n - 1], &o->seg[i]))
			free(o->seg[i].v);
		else
			o->seg[n++] = o->seg[i];
	}
	o->seg[n] = o->seg[o->nr_segs];
	o->nr_segs = n;
}

bool oracle_rest(struct oracle *o, const uint8_t *origin)
{
	uint32_t since = ++o->now;

	cwt_assert(!o->nr_reads);
	++o->now;
	if (!check(o, since, 0, origin, o->size))
		return false;
	forget(o);
	return true;
}
