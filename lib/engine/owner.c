/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/owner.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_store(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode))
		return S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool process_has(long pid, const struct stat *store)
{
	char path[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		struct stat st;

		found = !fstatat(dirfd(dir), entry->d_name, &st, 0) && same_store(store, &st);
	}
	closedir(dir);
	return found;
}

long owner_find(const char *path)
{
	struct dirent *entry;
	struct stat store;
	long found = 0;
	DIR *dir;

	if (stat(path, &store))
		return 0;
	dir = opendir("/proc");
	if (!dir)
		return 0;
	while (!found && (entry = readdir(dir))) {
		long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 0 && pid != (long)getpid() && process_has(pid, &store))
			found = pid;
	}
	closedir(dir);
	return found;
}
