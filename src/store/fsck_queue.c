/* fsck: the queue, read in a snapshot and judged afterwards. */
#include "store/fsck_priv.h"

#include "base/check.h"
#include "log/log.h"
#include "store/record.h"

#include <errno.h>
#include <stdlib.h>

/* --- reading --- */

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
mark_record(struct fsck_queue *q, struct str key, struct str value)
{
	return key.len == DONE_KEY_LEN && value.len == DONE_VALUE_LEN;
}

static bool
intent_record(struct fsck_queue *q, struct str key, struct str value)
{
	struct intent in;
	if (key.len != DONE_KEY_LEN || !intent_get(value, &in))
		return false;
	check_merge(q->f, &in);
	return true;
}

/* How far the entries of a merge are. */
static bool
progress_record(struct fsck_queue *q, struct str key, struct str value)
{
	return key.len == DONE_KEY_LEN && value.len == 4;
}

static void
entry_problem(struct fsck_queue *q, const char *what)
{
	const struct seen_entry *e = &q->last;
	char id[14];
	id_format(id, e->letter);
	fsck_problem(q->f,
	    "queue: entry %s.%u: %s; stop the server, make the index anew with `pennypost fsck "
	    "--rebuild-index`, and if it is still so, `pennypost queue delete %s.%u`",
	    id, e->part, what, id, e->part);
}

/* It stands right behind its entry. */
static void
state_record(struct fsck_queue *q, const struct seen_entry *of, struct str state)
{
	char id[14];
	id_format(id, of->letter);
	if (q->last.letter != of->letter || q->last.part != of->part)
		fsck_problem(q->f, "queue: the state of entry %s.%u has no entry", id, of->part);
	else if (q->value.p && q->f->queued && q->f->queued(q->value, state))
		entry_problem(q, q->f->queued(q->value, state));
}

static void
add_entry(struct fsck_queue *q)
{
	if (q->n == q->cap) {
		q->cap = q->cap ? q->cap * 2 : 64;
		q->entries = xrealloc(q->entries, q->cap * sizeof(*q->entries));
	}
	q->entries[q->n++] = q->last;
}

static bool
entry_record(struct fsck_queue *q, struct str key, struct str value)
{
	struct store_dom d = store_dom_queue(0);
	struct store_queued e;
	struct store_place place;
	struct seen_entry seen = { 0 };
	if (queued_key_get(&d, key, true, &seen.letter, &seen.part)) {
		state_record(q, &seen, value);
		return true;
	}
	if (!queued_key_get(&d, key, false, &seen.letter, &seen.part))
		return false;
	q->last = seen;
	q->value = STR_NULL;
	if (!queued_get(value, &e, &place)) {
		entry_problem(q, "its record does not decode");
		return true;
	}
	q->last.ref = e.ref;
	add_entry(q);
	const char *what = q->f->queued ? q->f->queued(e.value, STR_NULL) : NULL;
	if (what)
		entry_problem(q, what);
	else
		q->value = e.value;
	fsck_user_derived(q->f, q->txn, &d, key, value);
	return true;
}

/* Policies of other servers and reports to them: those who put them there know what they are. */
static bool
kept_record(struct fsck_queue *q, struct str key, struct str value)
{
	return key.len > 2 && key.p[1] == '|';
}

static const struct {
	char kind;
	bool (*get)(struct fsck_queue *q, struct str key, struct str value);
} queue_records[] = {
	{ 'a', mark_record },
	{ 'm', progress_record },
	{ 'q', intent_record },
	{ 't', entry_record },
	{ 'p', kept_record },
	{ 'y', kept_record },
};

static bool
queue_record(void *arg, struct str key, struct str value)
{
	struct fsck_queue *q = arg;
	q->f->report->records++;
	for (size_t i = 0; i < ARRAY_LEN(queue_records); i++) {
		if (key.p[0] != queue_records[i].kind)
			continue;
		if (!queue_records[i].get(q, key, value))
			fsck_problem(q->f,
			    "queue: a record of kind %c does not decode; remove the directory "
			    "`index` and start again",
			    key.p[0]);
		return true;
	}
	fsck_problem(q->f, "queue: a record of unknown kind 0x%02x", (unsigned char)key.p[0]);
	return true;
}

int
fsck_queue_read(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct fsck_queue *q)
{
	*q = (struct fsck_queue){ .f = f, .txn = txn };
	return index_scan(&f->ix, txn, d, STR_NULL, STR_NULL, 0, false, queue_record, q);
}

/* --- judging --- */

/* The entry as its record says now: 1: elsewhere than before, 0: the same, -1: it is gone. */
static int
look_again(struct fsck *f, struct seen_entry *e)
{
	struct store_dom d = store_dom_queue(0);
	struct store_queued now;
	struct store_place place;
	struct str v;
	char key[QUEUED_KEY_MAX];
	MDB_txn *txn;
	if (mdb_txn_begin(f->ix.env, NULL, MDB_RDONLY, &txn) != 0)
		return 0;
	int r = index_get(&f->ix, txn, &d, queued_key(key, e->letter, e->part), &v);
	bool moved = r == 0 && queued_get(v, &now, &place) && now.ref.lsn != e->ref.lsn;
	mdb_txn_abort(txn);
	if (moved)
		e->ref = now.ref;
	return moved ? 1 : r == -ENOENT ? -1 : 0;
}

void
fsck_queue_judge(struct fsck_queue *q)
{
	for (size_t i = 0; i < q->n; i++) {
		struct seen_entry *e = &q->entries[i];
		const char *what = fsck_ref(q->f, &e->ref, e->letter);
		int now = 1;
		char id[14];
		/* It may have been moved, or delivered, while we looked. */
		while (what && (now = look_again(q->f, e)) == 1)
			what = fsck_ref(q->f, &e->ref, e->letter);
		id_format(id, e->letter);
		if (what && now == 0)
			fsck_problem(q->f,
			    "queue: entry %s.%u (lsn %llu): %s; restore the store from a backup",
			    id, e->part, (unsigned long long)e->ref.lsn, what);
	}
	q->f->report->queued += q->n;
}

void
fsck_queue_done(struct fsck_queue *q)
{
	free(q->entries);
}
