/* fsck: what the index derives from the records of letters, and the checkpoint it remembers. */
#include "store/fsck_priv.h"

#include "base/check.h"
#include "base/wire.h"
#include "log/log.h"
#include "store/record.h"
#include "store/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REMEDY "run `pennypost fsck --rebuild-index`"

/* "letter 3 of mailbox 1 of account 2", or "entry ID.3 of the queue". */
#define USER_NAME_MAX 96
static const char *
user_name(char out[USER_NAME_MAX], const struct body_user *u)
{
	char id[14];
	if (u->account & USER_QUEUED) {
		id_format(id, (uint64_t)u->mailbox << 32 | u->uid);
		snprintf(out, USER_NAME_MAX, "entry %s.%u of the queue", id, (uint32_t)u->account);
	} else {
		snprintf(out, USER_NAME_MAX, "letter %u of mailbox %u of account %llu", u->uid,
		    u->mailbox, (unsigned long long)u->account);
	}
	return out;
}

void
fsck_user_derived(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct str key,
    struct str value)
{
	struct store_dom own = index_dom_derived();
	struct body_user u, noted;
	struct store_ref ref;
	char name[USER_NAME_MAX], r_key[REF_KEY_LEN], blob[BLOB_KEY_LEN];
	struct str v;
	if (!user_of(d, key, value, &u, &ref))
		return;
	ref_key_put(r_key, &u);
	blob_key_put(blob, ref.blob, ref.lsn);
	int r = index_get(&f->ix, txn, &own, str_n(r_key, sizeof(r_key)), &v);
	if (r < 0 || !ref_key_get(str_n(r_key, sizeof(r_key)), v, &noted) || noted.keep != u.keep ||
	    noted.trace != u.trace)
		fsck_problem(f, "index: that %s refers to its body is not noted; " REMEDY,
		    user_name(name, &u));
	if (ref.blob && index_get(&f->ix, txn, &own, str_n(blob, sizeof(blob)), &v) < 0)
		fsck_problem(f, "index: blob %016llx of %s is not noted; " REMEDY,
		    (unsigned long long)ref.blob, user_name(name, &u));
}

struct derived {
	struct fsck *f;
	MDB_txn *txn;
	uint64_t lsn;       /* of the last body */
	uint64_t seq, live; /* sum of the segment at hand */
	uint64_t queued;    /* lsn of the last body that waits in the queue */
	struct queue_sums sums;
};

/* The sum of the segment at hand against what is noted. */
static void
end_segment(struct derived *d)
{
	struct store_dom own = index_dom_derived();
	char key[LIVE_KEY_LEN];
	struct str v;
	if (d->seq == 0)
		return;
	live_key_put(key, d->seq);
	int r = index_get(&d->f->ix, d->txn, &own, str_n(key, sizeof(key)), &v);
	uint64_t noted = r == 0 && v.len == 8 ? be64_get((const unsigned char *)v.p) : 0;
	if (noted != d->live)
		fsck_problem(d->f,
		    "index: %llu octets of segment %08llx are in use, %llu are noted; " REMEDY,
		    (unsigned long long)d->live, (unsigned long long)d->seq,
		    (unsigned long long)noted);
}

static void
count_entry(struct derived *d, const struct store_ref *ref)
{
	bool again = d->queued == ref->lsn;
	d->sums.entries++;
	d->sums.letters += !again;
	d->sums.octets += again ? 0 : ref->len;
	d->queued = ref->lsn;
}

static bool
user_noted(void *arg, struct str key, struct str value)
{
	struct derived *d = arg;
	struct body_user u, now;
	struct store_ref ref;
	struct store_dom dom;
	struct str v;
	char record[USER_RECORD_KEY_MAX], name[USER_NAME_MAX];
	d->f->report->records++;
	if (!ref_key_get(key, value, &u)) {
		fsck_problem(d->f, "index: a note of a body's use does not decode; " REMEDY);
		return true;
	}
	struct str k = user_record(&u, &dom, record);
	int r = index_get(&d->f->ix, d->txn, &dom, k, &v);
	if (r < 0 || !user_of(&dom, k, v, &now, &ref) || now.lsn != u.lsn)
		fsck_problem(d->f,
		    "index: %s does not refer to the body at lsn %llu, as is noted; " REMEDY,
		    user_name(name, &u), (unsigned long long)u.lsn);
	else if (u.account & USER_QUEUED)
		count_entry(d, &ref);
	if (lsn_seq(u.lsn) != d->seq) {
		end_segment(d);
		d->seq = lsn_seq(u.lsn);
		d->live = 0;
	}
	if (u.lsn != d->lsn)
		d->live += u.keep;
	d->lsn = u.lsn;
	return true;
}

static void
check_sums(struct derived *d)
{
	struct store_dom own = index_dom_derived();
	struct queue_sums noted = { 0 };
	struct str v;
	int r = index_get(&d->f->ix, d->txn, &own, SUMS_KEY, &v);
	if ((r == 0 && !queue_sums_get(v, &noted)) || memcmp(&noted, &d->sums, sizeof(noted)) != 0)
		fsck_problem(d->f,
		    "index: there are %llu letters of %llu octets in the queue, %llu of %llu are "
		    "noted; " REMEDY,
		    (unsigned long long)d->sums.letters, (unsigned long long)d->sums.octets,
		    (unsigned long long)noted.letters, (unsigned long long)noted.octets);
}

static bool
any_user(void *arg, struct str key, struct str value)
{
	*(bool *)arg = true;
	return false;
}

static bool
other_record(void *arg, struct str key, struct str value)
{
	struct derived *d = arg;
	struct store_dom own = index_dom_derived();
	const unsigned char *p = (const unsigned char *)key.p;
	uint64_t from, to;
	char low[REF_KEY_LEN], high[REF_KEY_LEN];
	bool used = false;
	d->f->report->records++;
	if (str_eq(key, SUMS_KEY))
		return true;
	if (str_starts(key, STR("b|")) && key.len == BLOB_KEY_LEN && value.len == 0) {
		from = be64_get(p + 10);
		to = from + 1;
	} else if (str_starts(key, STR("L|")) && key.len == LIVE_KEY_LEN && value.len == 8) {
		from = lsn_of(be64_get(p + 2), 0);
		to = lsn_of(be64_get(p + 2) + 1, 0);
	} else {
		fsck_problem(d->f, "index: a note of kind 0x%02x does not decode; " REMEDY,
		    key.len ? p[0] : 0);
		return true;
	}
	ref_key_put(low, &(struct body_user){ .lsn = from });
	ref_key_put(high, &(struct body_user){ .lsn = to });
	int r = index_scan(&d->f->ix, d->txn, &own, str_n(low, sizeof(low)),
	    str_n(high, sizeof(high)), 1, false, any_user, &used);
	if (r == 0 && !used)
		fsck_problem(d->f, "index: a %s is noted as in use and is not; " REMEDY,
		    key.p[0] == 'b' ? "blob" : "segment");
	return true;
}

int
fsck_derived(struct fsck *f, MDB_txn *txn)
{
	struct store_dom own = index_dom_derived();
	struct derived d = { .f = f, .txn = txn };
	int r = index_scan(&f->ix, txn, &own, STR("r|"), STR("r}"), 0, false, user_noted, &d);
	if (r == 0) {
		end_segment(&d);
		check_sums(&d);
	}
	if (r == 0)
		r = index_scan(&f->ix, txn, &own, STR_NULL, STR("r|"), 0, false, other_record, &d);
	if (r == 0)
		r = index_scan(&f->ix, txn, &own, STR("r}"), STR_NULL, 0, false, other_record, &d);
	return r;
}

/* --- the checkpoint --- */

int
fsck_checkpoint_noted(struct fsck *f, struct checkpoint *ret)
{
	struct index_meta m;
	MDB_txn *txn;
	int r = index_errno(mdb_txn_begin(f->ix.env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = index_meta_get(&f->ix, txn, &m);
	mdb_txn_abort(txn);
	*ret = m.checkpoint;
	return r;
}

static bool
stands(struct fsck *f, const struct checkpoint *cp)
{
	struct logread r;
	struct frame h;
	enum frame_state state;
	struct str payload;
	struct checkpoint_record c;
	int rc = logread_open(&r, f->log, lsn_seq(cp->lsn), lsn_off(cp->lsn));
	if (rc == 0)
		rc = logread_head(&r, &h, &state);
	bool is = rc == 0 && state == FRAME_OK && h.type == FRAME_CHECKPOINT &&
	          logread_payload(&r, &h, &payload) == 0 && checkpoint_record_get(payload, &c) &&
	          c.begin == cp->begin;
	logread_close(&r);
	return is;
}

int
fsck_checkpoint(struct fsck *f)
{
	struct checkpoint cp, now;
	int r = fsck_checkpoint_noted(f, &cp);
	while (r == 0 && cp.lsn && !stands(f, &cp)) {
		r = fsck_checkpoint_noted(f, &now);
		if (r == 0 && now.lsn == cp.lsn) {
			fsck_problem(f, "log: the checkpoint at lsn %llu is not there; " REMEDY,
			    (unsigned long long)cp.lsn);
			break;
		}
		cp = now;
	}
	return r;
}
