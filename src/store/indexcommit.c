/* index: a write begins, and becomes durable: what was gathered goes down, old marks go, META last.
 */
#include "store/index_priv.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/record.h"
#include "store/segment.h"
#include "store/store_priv.h"

#include <stdlib.h>

#define MARKER_TRIM 64 /* old markers removed per commit, and two for each new one */

static MDB_val
val_of(struct str s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.p };
}

int
index_begin(struct index *ix, struct index_write *w)
{
	*w = (struct index_write){ .ix = ix,
		.intent = BUF_INIT(SEG_SIZE_MAX),
		.marks = BUF_INIT(SIZE_MAX / 2),
		.checkpoint = ix->checkpoint,
		.max_blob = ix->max_blob };
	return index_errno(mdb_txn_begin(ix->env, NULL, 0, &w->txn));
}

static void
forget(struct index_write *w)
{
	size_t pos = 0;
	struct str key;
	void *value;
	while (map_next(&w->doms, &pos, &key, &value)) {
		buf_done(&((struct dom_change *)value)->outlines.octets);
		free(value);
	}
	map_done(&w->doms);
	buf_done(&w->intent);
	buf_done(&w->marks);
	free(w->live);
	free(w->gone);
	w->live = NULL;
	w->gone = NULL;
	w->n_live = w->n_gone = 0;
}

void
index_abort(struct index_write *w)
{
	if (w->txn)
		mdb_txn_abort(w->txn);
	w->txn = NULL;
	forget(w);
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
		/* The queue may have none: its marks are no batches. */
		int r = c->ver ? index_put(w, dom.p, STR(""), str_n(ver, sizeof(ver))) : 0;
		struct store_dom d;
		memcpy(d.b, dom.p, sizeof(d.b));
		if (r == 0 && c->outlines.open)
			r = bundle_flush(w, &c->outlines, &d);
		if (r == 0 && c->head == HEAD_PUT)
			r = index_put(w, dom.p, HEAD_KEY, str_n(c->value, c->head_len));
		if (r == 0 && c->head == HEAD_DEL)
			r = index_del(w, dom.p, HEAD_KEY);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The id is as old as the letter's first octet, which may have come long before the last; the time
 * of acceptance tells, if it can be believed. */
static bool
is_old(const struct index_write *w, uint64_t letter, struct str value)
{
	uint64_t now = LETTER_ID_MS(w->ix->max_letter), accepted = 0;
	if (value.len == DONE_VALUE_LEN)
		accepted = be64_get((const unsigned char *)value.p + 1);
	if (accepted > now + STORE_MARKER_AGE_MS)
		accepted = 0;
	return MAX(LETTER_ID_MS(letter), accepted) + STORE_MARKER_AGE_MS < now;
}

static int
mark_cmp(const void *a, const void *b)
{
	return memcmp(a, b, MARK_LEN);
}

/* In their order: so each is put behind the others, nearly always. */
static int
put_marks(struct index_write *w)
{
	struct store_dom d = store_dom_queue(0);
	struct str left = buf_str(&w->marks);
	int r = 0;
	if (left.len)
		qsort(w->marks.p, left.len / MARK_LEN, MARK_LEN, mark_cmp);
	for (; r == 0 && left.len; left = str_skip(left, MARK_LEN))
		r = index_put(w, d.b, str_first(left, DONE_KEY_LEN),
		    str_n(left.p + DONE_KEY_LEN, DONE_VALUE_LEN));
	return r;
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
	for (size_t i = 0; rc == 0 && i < MARKER_TRIM + 2 * (w->marks.len / MARK_LEN); i++) {
		if (k.mv_size != 16 + DONE_KEY_LEN || memcmp(k.mv_data, from, sizeof(from)) != 0)
			break;
		uint64_t letter = be64_get((unsigned char *)k.mv_data + sizeof(from));
		if (!is_old(w, letter, str_n(v.mv_data, v.mv_size)))
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
	char octets[128];
	struct buf b = { .p = octets, .cap = sizeof(octets), .max = sizeof(octets) };
	put_u32(&b, m->format);
	buf_put(&b, m->id, STORE_ID_LEN);
	put_u64(&b, m->applied);
	put_u64(&b, w->checkpoint.begin);
	put_u64(&b, w->checkpoint.lsn);
	put_u64(&b, w->checkpoint.octets);
	put_u64(&b, w->ix->rebuild);
	put_u64(&b, w->max_blob);
	check(!b.failed);
	MDB_val k = val_of(STR(INDEX_META)), v = { b.len, octets };
	return index_errno(mdb_put(w->txn, w->ix->dbi, &k, &v, 0));
}

int
index_commit(struct index_write *w, const struct index_meta *m)
{
	int r = put_changes(w);
	if (r == 0)
		r = index_put_open_intent(w);
	if (r == 0)
		r = index_live_commit(w);
	if (r == 0)
		r = index_sums_commit(w);
	if (r == 0)
		r = put_marks(w);
	if (r == 0)
		r = trim_markers(w);
	if (r == 0)
		r = put_meta(w, m);
	if (r == 0) {
		MDB_txn *txn = w->txn;
		w->txn = NULL;
		r = index_errno(mdb_txn_commit(txn));
	}
	if (r == 0) {
		w->ix->checkpoint = w->checkpoint;
		w->ix->max_blob = w->max_blob;
		if (w->sums_changed)
			w->ix->sums = w->sums;
		index_gone_commit(w);
	}
	index_abort(w);
	return r;
}
