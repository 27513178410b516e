/* index: walking over the keys of a domain. */
#include "store/index.h"

#include "base/check.h"
#include "store/bundle.h"
#include "store/resolve.h"

#include <errno.h>

static MDB_val
val_of(struct str s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.p };
}

static struct str
full_key(char out[16 + STORE_KEY_MAX], const struct store_dom *d, struct str key)
{
	memcpy(out, d->b, 16);
	if (key.len)
		memcpy(out + 16, key.p, key.len);
	return str_n(out, 16 + key.len);
}

struct range {
	struct str from, to; /* full keys, [from, to) */
};

static bool
is_in(const struct range *r, struct str key)
{
	return str_cmp(key, r->from) >= 0 && str_cmp(key, r->to) < 0;
}

static struct str
key_of(const MDB_val *k)
{
	return str_n(k->mv_data, k->mv_size);
}

/* --- outlines --- */

struct scan {
	const struct store_dom *d;
	struct range r;
	bool reverse;
	bool inside; /* the range begins among outlines, perhaps in the middle of a bundle */
	uint32_t limit, n;
	store_scan_fn *fn;
	void *arg;
};

/* False: it is enough. */
static bool
tell(struct scan *s, struct str key, struct str value)
{
	return s->fn(s->arg, key, value) && ++s->n != s->limit;
}

/* The outline behind (in front of) a UID, the next one in the order of the scan. */
static bool
next_of_bundle(const struct scan *s, struct str bundle, int64_t behind, uint32_t *ret_uid,
    struct str *ret)
{
	struct wire w = wire_of(bundle);
	struct str outline;
	bool found = false;
	for (uint32_t uid; bundle_next(&w, &uid, &outline);) {
		if (s->reverse ? uid >= behind : uid <= behind)
			continue;
		*ret_uid = uid;
		*ret = outline;
		found = true;
		if (!s->reverse)
			break;
	}
	return found;
}

static bool
is_sound(struct str bundle)
{
	struct wire w = wire_of(bundle);
	struct str outline;
	for (uint32_t uid; bundle_next(&w, &uid, &outline);)
		;
	return !w.bad;
}

/* Each outline under a key of its own. A bundle that is malformed is told as an empty one. */
static bool
tell_bundle(struct scan *s, struct str key, struct str bundle)
{
	char full[16 + BUNDLE_KEY_LEN];
	int64_t at = s->reverse ? INT64_MAX : -1;
	struct str outline;
	if (!is_sound(bundle))
		return tell(s, key, STR_NULL);
	memcpy(full, s->d->b, 16);
	for (uint32_t uid; next_of_bundle(s, bundle, at, &uid, &outline); at = uid) {
		(void)outline_key(full + 16, uid);
		if (is_in(&s->r, str_n(full, sizeof(full))) &&
		    !tell(s, str_n(full + 16, BUNDLE_KEY_LEN), outline))
			return false;
	}
	return true;
}

/* --- a range --- */

static bool
is_bundle(const struct scan *s, const MDB_val *k)
{
	return str_starts(key_of(k), str_n(s->d->b, 16)) &&
	       outline_is(s->d, str_skip(key_of(k), 16));
}

static int
scan_first(const struct scan *s, MDB_cursor *c, MDB_val *k, MDB_val *v)
{
	*k = val_of(s->reverse ? s->r.to : s->r.from);
	int rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);
	if (s->reverse)
		return mdb_cursor_get(c, k, v, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
	if (!s->inside || (rc != 0 && rc != MDB_NOTFOUND))
		return rc;
	rc = mdb_cursor_get(c, k, v, rc == 0 ? MDB_PREV : MDB_LAST);
	if (rc == 0 && is_bundle(s, k))
		return 0;
	*k = val_of(s->r.from);
	return mdb_cursor_get(c, k, v, MDB_SET_RANGE);
}

static bool
reaches(const struct scan *s, const MDB_val *k)
{
	return is_in(&s->r, key_of(k)) ||
	       (s->inside && is_bundle(s, k) && str_cmp(key_of(k), s->r.to) < 0);
}

/* Without the version, which stands under the empty key. */
static bool
tell_record(struct scan *s, const MDB_val *k, const MDB_val *v)
{
	struct str key = str_skip(key_of(k), 16), value = str_n(v->mv_data, v->mv_size);
	if (key.len == 0)
		return true;
	return outline_is(s->d, key) ? tell_bundle(s, key, value) : tell(s, key, value);
}

int
index_scan(struct index *ix, MDB_txn *txn, const struct store_dom *d, struct str from,
    struct str to, uint32_t limit, bool reverse, store_scan_fn *fn, void *arg)
{
	char low[16 + STORE_KEY_MAX], high[16 + STORE_KEY_MAX + 1];
	struct scan s = { .d = d,
		.r = { full_key(low, d, from), full_key(high, d, to) },
		.reverse = reverse,
		.inside = d->b[0] == 'B' && str_starts(from, STR("E|")),
		.limit = limit,
		.fn = fn,
		.arg = arg };
	if (!to.p) {
		/* Above every key of the domain. */
		memset(high + 16, 0xff, STORE_KEY_MAX + 1);
		s.r.to.len = sizeof(high);
	}
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, ix->dbi, &c);
	if (rc != 0)
		return index_errno(rc);
	MDB_val k, v;
	rc = scan_first(&s, c, &k, &v);
	while (rc == 0 && reaches(&s, &k) && tell_record(&s, &k, &v)) {
		/* The bundle in which the range begins was the last one. */
		if (reverse && str_cmp(key_of(&k), s.r.from) <= 0)
			break;
		rc = mdb_cursor_get(c, &k, &v, reverse ? MDB_PREV : MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : index_errno(rc);
}

int
index_next(struct index *ix, MDB_txn *txn, const struct store_dom *d, struct str from,
    struct str to, struct str *ret_key, struct str *ret_value)
{
	char low[16 + STORE_KEY_MAX], high[16 + STORE_KEY_MAX];
	struct range r = { full_key(low, d, from), full_key(high, d, to) };
	MDB_val k = val_of(r.from), v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, ix->dbi, &c);
	if (rc != 0)
		return index_errno(rc);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	mdb_cursor_close(c);
	if (rc != 0)
		return index_errno(rc);
	if (!is_in(&r, key_of(&k)))
		return -ENOENT;
	*ret_key = str_n((char *)k.mv_data + 16, k.mv_size - 16);
	*ret_value = str_n(v.mv_data, v.mv_size);
	return 0;
}
