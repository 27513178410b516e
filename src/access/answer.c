/* Answers: what was read. */
#include "access/access.h"

#include "base/check.h"

#define ATTRS_ALL ((ACCESS_CHILDREN << 1) - 1)

void
access_head_put(struct buf *b, const struct access_head *h)
{
	put_u8(b, h->more);
	put_u32(b, h->next.uid);
	put_u64(b, h->next.n);
	put_str(b, h->next.name);
	put_u64(b, h->modseq);
}

bool
access_head_get(struct wire *w, struct access_head *ret)
{
	struct access_head h;
	h.more = get_bool(w);
	h.next.uid = get_u32(w);
	h.next.n = get_u64(w);
	h.next.name = get_str(w, ACCESS_NAME_MAX);
	h.modseq = get_u64(w);
	if (!w->bad)
		*ret = h;
	return !w->bad;
}

void
access_mailbox_put(struct buf *b, const struct access_mailbox *m)
{
	put_u32(b, m->mailbox);
	put_str(b, m->name);
	put_u32(b, m->attrs);
	put_u32(b, m->uidvalidity);
	put_u32(b, m->uidnext);
	put_u64(b, m->modseq);
	put_u64(b, m->messages);
	put_u64(b, m->unseen);
	put_u64(b, m->deleted);
	put_u64(b, m->bytes);
	put_u64(b, m->deleted_bytes);
	put_u32(b, m->first_unseen);
}

bool
access_mailbox_get(struct wire *w, struct access_mailbox *ret)
{
	struct access_mailbox m;
	m.mailbox = get_u32(w);
	m.name = get_str(w, ACCESS_NAME_MAX);
	m.attrs = get_u32(w);
	m.uidvalidity = get_u32(w);
	m.uidnext = get_u32(w);
	m.modseq = get_u64(w);
	m.messages = get_u64(w);
	m.unseen = get_u64(w);
	m.deleted = get_u64(w);
	m.bytes = get_u64(w);
	m.deleted_bytes = get_u64(w);
	m.first_unseen = get_u32(w);
	if (m.attrs & ~(unsigned)ATTRS_ALL)
		w->bad = true;
	if (!w->bad)
		*ret = m;
	return !w->bad;
}

void
access_keywords_put(struct buf *b, const struct access_keywords *k)
{
	check(k->n <= ACCESS_KEYWORDS);
	put_u16(b, k->n);
	for (size_t i = 0; i < k->n; i++)
		put_str(b, k->name[i]);
}

bool
access_keywords_get(struct wire *w, struct access_keywords *ret)
{
	uint16_t n = get_u16(w);
	if (n > ACCESS_KEYWORDS)
		w->bad = true;
	ret->n = 0;
	for (size_t i = 0; i < n && !w->bad; i++) {
		ret->name[i] = get_str(w, ACCESS_KEYWORD_MAX);
		if (ret->name[i].len == 0)
			w->bad = true;
	}
	if (!w->bad)
		ret->n = n;
	return !w->bad;
}

size_t
access_letter_begin(struct buf *b, const struct access_letter *l)
{
	put_u32(b, l->uid);
	put_u64(b, l->modseq);
	put_u64(b, l->time_ms);
	put_u64(b, l->saved_ms);
	put_u64(b, l->size);
	put_u64(b, l->flags);
	put_u64(b, l->letter);
	put_u32(b, l->prefix_len);
	put_u32(b, l->header_len);
	put_u8(b, l->damaged);
	put_str(b, l->outline);
	put_u64(b, l->part_len);
	put_u64(b, l->at);
	size_t begin = b->len;
	put_u32(b, 0);
	return begin;
}

void
access_letter_end(struct buf *b, size_t begin, size_t octets)
{
	if (b->failed)
		return;
	check(octets <= UINT32_MAX && b->len >= 4 && begin <= b->len - 4 &&
	      b->len - 4 - begin == octets);
	be32_put((unsigned char *)b->p + begin, (uint32_t)octets);
}

void
access_letter_put(struct buf *b, const struct access_letter *l)
{
	size_t begin = access_letter_begin(b, l);
	buf_puts(b, l->octets);
	access_letter_end(b, begin, l->octets.len);
}

bool
access_letter_get(struct wire *w, struct access_letter *ret)
{
	struct access_letter l;
	l.uid = get_u32(w);
	l.modseq = get_u64(w);
	l.time_ms = get_u64(w);
	l.saved_ms = get_u64(w);
	l.size = get_u64(w);
	l.flags = get_u64(w);
	l.letter = get_u64(w);
	l.prefix_len = get_u32(w);
	l.header_len = get_u32(w);
	l.damaged = get_bool(w);
	l.outline = get_str(w, ACCESS_WINDOW);
	l.part_len = get_u64(w);
	l.at = get_u64(w);
	l.octets = get_str(w, ACCESS_WINDOW);
	if (l.uid == 0 || l.at > l.part_len || l.octets.len > l.part_len - l.at ||
	    (l.damaged && l.octets.len))
		w->bad = true;
	if (!w->bad)
		*ret = l;
	return !w->bad;
}

void
access_change_row_put(struct buf *b, const struct access_change_row *r)
{
	put_u64(b, r->modseq);
	put_u8(b, r->vanished);
	if (r->vanished) {
		put_u32(b, r->first);
		put_u32(b, r->last);
	} else {
		access_letter_put(b, &r->letter);
	}
}

bool
access_change_row_get(struct wire *w, struct access_change_row *ret)
{
	struct access_change_row r = { .modseq = get_u64(w), .vanished = false };
	r.vanished = get_bool(w);
	if (r.vanished) {
		r.first = get_u32(w);
		r.last = get_u32(w);
		if (r.first == 0 || r.last < r.first)
			w->bad = true;
	} else if (access_letter_get(w, &r.letter) &&
		   (r.letter.octets.len || r.letter.outline.len)) {
		w->bad = true;
	}
	if (!w->bad)
		*ret = r;
	return !w->bad;
}

void
access_floor_put(struct buf *b, uint64_t floor)
{
	put_u64(b, floor);
}

bool
access_floor_get(struct wire *w, uint64_t *ret)
{
	uint64_t floor = get_u64(w);
	if (!w->bad)
		*ret = floor;
	return !w->bad;
}

void
access_quota_put(struct buf *b, const struct access_quota *q)
{
	put_u64(b, q->limit);
	put_u64(b, q->used);
	put_u64(b, q->messages);
}

bool
access_quota_get(struct wire *w, struct access_quota *ret)
{
	struct access_quota q;
	q.limit = get_u64(w);
	q.used = get_u64(w);
	q.messages = get_u64(w);
	if (!w->bad)
		*ret = q;
	return !w->bad;
}

void
access_token_put(struct buf *b, const struct access_token *t)
{
	put_u32(b, t->mailbox);
	put_str(b, t->token);
}

bool
access_token_get(struct wire *w, struct access_token *ret)
{
	struct access_token t;
	t.mailbox = get_u32(w);
	t.token = get_str(w, ACCESS_URL_MAX);
	if (!w->bad)
		*ret = t;
	return !w->bad;
}
