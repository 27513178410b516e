#include "policy/rate.h"

#include "base/map.h"

#include <stdatomic.h>
#include <string.h>

#define PROBES 16

struct rate_slot {
	_Atomic uint32_t hour; /* hours since 1970; 0: free */
	_Atomic uint32_t count;
	_Atomic uint64_t key[2];
};

struct rate_table {
	struct rate_slot slot[RATE_ADDRS];
};

size_t
rate_size(void)
{
	return sizeof(struct rate_table);
}

static uint32_t
hour_of(int64_t sec)
{
	return sec > 0 ? (uint32_t)(sec / 3600) : 1;
}

static size_t
place(const struct tally_key *key)
{
	static const unsigned char fixed[16] = "pennypost rates";
	return siphash(fixed, str_n(key->b, sizeof(key->b))) & (RATE_ADDRS - 1);
}

static bool
is_key(const struct rate_slot *s, const uint64_t key[2])
{
	return atomic_load_explicit(&s->key[0], memory_order_relaxed) == key[0] &&
	       atomic_load_explicit(&s->key[1], memory_order_relaxed) == key[1];
}

static uint32_t
count_in(const struct rate_table *t, const struct tally_key *key, uint32_t hour)
{
	uint64_t words[2];
	memcpy(words, key->b, sizeof(words));
	size_t at = place(key);
	for (size_t i = 0; i < PROBES; i++) {
		const struct rate_slot *s = &t->slot[(at + i) & (RATE_ADDRS - 1)];
		if (atomic_load_explicit(&s->hour, memory_order_acquire) == hour &&
		    is_key(s, words))
			return atomic_load_explicit(&s->count, memory_order_relaxed);
	}
	return 0;
}

uint64_t
rate_count(const struct rate_table *const *tables, size_t n, const struct tally_key *key,
    int64_t sec)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		if (tables[i])
			sum += count_in(tables[i], key, hour_of(sec));
	return sum;
}

void
rate_add(struct rate_table *own, const struct tally_key *key, int64_t sec)
{
	uint64_t words[2];
	memcpy(words, key->b, sizeof(words));
	uint32_t hour = hour_of(sec);
	size_t at = place(key);
	struct rate_slot *oldest = NULL;
	for (size_t i = 0; i < PROBES; i++) {
		struct rate_slot *s = &own->slot[(at + i) & (RATE_ADDRS - 1)];
		uint32_t h = atomic_load_explicit(&s->hour, memory_order_relaxed);
		if (h == hour && is_key(s, words)) {
			uint32_t c = atomic_load_explicit(&s->count, memory_order_relaxed);
			if (c < UINT32_MAX)
				atomic_store_explicit(&s->count, c + 1, memory_order_relaxed);
			return;
		}
		if (!oldest || h < atomic_load_explicit(&oldest->hour, memory_order_relaxed))
			oldest = s;
	}
	atomic_store_explicit(&oldest->hour, 0, memory_order_release);
	atomic_store_explicit(&oldest->key[0], words[0], memory_order_relaxed);
	atomic_store_explicit(&oldest->key[1], words[1], memory_order_relaxed);
	atomic_store_explicit(&oldest->count, 1, memory_order_relaxed);
	atomic_store_explicit(&oldest->hour, hour, memory_order_release);
}
