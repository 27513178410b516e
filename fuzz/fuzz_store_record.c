/* The records' decoders: the first octet chooses one. What decodes is walked to its end, and
 * where the encoding is unique it must come out again as it went in. */
#include "base/check.h"
#include "store/mail_priv.h"
#include "store/record.h"
#include "store/segment.h"

#include <stdint.h>
#include <string.h>

static void
same(struct buf *b, struct str in)
{
	check(!b->failed && str_eq(buf_str(b), in));
	buf_done(b);
}

static void
fuzz_batch(struct str in)
{
	struct batch_record r;
	struct batch_op op;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	uint32_t n = 0;
	if (!batch_record_get(in, &r))
		return;
	size_t at = batch_record_begin(&b, &r.dom, r.ver);
	for (; batch_record_next(&r, &op); n++) {
		if (op.del)
			batch_record_del(&b, op.key);
		else
			batch_record_put(&b, op.key, op.value);
	}
	batch_record_end(&b, at, n);
	check(n == r.n);
	same(&b, in);
}

static void
fuzz_intent(struct str in)
{
	struct intent i;
	struct store_rcpt r;
	uint32_t n = 0;
	if (!intent_get(in, &i))
		return;
	while (intent_next(&i, &r))
		n++;
	check(n == i.n_rcpt);
	struct store_entry e = { 0 };
	for (n = 0; intent_entry_next(&i, &e); n++)
		check(e.value.len > 0 && e.value.len <= STORE_ENTRY_MAX);
	check(n == i.n_entries);
}

static void
fuzz_trace(struct str in)
{
	struct trace_payload t;
	trace_payload_get(in, &t);
}

static void
fuzz_blob(struct str in)
{
	struct blob_record r;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	if (!blob_record_get(in, &r))
		return;
	blob_record_put(&b, &r);
	same(&b, in);
}

static void
fuzz_done(struct str in)
{
	uint64_t letter, time_ms;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	if (!done_get(in, &letter, &time_ms))
		return;
	done_put(&b, letter, time_ms);
	check(b.len == DONE_LEN);
	same(&b, in);
}

static void
fuzz_head(struct str in)
{
	struct mailbox_head h;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	if (!mailbox_head_get(in, &h))
		return;
	mailbox_head_put(&b, &h);
	/* A modseq of 0, as older programs wrote it, is read as the least. */
	if (h.modseq > MAILBOX_MODSEQ_MIN)
		same(&b, in);
	buf_done(&b);
}

static void
fuzz_letter(struct str in)
{
	struct mailbox_letter l;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	if (!mailbox_letter_get(in, &l))
		return;
	mailbox_letter_put(&b, &l);
	check(!b.failed);
	/* All but the version comes back. */
	struct mailbox_letter again, meta;
	check(mailbox_letter_get(buf_str(&b), &again) && again.flags == l.flags &&
	      again.saved_ms == l.saved_ms && again.size == l.size);
	check(mailbox_meta_get(in, &meta) && meta.uid == l.uid && meta.flags == l.flags);
	buf_done(&b);
}

/* Views as they stand one behind the other; the first octet says how long their body is. */
static void
fuzz_views(struct str in)
{
	struct wire w = wire_of(str_skip(in, 1));
	struct store_view v;
	uint64_t body = in.len ? (uint64_t)(unsigned char)in.p[0] << 4 : 0;
	while (w.left > 0) {
		const unsigned char *at = w.p;
		struct buf b = BUF_INIT(SIZE_MAX / 2);
		if (!store_view_get(&w, body, &v))
			return;
		store_view_put(&b, &v);
		same(&b, str_n(at, (size_t)(w.p - at)));
		struct wire pieces = wire_of(v.pieces);
		struct store_piece p;
		uint64_t sum = 0;
		for (uint16_t i = 0; i < v.n_pieces; i++) {
			check(store_piece_get(&pieces, &p));
			check(p.literal || (p.off <= body && p.len <= body - p.off));
			sum += p.literal ? p.text.len : p.len;
		}
		check(wire_done(&pieces) && sum == v.size);
	}
}

static void
fuzz_queued(struct str in)
{
	struct store_queued q;
	struct store_place place;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	if (!queued_get(in, &q, &place))
		return;
	check(q.trace_len <= q.ref.len && q.size >= q.trace_len && q.value.len > 0);
	queued_put(&b, &q, &place);
	same(&b, in);
}

static void
fuzz_segment(struct str in)
{
	struct seg_head h;
	unsigned char out[SEG_HEAD];
	if (in.len < SEG_HEAD || seg_head_get((const unsigned char *)in.p, &h) < 0)
		return;
	seg_head_put(out, &h);
	check(seg_head_get(out, &h) == 0);
}

static void
fuzz_snap(struct str in)
{
	struct snap_record r;
	struct batch_op op;
	struct buf puts = BUF_INIT(SIZE_MAX / 2), b = BUF_INIT(SIZE_MAX / 2);
	uint32_t n = 0;
	if (!snap_record_get(in, &r))
		return;
	struct snap_record was = r;
	for (; snap_record_next(&r, &op); n++)
		batch_record_put(&puts, op.key, op.value);
	check(n == was.n);
	snap_record_put(&b, &was, buf_str(&puts));
	buf_done(&puts);
	same(&b, in);
}

static void
fuzz_checkpoint(struct str in)
{
	struct checkpoint_record r;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	if (!checkpoint_record_get(in, &r))
		return;
	checkpoint_record_put(&b, &r);
	same(&b, in);
}

static void
fuzz_keywords(struct str in)
{
	struct wire w;
	unsigned n;
	if (!keywords_begin(in, &w, &n))
		return;
	check(n <= MAIL_KEYWORDS_MAX);
	for (unsigned i = 0; i < n; i++)
		check(keyword_fits(get_str(&w, MAIL_KEYWORD_LEN_MAX)));
	check(wire_done(&w));
}

static void
fuzz_copy_intent(struct str in)
{
	struct copy_intent c;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	if (!copy_intent_get(in, &c))
		return;
	for (size_t i = 0; i < c.uids.n; i++)
		check(c.uids.p[i].first > (i ? c.uids.p[i - 1].last : 0) &&
		      c.uids.p[i].first <= c.uids.p[i].last);
	/* Neighbours are joined. */
	copy_intent_put(&b, &c);
	check(b.len <= in.len);
	buf_done(&b);
	ranges_done(&c.uids);
}

static void
fuzz_copy_mark(struct str in)
{
	struct copy_mark m;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	if (!copy_mark_get(in, &m))
		return;
	copy_mark_put(&b, &m);
	check(b.len <= in.len);
	buf_done(&b);
	ranges_done(&m.uids);
}

static void
fuzz_attributes(struct str in)
{
	uint32_t special;
	struct mail_options o;
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	options_get(in, &o);
	if (!special_get(in, &special))
		return;
	special_put(&b, special);
	same(&b, in);
}

static void (*const decoders[])(struct str in) = {
	fuzz_batch,
	fuzz_intent,
	fuzz_trace,
	fuzz_blob,
	fuzz_done,
	fuzz_head,
	fuzz_letter,
	fuzz_segment,
	fuzz_snap,
	fuzz_checkpoint,
	fuzz_views,
	fuzz_keywords,
	fuzz_copy_intent,
	fuzz_copy_mark,
	fuzz_attributes,
	fuzz_queued,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		decoders[data[0] % ARRAY_LEN(decoders)](str_n(data + 1, size - 1));
	return 0;
}
