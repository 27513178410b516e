/* Letters with recipients elsewhere, for tests: what is handed in, and what the queue must have. */
#pragma once

#include "store_kit.h"

struct kit_queued {
	uint64_t id, first, count; /* to INBOX of accounts first..first+count-1 as well */
	uint32_t parts;
	size_t n, value;           /* octets of the body, and of each entry's value; 0: few */
	bool blank, spill;
};

static inline size_t
kit_entry(const struct kit_queued *k, uint32_t part, char *out)
{
	size_t n = (size_t)snprintf(out, 64, "entry %llu.%u", (unsigned long long)k->id, part);
	if (n < k->value)
		memset(out + n, 'v', k->value - n);
	return MAX(n, k->value);
}

static inline void
kit_queue_async(struct store *s, struct kit_queued k, store_fn *fn, void *arg)
{
	struct store_rcpt *rcpt = xalloc((k.count + 1) * sizeof(*rcpt));
	struct store_entry *entry = xalloc((k.parts + 1) * sizeof(*entry));
	size_t each = MAX(k.value, (size_t)64);
	char trace[64], *values = xalloc(k.parts * each + 1), *p = xalloc(k.n + 1);
	for (uint64_t i = 0; i < k.count; i++)
		rcpt[i] = (struct store_rcpt){ k.first + i, MAILBOX_INBOX,
			STR("Return-Path: <a@b>\r\nDelivered-To: c@d\r\n"), STR("c@d") };
	for (uint32_t i = 0; i < k.parts; i++) {
		size_t n = kit_entry(&k, i, values + i * each);
		entry[i] = (struct store_entry){ i, str_n(values + i * each, n) };
	}
	snprintf(trace, sizeof(trace), KIT_TRACE, (unsigned long long)k.id);
	struct store_letter l = { .letter = k.id,
		.time_ms = KIT_TIME,
		.from = STR("a@b"),
		.trace = str_of(trace),
		.header_len = MIN(k.n, (size_t)10),
		.insert_blank = k.blank,
		.history = STR("C: MAIL\nS: 250\n"),
		.rcpt = rcpt,
		.n_rcpt = k.count,
		.entry = entry,
		.n_entry = k.parts,
		.message_id = STR("<x@y>"),
		.peer = STR("192.0.2.1"),
		.onward = STR("0 0 e@f\n") };
	struct store_body *b = store_body_new(s, k.id);
	kit_fill(p, k.n, k.id);
	check(store_body_write(b, str_n(p, k.n)) == 0);
	if (k.spill)
		check(store_body_spill(b) == 0);
	store_accept(s, b, &l, fn, arg);
	free(rcpt);
	free(entry);
	free(values);
	free(p);
}

static inline int
kit_queue(struct store *s, struct kit_queued k)
{
	struct store_res res = { .rc = 1 };
	kit_queue_async(s, k, kit_take, &res);
	store_wait(s);
	return res.rc;
}

/* Does store_queue_read() give these octets, at once and in pieces? */
static inline bool
kit_queue_reads(struct store *s, const struct store_queued *q, struct str want)
{
	char *got = xalloc(want.len + 1);
	ssize_t n = store_queue_read(s, q, 0, got, want.len + 1);
	bool same = q->size == want.len && n >= 0 && str_eq(str_n(got, (size_t)n), want);
	for (uint64_t off = 0; same && off < want.len && want.len < 5000; off += 37) {
		n = store_queue_read(s, q, off, got, 37);
		same = n == (ssize_t)MIN((uint64_t)37, want.len - off) &&
		       memcmp(got, want.p + off, (size_t)n) == 0;
	}
	free(got);
	return same;
}

static inline bool
kit_queue_whole(struct store *s, const struct kit_queued *k, const struct store_queued *q)
{
	char *value = xalloc(MAX(k->value, (size_t)64)), *p = xalloc(k->n + 1);
	struct buf want = BUF_INIT(SIZE_MAX / 2);
	size_t n = kit_entry(k, q->part, value), head = MIN(k->n, (size_t)10);
	kit_fill(p, k->n, k->id);
	buf_putf(&want, KIT_TRACE, (unsigned long long)k->id);
	buf_put(&want, p, head);
	if (k->blank)
		buf_putz(&want, "\r\n");
	buf_put(&want, p + head, k->n - head);
	bool same = str_eq(q->value, str_n(value, n)) && q->letter == k->id &&
	            q->n_pieces == 0 && kit_queue_reads(s, q, buf_str(&want));
	buf_done(&want);
	free(value);
	free(p);
	return same;
}

/* Of a merge: each gets its number, the second half of the body, and the first. */
static inline void
kit_queue_pieces(const struct kit_queued *k, uint32_t i, struct store_piece p[3], char text[64])
{
	size_t half = k->n / 2;
	snprintf(text, 64, "To: r%u\r\n", i);
	p[0] = (struct store_piece){ .literal = true, .text = str_of(text) };
	p[1] = (struct store_piece){ .off = half, .len = k->n - half };
	p[2] = (struct store_piece){ .off = 0, .len = half };
}

/* View i: every second is elsewhere while there are both. */
static inline bool
kit_queue_is_elsewhere(const struct kit_queued *k, uint32_t i)
{
	return i >= 2 * MIN((uint64_t)k->parts, k->count) ? k->parts > k->count : i % 2 == 0;
}

static inline void
kit_queue_merge_async(struct store *s, struct kit_queued k, store_fn *fn, void *arg)
{
	char trace[64], text[64], value[64], *body = xalloc(k.n + 1);
	struct store_body *b = store_body_new(s, k.id);
	struct store_views *v = store_views_new(s, k.id);
	uint64_t box = k.first;
	kit_fill(body, k.n, k.id);
	check(store_body_write(b, str_n(body, k.n)) == 0);
	for (uint32_t i = 0; i < k.parts + k.count; i++) {
		struct buf pieces = BUF_INIT(4096);
		struct store_piece p[3];
		struct store_view view = { .header_len = 4, .insert_blank = i % 3 == 0 };
		kit_queue_pieces(&k, i, p, text);
		for (size_t j = 0; j < 3; j++) {
			store_piece_put(&pieces, &p[j]);
			view.size += p[j].literal ? p[j].text.len : p[j].len;
		}
		view.n_pieces = 3;
		view.pieces = buf_str(&pieces);
		if (kit_queue_is_elsewhere(&k, i)) {
			snprintf(value, sizeof(value), "entry %llu.%u", (unsigned long long)k.id, i);
			view.entry = str_of(value);
		} else {
			view.account = box++;
			view.mailbox = MAILBOX_INBOX;
		}
		check(store_views_add(v, &view) == 0);
		buf_done(&pieces);
	}
	if (k.spill)
		check(store_views_spill(v) == 0);
	snprintf(trace, sizeof(trace), KIT_TRACE, (unsigned long long)k.id);
	struct store_letter l = { .letter = k.id,
		.time_ms = KIT_TIME,
		.from = STR("a@b"),
		.trace = str_of(trace),
		.prefix = STR("Return-Path: <a@b>\r\n") };
	store_merge(s, b, v, &l, fn, arg);
	free(body);
}

static inline int
kit_queue_merge(struct store *s, struct kit_queued k)
{
	struct store_res res = { .rc = 1 };
	kit_queue_merge_async(s, k, kit_take, &res);
	store_wait(s);
	return res.rc;
}

static inline bool
kit_queue_merge_whole(struct store *s, const struct kit_queued *k, const struct store_queued *q)
{
	struct store_piece p[3];
	char text[64], value[64], *body = xalloc(k->n + 1);
	struct buf want = BUF_INIT(SIZE_MAX / 2), all = BUF_INIT(SIZE_MAX / 2);
	kit_fill(body, k->n, k->id);
	kit_queue_pieces(k, q->part, p, text);
	for (size_t j = 0; j < 3; j++)
		buf_puts(&all, p[j].literal ? p[j].text : str_n(body + p[j].off, p[j].len));
	buf_putf(&want, KIT_TRACE, (unsigned long long)k->id);
	buf_put(&want, all.p, 4);
	if (q->part % 3 == 0)
		buf_putz(&want, "\r\n");
	buf_put(&want, all.p + 4, all.len - 4);
	snprintf(value, sizeof(value), "entry %llu.%u", (unsigned long long)k->id, q->part);
	bool same = str_eq(q->value, str_of(value)) && kit_queue_is_elsewhere(k, q->part) &&
	            kit_queue_reads(s, q, buf_str(&want));
	buf_done(&want);
	buf_done(&all);
	free(body);
	return same;
}

struct kit_queue_count {
	struct store *s;
	const struct kit_queued *k;
	bool merge, bad;
	uint32_t n;
};

static inline bool
kit_queue_count_one(void *arg, const struct store_queued *q)
{
	struct kit_queue_count *c = arg;
	if (q->letter != c->k->id)
		return false;
	c->bad |= c->merge ? !kit_queue_merge_whole(c->s, c->k, q) : !kit_queue_whole(c->s, c->k, q);
	c->n++;
	return true;
}

/* So many of its entries are there; UINT32_MAX: one is not right. */
static inline uint32_t
kit_queue_look(struct store *s, const struct kit_queued *k, bool merge)
{
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn = NULL;
	struct kit_queue_count c = { .s = s, .k = k, .merge = merge };
	if (store_snap_open(s, &d, &sn, NULL) < 0)
		return UINT32_MAX;
	int r = store_queue_scan(sn, k->id, 0, 0, kit_queue_count_one, &c);
	store_snap_close(sn);
	return r < 0 || c.bad ? UINT32_MAX : c.n;
}

static inline uint32_t
kit_queue_there(struct store *s, struct kit_queued k)
{
	return kit_queue_look(s, &k, false);
}

static inline uint32_t
kit_queue_merge_there(struct store *s, struct kit_queued k)
{
	return kit_queue_look(s, &k, true);
}
