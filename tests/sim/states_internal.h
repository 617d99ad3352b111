/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the crash states share: states.c (the record, moment by moment; the data), states_fates.c (what
 * becomes of writes that no flush has covered), states_recover.c (a metadata, recovered in every way).
 */
#ifndef SIM_STATES_INTERNAL_H
#define SIM_STATES_INTERNAL_H

#include "metadata/format.h"
#include "states.h"
#include "u64map.h"

#define SECTOR 512u
#define SECTORS (STATES_BLOCK / SECTOR)
#define VERSIONS_MAX 16u
#define MAPSETS_MAX 64u
#define RESULT_MAX 16u
#define FSYNCS_MAX 64u

/* What recovery looks at. */
struct meta {
	uint8_t *bytes;			/* the metadata, and after it the label's block */
	uint8_t tag[DEVICE_TAG_BYTES];
};

/* The mappings that one recovery leaves. */
struct mapset { uint32_t oblock[STATES_CBLOCKS]; };

/* All that can come of one metadata, crashes during recovery included: indices of mapsets. */
struct result { unsigned nr; uint8_t mapset[RESULT_MAX]; };

/* A write that may not survive. */
struct loose {
	const struct record_op *op;
	unsigned number;		/* in the record */
	bool completed;
	unsigned nr_ends;		/* as torn as it can be: how many bytes arrive; the last is all of them */
	uint32_t end[1 + 4 * STATES_BLOCK / SECTOR];
	unsigned fate;			/* index into end */
};

/* The versions of one sector of the origin, in order. */
struct sector {
	uint8_t value[VERSIONS_MAX];
	uint8_t nr, answered, floor, at_fsync[FSYNCS_MAX];
};

struct states {
	const char *name;
	const struct machine *m;
	const struct record *r;
	struct states_counts *counts;
	uint64_t busy_offset, busy_key;
	struct meta durable, visible, scratch, second;
	uint8_t *data[3];		/* durable, visible, scratch: the origin, then the cache */
	struct loose *loose;
	unsigned nr_loose;
	struct sector sectors[STATES_OBLOCKS * SECTORS];
	unsigned nr_fsyncs;
	struct mapset mapsets[MAPSETS_MAX];
	unsigned nr_mapsets;
	struct result *results;
	unsigned nr_results, room_results;
	struct u64map result_of, mapset_of, seen;	/* by hash: of a metadata; of a metadata; of whole states */
	unsigned moment;
	bool wrong;
};

enum { DURABLE, VISIBLE, SCRATCH };

static inline uint64_t meta_bytes(const struct states *s) { return s->m->size[METADATA] + STATES_BLOCK; }

void states_wrong(struct states *s, const char *what);

/* states_fates.c */
void meta_copy(const struct states *s, struct meta *to, const struct meta *from);
uint64_t meta_hash(const struct states *s, const struct meta *m, uint64_t boot, uint64_t mtime);
/* Is op's write to the metadata or the label? */
bool op_is_meta(const struct record_op *op);
/* Where op's bytes belong. */
uint8_t *op_place(const struct states *s, const struct record_op *op, struct meta *meta, uint8_t *data);
/* In which ways each loose write can end, above this content; all begin as torn as they can be. */
void fates_begin(struct states *s, struct meta *meta, uint8_t *data);
/* The next combination of the writes that are, or are not, metadata; false: all have been. */
bool fates_next(struct states *s, bool meta);
void fates_apply(const struct states *s, bool meta, struct meta *to, uint8_t *data);

/* states_recover.c: what can come of s->scratch, after a power cut or a kill. */
const struct result *recover_all(struct states *s, bool power, uint64_t mtime);

#endif
