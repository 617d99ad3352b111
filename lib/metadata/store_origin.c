/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* At a start: are the stores those of the last run, in the same boot, and is the origin as it was left (R1, R2)? */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/mutant.h"
#include "metadata/origin_state.h"
#include "metadata/store_internal.h"

#define NS_PER_MS INT64_C(1000000)
#define TAG_LEASE_MS 1000	/* a tag is flushed; a kill in the midst of a slower one starts cold */

/*
 * ------------------------------------------------------------------ same boot (R1)
 */
/* A device by its number in this boot, a file by its file system's, too.  What is not known is not the same. */
static bool place_equal(const struct place *a, const struct place *b, bool is_block)
{
	if (is_block)
		return a->rdev == b->rdev && a->diskseq && a->diskseq == b->diskseq;
	return a->dev == b->dev && a->ino == b->ino && a->birth_ns == b->birth_ns && a->mount_id &&
	       a->mount_id == b->mount_id && a->fsid == b->fsid;
}

bool places_equal(const struct store *s, const struct place *a, const struct place *b)
{
	const struct device *const dev[PLACES] = { s->dev.origin, s->dev.cache, s->dev.metadata };

	for (int i = 0; i < PLACES; i++)
		if (!place_equal(&a[i], &b[i], device_info(dev[i])->is_block))
			return false;
	return true;
}

/*
 * ------------------------------------------------------------------ a file
 */
void origin_state_take(const struct device *origin, const struct device_identity *id, struct origin_state *state)
{
	const struct device_info *info = device_info(origin);

	*state = (struct origin_state){ .known = true, .seq = state->seq, .size_bytes = info->size_bytes };
	if (info->is_block)
		return;
	state->ino = info->network ? 0 : id->ino;
	state->mtime_ns = id->mtime_ns;
	state->ctime_ns = id->ctime_ns;
}

/* After a kill: what the lease says of this E, if it was written against today's clock. */
static struct origin_window window_of_lease(const struct lease *lease, uint64_t seq, int64_t clock_ns)
{
	int64_t by_ns = lease->clock_ns - clock_ns;

	if (by_ns <= -ORIGIN_TICK_NS || by_ns >= ORIGIN_TICK_NS)
		return ORIGIN_NO_WINDOW;
	for (unsigned i = 0; i < ARRAY_SIZE(lease->since); i++)
		if (lease->since[i].t1_ns && lease->since[i].e_seq == seq)
			return (struct origin_window){ lease->since[i].t1_ns, lease->until_ns };
	return ORIGIN_NO_WINDOW;
}

/*
 * After a power cut the times may be any that the file had: the disk has them as late as it likes, and the lease too.  But
 * whoever writes the file after the cut moves ctime to the time of a later boot, or of one in between.  So: nothing later than
 * the last commit and what may have followed it, nor than this boot.  A stranger's write in those last seconds before the cut
 * is not seen.
 */
static bool is_before_cut(const struct store *s, const struct store_options *o, const struct lease *lease,
			  const struct origin_state *now)
{
	int64_t slack_ns = (3000 + (int64_t)o->commit_interval_ms) * NS_PER_MS;
	int64_t last_ns = MAX(lease->until_ns, s->sb.commit_time_ns), newest_ns = MAX(now->mtime_ns, now->ctime_ns);

	return (last_ns > INT64_MAX - slack_ns || newest_ns <= last_ns + slack_ns) && (!o->boot_time_ns || newest_ns < o->boot_time_ns);
}

static bool file_is_ours(const struct store *s, const struct store_options *o, const struct start_facts *f,
			 const struct lease *lease, const struct origin_state *now)
{
	const struct origin_state *was = &s->identity.origin;
	struct origin_window window = ORIGIN_NO_WINDOW;

	if (s->identity.origin_kind != ORIGIN_FILE)
		return false;
	if (origin_state_equal(was, now))
		return true;
	if (f->clean || device_info(s->dev.origin)->network || !was->known)
		return false;
	if (!f->same_boot)
		return is_before_cut(s, o, lease, now);
	window = window_of_lease(lease, was->seq, o->clock_ns);
	return origin_state_is_ours(was, now, &window);
}

/*
 * ------------------------------------------------------------------ a block device
 */
int origin_ids_take(struct store *s, struct identity *id)
{
	struct device_ids ids;
	int ret = device_ids(s->dev.origin, &ids);

	_Static_assert(DEVICE_IDS <= (int)IDENTITY_IDS && DEVICE_ID_LAST_MIB == (int)IDENTITY_LAST_MIB, "the same in the same order");
	memset(id->ids, 0, sizeof(id->ids));
	memcpy(id->ids, ids.id, sizeof(ids.id));
	return ret;
}

/*
 * What both know must agree, and there must be something that both know.  What is written on the disk speaks only for a clean
 * stop, for our own writes may have changed it since.
 */
static bool disk_is_ours(const struct store *s, const struct start_facts *f, const struct identity *now, const char **why)
{
	static const char *const names[] = {
		[IDENTITY_WWN] = "another disk (its WWN differs)", [IDENTITY_SERIAL] = "another disk (its serial number or backing file differs)",
		[IDENTITY_PARTITION_UUID] = "another partition (its UUID differs)",
		[IDENTITY_TABLE_UUID] = "changed or another (the UUID of its partition table differs)",
		[IDENTITY_FILE_SYSTEM_UUID] = "changed or another (the UUID of its file system differs)",
		[IDENTITY_FIRST_MIB] = "changed or another (its first MiB differs)",
		[IDENTITY_LAST_MIB] = "changed or another (its last MiB differs)",
	};
	const struct identity *was = &s->identity;
	bool known = false;

	*why = "it was a file";
	if (was->origin_kind != ORIGIN_BLOCK_DEVICE)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (!was->ids[i] || !now->ids[i] || (i >= IDENTITY_TABLE_UUID && !f->clean))
			continue;
		known = true;
		*why = names[i];
		if (was->ids[i] != now->ids[i])
			return false;
	}
	if (f->boot_id_equal && was->places[PLACE_ORIGIN].diskseq && now->places[PLACE_ORIGIN].diskseq) {
		known = true;
		*why = "another disk was put in its place";
		if (was->places[PLACE_ORIGIN].diskseq != now->places[PLACE_ORIGIN].diskseq)
			return false;
	}
	if (!known)
		*why = "a disk that says nothing of itself (--trust-origin if it is the one)";
	return known;
}

/*
 * ------------------------------------------------------------------ the tag
 */
/*
 * --trust-origin speaks for the content, whatever the tag says; but not if the tag was how the last run said that no mapping
 * may be believed (W5).
 */
static bool tag_matches(struct store *s, const struct store_options *o)
{
	uint8_t tag[DEVICE_TAG_BYTES], own[DEVICE_TAG_BYTES];
	uint64_t now = device_tag(s->dev.origin, NULL, tag) ? 0 : origin_tag_digest(tag);

	origin_tag_encode(s->sb.uuid, ~s->sb.session, own);
	if (now == origin_tag_digest(own))
		return false;
	if (o->trust_origin)
		return true;
	origin_tag_encode(s->sb.uuid, s->sb.session, own);	/* written, but the superblock that says so was not */
	return now == s->identity.origin_tag || now == origin_tag_digest(own);
}

/*
 * ------------------------------------------------------------------ together
 */
static const char *file_why(const struct store *s, const struct start_facts *f, const struct origin_state *now)
{
	if (s->identity.origin_kind != ORIGIN_FILE && s->identity.origin_kind != ORIGIN_UNKNOWN)
		return "it was a block device";
	if (!f->tag_matches)
		return "another cache, or a copy, was in its place";
	if (!s->identity.origin.known)
		return "changed by somebody else while it was mounted";
	return origin_state_moved(&s->identity.origin, now);
}

void origin_judge(struct store *s, const struct store_options *o, struct start_facts *f, struct identity *next)
{
	bool is_block = device_info(s->dev.origin)->is_block, ours;
	struct lease lease;
	bool known = store_marks_load_lease(s, &lease);

	if (!known)
		memset(&lease, 0, sizeof(lease));
	f->tag_matches = tag_matches(s, o) || mutant_is(MUTANT_TAG_IGNORED);
	if (is_block) {
		ours = disk_is_ours(s, f, next, &f->origin_why);
	} else {
		ours = file_is_ours(s, o, f, &lease, &next->origin);
		f->origin_why = file_why(s, f, &next->origin);
	}
	f->origin_ours = ours || o->trust_origin || mutant_is(MUTANT_TIMES_IGNORED);
	/* E becomes what is there, under a number that no lease has said anything of. */
	next->origin.seq = MAX(MAX(s->identity.origin.seq, lease.since[0].e_seq), lease.since[1].e_seq) + 1;
}

static uint64_t digest_of_tag(struct store *s)
{
	uint8_t tag[DEVICE_TAG_BYTES];

	return device_tag(s->dev.origin, NULL, tag) ? 0 : origin_tag_digest(tag);
}

/*
 * R2: the origin says whose it is now, durably, before our first write.  Where it cannot, the digest is of what it says
 * instead, so that a change is still seen.  It is a leg like any other: the lease first, and after it what is there becomes E,
 * if nothing but ctime has moved, and that by us.
 */
int origin_write_tag(struct store *s, struct identity *id)
{
	struct origin_state was = id->origin;
	struct origin_window window = { .from_ns = store_now_ns(s) };
	struct lease lease = { .until_ns = window.from_ns + TAG_LEASE_MS * NS_PER_MS, .clock_ns = s->clock_ns,
			       .since = { { was.seq, window.from_ns } } };
	struct device_identity now;
	uint8_t tag[DEVICE_TAG_BYTES];
	int ret;

	if (device_info(s->dev.origin)->read_only) {
		id->origin_tag = digest_of_tag(s);
		return 0;
	}
	ret = store_write_lease(s, &lease);
	if (ret)
		return ret;	/* no leg without it: a kill would find a stranger's */
	origin_tag_encode(s->sb.uuid, s->sb.session, tag);
	id->origin_tag = device_tag(s->dev.origin, tag, NULL) ? digest_of_tag(s) : origin_tag_digest(tag);
	ret = device_identity(s->dev.origin, &now);
	if (ret || device_info(s->dev.origin)->is_block)
		return ret;
	origin_state_take(s->dev.origin, &now, &id->origin);
	window.to_ns = store_now_ns(s);
	id->origin.seq = was.seq + 1;
	id->origin.known = device_info(s->dev.origin)->network || was.ctime_ns == id->origin.ctime_ns ||
			   (was.mtime_ns == id->origin.mtime_ns && window.to_ns >= id->origin.ctime_ns &&
			    window.from_ns - ORIGIN_SECONDS_NS <= id->origin.ctime_ns);
	return 0;
}
