/* fsck, second pass: every domain of the index, each in a snapshot of its own. */
#include "store/fsck_priv.h"

#include "base/check.h"
#include "base/wire.h"
#include "log/log.h"
#include "store/mailbox.h"
#include "store/record.h"
#include "store/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct seen_letter {
	struct store_ref ref;
	uint64_t letter, modseq, size;
	uint32_t uid;
	bool gone; /* since it was seen */
};
struct seen_change {
	uint64_t modseq;
	uint32_t uid;
};
struct seen_dedup {
	uint64_t letter;
	uint32_t uid;
};

/* One mailbox, as its records say. */
struct box {
	struct fsck *f;
	MDB_txn *txn; /* while its records are read */
	uint64_t account;
	uint32_t mailbox;
	struct seen_letter *letters;
	size_t n_letters, cap_letters;
	struct seen_change *changes;
	size_t n_changes, cap_changes;
	struct seen_dedup *dedups;
	size_t n_dedups, cap_dedups;
	struct mailbox_head head;
	bool has_head, bad;
};

#define BOX "mailbox %u of account %llu"
#define BOX_ARG(b) (b)->mailbox, (unsigned long long)(b)->account

static void *
grow(void *list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return list;
	*cap = *cap ? *cap * 2 : 64;
	return xrealloc(list, *cap * size);
}

/* --- reading a mailbox's records --- */

static bool
head_record(struct box *b, struct str key, struct str value)
{
	b->has_head = mailbox_head_get(value, &b->head);
	return b->has_head && key.len == 1;
}

static bool
letter_record(struct box *b, struct str key, struct str value)
{
	struct mailbox_letter l;
	if (key.len != 6 || !mailbox_letter_get(value, &l) ||
	    be32_get((const unsigned char *)key.p + 2) != l.uid)
		return false;
	b->letters = grow(b->letters, b->n_letters, &b->cap_letters, sizeof(*b->letters));
	b->letters[b->n_letters++] =
	    (struct seen_letter){ l.ref, l.letter, l.modseq, l.size, l.uid, false };
	struct store_dom d = store_dom_mailbox(b->account, b->mailbox);
	fsck_letter_derived(b->f, b->txn, &d, l.uid, &l);
	return true;
}

static bool
change_record(struct box *b, struct str key, struct str value)
{
	const unsigned char *p = (const unsigned char *)key.p;
	if (key.len != 15 || key.p[10] != '|')
		return false;
	b->changes = grow(b->changes, b->n_changes, &b->cap_changes, sizeof(*b->changes));
	b->changes[b->n_changes++] = (struct seen_change){ be64_get(p + 2), be32_get(p + 11) };
	return true;
}

static bool
dedup_record(struct box *b, struct str key, struct str value)
{
	if (key.len < 11 || key.p[10] != '|' || value.len != 4)
		return false;
	b->dedups = grow(b->dedups, b->n_dedups, &b->cap_dedups, sizeof(*b->dedups));
	b->dedups[b->n_dedups++] = (struct seen_dedup){ be64_get((const unsigned char *)key.p + 2),
		be32_get((const unsigned char *)value.p) };
	return true;
}

/* An import's; only the command line knows what it says. */
static bool
mark_record(struct box *b, struct str key, struct str value)
{
	return key.len > 2 && key.p[1] == '|';
}

static const struct {
	char kind;
	bool (*get)(struct box *b, struct str key, struct str value);
} box_records[] = {
	{ 'H', head_record },
	{ 'R', letter_record },
	{ 'C', change_record },
	{ 'D', dedup_record },
	{ 'I', mark_record },
};

static bool
box_record(void *arg, struct str key, struct str value)
{
	struct box *b = arg;
	b->f->report->records++;
	for (size_t i = 0; i < ARRAY_LEN(box_records); i++) {
		if (key.p[0] != box_records[i].kind || (key.len > 1) != (key.p[0] != 'H'))
			continue;
		if (!box_records[i].get(b, key, value))
			fsck_problem(b->f,
			    BOX ": a record of kind %c does not decode; remove the directory "
				"`index` and start again",
			    BOX_ARG(b), key.p[0]);
		return true;
	}
	fsck_problem(b->f, BOX ": a record of unknown kind 0x%02x", BOX_ARG(b),
	    (unsigned char)key.p[0]);
	return true;
}

/* --- judging it --- */

static const struct seen_letter *
letter_of(const struct box *b, uint32_t uid)
{
	size_t lo = 0, hi = b->n_letters;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (b->letters[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < b->n_letters && b->letters[lo].uid == uid ? &b->letters[lo] : NULL;
}

static void
check_head(struct box *b)
{
	uint64_t bytes = 0;
	const struct mailbox_head *h = &b->head;
	for (size_t i = 0; i < b->n_letters; i++) {
		const struct seen_letter *l = &b->letters[i];
		bytes += l->size;
		if (l->uid >= h->uidnext || l->modseq > h->modseq)
			fsck_problem(b->f,
			    BOX ": letter %u is not below uidnext %u, or above modseq", BOX_ARG(b),
			    l->uid, h->uidnext);
	}
	if (h->messages != b->n_letters || h->bytes != bytes)
		fsck_problem(b->f,
		    BOX ": its header counts %llu letters of %llu octets, there are %zu of %llu",
		    BOX_ARG(b), (unsigned long long)h->messages, (unsigned long long)h->bytes,
		    b->n_letters, (unsigned long long)bytes);
}

static void
check_changes(struct box *b)
{
	for (size_t i = 0; i < b->n_changes; i++) {
		const struct seen_change *c = &b->changes[i];
		const struct seen_letter *l = letter_of(b, c->uid);
		if (!l || l->modseq != c->modseq)
			fsck_problem(b->f, BOX ": change %llu names letter %u, which %s",
			    BOX_ARG(b), (unsigned long long)c->modseq, c->uid,
			    l ? "has another" : "is not there");
	}
	if (b->n_changes != b->n_letters)
		fsck_problem(b->f, BOX ": %zu letters, but %zu changes", BOX_ARG(b), b->n_letters,
		    b->n_changes);
	for (size_t i = 0; i < b->n_dedups; i++) {
		/* A mark may outlive its letter. */
		const struct seen_letter *l = letter_of(b, b->dedups[i].uid);
		char id[14];
		id_format(id, b->dedups[i].letter);
		if (l && l->letter != b->dedups[i].letter)
			fsck_problem(b->f, BOX ": the mark of letter %s names %u, which is another",
			    BOX_ARG(b), id, l->uid);
	}
}

/* The letter as its record says now; false: it is gone, or says the same as before. */
static bool
has_moved(const struct box *b, struct seen_letter *l)
{
	struct store_dom d = store_dom_mailbox(b->account, b->mailbox);
	struct mailbox_letter now;
	struct str v;
	char key[6];
	MDB_txn *txn;
	if (mdb_txn_begin(b->f->ix.env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	int r = index_get(&b->f->ix, txn, &d, str_n(key, letter_key(key, l->uid)), &v);
	bool moved = r == 0 && mailbox_letter_get(v, &now) && now.ref.lsn != l->ref.lsn;
	mdb_txn_abort(txn);
	if (moved)
		l->ref = now.ref;
	l->gone = r == -ENOENT;
	return moved;
}

static void
check_refs(struct box *b)
{
	for (size_t i = 0; i < b->n_letters; i++) {
		struct seen_letter *l = &b->letters[i];
		const char *what = fsck_ref(b->f, &l->ref, l->letter);
		/* Compaction or an expunge may have been faster than we. */
		while (what && has_moved(b, l))
			what = fsck_ref(b->f, &l->ref, l->letter);
		if (l->gone)
			continue;
		if (what)
			fsck_problem(b->f, BOX ": letter %u (lsn %llu): %s", BOX_ARG(b), l->uid,
			    (unsigned long long)l->ref.lsn, what);
	}
}

static void
judge_box(struct box *b)
{
	if (!b->has_head && (b->n_letters || b->n_changes))
		fsck_problem(b->f, BOX ": it has letters but no header", BOX_ARG(b));
	if (b->has_head)
		check_head(b);
	check_changes(b);
	check_refs(b);
	b->f->report->mailboxes++;
	b->f->report->letters += b->n_letters;
}

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

static bool
account_record(void *arg, struct str key, struct str value)
{
	struct naming *n = arg;
	struct str other;
	char m[6] = "M|";
	n->f->report->records++;
	if (!str_starts(key, STR("N|")))
		return true;
	if (value.len == 4)
		memcpy(m + 2, value.p, 4);
	if (value.len != 4 || index_get(&n->f->ix, n->txn, &n->dom, str_n(m, 6), &other) < 0 ||
	    !str_eq(other, str_skip(key, 2)))
		fsck_problem(n->f, "account %llu: the name of a mailbox leads nowhere",
		    (unsigned long long)be64_get(n->dom.b + 1));
	return true;
}

/* A merge that is under way, or was when the server stopped, needs its body and its views. */
static void
check_merge(struct fsck *f, const struct intent *in)
{
	const struct store_ref *refs[] = { &in->ref, &in->views };
	char id[14];
	id_format(id, in->letter);
	for (size_t i = 0; in->n_views && i < ARRAY_LEN(refs); i++) {
		const char *what = fsck_ref(f, refs[i], in->letter);
		if (what)
			fsck_problem(f,
			    "queue: the %s of letter %s, for %u recipients, cannot be had (lsn "
			    "%llu): %s; restore the store from a backup",
			    i ? "views" : "body", id, in->n_views, (unsigned long long)refs[i]->lsn,
			    what);
	}
}

static bool
queue_record(void *arg, struct str key, struct str value)
{
	struct fsck *f = arg;
	struct intent in = { 0 };
	f->report->records++;
	bool good = key.len == DONE_KEY_LEN;
	if (good && key.p[0] == 'a')
		good = value.len == DONE_VALUE_LEN;
	else if (good && key.p[0] == 'q')
		good = intent_get(value, &in);
	if (good)
		check_merge(f, &in);
	else
		fsck_problem(f, "queue: a record of kind %c does not decode", key.p[0]);
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
check_box(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct box *b)
{
	bool removed;
	int r = check_owner(f, txn, d, &removed);
	if (r < 0 || removed)
		return r;
	*b = (struct box){
		.f = f, .txn = txn, .account = be64_get(d->b + 1), .mailbox = be32_get(d->b + 9)
	};
	return index_scan(&f->ix, txn, d, STR_NULL, STR_NULL, 0, false, box_record, b);
}

static int
check_domain(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct box *b)
{
	struct naming n = { f, txn, *d };
	bool removed;
	int r;
	switch (d->b[0]) {
	case 'B':
		return check_box(f, txn, d, b);
	case 'A':
		r = check_owner(f, txn, d, &removed);
		return r < 0 ? r
		             : index_scan(&f->ix, txn, d, STR_NULL, STR_NULL, 0, false,
				   account_record, &n);
	case 'Q':
		return index_scan(&f->ix, txn, d, STR_NULL, STR_NULL, 0, false, queue_record, f);
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
check_next(struct fsck *f, struct store_dom *d, bool first, struct box *b)
{
	MDB_txn *txn;
	int r = index_errno(mdb_txn_begin(f->ix.env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = index_next_domain(&f->ix, txn, d, first);
	if (r == 0)
		r = check_version(f, txn, d);
	if (r == 0)
		r = check_domain(f, txn, d, b);
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
		struct box b = { 0 };
		r = check_next(f, &d, first, &b);
		/* Bodies are looked up when the snapshot is closed: it must not live long. */
		if (r == 0 && b.f)
			judge_box(&b);
		free(b.letters);
		free(b.changes);
		free(b.dedups);
	}
	if (r != -ENOENT)
		return r;
	check_missing(f);
	return 0;
}
