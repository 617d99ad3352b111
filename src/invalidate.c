/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See invalidate.h. */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/log.h"
#include "base/mutant.h"
#include "invalidate.h"
#include "tree.h"

struct invalidation {
	struct server_job job;
	uint64_t offset_bytes, len_bytes;
	answer_fn *answer;	/* NULL: answered already */
	int64_t result;
};

enum page_write page_write_of(const struct fuse_file_info *fi)
{
	if (fi->writepage)
		return PAGE_WRITE_BACK;
	return fi->lock_owner ? PAGE_WRITE_DIRECT : PAGE_WRITE_THROUGH;
}

static void drop_pages(struct server *server, uint64_t offset_bytes, uint64_t len_bytes)
{
	int err = 0;

	if (!mutant_is(MUTANT_PAGES_KEPT))
		err = fuse_lowlevel_notify_inval_inode(server->session, INO_IMAGE, (off_t)offset_bytes,
						       (off_t)len_bytes);
	/* ENOENT: the kernel has no such inode, so no pages; the others: the mount has ended */
	if (err && err != -ENOENT && err != -ENODEV && err != -EPERM && err != -ENOTCONN)
		log_error("page cache: cannot drop %llu bytes at %llu: %s; readers may see old data",
			  (unsigned long long)len_bytes, (unsigned long long)offset_bytes, strerror(-err));
}

static void run_invalidation(struct job *base)
{
	struct invalidation *i = container_of(base, struct invalidation, job.job);

	drop_pages(i->job.server, i->offset_bytes, i->len_bytes);
	if (i->answer)
		i->answer(i->job.req, i->result);
	g_free(i);
}

/* false: nobody is there any more to do it. */
static bool push(struct invalidation i)
{
	struct invalidation *copy = g_new(struct invalidation, 1);

	*copy = i;
	copy->job.job.run = run_invalidation;
	if (worker_push(&i.job.server->invalidations, &copy->job.job))
		return true;
	g_free(copy);
	return false;
}

void invalidate_and_answer(struct server *server, uint64_t offset_bytes, uint64_t len_bytes, fuse_req_t req,
			   answer_fn *answer, int64_t result)
{
	if (!push((struct invalidation){ { .server = server, .req = req }, offset_bytes, len_bytes, answer, result }))
		answer(req, result);
}

void answer_and_invalidate(struct server *server, uint64_t offset_bytes, uint64_t len_bytes, fuse_req_t req,
			   answer_fn *answer, int64_t result)
{
	answer(req, result);
	push((struct invalidation){ { .server = server }, offset_bytes, len_bytes, NULL, 0 });
}
