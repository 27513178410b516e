#include "base/map.h"

#include "base/check.h"

#include <stdlib.h>
#include <sys/auxv.h>

struct map_slot {
	char *key; /* NULL: never used; TOMB: removed */
	size_t len;
	uint64_t hash;
	void *value;
};

static char tomb[1];
#define TOMB tomb
#define FIRST_CAP 16

static uint64_t
rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
	v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
	v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
	v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
}

static void
sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

uint64_t
siphash(const unsigned char key[16], struct str s)
{
	uint64_t k[2];
	memcpy(k, key, 16);
	uint64_t v[4] = { k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d,
		k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573 };
	size_t i = 0;
	for (; i + 8 <= s.len; i += 8) {
		uint64_t m;
		memcpy(&m, s.p + i, 8);
		sip_word(v, m);
	}
	uint64_t last = (uint64_t)s.len << 56;
	for (int shift = 0; i < s.len; i++, shift += 8)
		last |= (uint64_t)(unsigned char)s.p[i] << shift;
	sip_word(v, last);
	v[2] ^= 0xff;
	for (int r = 0; r < 4; r++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The kernel hands every executed program 16 random octets: a key without a system call. */
static uint64_t
hash_of(struct str key)
{
	const unsigned char *seed = (const unsigned char *)getauxval(AT_RANDOM);
	check(seed != NULL);
	return siphash(seed, key);
}

void
map_done(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key && m->slots[i].key != TOMB)
			free(m->slots[i].key);
	free(m->slots);
	*m = MAP_NULL;
}

static struct map_slot *
lookup(const struct map *m, struct str key, uint64_t hash)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];
		if (!s->key)
			return NULL;
		if (s->key != TOMB && s->hash == hash && str_eq(str_n(s->key, s->len), key))
			return s;
	}
}

void *
map_get(const struct map *m, struct str key)
{
	struct map_slot *s = lookup(m, key, hash_of(key));
	return s ? s->value : NULL;
}

static void
insert(struct map *m, struct map_slot entry)
{
	size_t i = entry.hash & (m->cap - 1);
	while (m->slots[i].key && m->slots[i].key != TOMB)
		i = (i + 1) & (m->cap - 1);
	if (m->slots[i].key == TOMB)
		m->dead--;
	m->slots[i] = entry;
	m->used++;
}

static void
grow(struct map *m)
{
	if ((m->used + m->dead + 1) * 4 <= m->cap * 3)
		return;
	struct map old = *m;
	m->cap = MAX(FIRST_CAP, m->used * 2 >= m->cap ? m->cap * 2 : m->cap);
	m->slots = xalloc(m->cap * sizeof(*m->slots));
	m->used = m->dead = 0;
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key && old.slots[i].key != TOMB)
			insert(m, old.slots[i]);
	free(old.slots);
}

void *
map_put(struct map *m, struct str key, void *value)
{
	check(value != NULL);
	uint64_t hash = hash_of(key);
	struct map_slot *s = lookup(m, key, hash);
	if (s) {
		void *was = s->value;
		s->value = value;
		return was;
	}
	grow(m);
	insert(m, (struct map_slot){ str_dup(key), key.len, hash, value });
	return NULL;
}

void *
map_del(struct map *m, struct str key)
{
	struct map_slot *s = lookup(m, key, hash_of(key));
	if (!s)
		return NULL;
	void *value = s->value;
	free(s->key);
	*s = (struct map_slot){ .key = TOMB };
	m->used--;
	m->dead++;
	return value;
}

bool
map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value)
{
	for (; *pos < m->cap; (*pos)++) {
		struct map_slot *s = &m->slots[*pos];
		if (!s->key || s->key == TOMB)
			continue;
		*ret_key = str_n(s->key, s->len);
		*ret_value = s->value;
		(*pos)++;
		return true;
	}
	return false;
}
