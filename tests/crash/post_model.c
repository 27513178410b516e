#include "post.h"

#include "base/check.h"
#include "store/mail.h"

#include <stdlib.h>
#include <string.h>

const char *const post_names[POST_BOXES] = { "INBOX", "Sent", "p0", "p1", "p2" };
const char *const post_words[POST_WORDS] = { "$w0", "$w1", "$w2", "$w3", "$w4", "$w5" };

struct post *
post_new(void)
{
	struct post *p = xalloc(sizeof(*p));
	memset(p, 0, sizeof(*p));
	p->box[0].there = p->box[1].there = true;
	p->box[0].subscribed = p->box[1].subscribed = true;
	return p;
}

uint64_t
post_letter_id(uint32_t number, uint32_t n)
{
	struct plan none = { 0 };
	return (plan_op(&none, number).letter & ~(uint64_t)15) | (2 + n);
}

size_t
post_letter_size(uint64_t id)
{
	uint64_t x = (id >> 22) * 2654435761u + (id & 15) * 40503u;
	return 20 + x % ((x >> 8) % 16 ? 700 : 30000);
}

size_t
post_outline_size(uint64_t id)
{
	return 40 + (id >> 22) * 7919u % 1500;
}

static uint64_t
mixed(uint64_t a, uint64_t b)
{
	uint64_t z = (a ^ b * 0xd6e8feb86659fd93u) * 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 31) * 0xbf58476d1ce4e5b9u;
	return z ^ z >> 29;
}

/* Some of the letters, one of them or all. */
static void
choose(const struct post_box *b, struct post_op *op)
{
	uint64_t how = op->r >> 8 & 7;
	for (uint32_t i = 0; i < b->n; i++) {
		bool one = i == (op->r >> 16) % b->n, some = mixed(op->r, i) % 3 == 0;
		if (how < 3 || (how < 6 ? some : one))
			op->at[op->n++] = i;
	}
}

static uint32_t
total(const struct post *p)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < POST_BOXES; i++)
		n += p->box[i].n;
	return n;
}

static bool
is_possible(const struct post *p, const struct post_op *op)
{
	const struct post_box *from = &p->box[op->from], *to = &p->box[op->to];
	bool comes_and_goes = op->from >= 2;
	switch (op->kind) {
	case POST_APPEND:
		return to->there && to->n + op->n <= POST_LETTERS_MAX;
	case POST_COPY:
	case POST_MOVE:
		return from->there && to->there && op->n && to->n + op->n <= POST_LETTERS_MAX;
	case POST_CREATE:
		return comes_and_goes && !from->there;
	case POST_DELETE:
		return comes_and_goes && from->there;
	case POST_RENAME:
		return comes_and_goes && op->to >= 2 && from->there && !to->there;
	case POST_SUBSCRIBE:
		return true;
	case POST_FLAGS:
	case POST_EXPUNGE:
	case POST_OUTLINES:
		break;
	}
	return from->there && op->n;
}

bool
post_op(const struct post *p, const struct plan *plan, uint32_t i, struct post_op *ret)
{
	static const enum post_kind kinds[] = { POST_APPEND, POST_APPEND, POST_APPEND, POST_FLAGS,
		POST_FLAGS, POST_FLAGS, POST_EXPUNGE, POST_COPY, POST_COPY, POST_COPY, POST_MOVE,
		POST_MOVE, POST_MOVE, POST_CREATE, POST_CREATE, POST_DELETE, POST_RENAME,
		POST_SUBSCRIBE, POST_OUTLINES };
	uint64_t r = mixed(plan->seed, i), x = mixed(r, 1);
	for (unsigned tries = 0; tries < 8; tries++, r = mixed(r, 2), x = mixed(r, 1)) {
		*ret = (struct post_op){ .kind = kinds[r % ARRAY_LEN(kinds)],
			.r = x,
			.number = i,
			.from = (uint32_t)(r >> 32) % POST_BOXES,
			.to = (uint32_t)(r >> 40) % POST_BOXES,
			.how = (uint32_t)(x >> 32) % 3,
			.flags = (uint32_t)(x >> 36) & MAILBOX_FLAGS_SYSTEM,
			.words =
			    (uint32_t)(x >> 44) & (uint32_t)(x >> 52) & ((1u << POST_WORDS) - 1),
			.on = x >> 43 & 1 };
		if (total(p) < 6 && tries < 4)
			ret->kind = POST_APPEND;
		if (ret->kind == POST_APPEND)
			ret->n = 1 + (uint32_t)(x >> 16) % POST_APPENDS;
		else
			choose(&p->box[ret->from], ret);
		if (is_possible(p, ret))
			return true;
	}
	return false;
}

static void
put_flags(struct post_letter *l, const struct post_op *op)
{
	if (op->how == MAIL_FLAGS_ADD)
		l->flags |= op->flags, l->words |= op->words;
	else if (op->how == MAIL_FLAGS_REMOVE)
		l->flags &= ~op->flags, l->words &= ~op->words;
	else
		l->flags = op->flags, l->words = op->words;
}

static void
add(struct post_box *b, struct post_letter l)
{
	check(b->n < POST_LETTERS_MAX);
	b->l[b->n++] = l;
}

static void
take(struct post_box *b, const struct post_op *op, uint32_t limit)
{
	uint32_t n = 0, next = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		bool chosen = next < limit && op->at[next] == i;
		next += chosen;
		if (chosen &&
		    !(op->kind == POST_EXPUNGE && op->on && !(b->l[i].flags & MAILBOX_DELETED)))
			continue;
		b->l[n++] = b->l[i];
	}
	b->n = n;
}

static void
apply_letters(struct post *p, const struct post_op *op, uint32_t limit)
{
	struct post_box *from = &p->box[op->from], *to = &p->box[op->to];
	for (uint32_t i = 0; i < limit; i++) {
		if (op->kind == POST_APPEND)
			add(to, (struct post_letter){
				    post_letter_id(op->number, i), op->flags, op->words });
		else if (op->kind == POST_FLAGS)
			put_flags(&from->l[op->at[i]], op);
		else if (op->kind == POST_COPY || op->kind == POST_MOVE)
			add(to, from->l[op->at[i]]);
	}
	if (op->kind == POST_EXPUNGE || op->kind == POST_MOVE)
		take(from, op, limit);
}

void
post_apply(struct post *p, const struct post_op *op, uint32_t limit)
{
	struct post_box *from = &p->box[op->from], *to = &p->box[op->to];
	if (limit == 0)
		return;
	if (op->kind == POST_CREATE) {
		from->there = true;
	} else if (op->kind == POST_DELETE) {
		from->there = false;
		from->n = 0;
	} else if (op->kind == POST_RENAME) {
		to->there = true;
		to->n = from->n;
		memcpy(to->l, from->l, sizeof(to->l));
		from->there = false;
		from->n = 0;
	} else if (op->kind == POST_SUBSCRIBE) {
		from->subscribed = op->on;
	} else {
		apply_letters(p, op, MIN(limit, op->n));
	}
}
