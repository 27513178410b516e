#include "policy/guard.h"

#include "base/check.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define PROBES 8u
#define COUNT_MAX 1000u
#define DELAY_FIRST_MS 1000

struct slot {
	uint64_t key;  /* 0: free */
	uint64_t tag;  /* of the last failure */
	int64_t since; /* of the last failure, ms */
	uint32_t count;
};

struct guard {
	unsigned char key[16];
	struct slot prefix[GUARD_SLOTS], account[GUARD_SLOTS];
};

struct guard *
guard_new(const unsigned char key[16])
{
	struct guard *g = xalloc(sizeof(*g));
	memcpy(g->key, key, sizeof(g->key));
	return g;
}

struct guard *
guard_free(struct guard *g)
{
	if (g)
		explicit_bzero(g->key, sizeof(g->key));
	free(g);
	return NULL;
}

static uint64_t
key_of(const struct guard *g, struct str s)
{
	uint64_t key = siphash(g->key, s);
	return key ? key : 1;
}

/* What is left of a count. */
static uint32_t
count_at(const struct slot *s, int64_t now_ms)
{
	int64_t halvings = now_ms > s->since ? (now_ms - s->since) / GUARD_HALF_LIFE_MS : 0;
	return halvings < 32 ? s->count >> halvings : 0;
}

static const struct slot *
find(const struct slot *table, uint64_t key)
{
	for (size_t i = 0; i < PROBES; i++) {
		const struct slot *s = &table[(key + i) & (GUARD_SLOTS - 1)];
		if (s->key == key)
			return s;
	}
	return NULL;
}

/* The key's own place, or the one whose count matters least, made its own. */
static struct slot *
take(struct slot *table, uint64_t key, int64_t now_ms)
{
	struct slot *least = NULL;
	for (size_t i = 0; i < PROBES; i++) {
		struct slot *s = &table[(key + i) & (GUARD_SLOTS - 1)];
		if (s->key == key)
			return s;
		if (!least || count_at(s, now_ms) < count_at(least, now_ms))
			least = s;
	}
	*least = (struct slot){ .key = key, .since = now_ms };
	return least;
}

static int64_t
delay_of(uint32_t count)
{
	if (count <= GUARD_FREE)
		return 0;
	uint32_t doublings = count - GUARD_FREE - 1;
	int64_t ms = doublings < 8 ? (int64_t)DELAY_FIRST_MS << doublings : GUARD_DELAY_MAX_MS;
	return MIN(ms, GUARD_DELAY_MAX_MS);
}

static uint32_t
count_failure(struct slot *table, uint64_t key, uint64_t tag, int64_t now_ms)
{
	struct slot *s = take(table, key, now_ms);
	uint32_t count = count_at(s, now_ms);
	bool again = tag && s->tag == tag && count > 0;
	if (!again) {
		s->count = MIN(count + 1, COUNT_MAX);
		s->since = now_ms;
		s->tag = tag;
	}
	return again ? count : s->count;
}

int64_t
guard_failed(struct guard *g, struct str prefix, struct str account, uint64_t tag, int64_t now_ms)
{
	uint32_t worst = 0;
	if (account.len)
		worst = count_failure(g->account, key_of(g, account), tag, now_ms);
	if (prefix.len) {
		uint32_t n = count_failure(g->prefix, key_of(g, prefix), tag, now_ms);
		worst = MAX(worst, n);
	}
	return delay_of(worst);
}

int64_t
guard_passed(const struct guard *g, struct str prefix, int64_t now_ms)
{
	const struct slot *s = prefix.len ? find(g->prefix, key_of(g, prefix)) : NULL;
	return s ? delay_of(count_at(s, now_ms)) : 0;
}
