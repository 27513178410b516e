/* fsck, second pass: every domain of the index, each in a snapshot of its own. */
#include "store/fsck_priv.h"

#include "base/check.h"
#include "base/wire.h"
#include "log/log.h"
#include "store/mail_priv.h"
#include "store/record.h"
#include "store/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- accounts --- */

static bool
know_user(void *arg, struct str key, struct str value)
{
	struct fsck *f = arg;
	bool removed = key.p[0] == 'x';
	struct str account = removed ? str_skip(key, 2) : str_first(value, 8);
	if (account.len != 8) {
		fsck_problem(f, "directory: the entry of a user does not decode");
		return true;
	}
	if (map_get(&f->users, account))
		return true;
	char *kind = xalloc(1);
	*kind = removed;
	map_put(&f->users, account, kind);
	return true;
}

static int
know_users(struct fsck *f, MDB_txn *txn)
{
	struct store_dom g = store_dom_directory();
	int r = index_scan(&f->ix, txn, &g, STR("u|"), STR("u}"), 0, false, know_user, f);
	if (r == 0)
		r = index_scan(&f->ix, txn, &g, STR("x|"), STR("x}"), 0, false, know_user, f);
	return r;
}

/* *ret_removed: the account was removed; what is left of it matters to nobody. */
static int
check_owner(struct fsck *f, MDB_txn *txn, const struct store_dom *d, bool *ret_removed)
{
	struct str account = str_n(d->b + 1, 8);
	const char *kind = map_get(&f->users, account);
	if (!kind) {
		/* Made since we looked? */
		int r = know_users(f, txn);
		if (r < 0)
			return r;
		kind = map_get(&f->users, account);
	}
	if (!kind)
		fsck_problem(f, "account %llu: it has a domain %c, but no address leads to it",
		    (unsigned long long)be64_get(d->b + 1), d->b[0]);
	*ret_removed = kind && *kind;
	return 0;
}

/* --- the other domains --- */

struct naming {
	struct fsck *f;
	MDB_txn *txn;
	struct store_dom dom;
};

static void
bad_record(const struct naming *n, char kind)
{
	fsck_problem(n->f,
	    "account %llu: a record of kind %c does not decode; remove the directory `index` and "
	    "start again",
	    (unsigned long long)be64_get(n->dom.b + 1), kind);
}

/* Of a name that cannot be selected nothing else says anything. */
static void
check_name(const struct naming *n, struct str name, struct str value)
{
	struct str other;
	char m[6] = "M|";
	if (value.len == 4 && be32_get((const unsigned char *)value.p) == 0)
		return;
	if (value.len == 4)
		memcpy(m + 2, value.p, 4);
	if (value.len != 4 || index_get(&n->f->ix, n->txn, &n->dom, str_n(m, 6), &other) < 0 ||
	    !str_eq(other, name))
		fsck_problem(n->f, "account %llu: the name of a mailbox leads nowhere",
		    (unsigned long long)be64_get(n->dom.b + 1));
}

static bool
account_record(void *arg, struct str key, struct str value)
{
	const struct naming *n = arg;
	struct copy_intent c;
	unsigned char url_key[MAIL_URL_KEY_LEN];
	uint32_t special;
	bool good = true;
	n->f->report->records++;
	if (str_starts(key, STR("N|"))) {
		check_name(n, str_skip(key, 2), value);
	} else if (str_starts(key, STR("T|"))) {
		good = key.len == 6 && special_get(value, &special);
	} else if (str_starts(key, STR("U|"))) {
		good = key.len == 6 && url_key_get(value, url_key);
	} else if (str_starts(key, STR("w|"))) {
		good = key.len == 6 && value.len == 1;
	} else if (str_starts(key, STR("P|"))) {
		good = key.len == COPY_KEY_LEN && copy_intent_get(value, &c);
		if (good)
			ranges_done(&c.uids);
	}
	if (!good)
		bad_record(n, key.p[0]);
	return true;
}

static bool
any_record(void *arg, struct str key, struct str value)
{
	struct fsck *f = arg;
	f->report->records++;
	return true;
}

static int
check_domain(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct fsck_box *b,
    struct fsck_queue *q)
{
	struct naming n = { f, txn, *d };
	bool removed;
	int r;
	switch (d->b[0]) {
	case 'B':
		r = check_owner(f, txn, d, &removed);
		return r < 0 || removed ? r : fsck_box_read(f, txn, d, b);
	case 'A':
		r = check_owner(f, txn, d, &removed);
		return r < 0 ? r
		             : index_scan(&f->ix, txn, d, STR_NULL, STR_NULL, 0, false,
				   account_record, &n);
	case 'Q':
		return fsck_queue_read(f, txn, d, q);
	case 'G':
		return index_scan(&f->ix, txn, d, STR_NULL, STR_NULL, 0, false, any_record, f);
	case INDEX_DOM_DERIVED:
		return fsck_derived(f, txn);
	default:
		fsck_problem(f, "index: a domain of unknown kind 0x%02x", d->b[0]);
		return 0;
	}
}

static int
check_version(struct fsck *f, MDB_txn *txn, const struct store_dom *d)
{
	struct str value;
	struct fsck_ver *want = map_get(&f->vers, str_n(d->b, sizeof(d->b)));
	int r = index_get(&f->ix, txn, d, STR(""), &value);
	if (r < 0 && r != -ENOENT)
		return r;
	uint64_t ver = r == 0 && value.len == 8 ? be64_get((const unsigned char *)value.p) : 0;
	if (want && ver < want->applied)
		fsck_problem(f,
		    "index: a %c domain is at version %llu, the log says %llu; remove the "
		    "directory "
		    "`index` and start again",
		    d->b[0], (unsigned long long)ver, (unsigned long long)want->applied);
	if (want)
		want->applied = 0; /* seen */
	return 0;
}

static int
check_next(struct fsck *f, struct store_dom *d, bool first, struct fsck_box *b,
    struct fsck_queue *q)
{
	MDB_txn *txn;
	int r = index_errno(mdb_txn_begin(f->ix.env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = index_next_domain(&f->ix, txn, d, first);
	if (r == 0)
		r = check_version(f, txn, d);
	if (r == 0)
		r = check_domain(f, txn, d, b, q);
	mdb_txn_abort(txn);
	return r;
}

static void
check_missing(struct fsck *f)
{
	size_t pos = 0;
	struct str key;
	void *value;
	while (map_next(&f->vers, &pos, &key, &value))
		if (((struct fsck_ver *)value)->applied != 0)
			fsck_problem(f,
			    "index: a %c domain that the log has is missing; remove the directory "
			    "`index` "
			    "and start again",
			    key.p[0]);
}

int
fsck_index(struct fsck *f)
{
	struct store_dom d = { { 0 } };
	int r = 0;
	for (bool first = true; r == 0; first = false) {
		struct fsck_box b = { 0 };
		struct fsck_queue q = { 0 };
		r = check_next(f, &d, first, &b, &q);
		/* Bodies are looked up when the snapshot is closed: it must not live long. */
		if (r == 0 && b.f)
			fsck_box_judge(&b);
		if (r == 0 && q.f)
			fsck_queue_judge(&q);
		fsck_box_done(&b);
		fsck_queue_done(&q);
	}
	if (r != -ENOENT)
		return r;
	check_missing(f);
	return 0;
}
