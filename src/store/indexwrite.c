/* index: applying the log's frames. */
#include "store/index_priv.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/record.h"
#include "store/resolve.h"
#include "store/segment.h"
#include "store/store_priv.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

static MDB_val
val_of(struct str s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.p };
}

int
index_put(struct index_write *w, const void *dom, struct str key, struct str value)
{
	char full[16 + STORE_KEY_MAX];
	memcpy(full, dom, 16);
	if (key.len)
		memcpy(full + 16, key.p, key.len);
	MDB_val k = { 16 + key.len, full }, v = val_of(value);
	w->ops++;
	return index_errno(mdb_put(w->txn, w->ix->dbi, &k, &v, 0));
}

int
index_del(struct index_write *w, const void *dom, struct str key)
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

/* The record of a letter or an entry, and what is derived from it. */
static int
apply_letter(struct index_write *w, const struct store_dom *d, const struct batch_op *op)
{
	char full[16 + USER_RECORD_KEY_MAX];
	check(op->key.len <= USER_RECORD_KEY_MAX);
	memcpy(full, d->b, 16);
	memcpy(full + 16, op->key.p, op->key.len);
	MDB_val k = { 16 + op->key.len, full }, v = val_of(op->value);
	int rc;
	w->ops += 2;
	if (op->del) {
		rc = mdb_get(w->txn, w->ix->dbi, &k, &v);
		if (rc != 0)
			return rc == MDB_NOTFOUND ? 0 : index_errno(rc);
	} else {
		/* Most letters are new. */
		rc = mdb_put(w->txn, w->ix->dbi, &k, &v, MDB_NOOVERWRITE);
		if (rc == 0)
			return index_letter_changes(w, d, op->key, STR_NULL, op->value);
		if (rc != MDB_KEYEXIST)
			return index_errno(rc);
	}
	/* What LMDB shows lives until the next write. */
	struct buf was = BUF_INIT(SIZE_MAX / 2);
	buf_put(&was, v.mv_data, v.mv_size);
	rc = was.failed ? -ENOMEM
	     : op->del  ? index_del(w, d->b, op->key)
	                : index_put(w, d->b, op->key, op->value);
	if (rc == 0)
		rc = index_letter_changes(w, d, op->key, buf_str(&was),
		    op->del ? STR_NULL : op->value);
	buf_done(&was);
	return rc;
}

static int
apply_outline(struct index_write *w, const struct store_dom *d, struct bundle *p,
    const struct batch_op *op)
{
	uint32_t uid = be32_get((const unsigned char *)op->key.p + 2);
	return op->del ? bundle_del(w, p, d, uid) : bundle_put(w, p, d, uid, op->value);
}

static int
apply_op(struct index_write *w, const struct store_dom *d, struct dom_change *c,
    const struct batch_op *op)
{
	if (str_eq(op->key, HEAD_KEY) && (op->del || op->value.len <= HEAD_VALUE_MAX)) {
		c->head = op->del ? HEAD_DEL : HEAD_PUT;
		c->head_len = op->value.len;
		if (op->value.len)
			memcpy(c->value, op->value.p, op->value.len);
		return 0;
	}
	if (str_eq(op->key, HEAD_KEY))
		c->head = HEAD_SAME;
	if (user_record_is(d, op->key))
		return apply_letter(w, d, op);
	if (outline_is(d, op->key))
		return apply_outline(w, d, &c->outlines, op);
	return op->del ? index_del(w, d->b, op->key) : index_put(w, d->b, op->key, op->value);
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
		int rc = apply_op(w, &r.dom, c, &op);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- letters under way --- */

/* An intent stays in memory until its DONE, which nearly always follows in the same write; only
 * one that another frame overtakes goes to the index. */
int
index_put_open_intent(struct index_write *w)
{
	struct store_dom d = store_dom_queue(0);
	char key[DONE_KEY_LEN];
	if (!w->intent_open)
		return 0;
	w->intent_open = false;
	queue_key(key, 'q', w->intent_letter);
	return index_put(w, d.b, str_n(key, sizeof(key)), buf_str(&w->intent));
}

/* --- snapshots --- */

/* The first key of [from, to) that is in the index but not among the snapshot's, which are the
 * ones in [op, ...); *ret_key is a copy. */
static int
find_foreign(struct index_write *w, const struct snap_record *r, struct buf *key)
{
	struct snap_record rest = *r;
	struct batch_op op = { 0 };
	bool more = snap_record_next(&rest, &op);
	char full[16 + STORE_KEY_MAX];
	MDB_cursor *c;
	int rc = mdb_cursor_open(w->txn, w->ix->dbi, &c);
	if (rc != 0)
		return index_errno(rc);
	/* Where the last look ended. */
	struct str from = key->len ? buf_str(key) : r->from;
	memcpy(full, r->dom.b, 16);
	if (from.len)
		memcpy(full + 16, from.p, from.len);
	MDB_val k = { 16 + from.len, full }, v;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	buf_reset(key);
	for (; rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		struct str at = str_n(k.mv_data, k.mv_size);
		if (!str_starts(at, str_n(r->dom.b, 16)))
			break;
		at = str_skip(at, 16);
		if (r->to.len && str_cmp(at, r->to) >= 0)
			break;
		while (more && str_cmp(op.key, at) < 0)
			more = snap_record_next(&rest, &op);
		if (at.len == 0 || (more && str_eq(op.key, at)) || index_is_derived(&r->dom, at) ||
		    outline_is(&r->dom, at))
			continue;
		buf_puts(key, at);
		break;
	}
	mdb_cursor_close(c);
	return rc != 0 && rc != MDB_NOTFOUND ? index_errno(rc) : key->failed ? -ENOMEM : 0;
}

static int
drop_foreign(struct index_write *w, const struct snap_record *r, struct dom_change *c)
{
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	int rc;
	while ((rc = find_foreign(w, r, &key)) == 0 && key.len) {
		struct batch_op op = { .del = true, .key = buf_str(&key) };
		if (str_eq(op.key, HEAD_KEY))
			rc = index_del(w, r->dom.b, op.key);
		else
			rc = apply_op(w, &r->dom, c, &op);
		if (rc < 0)
			break;
	}
	buf_done(&key);
	return rc;
}

/* Only an index that is made from a checkpoint needs it; in any other it stands already. */
static int
apply_snap(struct index_write *w, const struct frame *f, struct str payload)
{
	struct snap_record r;
	struct batch_op op;
	if (!snap_record_get(payload, &r))
		return -EBADMSG;
	if (f->lsn >= w->ix->rebuild)
		return 0;
	/* An intent that waits in memory stands in a range of its own. */
	struct store_dom q = store_dom_queue(0);
	int rc = memcmp(r.dom.b, q.b, 16) == 0 ? index_put_open_intent(w) : 0;
	struct dom_change *c = change_of(w, &r.dom);
	if (r.ver)
		c->ver = r.ver;
	if (str_cmp(r.from, HEAD_KEY) <= 0 && (!r.to.len || str_cmp(HEAD_KEY, r.to) < 0))
		c->head = HEAD_DEL; /* unless it follows */
	if (rc == 0)
		rc = drop_foreign(w, &r, c);
	while (rc == 0 && snap_record_next(&r, &op))
		if (!outline_is(&r.dom, op.key))
			rc = apply_op(w, &r.dom, c, &op);
	return rc;
}

static int
apply_checkpoint(struct index_write *w, const struct frame *f, struct str payload)
{
	struct checkpoint_record r;
	if (!checkpoint_record_get(payload, &r) || r.begin > f->lsn)
		return -EBADMSG;
	w->checkpoint = (struct checkpoint){ r.begin, f->lsn, r.octets };
	w->max_blob = MAX(w->max_blob, r.blob);
	return 0;
}

static int
apply_blob(struct index_write *w, struct str payload)
{
	struct blob_record r;
	if (!blob_record_get(payload, &r))
		return -EBADMSG;
	w->max_blob = MAX(w->max_blob, r.number);
	return 0;
}

static int
apply_intent(struct index_write *w, struct str payload)
{
	struct intent in;
	if (!intent_get(payload, &in))
		return -EBADMSG;
	int r = index_put_open_intent(w);
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

/* Nobody needs the views of a merge any more, and if all its recipients are gone, the body. */
static void
views_over(struct index_write *w, struct str intent)
{
	struct intent in;
	if (!intent_get(intent, &in) || in.n_views == 0)
		return;
	if (in.views.blob)
		index_blob_gone(w, in.views.blob);
	if (in.ref.blob)
		index_blob_gone(w, in.ref.blob);
}

static int
close_intent(struct index_write *w, uint64_t letter)
{
	struct store_dom d = store_dom_queue(0);
	char key[DONE_KEY_LEN];
	struct str k = str_n(key, sizeof(key)), intent;
	if (w->intent_open && w->intent_letter == letter) {
		w->intent_open = false;
		views_over(w, buf_str(&w->intent));
		return 0;
	}
	queue_key(key, 'q', letter);
	int r = index_get(w->ix, w->txn, &d, k, &intent);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	views_over(w, intent);
	return index_del(w, d.b, k);
}

static int
apply_done(struct index_write *w, struct str payload)
{
	uint64_t letter, time_ms;
	if (!done_get(payload, &letter, &time_ms))
		return -EBADMSG;
	int r = close_intent(w, letter);
	/* An id from a clock that runs ahead must not age the others. */
	uint64_t now = (uint64_t)sys_wall_ms();
	if (letter > w->ix->max_letter && LETTER_ID_MS(letter) <= now + STORE_MARKER_AGE_MS)
		w->ix->max_letter = letter;
	buf_put(&w->marks, payload.p + 16, MARK_LEN);
	return r < 0 ? r : w->marks.failed ? -ENOMEM : 0;
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
	case FRAME_SNAP:
		return apply_snap(w, f, payload);
	case FRAME_CHECKPOINT:
		return apply_checkpoint(w, f, payload);
	case FRAME_BLOB:
		return apply_blob(w, payload);
	case FRAME_BODY:
	case FRAME_TRACE:
	case FRAME_END:
		return 0;
	case FRAME_TYPES:
		break;
	}
	return -EBADMSG;
}
