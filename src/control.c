/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See control.h. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log.h"
#include "control.h"
#include "invalidate.h"
#include "status_text.h"
#include "tree.h"

/* An open control file; fi->fh points to it. */
struct handle {
	pthread_mutex_t lock;	/* protects text: a message changes it */
	char *text;
};

struct message {
	struct server_job job;
	struct handle *handle;
	size_t size;		/* of the write, for its answer */
	char text[CONTROL_MESSAGE_MAX + 1];
};

struct opening {
	struct server_job job;
	uint64_t ino;
	struct fuse_file_info fi;
};

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static char *content(const struct server *server, uint64_t ino)
{
	struct mount_status mount;
	struct cwt_status status;
	char **warnings, *text;

	if (ino == INO_CONTROL)
		return g_strdup("");
	cwt_get_status(server->cwt, &status);
	warnings = warnings_look(server->warnings);
	mount = (struct mount_status){
		.ack_origin = server->options->ack_origin, .page_cache = server->options->page_cache,
		.locked_memory = memory_locked_name(atomic_load(&server->locked)), .io_flusher = server->io_flusher,
		.warnings = (const char *const *)warnings, .io_uring = atomic_load(&server->by_ring),
		.pid = (uint32_t)getpid(),
	};
	mount.ack_origin &= !mount.io_uring;	/* a ring's buffer cannot wait for the cache */
	text = ino == INO_STATUS ? status_text(&status, &mount) : status_json(&status, &mount);
	g_strfreev(warnings);
	return text;
}

/* Status context. */
static void run_open(struct job *base)
{
	struct opening *opening = container_of(base, struct opening, job.job);
	struct server *server = opening->job.server;
	struct handle *handle = g_new0(struct handle, 1);

	pthread_mutex_init(&handle->lock, NULL);
	handle->text = content(server, opening->ino);
	opening->fi.fh = (uintptr_t)handle;
	opening->fi.direct_io = 1;	/* read to the end of what is there, whatever its size was said to be */
	atomic_fetch_add(&server->nr_handles, 1);
	if (fuse_reply_open(opening->job.req, &opening->fi) == -ENOENT) {	/* interrupted: there will be no release */
		control_release(&opening->fi);
		atomic_fetch_sub(&server->nr_handles, 1);
	}
	g_free(opening);
}

void control_open(struct server *server, fuse_req_t req, uint64_t ino, struct fuse_file_info *fi)
{
	struct opening *opening = g_new0(struct opening, 1);

	opening->job = (struct server_job){ .job.run = run_open, .server = server, .req = req };
	opening->ino = ino;
	opening->fi = *fi;
	server_start_job(&server->statuses, &opening->job);
}

void control_release(struct fuse_file_info *fi)
{
	struct handle *handle = handle_of(fi);

	pthread_mutex_destroy(&handle->lock);
	g_free(handle->text);
	g_free(handle);
}

/* The answer is the last thing: after it the handle may be released, on another thread, and its lock with it. */
void control_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct handle *handle = handle_of(fi);
	char *part;

	pthread_mutex_lock(&handle->lock);
	part = (uint64_t)offset < strlen(handle->text) ? g_strndup(handle->text + offset, size) : NULL;
	pthread_mutex_unlock(&handle->lock);
	fuse_reply_buf(req, part, part ? strlen(part) : 0);
	g_free(part);
}

static void answer_message(fuse_req_t req, int64_t size)
{
	fuse_reply_write(req, (size_t)size);
}

/*
 * Message context.  What a message has dropped from the cache the kernel's pages do not show either, when it is
 * answered; whichever message it was.  The handle lives until the answer: the kernel holds the
 * file meanwhile.
 */
static void run_message(struct job *base)
{
	struct message *message = container_of(base, struct message, job.job);
	struct server_job *job = &message->job;
	struct cwt_error why = { "" };
	int err = cwt_message(job->server->cwt, message->text, &why);
	char *answer = err ? g_strdup_printf("%s\n", why.text) : g_strdup("ok\n");

	if (err)
		log_warning("message \"%s\": %s", message->text, *why.text ? why.text : strerror(-err));
	else
		log_info("message \"%s\": done", message->text);
	pthread_mutex_lock(&message->handle->lock);
	g_free(message->handle->text);
	message->handle->text = answer;
	pthread_mutex_unlock(&message->handle->lock);
	if (err)
		fuse_reply_err(job->req, -err);
	else if (job->server->options->page_cache)
		invalidate_and_answer(job->server, 0, 0, job->req, answer_message, (int64_t)message->size);
	else
		fuse_reply_write(job->req, message->size);
	g_free(message);
}

void control_write(struct server *server, fuse_req_t req, uint64_t ino, const char *data, size_t size,
		   struct fuse_file_info *fi)
{
	struct message *message;

	if (ino != INO_CONTROL) {
		fuse_reply_err(req, EPERM);
		return;
	}
	if (size > CONTROL_MESSAGE_MAX || memchr(data, '\0', size)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	message = g_new0(struct message, 1);
	message->job = (struct server_job){ .job.run = run_message, .server = server, .req = req };
	message->handle = handle_of(fi);
	message->size = size;
	memcpy(message->text, data, size);
	g_strchomp(message->text);
	server_start_job(&server->messages, &message->job);
}
