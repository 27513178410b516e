#include "store/bundle.h"

#include "base/check.h"
#include "store/resolve.h"

#include <errno.h>

bool
bundle_next(struct wire *w, uint32_t *ret_uid, struct str *ret)
{
	if (w->bad || w->left == 0)
		return false;
	*ret_uid = get_u32(w);
	*ret = get_str(w, STORE_OUTLINE_MAX);
	return !w->bad;
}

static void
put_one(struct buf *b, uint32_t uid, struct str outline)
{
	put_u32(b, uid);
	put_str(b, outline);
}

/* --- where a UID belongs --- */

struct place {
	bool found;
	uint32_t first;
	uint64_t next; /* UID; UINT64_MAX: none */
	struct str octets;
};

static bool
is_bundle(const struct store_dom *d, const MDB_val *k)
{
	return k->mv_size == 16 + BUNDLE_KEY_LEN && memcmp(k->mv_data, d->b, 16) == 0 &&
	       outline_is(d, str_n((char *)k->mv_data + 16, BUNDLE_KEY_LEN));
}

static uint32_t
uid_of(const MDB_val *k)
{
	return be32_get((const unsigned char *)k->mv_data + 16 + 2);
}

static int
find_in(MDB_cursor *c, const struct store_dom *d, uint32_t uid, struct place *ret)
{
	char full[16 + BUNDLE_KEY_LEN];
	memcpy(full, d->b, 16);
	(void)outline_key(full + 16, uid);
	MDB_val k = { sizeof(full), full }, v;
	int rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	bool exact = rc == 0 && is_bundle(d, &k) && uid_of(&k) == uid;
	*ret = (struct place){ .next = UINT64_MAX };
	if (rc == 0 && !exact && is_bundle(d, &k))
		ret->next = uid_of(&k);
	if (!exact && (rc == 0 || rc == MDB_NOTFOUND))
		rc = mdb_cursor_get(c, &k, &v, rc == 0 ? MDB_PREV : MDB_LAST);
	if (rc != 0 || !is_bundle(d, &k))
		return rc == MDB_NOTFOUND ? 0 : index_errno(rc);
	ret->found = true;
	ret->first = uid_of(&k);
	ret->octets = str_n(v.mv_data, v.mv_size);
	if (exact && (rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0 && is_bundle(d, &k))
		ret->next = uid_of(&k);
	return rc == MDB_NOTFOUND ? 0 : index_errno(rc);
}

static int
find_place(struct index *ix, MDB_txn *txn, const struct store_dom *d, uint32_t uid,
    struct place *ret)
{
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, ix->dbi, &c);
	if (rc != 0)
		return index_errno(rc);
	rc = find_in(c, d, uid, ret);
	mdb_cursor_close(c);
	return rc;
}

/* --- reading --- */

int
bundle_get(struct index *ix, MDB_txn *txn, const struct store_dom *d, uint32_t uid, struct str *ret)
{
	struct place at;
	struct str outline;
	uint32_t one;
	int r = find_place(ix, txn, d, uid, &at);
	if (r < 0 || !at.found)
		return r < 0 ? r : -ENOENT;
	struct wire w = wire_of(at.octets);
	while (bundle_next(&w, &one, &outline) && one <= uid) {
		if (one != uid)
			continue;
		*ret = outline;
		return 0;
	}
	return w.bad ? -EBADMSG : -ENOENT;
}

/* --- writing --- */

int
bundle_flush(struct index_write *w, struct bundle *p, const struct store_dom *d)
{
	char key[BUNDLE_KEY_LEN];
	struct str k = str_n(key, outline_key(key, p->first));
	int r = 0;
	if (p->octets.failed)
		return -ENOMEM;
	if (p->dirty && p->octets.len)
		r = index_put(w, d->b, k, buf_str(&p->octets));
	else if (p->dirty && p->stored)
		r = index_del(w, d->b, k);
	p->stored = p->stored ? !p->dirty || p->octets.len : p->octets.len > 0;
	p->dirty = false;
	return r;
}

/* An empty one that begins with a UID. */
static void
begin(struct bundle *p, uint32_t uid)
{
	p->open = p->fresh = true;
	p->dirty = p->stored = false;
	p->first = uid;
	p->last = -1;
	buf_reset(&p->octets);
}

/* Makes p the bundle in which the UID is, or would be. */
static int
open_at(struct index_write *w, struct bundle *p, const struct store_dom *d, uint32_t uid)
{
	struct place at;
	if (p->open && uid >= p->first && uid < p->next)
		return 0;
	if (!p->open)
		buf_init(&p->octets, SIZE_MAX / 2);
	int r = bundle_flush(w, p, d);
	if (r == 0)
		r = find_place(w->ix, w->txn, d, uid, &at);
	if (r < 0)
		return r;
	begin(p, at.found ? at.first : uid);
	p->next = at.next;
	if (!at.found)
		return 0;
	p->stored = true;
	p->fresh = false;
	buf_puts(&p->octets, at.octets);
	struct wire e = wire_of(buf_str(&p->octets));
	struct str outline;
	for (uint32_t one; bundle_next(&e, &one, &outline);)
		p->last = one;
	return e.bad ? -EBADMSG : p->octets.failed ? -ENOMEM : 0;
}

/* Behind all others. */
static int
append(struct index_write *w, struct bundle *p, const struct store_dom *d, uint32_t uid,
    struct str outline)
{
	size_t max = p->fresh ? BUNDLE_MAX : BUNDLE_GROWN;
	int r = 0;
	if (p->octets.len && p->octets.len + 8 + outline.len > max) {
		r = bundle_flush(w, p, d);
		begin(p, uid);
	}
	put_one(&p->octets, uid, outline);
	p->last = uid;
	p->dirty = true;
	return r;
}

/* Takes what is there from a UID on out of the bundle, but that UID itself, into *ret. */
static bool
cut(struct bundle *p, uint32_t uid, struct buf *ret)
{
	struct wire w = wire_of(buf_str(&p->octets));
	bool was = false;
	int64_t last = -1;
	size_t keep = 0;
	struct str outline;
	for (uint32_t one; bundle_next(&w, &one, &outline);) {
		if (one < uid) {
			last = one;
			keep = p->octets.len - w.left;
		} else if (one > uid) {
			put_one(ret, one, outline);
		} else {
			was = true;
		}
	}
	buf_trunc(&p->octets, keep);
	p->last = last;
	return was;
}

/* What cut() took out comes back, behind. */
static void
join(struct bundle *p, const struct buf *rest, int64_t last)
{
	buf_puts(&p->octets, buf_str(rest));
	p->octets.failed |= rest->failed;
	if (rest->len)
		p->last = last;
	p->dirty = true;
}

int
bundle_put(struct index_write *w, struct bundle *p, const struct store_dom *d, uint32_t uid,
    struct str outline)
{
	struct buf rest = BUF_INIT(SIZE_MAX / 2);
	int r = open_at(w, p, d, uid);
	if (r < 0)
		return r;
	int64_t last = p->last;
	if (uid <= last) {
		(void)cut(p, uid, &rest);
		p->dirty = true;
	}
	r = append(w, p, d, uid, outline);
	/* What comes from behind, one by one, would make it grow without end. */
	if (r == 0 && rest.len && p->octets.len + rest.len > BUNDLE_MAX) {
		r = bundle_flush(w, p, d);
		begin(p, be32_get((const unsigned char *)rest.p));
	}
	join(p, &rest, last);
	buf_done(&rest);
	return r;
}

int
bundle_del(struct index_write *w, struct bundle *p, const struct store_dom *d, uint32_t uid)
{
	struct buf rest = BUF_INIT(SIZE_MAX / 2);
	int r = open_at(w, p, d, uid);
	if (r < 0 || uid > p->last)
		return r;
	int64_t last = p->last;
	bool dirty = p->dirty, was = cut(p, uid, &rest);
	join(p, &rest, last);
	p->dirty = dirty || was;
	buf_done(&rest);
	return 0;
}
