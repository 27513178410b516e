/* index: what is derived from the records of letters: who refers to which body, how much of each
 * segment that is, and which blobs are in use. */
#include "store/index.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/mailbox.h"
#include "store/resolve.h"

#include <stdlib.h>

struct live_change {
	uint64_t seq;
	int64_t delta;
};

/* --- keys --- */

struct store_dom
index_dom_derived(void)
{
	return (struct store_dom){ { INDEX_DOM_DERIVED } };
}

bool
index_is_derived(const struct store_dom *d, struct str key)
{
	struct store_dom own = index_dom_derived();
	return memcmp(d->b, own.b, sizeof(own.b)) == 0 && key.len > 2 && key.p[1] == '|' &&
	       (key.p[0] == 'r' || key.p[0] == 'L' || key.p[0] == 'b' || key.p[0] == 'Q');
}

void
ref_key_put(char out[REF_KEY_LEN], const struct body_user *u)
{
	unsigned char *p = (unsigned char *)out;
	p[0] = 'r', p[1] = '|';
	be64_put(p + 2, u->lsn);
	be64_put(p + 10, u->account);
	be32_put(p + 18, u->mailbox);
	be32_put(p + 22, u->uid);
}

bool
ref_key_get(struct str key, struct str value, struct body_user *ret)
{
	struct wire w = wire_of(str_skip(key, 2)), v = wire_of(value);
	struct body_user u = { 0 };
	u.lsn = get_u64(&w);
	u.account = get_u64(&w);
	u.mailbox = get_u32(&w);
	u.uid = get_u32(&w);
	u.keep = get_u32(&v);
	u.trace = get_u64(&v);
	if (!str_starts(key, STR("r|")) || !wire_done(&w) || !wire_done(&v))
		return false;
	*ret = u;
	return true;
}

void
live_key_put(char out[LIVE_KEY_LEN], uint64_t seq)
{
	out[0] = 'L', out[1] = '|';
	be64_put((unsigned char *)out + 2, seq);
}

void
blob_key_put(char out[BLOB_KEY_LEN], uint64_t number, uint64_t lsn)
{
	out[0] = 'b', out[1] = '|';
	be64_put((unsigned char *)out + 2, number);
	be64_put((unsigned char *)out + 10, lsn);
}

/* --- records that refer to a body --- */

struct str
user_record(const struct body_user *u, struct store_dom *ret_dom, char out[USER_RECORD_KEY_MAX])
{
	if (u->account & USER_QUEUED) {
		*ret_dom = store_dom_queue(0);
		return queued_key(out, (uint64_t)u->mailbox << 32 | u->uid, (uint32_t)u->account);
	}
	*ret_dom = store_dom_mailbox(u->account, u->mailbox);
	return str_n(out, letter_key(out, u->uid));
}

bool
user_record_is(const struct store_dom *d, struct str key)
{
	if (d->b[0] == 'B')
		return key.len == 6 && str_starts(key, STR("R|"));
	return d->b[0] == 'Q' && key.len == QUEUED_KEY_LEN && str_starts(key, STR("t|"));
}

static bool
entry_of(const struct store_dom *d, struct str key, struct str value, struct body_user *ret,
    struct store_ref *ret_ref)
{
	struct store_queued q;
	struct store_place place;
	uint64_t letter;
	uint32_t part;
	if (!queued_key_get(d, key, false, &letter, &part) || !queued_get(value, &q, &place) ||
	    lsn_seq(q.ref.lsn) == 0)
		return false;
	*ret = (struct body_user){ .lsn = q.ref.lsn,
		.account = USER_QUEUED | part,
		.mailbox = (uint32_t)(letter >> 32),
		.uid = (uint32_t)letter,
		.keep = place.keep,
		.trace = place.trace };
	*ret_ref = q.ref;
	return true;
}

bool
user_of(const struct store_dom *d, struct str key, struct str value, struct body_user *ret,
    struct store_ref *ret_ref)
{
	struct mailbox_letter l;
	if (!value.p)
		return false;
	if (d->b[0] == 'Q')
		return entry_of(d, key, value, ret, ret_ref);
	if (!mailbox_letter_get(value, &l) || lsn_seq(l.ref.lsn) == 0)
		return false;
	*ret = (struct body_user){ .lsn = l.ref.lsn,
		.account = be64_get(d->b + 1),
		.mailbox = be32_get(d->b + 9),
		.uid = be32_get((const unsigned char *)key.p + 2),
		.keep = l.keep,
		.trace = l.trace_lsn };
	*ret_ref = l.ref;
	return true;
}

bool
user_moved(struct buf *b, const struct store_dom *d, struct str value, uint64_t lsn,
    const struct store_place *place)
{
	struct store_queued q;
	struct mailbox_letter l;
	struct store_place was;
	if (d->b[0] == 'Q') {
		if (!queued_get(value, &q, &was))
			return false;
		q.ref.lsn = lsn;
		queued_put(b, &q, place);
		return true;
	}
	if (!mailbox_letter_get(value, &l))
		return false;
	l.ref.lsn = lsn;
	l.trace_lsn = place->trace;
	l.keep = place->keep;
	mailbox_letter_put(b, &l);
	return true;
}

/* --- sums of the queue --- */

bool
queue_sums_get(struct str value, struct queue_sums *ret)
{
	struct wire w = wire_of(value);
	struct queue_sums s = { .entries = get_u64(&w) };
	s.letters = get_u64(&w);
	s.octets = get_u64(&w);
	if (!wire_done(&w))
		return false;
	*ret = s;
	return true;
}

static int
sums_read(struct index *ix, MDB_txn *txn, struct queue_sums *ret)
{
	struct store_dom d = index_dom_derived();
	struct str v;
	int r = index_get(ix, txn, &d, SUMS_KEY, &v);
	*ret = (struct queue_sums){ 0 };
	if (r < 0)
		return r == index_errno(MDB_NOTFOUND) ? 0 : r;
	return queue_sums_get(v, ret) ? 0 : index_errno(MDB_CORRUPTED);
}

int
index_sums_open(struct index *ix, MDB_txn *txn)
{
	return sums_read(ix, txn, &ix->sums);
}

int
index_sums_commit(struct index_write *w)
{
	struct store_dom d = index_dom_derived();
	const struct queue_sums *add = &w->sums;
	struct queue_sums s;
	unsigned char value[24];
	if (!add->entries && !add->letters && !add->octets)
		return 0;
	int r = sums_read(w->ix, w->txn, &s);
	if (r < 0)
		return r;
	s.entries += add->entries;
	s.letters += add->letters;
	s.octets += add->octets;
	w->sums = s;
	w->sums_changed = true;
	be64_put(value, s.entries);
	be64_put(value + 8, s.letters);
	be64_put(value + 16, s.octets);
	return s.entries ? index_put(w, d.b, SUMS_KEY, str_n(value, sizeof(value)))
	                 : index_del(w, d.b, SUMS_KEY);
}

/* --- changes --- */

static void
live_add(struct index_write *w, uint64_t lsn, int64_t delta)
{
	uint64_t seq = lsn_seq(lsn);
	size_t i = w->n_live;
	while (i > 0 && w->live[i - 1].seq != seq)
		i--;
	if (i == 0) {
		if (w->n_live == w->cap_live) {
			w->cap_live = w->cap_live ? w->cap_live * 2 : 8;
			w->live = xrealloc(w->live, w->cap_live * sizeof(*w->live));
		}
		w->live[w->n_live++] = (struct live_change){ seq, delta };
		return;
	}
	w->live[i - 1].delta += delta;
}

/* The keep of the first who refers to the body at lsn, from account on; -ENOENT: nobody does. It
 * counts for all, so that the sum is a function of the records. */
static int
first_user(struct index_write *w, uint64_t lsn, uint64_t account, uint32_t *ret_keep)
{
	struct store_dom d = index_dom_derived();
	char full[16 + REF_KEY_LEN];
	MDB_cursor *c;
	memcpy(full, d.b, 16);
	ref_key_put(full + 16, &(struct body_user){ .lsn = lsn, .account = account });
	int rc = mdb_cursor_open(w->txn, w->ix->dbi, &c);
	if (rc != 0)
		return index_errno(rc);
	MDB_val k = { sizeof(full), full }, v;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	bool found = rc == 0 && k.mv_size == sizeof(full) && v.mv_size == 12 &&
	             memcmp(k.mv_data, full, 16 + 2 + 8) == 0;
	if (found)
		*ret_keep = be32_get(v.mv_data);
	mdb_cursor_close(c);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return index_errno(rc);
	return found ? 0 : index_errno(MDB_NOTFOUND);
}

void
index_blob_gone(struct index_write *w, uint64_t blob)
{
	if (w->n_gone == w->cap_gone) {
		w->cap_gone = w->cap_gone ? w->cap_gone * 2 : 8;
		w->gone = xrealloc(w->gone, w->cap_gone * sizeof(*w->gone));
	}
	w->gone[w->n_gone++] = blob;
}

static int
blob_named(struct index_write *w, const struct store_ref *ref, bool named)
{
	struct store_dom d = index_dom_derived();
	char key[BLOB_KEY_LEN];
	blob_key_put(key, ref->blob, ref->lsn);
	if (named)
		return index_put(w, d.b, str_n(key, sizeof(key)), STR(""));
	index_blob_gone(w, ref->blob);
	return index_del(w, d.b, str_n(key, sizeof(key)));
}

/* 1: the body at lsn waits in the queue; 0 or -errno. */
static int
is_queued(struct index_write *w, uint64_t lsn)
{
	uint32_t keep;
	int r = first_user(w, lsn, USER_QUEUED, &keep);
	return r == 0 ? 1 : r == index_errno(MDB_NOTFOUND) ? 0 : r;
}

static int
user_put_or_del(struct index_write *w, const struct body_user *u, bool is)
{
	struct store_dom d = index_dom_derived();
	char key[REF_KEY_LEN];
	unsigned char value[12];
	struct str k = str_n(key, sizeof(key));
	ref_key_put(key, u);
	be32_put(value, u->keep);
	be64_put(value + 4, u->trace);
	return is ? index_put(w, d.b, k, str_n(value, sizeof(value))) : index_del(w, d.b, k);
}

/* The letter is counted with its first entry, whichever that is. */
static int
entry_put_or_del(struct index_write *w, const struct body_user *u, const struct store_ref *ref,
    bool is)
{
	int before = is_queued(w, u->lsn);
	int r = before < 0 ? before : user_put_or_del(w, u, is);
	int after = r < 0 ? r : is_queued(w, u->lsn);
	if (after < 0)
		return after;
	w->sums.letters += (uint64_t)(after - before);
	w->sums.octets += (uint64_t)(after - before) * ref->len;
	return 0;
}

/* One record begins or ceases to refer to a body. */
static int
user_changes(struct index_write *w, const struct body_user *u, const struct store_ref *ref, bool is)
{
	uint32_t before = 0, after = 0;
	int was_used = first_user(w, u->lsn, 0, &before);
	if (was_used < 0 && was_used != index_errno(MDB_NOTFOUND))
		return was_used;
	int r =
	    u->account & USER_QUEUED ? entry_put_or_del(w, u, ref, is) : user_put_or_del(w, u, is);
	if (r < 0)
		return r;
	int is_used = first_user(w, u->lsn, 0, &after);
	if (is_used < 0 && is_used != index_errno(MDB_NOTFOUND))
		return is_used;
	if (before != after)
		live_add(w, u->lsn, (int64_t)after - before);
	if (ref->blob && was_used != is_used)
		return blob_named(w, ref, is_used == 0);
	return 0;
}

int
index_letter_changes(struct index_write *w, const struct store_dom *d, struct str key,
    struct str was, struct str is)
{
	struct body_user old, new;
	struct store_ref old_ref, new_ref;
	bool had = user_of(d, key, was, &old, &old_ref), has = user_of(d, key, is, &new, &new_ref);
	if (d->b[0] == 'Q')
		w->sums.entries += (uint64_t)has - (uint64_t)had;
	if (had && has &&
	    old.lsn == new.lsn &&old.keep == new.keep &&old.trace == new.trace &&old_ref.blob ==
		new_ref.blob)
		return 0;
	/* What is new first: a blob that only changes its frame is never without one. */
	int r = has ? user_changes(w, &new, &new_ref, true) : 0;
	if (r == 0 && had && !(has && old.lsn == new.lsn))
		r = user_changes(w, &old, &old_ref, false);
	return r;
}

/* --- at the commit --- */

int
index_live_commit(struct index_write *w)
{
	struct store_dom d = index_dom_derived();
	for (size_t i = 0; i < w->n_live; i++) {
		char key[LIVE_KEY_LEN];
		unsigned char value[8];
		struct str k = str_n(key, sizeof(key)), v;
		live_key_put(key, w->live[i].seq);
		int r = index_get(w->ix, w->txn, &d, k, &v);
		if (r < 0 && r != index_errno(MDB_NOTFOUND))
			return r;
		uint64_t sum = r == 0 && v.len == 8 ? be64_get((const unsigned char *)v.p) : 0;
		sum += (uint64_t)w->live[i].delta;
		be64_put(value, sum);
		r = sum ? index_put(w, d.b, k, str_n(value, sizeof(value))) : index_del(w, d.b, k);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Whether it is still so is for those to look at who remove them. */
void
index_gone_commit(struct index_write *w)
{
	struct index *ix = w->ix;
	if (w->n_gone == 0)
		return;
	if (ix->cap_gone - ix->n_gone < w->n_gone) {
		ix->cap_gone = (ix->n_gone + w->n_gone) * 2;
		ix->gone = xrealloc(ix->gone, ix->cap_gone * sizeof(*ix->gone));
	}
	memcpy(ix->gone + ix->n_gone, w->gone, w->n_gone * sizeof(*w->gone));
	ix->n_gone += w->n_gone;
}
