/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See options.h. */
#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <string.h>

#include "base/bits.h"
#include "mount_options.h"
#include "options.h"
#include "sizes.h"

#define SEE_HELP "(see cachewtfs --help)"

/* What GLib fills in: text as it was given.  G_OPTION_ARG_FILENAME throughout, since any bytes may come. */
struct raw {
	char *cache, *metadata, *cache_size, *block_size, *mode, *policy, *ack, *warm_after, *commit_interval, *name, *loops,
	     *busy_poll, *pidfile;
	char **faults, **lists, **rest;
	gboolean read_only, trust_origin, reset, foreground, debug, version, help;
};

static GOptionContext *context_new(struct raw *raw)
{
	const GOptionEntry entries[] = {
		{ "cache", 0, 0, G_OPTION_ARG_FILENAME, &raw->cache,
		  "cache file or block device, made if missing; default BASE-HASH.cache in the cache folder", "PATH" },
		{ "metadata", 0, 0, G_OPTION_ARG_FILENAME, &raw->metadata,
		  "metadata file, made if missing; default BASE-HASH.meta in the cache folder", "PATH" },
		{ "cache-size", 0, 0, G_OPTION_ARG_FILENAME, &raw->cache_size,
		  "of a cache made now; default a tenth of the free space there, at most the origin's size", "SIZE" },
		{ "block-size", 0, 0, G_OPTION_ARG_FILENAME, &raw->block_size,
		  "of a metadata made now, a power of two, 4K to 2M; default 64K", "SIZE" },
		{ "mode", 0, 0, G_OPTION_ARG_FILENAME, &raw->mode,
		  "writethrough (default), writearound or passthrough", "MODE" },
		{ "policy", 0, 0, G_OPTION_ARG_FILENAME, &raw->policy, "what to promote and demote; default clock",
		  "NAME[,KEY=VALUE...]" },
		{ "ack", 0, 0, G_OPTION_ARG_FILENAME, &raw->ack,
		  "when a write is answered: when the origin has it (default), or when both stores have", "origin|both" },
		{ "warm-after", 0, 0, G_OPTION_ARG_FILENAME, &raw->warm_after,
		  "what the cache is to stay warm over: kill (default), or power too, which costs flushes", "WHAT" },
		{ "commit-interval", 0, 0, G_OPTION_ARG_FILENAME, &raw->commit_interval,
		  "how often changed mappings are committed, 0.1 to 3600; default 5", "SECONDS" },
		{ "name", 0, 0, G_OPTION_ARG_FILENAME, &raw->name,
		  "of the image in the mount; default ORIGIN's base name", "NAME" },
		{ "read-only", 0, 0, G_OPTION_ARG_NONE, &raw->read_only,
		  "never write the origin; several such mounts may share it", NULL },
		{ "trust-origin", 0, 0, G_OPTION_ARG_NONE, &raw->trust_origin,
		  "keep the cached blocks although the origin's times changed", NULL },
		{ "reset", 0, 0, G_OPTION_ARG_NONE, &raw->reset, "drop the cached contents and start cold", NULL },
		{ "loops", 0, 0, G_OPTION_ARG_FILENAME, &raw->loops,
		  "threads that serve requests, 1 to 16; default 1 or 2 by the stores", "N" },
		{ "busy-poll", 0, 0, G_OPTION_ARG_FILENAME, &raw->busy_poll,
		  "look for work so long before sleeping, 0 to 1000; default 20 with both stores in memory, else 0", "MICROSECONDS" },
		{ "fault", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->faults,
		  "make a store fail, for tests (repeatable), see cachewtfs(1)", "STORE:SPEC" },
		{ "foreground", 'f', 0, G_OPTION_ARG_NONE, &raw->foreground,
		  "stay in the foreground, log to stderr", NULL },
		{ "debug", 'd', 0, G_OPTION_ARG_NONE, &raw->debug, "log more; implies -f", NULL },
		{ "pidfile", 0, 0, G_OPTION_ARG_FILENAME, &raw->pidfile, "written when the mount is ready", "PATH" },
		{ "options", 'o', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->lists,
		  "mount options; every long option above also works here", "OPT[,OPT...]" },
		{ "version", 'V', 0, G_OPTION_ARG_NONE, &raw->version, "print the version", NULL },
		{ "help", 'h', 0, G_OPTION_ARG_NONE, &raw->help, "print this help", NULL },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->rest, NULL, NULL },
		G_OPTION_ENTRY_NULL
	};
	GOptionContext *context = g_option_context_new("ORIGIN MOUNTPOINT - mount an image through a block cache");

	g_option_context_set_help_enabled(context, FALSE);
	g_option_context_set_description(context,
		"Sizes take K, M, G, T (powers of 1024, as KiB) or KB, MB, GB, TB (of 1000): 10G, 1.5G, 10GB.\n"
		"Mount options beside the long ones: ro, uid=N, gid=N, umask=OCTAL, page_cache=on, io_uring,\n"
		"nonempty, allow_other, allow_root, auto_unmount, fsname=TEXT, and what mount(8) passes.\n"
		"All is said in cachewtfs(1).\n");
	g_option_context_add_main_entries(context, entries, NULL);
	return context;
}

static void raw_free(struct raw *raw)
{
	char *const texts[] = { raw->cache, raw->metadata, raw->cache_size, raw->block_size, raw->mode, raw->policy,
				raw->ack, raw->warm_after, raw->commit_interval, raw->name, raw->loops, raw->busy_poll,
				raw->pidfile };

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
	g_strfreev(raw->faults);
	g_strfreev(raw->lists);
	g_strfreev(raw->rest);
}

/* GLib takes --reset=no for --reset. */
static int refuse_flag_values(char **args, struct cwt_error *err)
{
	static const char *const flags[] = { "--read-only=", "--trust-origin=", "--reset=", "--foreground=",
					     "--debug=", "--version=", "--help=" };

	for (; *args && strcmp(*args, "--"); args++)
		for (size_t i = 0; i < G_N_ELEMENTS(flags); i++)
			if (g_str_has_prefix(*args, flags[i]))
				return error_set(err, -EINVAL, "%s: this option takes no value (leave '=' out)", *args);
	return 0;
}

/* args is consumed. */
static int raw_parse(char **args, struct raw *raw, struct cwt_error *err)
{
	GOptionContext *context = context_new(raw);
	GError *error = NULL;
	int ret = refuse_flag_values(args, err);

	*raw = (struct raw){ 0 };
	if (!ret && !g_option_context_parse_strv(context, &args, &error)) {
		ret = error_set(err, -EINVAL, "command line: %s " SEE_HELP, error->message);
		g_error_free(error);
	}
	g_option_context_free(context);
	g_strfreev(args);
	return ret;
}

static int parse_attribute(const char *option, struct options *o, struct cwt_error *err)
{
	const char *value = strchr(option, '=') + 1;
	bool is_umask = option[1] == 'm';	/* uid=, gid=, umask= */
	uint64_t n;

	if (number_parse(value, is_umask ? 8 : 10, is_umask ? 0777 : UINT32_MAX - 1, &n))
		return error_set(err, -EINVAL, "-o %s: not a number %s (see cachewtfs(1))", option,
				 is_umask ? "from 000 to 777, octal" : "of a user or group");
	if (is_umask) {
		o->own_umask = true;
		o->umask = (uint32_t)n;
	} else if (option[0] == 'u') {
		o->own_uid = true;
		o->uid = (uint32_t)n;
	} else {
		o->own_gid = true;
		o->gid = (uint32_t)n;
	}
	return 0;
}

static int parse_page_cache(const char *value, bool *on, struct cwt_error *err)
{
	*on = !strcmp(value, "on");
	if (!*on && strcmp(value, "off"))
		return error_set(err, -EINVAL, "-o page_cache=%s: neither on nor off (the default is off)", value);
	return 0;
}

/* Is this option, without its value, one of our long ones?  Asked of the parser itself, so that there is one list. */
static bool is_long_option(const char *option)
{
	const char *name_end = strchrnul(option, '=');
	char *text = g_strdup_printf("--%.*s%s", (int)(name_end - option), option, *name_end ? "=1" : "");
	char *args[] = { g_strdup("cachewtfs"), text, NULL };
	struct raw raw;
	bool found = raw_parse(g_strdupv(args), &raw, NULL) == 0 && !raw.lists && !raw.version && !raw.help;

	raw_free(&raw);
	g_free(args[0]);
	g_free(args[1]);
	return found;
}

/* One option of a list: to libfuse, to us as a long option, or nowhere. */
static int sort_mount_option(const char *option, struct options *o, GPtrArray *args, GPtrArray *fuse,
			     struct cwt_error *err)
{
	switch (mount_option_kind(option)) {
	case MOUNT_OPTION_IGNORED:
		return 0;
	case MOUNT_OPTION_READ_ONLY:
		o->read_only = true;
		/* fall through */
	case MOUNT_OPTION_FUSE:
		if (!strcmp(option, "sync") || !strcmp(option, "async"))
			o->sync = *option == 's';
		g_ptr_array_add(fuse, g_strdup(option));
		return 0;
	case MOUNT_OPTION_ATTRIBUTE:
		return parse_attribute(option, o, err);
	case MOUNT_OPTION_PAGE_CACHE:
		return parse_page_cache(strchr(option, '=') + 1, &o->page_cache, err);
	case MOUNT_OPTION_IO_URING:
		o->io_uring = true;
		return 0;
	case MOUNT_OPTION_NONEMPTY:
		o->nonempty = true;
		return 0;
	case MOUNT_OPTION_OTHER:
		break;
	}
	if (!is_long_option(option))
		return error_set(err, -EINVAL, "-o %s: unknown, or its value is missing or unwanted " SEE_HELP, option);
	g_ptr_array_add(args, g_strdup_printf("--%s", option));
	return 0;
}

/*
 * What the lists of -o say, put in front of the command line's own arguments: parsed as one, the latter win, and
 * repeatable options add up.
 */
static int expand_lists(char **lists, char **given, struct options *o, char ***expanded, struct cwt_error *err)
{
	GPtrArray *args = g_ptr_array_new_with_free_func(g_free), *fuse = g_ptr_array_new_with_free_func(g_free);
	int ret = 0;

	g_ptr_array_add(args, g_strdup(*given++));
	for (; lists && *lists && !ret; lists++) {
		char **options = mount_options_split(*lists);

		for (char **p = options; *p && !ret; p++)
			ret = sort_mount_option(*p, o, args, fuse, err);
		g_strfreev(options);
	}
	for (; *given; given++)
		g_ptr_array_add(args, g_strdup(*given));
	g_ptr_array_add(args, NULL);
	g_ptr_array_add(fuse, NULL);
	o->fuse = (char **)g_ptr_array_free(fuse, FALSE);
	*expanded = (char **)g_ptr_array_free(args, FALSE);
	return ret;
}

static int parse_sizes(const struct raw *raw, struct options *o, struct cwt_error *err)
{
	uint64_t block;

	if (raw->cache_size && size_parse(raw->cache_size, &o->cache_size_bytes))
		return error_set(err, -EINVAL, "--cache-size %s: %s", raw->cache_size, size_why(raw->cache_size));
	if (raw->cache_size && !o->cache_size_bytes)
		return error_set(err, -EINVAL, "--cache-size %s: not a size above 0 (give at least two blocks, as 10G)",
				 raw->cache_size);
	if (!raw->block_size)
		return 0;
	if (size_parse(raw->block_size, &block))
		return error_set(err, -EINVAL, "--block-size %s: %s", raw->block_size, size_why(raw->block_size));
	if (block < CWT_BLOCK_SIZE_MIN || block > CWT_BLOCK_SIZE_MAX ||
	    !is_power_of_2(block))
		return error_set(err, -EINVAL, "--block-size %s: not a power of two from 4K to 2M (the default is 64K)",
				 raw->block_size);
	o->block_size_bytes = (uint32_t)block;
	return 0;
}

static int parse_numbers(const struct raw *raw, struct options *o, struct cwt_error *err)
{
	uint64_t n;

	if (raw->commit_interval && (seconds_parse(raw->commit_interval, &o->commit_interval_ms) ||
				     o->commit_interval_ms < 100 || o->commit_interval_ms > 3600000))
		return error_set(err, -EINVAL, "--commit-interval %s: not seconds from 0.1 to 3600 (the default is 5)",
				 raw->commit_interval);
	if (raw->busy_poll) {
		if (number_parse(raw->busy_poll, 10, BUSY_POLL_US_MAX, &n))
			return error_set(err, -EINVAL, "--busy-poll %s: not microseconds from 0 to %u (leave it out for the "
					 "default)", raw->busy_poll, BUSY_POLL_US_MAX);
		o->busy_poll_us = (uint32_t)n;
		o->own_busy_poll = true;
	}
	if (!raw->loops)
		return 0;
	if (number_parse(raw->loops, 10, CWT_LOOPS_MAX, &n) || !n)
		return error_set(err, -EINVAL, "--loops %s: not a number from 1 to %u (leave it out for the default)",
				 raw->loops, CWT_LOOPS_MAX);
	o->loops = (unsigned)n;
	return 0;
}

static int parse_mode(const char *text, enum cwt_mode *mode, struct cwt_error *err)
{
	static const char *const names[] = {
		[CWT_WRITETHROUGH] = "writethrough",
		[CWT_WRITEAROUND] = "writearound",
		[CWT_PASSTHROUGH] = "passthrough",
	};

	*mode = CWT_WRITETHROUGH;
	for (size_t i = 0; text && i < G_N_ELEMENTS(names); i++)
		if (!strcmp(text, names[i])) {
			*mode = (enum cwt_mode)i;
			return 0;
		}
	return !text ? 0 : error_set(err, -EINVAL, "--mode %s: no such mode (writethrough, writearound or "
				     "passthrough)", text);
}

static int parse_warm_after(const char *text, bool *power, struct cwt_error *err)
{
	*power = text && !strcmp(text, "power");
	if (text && !*power && strcmp(text, "kill"))
		return error_set(err, -EINVAL, "--warm-after %s: no such thing (kill or power)", text);
	return 0;
}

static int parse_ack(const char *text, bool *origin, struct cwt_error *err)
{
	*origin = !text || !strcmp(text, "origin");
	if (text && !*origin && strcmp(text, "both"))
		return error_set(err, -EINVAL, "--ack %s: no such thing (origin or both)", text);
	return 0;
}

static int check_name(const char *name, struct cwt_error *err)
{
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return error_set(err, -EINVAL, "--name %s: not a file name (give one without '/')", name);
	if (!strcmp(name, CONTROL_FOLDER))
		return error_set(err, -EINVAL, "--name %s: the control folder of the mount is called so "
				 "(give another --name)", name);
	if (strlen(name) > NAME_MAX)
		return error_set(err, -EINVAL, "--name %.64s...: longer than %d bytes (give a shorter --name)", name,
				 NAME_MAX);
	return 0;
}

static int parse_arguments(struct raw *raw, struct options *o, struct cwt_error *err)
{
	unsigned nr = raw->rest ? g_strv_length(raw->rest) : 0;

	if (nr != 2)
		return error_set(err, -EINVAL, "command line: ORIGIN and MOUNTPOINT are wanted, found %u argument%s "
				 SEE_HELP, nr, nr == 1 ? "" : "s");
	if (!*raw->rest[0] || !*raw->rest[1])
		return error_set(err, -EINVAL, "command line: ORIGIN or MOUNTPOINT is empty " SEE_HELP);
	o->origin = g_strdup(raw->rest[0]);
	o->mountpoint = g_strdup(raw->rest[1]);
	o->name = raw->name ? g_steal_pointer(&raw->name) : g_path_get_basename(o->origin);
	return check_name(o->name, err);
}

static int take_raw(struct raw *raw, struct options *o, struct cwt_error *err)
{
	int ret = parse_arguments(raw, o, err);

	o->cache = g_steal_pointer(&raw->cache);
	o->metadata = g_steal_pointer(&raw->metadata);
	o->policy = g_steal_pointer(&raw->policy);
	o->pidfile = g_steal_pointer(&raw->pidfile);
	o->faults = g_steal_pointer(&raw->faults);
	o->read_only |= raw->read_only;
	o->trust_origin = raw->trust_origin;
	o->reset = raw->reset;
	o->debug = raw->debug;
	o->foreground = raw->foreground || raw->debug;
	if (!ret && o->page_cache && o->io_uring)
		ret = error_set(err, -EINVAL, "-o io_uring: cannot be had with page_cache=on (leave one of them out)");
	if (!ret)
		ret = parse_mode(raw->mode, &o->mode, err);
	if (!ret)
		ret = parse_ack(raw->ack, &o->ack_origin, err);
	if (!ret)
		ret = parse_warm_after(raw->warm_after, &o->warm_after_power, err);
	if (!ret)
		ret = parse_sizes(raw, o, err);
	return ret ? ret : parse_numbers(raw, o, err);
}

/* A copy of the arguments; -oLIST, which GLib does not know, is made -o LIST. */
static char **copy_arguments(int argc, char **argv)
{
	GPtrArray *args = g_ptr_array_new();
	bool options = true;

	g_ptr_array_add(args, g_strdup(argc ? argv[0] : "cachewtfs"));
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		options &= strcmp(arg, "--") != 0;
		if (options && g_str_has_prefix(arg, "-o") && arg[2]) {
			g_ptr_array_add(args, g_strdup("-o"));
			arg += 2;
		}
		g_ptr_array_add(args, g_strdup(arg));
	}
	g_ptr_array_add(args, NULL);
	return (char **)g_ptr_array_free(args, FALSE);
}

/* The first look finds the lists of -o; the second one is at everything. */
int options_parse(int argc, char **argv, struct options *o, struct cwt_error *err)
{
	char **given = copy_arguments(argc, argv), **expanded = NULL;
	struct raw raw;
	int ret;

	*o = (struct options){ 0 };
	ret = raw_parse(g_strdupv(given), &raw, err);
	if (!ret && (raw.help || raw.version))
		o->action = raw.help ? OPTIONS_HELP : OPTIONS_VERSION;
	else if (!ret)
		ret = expand_lists(raw.lists, given, o, &expanded, err);
	raw_free(&raw);
	g_strfreev(given);
	if (ret || o->action != OPTIONS_MOUNT) {
		g_strfreev(expanded);
		return ret;
	}
	ret = raw_parse(expanded, &raw, err);
	if (!ret)
		ret = take_raw(&raw, o, err);
	raw_free(&raw);
	return ret;
}

void options_free(struct options *o)
{
	char *const texts[] = { o->origin, o->mountpoint, o->cache, o->metadata, o->name, o->policy, o->pidfile };

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
	g_strfreev(o->faults);
	g_strfreev(o->fuse);
	*o = (struct options){ 0 };
}

char *options_help(void)
{
	struct raw raw = { 0 };
	GOptionContext *context = context_new(&raw);
	char *help = g_option_context_get_help(context, TRUE, NULL);

	g_option_context_free(context);
	return help;
}
