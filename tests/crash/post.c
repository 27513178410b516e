#include "post.h"

#include "base/check.h"
#include "store/mail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS 1780000000000u
#define OUTLINE_MAX 2048

/* --- what is there --- */

/* What the account holds as a model, and what of it contradicts itself. */
struct look {
	struct work *w;
	struct store_snap *sn;
	struct post_box *box;
	const char *name;
	uint32_t number[POST_BOXES]; /* of the mailboxes */
	uint32_t uid[POST_BOXES][POST_LETTERS_MAX];
	uint32_t at; /* which box */
	uint32_t word_of[64];
	struct mailbox_head want;
	uint64_t changes, modseq, last_change;
};

static bool
see_word(void *arg, unsigned bit, struct str name)
{
	struct look *k = arg;
	for (uint32_t i = 0; i < POST_WORDS; i++) {
		if (!str_eq(name, str_of(post_words[i])))
			continue;
		for (uint32_t j = 0; j < 64; j++)
			if (k->word_of[j] == 1u << i)
				return work_say(k->w, "%s: keyword %s has two bits", k->name,
				    post_words[i]);
		k->word_of[bit] = 1u << i;
		return true;
	}
	return work_say(k->w, "%s: a keyword that nobody has set", k->name);
}

static bool
is_whole(struct store *s, const struct mailbox_letter *l)
{
	size_t n = post_letter_size(l->letter);
	char *want = xalloc(n + 1), *got = xalloc(n + 1);
	plan_fill(want, n, l->letter);
	ssize_t r = mailbox_letter_read(s, l, 0, got, n + 1);
	bool same = l->size == n && r == (ssize_t)n && memcmp(want, got, n) == 0 &&
	            store_ref_check(s, &l->ref) == 0;
	free(want);
	free(got);
	return same;
}

static bool
outline_fits(const struct look *k, const struct mailbox_letter *l)
{
	char want[OUTLINE_MAX];
	struct str got;
	size_t n = post_outline_size(l->letter);
	int r = mail_get_outline(k->sn, l->uid, &got);
	plan_fill(want, n, l->letter);
	return r == -ENOENT || (r == 0 && str_eq(got, str_n(want, n)));
}

static bool
see_letter(void *arg, const struct mailbox_letter *l)
{
	struct look *k = arg;
	struct post_box *b = k->box;
	uint32_t words = 0;
	if (b->n == POST_LETTERS_MAX)
		return work_say(k->w, "%s: too many letters", k->name);
	for (unsigned i = 16; i < 64; i++) {
		if (!(l->flags >> i & 1))
			continue;
		if (!k->word_of[i])
			return work_say(k->w, "%s: UID %u has a keyword without a name", k->name,
			    l->uid);
		words |= k->word_of[i];
	}
	if (!is_whole(k->w->s, l))
		return work_say(k->w, "%s: UID %u is damaged", k->name, l->uid);
	if (!outline_fits(k, l))
		return work_say(k->w, "%s: the outline of UID %u is another's", k->name, l->uid);
	if (l->modseq > k->modseq)
		return work_say(k->w, "%s: UID %u is newer than the mailbox", k->name, l->uid);
	k->uid[k->at][b->n] = l->uid;
	b->l[b->n++] =
	    (struct post_letter){ l->letter, (uint32_t)l->flags & MAILBOX_FLAGS_SYSTEM, words };
	k->want.bytes += l->size;
	k->want.unseen += !(l->flags & MAILBOX_SEEN);
	k->want.deleted += (l->flags & MAILBOX_DELETED) != 0;
	k->want.deleted_bytes += l->flags & MAILBOX_DELETED ? l->size : 0;
	return true;
}

static bool
see_change(void *arg, const struct mail_meta *m)
{
	struct look *k = arg;
	k->changes++;
	if (m->modseq < k->last_change)
		return work_say(k->w, "%s: changes are not in order", k->name);
	k->last_change = m->modseq;
	return true;
}

static bool
see_vanished(void *arg, uint32_t first, uint32_t last)
{
	struct look *k = arg;
	for (uint32_t i = 0; i < k->box->n; i++)
		if (k->uid[k->at][i] >= first && k->uid[k->at][i] <= last)
			return work_say(k->w, "%s: UID %u vanished and is there", k->name,
			    k->uid[k->at][i]);
	k->want.vanished++;
	return true;
}

static bool
look_counts(struct look *k, const struct mailbox_head *h)
{
	const struct facts *f = &k->w->facts;
	uint32_t number = k->number[k->at];
	if (h->messages != k->box->n || h->bytes != k->want.bytes || h->unseen != k->want.unseen ||
	    h->deleted != k->want.deleted || h->deleted_bytes != k->want.deleted_bytes)
		return work_say(k->w, "%s: its header does not count its letters", k->name);
	if (k->changes != k->box->n)
		return work_say(k->w, "%s: %llu changes of %u letters", k->name,
		    (unsigned long long)k->changes, k->box->n);
	if (number < FACTS_BOXES &&
	    (h->uidnext <= f->top_uid[number] || h->modseq < f->top_modseq[number]))
		return work_say(k->w, "%s: UIDs or modseqs fall behind", k->name);
	uint32_t last = k->box->n ? k->uid[k->at][k->box->n - 1] : 0;
	return last < h->uidnext || work_say(k->w, "%s: uidnext is too small", k->name);
}

static bool
look_box(struct look *k)
{
	struct store_dom d = store_dom_mailbox(FACTS_POST, k->number[k->at]);
	struct mailbox_head h = { 0 };
	k->want = (struct mailbox_head){ 0 };
	k->changes = k->last_change = 0;
	memset(k->word_of, 0, sizeof(k->word_of));
	int r = store_snap_open(k->w->s, &d, &k->sn, NULL);
	if (r < 0 && k->w->may_fail)
		k->w->dead = true;
	if (r < 0)
		return k->w->may_fail || work_say(k->w, "%s: %s", k->name, strerror(-r));
	r = mailbox_head_read(k->sn, &h);
	bool none = r == -ENOENT; /* INBOX, before its first letter */
	k->modseq = h.modseq;
	r = none ? 0 : r;
	if (r == 0)
		r = mail_each_keyword(k->sn, see_word, k);
	if (r == 0)
		r = mailbox_each(k->sn, 1, see_letter, k);
	if (r == 0)
		r = mail_each_change(k->sn, 0, see_change, k);
	if (r == 0)
		r = mail_each_vanished(k->sn, h.floor, see_vanished, k);
	store_snap_close(k->sn);
	if (r < 0)
		return work_say(k->w, "%s: %s", k->name, strerror(-r));
	return !k->w->says[0] && (none ? k->box->n == 0 : look_counts(k, &h));
}

static bool
see_name(void *arg, const struct mail_name *n)
{
	struct look *k = arg;
	for (uint32_t i = 0; i < POST_BOXES; i++) {
		if (!str_eq(n->name, str_of(post_names[i])))
			continue;
		k->number[i] = n->mailbox;
		k->box[i].there = n->exists;
		k->box[i].subscribed = n->subscribed;
		if (n->exists && n->mailbox == 0)
			return work_say(k->w, "%s cannot be selected", post_names[i]);
	}
	return true;
}

/* there: filled. False: w->says what, or the store is dead. */
static bool
look(struct look *k, struct work *w, struct post *there)
{
	struct store_dom d = store_dom_account(FACTS_POST);
	*k = (struct look){ .w = w, .box = there->box };
	memset(there, 0, sizeof(*there));
	int r = store_snap_open(w->s, &d, &k->sn, NULL);
	if (r < 0) {
		w->dead = w->may_fail || !work_say(w, "a snapshot does not open: %s", strerror(-r));
		return false;
	}
	r = mail_each_name(k->sn, see_name, k);
	store_snap_close(k->sn);
	if (r < 0)
		return work_say(w, "names: %s", strerror(-r));
	for (k->at = 0; k->at < POST_BOXES; k->at++) {
		k->box = &there->box[k->at];
		k->name = post_names[k->at];
		if (k->box->there && !look_box(k))
			return false;
	}
	return !w->dead;
}

/* --- what must be there --- */

static struct post *
model(const struct work *w, struct post_op *op)
{
	struct post *p = post_new();
	for (uint32_t i = 0; i < w->facts.n; i++)
		if (w->facts.post[i] == POST_DONE && post_op(p, &w->plan, i, op))
			post_apply(p, op, w->facts.post_n[i]);
	return p;
}

static bool
same_letter(const struct post_letter *a, const struct post_letter *b)
{
	return a->id == b->id && a->flags == b->flags && a->words == b->words;
}

/* NULL, or in what they differ. */
static const char *
difference(const struct post *a, const struct post *b)
{
	static char says[200];
	for (uint32_t i = 0; i < POST_BOXES; i++) {
		const struct post_box *x = &a->box[i], *y = &b->box[i];
		if (x->there != y->there || x->subscribed != y->subscribed || x->n != y->n) {
			snprintf(says, sizeof(says), "%s is %u %u with %u letters, not %u %u %u",
			    post_names[i], y->there, y->subscribed, y->n, x->there, x->subscribed,
			    x->n);
			return says;
		}
		for (uint32_t j = 0; j < x->n; j++) {
			if (same_letter(&x->l[j], &y->l[j]))
				continue;
			snprintf(says, sizeof(says),
			    "%s, letter %u is %llx flags %x words %x, not %llx %x %x",
			    post_names[i], j, (unsigned long long)y->l[j].id, y->l[j].flags,
			    y->l[j].words, (unsigned long long)x->l[j].id, x->l[j].flags,
			    x->l[j].words);
			return says;
		}
	}
	return NULL;
}

static bool
may_be_half(const struct post_op *op, enum fact_post fact)
{
	return fact == POST_TORN || op->kind == POST_FLAGS || op->kind == POST_EXPUNGE;
}

/* Was operation i done, and for how many letters? */
static bool
resolve(struct work *w, uint32_t i, const struct post *there, struct post_op *op)
{
	struct post *p = model(w, op);
	bool can = post_op(p, &w->plan, i, op);
	check(can);
	uint32_t n = op->kind == POST_APPEND || op->n ? op->n : 1;
	bool half = may_be_half(op, w->facts.post[i]), found = false;
	for (uint32_t limit = 0; limit <= n && !found; limit++) {
		if (limit && limit < n && !half)
			continue;
		/* The longest that fits: a change that changes nothing counts as done. */
		uint32_t count = n - limit;
		struct post *q = xalloc(sizeof(*q));
		memcpy(q, p, sizeof(*q));
		post_apply(q, op, count);
		found = !difference(q, there);
		if (found)
			work_tell(w, NOTE_POST_DONE, i, count);
		free(q);
	}
	const char *why = difference(p, there);
	free(p);
	return found || work_say(w, "operation %u of kind %u (of %u letters) is half done: %s", i,
			    op->kind, n, why);
}

bool
post_judge(struct work *w)
{
	struct post *there = xalloc(sizeof(*there));
	struct look *k = xalloc(sizeof(*k));
	struct post_op *op = xalloc(sizeof(*op));
	bool good = !w->facts.account[FACTS_POST] || look(k, w, there);
	for (uint32_t i = 0; good && i < w->facts.n; i++)
		if (w->facts.post[i] == POST_ASKED || w->facts.post[i] == POST_TORN)
			good = resolve(w, i, there, op);
	if (good && w->facts.account[FACTS_POST]) {
		struct post *p = model(w, op);
		const char *why = difference(p, there);
		good = !why || work_say(w, "%s", why);
		free(p);
	}
	free(op);
	free(k);
	free(there);
	return good;
}

/* --- doing --- */

struct doing {
	struct work *w;
	uint32_t i, box; /* box: number of the mailbox that changes */
	enum post_kind kind;
};

static void
done(void *arg, const struct mail_result *res)
{
	struct doing *d = arg;
	struct work *w = d->w;
	w->under_way--;
	w->post_under_way = false;
	if (res->rc == 0) {
		uint32_t uid = res->n_to ? res->to[res->n_to - 1].last : 0;
		/* A move tells the modseq of the mailbox that the letters left. */
		if (d->box && d->box < FACTS_BOXES)
			work_tell(w, NOTE_POST_TOP, d->box,
			    (uint64_t)uid << 32 | (uid ? 0 : (uint32_t)res->modseq));
		work_tell(w, NOTE_POST_DONE, d->i, POST_ALL);
	} else if (work_right_failure(w, res->rc)) {
		work_tell(w, NOTE_POST_TORN, d->i, 0);
		w->post_stuck = true;
		w->dead |= res->rc == -EIO;
	} else {
		work_say(w, "operation %u of kind %u fails: %s", d->i, d->kind, strerror(-res->rc));
	}
	free(d);
}

static size_t
uids_of(const struct look *k, const struct post_op *op, struct mail_range *ret)
{
	for (uint32_t i = 0; i < op->n; i++)
		ret[i].first = ret[i].last = k->uid[op->from][op->at[i]];
	return op->n;
}

static size_t
words_of(const struct post_op *op, struct str ret[POST_WORDS])
{
	size_t n = 0;
	for (uint32_t i = 0; i < POST_WORDS; i++)
		if (op->words >> i & 1)
			ret[n++] = str_of(post_words[i]);
	return n;
}

static void
do_append(struct work *w, const struct post_op *op, const struct look *k, struct doing *d)
{
	struct mail_append a[POST_APPENDS];
	char outline[POST_APPENDS][OUTLINE_MAX];
	struct str words[POST_WORDS];
	size_t n_words = words_of(op, words);
	for (uint32_t i = 0; i < op->n; i++) {
		uint64_t id = post_letter_id(op->number, i);
		size_t n = post_letter_size(id);
		char *p = xalloc(n + 1);
		plan_fill(p, n, id);
		a[i] = (struct mail_append){ .letter = id,
			.body = store_body_new(w->s, id),
			.time_ms = NOW_MS,
			.flags = op->flags,
			.keywords = words,
			.n_keywords = n_words,
			.header_len = MIN(n, (size_t)10) };
		(void)store_body_write(a[i].body, str_n(p, n));
		if (op->r >> 50 & 1 && i == 0)
			(void)store_body_spill(a[i].body);
		if (op->r >> 51 & 1) {
			size_t len = post_outline_size(id);
			plan_fill(outline[i], len, id);
			a[i].outline = str_n(outline[i], len);
		}
		free(p);
	}
	d->box = k->number[op->to];
	mail_append(w->s, FACTS_POST, d->box, a, op->n, NOW_MS,
	    op->r >> 53 & 1 ? STORE_APPLIED : STORE_DURABLE, done, d);
}

static void
do_outlines(struct work *w, const struct post_op *op, const struct look *k,
    const struct post *there, struct doing *d)
{
	struct mail_outline o[50];
	static char text[50][OUTLINE_MAX];
	uint32_t n = MIN(op->n, 50u);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t id = there->box[op->from].l[op->at[i]].id;
		size_t len = post_outline_size(id);
		plan_fill(text[i], len, id);
		o[i] =
		    (struct mail_outline){ k->uid[op->from][op->at[i]], id, str_n(text[i], len) };
	}
	mail_put_outlines(w->s, FACTS_POST, k->number[op->from], o, n, done, d);
}

static void
do_letters(struct work *w, const struct post_op *op, const struct look *k, struct doing *d)
{
	struct mail_range uids[POST_LETTERS_MAX];
	struct str words[POST_WORDS];
	size_t n = uids_of(k, op, uids);
	enum store_level level = op->r >> 53 & 1 ? STORE_APPLIED : STORE_DURABLE;
	uint32_t from = k->number[op->from];
	d->box = from;
	if (op->kind == POST_FLAGS) {
		struct mail_flags f = { FACTS_POST, from, uids, n, op->how, op->flags, words, 0,
			false, 0, level };
		f.n_keywords = words_of(op, words);
		mail_store_flags(w->s, &f, done, d);
	} else if (op->kind == POST_EXPUNGE) {
		struct mail_expunge x = { FACTS_POST, from, uids, n, op->on, level };
		mail_expunge(w->s, &x, done, d);
	} else {
		d->box = k->number[op->to];
		struct mail_copy c = { FACTS_POST, from, d->box, uids, n, op->kind == POST_MOVE,
			NOW_MS, level };
		mail_copy(w->s, &c, done, d);
	}
}

static void
do_op(struct work *w, const struct post_op *op, const struct look *k, const struct post *there)
{
	struct str from = str_of(post_names[op->from]), to = str_of(post_names[op->to]);
	struct doing *d = xalloc(sizeof(*d));
	*d = (struct doing){ w, op->number, 0, op->kind };
	w->under_way++;
	w->post_under_way = true;
	work_tell(w, NOTE_POST_ASKED, op->number, 0);
	switch (op->kind) {
	case POST_APPEND:
		do_append(w, op, k, d);
		break;
	case POST_CREATE:
		mail_create(w->s, FACTS_POST, from, 0, done, d);
		break;
	case POST_DELETE:
		mail_delete(w->s, FACTS_POST, from, done, d);
		break;
	case POST_RENAME:
		mail_rename(w->s, FACTS_POST, from, to, done, d);
		break;
	case POST_SUBSCRIBE:
		mail_subscribe(w->s, FACTS_POST, from, op->on, done, d);
		break;
	case POST_OUTLINES:
		do_outlines(w, op, k, there, d);
		break;
	case POST_FLAGS:
	case POST_EXPUNGE:
	case POST_COPY:
	case POST_MOVE:
		do_letters(w, op, k, d);
		break;
	}
}

void
post_do(struct work *w, const struct plan_op *plan)
{
	struct post *there = xalloc(sizeof(*there));
	struct look *k = xalloc(sizeof(*k));
	struct post_op *op = xalloc(sizeof(*op));
	if (w->post_under_way)
		store_wait(w->s);
	if (!w->dead && !w->says[0] && !w->post_stuck && w->facts.account[FACTS_POST] &&
	    look(k, w, there) && post_op(there, &w->plan, plan_index(plan->letter), op))
		do_op(w, op, k, there);
	free(op);
	free(k);
	free(there);
}

static void
take_result(void *arg, const struct mail_result *res)
{
	*(int *)arg = res->rc;
}

bool
post_sweep(struct work *w)
{
	int rc = 1;
	mail_sweep(w->s, take_result, &rc);
	store_wait(w->s);
	w->post_stuck = rc != 0;
	return rc == 0 ||
	       (work_right_failure(w, rc) ? false : work_say(w, "mail_sweep: %s", strerror(-rc)));
}
