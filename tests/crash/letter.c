#include "letter.h"

#include "queue.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "Return-Path: <a@b>\r\n"
#define RCPT "c@d"
#define TRACE "X-Letter: %llu\r\n"

enum { PIECES = 5, TEXT = 64 };

/* --- what an account gets of a merge --- */

/* The body's halves in another order, some octets of the first one left out, and two lines of the
 * account's own. */
static void
pieces_of(const struct plan_op *op, uint32_t account, struct store_piece ret[PIECES],
    char text[TEXT])
{
	size_t half = op->size / 2, out = MIN(half, (size_t)account);
	int len = snprintf(text, TEXT, "To: u%u\r\nX-Own: %.*s\r\n", account, (int)account * 7,
	    "abcdefghijklmnopqrstuvwxyz012345");
	ret[0] = (struct store_piece){ .literal = true, .text = str_n(text, (size_t)len) };
	ret[1] = (struct store_piece){ .off = half, .len = op->size - half };
	ret[2] = (struct store_piece){ .literal = true };
	ret[3] = (struct store_piece){ .off = out, .len = half - out };
	ret[4] = (struct store_piece){ .literal = true,
		.text = str_first(STR("the end\r\n"), account * 2) };
}

static void
prefix_of(char ret[TEXT], uint32_t account)
{
	snprintf(ret, TEXT, "Delivered-To: u%u\r\n", account);
}

/* For pieces_of(): who gets entry k. */
static uint32_t
stranger(uint32_t k)
{
	return FACTS_ACCOUNTS + 1 + k;
}

/* entry p NULL: it is for an account. */
static int
add_view(struct store_views *v, const struct plan_op *op, uint32_t account, struct str entry)
{
	struct store_piece p[PIECES];
	char text[TEXT], prefix[TEXT];
	struct buf pieces = BUF_INIT(4096);
	pieces_of(op, account, p, text);
	prefix_of(prefix, account);
	struct store_view view = { .account = account,
		.mailbox = MAILBOX_INBOX,
		.prefix = str_of(prefix),
		.header_len = (uint32_t)p[0].text.len,
		.insert_blank = op->blank,
		.n_pieces = PIECES };
	for (size_t i = 0; i < PIECES; i++) {
		store_piece_put(&pieces, &p[i]);
		view.size += p[i].literal ? p[i].text.len : p[i].len;
	}
	view.pieces = buf_str(&pieces);
	if (entry.p) {
		view.account = view.mailbox = 0;
		view.prefix = STR_NULL;
		view.entry = entry;
	}
	int r = store_views_add(v, &view);
	buf_done(&pieces);
	return r;
}

/* A failure is kept and told by the completion, but a mistake in a view is ours. */
static struct store_views *
views_of(struct store *s, const struct plan_op *op)
{
	struct store_views *v = store_views_new(s, op->letter);
	for (uint32_t i = 0; i < op->count; i++) {
		if (i == op->count / 2 && op->r >> 52 & 1)
			(void)store_views_spill(v);
		check(add_view(v, op, op->first + i, STR_NULL) != -EINVAL);
	}
	struct queue_entries e;
	queue_entries_of(op, &e);
	for (uint32_t k = 0; k < op->parts; k++)
		check(add_view(v, op, stranger(k), e.entry[k].value) != -EINVAL);
	return v;
}

/* --- handing in --- */

static struct store_body *
body_of(struct store *s, const struct plan_op *op)
{
	struct store_body *b = store_body_new(s, op->letter);
	char *p = xalloc(op->size + 1);
	plan_fill(p, op->size, op->letter);
	size_t half = op->size / 2;
	(void)store_body_write(b, str_n(p, half));
	if (op->spill)
		(void)store_body_spill(b);
	(void)store_body_write(b, str_n(p + half, op->size - half));
	free(p);
	return b;
}

void
letter_hand_in(struct store *s, const struct plan_op *op, store_fn *fn, void *arg)
{
	struct store_rcpt rcpt[FACTS_ACCOUNTS];
	char trace[TEXT];
	for (uint32_t i = 0; i < op->count; i++)
		rcpt[i] =
		    (struct store_rcpt){ op->first + i, MAILBOX_INBOX, STR(PREFIX), STR(RCPT) };
	snprintf(trace, sizeof(trace), TRACE, (unsigned long long)op->letter);
	struct store_letter l = { .letter = op->letter,
		.session = 7,
		.time_ms = op->letter >> 22,
		.qid = STR("Q"),
		.from = STR("a@b"),
		.trace = str_of(trace),
		.header_len = MIN(op->size, (size_t)10),
		.insert_blank = op->blank,
		.history = STR("C: MAIL\nS: 250\n") };
	struct store_body *b = body_of(s, op);
	if (op->merge) {
		l.prefix = STR(PREFIX);
		store_merge(s, b, views_of(s, op), &l, fn, arg);
		return;
	}
	struct queue_entries e;
	queue_entries_of(op, &e);
	l.rcpt = rcpt;
	l.n_rcpt = op->count;
	l.entry = e.entry;
	l.n_entry = op->parts;
	store_accept(s, b, &l, fn, arg);
}

/* --- looking at it --- */

static void
put_merged(struct buf *out, const struct plan_op *op, uint32_t account, const char *body)
{
	struct store_piece p[PIECES];
	char text[TEXT];
	pieces_of(op, account, p, text);
	for (size_t i = 0; i < PIECES; i++) {
		buf_puts(out, p[i].literal ? p[i].text : str_n(body + p[i].off, p[i].len));
		if (i == 0 && op->blank)
			buf_putz(out, "\r\n");
	}
}

static void
put_plain(struct buf *out, const struct plan_op *op, const char *body)
{
	size_t head = MIN(op->size, (size_t)10);
	buf_put(out, body, head);
	if (op->blank)
		buf_putz(out, "\r\n");
	buf_put(out, body + head, op->size - head);
}

static void
put_whole(struct buf *out, const struct plan_op *op, uint32_t account)
{
	char prefix[TEXT] = "", *body = xalloc(op->size + 1);
	plan_fill(body, op->size, op->letter);
	if (op->merge)
		prefix_of(prefix, account);
	buf_putz(out, PREFIX);
	buf_putz(out, prefix);
	buf_putf(out, TRACE, (unsigned long long)op->letter);
	if (op->merge)
		put_merged(out, op, account, body);
	else
		put_plain(out, op, body);
	free(body);
}

bool
letter_is_whole(struct store *s, const struct plan_op *op, uint32_t account,
    const struct mailbox_letter *l)
{
	struct buf want = BUF_INIT(SIZE_MAX / 2);
	put_whole(&want, op, account);
	char *got = xalloc(want.len + 1);
	ssize_t n = mailbox_letter_read(s, l, 0, got, want.len + 1);
	bool same = n >= 0 && l->size == want.len && l->merged == op->merge &&
	            str_eq(str_n(got, (size_t)n), buf_str(&want)) &&
	            store_ref_check(s, &l->ref) == 0;
	free(got);
	buf_done(&want);
	return same;
}

bool
letter_is_queued(struct store *s, const struct plan_op *op, uint32_t k,
    const struct store_queued *q)
{
	struct buf want = BUF_INIT(SIZE_MAX / 2);
	char *body = xalloc(op->size + 1);
	plan_fill(body, op->size, op->letter);
	buf_putf(&want, TRACE, (unsigned long long)op->letter);
	if (op->merge)
		put_merged(&want, op, stranger(k), body);
	else
		put_plain(&want, op, body);
	char *got = xalloc(want.len + 1);
	ssize_t n = store_queue_read(s, q, 0, got, want.len + 1);
	bool same = n >= 0 && q->size == want.len && (q->n_pieces > 0) == op->merge &&
	            str_eq(str_n(got, (size_t)n), buf_str(&want)) &&
	            store_ref_check(s, &q->ref) == 0;
	free(got);
	free(body);
	buf_done(&want);
	return same;
}

struct str
letter_mark(char ret[DEDUP_KEY_MAX], const struct plan_op *op, uint32_t account)
{
	unsigned char number[4];
	be32_put(number, account - op->first);
	struct str rcpt = op->merge ? str_n(number, sizeof(number)) : STR(RCPT);
	return str_n(ret, dedup_key(ret, op->letter, rcpt));
}
