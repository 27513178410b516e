/* Mail merges for tests: what is sent, and what each recipient must get. */
#pragma once

#include "store_kit.h"

struct kit_merge {
	uint64_t id, first, count; /* to INBOX of accounts first..first+count-1 */
	size_t n;                  /* octets of the body */
	bool spill, spill_views;   /* to files of their own */
};

#define KIT_MERGE_PREFIX "Return-Path: <a@b>\r\n"

/* The pieces for recipient i: the number differs, and the order of the two halves. */
static inline size_t
kit_merge_pieces(const struct kit_merge *k, uint64_t i, struct store_piece p[5], char text[64])
{
	size_t half = k->n / 2;
	int len = snprintf(text, 64, "To: r%llu\r\nX: %.*s\r\n", (unsigned long long)i,
	    (int)(i % 30), "012345678901234567890123456789");
	p[0] = (struct store_piece){ .literal = true, .text = str_n(text, (size_t)len) };
	p[1] = (struct store_piece){ .off = half, .len = k->n - half };
	p[2] = (struct store_piece){ .literal = true, .text = STR("") };
	p[3] = (struct store_piece){ .off = i % (half + 1), .len = half - i % (half + 1) };
	p[4] = (struct store_piece){ .literal = true, .text = str_first(STR("behind\r\n"), i % 9) };
	return 5;
}

static inline int
kit_merge_add(struct store_views *v, const struct kit_merge *k, uint64_t i)
{
	struct store_piece p[5];
	char text[64], prefix[64];
	struct buf pieces = BUF_INIT(4096);
	size_t n = kit_merge_pieces(k, i, p, text);
	struct store_view view = { .account = k->first + i,
		.mailbox = MAILBOX_INBOX,
		.header_len = (uint32_t)p[0].text.len,
		.insert_blank = i % 3 == 0,
		.n_pieces = (uint16_t)n };
	for (size_t j = 0; j < n; j++) {
		store_piece_put(&pieces, &p[j]);
		view.size += p[j].literal ? p[j].text.len : p[j].len;
	}
	snprintf(prefix, sizeof(prefix), "Delivered-To: r%llu\r\n", (unsigned long long)i);
	view.prefix = str_of(prefix);
	view.pieces = buf_str(&pieces);
	int r = store_views_add(v, &view);
	buf_done(&pieces);
	return r;
}

/* The whole letter of recipient i. */
static inline void
kit_merge_want(struct buf *out, const struct kit_merge *k, uint64_t i)
{
	struct store_piece p[5];
	char text[64], *body = xalloc(k->n + 1);
	size_t n = kit_merge_pieces(k, i, p, text);
	kit_fill(body, k->n, k->id);
	buf_reset(out);
	buf_putz(out, KIT_MERGE_PREFIX);
	buf_putf(out, "Delivered-To: r%llu\r\n", (unsigned long long)i);
	buf_putf(out, KIT_TRACE, (unsigned long long)k->id);
	for (size_t j = 0; j < n; j++) {
		if (j == 1 && i % 3 == 0)
			buf_putz(out, "\r\n");
		if (p[j].literal)
			buf_puts(out, p[j].text);
		else
			buf_put(out, body + p[j].off, p[j].len);
	}
	free(body);
}

static inline void
kit_merge_async(struct store *s, struct kit_merge k, store_fn *fn, void *arg)
{
	char trace[64], *p = xalloc(k.n + 1);
	snprintf(trace, sizeof(trace), KIT_TRACE, (unsigned long long)k.id);
	struct store_letter l = { .letter = k.id,
		.session = 77,
		.time_ms = KIT_TIME,
		.qid = STR("M"),
		.from = STR("a@b"),
		.trace = str_of(trace),
		.history = STR("C: XMRG\nS: 250\n"),
		.prefix = STR(KIT_MERGE_PREFIX) };
	struct store_body *b = store_body_new(s, k.id);
	struct store_views *v = store_views_new(s, k.id);
	kit_fill(p, k.n, k.id);
	check(store_body_write(b, str_n(p, k.n)) == 0);
	if (k.spill)
		check(store_body_spill(b) == 0);
	for (uint64_t i = 0; i < k.count; i++) {
		if (k.spill_views && i == k.count / 2)
			check(store_views_spill(v) == 0);
		check(kit_merge_add(v, &k, i) == 0);
	}
	check(store_views_count(v) == k.count && store_views_end(v) <= k.n);
	store_merge(s, b, v, &l, fn, arg);
	free(p);
}

static inline int
kit_merge(struct store *s, struct kit_merge k)
{
	struct store_res res = { .rc = 1 };
	kit_merge_async(s, k, kit_take, &res);
	store_wait(s);
	return res.rc;
}

struct kit_merge_find {
	struct store *s;
	const struct kit_merge *k;
	uint64_t i, found;
	bool bad;
};

static inline bool
kit_merge_one(void *arg, const struct mailbox_letter *l)
{
	struct kit_merge_find *f = arg;
	struct buf want = BUF_INIT(SIZE_MAX / 2);
	if (l->letter != f->k->id)
		return true;
	kit_merge_want(&want, f->k, f->i);
	char *got = xalloc(want.len + 1);
	ssize_t n = mailbox_letter_read(f->s, l, 0, got, want.len + 1);
	bool same = n == (ssize_t)want.len && l->size == want.len &&
	            memcmp(got, want.p, want.len) == 0;
	/* And from everywhere, in windows of an odd size. */
	for (uint64_t off = 0; same && l->size < 3000 && off <= l->size; off += 1 + f->i % 7) {
		n = mailbox_letter_read(f->s, l, off, got, 53);
		same = n == (ssize_t)MIN((uint64_t)53, l->size - off) &&
		       (n == 0 || memcmp(got, want.p + off, (size_t)n) == 0);
	}
	f->found++;
	f->bad = f->bad || !same || store_ref_check(f->s, &l->ref) != 0;
	free(got);
	buf_done(&want);
	return true;
}

/* In how many of the mailboxes it is, once and whole; UINT64_MAX: something there is wrong. */
static inline uint64_t
kit_merge_there(struct store *s, struct kit_merge k)
{
	uint64_t there = 0;
	for (uint64_t i = 0; i < k.count; i++) {
		struct store_dom d = store_dom_mailbox(k.first + i, MAILBOX_INBOX);
		struct kit_merge_find f = { .s = s, .k = &k, .i = i };
		struct store_snap *sn = NULL;
		if (store_snap_open(s, &d, &sn, NULL) < 0)
			return UINT64_MAX;
		int r = mailbox_each(sn, 1, kit_merge_one, &f);
		store_snap_close(sn);
		if (r < 0 || f.bad || f.found > 1 ||
		    kit_letters(s, k.first + i, 0, NULL) == UINT64_MAX)
			return UINT64_MAX;
		there += f.found;
	}
	return there;
}
