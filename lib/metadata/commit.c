/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A commit, from the copies of the changed pages to the second superblock copy.  The states are in store_internal.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/mutant.h"
#include "metadata/format_disk.h"
#include "metadata/store_internal.h"

_Static_assert(STORE_ENTRIES_PER_PAGE == MAPPING_ENTRIES, "a page of the seam is a page on disk");

static void chunk_free(struct commit_chunk *chunk)
{
	if (chunk)
		free(chunk->bytes);
	free(chunk);
}

static struct commit_chunk *chunk_alloc(uint32_t nr_pages)
{
	struct commit_chunk *chunk = malloc(sizeof(*chunk));

	if (!chunk)
		return NULL;
	chunk->bytes = malloc((size_t)nr_pages * PAGE_BYTES);
	if (!chunk->bytes) {
		free(chunk);
		return NULL;
	}
	return chunk;
}

int commit_init(struct store *s)
{
	struct commit *c = &s->commit;

	c->chunks = calloc(div_round_up(s->nr_pages, CHUNK_PAGES), sizeof(*c->chunks));
	if (!c->chunks)
		return -ENOMEM;
	c->chunks[0] = chunk_alloc(MIN(s->nr_pages, CHUNK_PAGES));
	if (!c->chunks[0])
		return -ENOMEM;
	c->nr_chunks = 1;
	return 0;
}

void commit_destroy(struct store *s)
{
	struct commit *c = &s->commit;

	for (uint32_t i = 0; i < c->nr_chunks; i++)
		chunk_free(c->chunks[i]);
	free(c->chunks);
}

static uint32_t *copy_page(const struct commit *c, uint32_t i)
{
	return &c->chunks[i / CHUNK_PAGES]->page[i % CHUNK_PAGES];
}

static uint8_t *copy_bytes(const struct commit *c, uint32_t i)
{
	return c->chunks[i / CHUNK_PAGES]->bytes[i % CHUNK_PAGES];
}

/* The attempt is over, whichever way. */
static void commit_end(struct store *s)
{
	struct commit *c = &s->commit;

	for (uint32_t i = 0; i < c->nr; i++)
		s->pages[*copy_page(c, i)] &= (uint8_t)~PAGE_COPIED;
	while (c->nr_chunks > 1)
		chunk_free(c->chunks[--c->nr_chunks]);
	c->nr = c->at = 0;
	c->writes_identity = false;
	c->state = STEP_IDLE;
}

/* The state is that of the next step, so in FIRST nothing was issued yet. */
bool store_commit_superblock_issued(const struct store *s)
{
	return s->commit.state > STEP_FIRST;
}

void store_commit_begin(struct store *s, unsigned flags)
{
	struct commit *c = &s->commit;

	cwt_assert(!store_commit_superblock_issued(s));
	/* S1: nothing follows the clean mark. */
	cwt_assert(!(s->sb.state & STATE_CLEAN) || mutant_is(MUTANT_CLEAN_WHILE_SERVING));
	commit_end(s);
	c->flags = flags & COMMIT_CLEAN ? flags | COMMIT_FLUSH : flags;
	c->next = s->sb;
	c->next.generation++;
	c->identity = s->identity;
	c->state = STEP_COLLECTING;
	s->may_load = false;
}

/* The slot that does not hold the committed version (C4). */
static int other_slot(const struct store *s, uint32_t page)
{
	bool slot = s->pages[page] & PAGE_SLOT;

	return s->pages[page] & PAGE_COMMITTED ? !slot : slot;
}

int store_commit_page(struct store *s, uint32_t page, const struct store_entry *entries)
{
	struct commit *c = &s->commit;
	uint8_t *bytes;

	if (store_commit_outcome_unknown(s))
		return -EROFS;
	cwt_assert(c->state == STEP_COLLECTING);
	cwt_assert(page < s->nr_pages);
	cwt_assert(!(s->pages[page] & PAGE_COPIED));
	if (c->nr == c->nr_chunks * CHUNK_PAGES) {
		struct commit_chunk *chunk = chunk_alloc(CHUNK_PAGES);

		if (!chunk) {
			commit_end(s);
			return -ENOMEM;
		}
		c->chunks[c->nr_chunks++] = chunk;
	}
	*copy_page(c, c->nr) = page;
	bytes = copy_bytes(c, c->nr++);
	s->pages[page] |= PAGE_COPIED;
	memset(bytes, 0, PAGE_BYTES);
	for (uint32_t i = 0; i < mapping_nr_entries(s->sb.nr_cblocks, page); i++) {
		if (entries[i].oblock.v == BLOCK_NONE)
			continue;
		mapping_put(bytes, i, &(struct mapping){ .oblock = entries[i].oblock.v, .flags = MAPPING_FLAG_MAPPED,
							 .hint = entries[i].hint });
	}
	return 0;
}

static int write_copy(struct store *s, uint32_t i)
{
	struct commit *c = &s->commit;
	uint32_t page = *copy_page(c, i);
	uint8_t *bytes = copy_bytes(c, i);
	struct page_header h = { .type = PAGE_MAPPING, .generation = c->next.generation };

	h.number = mapping_slot_page(superblock_region(&s->sb, REGION_MAPPING), page, other_slot(s, page));
	memcpy(h.uuid, s->sb.uuid, UUID_BYTES);
	page_seal(bytes, PAGE_BYTES, &h);
	if (s->pages[page] & PAGE_COMMITTED)
		c->next.set_digest ^= s->checksums[page];
	c->next.set_digest ^= page_checksum(bytes);
	if (!(s->pages[page] & PAGE_STALE)) {
		s->pages[page] |= PAGE_STALE;	/* until the end is good; a failed write may have arrived */
		s->nr_stale++;
	}
	return device_write(s->dev.metadata, h.number * PAGE_BYTES, bytes, PAGE_BYTES);
}

void store_commit_identity(struct store *s, const struct identity *identity)
{
	cwt_assert(s->commit.state == STEP_COLLECTING);
	s->commit.identity = *identity;
}

static int other_identity_slot(const struct store *s)
{
	return s->identity_slot < 0 ? 0 : !s->identity_slot;
}

/* What has not changed stays where it is. */
static bool identity_changes(struct store *s)
{
	const size_t header = sizeof(struct disk_header);
	struct commit *c = &s->commit;

	identity_encode(&c->identity, s->sb.uuid,
			identity_slot_page(superblock_region(&s->sb, REGION_IDENTITY), other_identity_slot(s)),
			c->next.generation, c->identity_page);
	return s->identity_slot < 0 || memcmp(c->identity_page + header, s->identity_page + header, PAGE_BYTES - header);
}

static int write_identity(struct store *s)
{
	struct commit *c = &s->commit;
	uint64_t number = identity_slot_page(superblock_region(&s->sb, REGION_IDENTITY), other_identity_slot(s));

	c->writes_identity = true;
	c->next.identity_digest = identity_digest_of(c->identity_page);
	return device_write(s->dev.metadata, number * PAGE_BYTES, c->identity_page, PAGE_BYTES);
}

/* Chosen by what the copies hold: the one without the newest generation first (C5). */
int store_first_copy(const struct store *s)
{
	return s->copy_generation[1] > s->copy_generation[0] ? 0 : 1;
}

static int write_superblock(struct store *s, int copy)
{
	uint8_t sector[SECTOR_BYTES];

	superblock_encode(&s->commit.next, copy, sector);
	return device_write(s->dev.metadata, superblock_page(copy) * PAGE_BYTES, sector, sizeof(sector));
}

int64_t store_now_ns(const struct store *s)
{
	struct timespec ts;

	if (s->real_ns)
		return s->real_ns(s->clock_ctx);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Everything but the pages and the identity, which steps fill in. */
static void commit_close_collection(struct store *s)
{
	struct commit *c = &s->commit;
	uint32_t nr_stale_held = 0;

	for (uint32_t i = 0; i < c->nr; i++)
		nr_stale_held += !!(s->pages[*copy_page(c, i)] & PAGE_STALE);
	cwt_assert(nr_stale_held == s->nr_stale);
	c->next.commit_time_ns = store_now_ns(s);
	if (mutant_is(MUTANT_CLEAN_WHILE_SERVING))
		c->flags |= COMMIT_CLEAN;
	c->next.state = c->flags & COMMIT_CLEAN ? c->next.state | STATE_CLEAN : c->next.state & ~STATE_CLEAN;
}

static int state_act(struct store *s)
{
	struct commit *c = &s->commit;

	switch (c->state) {
	case STEP_IDENTITY:
		return write_identity(s);
	case STEP_PAGES:
		return write_copy(s, c->at++);
	case STEP_FIRST:
		return write_superblock(s, store_first_copy(s));
	case STEP_SECOND:
		return write_superblock(s, !store_first_copy(s));
	default:
		return device_flush(s->dev.metadata);
	}
}

static bool state_applies(struct store *s, enum commit_state state)
{
	const struct commit *c = &s->commit;

	switch (state) {
	case STEP_IDENTITY:
		return identity_changes(s);
	case STEP_PAGES:
		return c->at < c->nr;
	case STEP_SECOND:
		return !mutant_is(MUTANT_ONE_SUPERBLOCK);
	case STEP_PAGES_FLUSH: case STEP_FIRST_FLUSH: case STEP_SECOND_FLUSH:
		return c->flags & COMMIT_FLUSH;
	default:
		return true;
	}
}

static enum commit_state state_after(struct store *s)
{
	const struct commit *c = &s->commit;
	enum commit_state state = c->state == STEP_PAGES ? STEP_PAGES : c->state + 1;

	while (!state_applies(s, state))
		state++;
	return state;
}

/* C6: only now do the slots toggle. */
static void commit_succeeded(struct store *s)
{
	struct commit *c = &s->commit;

	for (uint32_t i = 0; i < c->nr; i++) {
		uint32_t page = *copy_page(c, i);

		s->checksums[page] = page_checksum(copy_bytes(c, i));
		s->pages[page] = (uint8_t)(PAGE_COMMITTED | PAGE_COPIED | other_slot(s, page));
	}
	s->nr_stale = 0;
	if (c->writes_identity) {
		s->identity_slot = other_identity_slot(s);
		s->identity = c->identity;
		memcpy(s->identity_page, c->identity_page, PAGE_BYTES);
	}
	s->sb = c->next;
	atomic_store(&s->generation, s->sb.generation);
	s->copy_generation[0] = s->copy_generation[1] = s->sb.generation;
	commit_end(s);
}

static void commit_failed(struct store *s, int error)
{
	static struct log_limit limit;
	bool unknown = s->commit.state >= STEP_FIRST;

	log_limited(&limit, LOG_LEVEL_ERROR, "%s: commit %llu failed: %s; %s", s->dev.metadata->name,
		    (unsigned long long)s->commit.next.generation, strerror(-error),
		    unknown ? "its outcome is not known" : "it is void");
	if (unknown)
		atomic_store(&s->outcome_unknown, true);
	commit_end(s);
}

int store_commit_step(struct store *s)
{
	struct commit *c = &s->commit;
	int ret;

	if (store_commit_outcome_unknown(s))
		return -EROFS;
	cwt_assert(c->state != STEP_IDLE);
	if (c->state == STEP_COLLECTING) {
		commit_close_collection(s);
		c->state = state_after(s);
	}
	ret = state_act(s);
	if (ret) {
		commit_failed(s, ret);
		return ret;
	}
	c->state = state_after(s);
	if (c->state != STEP_COMMITTED)
		return 1;
	commit_succeeded(s);
	return 0;
}

int commit_run(struct store *s)
{
	int ret;

	do
		ret = store_commit_step(s);
	while (ret > 0);
	return ret;
}

bool store_commit_outcome_unknown(const struct store *s)
{
	return atomic_load(&s->outcome_unknown);
}
