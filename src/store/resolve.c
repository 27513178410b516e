#include "store/resolve.h"

#include "base/check.h"
#include "store/keyword.h"
#include "store/mail.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH_SUMS_MAX 64

int
resolve_version(const struct view *v, const struct store_dom *d, uint64_t *ret)
{
	struct str value;
	int r = v->get(v->arg, d, STR(""), &value);
	if (r < 0)
		return r;
	if (r == 1 && value.len != 8)
		return -EBADMSG;
	*ret = r == 1 ? be64_get((const unsigned char *)value.p) : 0;
	return 0;
}

/* --- batches --- */

static int
expectations_hold(const struct store_batch *b, const struct view *v)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct op *o = &b->ops[i];
		if (o->kind != OP_EXPECT && o->kind != OP_ABSENT && o->kind != OP_PRESENT)
			continue;
		struct str value;
		int r = v->get(v->arg, &b->dom, batch_key(b, o), &value);
		if (r < 0)
			return r;
		if (o->kind == OP_ABSENT ? r == 1 : r == 0)
			return -EAGAIN;
		if (o->kind == OP_EXPECT && !str_eq(value, batch_value(b, o)))
			return -EAGAIN;
	}
	return 0;
}

/* What store_add has written so far in this batch. */
struct sum {
	struct str key;
	uint64_t value;
};

static int
add_up(const struct store_batch *b, const struct view *v, struct buf *out, struct sum *sums,
    size_t *n_sums, const struct op *o, struct store_res *res)
{
	struct str key = batch_key(b, o), was = STR_NULL;
	int r = v->get(v->arg, &b->dom, key, &was);
	if (r < 0)
		return r;
	if (r == 1 && was.len < 8)
		return -EINVAL;
	uint64_t value = r == 1 ? be64_get((const unsigned char *)was.p) : 0;
	size_t i = 0;
	while (i < *n_sums && !str_eq(sums[i].key, key))
		i++;
	if (i == BATCH_SUMS_MAX)
		return -E2BIG;
	if (i < *n_sums)
		value = sums[i].value;
	else
		*n_sums += 1;
	value += (uint64_t)o->delta;
	sums[i] = (struct sum){ key, value };
	if (o->slot >= 0)
		res->slot[o->slot] = value;

	/* `was` may stand in out, which moves when it grows. */
	size_t len = r == 1 ? was.len : 8;
	char *copy = xalloc(len);
	if (r == 1)
		memcpy(copy, was.p, len);
	be64_put((unsigned char *)copy, value);
	batch_record_put(out, key, str_n(copy, len));
	free(copy);
	return 0;
}

static void
fill_slot(char *p, size_t n, unsigned slot, uint64_t value)
{
	unsigned char marker[8];
	store_slot_marker(marker, slot);
	size_t at = str_find_str(str_n(p, n), str_n(marker, sizeof(marker)));
	if (at < n)
		be64_put((unsigned char *)p + at, value);
}

static void
put_with_slots(struct buf *out, struct str key, struct str value, uint32_t slots,
    const struct store_res *res)
{
	size_t begin = out->len;
	batch_record_put(out, key, value);
	if (out->failed)
		return;
	for (unsigned i = 0; i < STORE_SLOTS; i++) {
		if (!(slots >> i & 1))
			continue;
		fill_slot(out->p + begin + 3, key.len, i, res->slot[i]);
		fill_slot(out->p + out->len - value.len, value.len, i, res->slot[i]);
	}
}

static bool
has_expunge(const struct store_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->ops[i].kind == OP_EXPUNGE)
			return true;
	return false;
}

/* 1: key says that a merge has come here that is still under way. Its mark stays when the letter
 * is expunged, or it would come once more after a crash. */
static int
is_needed(const struct store_batch *b, const struct view *v, struct str key)
{
	if (b->dom.b[0] != 'B' || key.len < 11 || !str_starts(key, STR("D|")) || !has_expunge(b))
		return 0;
	return resolve_open(v, be64_get((const unsigned char *)key.p + 2));
}

/* Puts and deletes. */
static int
put_changes(const struct store_batch *b, const struct view *v, struct buf *out, uint32_t *n,
    const struct store_res *res)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct op *o = &b->ops[i];
		int needed = o->kind == OP_DEL ? is_needed(b, v, batch_key(b, o)) : 0;
		if (needed < 0)
			return needed;
		if (o->kind == OP_PUT)
			put_with_slots(out, batch_key(b, o), batch_value(b, o), o->slots, res);
		else if (o->kind == OP_DEL && !needed)
			batch_record_del(out, batch_key(b, o));
		else
			continue;
		*n += 1;
	}
	return 0;
}

int
resolve_batch(const struct store_batch *b, const struct view *v, struct buf *out,
    struct store_res *res)
{
	size_t begin = out->len, n_sums = 0;
	struct sum sums[BATCH_SUMS_MAX];
	struct store_res done = { 0 };
	uint64_t ver = 0;
	int r = b->rc < 0 ? b->rc : resolve_version(v, &b->dom, &ver);
	if (r == 0 && !leases_hold(b->store, b->fences, b->n_fences))
		r = -ESTALE;
	if (r == 0)
		r = expectations_hold(b, v);
	if (r < 0)
		return r;
	if (batch_only_notes(b)) {
		res->ver = ver;
		return 0;
	}
	done.ver = ver + 1;
	uint32_t n = 0;
	batch_record_begin(out, &b->dom, done.ver);
	for (size_t i = 0; i < b->n && r == 0; i++)
		if (b->ops[i].kind == OP_ADD) {
			r = add_up(b, v, out, sums, &n_sums, &b->ops[i], &done);
			n++;
		}
	if (r == 0)
		r = put_changes(b, v, out, &n, &done);
	if (r == 0)
		r = resolve_expunges(b, v, out, &n, &done);
	batch_record_end(out, begin, n);
	if (r == 0 && out->failed)
		r = -ENOMEM;
	if (r == 0)
		*res = done;
	else if (!out->failed)
		buf_trunc(out, begin);
	return r;
}

/* --- letters --- */

size_t
dedup_key(char out[DEDUP_KEY_MAX], uint64_t letter, struct str rcpt)
{
	static const unsigned char hash_keys[2][16] = { "pennypost dedup", "dedup pennypost" };
	enum { HEAD = 11, HASHES = 16, ROOM = DEDUP_KEY_MAX - HEAD };
	out[0] = 'D', out[1] = '|';
	be64_put((unsigned char *)out + 2, letter);
	out[10] = '|';
	if (rcpt.len <= ROOM) {
		if (rcpt.len)
			memcpy(out + HEAD, rcpt.p, rcpt.len);
		return HEAD + rcpt.len;
	}
	memcpy(out + HEAD, rcpt.p, ROOM - HASHES);
	unsigned char *hash = (unsigned char *)out + DEDUP_KEY_MAX - HASHES;
	be64_put(hash, siphash(hash_keys[0], rcpt));
	be64_put(hash + 8, siphash(hash_keys[1], rcpt));
	return DEDUP_KEY_MAX;
}

size_t
letter_key(char out[6], uint32_t uid)
{
	out[0] = 'R', out[1] = '|';
	be32_put((unsigned char *)out + 2, uid);
	return 6;
}

size_t
change_key(char out[15], uint64_t modseq, uint32_t uid)
{
	out[0] = 'C', out[1] = '|';
	be64_put((unsigned char *)out + 2, modseq);
	out[10] = '|';
	be32_put((unsigned char *)out + 11, uid);
	return 15;
}

/* The letter's record and what goes with it; l: all but uid and modseq. */
static uint32_t
letter_put(struct buf *out, struct mailbox_letter *l, struct str outline, struct mailbox_head *h)
{
	char key[15];
	l->uid = h->uidnext++;
	l->modseq = h->modseq;
	head_count(h, l, true);
	size_t at = batch_record_put_begin(out, str_n(key, letter_key(key, l->uid)));
	mailbox_letter_put(out, l);
	batch_record_put_end(out, at);
	batch_record_put(out, str_n(key, change_key(key, l->modseq, l->uid)), STR(""));
	if (outline.len)
		batch_record_put(out, str_n(key, outline_key(key, l->uid)), outline);
	return outline.len ? 3 : 2;
}

/* Where a letter for a mailbox goes: into INBOX when that one was deleted meanwhile. */
static int
delivery_dom(const struct view *v, uint64_t account, uint32_t mailbox, struct store_dom *ret)
{
	struct store_dom a = store_dom_account(account);
	char key[6];
	struct str value;
	int r = 0;
	if (mailbox != MAILBOX_INBOX)
		r = v->get(v->arg, &a, str_n(key, number_key(key, 'w', mailbox)), &value);
	*ret = store_dom_mailbox(account, r == 1 ? MAILBOX_INBOX : mailbox);
	return r < 0 ? r : 0;
}

/* Unless the mailbox has the mark: then *ret_written is false. */
static int
deliver(const struct store_dom *d, struct mailbox_letter *l, struct str mark, struct str outline,
    const struct view *v, struct buf *out, bool *ret_written)
{
	struct mailbox_head h = { 0 };
	struct str value;
	char uid[4];
	uint64_t ver = 0;
	int r = v->get(v->arg, d, mark, &value);
	if (r != 0) {
		*ret_written = false;
		return r < 0 ? r : 0;
	}
	r = resolve_version(v, d, &ver);
	if (r == 0)
		r = resolve_head(v, d, &h);
	/* It is there from its first letter on. */
	if (r == -ENOENT) {
		h = head_new(be32_get(d->b + 9), l->time_ms);
		r = 0;
	}
	if (r == 0 && h.uidnext == UINT32_MAX)
		r = -EOVERFLOW;
	if (r < 0)
		return r;
	size_t begin = batch_record_begin(out, d, ver + 1);
	h.modseq++;
	uint32_t n = letter_put(out, l, outline, &h);
	be32_put((unsigned char *)uid, l->uid);
	batch_record_put(out, mark, str_n(uid, sizeof(uid)));
	head_put(out, &h);
	batch_record_end(out, begin, n + 2);
	if (out->failed)
		return -ENOMEM;
	*ret_written = true;
	return 0;
}

int
resolve_delivery(const struct intent *in, const struct store_rcpt *r, const struct view *v,
    struct buf *out, bool *ret_written)
{
	struct store_dom d;
	char mark[DEDUP_KEY_MAX];
	size_t n = dedup_key(mark, in->letter, r->rcpt);
	int rc = delivery_dom(v, r->account, r->mailbox, &d);
	if (rc < 0)
		return rc;
	struct mailbox_letter l = { .time_ms = in->time_ms,
		.saved_ms = in->time_ms,
		.size = r->prefix.len + in->ref.len + (in->insert_blank ? 2 : 0),
		.letter = in->letter,
		.ref = in->ref,
		.trace_len = in->trace_len,
		.header_len = in->header_len,
		.insert_blank = in->insert_blank,
		.trace_lsn = in->place.trace,
		.keep = in->place.keep,
		.prefix = r->prefix };
	return deliver(&d, &l, str_n(mark, n), in->outline, v, out, ret_written);
}

int
resolve_gone(const struct view *v, uint64_t account)
{
	struct store_dom d = store_dom_directory();
	char key[10] = "x|";
	struct str value;
	be64_put((unsigned char *)key + 2, account);
	return v->get(v->arg, &d, str_n(key, sizeof(key)), &value);
}

int
resolve_view(const struct intent *in, const struct store_view *w, uint32_t number,
    const struct view *v, struct buf *out, bool *ret_written)
{
	struct store_dom d;
	char mark[DEDUP_KEY_MAX];
	unsigned char digits[4];
	struct buf prefix = BUF_INIT(RECORD_PREFIX_MAX);
	*ret_written = false;
	int r = resolve_gone(v, w->account);
	if (r == 0)
		r = delivery_dom(v, w->account, w->mailbox, &d);
	else
		return r < 0 ? r : 0;
	if (r < 0)
		return r;
	be32_put(digits, number);
	size_t n = dedup_key(mark, in->letter, str_n(digits, sizeof(digits)));
	buf_puts(&prefix, in->prefix);
	buf_puts(&prefix, w->prefix);
	struct mailbox_letter l = { .time_ms = in->time_ms,
		.saved_ms = in->time_ms,
		.size = prefix.len + in->trace_len + w->size + (w->insert_blank ? 2 : 0),
		.letter = in->letter,
		.ref = in->ref,
		.trace_len = in->trace_len,
		.header_len = w->header_len,
		.insert_blank = w->insert_blank,
		.trace_lsn = in->place.trace,
		.keep = in->place.keep,
		.prefix = buf_str(&prefix),
		.merged = true,
		.n_pieces = w->n_pieces,
		.pieces = w->pieces };
	r = prefix.failed ? -E2BIG : deliver(&d, &l, str_n(mark, n), STR_NULL, v, out, ret_written);
	buf_done(&prefix);
	return r;
}

/* --- appended letters --- */

static int
mark_holds(const struct append *a, const struct store_dom *d, const struct view *v)
{
	struct str mark = str_first(buf_str(&a->marks), a->mark_len), value;
	struct str was = str_n(mark.p + a->mark_len, a->was_len);
	if (mark.len == 0)
		return 0;
	int r = v->get(v->arg, d, mark, &value);
	if (r < 0)
		return r;
	return (a->absent ? r == 0 : r == 1 && str_eq(value, was)) ? 0 : -EAGAIN;
}

static struct str
append_part(const struct append *a, size_t at, size_t len)
{
	return str_n(a->marks.p + at, len);
}

/* *keys: the mailbox's keywords, with those of the letter. */
static int
append_put(struct buf *out, const struct letter *n, struct keywords *keys, struct mailbox_head *h,
    uint32_t *n_ops)
{
	const struct append *a = n->append;
	size_t at = a->mark_len + a->was_len + a->value_len;
	struct wire names = wire_of(append_part(a, at + a->outline_len, a->keywords_len));
	uint64_t bits = 0;
	while (names.left) {
		int bit = keywords_bit(keys, get_str(&names, MAIL_KEYWORD_LEN_MAX), true);
		if (bit < 0)
			return bit;
		bits |= 1ull << bit;
	}
	struct mailbox_letter l = { .time_ms = a->time_ms,
		.saved_ms = a->now_ms,
		.size = n->ref.len,
		.flags = a->flags | bits,
		.letter = n->letter,
		.ref = n->ref,
		.header_len = (uint32_t)a->header_len,
		.trace_lsn = n->trace_lsn,
		.keep = n->keep };
	*n_ops += letter_put(out, &l, append_part(a, at, a->outline_len), h);
	if (a->mark_len) {
		batch_record_put(out, append_part(a, 0, a->mark_len),
		    append_part(a, a->mark_len + a->was_len, a->value_len));
		*n_ops += 1;
	}
	return 0;
}

static int
appends_put(struct buf *out, const struct letter *l, struct keywords *keys, struct mailbox_head *h,
    uint32_t *n_ops)
{
	int r = 0;
	for (; r == 0 && l; l = l->next)
		r = h->uidnext == UINT32_MAX ? -EOVERFLOW : append_put(out, l, keys, h, n_ops);
	if (r < 0)
		return r;
	*n_ops += keywords_put(out, keys);
	head_put(out, h);
	*n_ops += 1;
	return out->failed ? -ENOMEM : 0;
}

int
resolve_append(const struct letter *l, const struct view *v, struct buf *out, struct store_res *res)
{
	const struct append *a = l->append;
	struct store_dom d = store_dom_mailbox(a->account, a->mailbox);
	struct mailbox_head h = { 0 };
	struct keywords keys;
	uint64_t ver = 0;
	uint32_t n = 0;
	int r = resolve_gone(v, a->account);
	r = r == 0 ? mark_holds(a, &d, v) : r < 0 ? r : -ENOENT;
	if (r == 0)
		r = resolve_version(v, &d, &ver);
	if (r == 0)
		r = resolve_head_of(v, a->account, a->mailbox, a->now_ms, &h);
	if (r == 0)
		r = keywords_read(&keys, v, &d);
	if (r < 0)
		return r;
	size_t begin = batch_record_begin(out, &d, ver + 1);
	uint32_t uid = h.uidnext;
	h.modseq++;
	r = appends_put(out, l, &keys, &h, &n);
	batch_record_end(out, begin, n);
	keywords_done(&keys);
	if (r < 0) {
		if (!out->failed)
			buf_trunc(out, begin);
		return r;
	}
	*res = (struct store_res){ .ver = ver + 1, .slot = { uid, h.uidvalidity, h.modseq } };
	return 0;
}

int
resolve_accepted(const struct view *v, uint64_t letter)
{
	struct store_dom d = store_dom_queue(0);
	char key[DONE_KEY_LEN];
	struct str value;
	queue_key(key, 'a', letter);
	return v->get(v->arg, &d, str_n(key, sizeof(key)), &value);
}

int
resolve_open(const struct view *v, uint64_t letter)
{
	struct store_dom d = store_dom_queue(0);
	char key[DONE_KEY_LEN];
	struct str value;
	struct intent in;
	queue_key(key, 'q', letter);
	int r = v->get(v->arg, &d, str_n(key, sizeof(key)), &value);
	if (r != 1 || !intent_get(value, &in) || in.n_views == 0)
		return r < 0 ? r : 0;
	/* The index may not know yet that it is done. */
	r = resolve_accepted(v, letter);
	return r < 0 ? r : !r;
}
