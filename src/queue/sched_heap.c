#include "queue/sched_priv.h"

#include "base/check.h"

#include <stdlib.h>

/* --- a heap of numbers, each of which knows where it stands --- */

struct order {
	uint64_t (*key)(struct sched *s, uint32_t i);
	uint32_t *(*at)(struct sched *s,
	    uint32_t i); /* its place in the heap, from 1 on; 0: not in */
};

static void
place(struct sched *s, struct heap *h, const struct order *o, uint32_t at, uint32_t i)
{
	h->at[at] = i;
	*o->at(s, i) = at + 1;
}

static void
rise(struct sched *s, struct heap *h, const struct order *o, uint32_t at, uint32_t i)
{
	uint64_t key = o->key(s, i);
	while (at > 0 && o->key(s, h->at[(at - 1) / 2]) > key) {
		place(s, h, o, at, h->at[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(s, h, o, at, i);
}

static void
sink(struct sched *s, struct heap *h, const struct order *o, uint32_t at, uint32_t i)
{
	uint64_t key = o->key(s, i);
	for (;;) {
		uint32_t low = 2 * at + 1;
		if (low >= h->n)
			break;
		if (low + 1 < h->n && o->key(s, h->at[low + 1]) < o->key(s, h->at[low]))
			low++;
		if (o->key(s, h->at[low]) >= key)
			break;
		place(s, h, o, at, h->at[low]);
		at = low;
	}
	place(s, h, o, at, i);
}

static void
heap_put(struct sched *s, struct heap *h, const struct order *o, uint32_t i)
{
	if (h->n == h->cap) {
		h->cap = h->cap ? h->cap + h->cap / 2 : 64;
		h->at = xrealloc(h->at, h->cap * sizeof(*h->at));
	}
	rise(s, h, o, h->n++, i);
}

static void
heap_del(struct sched *s, struct heap *h, const struct order *o, uint32_t i)
{
	uint32_t at = *o->at(s, i) - 1;
	check(at < h->n && h->at[at] == i);
	*o->at(s, i) = 0;
	uint32_t last = h->at[--h->n];
	if (last == i)
		return;
	if (at > 0 && o->key(s, h->at[(at - 1) / 2]) > o->key(s, last))
		rise(s, h, o, at, last);
	else
		sink(s, h, o, at, last);
}

/* --- entries, by when something is to be done with them --- */

/* A time from then on, or never. */
static uint64_t
after(uint64_t from, uint64_t ms)
{
	uint64_t t;
	return __builtin_add_overflow(from, ms, &t) ? SCHED_NEVER : t;
}

uint64_t
due_age(struct sched *s, const struct sched_entry *e, uint64_t age)
{
	uint64_t t = after(e->created_ms, age);
	if (!e->owed)
		return t;
	return MAX(t, after(MAX(e->due_ms, s->since_ms), s->rules.retry_most_ms));
}

/* What the host deals with itself is done as soon as it is due, however old it is. */
uint64_t
due_key(struct sched *s, const struct sched_entry *e)
{
	bool ages = dest_at(s, e->dest)->kind != SCHED_OWN;
	if (e->spared)
		return e->due_ms;
	uint64_t key = ages ? due_age(s, e, s->rules.lifetime_ms) : SCHED_NEVER;
	if (ages && !e->warned && s->rules.warn_ms)
		key = MIN(key, due_age(s, e, s->rules.warn_ms));
	if (e->by_ms && !e->by_over)
		key = MIN(key, e->by_ms);
	if (e->state == SCHED_WAITS)
		key = MIN(key, e->due_ms);
	return key;
}

static uint64_t
entry_key(struct sched *s, uint32_t i)
{
	return due_key(s, entry_at(s, i));
}

static uint32_t *
entry_place(struct sched *s, uint32_t i)
{
	return &entry_at(s, i)->heap_at;
}

static const struct order by_due = { entry_key, entry_place };

void
due_put(struct sched *s, struct sched_entry *e)
{
	heap_put(s, &s->due, &by_due, e->self);
}

void
due_del(struct sched *s, struct sched_entry *e)
{
	heap_del(s, &s->due, &by_due, e->self);
}

void
due_again(struct sched *s)
{
	for (uint32_t at = s->due.n / 2; at-- > 0;)
		sink(s, &s->due, &by_due, at, s->due.at[at]);
}

/* --- destinations that are left alone, by the end of that --- */

static uint64_t
dest_key(struct sched *s, uint32_t i)
{
	return dest_at(s, i)->backoff_ms;
}

static uint32_t *
dest_place(struct sched *s, uint32_t i)
{
	return &dest_at(s, i)->heap_at;
}

static const struct order by_backoff = { dest_key, dest_place };

void
backoff_put(struct sched *s, struct sched_dest *d)
{
	heap_put(s, &s->backoff, &by_backoff, d->self);
}

void
backoff_del(struct sched *s, struct sched_dest *d)
{
	heap_del(s, &s->backoff, &by_backoff, d->self);
}

/*
 * --- ready entries of a destination: a pairing heap ---
 *
 * child: the first below; next: the one beside it; prev: the one before it, or the one above the
 * first. Whatever comes in whatever order, putting costs one comparison.
 */

static bool
goes_first(const struct sched_entry *a, const struct sched_entry *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return a->letter != b->letter ? a->letter < b->letter : a->part < b->part;
}

static uint32_t
meld(struct sched *s, uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	struct sched_entry *x = entry_at(s, a), *y = entry_at(s, b);
	if (goes_first(y, x)) {
		struct sched_entry *t = x;
		x = y;
		y = t;
	}
	y->next = x->child;
	y->prev = x->self;
	if (x->child)
		entry_at(s, x->child)->prev = y->self;
	x->child = y->self;
	x->next = x->prev = 0;
	return x->self;
}

/* One heap of the siblings from first on: pairs from left to right, then all from right to left. */
static uint32_t
meld_siblings(struct sched *s, uint32_t first)
{
	uint32_t pairs = 0, root = 0;
	while (first) {
		uint32_t a = first, b = entry_at(s, a)->next;
		first = b ? entry_at(s, b)->next : 0;
		entry_at(s, a)->next = entry_at(s, a)->prev = 0;
		if (b)
			entry_at(s, b)->next = entry_at(s, b)->prev = 0;
		a = meld(s, a, b);
		entry_at(s, a)->next = pairs;
		pairs = a;
	}
	while (pairs) {
		uint32_t next = entry_at(s, pairs)->next;
		entry_at(s, pairs)->next = 0;
		root = meld(s, root, pairs);
		pairs = next;
	}
	return root;
}

void
ready_put(struct sched *s, struct sched_dest *d, struct sched_entry *e)
{
	e->child = e->next = e->prev = 0;
	d->root = meld(s, d->root, e->self);
	d->n_ready++;
}

void
ready_del(struct sched *s, struct sched_dest *d, struct sched_entry *e)
{
	if (d->root == e->self) {
		d->root = 0;
	} else {
		struct sched_entry *before = entry_at(s, e->prev);
		if (before->child == e->self)
			before->child = e->next;
		else
			before->next = e->next;
		if (e->next)
			entry_at(s, e->next)->prev = e->prev;
	}
	uint32_t below = meld_siblings(s, e->child);
	d->root = meld(s, d->root, below);
	e->child = e->next = e->prev = 0;
	d->n_ready--;
}
