#include "queue/sched_priv.h"

#include "base/check.h"

#include <stdlib.h>

/* --- records --- */

void
slab_init(struct slab *l, size_t size)
{
	*l = (struct slab){ .size = size, .n = 1 };
}

void
slab_done(struct slab *l)
{
	for (uint32_t i = 0; i < l->n_chunks; i++)
		free(l->chunk[i]);
	free(l->chunk);
	*l = (struct slab){ 0 };
}

static void
slab_grow(struct slab *l)
{
	check(l->n_chunks < UINT32_MAX >> SLAB_BITS);
	l->chunk = xrealloc(l->chunk, (l->n_chunks + 1) * sizeof(*l->chunk));
	l->chunk[l->n_chunks++] = xalloc(SLAB_N * l->size);
}

uint32_t
slab_new(struct slab *l)
{
	uint32_t i = l->free;
	if (i) {
		l->free = *(uint32_t *)slab_at(l, i);
		memset(slab_at(l, i), 0, l->size);
	} else {
		if (l->n >> SLAB_BITS == l->n_chunks)
			slab_grow(l);
		i = l->n++;
	}
	l->used++;
	return i;
}

void
slab_put(struct slab *l, uint32_t i)
{
	memset(slab_at(l, i), 0, l->size);
	*(uint32_t *)slab_at(l, i) = l->free;
	l->free = i;
	l->used--;
}

uint64_t
slab_memory(const struct slab *l)
{
	return (uint64_t)l->n_chunks * (SLAB_N * l->size + sizeof(*l->chunk));
}

/* --- numbers by hash --- */

typedef uint64_t hash_fn(struct sched *s, uint32_t i);

static void
table_add(struct table *t, uint64_t hash, uint32_t i)
{
	uint32_t at = (uint32_t)hash & (t->cap - 1);
	while (t->slot[at])
		at = (at + 1) & (t->cap - 1);
	t->slot[at] = i;
	t->used++;
}

/* Grows at four fifths. */
static void
table_put(struct sched *s, struct table *t, hash_fn *hash, uint32_t i)
{
	if (t->used >= t->cap / 5 * 4) {
		struct table was = *t;
		t->cap = was.cap ? was.cap * 2 : 64;
		t->slot = xalloc(t->cap * sizeof(*t->slot));
		t->used = 0;
		for (uint32_t k = 0; k < was.cap; k++)
			if (was.slot[k])
				table_add(t, hash(s, was.slot[k]), was.slot[k]);
		free(was.slot);
	}
	table_add(t, hash(s, i), i);
}

/* What stands behind the gap and belongs before it moves up. */
static void
table_del(struct sched *s, struct table *t, hash_fn *hash, uint32_t i)
{
	uint32_t mask = t->cap - 1, at = (uint32_t)hash(s, i) & mask;
	while (t->slot[at] != i) {
		check(t->slot[at]);
		at = (at + 1) & mask;
	}
	for (uint32_t k = (at + 1) & mask; t->slot[k]; k = (k + 1) & mask) {
		uint32_t home = (uint32_t)hash(s, t->slot[k]) & mask;
		if (((k - home) & mask) >= ((k - at) & mask)) {
			t->slot[at] = t->slot[k];
			at = k;
		}
	}
	t->slot[at] = 0;
	t->used--;
}

/* Letter ids are ours, made from time: no peer chooses them. */
static uint64_t
letter_hash(struct sched *s, uint64_t letter, uint32_t part)
{
	uint64_t h = (letter ^ s->seed) * 0x9e3779b97f4a7c15u + part;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

static uint64_t
hash_of_entry(struct sched *s, uint32_t i)
{
	const struct sched_entry *e = entry_at(s, i);
	return letter_hash(s, e->letter, e->part);
}

static uint64_t
hash_of_domain(struct sched *s, uint32_t i)
{
	return siphash(s->key, domain_name(domain_at(s, i)));
}

uint32_t
letter_find(struct sched *s, uint64_t letter, uint32_t part)
{
	const struct table *t = &s->by_letter;
	if (t->cap == 0)
		return 0;
	uint32_t at = (uint32_t)letter_hash(s, letter, part) & (t->cap - 1);
	for (; t->slot[at]; at = (at + 1) & (t->cap - 1)) {
		const struct sched_entry *e = entry_at(s, t->slot[at]);
		if (e->letter == letter && e->part == part)
			return t->slot[at];
	}
	return 0;
}

uint32_t
sched_name_find(struct sched *s, struct str name)
{
	const struct table *t = &s->by_name;
	if (t->cap == 0)
		return 0;
	uint32_t at = (uint32_t)siphash(s->key, name) & (t->cap - 1);
	for (; t->slot[at]; at = (at + 1) & (t->cap - 1))
		if (str_eq(domain_name(domain_at(s, t->slot[at])), name))
			return t->slot[at];
	return 0;
}

void
sched_letter_put(struct sched *s, uint32_t entry)
{
	table_put(s, &s->by_letter, hash_of_entry, entry);
}

void
sched_letter_del(struct sched *s, uint32_t entry)
{
	table_del(s, &s->by_letter, hash_of_entry, entry);
}

void
sched_name_put(struct sched *s, uint32_t domain)
{
	table_put(s, &s->by_name, hash_of_domain, domain);
}

void
sched_name_del(struct sched *s, uint32_t domain)
{
	table_del(s, &s->by_name, hash_of_domain, domain);
}
