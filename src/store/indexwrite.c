/* index: applying the log's frames. */
#include "store/index.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/record.h"
#include "store/segment.h"
#include "store/store_priv.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define HEAD_VALUE_MAX 64      /* a longer header is written at once, each time */
#define MARKER_AGE_MS 3600000u /* how long an accepted letter's id is remembered */
#define MARKER_TRIM 64         /* old markers removed per commit */
#define LETTER_ID_MS(id) ((id) >> 22)

/* What a domain has come to in this write, put down once at the commit. */
struct dom_change {
	uint64_t ver;
	enum { HEAD_SAME, HEAD_PUT, HEAD_DEL } head;
	size_t head_len;
	char value[HEAD_VALUE_MAX];
};

static MDB_val
val_of(struct str s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.p };
}

static int
put(struct index_write *w, const void *dom, struct str key, struct str value)
{
	char full[16 + STORE_KEY_MAX];
	memcpy(full, dom, 16);
	if (key.len)
		memcpy(full + 16, key.p, key.len);
	MDB_val k = { 16 + key.len, full }, v = val_of(value);
	w->ops++;
	return index_errno(mdb_put(w->txn, w->ix->dbi, &k, &v, 0));
}

static int
del(struct index_write *w, const void *dom, struct str key)
{
	char full[16 + STORE_KEY_MAX];
	memcpy(full, dom, 16);
	if (key.len)
		memcpy(full + 16, key.p, key.len);
	MDB_val k = { 16 + key.len, full };
	w->ops++;
	int rc = mdb_del(w->txn, w->ix->dbi, &k, NULL);
	return rc == MDB_NOTFOUND ? 0 : index_errno(rc);
}

int
index_begin(struct index *ix, struct index_write *w)
{
	*w = (struct index_write){ .ix = ix, .intent = BUF_INIT(SEG_SIZE_MAX) };
	return index_errno(mdb_txn_begin(ix->env, NULL, 0, &w->txn));
}

static void
forget(struct index_write *w)
{
	size_t pos = 0;
	struct str key;
	void *value;
	while (map_next(&w->doms, &pos, &key, &value))
		free(value);
	map_done(&w->doms);
	buf_done(&w->intent);
}

void
index_abort(struct index_write *w)
{
	if (w->txn)
		mdb_txn_abort(w->txn);
	w->txn = NULL;
	forget(w);
}

/* --- frames --- */

static struct dom_change *
change_of(struct index_write *w, const struct store_dom *d)
{
	struct str key = str_n(d->b, sizeof(d->b));
	struct dom_change *c = map_get(&w->doms, key);
	if (!c) {
		c = xalloc(sizeof(*c));
		map_put(&w->doms, key, c);
	}
	return c;
}

static int
apply_batch(struct index_write *w, struct str payload)
{
	struct batch_record r;
	struct batch_op op;
	if (!batch_record_get(payload, &r))
		return -EBADMSG;
	struct dom_change *c = change_of(w, &r.dom);
	c->ver = r.ver;
	while (batch_record_next(&r, &op)) {
		int rc = 0;
		if (str_eq(op.key, HEAD_KEY) && (op.del || op.value.len <= HEAD_VALUE_MAX)) {
			c->head = op.del ? HEAD_DEL : HEAD_PUT;
			c->head_len = op.value.len;
			if (op.value.len)
				memcpy(c->value, op.value.p, op.value.len);
			continue;
		}
		if (str_eq(op.key, HEAD_KEY))
			c->head = HEAD_SAME;
		rc = op.del ? del(w, r.dom.b, op.key) : put(w, r.dom.b, op.key, op.value);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* An intent stays in memory until its DONE, which nearly always follows in the same write; only
 * one that another frame overtakes goes to the index. */
static int
put_open_intent(struct index_write *w)
{
	struct store_dom d = store_dom_queue(0);
	char key[DONE_KEY_LEN];
	if (!w->intent_open)
		return 0;
	w->intent_open = false;
	queue_key(key, 'q', w->intent_letter);
	return put(w, d.b, str_n(key, sizeof(key)), buf_str(&w->intent));
}

static int
apply_intent(struct index_write *w, struct str payload)
{
	struct intent in;
	if (!intent_get(payload, &in))
		return -EBADMSG;
	int r = put_open_intent(w);
	if (r < 0)
		return r;
	buf_reset(&w->intent);
	buf_puts(&w->intent, payload);
	if (w->intent.failed)
		return -ENOMEM;
	w->intent_open = true;
	w->intent_letter = in.letter;
	return 0;
}

static int
apply_done(struct index_write *w, struct str payload)
{
	struct store_dom d = store_dom_queue(0);
	uint64_t letter, time_ms;
	if (!done_get(payload, &letter, &time_ms))
		return -EBADMSG;
	int r = 0;
	if (w->intent_open && w->intent_letter == letter) {
		w->intent_open = false;
	} else {
		char key[DONE_KEY_LEN];
		queue_key(key, 'q', letter);
		r = del(w, d.b, str_n(key, sizeof(key)));
	}
	/* An id from a clock that runs ahead must not age the others. */
	uint64_t now = (uint64_t)sys_wall_ms();
	if (letter > w->ix->max_letter && LETTER_ID_MS(letter) <= now + MARKER_AGE_MS)
		w->ix->max_letter = letter;
	return r < 0 ? r
	             : put(w, d.b, str_n(payload.p + 16, DONE_KEY_LEN),
			   str_n(payload.p + 16 + DONE_KEY_LEN, DONE_VALUE_LEN));
}

static int
apply_blob(struct index_write *w, const struct frame *f, struct str payload)
{
	struct store_dom d = { { INDEX_DOM_BLOBS } };
	struct blob_record r;
	if (!blob_record_get(payload, &r))
		return -EBADMSG;
	unsigned char key[10] = "b|", value[8];
	be64_put(key + 2, r.number);
	be64_put(value, f->lsn);
	return put(w, d.b, str_n(key, sizeof(key)), str_n(value, sizeof(value)));
}

int
index_apply(struct index_write *w, const struct frame *f, struct str payload)
{
	switch (f->type) {
	case FRAME_BATCH:
		return apply_batch(w, payload);
	case FRAME_INTENT:
		return apply_intent(w, payload);
	case FRAME_DONE:
		return apply_done(w, payload);
	case FRAME_BLOB:
		return apply_blob(w, f, payload);
	case FRAME_BODY:
	case FRAME_TRACE:
	case FRAME_END:
		return 0;
	}
	return -EBADMSG;
}

/* --- commit --- */

static int
put_changes(struct index_write *w)
{
	size_t pos = 0;
	struct str dom;
	void *value;
	while (map_next(&w->doms, &pos, &dom, &value)) {
		struct dom_change *c = value;
		unsigned char ver[8];
		be64_put(ver, c->ver);
		int r = put(w, dom.p, STR(""), str_n(ver, sizeof(ver)));
		if (r == 0 && c->head == HEAD_PUT)
			r = put(w, dom.p, HEAD_KEY, str_n(c->value, c->head_len));
		if (r == 0 && c->head == HEAD_DEL)
			r = del(w, dom.p, HEAD_KEY);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Ids are ordered by time, so the oldest markers stand first. */
static int
trim_markers(struct index_write *w)
{
	char from[16 + 2];
	struct store_dom d = store_dom_queue(0);
	memcpy(from, d.b, 16);
	memcpy(from + 16, "a|", 2);
	MDB_cursor *c;
	int rc = mdb_cursor_open(w->txn, w->ix->dbi, &c);
	if (rc != 0)
		return index_errno(rc);
	MDB_val k = { sizeof(from), from }, v;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	for (int i = 0; rc == 0 && i < MARKER_TRIM; i++) {
		if (k.mv_size != 16 + DONE_KEY_LEN || memcmp(k.mv_data, from, sizeof(from)) != 0)
			break;
		uint64_t letter = be64_get((unsigned char *)k.mv_data + sizeof(from));
		if (LETTER_ID_MS(letter) + MARKER_AGE_MS >= LETTER_ID_MS(w->ix->max_letter))
			break;
		rc = mdb_cursor_del(c, 0);
		if (rc == 0)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : index_errno(rc);
}

static int
put_meta(struct index_write *w, const struct index_meta *m)
{
	char octets[64];
	struct buf b = { .p = octets, .cap = sizeof(octets), .max = sizeof(octets) };
	put_u32(&b, m->format);
	buf_put(&b, m->id, STORE_ID_LEN);
	put_u64(&b, m->applied);
	MDB_val k = val_of(STR("meta")), v = { b.len, octets };
	return index_errno(mdb_put(w->txn, w->ix->dbi, &k, &v, 0));
}

int
index_commit(struct index_write *w, const struct index_meta *m)
{
	int r = put_changes(w);
	if (r == 0)
		r = put_open_intent(w);
	if (r == 0)
		r = trim_markers(w);
	if (r == 0)
		r = put_meta(w, m);
	if (r == 0) {
		MDB_txn *txn = w->txn;
		w->txn = NULL;
		r = index_errno(mdb_txn_commit(txn));
	}
	index_abort(w);
	return r;
}
