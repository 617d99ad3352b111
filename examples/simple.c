/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The smallest use of libcachewt: open an image through a cache, write, flush, read back, look at the counters, close.
 *
 *	sudo ldconfig			(once, after make install)
 *	cc -o simple simple.c $(pkg-config --cflags --libs libcachewt)
 *	truncate -s 10M disk.img
 *	./simple disk.img disk.cache disk.meta
 *
 * It writes a line at offset 1 MiB of the image.  Run it twice: the second run starts warm.
 */
#include <cachewt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define OFFSET (1 << 20)

static const char message[] = "written through the cache\n";

/* Called from cwt_loop_turn(), on this thread. */
static void done(struct cwt_request *request)
{
	*(int *)request->user = 1;
}

/* Submit one request and turn the loop until it is answered.  A real program keeps many under way. */
static int64_t run(struct cwt_loop *loop, enum cwt_op op, uint64_t offset, void *buf, uint64_t len)
{
	int finished = 0;
	struct cwt_request request = {
		.op = op, .offset_bytes = offset, .len_bytes = len, .buf = buf, .done = done, .user = &finished,
	};
	struct pollfd pfd = { .fd = cwt_loop_fd(loop), .events = POLLIN };

	cwt_submit(loop, &request);
	while (!finished) {
		if (cwt_loop_turn(loop) == 0)
			poll(&pfd, 1, -1);
	}
	if (request.result < 0)
		fprintf(stderr, "simple: request %d at %llu: %s\n", (int)op, (unsigned long long)offset,
			strerror((int)-request.result));
	return request.result;
}

static int use(struct cwt_loop *loop)
{
	char text[sizeof(message)], back[sizeof(message)];
	size_t len = sizeof(message);

	memcpy(text, message, len);
	if (run(loop, CWT_WRITE, OFFSET, text, len) != (int64_t)len)
		return -1;
	if (run(loop, CWT_FLUSH, 0, NULL, 0) != 0)
		return -1;
	for (int i = 0; i < 3; i++) {		/* the first reads may promote the block, the later ones hit it */
		if (run(loop, CWT_READ, OFFSET, back, len) != (int64_t)len || memcmp(text, back, len))
			return -1;
	}
	fputs(back, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct cwt_config config = { .cache_size_bytes = 4 << 20 };
	static struct cwt_status status;
	struct cwt_loop *loop;
	struct cwt_error err;
	struct cwt *cwt;
	int failed;

	if (argc != 4) {
		fputs("usage: simple ORIGIN CACHE METADATA\n", stderr);
		return 2;
	}
	config.origin_path = argv[1];
	config.cache_path = argv[2];
	config.metadata_path = argv[3];
	if (cwt_open(&config, &cwt, &err)) {
		fprintf(stderr, "simple: %s\n", err.text);
		return 1;
	}
	printf("%s\n", cwt_start_reason(cwt));
	failed = cwt_loop_open(cwt, &loop);
	if (!failed) {
		failed = use(loop);
		cwt_loop_close(loop);
	}
	cwt_get_status(cwt, &status);
	printf("read hits %llu, read misses %llu, promotions %llu\n", (unsigned long long)status.read_hits,
	       (unsigned long long)status.read_misses, (unsigned long long)status.promotions);
	return cwt_close(cwt) || failed ? 1 : 0;
}
