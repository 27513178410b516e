/* What a store should hold, kept by the plainest means: an opinion of its own on what batches,
 * letters and leases come to, which shares no line with the engines. */
#pragma once

#include "base/wire.h"
#include "store_kit.h"

#include <errno.h>

/* --- operations: drawn without looking at any state, so that they can be drawn again --- */

enum op_kind {
	OP_BATCH,
	OP_ACCEPT,
	OP_EXPUNGE,
	OP_QUEUE,  /* letter.id, uid: part; a: what is done to it; b: with a note */
	OP_SYNC,
	OP_WAIT,   /* a: 0 mem, 1 emb, 2 both and compare */
	OP_SNAP,   /* a: which; opens it, or looks at it again and closes it */
	OP_WATCH,  /* a: which; begins or ends it */
	OP_LEASE,  /* a: which; b: so much time passes first */
	OP_MERGE,  /* a letter again, for each made of pieces that come to the same */
	OP_REOPEN, /* a: 1: without its index */
	OP_KILL,   /* a: seed of what the killed process did; b: how much of it */
	OP_KINDS
};

enum change_kind { CHANGE_EXPECT, CHANGE_ABSENT, CHANGE_PUT, CHANGE_DEL, CHANGE_ADD };
#define CHANGES_MAX 8
#define KEY_MAX 24
#define VALUE_MAX 40

struct change {
	enum change_kind kind;
	char key[KEY_MAX], value[VALUE_MAX];
	size_t key_len, value_len;
	uint32_t slots;
	int slot;
	int64_t delta;
};

struct op {
	enum op_kind kind;
	unsigned dom, n;
	enum store_level level;
	int fence; /* which lease, or -1 */
	bool too_long, merge;
	struct change change[CHANGES_MAX];
	struct kit_letter letter;
	uint32_t uid, uids;
	uint64_t a, b;
};

/* --- domains --- */

struct model_item {
	char key[KEY_MAX], value[VALUE_MAX];
	size_t key_len, value_len;
};
#define ITEMS_MAX 4096
struct model_dom {
	uint64_t ver;
	size_t n;
	struct model_item item[ITEMS_MAX];
};

static inline int
model_cmp(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, MIN(a_len, b_len));
	return c ? c : a_len < b_len ? -1 : a_len > b_len;
}

static inline struct model_item *
model_find(struct model_dom *d, const char *key, size_t len)
{
	for (size_t i = 0; i < d->n; i++)
		if (model_cmp(d->item[i].key, d->item[i].key_len, key, len) == 0)
			return &d->item[i];
	return NULL;
}

static inline void
model_del(struct model_dom *d, const char *key, size_t len)
{
	struct model_item *i = model_find(d, key, len);
	if (!i)
		return;
	size_t at = (size_t)(i - d->item);
	memmove(i, i + 1, (d->n - at - 1) * sizeof(*i));
	d->n--;
}

static inline void
model_put(struct model_dom *d, const struct model_item *new)
{
	size_t at = 0;
	model_del(d, new->key, new->key_len);
	check(d->n < ITEMS_MAX);
	while (at < d->n && model_cmp(d->item[at].key, d->item[at].key_len, new->key,
				new->key_len) < 0)
		at++;
	memmove(&d->item[at + 1], &d->item[at], (d->n - at) * sizeof(*new));
	d->item[at] = *new;
	d->n++;
}

static inline void
model_fill(char *p, size_t len, unsigned slot, uint64_t number)
{
	unsigned char marker[8];
	store_slot_marker(marker, slot);
	for (size_t i = 0; i + 8 <= len; i++)
		if (memcmp(p + i, marker, 8) == 0) {
			be64_put((unsigned char *)p + i, number);
			return;
		}
}

static inline bool
model_expects(struct model_dom *d, const struct change *c)
{
	const struct model_item *i = model_find(d, c->key, c->key_len);
	if (c->kind == CHANGE_ABSENT)
		return i == NULL;
	return c->kind != CHANGE_EXPECT ||
	       (i && i->value_len == c->value_len && memcmp(i->value, c->value, c->value_len) == 0);
}

/* A sum: false when what stands there is no number. */
static inline bool
model_add(struct model_dom *d, const struct change *c, struct store_res *res)
{
	struct model_item new = { .key_len = c->key_len, .value_len = 8 };
	const struct model_item *i = model_find(d, c->key, c->key_len);
	if (i)
		new = *i;
	if (new.value_len < 8)
		return false;
	memcpy(new.key, c->key, c->key_len);
	uint64_t sum = be64_get((unsigned char *)new.value) + (uint64_t)c->delta;
	be64_put((unsigned char *)new.value, sum);
	if (c->slot >= 0)
		res->slot[c->slot] = sum;
	model_put(d, &new);
	return true;
}

static inline void
model_write(struct model_dom *d, const struct change *c, const struct store_res *res)
{
	struct model_item new = { .key_len = c->key_len, .value_len = c->value_len };
	if (c->kind == CHANGE_DEL)
		model_del(d, c->key, c->key_len);
	if (c->kind != CHANGE_PUT)
		return;
	memcpy(new.key, c->key, c->key_len);
	memcpy(new.value, c->value, c->value_len);
	for (unsigned i = 0; i < STORE_SLOTS; i++)
		if (c->slots >> i & 1) {
			model_fill(new.key, new.key_len, i, res->slot[i]);
			model_fill(new.value, new.value_len, i, res->slot[i]);
		}
	model_put(d, &new);
}

static inline void
model_copy(struct model_dom *to, const struct model_dom *from)
{
	to->ver = from->ver;
	to->n = from->n;
	memcpy(to->item, from->item, from->n * sizeof(*from->item));
}

static inline struct store_res
model_batch(struct model_dom *d, const struct op *op, bool stale)
{
	static struct model_dom try;
	struct store_res res = { 0 };
	model_copy(&try, d);
	if (op->too_long)
		return (struct store_res){ .rc = -E2BIG };
	if (stale)
		return (struct store_res){ .rc = -ESTALE };
	for (unsigned i = 0; i < op->n; i++)
		if (!model_expects(d, &op->change[i]))
			return (struct store_res){ .rc = -EAGAIN };
	for (unsigned i = 0; i < op->n; i++)
		if (op->change[i].kind == CHANGE_ADD && !model_add(&try, &op->change[i], &res))
			return (struct store_res){ .rc = -EINVAL };
	for (unsigned i = 0; i < op->n; i++)
		model_write(&try, &op->change[i], &res);
	res.ver = ++try.ver;
	model_copy(d, &try);
	return res;
}

/* --- mailboxes --- */

struct model_letter {
	uint64_t id, size, modseq;
	uint32_t body;
	bool gone, blank;
};
struct model_box {
	uint64_t ver, modseq;
	size_t n, cap; /* the letter with uid u is letter[u - 1] */
	struct model_letter *letter;
};

static inline uint64_t
model_size(const struct kit_letter *l)
{
	char trace[64];
	int n = snprintf(trace, sizeof(trace), KIT_TRACE, (unsigned long long)l->id);
	return sizeof("Return-Path: <a@b>\r\nDelivered-To: c@d\r\n") - 1 + (uint64_t)n + l->n +
	       (l->blank ? 2 : 0);
}

static inline void
model_deliver(struct model_box *b, const struct kit_letter *l)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 64;
		b->letter = xrealloc(b->letter, b->cap * sizeof(*b->letter));
	}
	if (b->n == 0)
		b->modseq = MAILBOX_MODSEQ_MIN; /* it is there from now on */
	b->letter[b->n++] = (struct model_letter){
		l->id, model_size(l), ++b->modseq, (uint32_t)l->n, false, l->blank
	};
	b->ver++;
}

static inline struct store_res
model_expunge(struct model_box *b, const struct op *op)
{
	struct store_res res = { .ver = ++b->ver };
	for (uint32_t uid = op->uid; uid < op->uid + op->uids && uid <= b->n; uid++) {
		struct model_letter *l = &b->letter[uid - 1];
		if (l->gone)
			continue;
		l->gone = true;
		res.slot[0]++;
		res.slot[1] += l->size;
	}
	b->modseq += res.slot[0] != 0;
	return res;
}

/* --- the queue --- */

struct model_entry {
	uint64_t id;
	uint32_t part;
	int state; /* -1: none */
};
#define ENTRIES_MAX 20000
struct model_queue {
	uint64_t ver;
	size_t n;
	struct model_entry entry[ENTRIES_MAX];
};

static inline struct model_entry *
model_entry(struct model_queue *q, uint64_t id, uint32_t part)
{
	for (size_t i = q->n; i > 0; i--)
		if (q->entry[i - 1].id == id && q->entry[i - 1].part == part)
			return &q->entry[i - 1];
	return NULL;
}

/* The entries of a letter; of a merge they come in one batch, and what is noted beside them goes in
 * another. */
static inline void
model_enqueue(struct model_queue *q, const struct kit_letter *l, bool merge)
{
	uint32_t first = merge ? (uint32_t)l->count : 0;
	if (l->parts == 0)
		return;
	q->ver += merge ? 2 : 1;
	for (uint32_t i = 0; i < l->parts; i++) {
		check(q->n < ENTRIES_MAX);
		q->entry[q->n++] = (struct model_entry){ l->id, first + i, -1 };
	}
}

/* What is done to an entry, and to the next part of the same letter. */
enum queue_what { QUEUE_STATE, QUEUE_DEL, QUEUE_BOTH, QUEUE_WHATS };

static inline struct store_res
model_change(struct model_queue *q, const struct op *op)
{
	enum queue_what what = op->a % QUEUE_WHATS;
	struct model_entry *put = NULL, *del = NULL;
	if (what != QUEUE_DEL)
		put = model_entry(q, op->letter.id, op->uid);
	if (what != QUEUE_STATE)
		del = model_entry(q, op->letter.id, op->uid + (what == QUEUE_BOTH));
	if ((what != QUEUE_DEL && !put) || (what != QUEUE_STATE && !del))
		return (struct store_res){ .rc = -EAGAIN };
	if (put)
		put->state = (int)(op->b % 5);
	if (del) {
		memmove(del, del + 1, (size_t)(q->entry + q->n - (del + 1)) * sizeof(*del));
		q->n--;
	}
	return (struct store_res){ .ver = ++q->ver };
}
