/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostile-mount TARGET MOUNTPOINT: a FUSE file system that looks like cachewtfs to the mount table.  Its control file is
 * a link to TARGET, its stats.json a FIFO, and its status has escapes for the terminal.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fuse.h>
#include <string.h>

static const char status_text[] = "8 1/2 128\nstart: \033[2J\033]0;title\007 \302\233m \177 a\\b\n";
static const char *target;

static int hostile_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	*st = (struct stat){ .st_nlink = 1 };
	if (!strcmp(path, "/") || !strcmp(path, "/.cachewtfs"))
		st->st_mode = S_IFDIR | 0755;
	else if (!strcmp(path, "/.cachewtfs/status"))
		st->st_mode = S_IFREG | 0644, st->st_size = sizeof(status_text) - 1;
	else if (!strcmp(path, "/.cachewtfs/stats.json"))
		st->st_mode = S_IFIFO | 0666;
	else if (!strcmp(path, "/.cachewtfs/control"))
		st->st_mode = S_IFLNK | 0777;
	else
		return -ENOENT;
	return 0;
}

static int hostile_readlink(const char *path, char *buf, size_t size)
{
	(void)path;
	strncpy(buf, target, size - 1);
	buf[size - 1] = '\0';
	return 0;
}

static int hostile_read(const char *path, char *buf, size_t size, off_t offset, struct fuse_file_info *fi)
{
	size_t len = sizeof(status_text) - 1;

	(void)path, (void)fi;
	if ((size_t)offset >= len)
		return 0;
	if (size > len - (size_t)offset)
		size = len - (size_t)offset;
	memcpy(buf, status_text + offset, size);
	return (int)size;
}

int main(int argc, char **argv)
{
	static const struct fuse_operations ops = { .getattr = hostile_getattr, .readlink = hostile_readlink, .read = hostile_read };
	char *args[] = { argv[0], "-f", "-osubtype=cachewtfs", argc == 3 ? argv[2] : NULL, NULL };

	if (argc != 3)
		return 2;
	target = argv[1];
	return fuse_main(4, args, &ops, NULL);
}
