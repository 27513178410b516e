#include "store/record.h"

#include "base/check.h"
#include "store/frame.h"

#include <string.h>

enum { OP_PUT = 1, OP_DEL = 2 };
#define BLOB_RECORD_LEN 25 /* without its trace header */

/* --- references --- */

void
ref_put(struct buf *b, const struct store_ref *r)
{
	put_u64(b, r->lsn);
	put_u64(b, r->blob);
	put_u64(b, r->len);
	put_u32(b, r->crc);
}

struct store_ref
ref_get(struct wire *w)
{
	struct store_ref r = { 0 };
	r.lsn = get_u64(w);
	r.blob = get_u64(w);
	r.len = get_u64(w);
	r.crc = get_u32(w);
	return r;
}

void
place_put(struct buf *b, const struct store_place *p)
{
	put_u64(b, p->trace);
	put_u32(b, p->keep);
}

struct store_place
place_get(struct wire *w)
{
	struct store_place p = { 0 };
	p.trace = get_u64(w);
	p.keep = get_u32(w);
	return p;
}

/* --- batches --- */

size_t
batch_record_begin(struct buf *b, const struct store_dom *d, uint64_t ver)
{
	size_t begin = b->len;
	buf_put(b, d->b, sizeof(d->b));
	put_u64(b, ver);
	put_u32(b, 0);
	return begin;
}

size_t
batch_record_put_begin(struct buf *b, struct str key)
{
	put_u8(b, OP_PUT);
	put_u16(b, (uint16_t)key.len);
	buf_puts(b, key);
	size_t at = b->len;
	put_u32(b, 0);
	return at;
}

void
batch_record_put_end(struct buf *b, size_t at)
{
	if (!b->failed)
		be32_put((unsigned char *)b->p + at, (uint32_t)(b->len - at - 4));
}

void
batch_record_put(struct buf *b, struct str key, struct str value)
{
	size_t at = batch_record_put_begin(b, key);
	buf_puts(b, value);
	batch_record_put_end(b, at);
}

void
batch_record_del(struct buf *b, struct str key)
{
	put_u8(b, OP_DEL);
	put_u16(b, (uint16_t)key.len);
	buf_puts(b, key);
}

void
batch_record_end(struct buf *b, size_t begin, uint32_t n)
{
	if (!b->failed)
		be32_put((unsigned char *)b->p + begin + 24, n);
}

static bool
op_get(struct wire *w, struct batch_op *ret)
{
	uint8_t kind = get_u8(w);
	uint16_t klen = get_u16(w);
	struct batch_op op = { .del = kind == OP_DEL };
	op.key = get_bytes(w, klen);
	if (kind == OP_PUT)
		op.value = get_str(w, RECORD_VALUE_MAX);
	if (w->bad || (kind != OP_PUT && kind != OP_DEL) || klen == 0 || klen > STORE_KEY_MAX)
		return false;
	*ret = op;
	return true;
}

bool
batch_record_get(struct str payload, struct batch_record *ret)
{
	struct wire w = wire_of(payload);
	struct batch_record r = { 0 };
	struct str d = get_bytes(&w, sizeof(r.dom.b));
	r.ver = get_u64(&w);
	r.n = get_u32(&w);
	if (w.bad)
		return false;
	memcpy(r.dom.b, d.p, sizeof(r.dom.b));
	r.ops = w;
	struct batch_op op;
	for (uint32_t i = 0; i < r.n; i++)
		if (!op_get(&w, &op))
			return false;
	if (!wire_done(&w))
		return false;
	*ret = r;
	return true;
}

bool
batch_record_next(struct batch_record *r, struct batch_op *ret)
{
	return r->ops.left > 0 && op_get(&r->ops, ret);
}

/* --- intents --- */

static void
intent_head_put(struct buf *b, const struct store_letter *l)
{
	put_u32(b, (uint32_t)l->trace.len);
	put_u32(b, (uint32_t)l->header_len);
	put_u8(b, l->insert_blank);
	put_str(b, l->from);
	put_str(b, l->envid);
	put_str(b, l->ret);
	put_u32(b, (uint32_t)l->n_rcpt);
}

void
intent_put(struct buf *b, const struct store_letter *l)
{
	put_u8(b, l->n_entry ? INTENT_ENTRIES : INTENT_VERSION);
	put_u64(b, l->letter);
	put_u64(b, l->time_ms);
	ref_put(b, &(struct store_ref){ 0 });
	place_put(b, &(struct store_place){ 0 });
	intent_head_put(b, l);
	for (size_t i = 0; i < l->n_rcpt; i++) {
		put_u64(b, l->rcpt[i].account);
		put_u32(b, l->rcpt[i].mailbox);
		put_str(b, l->rcpt[i].rcpt);
		put_str(b, l->rcpt[i].prefix);
	}
	if (l->n_entry == 0)
		return;
	put_u32(b, (uint32_t)l->n_entry);
	for (size_t i = 0; i < l->n_entry; i++) {
		put_u32(b, l->entry[i].part);
		put_str(b, l->entry[i].value);
	}
}

void
intent_put_merge(struct buf *b, const struct store_letter *l, uint32_t n_views)
{
	struct store_letter head = *l;
	struct store_dom d = store_dom_queue(0);
	char key[DONE_KEY_LEN];
	head.n_rcpt = head.header_len = 0;
	head.insert_blank = false;
	queue_key(key, 'q', l->letter);
	put_u8(b, INTENT_MERGE);
	put_u64(b, l->letter);
	put_u64(b, l->time_ms);
	ref_put(b, &(struct store_ref){ 0 });
	place_put(b, &(struct store_place){ 0 });
	ref_put(b, &(struct store_ref){ 0 });
	put_u32(b, n_views);
	intent_head_put(b, &head);
	put_str(b, l->prefix);
	buf_put(b, d.b, sizeof(d.b));
	buf_put(b, key, sizeof(key));
}

static void
ref_set(unsigned char *p, const struct store_ref *r)
{
	be64_put(p, r->lsn);
	be64_put(p + 8, r->blob);
	be64_put(p + 16, r->len);
	be32_put(p + 24, r->crc);
}

void
intent_set_ref(char *payload, const struct store_ref *r)
{
	ref_set((unsigned char *)payload + INTENT_REF_AT, r);
}

void
intent_set_views(char *payload, const struct store_ref *r)
{
	ref_set((unsigned char *)payload + INTENT_VIEWS_AT, r);
}

void
intent_set_place(char *payload, const struct store_place *place)
{
	unsigned char *p = (unsigned char *)payload + INTENT_REF_AT + RECORD_REF_LEN;
	be64_put(p, place->trace);
	be32_put(p + 8, place->keep);
}

static bool
rcpt_get(struct wire *w, struct store_rcpt *ret)
{
	struct store_rcpt r = { 0 };
	r.account = get_u64(w);
	r.mailbox = get_u32(w);
	r.rcpt = get_str(w, RECORD_RCPT_MAX);
	r.prefix = get_str(w, RECORD_PREFIX_MAX);
	if (w->bad)
		return false;
	*ret = r;
	return true;
}

static bool
entry_get(struct wire *w, struct store_entry *ret)
{
	struct store_entry e = { .part = get_u32(w) };
	e.value = get_str(w, STORE_ENTRY_MAX);
	if (w->bad || e.value.len == 0)
		return false;
	*ret = e;
	return true;
}

static bool
entries_get(struct wire *w, struct intent *in)
{
	struct store_entry e;
	in->n_entries = get_u32(w);
	in->entries = *w;
	if (in->n_entries == 0 || in->n_entries > STORE_ENTRIES_MAX)
		return false;
	uint32_t last = 0;
	for (uint32_t i = 0; i < in->n_entries; i++) {
		if (!entry_get(w, &e) || (i && e.part <= last))
			return false;
		last = e.part;
	}
	return in->trace_len <= in->ref.len && in->header_len <= in->ref.len - in->trace_len;
}

/* What a merge has instead of recipients. */
static bool
merge_get(struct wire *w, struct intent *in)
{
	struct store_dom d = store_dom_queue(0);
	char key[DONE_KEY_LEN];
	queue_key(key, 'q', in->letter);
	in->prefix = get_str(w, RECORD_PREFIX_MAX);
	struct str dom = get_bytes(w, sizeof(d.b)), name = get_bytes(w, sizeof(key));
	return !w->bad && in->n_rcpt == 0 && in->n_views > 0 && in->n_views <= STORE_VIEWS_MAX &&
	       in->trace_len <= in->ref.len && str_eq(dom, str_n(d.b, sizeof(d.b))) &&
	       str_eq(name, str_n(key, sizeof(key)));
}

bool
intent_get(struct str payload, struct intent *ret)
{
	struct wire w = wire_of(payload);
	struct intent in = { 0 };
	uint8_t version = get_u8(&w);
	in.letter = get_u64(&w);
	in.time_ms = get_u64(&w);
	in.ref = ref_get(&w);
	if (version != 1)
		in.place = place_get(&w);
	if (version == INTENT_MERGE) {
		in.views = ref_get(&w);
		in.n_views = get_u32(&w);
	}
	in.trace_len = get_u32(&w);
	in.header_len = get_u32(&w);
	in.insert_blank = get_bool(&w);
	in.from = get_str(&w, RECORD_TEXT_MAX);
	in.envid = get_str(&w, RECORD_TEXT_MAX);
	in.ret = get_str(&w, RECORD_TEXT_MAX);
	in.n_rcpt = get_u32(&w);
	in.rcpts = version == INTENT_MERGE ? (struct wire){ 0 } : w;
	if (version == 0 || version > INTENT_ENTRIES || w.bad || in.n_rcpt > RECORD_RCPTS_MAX)
		return false;
	if (in.place.keep == 0)
		in.place.keep = (uint32_t)MIN(body_frame_size(&in.ref, in.trace_len), UINT32_MAX);
	struct store_rcpt r;
	for (uint32_t i = 0; i < in.n_rcpt; i++)
		if (!rcpt_get(&w, &r))
			return false;
	in.rcpts.left -= version == INTENT_MERGE ? 0 : w.left; /* entries may follow */
	if ((version == INTENT_MERGE && !merge_get(&w, &in)) ||
	    (version == INTENT_ENTRIES && !entries_get(&w, &in)) || !wire_done(&w))
		return false;
	*ret = in;
	return true;
}

bool
intent_next(struct intent *in, struct store_rcpt *ret)
{
	return in->rcpts.left > 0 && rcpt_get(&in->rcpts, ret);
}

bool
intent_entry_next(struct intent *in, struct store_entry *ret)
{
	return in->entries.left > 0 && entry_get(&in->entries, ret);
}

/* --- done --- */

void
queue_key(char out[DONE_KEY_LEN], char kind, uint64_t letter)
{
	out[0] = kind;
	out[1] = '|';
	be64_put((unsigned char *)out + 2, letter);
}

void
done_put(struct buf *b, uint64_t letter, uint64_t time_ms)
{
	struct store_dom d = store_dom_queue(0);
	char key[DONE_KEY_LEN];
	queue_key(key, 'a', letter);
	buf_put(b, d.b, sizeof(d.b));
	buf_put(b, key, sizeof(key));
	put_u8(b, RECORD_VERSION);
	put_u64(b, time_ms);
}

bool
done_get(struct str payload, uint64_t *ret_letter, uint64_t *ret_time_ms)
{
	struct store_dom d = store_dom_queue(0);
	struct wire w = wire_of(payload);
	struct str dom = get_bytes(&w, sizeof(d.b));
	struct str kind = get_bytes(&w, 2);
	uint64_t letter = get_u64(&w);
	uint8_t version = get_u8(&w);
	uint64_t time_ms = get_u64(&w);
	if (!wire_done(&w) || version != RECORD_VERSION || !str_eq(kind, STR("a|")) ||
	    memcmp(dom.p, d.b, sizeof(d.b)) != 0)
		return false;
	*ret_letter = letter;
	*ret_time_ms = time_ms;
	return true;
}

/* --- blobs --- */

void
blob_record_put(struct buf *b, const struct blob_record *r)
{
	put_u8(b, RECORD_VERSION);
	put_u64(b, r->number);
	put_u64(b, r->len);
	put_u32(b, r->crc);
	put_str(b, r->trace);
}

bool
blob_record_get(struct str payload, struct blob_record *ret)
{
	struct wire w = wire_of(payload);
	struct blob_record r = { 0 };
	uint8_t version = get_u8(&w);
	r.number = get_u64(&w);
	r.len = get_u64(&w);
	r.crc = get_u32(&w);
	r.trace = get_str(&w, RECORD_TEXT_MAX);
	if (!wire_done(&w) || version != RECORD_VERSION || r.number == 0)
		return false;
	*ret = r;
	return true;
}

uint64_t
body_frame_size(const struct store_ref *r, uint32_t trace_len)
{
	return frame_size(r->blob ? BLOB_RECORD_LEN + (uint64_t)trace_len : r->len);
}

/* --- snapshots of a domain --- */

void
snap_record_put(struct buf *b, const struct snap_record *r, struct str puts)
{
	put_u8(b, RECORD_VERSION);
	buf_put(b, r->dom.b, sizeof(r->dom.b));
	put_u64(b, r->ver);
	put_u32(b, r->n);
	put_u16(b, (uint16_t)r->from.len);
	put_u16(b, (uint16_t)r->to.len);
	buf_puts(b, r->from);
	buf_puts(b, r->to);
	buf_puts(b, puts);
}

static bool
within(const struct snap_record *r, const struct batch_op *op, struct str *last)
{
	bool ok =
	    !op->del && str_cmp(op->key, r->from) >= 0 && (!last->p || str_cmp(op->key, *last) > 0);
	*last = op->key;
	return ok;
}

bool
snap_record_get(struct str payload, struct snap_record *ret)
{
	struct wire w = wire_of(payload);
	struct snap_record r = { 0 };
	struct str last = STR_NULL;
	uint8_t version = get_u8(&w);
	struct str d = get_bytes(&w, sizeof(r.dom.b));
	r.ver = get_u64(&w);
	r.n = get_u32(&w);
	uint16_t from = get_u16(&w), to = get_u16(&w);
	r.from = get_bytes(&w, from);
	r.to = get_bytes(&w, to);
	if (w.bad || version != RECORD_VERSION || from > STORE_KEY_MAX || to > STORE_KEY_MAX)
		return false;
	memcpy(r.dom.b, d.p, sizeof(r.dom.b));
	r.ops = w;
	struct batch_op op;
	for (uint32_t i = 0; i < r.n; i++)
		if (!op_get(&w, &op) || !within(&r, &op, &last))
			return false;
	if (!wire_done(&w) || (r.to.len && str_cmp(last.p ? last : r.from, r.to) >= 0))
		return false;
	*ret = r;
	return true;
}

bool
snap_record_next(struct snap_record *r, struct batch_op *ret)
{
	return r->ops.left > 0 && op_get(&r->ops, ret);
}

void
checkpoint_record_put(struct buf *b, const struct checkpoint_record *r)
{
	put_u8(b, RECORD_VERSION);
	put_u64(b, r->begin);
	put_u64(b, r->octets);
	put_u64(b, r->blob);
}

bool
checkpoint_record_get(struct str payload, struct checkpoint_record *ret)
{
	struct wire w = wire_of(payload);
	struct checkpoint_record r = { 0 };
	uint8_t version = get_u8(&w);
	r.begin = get_u64(&w);
	r.octets = get_u64(&w);
	r.blob = get_u64(&w);
	if (!wire_done(&w) || version != RECORD_VERSION || lsn_seq(r.begin) == 0)
		return false;
	*ret = r;
	return true;
}
