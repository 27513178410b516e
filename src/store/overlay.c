#include "store/overlay.h"

#include "base/check.h"
#include "base/map.h"
#include "store/record.h"
#include "sys/random.h"

#include <stdlib.h>

#define FIRST_BUCKETS 1024
#define BLOCK_ENTRIES 254

struct overlay_block {
	struct overlay_block *next;
	size_t n;
	struct overlay_entry e[BLOCK_ENTRIES];
};

void
overlay_init(struct overlay *o)
{
	*o = (struct overlay){ .n_buckets = FIRST_BUCKETS };
	o->buckets = xalloc(o->n_buckets * sizeof(struct overlay_entry *));
	random_bytes(o->hash_key, sizeof(o->hash_key));
}

void
overlay_done(struct overlay *o)
{
	free(o->buckets);
	*o = (struct overlay){ 0 };
}

static uint64_t
hash_of(const struct overlay *o, const void *dom, struct str key)
{
	char full[16 + STORE_KEY_MAX];
	memcpy(full, dom, 16);
	if (key.len)
		memcpy(full + 16, key.p, key.len);
	return siphash(o->hash_key, str_n(full, 16 + key.len));
}

/* Each bucket's entries keep their order, so the newest of a key stays first. */
static void
grow(struct overlay *o)
{
	if (o->n < o->n_buckets)
		return;
	size_t n = o->n_buckets * 2;
	struct overlay_entry **buckets = xalloc(n * sizeof(struct overlay_entry *));
	for (size_t i = 0; i < o->n_buckets; i++) {
		struct overlay_entry **low = &buckets[i], **high = &buckets[i + o->n_buckets];
		for (struct overlay_entry *e = o->buckets[i], *next; e; e = next) {
			struct overlay_entry ***to = e->hash & o->n_buckets ? &high : &low;
			next = e->next;
			e->next = NULL;
			e->link = *to;
			**to = e;
			*to = &e->next;
		}
	}
	free(o->buckets);
	o->buckets = buckets;
	o->n_buckets = n;
}

static struct overlay_entry *
entry_new(struct overlay_part *part)
{
	struct overlay_block *b = part->blocks;
	if (!b || b->n == BLOCK_ENTRIES) {
		b = malloc(sizeof(*b));
		check(b != NULL);
		b->next = part->blocks;
		b->n = 0;
		part->blocks = b;
	}
	part->n++;
	return &b->e[b->n++];
}

void
overlay_add(struct overlay *o, struct overlay_part *part, size_t dom, size_t key, size_t key_len,
    bool del, size_t value, size_t value_len)
{
	check(value + value_len <= UINT32_MAX && key_len <= STORE_KEY_MAX);
	grow(o);
	struct overlay_entry *e = entry_new(part);
	*e = (struct overlay_entry){ .part = part,
		.dom = (uint32_t)dom,
		.key = (uint32_t)key,
		.value = (uint32_t)value,
		.value_len = (uint32_t)value_len,
		.key_len = (uint16_t)key_len,
		.del = del };
	e->hash = hash_of(o, part->buf.p + dom, str_n(part->buf.p + key, key_len));
	struct overlay_entry **bucket = &o->buckets[e->hash & (o->n_buckets - 1)];
	e->next = *bucket;
	e->link = bucket;
	if (e->next)
		e->next->link = &e->next;
	*bucket = e;
	o->n++;
}

void
overlay_add_batch(struct overlay *o, struct overlay_part *part, size_t begin, size_t end)
{
	const char *p = part->buf.p;
	struct batch_record r;
	struct batch_op op;
	check(batch_record_get(str_n(p + begin, end - begin), &r));
	while (batch_record_next(&r, &op))
		overlay_add(o, part, begin, (size_t)(op.key.p - p), op.key.len, op.del,
		    op.del ? 0 : (size_t)(op.value.p - p), op.value.len);
	overlay_add(o, part, begin, begin + 16, 0, false, begin + 16, 8);
}

int
overlay_get(const struct overlay *o, const struct store_dom *d, struct str key, struct str *ret)
{
	uint64_t hash = hash_of(o, d->b, key);
	for (const struct overlay_entry *e = o->buckets[hash & (o->n_buckets - 1)]; e;
	     e = e->next) {
		const char *p = e->part->buf.p;
		if (e->hash != hash || e->key_len != key.len || memcmp(p + e->dom, d->b, 16) != 0 ||
		    !str_eq(str_n(p + e->key, e->key_len), key))
			continue;
		if (e->del)
			return 0;
		*ret = str_n(p + e->value, e->value_len);
		return 1;
	}
	return -1;
}

void
overlay_each(const struct overlay *o, overlay_each_fn *fn, void *arg)
{
	for (size_t i = 0; i < o->n_buckets && o->n; i++)
		for (const struct overlay_entry *e = o->buckets[i]; e; e = e->next)
			fn(arg, e);
}

static void
unlink_entry(struct overlay *o, const struct overlay_entry *e)
{
	*e->link = e->next;
	if (e->next)
		e->next->link = e->link;
	o->n--;
}

void
overlay_undo(struct overlay *o, struct overlay_part *part, size_t n)
{
	while (part->n > n) {
		struct overlay_block *b = part->blocks;
		unlink_entry(o, &b->e[--b->n]);
		part->n--;
		if (b->n == 0) {
			part->blocks = b->next;
			free(b);
		}
	}
}

void
overlay_drop(struct overlay *o, struct overlay_part *part)
{
	overlay_undo(o, part, 0);
	buf_done(&part->buf);
}
