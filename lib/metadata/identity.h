/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who the stores are, and what beside the commits is known of the origin's time: the values that the store keeps and
 * whoever opens and writes the origin decides by.  Bytes: format.h.
 *
 * 0, and an empty text, mean "not known"; what is not known equals nothing.
 */
#ifndef CWT_METADATA_IDENTITY_H
#define CWT_METADATA_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

enum origin_kind { ORIGIN_UNKNOWN, ORIGIN_FILE, ORIGIN_BLOCK_DEVICE };

/* Where a store was found: for the question whether this is still the same boot and the same file, mounted once. */
struct place {
	uint64_t dev, ino, rdev;
	uint64_t birth_ns;	/* block devices: diskseq */
	uint64_t mount_id;	/* unique in this boot (STATX_MNT_ID_UNIQUE) */
	uint64_t fsid;
	uint64_t diskseq;
};
enum { PLACE_ORIGIN, PLACE_CACHE, PLACE_METADATA, PLACES };

/* The origin as it was when none of our writes was under way. */
struct origin_state {
	bool known;
	uint64_t seq;		/* counts the states taken, over all runs */
	uint64_t size_bytes, ino;
	int64_t mtime_ns, ctime_ns;
};

/* What a block device says of itself, each as a digest (XXH3-64). */
enum identity_id {
	IDENTITY_WWN, IDENTITY_SERIAL, IDENTITY_PARTITION_UUID, IDENTITY_TABLE_UUID, IDENTITY_FILE_SYSTEM_UUID,
	IDENTITY_FIRST_MIB, IDENTITY_LAST_MIB, IDENTITY_IDS = 16,
};

#define IDENTITY_PATH_BYTES 1024u	/* with the zero at the end; of a longer path the end is kept */

struct identity {
	struct place places[PLACES];
	enum origin_kind origin_kind;
	struct origin_state origin;
	uint64_t origin_tag;		/* digest of the origin's tag as the last owner left it; 0: it had none */
	uint64_t ids[IDENTITY_IDS];	/* of a block device */
	uint64_t origin_path_digest, cache_path_digest;		/* of the whole paths */
	char origin_path[IDENTITY_PATH_BYTES], cache_path[IDENTITY_PATH_BYTES];
};

/*
 * Written beside the busy marks: until when a write of ours to the origin may have been issued, and when the first one
 * after each of the last two states was.
 */
struct lease {
	int64_t until_ns;	/* CLOCK_REALTIME; 0: none was issued */
	int64_t clock_ns;	/* CLOCK_REALTIME at boot, when it was written: differs if somebody has set the clock since */
	struct { uint64_t e_seq; int64_t t1_ns; } since[2];
};

#endif
