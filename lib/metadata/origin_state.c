/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metadata/origin_state.h"

bool origin_state_equal(const struct origin_state *a, const struct origin_state *b)
{
	return a->known && b->known && a->ino == b->ino && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static int64_t granule_ns(int64_t time_ns)
{
	return time_ns % 1000000000 ? ORIGIN_TICK_NS : ORIGIN_SECONDS_NS;
}

static bool in_window(int64_t time_ns, const struct origin_window *w)
{
	return w->from_ns <= w->to_ns && time_ns >= w->from_ns - granule_ns(time_ns) && time_ns <= w->to_ns;
}

bool origin_state_is_ours(const struct origin_state *e, const struct origin_state *s, const struct origin_window *w)
{
	if (origin_state_equal(e, s))
		return true;
	return e->known && s->known && e->ino == s->ino && in_window(s->ctime_ns, w) &&
	       (s->mtime_ns == e->mtime_ns || in_window(s->mtime_ns, w));
}

bool origin_state_is_fresh(const struct origin_state *s, int64_t now_ns)
{
	int64_t age_ns = now_ns - s->ctime_ns;	/* of a clock that was set back: negative, and the next change has other times */

	return age_ns >= -ORIGIN_TICK_NS && age_ns <= granule_ns(s->ctime_ns) + ORIGIN_TICK_NS;
}

const char *origin_state_moved(const struct origin_state *e, const struct origin_state *s)
{
	bool mtime = e->mtime_ns != s->mtime_ns, ctime = e->ctime_ns != s->ctime_ns;

	if (!e->known || !s->known)
		return "its state is not known";
	if (e->ino != s->ino)
		return "it is another file (its inode differs)";
	if (mtime && ctime)
		return "its mtime and ctime moved";
	if (ctime)
		return "its ctime alone moved, as by chmod, ln or setfattr";
	return mtime ? "its mtime alone moved" : "nothing that is known of it moved";
}
