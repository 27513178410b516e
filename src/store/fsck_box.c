/* fsck: one mailbox, read in a snapshot of its own and judged afterwards. */
#include "store/fsck_priv.h"

#include "base/check.h"
#include "base/wire.h"
#include "log/log.h"
#include "store/mail_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
head_record(struct fsck_box *b, struct str key, struct str value)
{
	b->has_head = mailbox_head_get(value, &b->head);
	return b->has_head && key.len == 1;
}

static bool
letter_record(struct fsck_box *b, struct str key, struct str value)
{
	struct mailbox_letter l;
	if (key.len != 6 || !mailbox_letter_get(value, &l) ||
	    be32_get((const unsigned char *)key.p + 2) != l.uid)
		return false;
	b->letters = grow(b->letters, b->n_letters, &b->cap_letters, sizeof(*b->letters));
	b->letters[b->n_letters++] =
	    (struct seen_letter){ l.ref, l.letter, l.modseq, l.size, l.flags, l.uid, false };
	struct store_dom d = store_dom_mailbox(b->account, b->mailbox);
	fsck_user_derived(b->f, b->txn, &d, key, value);
	return true;
}

static bool
change_record(struct fsck_box *b, struct str key, struct str value)
{
	const unsigned char *p = (const unsigned char *)key.p;
	if (key.len != 15 || key.p[10] != '|')
		return false;
	b->changes = grow(b->changes, b->n_changes, &b->cap_changes, sizeof(*b->changes));
	b->changes[b->n_changes++] = (struct seen_change){ be64_get(p + 2), be32_get(p + 11) };
	return true;
}

static bool
dedup_record(struct fsck_box *b, struct str key, struct str value)
{
	if (key.len < 11 || key.p[10] != '|' || value.len != 4)
		return false;
	b->dedups = grow(b->dedups, b->n_dedups, &b->cap_dedups, sizeof(*b->dedups));
	b->dedups[b->n_dedups++] = (struct seen_dedup){ be64_get((const unsigned char *)key.p + 2),
		be32_get((const unsigned char *)value.p) };
	return true;
}

static bool
outline_record(struct fsck_box *b, struct str key, struct str value)
{
	if (key.len != 6 || value.len == 0 || value.len > STORE_OUTLINE_MAX)
		return false;
	b->outlines = grow(b->outlines, b->n_outlines, &b->cap_outlines, sizeof(*b->outlines));
	b->outlines[b->n_outlines++] = be32_get((const unsigned char *)key.p + 2);
	return true;
}

static bool
vanished_record(struct fsck_box *b, struct str key, struct str value)
{
	struct wire w = wire_of(value);
	uint64_t above = 0;
	if (key.len != 10 || value.len == 0 || value.len % 8)
		return false;
	while (w.left) {
		uint32_t first = get_u32(&w), last = get_u32(&w);
		if (first <= above || last < first)
			return false;
		above = last;
	}
	b->vanished += value.len / 8;
	b->last_vanished = be64_get((const unsigned char *)key.p + 2);
	return true;
}

static bool
keyword_record(struct fsck_box *b, struct str key, struct str value)
{
	struct wire w;
	return key.len == 1 && keywords_begin(value, &w, &b->keywords);
}

/* How far a copy is that is under way, or that a crash has interrupted when it was over. */
static bool
copy_record(struct fsck_box *b, struct str key, struct str value)
{
	struct copy_mark m;
	if (key.len != COPY_KEY_LEN || !copy_mark_get(value, &m))
		return false;
	ranges_done(&m.uids);
	return true;
}

/* An import's; only the command line knows what it says. */
static bool
mark_record(struct fsck_box *b, struct str key, struct str value)
{
	return key.len > 2 && key.p[1] == '|';
}

static const struct {
	char kind;
	bool (*get)(struct fsck_box *b, struct str key, struct str value);
} box_records[] = {
	{ 'H', head_record },
	{ 'R', letter_record },
	{ 'C', change_record },
	{ 'D', dedup_record },
	{ 'I', mark_record },
	{ 'E', outline_record },
	{ 'V', vanished_record },
	{ 'K', keyword_record },
	{ 'P', copy_record },
};

static bool
box_record(void *arg, struct str key, struct str value)
{
	struct fsck_box *b = arg;
	b->f->report->records++;
	for (size_t i = 0; i < ARRAY_LEN(box_records); i++) {
		bool single = key.p[0] == 'H' || key.p[0] == 'K';
		if (key.p[0] != box_records[i].kind || (key.len > 1) == single)
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
letter_of(const struct fsck_box *b, uint32_t uid)
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
check_head(struct fsck_box *b)
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
check_counts(struct fsck_box *b)
{
	const struct mailbox_head *h = &b->head;
	uint32_t unseen = 0, deleted = 0;
	uint64_t flags = 0, bytes = 0;
	for (size_t i = 0; i < b->n_letters; i++) {
		unseen += !(b->letters[i].flags & MAILBOX_SEEN);
		deleted += (b->letters[i].flags & MAILBOX_DELETED) != 0;
		bytes += b->letters[i].flags & MAILBOX_DELETED ? b->letters[i].size : 0;
		flags |= b->letters[i].flags;
	}
	if (!h->uncounted && (h->unseen != unseen || h->deleted != deleted))
		fsck_problem(b->f,
		    BOX ": its header counts %u unseen letters and %u deleted ones, there are %u "
			"and %u",
		    BOX_ARG(b), h->unseen, h->deleted, unseen, deleted);
	if (!h->uncounted && h->deleted_bytes != bytes)
		fsck_problem(b->f,
		    BOX ": its header says that deleted letters have %llu octets, they have %llu",
		    BOX_ARG(b), (unsigned long long)h->deleted_bytes, (unsigned long long)bytes);
	if (h->vanished != b->vanished || b->last_vanished > h->modseq || h->floor > h->modseq)
		fsck_problem(b->f,
		    BOX ": what its header says of vanished letters (%u ranges) is not so (%llu)",
		    BOX_ARG(b), h->vanished, (unsigned long long)b->vanished);
	unsigned named = MAILBOX_KEYWORD_FIRST + b->keywords;
	if (named < 64 && flags >> named)
		fsck_problem(b->f, BOX ": a letter has a keyword without a name", BOX_ARG(b));
}

static void
check_outlines(struct fsck_box *b)
{
	for (size_t i = 0; i < b->n_outlines; i++)
		if (!letter_of(b, b->outlines[i]))
			fsck_problem(b->f,
			    BOX ": an outline of letter %u, which is not there; remove the "
				"directory `index` and start again",
			    BOX_ARG(b), b->outlines[i]);
}

static void
check_changes(struct fsck_box *b)
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
has_moved(const struct fsck_box *b, struct seen_letter *l)
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
check_refs(struct fsck_box *b)
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

void
fsck_box_judge(struct fsck_box *b)
{
	if (!b->has_head && (b->n_letters || b->n_changes))
		fsck_problem(b->f, BOX ": it has letters but no header", BOX_ARG(b));
	if (b->has_head)
		check_head(b);
	if (b->has_head)
		check_counts(b);
	check_outlines(b);
	check_changes(b);
	check_refs(b);
	b->f->report->mailboxes++;
	b->f->report->letters += b->n_letters;
}

/* It was deleted, and its mail is going: what is left of it matters to nobody. */
static bool
is_going(struct fsck *f, MDB_txn *txn, const struct store_dom *d)
{
	struct store_dom a = store_dom_account(be64_get(d->b + 1));
	struct str value;
	char key[6];
	return index_get(&f->ix, txn, &a, str_n(key, number_key(key, 'w', be32_get(d->b + 9))),
		   &value) == 0;
}

int
fsck_box_read(struct fsck *f, MDB_txn *txn, const struct store_dom *d, struct fsck_box *b)
{
	if (is_going(f, txn, d))
		return 0;
	*b = (struct fsck_box){
		.f = f, .txn = txn, .account = be64_get(d->b + 1), .mailbox = be32_get(d->b + 9)
	};
	return index_scan(&f->ix, txn, d, STR_NULL, STR_NULL, 0, false, box_record, b);
}

void
fsck_box_done(struct fsck_box *b)
{
	free(b->letters);
	free(b->changes);
	free(b->dedups);
	free(b->outlines);
}
