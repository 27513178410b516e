/* The queue: entries as records, what is asked of them over snapshots, and their changes. */
#include "store/mailbox.h"
#include "store/record.h"
#include "store/store_priv.h"

#include "base/check.h"

#include <errno.h>

#define QUEUED_VERSION 1
#define STATE_MARK 's'

/* --- keys --- */

struct str
queued_key(char out[QUEUED_KEY_MAX], uint64_t letter, uint32_t part)
{
	out[0] = 't', out[1] = '|';
	be64_put((unsigned char *)out + 2, letter);
	out[10] = '|';
	be32_put((unsigned char *)out + 11, part);
	return str_n(out, QUEUED_KEY_LEN);
}

struct str
queued_state_key(char out[QUEUED_KEY_MAX], uint64_t letter, uint32_t part)
{
	queued_key(out, letter, part);
	out[QUEUED_KEY_LEN] = STATE_MARK;
	return str_n(out, QUEUED_KEY_MAX);
}

bool
queued_key_get(const struct store_dom *d, struct str key, bool state, uint64_t *ret_letter,
    uint32_t *ret_part)
{
	struct store_dom q = store_dom_queue(0);
	if (key.len != (state ? QUEUED_KEY_MAX : QUEUED_KEY_LEN) || key.p[0] != 't' ||
	    key.p[1] != '|' || key.p[10] != '|' || (state && key.p[QUEUED_KEY_LEN] != STATE_MARK) ||
	    memcmp(d->b, q.b, sizeof(q.b)) != 0)
		return false;
	*ret_letter = be64_get((const unsigned char *)key.p + 2);
	*ret_part = be32_get((const unsigned char *)key.p + 11);
	return true;
}

/* --- the record --- */

void
queued_put(struct buf *b, const struct store_queued *q, const struct store_place *place)
{
	put_u8(b, QUEUED_VERSION);
	ref_put(b, &q->ref);
	place_put(b, place);
	put_u32(b, q->trace_len);
	put_u32(b, q->header_len);
	put_u8(b, q->insert_blank);
	put_u64(b, q->size);
	put_u16(b, q->n_pieces);
	put_str(b, q->pieces);
	put_str(b, q->value);
}

static bool
sizes_agree(const struct store_queued *q)
{
	uint64_t text, end = 0, size;
	if (q->trace_len > q->ref.len)
		return false;
	if (q->n_pieces == 0)
		text = q->ref.len - q->trace_len;
	else if (!pieces_measure(q->pieces, q->n_pieces, &text, &end))
		return false;
	return end <= q->ref.len - q->trace_len && q->header_len <= text &&
	       !__builtin_add_overflow(text, (uint64_t)q->trace_len + (q->insert_blank ? 2 : 0),
		   &size) &&
	       size == q->size;
}

bool
queued_get(struct str value, struct store_queued *ret, struct store_place *ret_place)
{
	struct wire w = wire_of(value);
	struct store_queued q = { 0 };
	uint8_t version = get_u8(&w);
	q.ref = ref_get(&w);
	struct store_place place = place_get(&w);
	q.trace_len = get_u32(&w);
	q.header_len = get_u32(&w);
	q.insert_blank = get_bool(&w);
	q.size = get_u64(&w);
	q.n_pieces = get_u16(&w);
	q.pieces = get_str(&w, STORE_VIEW_MAX);
	q.value = get_str(&w, STORE_ENTRY_MAX);
	if (!wire_done(&w) || version != QUEUED_VERSION || q.value.len == 0 ||
	    (q.n_pieces == 0 && q.pieces.len) || !sizes_agree(&q))
		return false;
	*ret = q;
	*ret_place = place;
	return true;
}

/* --- reading --- */

struct scan {
	store_queued_fn *fn;
	void *arg;
	uint32_t left; /* 0: no limit */
	struct store_queued q;
	bool any; /* q waits for its state, which would follow */
	bool stopped;
};

static void
show(struct scan *s)
{
	if (!s->any || s->stopped)
		return;
	s->any = false;
	if (!s->fn(s->arg, &s->q) || (s->left && --s->left == 0))
		s->stopped = true;
}

static bool
take_key(void *arg, struct str key, struct str value)
{
	struct scan *s = arg;
	struct store_dom d = store_dom_queue(0);
	struct store_place place;
	uint64_t letter;
	uint32_t part;
	if (queued_key_get(&d, key, true, &letter, &part)) {
		if (s->any && letter == s->q.letter && part == s->q.part)
			s->q.state = value;
		return true;
	}
	show(s);
	if (s->stopped)
		return false;
	if (!queued_key_get(&d, key, false, &letter, &part))
		return true; /* nobody's: fsck tells */
	if (!queued_get(value, &s->q, &place))
		s->q = (struct store_queued){ .damaged = true };
	s->q.letter = letter;
	s->q.part = part;
	s->any = true;
	return true;
}

int
store_queue_scan(struct store_snap *sn, uint64_t letter, uint32_t part, uint32_t limit,
    store_queued_fn *fn, void *arg)
{
	struct scan s = { .fn = fn, .arg = arg, .left = limit };
	char from[QUEUED_KEY_MAX];
	int r = store_scan(sn, queued_key(from, letter, part), STR("t}"), 0, false, take_key, &s);
	if (r == 0)
		show(&s);
	return r;
}

int
store_queue_get(struct store_snap *sn, uint64_t letter, uint32_t part, struct store_queued *ret)
{
	char key[QUEUED_KEY_MAX];
	struct store_queued q;
	struct store_place place;
	struct str v;
	int r = store_get(sn, queued_key(key, letter, part), &v);
	if (r < 0)
		return r;
	if (!queued_get(v, &q, &place))
		return -EBADMSG;
	q.letter = letter;
	q.part = part;
	r = store_get(sn, queued_state_key(key, letter, part), &v);
	if (r == 0)
		q.state = v;
	else if (r != -ENOENT)
		return r;
	*ret = q;
	return 0;
}

ssize_t
store_queue_read(struct store *s, const struct store_queued *q, uint64_t off, void *dst, size_t n)
{
	/* A letter in a mailbox is put together the same way. */
	struct mailbox_letter l = { .ref = q->ref,
		.size = q->size,
		.trace_len = q->trace_len,
		.header_len = q->header_len,
		.insert_blank = q->insert_blank,
		.merged = q->n_pieces > 0,
		.n_pieces = q->n_pieces,
		.pieces = q->pieces };
	return mailbox_letter_read(s, &l, off, dst, n);
}

/* --- changes --- */

static bool
of_queue(struct store_batch *b)
{
	struct store_dom q = store_dom_queue(0);
	if (memcmp(b->dom.b, q.b, sizeof(q.b)) == 0)
		return true;
	batch_refuse(b, -EINVAL);
	return false;
}

void
store_queue_state(struct store_batch *b, uint64_t letter, uint32_t part, struct str state)
{
	char key[QUEUED_KEY_MAX];
	if (!of_queue(b))
		return;
	batch_expect_there(b, queued_key(key, letter, part));
	store_put(b, queued_state_key(key, letter, part), state, 0);
}

void
store_queue_del(struct store_batch *b, uint64_t letter, uint32_t part)
{
	char key[QUEUED_KEY_MAX];
	if (!of_queue(b))
		return;
	batch_expect_there(b, queued_key(key, letter, part));
	store_del(b, queued_key(key, letter, part));
	store_del(b, queued_state_key(key, letter, part));
}
