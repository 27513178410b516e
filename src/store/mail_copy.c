/*
 * Copies and moves. The letters of a slice are read where they are when the slice gets its place
 * in the log, so what is referred to then is where the body is. A copy that is one batch needs
 * nothing else. Any other is led by an intent in A, and each of its batches in the mailbox that the
 * letters come to leaves a mark there that says how far it is:
 *
 *   A: intent   to: letters, mark   from: sources go   (slices)   A: intent goes   to: mark goes
 *
 * All batches of a slice are in one group. What a crash leaves of it is a beginning of this row,
 * and the redo goes on from there: sources that the mark names are taken out, then the next slice.
 */
#include "store/mail_priv.h"

#include "base/check.h"
#include "base/wire.h"

#include <errno.h>

enum phase { PHASE_LEFT, PHASE_INTENT, PHASE_LETTERS, PHASE_SOURCES, PHASE_OVER, PHASE_MARK };

/* --- records --- */

void
copy_key(char out[COPY_KEY_LEN], uint64_t id)
{
	out[0] = 'P', out[1] = '|';
	be64_put((unsigned char *)out + 2, id);
}

void
copy_intent_put(struct buf *b, const struct copy_intent *c)
{
	put_u8(b, RECORD_VERSION);
	put_u32(b, c->from);
	put_u32(b, c->to);
	put_u8(b, c->move);
	put_u64(b, c->now_ms);
	ranges_put(b, &c->uids);
}

bool
copy_intent_get(struct str value, struct copy_intent *ret)
{
	struct wire w = wire_of(value);
	struct copy_intent c = { 0 };
	uint8_t version = get_u8(&w);
	c.from = get_u32(&w);
	c.to = get_u32(&w);
	c.move = get_bool(&w);
	c.now_ms = get_u64(&w);
	if (!ranges_get(&w, MAIL_COPY_RANGES_MAX, &c.uids))
		return false;
	if (!wire_done(&w) || version != RECORD_VERSION) {
		ranges_done(&c.uids);
		return false;
	}
	*ret = c;
	return true;
}

void
copy_mark_put(struct buf *b, const struct copy_mark *m)
{
	put_u8(b, RECORD_VERSION);
	put_u32(b, m->upto);
	ranges_put(b, &m->uids);
}

bool
copy_mark_get(struct str value, struct copy_mark *ret)
{
	struct wire w = wire_of(value);
	struct copy_mark m = { 0 };
	uint8_t version = get_u8(&w);
	m.upto = get_u32(&w);
	if (!ranges_get(&w, MAIL_SLICE_LETTERS, &m.uids))
		return false;
	if (!wire_done(&w) || version != RECORD_VERSION) {
		ranges_done(&m.uids);
		return false;
	}
	*ret = m;
	return true;
}

/* --- what there is to copy --- */

static int
read_mark(struct mail_op *op, const struct view *v)
{
	struct store_dom d = store_dom_mailbox(op->account, op->to);
	char key[COPY_KEY_LEN];
	struct copy_mark m;
	struct str value;
	copy_key(key, op->copy.id);
	int r = v->get(v->arg, &d, str_n(key, sizeof(key)), &value);
	if (r != 1)
		return r;
	if (!copy_mark_get(value, &m))
		return -EBADMSG;
	op->out.at = m.upto + 1;
	ranges_done(&op->out.redo);
	op->out.redo = m.uids;
	return 0;
}

static int
gather_one(struct mail_op *op, struct uid_walk *w, struct buf *record)
{
	struct mailbox_letter l;
	struct str outline = STR_NULL;
	char key[6];
	buf_reset(record);
	int r = next_letter(w, &op->uids, &op->out.at, record, &l);
	if (r != 1)
		return r;
	if (op->out.at - 1 > op->out.copy.limit)
		return 0;
	r = w->v->get(w->v->arg, w->d, str_n(key, outline_key(key, l.uid)), &outline);
	if (r < 0)
		return r;
	put_str(&op->out.records, buf_str(record));
	put_str(&op->out.records, r == 1 ? outline : STR_NULL);
	ranges_add(&op->out.uids, l.uid);
	return op->out.records.failed ? -ENOMEM : 1;
}

/* The letters of this slice, as they are now. */
static int
gather(struct mail_op *op, const struct view *v)
{
	struct store_dom d = store_dom_mailbox(op->account, op->mailbox);
	struct buf record = BUF_INIT(RECORD_VALUE_MAX);
	struct mailbox_head h;
	struct uid_walk w;
	int r = resolve_head_of(v, op->account, op->mailbox, op->now_ms, &h);
	if (r == 0)
		r = uid_walk_begin(&w, v, &d, h.uidnext);
	if (r < 0)
		return r;
	if (op->out.copy.limit == 0)
		op->out.copy.limit = h.uidnext - 1;
	op->out.records.max = SIZE_MAX / 2;
	op->out.modseq = h.modseq;
	do {
		r = gather_one(op, &w, &record);
		op->out.more = r == 1;
	} while (r == 1 && op->out.uids.count < MAIL_SLICE_LETTERS &&
		 op->out.records.len < op->slice_octets);
	buf_done(&record);
	return r < 0 ? r : 0;
}

static int
begin(struct mail_op *op, const struct view *v)
{
	struct mailbox_head h;
	if (op->copy.abort)
		return 0;
	int r = resolve_gone(v, op->account);
	if (r != 0)
		return r < 0 ? r : -ENOENT;
	r = resolve_head_of(v, op->account, op->to, op->now_ms, &h);
	op->out.uidvalidity = h.uidvalidity;
	if (r == 0 && op->copy.redo)
		r = read_mark(op, v);
	return r < 0 ? r : gather(op, v);
}

/* --- the batches --- */

static int
take_out(struct mail_op *op, const struct view *v, const struct ranges *uids, struct buf *out)
{
	struct buf record = BUF_INIT(RECORD_VALUE_MAX);
	struct ranges gone = { 0 };
	struct mailbox_letter l;
	struct uid_walk w;
	struct box b;
	uint32_t at = 1;
	int r = box_begin(&b, v, op->account, op->mailbox, op->now_ms, out);
	if (r < 0)
		return r;
	r = uid_walk_begin(&w, v, &b.dom, b.head.uidnext);
	while (r == 0 && (r = next_letter(&w, uids, &at, &record, &l)) == 1) {
		b.n += letter_del(out, &l);
		head_count(&b.head, &l, false);
		ranges_add(&gone, l.uid);
		buf_reset(&record);
		r = 0;
	}
	bool write = r == 0 && gone.count;
	if (write) {
		op->out.modseq = b.head.modseq;
		r = box_vanish(&b, &gone);
	}
	ranges_done(&gone);
	buf_done(&record);
	return box_end(&b, r, write);
}

static int
put_left(struct mail_op *op, const struct view *v, struct buf *out)
{
	return op->move && op->out.redo.n ? take_out(op, v, &op->out.redo, out) : 0;
}

/* One put or delete in a domain that has no header; value p NULL: delete. */
static int
put_one(const struct view *v, const struct store_dom *d, struct str key, struct str value,
    struct buf *out)
{
	uint64_t ver = 0;
	int r = resolve_version(v, d, &ver);
	if (r < 0)
		return r;
	size_t at = batch_record_begin(out, d, ver + 1);
	if (value.p)
		batch_record_put(out, key, value);
	else
		batch_record_del(out, key);
	batch_record_end(out, at, 1);
	return out->failed ? -ENOMEM : 1;
}

static int
put_intent(struct mail_op *op, const struct view *v, struct buf *out)
{
	struct store_dom a = store_dom_account(op->account);
	struct copy_intent c = { op->mailbox, op->to, op->move, op->now_ms, { 0 } };
	struct buf value = BUF_INIT(STORE_VALUE_MAX);
	char key[COPY_KEY_LEN];
	uint64_t ver = 0;
	if (op->out.copy.id || op->out.uids.count == 0 || !(op->move || op->out.more))
		return 0;
	int r = resolve_version(v, &a, &ver);
	if (r < 0)
		return r;
	for (size_t i = 0; i < op->uids.n && op->uids.p[i].first <= op->out.copy.limit; i++)
		ranges_add_range(&c.uids, (struct mail_range){ op->uids.p[i].first,
					      MIN(op->uids.p[i].last, op->out.copy.limit) });
	op->out.copy.id = ver + 1;
	copy_key(key, op->out.copy.id);
	copy_intent_put(&value, &c);
	r = value.failed ? -E2BIG : put_one(v, &a, str_n(key, sizeof(key)), buf_str(&value), out);
	ranges_done(&c.uids);
	buf_done(&value);
	return r;
}

/* The flags that a letter has there: keywords by name. Those for which that mailbox has no room
 * are lost (RFC 9051 6.4.7: flags SHOULD be preserved). */
static uint64_t
flags_there(uint64_t flags, const struct keywords *from, struct keywords *to)
{
	uint64_t there = flags & ~MAILBOX_FLAGS_KEYWORDS;
	for (unsigned i = MAILBOX_KEYWORD_FIRST; i < 64; i++) {
		struct str name = flags >> i & 1 ? keywords_name(from, i) : STR_NULL;
		int bit = name.p ? keywords_bit(to, name, true) : -ENOENT;
		if (bit >= 0)
			there |= 1ull << bit;
	}
	return there;
}

static int
put_copy(struct mail_op *op, struct box *b, struct wire *w, const struct keywords *from,
    struct keywords *to)
{
	char key[15];
	struct mailbox_letter l;
	struct str record = get_str(w, RECORD_VALUE_MAX), outline = get_str(w, STORE_OUTLINE_MAX);
	if (!mailbox_letter_get(record, &l))
		return -EBADMSG;
	if (b->head.uidnext == UINT32_MAX)
		return -EOVERFLOW;
	l.uid = b->head.uidnext++;
	l.modseq = b->head.modseq;
	l.saved_ms = op->now_ms;
	l.flags = flags_there(l.flags, from, to);
	head_count(&b->head, &l, true);
	size_t at = batch_record_put_begin(b->out, str_n(key, letter_key(key, l.uid)));
	mailbox_letter_put(b->out, &l);
	batch_record_put_end(b->out, at);
	batch_record_put(b->out, str_n(key, change_key(key, l.modseq, l.uid)), STR(""));
	if (outline.len)
		batch_record_put(b->out, str_n(key, outline_key(key, l.uid)), outline);
	b->n += outline.len ? 3 : 2;
	ranges_add(&op->out.to, l.uid);
	mail_note_letter(op, op->to, l.letter, l.uid);
	return 0;
}

static void
put_mark(struct mail_op *op, struct box *b)
{
	char key[COPY_KEY_LEN];
	struct copy_mark m = { .upto = op->out.at - 1 };
	if (!op->out.copy.id)
		return;
	if (op->move)
		m.uids = op->out.uids;
	copy_key(key, op->out.copy.id);
	size_t at = batch_record_put_begin(b->out, str_n(key, sizeof(key)));
	copy_mark_put(b->out, &m);
	batch_record_put_end(b->out, at);
	b->n++;
}

static int
put_letters(struct mail_op *op, const struct view *v, struct buf *out)
{
	struct store_dom d = store_dom_mailbox(op->account, op->mailbox);
	struct wire w = wire_of(buf_str(&op->out.records));
	struct keywords from, to;
	struct box b;
	if (op->out.uids.count == 0)
		return 0;
	int r = keywords_read(&from, v, &d);
	if (r < 0)
		return r;
	r = box_begin(&b, v, op->account, op->to, op->now_ms, out);
	if (r < 0) {
		keywords_done(&from);
		return r;
	}
	r = keywords_read(&to, v, &b.dom);
	op->out.uidvalidity = b.head.uidvalidity;
	while (r == 0 && w.left)
		r = put_copy(op, &b, &w, &from, &to);
	b.n += r == 0 ? keywords_put(out, &to) : 0;
	put_mark(op, &b);
	keywords_done(&from);
	keywords_done(&to);
	return box_end(&b, r, r == 0);
}

static int
put_sources(struct mail_op *op, const struct view *v, struct buf *out)
{
	return op->move && op->out.uids.count ? take_out(op, v, &op->out.uids, out) : 0;
}

static bool
is_over(const struct mail_op *op)
{
	return op->out.copy.id && !op->out.more;
}

static int
put_over(struct mail_op *op, const struct view *v, struct buf *out)
{
	struct store_dom a = store_dom_account(op->account);
	char key[COPY_KEY_LEN];
	copy_key(key, op->out.copy.id);
	return is_over(op) ? put_one(v, &a, str_n(key, sizeof(key)), STR_NULL, out) : 0;
}

static int
put_no_mark(struct mail_op *op, const struct view *v, struct buf *out)
{
	struct store_dom d = store_dom_mailbox(op->account, op->to);
	char key[COPY_KEY_LEN];
	struct str value;
	if (!is_over(op))
		return 0;
	copy_key(key, op->out.copy.id);
	int r = v->get(v->arg, &d, str_n(key, sizeof(key)), &value);
	return r == 1 ? put_one(v, &d, str_n(key, sizeof(key)), STR_NULL, out) : r;
}

int
resolve_copy(struct mail_op *op, unsigned step, const struct view *v, struct buf *out)
{
	static int (*const phases[])(struct mail_op * op, const struct view *v, struct buf *out) = {
		[PHASE_LEFT] = put_left,
		[PHASE_INTENT] = put_intent,
		[PHASE_LETTERS] = put_letters,
		[PHASE_SOURCES] = put_sources,
		[PHASE_OVER] = put_over,
		[PHASE_MARK] = put_no_mark,
	};
	int r = step == 0 ? begin(op, v) : 0;
	while (r == 0 && op->out.phase < ARRAY_LEN(phases))
		r = phases[op->out.phase++](op, v, out);
	return r;
}
