/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/owner.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum lock_kind { LOCK_NONE, LOCK_READ, LOCK_WRITE };

static bool same_store(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode))
		return S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Call see() with each line of a file until it returns true. */
static void each_line(const char *path, bool (*see)(void *ctx, const char *line), void *ctx)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0)
		if (see(ctx, line))
			break;
	free(line);
	if (file)
		fclose(file);
}

/* lock:	1: OFDLCK  ADVISORY  WRITE -1 08:01:12345 0 EOF		A flock() is no obstacle to us. */
static bool see_lock(void *ctx, const char *line)
{
	enum lock_kind *kind = ctx;

	if (strncmp(line, "lock:", 5) || !(strstr(line, "OFDLCK") || strstr(line, "POSIX")))
		return false;
	*kind = strstr(line, " WRITE ") ? LOCK_WRITE : LOCK_READ;
	return *kind == LOCK_WRITE;
}

/* What the process locks the store by, through whichever of its descriptors. */
static enum lock_kind process_lock(long pid, const struct stat *store)
{
	enum lock_kind most = LOCK_NONE;
	char path[64 + sizeof(((struct dirent *)0)->d_name)];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	dir = opendir(path);
	while (dir && most != LOCK_WRITE && (entry = readdir(dir))) {
		enum lock_kind kind = LOCK_NONE;
		struct stat st;

		if (fstatat(dirfd(dir), entry->d_name, &st, 0) || !same_store(store, &st))
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/fdinfo/%s", pid, entry->d_name);
		each_line(path, see_lock, &kind);
		most = kind > most ? kind : most;
	}
	if (dir)
		closedir(dir);
	return most;
}

struct mount_of { unsigned connection; char *text; size_t size; };

/* 36 35 0:50 / /mountpoint ... with the kernel's escapes, which are harmless. */
static bool see_mount(void *ctx, const char *line)
{
	struct mount_of *of = ctx;
	unsigned device_major, device_minor;
	char mountpoint[512];

	if (sscanf(line, "%*d %*d %u:%u %*s %511s", &device_major, &device_minor, mountpoint) != 3 || device_major ||
	    device_minor != of->connection || !strstr(line, " - fuse.cachewtfs "))
		return false;
	snprintf(of->text, of->size, "%s", mountpoint);
	return true;
}

static bool see_connection(void *ctx, const char *line)
{
	return sscanf(line, "fuse_connection: %u", (unsigned *)ctx) == 1;
}

/* Kernels that say which connection a descriptor of /dev/fuse serves lead to the mountpoint; others do not. */
static void find_mountpoint(long pid, char *text, size_t size)
{
	char path[64 + sizeof(((struct dirent *)0)->d_name)];
	struct mount_of of = { 0, text, size };
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%ld/fdinfo", pid);
	dir = opendir(path);
	while (dir && !of.connection && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%ld/fdinfo/%s", pid, entry->d_name);
		each_line(path, see_connection, &of.connection);
	}
	if (dir)
		closedir(dir);
	snprintf(path, sizeof(path), "/proc/%ld/mountinfo", pid);
	if (of.connection)
		each_line(path, see_mount, &of);
}

static bool see_name(void *ctx, const char *line)
{
	struct owner *owner = ctx;

	snprintf(owner->name, sizeof(owner->name), "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

static void describe(struct owner *owner)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/comm", owner->pid);
	each_line(path, see_name, owner);
	find_mountpoint(owner->pid, owner->mountpoint, sizeof(owner->mountpoint));
}

bool owner_find(const char *path, struct owner *owner)
{
	enum lock_kind most = LOCK_NONE;
	struct dirent *entry;
	struct stat store;
	DIR *dir;

	*owner = (struct owner){ 0 };
	if (stat(path, &store))
		return false;
	dir = opendir("/proc");
	while (dir && most != LOCK_WRITE && (entry = readdir(dir))) {
		long pid = strtol(entry->d_name, NULL, 10);
		enum lock_kind kind = pid > 0 && pid != (long)getpid() ? process_lock(pid, &store) : LOCK_NONE;

		if (kind > most) {
			most = kind;
			owner->pid = pid;
		}
	}
	if (dir)
		closedir(dir);
	if (owner->pid)
		describe(owner);
	return owner->pid != 0;
}
