/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cachewt prune: take away default pairs that nobody needs.
 *
 * Only names that paths.h makes are looked at, and only files.  A pair is locked while it is judged and taken away: what a
 * mount uses, or opens at this moment, stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cachewt_stores.h"
#include "cachewt_tool.h"
#include "paths.h"
#include "sizes.h"

#define NR_FILES 2

static const char *const suffixes[NR_FILES] = { ".cache", ".meta" };

struct pair {
	char *path[NR_FILES];
	int fd[NR_FILES];		/* locked; -1: that file is not there */
	struct stat st[NR_FILES];
	uint64_t size_bytes;		/* on the disk */
	time_t used;			/* when one of them was written last */
};

struct pruning { bool yes; double older_than_days; unsigned nr; uint64_t size_bytes; bool failed; };

/* "disk.img-0123456789abcdef" or with ".2" behind it. */
static bool is_stem(const char *stem)
{
	static const char pattern[] = "^.+-[0-9a-f]{16}(\\.[1-9][0-9]*)?$";

	return g_regex_match_simple(pattern, stem, G_REGEX_RAW | G_REGEX_DOTALL, 0);
}

static void add_stem(GHashTable *stems, const char *name)
{
	for (int i = 0; i < NR_FILES; i++)
		if (g_str_has_suffix(name, suffixes[i])) {
			char *stem = g_strndup(name, strlen(name) - strlen(suffixes[i]));

			if (is_stem(stem))
				g_hash_table_add(stems, stem);
			else
				g_free(stem);
		}
}

static void pair_close(struct pair *pair)
{
	for (int i = 0; i < NR_FILES; i++) {
		if (pair->fd[i] >= 0)
			close(pair->fd[i]);
		g_free(pair->path[i]);
	}
}

/* -EBUSY: in use.  Links and what is no file are left alone: -EINVAL. */
static int open_file(struct pair *pair, int i)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat *st = &pair->st[i];

	pair->fd[i] = open(pair->path[i], O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (pair->fd[i] < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(pair->fd[i], st))
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	if (fcntl(pair->fd[i], F_OFD_SETLK, &lock))
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	pair->size_bytes += (uint64_t)st->st_blocks * 512;
	pair->used = MAX(pair->used, st->st_mtime);
	return 0;
}

/* The metadata first, as a mount does: two that come together meet there. */
static int pair_open(struct pair *pair, const char *folder, const char *stem)
{
	int ret = 0;

	*pair = (struct pair){ .fd = { -1, -1 } };
	for (int i = 0; i < NR_FILES; i++)
		pair->path[i] = g_strdup_printf("%s/%s%s", folder, stem, suffixes[i]);
	for (int i = NR_FILES; i-- && !ret;)
		ret = open_file(pair, i);
	return ret;
}

/*
 * Why it may go; one half alone is no reason, for the other may have been named by --cache or --metadata.  A file system that
 * is not mounted now makes its origins look gone: what is lost then is warmth.
 * NULL: it stays.  Free with g_free().
 */
static char *reason(const struct pair *pair, const struct pruning *pruning)
{
	char *origin = pair->fd[1] >= 0 ? stores_origin_path(pair->path[1]) : NULL, *why = NULL;
	double days = difftime(time(NULL), pair->used) / 86400;

	if (origin && access(origin, F_OK) && (errno == ENOENT || errno == ENOTDIR))
		why = g_strdup_printf("its origin %s does not exist", origin);
	else if (pruning->older_than_days >= 0 && days > pruning->older_than_days)
		why = g_strdup_printf("not used for %.1f days", days);
	g_free(origin);
	return why;
}

/* Only what is locked: another file of this name may have come. */
static bool take_away(const struct pair *pair)
{
	bool good = true;

	for (int i = 0; i < NR_FILES; i++) {
		struct stat st;

		if (pair->fd[i] < 0 || lstat(pair->path[i], &st) || st.st_ino != pair->st[i].st_ino || st.st_dev != pair->st[i].st_dev)
			continue;
		if (unlink(pair->path[i])) {
			tool_fail("%s: %s", pair->path[i], strerror(errno));
			good = false;
		}
	}
	return good;
}

static void say(const struct pair *pair, const char *stem, const char *why, bool yes)
{
	char size[SIZE_TEXT_BYTES], *line;

	size_format(pair->size_bytes, size);
	line = g_strdup_printf("%s %s: %s (%s)", yes ? "removed" : "would remove", stem, why, size);

	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	puts(line);
	g_free(line);
}

static void prune_pair(struct pruning *pruning, const char *folder, const char *stem)
{
	struct pair pair;
	char *why = NULL;
	int ret = pair_open(&pair, folder, stem);

	if (!ret)
		why = reason(&pair, pruning);
	else if (ret != -EBUSY && ret != -EINVAL && ret != -ELOOP)
		tool_fail("%s/%s: %s", folder, stem, strerror(-ret));
	if (why && pruning->yes && !take_away(&pair))
		pruning->failed = true;
	else if (why) {
		say(&pair, stem, why, pruning->yes);
		pruning->nr++;
		pruning->size_bytes += pair.size_bytes;
	}
	g_free(why);
	pair_close(&pair);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

static int prune(struct pruning *pruning, const char *folder)
{
	GHashTable *stems = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GError *error = NULL;
	GDir *dir = g_dir_open(folder, 0, &error);
	const char *name;
	GList *sorted;
	char size[SIZE_TEXT_BYTES];

	if (!dir && !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
		tool_fail("%s: %s", folder, error->message);
		pruning->failed = true;
	}
	g_clear_error(&error);
	while (dir && (name = g_dir_read_name(dir)))
		add_stem(stems, name);
	if (dir)
		g_dir_close(dir);
	sorted = g_list_sort(g_hash_table_get_keys(stems), by_name);
	for (GList *stem = sorted; stem; stem = stem->next)
		prune_pair(pruning, folder, stem->data);
	g_list_free(sorted);
	g_hash_table_unref(stems);
	size_format(pruning->size_bytes, size);
	printf("%u pair%s, %s%s\n", pruning->nr, pruning->nr == 1 ? "" : "s", size,
	       pruning->nr && !pruning->yes ? " (--yes removes them)" : "");
	return pruning->failed ? TOOL_FAILED : TOOL_OK;
}

static int prune_run(const struct subcommand *sub, int argc, char **argv)
{
	double days = -1;
	gboolean yes = FALSE;
	const GOptionEntry entries[] = {
		{ "older-than", 0, 0, G_OPTION_ARG_DOUBLE, &days, "Also pairs that no mount has used for so long", "DAYS" },
		{ "yes", 'y', 0, G_OPTION_ARG_NONE, &yes, "Remove them, not only say which", NULL },
		{ 0 },
	};
	char **args = tool_parse(sub, argc, argv, entries), *folder;
	struct pruning pruning;
	int status;

	if (!args)
		return TOOL_USAGE;
	if (days != -1 && !(days >= 0)) {
		g_strfreev(args);
		return tool_usage(sub, "--older-than: %g is not 0 or more days", days);
	}
	folder = args[0] ? g_strdup(args[0]) : paths_default_folder(geteuid() == 0, getenv("XDG_CACHE_HOME"), g_get_home_dir());
	pruning = (struct pruning){ .yes = yes, .older_than_days = days };
	status = prune(&pruning, folder);
	g_free(folder);
	g_strfreev(args);
	return status;
}

const struct subcommand cmd_prune = {
	.name = "prune", .args = "[FOLDER]", .nr_args_min = 0, .nr_args_max = 1,
	.summary = "Remove default caches that nobody needs",
	.help = "Pairs of cache and metadata in the default folder, or in FOLDER, whose origin no longer exists.  Without --yes it\n"
		"only says which.  What a mount uses stays.\n",
	.run = prune_run,
};
