/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See tree.h. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "control.h"
#include "tree.h"

#define NAME_TIMEOUT_S 86400.0		/* names never change */
#define ATTR_TIMEOUT_S 60.0 /* the origin's owner or mode may be changed behind us; our writes void it themselves */
#define STAT_BLOCK_BYTES 512u

/*
 * ------------------------------------------------------------------ attributes
 */
static void folder_attr(const struct server *server, uint64_t ino, struct stat *st)
{
	st->st_mode = S_IFDIR | (ino == INO_ROOT ? 0555 : 0500);
	st->st_nlink = ino == INO_ROOT ? 3 : 2;
	st->st_uid = server->uid;
	st->st_gid = server->gid;
	st->st_atim = st->st_mtim = st->st_ctim = server->start_time;
}

static void control_attr(const struct server *server, uint64_t ino, struct stat *st)
{
	st->st_mode = S_IFREG | (ino == INO_CONTROL ? 0600 : 0400);
	st->st_nlink = 1;
	st->st_uid = server->uid;
	st->st_gid = server->gid;
	clock_gettime(CLOCK_REALTIME, &st->st_mtim);
	st->st_atim = st->st_ctim = st->st_mtim;
}

/* Asks the origin's file system: query context. */
static int image_attr(const struct server *server, struct stat *st)
{
	const struct options *o = server->options;
	struct stat origin;

	if (fstat(cwt_origin_fd(server->cwt), &origin))
		return -errno;
	st->st_mode = S_IFREG | (o->own_umask ? 0666 & ~o->umask : origin.st_mode & 0777);
	if (o->read_only)
		st->st_mode &= ~(mode_t)0222;
	st->st_nlink = 1;
	st->st_uid = o->own_uid ? o->uid : origin.st_uid;
	st->st_gid = o->own_gid ? o->gid : origin.st_gid;
	st->st_size = (off_t)server->size_bytes;
	st->st_blksize = (blksize_t)server->block_size_bytes;
	st->st_blocks = S_ISREG(origin.st_mode) ? origin.st_blocks
						: (blkcnt_t)div_round_up(server->size_bytes, STAT_BLOCK_BYTES);
	st->st_atim = origin.st_atim;
	st->st_mtim = origin.st_mtim;
	st->st_ctim = origin.st_ctim;
	return 0;
}

static int attr_of(const struct server *server, uint64_t ino, struct stat *st)
{
	*st = (struct stat){ .st_ino = ino, .st_blksize = 4096 };
	switch (ino) {
	case INO_ROOT:
	case INO_FOLDER:
		folder_attr(server, ino, st);
		return 0;
	case INO_IMAGE:
		return image_attr(server, st);
	case INO_STATUS:
	case INO_STATS:
	case INO_CONTROL:
		control_attr(server, ino, st);
		return 0;
	}
	return -ESTALE;
}

/* Control files change with every look. */
static double attr_timeout(uint64_t ino)
{
	return ino >= INO_STATUS ? 0 : ATTR_TIMEOUT_S;
}

static void reply_attr(struct server *server, fuse_req_t req, uint64_t ino)
{
	struct stat st;
	int err = attr_of(server, ino, &st);

	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_attr(req, &st, attr_timeout(ino));
}

static void reply_entry(struct server *server, fuse_req_t req, uint64_t ino)
{
	struct fuse_entry_param entry = { .ino = ino, .attr_timeout = attr_timeout(ino),
					  .entry_timeout = NAME_TIMEOUT_S };
	int err = attr_of(server, ino, &entry.attr);

	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_entry(req, &entry);
}

/* The origin's file system may be slow to answer: not on a loop. */
static void image_attr_job(struct job *base)
{
	struct server_job *job = container_of(base, struct server_job, job);

	reply_attr(job->server, job->req, INO_IMAGE);
	g_free(job);
}

static void image_entry_job(struct job *base)
{
	struct server_job *job = container_of(base, struct server_job, job);

	reply_entry(job->server, job->req, INO_IMAGE);
	g_free(job);
}

static void query(struct server *server, fuse_req_t req, void (*run)(struct job *job))
{
	struct server_job *job = g_new(struct server_job, 1);

	*job = (struct server_job){ .job.run = run, .server = server, .req = req };
	server_start_job(&server->queries, job);
}

static void answer_attr(struct server *server, fuse_req_t req, uint64_t ino)
{
	if (ino == INO_IMAGE)
		query(server, req, image_attr_job);
	else
		reply_attr(server, req, ino);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	answer_attr(fuse_req_userdata(req), req, ino);
}

#define SET_TIMES (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME)
#define SET_TIMES_NOW (FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW)

/*
 * truncate() to the size that the image has is what programs do that prepare a disk; it says the time too.  All else
 * would change the origin's inode behind its owner, or its size.
 */
static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct server *server = fuse_req_userdata(req);
	int beside_size = to_set & ~(FUSE_SET_ATTR_SIZE | SET_TIMES | SET_TIMES_NOW);

	(void)fi;
	if (!(to_set & FUSE_SET_ATTR_SIZE) || beside_size)
		fuse_reply_err(req, EPERM);
	else if (ino == INO_CONTROL)	/* echo commit > control */
		reply_attr(server, req, ino);
	else if (ino != INO_IMAGE)
		fuse_reply_err(req, EPERM);
	else if (server->options->read_only)
		fuse_reply_err(req, EROFS);
	else if ((uint64_t)attr->st_size != server->size_bytes)
		fuse_reply_err(req, EPERM);
	else
		answer_attr(server, req, ino);
}

/*
 * ------------------------------------------------------------------ names
 */
static const struct { uint64_t ino; const char *name; } control_files[] = {
	{ INO_STATUS, "status" }, { INO_STATS, "stats.json" }, { INO_CONTROL, "control" },
};

static uint64_t ino_of(const struct server *server, uint64_t parent, const char *name)
{
	if (parent == INO_ROOT) {
		if (!strcmp(name, server->options->name))
			return INO_IMAGE;
		return strcmp(name, CONTROL_FOLDER) ? 0 : INO_FOLDER;
	}
	if (parent == INO_FOLDER)
		for (size_t i = 0; i < ARRAY_SIZE(control_files); i++)
			if (!strcmp(name, control_files[i].name))
				return control_files[i].ino;
	return 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct server *server = fuse_req_userdata(req);
	uint64_t ino = ino_of(server, parent, name);

	if (!ino)
		fuse_reply_err(req, ENOENT);
	else if (ino == INO_IMAGE)
		query(server, req, image_entry_job);
	else
		reply_entry(server, req, ino);
}

struct listing { fuse_req_t req; char *buf; size_t size, len; off_t from, next; };

/* An entry whose turn it is and that still has room.  false: the buffer is full. */
static bool list_entry_add(struct listing *l, const char *name, uint64_t ino, mode_t type)
{
	struct stat st = { .st_ino = ino, .st_mode = type };
	size_t need;

	if (l->next++ < l->from)
		return true;
	need = fuse_add_direntry(l->req, l->buf + l->len, l->size - l->len, name, &st, l->next);
	if (need > l->size - l->len)
		return false;
	l->len += need;
	return true;
}

static void list_folder(struct listing *l, const struct server *server, uint64_t ino)
{
	if (!list_entry_add(l, ".", ino, S_IFDIR) || !list_entry_add(l, "..", INO_ROOT, S_IFDIR))
		return;
	if (ino == INO_ROOT) {
		if (list_entry_add(l, server->options->name, INO_IMAGE, S_IFREG))
			list_entry_add(l, CONTROL_FOLDER, INO_FOLDER, S_IFDIR);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(control_files); i++)
		if (!list_entry_add(l, control_files[i].name, control_files[i].ino, S_IFREG))
			return;
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t from, struct fuse_file_info *fi)
{
	char buf[4096];		/* all entries fit: names are at most 255 bytes */
	struct listing l = { .req = req, .buf = buf, .size = MIN(size, sizeof(buf)), .from = from };

	(void)fi;
	list_folder(&l, fuse_req_userdata(req), ino);
	fuse_reply_buf(req, buf, l.len);
}

/*
 * No blocks, used or free: nothing can be made or taken away here, and with a size df(1) and what watches disks would call
 * it full, or free.  How big the image is says stat().
 */
static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs fs = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255 };

	(void)ino;
	fuse_reply_statfs(req, &fs);
}

/*
 * ------------------------------------------------------------------ refusals
 *
 * Without a handler the kernel is told ENOSYS, and so would the user be.
 */
static void refuse_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)parent, (void)name, (void)mode, (void)rdev;
	fuse_reply_err(req, EPERM);
}

static void refuse_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	fuse_reply_err(req, EPERM);
}

static void refuse_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void refuse_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void refuse_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
			  const char *newname, unsigned flags)
{
	(void)parent, (void)name, (void)newparent, (void)newname, (void)flags;
	fuse_reply_err(req, EPERM);
}

static void refuse_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void refuse_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	(void)parent, (void)name, (void)mode, (void)fi;
	fuse_reply_err(req, EPERM);
}

void tree_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->readdir = op_readdir;
	ops->statfs = op_statfs;
	ops->mknod = refuse_mknod;
	ops->mkdir = refuse_mkdir;
	ops->unlink = refuse_remove;
	ops->rmdir = refuse_remove;
	ops->symlink = refuse_symlink;
	ops->rename = refuse_rename;
	ops->link = refuse_link;
	ops->create = refuse_create;
}
