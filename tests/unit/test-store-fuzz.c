/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A good image with seeded damage.  Opening it succeeds with a subset of the true mappings, or refuses; check and dump
 * say something; nothing crashes (run it under the sanitizers).  CWT_FUZZ_SEED replays one seed, CWT_FUZZ_RUNS does
 * more.
 */
#include "metadata-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

static struct trio t;
static struct model a;
static struct snapshot good;

/* The seed under way of each of the two tests, NO_SEED when it has ended.  Shared with the process that Check forks for
 * a test: it is known however that one dies. */
static uint64_t *seed_under_way;
#define NO_SEED UINT64_MAX

static uint64_t from_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Where something is: superblocks, mapping pages, marks, and sometimes anywhere. */
static uint64_t interesting_offset(struct random *random, uint64_t size)
{
	static const uint64_t bases[] = { 0, 65536, 131072, 196608, 262144, 327680, 393216 };
	uint64_t base = bases[random_below(random, ARRAY_SIZE(bases))];

	if (!random_below(random, 8))
		return random_below(random, size);
	return (base + random_below(random, base == 393216 ? 6 * PAGE_BYTES : base == 196608 ? 2 * PAGE_BYTES : SECTOR_BYTES)) % size;
}

static void damage(struct random *random, uint8_t *bytes, uint64_t size)
{
	for (uint64_t i = 1 + random_below(random, 4); i; i--) {
		uint64_t at = interesting_offset(random, size), from = interesting_offset(random, size);
		uint64_t len = MIN(1 + random_below(random, 64), size - MAX(at, from));

		switch (random_below(random, 5)) {
		case 0: bytes[at] ^= (uint8_t)(1u << random_below(random, 8)); break;
		case 1: bytes[at] = (uint8_t)random_next(random); break;
		case 2: memset(bytes + at, 0, len); break;
		case 3: memmove(bytes + at, bytes + from, len); break;
		default: at &= ~(uint64_t)(PAGE_BYTES - 1); from &= ~(uint64_t)(PAGE_BYTES - 1);
			 memmove(bytes + at, bytes + from, PAGE_BYTES);		/* a page in the wrong place */
		}
	}
}

/* Give what was damaged valid checksums, so that the values behind them are reached. */
static void reseal(uint8_t *bytes, uint64_t size)
{
	for (uint64_t at = 0; at + PAGE_BYTES <= size; at += PAGE_BYTES) {
		uint8_t *page = bytes + at;
		struct page_header h = { .type = get_le32(page + 16), .number = get_le64(page + 24),
					 .generation = get_le64(page + 32) };

		if (memcmp(page, "cachewtM", 8))
			continue;
		memcpy(h.uuid, page + 40, sizeof(h.uuid));
		page_seal(page, at == 0 || at == 65536 ? SECTOR_BYTES : PAGE_BYTES, &h);
	}
}

static void use(bool resealed)
{
	FILE *out = fopen("/dev/null", "w");
	struct check_result r;
	enum store_start how;
	struct cwt_error err;
	enum store_kind kind;
	struct model m;
	struct store *s;
	int ret;

	metadata_check(t.dev.metadata, out, &r, &err);
	metadata_dump(t.dev.metadata, out, &err);
	fclose(out);
	store_probe_metadata(t.dev.metadata, &kind);
	ret = try_start(&t, &default_options, &s, &how, &err);
	if (ret) {
		ck_assert_int_eq(ret, -EINVAL);
		ck_assert_msg(strchr(err.text, '('), "%s", err.text);
		return;
	}
	if (!resealed) {
		model_load(&m, s);
		ck_assert(model_is_subset(&m, &a));
		ck_assert_int_eq(commit_model(s, &a, ALL_PAGES, COMMIT_CLEAN), 0);
	}
	store_close(s);
}

static void fuzz(bool resealed)
{
	uint64_t one = from_env("CWT_FUZZ_SEED", NO_SEED), runs = from_env("CWT_FUZZ_RUNS", 3000);

	trio_open(&t, false);
	model_fill(&a, 1);
	trio_prepare(&t, &a);
	snapshot_take(&t, &good);
	for (uint64_t seed = one == NO_SEED ? 0 : one; seed < (one == NO_SEED ? runs : one + 1); seed++) {
		struct random random = { seed };
		uint64_t size = device_info(t.dev.metadata)->size_bytes;

		snapshot_restore(&t, &good);
		damage(&random, bytes_of(t.dev.metadata), size);
		if (!random_below(&random, 4))
			damage(&random, bytes_of(t.dev.cache), PAGE_BYTES * 100);
		if (resealed)
			reseal(bytes_of(t.dev.metadata), size);
		seed_under_way[resealed] = seed;
		use(resealed);
	}
	seed_under_way[resealed] = NO_SEED;
	snapshot_free(&good);
	trio_close(&t);
}

START_TEST(a_damaged_image_gives_a_subset_of_the_mappings_or_is_refused)
{
	fuzz(false);
}
END_TEST

START_TEST(damage_with_valid_checksums_never_crashes)
{
	fuzz(true);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { a_damaged_image_gives_a_subset_of_the_mappings_or_is_refused,
				       damage_with_valid_checksums_never_crashes };
	int ret;

	seed_under_way =
		mmap(NULL, 2 * sizeof(*seed_under_way), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seed_under_way == MAP_FAILED)
		return EXIT_FAILURE;
	seed_under_way[0] = seed_under_way[1] = NO_SEED;
	ret = run_suite("store-fuzz", tests, ARRAY_SIZE(tests), 300);
	for (int i = 0; i < 2; i++)
		if (seed_under_way[i] != NO_SEED)
			fprintf(stderr, "replay with CWT_FUZZ_SEED=%llu\n", (unsigned long long)seed_under_way[i]);
	return ret;
}
