/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages, mapping entries, label, runtime page and region marks; superblock.c has the superblock. */
#include "metadata/format.h"

#include <string.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/bits.h"
#include "metadata/format_disk.h"

static const uint8_t metadata_magic[8] = "cachewtM";
static const uint8_t label_magic[8] = "cachewtC";

/* The cache's label has a magic of its own, so that cache and metadata given the wrong way round are told apart. */
static const uint8_t *magic_of(enum page_type type)
{
	return type == PAGE_LABEL ? label_magic : metadata_magic;
}

bool bytes_are_zero(const uint8_t *bytes, size_t len_bytes)
{
	return !len_bytes || (!bytes[0] && !memcmp(bytes, bytes + 1, len_bytes - 1));
}

/* Magic and checksum themselves are compared, so the checksum covers what follows them. */
static uint64_t checksum_compute(const uint8_t *page, size_t len_bytes)
{
	const size_t from = offsetof(struct disk_header, type);

	return XXH3_64bits(page + from, len_bytes - from);
}

uint64_t page_checksum(const uint8_t *page)
{
	return get_le64(((const struct disk_header *)page)->checksum);
}

void page_seal(uint8_t *page, size_t len_bytes, const struct page_header *h)
{
	struct disk_header *d = (struct disk_header *)page;

	memset(d, 0, sizeof(*d));
	memcpy(d->magic, magic_of(h->type), sizeof(d->magic));
	put_le32(d->type, h->type);
	put_le64(d->number, h->number);
	put_le64(d->generation, h->generation);
	memcpy(d->uuid, h->uuid, UUID_BYTES);
	put_le64(d->checksum, checksum_compute(page, len_bytes));
}

enum page_verdict page_verify(const uint8_t *page, size_t len_bytes, enum page_type type, uint64_t number,
			      struct page_header *h)
{
	const struct disk_header *d = (const struct disk_header *)page;

	if (memcmp(d->magic, magic_of(type), sizeof(d->magic)))
		return bytes_are_zero(page, len_bytes) ? PAGE_ZERO : PAGE_FOREIGN;
	if (get_le64(d->checksum) != checksum_compute(page, len_bytes))
		return PAGE_BROKEN;
	if (get_le32(d->type) != type || get_le64(d->number) != number || get_le64(d->generation) > GENERATION_MAX)
		return PAGE_BROKEN;
	if (h) {
		h->type = type;
		h->number = number;
		h->generation = get_le64(d->generation);
		memcpy(h->uuid, d->uuid, UUID_BYTES);
	}
	return PAGE_OK;
}

uint64_t nr_mapping_pages_of(uint32_t nr_cblocks)
{
	return div_round_up(nr_cblocks, MAPPING_ENTRIES);
}

uint32_t mapping_nr_entries(uint32_t nr_cblocks, uint32_t page)
{
	uint64_t first = (uint64_t)page * MAPPING_ENTRIES;

	cwt_assert(first < nr_cblocks);
	return (uint32_t)MIN(nr_cblocks - first, MAPPING_ENTRIES);
}

static struct disk_mapping *entry_of(const uint8_t *page, unsigned i)
{
	cwt_assert(i < MAPPING_ENTRIES);
	return (struct disk_mapping *)(page + sizeof(struct disk_header)) + i;
}

void mapping_put(uint8_t *page, unsigned i, const struct mapping *m)
{
	struct disk_mapping *d = entry_of(page, i);

	memset(d, 0, sizeof(*d));
	if (!(m->flags & MAPPING_FLAG_MAPPED))
		return;
	cwt_assert(m->oblock < 1ull << 48);
	put_le64(d->oblock_and_flags, m->oblock | (uint64_t)m->flags << 48);
	d->hint = m->hint;
}

struct mapping mapping_get(const uint8_t *page, unsigned i)
{
	const struct disk_mapping *d = entry_of(page, i);
	uint64_t word = get_le64(d->oblock_and_flags);

	return (struct mapping){ .oblock = word & ((1ull << 48) - 1),
				 .flags = (uint16_t)(word >> 48),
				 .hint = d->hint };
}

bool mapping_is_sane(const struct mapping *m, uint64_t nr_oblocks)
{
	if (!m->flags)
		return !m->oblock && !m->hint;
	return m->flags & MAPPING_FLAG_MAPPED && !(m->flags & ~MAPPING_FLAGS_KNOWN) && m->oblock < nr_oblocks;
}

bool mapping_reserved_is_zero(const uint8_t *page, unsigned i)
{
	const struct disk_mapping *d = entry_of(page, i);

	return bytes_are_zero(d->reserved, sizeof(d->reserved));
}

/* Only the first sector is covered: the rest of the page is zeros, and the label must not be lost by a torn write. */
void label_encode(const struct label *label, uint8_t page[PAGE_BYTES])
{
	struct disk_label *d = (struct disk_label *)page;
	struct page_header h = { .type = PAGE_LABEL };

	memset(page, 0, PAGE_BYTES);
	put_le64(d->session, label->session);
	put_le32(d->block_size_bytes, label->block_size_bytes);
	put_le32(d->nr_cblocks, label->nr_cblocks);
	memcpy(h.uuid, label->uuid, UUID_BYTES);
	page_seal(page, SECTOR_BYTES, &h);
}

enum page_verdict label_decode(const uint8_t page[PAGE_BYTES], struct label *label)
{
	const struct disk_label *d = (const struct disk_label *)page;
	struct page_header h;
	enum page_verdict v = page_verify(page, SECTOR_BYTES, PAGE_LABEL, 0, &h);

	if (v != PAGE_OK)
		return v;
	label->session = get_le64(d->session);
	label->block_size_bytes = get_le32(d->block_size_bytes);
	label->nr_cblocks = get_le32(d->nr_cblocks);
	memcpy(label->uuid, h.uuid, UUID_BYTES);
	return PAGE_OK;
}

/* No UUID: whoever finds the metadata locked reads and writes this page without knowing anything else of it. */
void runtime_encode(const struct runtime *rt, uint8_t page[PAGE_BYTES])
{
	struct disk_runtime *d = (struct disk_runtime *)page;

	memset(page, 0, PAGE_BYTES);
	put_le32(d->pid, rt->pid);
	put_le32(d->state, rt->state);
	page_seal(page, PAGE_BYTES, &(struct page_header){ .type = PAGE_RUNTIME, .number = RUNTIME_PAGE });
}

enum page_verdict runtime_decode(const uint8_t page[PAGE_BYTES], struct runtime *rt)
{
	const struct disk_runtime *d = (const struct disk_runtime *)page;
	enum page_verdict v = page_verify(page, PAGE_BYTES, PAGE_RUNTIME, RUNTIME_PAGE, NULL);

	if (v == PAGE_OK)
		*rt = (struct runtime){ .pid = get_le32(d->pid), .state = get_le32(d->state) };
	return v;
}

void region_marks_encode(const uint8_t uuid[UUID_BYTES], uint64_t number, uint64_t generation,
			 const uint8_t bits[PAGE_BYTES - 64], uint8_t page[PAGE_BYTES])
{
	struct page_header h = { .type = PAGE_REGION_MARKS, .number = number, .generation = generation };

	memcpy(h.uuid, uuid, UUID_BYTES);
	memcpy(page + sizeof(struct disk_header), bits, PAGE_BYTES - sizeof(struct disk_header));
	page_seal(page, PAGE_BYTES, &h);
}

enum page_verdict region_marks_verify(const uint8_t page[PAGE_BYTES], const uint8_t uuid[UUID_BYTES], uint64_t number)
{
	struct page_header h;
	enum page_verdict v = page_verify(page, PAGE_BYTES, PAGE_REGION_MARKS, number, &h);

	return v == PAGE_OK && memcmp(h.uuid, uuid, UUID_BYTES) ? PAGE_BROKEN : v;
}

void region_marks_bits(const uint8_t page[PAGE_BYTES], uint8_t bits[PAGE_BYTES - 64])
{
	memcpy(bits, page + sizeof(struct disk_header), PAGE_BYTES - sizeof(struct disk_header));
}

void origin_tag_encode(const uint8_t uuid[UUID_BYTES], uint64_t session, uint8_t tag[UUID_BYTES + 8])
{
	memcpy(tag, uuid, UUID_BYTES);
	put_le64(tag + UUID_BYTES, session);
}

uint64_t origin_tag_digest(const uint8_t tag[UUID_BYTES + 8])
{
	uint64_t digest;

	if (bytes_are_zero(tag, UUID_BYTES + 8))
		return 0;
	digest = XXH3_64bits(tag, UUID_BYTES + 8);
	return digest ? digest : 1;
}

/* A key of its own for each use of the UUID. */
static uint64_t lease_checksum(const struct disk_lease *d, const uint8_t uuid[UUID_BYTES])
{
	return XXH3_64bits_withSeed(d, offsetof(struct disk_lease, checksum), XXH3_64bits(uuid, UUID_BYTES));
}

void lease_encode(const struct lease *lease, const uint8_t uuid[UUID_BYTES], uint8_t sector[SECTOR_BYTES])
{
	struct disk_lease *d = (struct disk_lease *)sector;

	memset(d, 0, sizeof(*d));
	put_le64(d->until_ns, (uint64_t)lease->until_ns);
	put_le64(d->clock_ns, (uint64_t)lease->clock_ns);
	for (int i = 0; i < 2; i++) {
		put_le64(d->since[i].e_seq, lease->since[i].e_seq);
		put_le64(d->since[i].t1_ns, (uint64_t)lease->since[i].t1_ns);
	}
	put_le64(d->checksum, lease_checksum(d, uuid));
}

bool lease_decode(const uint8_t sector[SECTOR_BYTES], const uint8_t uuid[UUID_BYTES], struct lease *lease)
{
	const struct disk_lease *d = (const struct disk_lease *)sector;

	*lease = (struct lease){ 0 };
	if (get_le64(d->checksum) != lease_checksum(d, uuid))
		return false;
	lease->until_ns = (int64_t)get_le64(d->until_ns);
	lease->clock_ns = (int64_t)get_le64(d->clock_ns);
	for (int i = 0; i < 2; i++) {
		lease->since[i].e_seq = get_le64(d->since[i].e_seq);
		lease->since[i].t1_ns = (int64_t)get_le64(d->since[i].t1_ns);
	}
	return true;
}
