/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The identity page's bytes. */
#include "metadata/identity.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "metadata/format.h"
#include "metadata/format_disk.h"

static void places_encode(const struct place *p, struct disk_place *d)
{
	for (int i = 0; i < PLACES; i++) {
		put_le64(d[i].dev, p[i].dev);
		put_le64(d[i].ino, p[i].ino);
		put_le64(d[i].rdev, p[i].rdev);
		put_le64(d[i].birth_ns, p[i].birth_ns);
		put_le64(d[i].mount_id, p[i].mount_id);
		put_le64(d[i].fsid, p[i].fsid);
		put_le64(d[i].diskseq, p[i].diskseq);
	}
}

static void places_decode(const struct disk_place *d, struct place *p)
{
	for (int i = 0; i < PLACES; i++)
		p[i] = (struct place){ .dev = get_le64(d[i].dev), .ino = get_le64(d[i].ino),
				       .rdev = get_le64(d[i].rdev), .birth_ns = get_le64(d[i].birth_ns),
				       .mount_id = get_le64(d[i].mount_id), .fsid = get_le64(d[i].fsid),
				       .diskseq = get_le64(d[i].diskseq) };
}

/* Nothing of what stands behind the zero at the end gets to the disk. */
static void path_encode(const char *path, uint8_t d[IDENTITY_PATH_BYTES])
{
	memcpy(d, path, strnlen(path, IDENTITY_PATH_BYTES - 1));
}

static bool path_is_text(const uint8_t d[IDENTITY_PATH_BYTES])
{
	size_t len = strnlen((const char *)d, IDENTITY_PATH_BYTES);

	return len < IDENTITY_PATH_BYTES && bytes_are_zero(d + len, IDENTITY_PATH_BYTES - len);
}

void identity_encode(const struct identity *id, const uint8_t uuid[UUID_BYTES], uint64_t number, uint64_t generation,
		     uint8_t page[PAGE_BYTES])
{
	struct disk_identity *d = (struct disk_identity *)page;
	struct page_header h = { .type = PAGE_IDENTITY, .number = number, .generation = generation };

	memset(d, 0, sizeof(*d));
	places_encode(id->places, d->places);
	put_le32(d->origin_kind, id->origin_kind);
	put_le32(d->origin_known, id->origin.known);
	put_le64(d->origin_seq, id->origin.seq);
	put_le64(d->origin_size_bytes, id->origin.size_bytes);
	put_le64(d->origin_ino, id->origin.ino);
	put_le64(d->origin_mtime_ns, (uint64_t)id->origin.mtime_ns);
	put_le64(d->origin_ctime_ns, (uint64_t)id->origin.ctime_ns);
	put_le64(d->origin_tag, id->origin_tag);
	put_le64(d->origin_path_digest, id->origin_path_digest);
	put_le64(d->cache_path_digest, id->cache_path_digest);
	for (int i = 0; i < IDENTITY_IDS; i++)
		put_le64(d->ids[i], id->ids[i]);
	path_encode(id->origin_path, d->origin_path);
	path_encode(id->cache_path, d->cache_path);
	memcpy(h.uuid, uuid, UUID_BYTES);
	page_seal(page, PAGE_BYTES, &h);
}

int identity_decode(const uint8_t page[PAGE_BYTES], struct identity *id)
{
	const struct disk_identity *d = (const struct disk_identity *)page;

	memset(id, 0, sizeof(*id));
	if (get_le32(d->origin_kind) > ORIGIN_BLOCK_DEVICE || get_le32(d->origin_known) > 1 ||
	    !path_is_text(d->origin_path) || !path_is_text(d->cache_path))
		return -EINVAL;
	places_decode(d->places, id->places);
	id->origin_kind = get_le32(d->origin_kind);
	id->origin.known = get_le32(d->origin_known);
	id->origin.seq = get_le64(d->origin_seq);
	id->origin.size_bytes = get_le64(d->origin_size_bytes);
	id->origin.ino = get_le64(d->origin_ino);
	id->origin.mtime_ns = (int64_t)get_le64(d->origin_mtime_ns);
	id->origin.ctime_ns = (int64_t)get_le64(d->origin_ctime_ns);
	id->origin_tag = get_le64(d->origin_tag);
	id->origin_path_digest = get_le64(d->origin_path_digest);
	id->cache_path_digest = get_le64(d->cache_path_digest);
	for (int i = 0; i < IDENTITY_IDS; i++)
		id->ids[i] = get_le64(d->ids[i]);
	memcpy(id->origin_path, d->origin_path, IDENTITY_PATH_BYTES);
	memcpy(id->cache_path, d->cache_path, IDENTITY_PATH_BYTES);
	return 0;
}

bool identity_reserved_is_zero(const uint8_t page[PAGE_BYTES])
{
	const struct disk_identity *d = (const struct disk_identity *)page;

	return bytes_are_zero(d->reserved1, sizeof(d->reserved1)) && bytes_are_zero(d->reserved2, sizeof(d->reserved2));
}

uint64_t identity_digest_of(const uint8_t page[PAGE_BYTES])
{
	uint64_t digest = page_checksum(page);

	return digest ? digest : 1;
}
