/*
 * pop3_box: a mailbox in memory that answers what a POP3 session asks, in windows of any size.
 * Test programs and the fuzzer share it.
 */
#pragma once

#include "access/access.h"
#include "base/check.h"
#include "dialect/access_words.h"
#include "dialect/dialect.h"
#include "pop3/session.h"

#include <stdlib.h>

#define BOX_MAX 64
#define BOX_ROW 120 /* octets of a row without those of the letter, and more */

struct box_letter {
	uint32_t uid;
	struct str octets;
	bool gone, damaged;
};

struct box {
	struct box_letter letter[BOX_MAX];
	size_t n;
	size_t window;              /* octets of an answer */
	enum access_status read, change;
	unsigned reads, changes;
	unsigned moving;            /* windows of letters that come without any */
	struct uidset expunged;
};

static inline void
box_add(struct box *b, uint32_t uid, struct str octets)
{
	check(b->n < BOX_MAX && (b->n == 0 || b->letter[b->n - 1].uid < uid));
	b->letter[b->n++] = (struct box_letter){ .uid = uid, .octets = octets };
}

static inline size_t
box_header_len(struct str octets)
{
	size_t at = str_find_str(octets, STR("\r\n\r\n"));
	return at == octets.len ? at : at + 4;
}

static inline struct str
box_part(const struct box_letter *l, const struct access_ask *a)
{
	struct str s = l->octets;
	if (a->part == ACCESS_PART_HEADER)
		s = str_first(s, box_header_len(s));
	s = str_skip(s, a->off > s.len ? s.len : (size_t)a->off);
	return str_first(s, a->len > s.len ? s.len : (size_t)a->len);
}

/* False: the window is full. */
static inline bool
box_row(const struct box *b, const struct box_letter *l, const struct access_ask *a,
    struct access_head *h, struct buf *rows)
{
	bool octets = a->what & ACCESS_OCTETS;
	size_t at = l->uid == a->from.uid ? (size_t)a->from.n : 0;
	struct access_letter row = { .uid = l->uid, .size = l->octets.len, .letter = l->uid };
	struct str part = octets && !l->damaged ? box_part(l, a) : STR_NULL;
	h->next = (struct access_from){ .uid = l->uid, .n = at };
	if (rows->len + BOX_ROW > b->window)
		return false;
	row.damaged = l->damaged;
	row.header_len = (uint32_t)box_header_len(l->octets);
	row.part_len = part.len;
	row.at = MIN(at, part.len);
	row.octets = str_first(str_skip(part, at), b->window - rows->len - BOX_ROW);
	access_letter_put(rows, &row);
	h->next.n = at + row.octets.len;
	return h->next.n >= part.len;
}

static inline void
box_letters(const struct box *b, const struct access_ask *a, struct access_head *h,
    struct buf *rows)
{
	struct uidset uids = { 0 };
	check(uidset_get(a->uids, &uids));
	for (size_t i = 0; i < b->n && !h->more; i++) {
		const struct box_letter *l = &b->letter[i];
		if (l->gone || l->uid < a->from.uid || (uids.n && !uidset_has(&uids, l->uid)))
			continue;
		h->more = !box_row(b, l, a, h, rows);
	}
	uidset_done(&uids);
}

static inline void
box_open(const struct box *b, const struct access_ask *a, struct buf *rows)
{
	static const struct access_keywords none;
	struct access_mailbox m = { .mailbox = 7, .name = STR("INBOX"), .uidvalidity = 1234 };
	check(a->fresh && str_eq(a->name, STR("INBOX")));
	for (size_t i = 0; i < b->n; i++)
		m.messages += !b->letter[i].gone;
	access_mailbox_put(rows, &m);
	access_keywords_put(rows, &none);
}

/* Through the codec, as between processes. */
static inline void
box_read(struct box *b, const struct access_ask *ask, struct buf *answer)
{
	struct buf octets = BUF_INIT(ACCESS_ASK_MAX), rows = BUF_INIT(1u << 24);
	struct access_head h = { .modseq = 5 };
	struct access_ask a;
	access_ask_put(&octets, ask);
	check(access_ask_get(buf_str(&octets), &a));
	b->reads++;
	if (a.kind == ACCESS_OPEN) {
		box_open(b, &a, &rows);
	} else if (b->moving) {
		b->moving--;
		h.more = true;
		h.next = (struct access_from){ .uid = a.from.uid, .n = a.from.n };
	} else {
		box_letters(b, &a, &h, &rows);
	}
	access_head_put(answer, &h);
	buf_puts(answer, buf_str(&rows));
	buf_done(&rows);
	buf_done(&octets);
}

static inline void
box_change(struct box *b, const struct access_change *change)
{
	struct buf octets = BUF_INIT(ACCESS_CHANGE_MAX);
	struct uidset uids = { 0 };
	struct access_change c;
	access_change_put(&octets, change);
	check(access_change_get(buf_str(&octets), &c));
	check(c.kind == ACCESS_EXPUNGE && c.mailbox == 7 && !c.only_deleted && c.uids.len);
	check(uidset_get(c.uids, &uids));
	b->changes++;
	if (b->change == ACCESS_OK) {
		uidset_add_set(&b->expunged, &uids);
		for (size_t i = 0; i < b->n; i++)
			if (uidset_has(&uids, b->letter[i].uid))
				b->letter[i].gone = true;
	}
	uidset_done(&uids);
	buf_done(&octets);
}

/* PLAIN: joe with secret. X: y logs in, l with a last word, n not, m malformed, others go on. */
static inline void
box_auth(const struct pop3_auth *auth, struct pop3_answer *a)
{
	static const char apop[] = "<0123456789abcdef@mx.example.com>\0joe\0"
				   "00112233445566778899aabbccddeeff";
	char c = auth->octets.len ? auth->octets.p[0] : '\0';
	check(auth->steps <= POP3_AUTH_STEPS_MAX && auth->octets.len <= POP3_AUTH_RESPONSE_MAX);
	a->user = STR("joe@example.com");
	if (str_eq(str_of(auth->mech), STR("PLAIN")) && auth->has_initial)
		a->verdict = str_eq(auth->octets, STR("\0joe\0secret"))    ? POP3_AUTH_OK
		             : str_eq(auth->octets, STR("\0joe\0busy"))    ? POP3_AUTH_TEMPFAIL
		             : str_eq(auth->octets, STR("\0joe\0soon"))    ? POP3_AUTH_TOO_SOON
		             : str_eq(auth->octets, STR("\0joe\0\xc3\xa9 ")) ? POP3_AUTH_OK
		                                                           : POP3_AUTH_FAIL;
	else if (str_eq(str_of(auth->mech), STR("APOP")))
		a->verdict = str_eq(auth->octets, str_n(apop, sizeof(apop) - 1)) ? POP3_AUTH_OK
		                                                              : POP3_AUTH_FAIL;
	else if (c == 'y' || c == 'l')
		a->verdict = POP3_AUTH_OK;
	else if (c == 'n' || c == 'm')
		a->verdict = c == 'n' ? POP3_AUTH_FAIL : POP3_AUTH_MALFORMED;
	else
		a->verdict = POP3_AUTH_CHALLENGE;
	if (c == 'l' || a->verdict == POP3_AUTH_CHALLENGE)
		a->challenge = c == 'l' ? STR("last") : auth->octets;
}

static inline void
box_answer(struct box *b, struct pop3_session *s, const struct pop3_clock *clock, struct buf *out)
{
	struct buf octets = BUF_INIT(1u << 24);
	struct pop3_answer a = { .status = ACCESS_OK };
	check(!pop3_session_answer(s, s->ask_no + 1, &a, clock, out));
	if (s->ask == POP3_ASK_AUTH) {
		check(s->state == POP3_STRANGER && (s->tls || s->conf->auth_cleartext));
		box_auth(s->auth, &a);
	}
	if (s->ask == POP3_ASK_READ && (a.status = b->read) == ACCESS_OK)
		box_read(b, &s->read, &octets);
	if (s->ask == POP3_ASK_CHANGE) {
		check(s->state == POP3_UPDATE);
		a.status = b->change;
		box_change(b, &s->change);
	}
	/* In a block of its own, which is gone behind the call. */
	char *block = octets.len ? xmemdup(octets.p, octets.len) : NULL;
	a.octets = str_n(block, octets.len);
	check(pop3_session_answer(s, s->ask_no, &a, clock, out));
	free(block);
	buf_done(&octets);
}

/* Appends what came; false: the session has ended. all: what was put out so far. */
static inline bool
box_feed(struct box *b, struct pop3_session *s, const struct pop3_clock *clock, struct buf *in,
    struct str piece, struct buf *out, struct buf *all)
{
	buf_puts(in, piece);
	for (;;) {
		char *block = in->len ? xmemdup(in->p, in->len) : NULL;
		struct str rest = { block, in->len };
		enum pop3_step step = pop3_session_step(s, &rest, clock, out);
		buf_drop(in, in->len - rest.len);
		free(block);
		check(out->len <= POP3_OUT_HIGH + POP3_OUT_OVER);
		if (step == POP3_ASK)
			box_answer(b, s, clock, out);
		if (step != POP3_ASK) {
			buf_puts(all, buf_str(out));
			buf_reset(out);
		}
		if (step == POP3_UPGRADE) {
			check(in->len == 0 && !s->tls);
			pop3_session_secured(s, clock);
		}
		check(step != POP3_MORE || in->len == 0);
		if (step == POP3_MORE || step == POP3_END)
			return step == POP3_MORE;
	}
}
