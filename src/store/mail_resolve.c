/* What flags, expunges and outlines come to, given what the store holds now. */
#include "store/mail_priv.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>

/* --- a batch of a mailbox --- */

int
box_begin(struct box *b, const struct view *v, uint64_t account, uint32_t mailbox, uint64_t time_ms,
    struct buf *out)
{
	uint64_t ver = 0;
	*b = (struct box){ .v = v, .dom = store_dom_mailbox(account, mailbox), .out = out };
	int r = resolve_gone(v, account);
	if (r != 0)
		return r < 0 ? r : -ENOENT;
	r = resolve_version(v, &b->dom, &ver);
	if (r == 0)
		r = resolve_head_of(v, account, mailbox, time_ms, &b->head);
	if (r < 0)
		return r;
	b->head.modseq++;
	b->begin = batch_record_begin(out, &b->dom, ver + 1);
	return 0;
}

int
box_end(struct box *b, int r, bool write)
{
	if (r >= 0 && write) {
		head_put(b->out, &b->head);
		batch_record_end(b->out, b->begin, b->n + 1);
		r = b->out->failed ? -ENOMEM : 1;
	}
	if (r != 1 && !b->out->failed)
		buf_trunc(b->out, b->begin);
	return r < 0 ? r : write;
}

int
box_vanish(struct box *b, const struct ranges *gone)
{
	return resolve_vanished(b->v, &b->dom, &b->head, gone->p, gone->n, b->out, &b->n);
}

/* --- letters --- */

/* The first range that does not end below uid. */
static size_t
range_at(const struct ranges *r, uint32_t uid)
{
	size_t lo = 0, hi = r->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (r->p[mid].last < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int
next_uid(struct uid_walk *w, const struct ranges *uids, uint32_t at, uint32_t *ret)
{
	int r = 0;
	for (size_t i = range_at(uids, at); r == 0 && i < uids->n; i++) {
		if (uids->p[i].first >= w->uidnext)
			break;
		r = uid_walk_next(w, MAX(at, uids->p[i].first), uids->p[i].last, ret);
	}
	return r;
}

int
next_letter(struct uid_walk *w, const struct ranges *uids, uint32_t *at, struct buf *record,
    struct mailbox_letter *ret)
{
	char key[6];
	struct str value;
	uint32_t uid = 0;
	int r = next_uid(w, uids, *at, &uid);
	if (r != 1)
		return r;
	*at = uid + 1;
	r = w->v->get(w->v->arg, w->d, str_n(key, letter_key(key, uid)), &value);
	if (r != 1)
		return r < 0 ? r : -EBADMSG;
	size_t begin = record->len;
	buf_puts(record, value);
	if (record->failed)
		return -ENOMEM;
	return mailbox_letter_get(str_skip(buf_str(record), begin), ret) ? 1 : -EBADMSG;
}

uint32_t
letter_del(struct buf *out, const struct mailbox_letter *l)
{
	char key[15];
	batch_record_del(out, str_n(key, letter_key(key, l->uid)));
	batch_record_del(out, str_n(key, change_key(key, l->modseq, l->uid)));
	batch_record_del(out, str_n(key, outline_key(key, l->uid)));
	return 3;
}

/* Enough for one batch. */
static bool
slice_full(const struct mail_op *op, const struct box *b, uint32_t looked)
{
	return op->out.uids.count >= MAIL_SLICE_LETTERS || looked >= MAIL_SLICE_LOOKED ||
	       b->out->len - b->begin >= op->slice_octets;
}

/* What is done to each letter of the operation; 1: it has changed, 0 or -errno. */
typedef int letter_fn(struct mail_op *op, struct box *b, struct mailbox_letter *l);

static int
each_letter(struct mail_op *op, struct box *b, letter_fn *fn)
{
	struct buf record = BUF_INIT(RECORD_VALUE_MAX);
	struct mailbox_letter l;
	struct uid_walk w;
	uint32_t looked = 0;
	int r = uid_walk_begin(&w, b->v, &b->dom, b->head.uidnext);
	op->out.at = op->at;
	while (r == 0 && !(op->out.more = slice_full(op, b, looked))) {
		buf_reset(&record);
		r = next_letter(&w, &op->uids, &op->out.at, &record, &l);
		if (r != 1)
			break;
		looked++;
		r = fn(op, b, &l);
		if (r == 1)
			ranges_add(&op->out.uids, l.uid);
		r = r < 0 ? r : 0;
	}
	buf_done(&record);
	return r;
}

static void
out_reset(struct mail_op *op)
{
	ranges_reset(&op->out.uids);
	ranges_reset(&op->out.to);
	ranges_reset(&op->out.failed);
	ranges_reset(&op->out.redo);
	buf_reset(&op->out.records);
	buf_reset(&op->out.noted);
	op->out.noted_flags = 0;
	op->out.at = op->at;
	op->out.more = false;
	op->out.copy = op->copy;
	op->out.phase = 0;
}

/* --- flags --- */

static int
flag_bits(struct mail_op *op, struct keywords *keys, uint64_t *ret)
{
	struct wire w = wire_of(buf_str(&op->keywords));
	*ret = op->flags;
	while (w.left) {
		int bit = keywords_bit(keys, get_str(&w, MAIL_KEYWORD_LEN_MAX),
		    op->how != MAIL_FLAGS_REMOVE);
		if (bit < 0 && bit != -ENOENT)
			return bit;
		if (bit >= 0)
			*ret |= 1ull << bit;
	}
	return 0;
}

static int
flag_letter(struct mail_op *op, struct box *b, struct mailbox_letter *l)
{
	uint64_t bits = op->out.bits, was = l->modseq, flags;
	char key[15];
	if (op->conditional && l->modseq > op->unchanged_since) {
		ranges_add(&op->out.failed, l->uid);
		return 0;
	}
	flags = op->how == MAIL_FLAGS_ADD      ? l->flags | bits
	        : op->how == MAIL_FLAGS_REMOVE ? l->flags & ~bits
	                                       : bits;
	if (flags == l->flags)
		return 0;
	uint64_t first = flags & ~l->flags & (MAILBOX_SEEN | MAILBOX_DELETED);
	if (first) {
		op->out.noted_flags |= first;
		mail_note_letter(op, op->mailbox, l->letter, l->uid);
	}
	head_count(&b->head, l, false);
	l->flags = flags;
	l->modseq = b->head.modseq;
	head_count(&b->head, l, true);
	size_t at = batch_record_put_begin(b->out, str_n(key, letter_key(key, l->uid)));
	mailbox_letter_put(b->out, l);
	batch_record_put_end(b->out, at);
	batch_record_del(b->out, str_n(key, change_key(key, was, l->uid)));
	batch_record_put(b->out, str_n(key, change_key(key, l->modseq, l->uid)), STR(""));
	b->n += 3;
	return 1;
}

static int
resolve_flags(struct mail_op *op, unsigned step, const struct view *v, struct buf *out)
{
	struct keywords keys;
	struct box b;
	if (step)
		return 0;
	out_reset(op);
	int r = box_begin(&b, v, op->account, op->mailbox, 0, out);
	if (r < 0)
		return r;
	op->out.modseq = b.head.modseq - 1;
	r = keywords_read(&keys, v, &b.dom);
	if (r < 0)
		return box_end(&b, r, false);
	r = flag_bits(op, &keys, &op->out.bits);
	if (r == 0)
		r = each_letter(op, &b, flag_letter);
	bool write = r == 0 && op->out.uids.count;
	if (write) {
		b.n += keywords_put(out, &keys);
		op->out.modseq = b.head.modseq;
	}
	keywords_done(&keys);
	return box_end(&b, r, write);
}

/* --- expunge --- */

static int
expunge_letter(struct mail_op *op, struct box *b, struct mailbox_letter *l)
{
	if (op->deleted_only && !(l->flags & MAILBOX_DELETED))
		return 0;
	mail_note_letter(op, op->mailbox, l->letter, l->uid);
	b->n += letter_del(b->out, l);
	head_count(&b->head, l, false);
	return 1;
}

static int
resolve_expunge(struct mail_op *op, unsigned step, const struct view *v, struct buf *out)
{
	struct box b;
	if (step)
		return 0;
	out_reset(op);
	int r = box_begin(&b, v, op->account, op->mailbox, 0, out);
	if (r < 0)
		return r;
	op->out.modseq = b.head.modseq - 1;
	r = each_letter(op, &b, expunge_letter);
	bool write = r == 0 && op->out.uids.count;
	if (write) {
		op->out.modseq = b.head.modseq;
		r = box_vanish(&b, &op->out.uids);
	}
	return box_end(&b, r, write);
}

/* --- outlines --- */

/* 1: the letter is there and has none; 0 or -errno. */
static int
lacks_outline(const struct view *v, const struct store_dom *d, uint32_t uid, uint64_t letter)
{
	char key[6];
	struct str value;
	struct mailbox_letter l;
	int r = v->get(v->arg, d, str_n(key, letter_key(key, uid)), &value);
	if (r != 1)
		return r;
	if (!mailbox_meta_get(value, &l))
		return -EBADMSG;
	if (l.letter != letter)
		return 0;
	r = v->get(v->arg, d, str_n(key, outline_key(key, uid)), &value);
	return r < 0 ? r : !r;
}

static int
resolve_outlines(struct mail_op *op, unsigned step, const struct view *v, struct buf *out)
{
	struct store_dom d = store_dom_mailbox(op->account, op->mailbox);
	struct wire w = wire_of(buf_str(&op->outlines));
	uint64_t ver = 0;
	uint32_t n = 0;
	char key[6];
	if (step)
		return 0;
	out_reset(op);
	int r = resolve_version(v, &d, &ver);
	if (r < 0)
		return r;
	size_t begin = batch_record_begin(out, &d, ver + 1);
	while (r >= 0 && w.left) {
		uint32_t uid = get_u32(&w);
		uint64_t letter = get_u64(&w);
		struct str octets = get_str(&w, STORE_OUTLINE_MAX);
		r = lacks_outline(v, &d, uid, letter);
		if (r != 1)
			continue;
		batch_record_put(out, str_n(key, outline_key(key, uid)), octets);
		ranges_add(&op->out.uids, uid);
		n++;
	}
	batch_record_end(out, begin, n);
	if (r >= 0 && out->failed)
		r = -ENOMEM;
	if (r >= 0 && n)
		return 1;
	if (!out->failed)
		buf_trunc(out, begin);
	return r < 0 ? r : 0;
}

/* --- all kinds --- */

static int
resolve_copies(struct mail_op *op, unsigned step, const struct view *v, struct buf *out)
{
	if (step == 0)
		out_reset(op);
	return resolve_copy(op, step, v, out);
}

static int (*const kinds[MAIL_KINDS])(struct mail_op *op, unsigned step, const struct view *v,
    struct buf *out) = {
	[MAIL_FLAGS] = resolve_flags,
	[MAIL_EXPUNGE] = resolve_expunge,
	[MAIL_COPY] = resolve_copies,
	[MAIL_OUTLINES] = resolve_outlines,
};

int
resolve_mail(struct mail_op *op, unsigned step, const struct view *v, struct buf *out)
{
	return kinds[op->kind](op, step, v, out);
}

/* A letter is marked and then expunged. What a crash has left in two mailboxes must not wait: who
 * finds it there may take out one of them, and the redo later the other. */
bool
mail_frees(const struct mail_op *op)
{
	return op->kind == MAIL_FLAGS || op->kind == MAIL_EXPUNGE || op->copy.abort ||
	       op->copy.redo;
}

void
mail_op_done(struct mail_op *op)
{
	ranges_done(&op->uids);
	ranges_done(&op->out.uids);
	ranges_done(&op->out.to);
	ranges_done(&op->out.failed);
	ranges_done(&op->out.redo);
	buf_done(&op->keywords);
	buf_done(&op->outlines);
	buf_done(&op->out.records);
	buf_done(&op->out.noted);
	free(op->by_text);
}
