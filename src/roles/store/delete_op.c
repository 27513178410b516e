/*
 * mailbox.delete: takes letters out of a mailbox, in batches of their own, so that the mailbox
 * is of use meanwhile and what was deleted before an interruption stays deleted. Their octets
 * are freed by compaction.
 */
#include "roles/store/change.h"

#include "base/num.h"
#include "base/wire.h"
#include "roles/store/text.h"
#include "store/mailbox.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define RANGES_MAX 10000
#define SLICE 1000     /* letters of one batch */
#define LOOK_MAX 5000  /* letters looked at for one batch */
#define MARKS_MAX 2500 /* "D" records of one batch */

struct range {
	uint32_t from, to;
};

struct taken {
	uint32_t uid;
	uint64_t letter;
};

struct deletion {
	struct list node; /* role->deletions */
	struct store_role *role;
	struct desk_ask *ask;
	uint64_t account;
	uint32_t mailbox;
	uint64_t before_ms;
	struct range *range; /* ascending, not touching */
	size_t n_ranges, at;
	uint32_t next; /* uid to look at */
	uint64_t letters, octets;

	struct taken taken[SLICE];
	size_t n_taken, n_looked, n_marks;
	bool at_end;
	struct store_batch *batch;
};

static void
deletion_free(struct deletion *d)
{
	list_del(&d->node);
	free(d->range);
	free(d);
}

/* --- which letters: "7", "3-9", "3:9", "12-*", parted by commas --- */

static bool
uid_of(struct str s, uint32_t *ret)
{
	uint64_t v = UINT32_MAX;
	if (!str_eq(s, STR("*")) && (!num_u64(s, UINT32_MAX, &v) || v == 0))
		return false;
	*ret = (uint32_t)v;
	return true;
}

static int
by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	return (x->from > y->from) - (x->from < y->from);
}

static void
merge(struct deletion *d)
{
	size_t n = 0;
	qsort(d->range, d->n_ranges, sizeof(*d->range), by_start);
	for (size_t i = 0; i < d->n_ranges; i++) {
		if (n && d->range[i].from <= d->range[n - 1].to)
			d->range[n - 1].to = MAX(d->range[n - 1].to, d->range[i].to);
		else
			d->range[n++] = d->range[i];
	}
	d->n_ranges = n;
}

static bool
ranges_get(struct deletion *d, struct str text)
{
	size_t cap = 0;
	while (text.len) {
		struct str part = str_trim(str_cut(&text, ','));
		struct range r;
		size_t cut = str_find_any(part, ":-");
		if (!uid_of(str_trim(str_first(part, cut)), &r.from))
			return false;
		r.to = r.from;
		if (cut < part.len && !uid_of(str_trim(str_skip(part, cut + 1)), &r.to))
			return false;
		if (d->n_ranges == RANGES_MAX)
			return false;
		if (r.to < r.from) /* RFC 9051 9, seq-range: in either order */
			r = (struct range){ r.to, r.from };
		if (d->n_ranges == cap) {
			cap = cap ? cap * 2 : 8;
			d->range = xrealloc(d->range, cap * sizeof(*d->range));
		}
		d->range[d->n_ranges++] = r;
	}
	if (d->n_ranges)
		merge(d);
	return d->n_ranges > 0;
}

/* --- one slice --- */

static bool
look(void *arg, const struct mailbox_letter *l)
{
	struct deletion *d = arg;
	while (d->at < d->n_ranges && d->range[d->at].to < l->uid)
		d->at++;
	if (d->at == d->n_ranges)
		return false;
	if (d->n_taken == SLICE || ++d->n_looked > LOOK_MAX) {
		d->at_end = false;
		return false;
	}
	d->next = l->uid == UINT32_MAX ? l->uid : l->uid + 1;
	if (l->uid >= d->range[d->at].from && l->time_ms < d->before_ms)
		d->taken[d->n_taken++] = (struct taken){ l->uid, l->letter };
	return true;
}

struct marking {
	struct deletion *deletion;
	uint32_t uid;
};

static bool
mark_one(void *arg, struct str key, struct str value)
{
	struct marking *m = arg;
	struct deletion *d = m->deletion;
	if (value.len == 4 && be32_get((const unsigned char *)value.p) == m->uid &&
	    d->n_marks < MARKS_MAX) {
		store_del(d->batch, key);
		d->n_marks++;
	}
	return true;
}

/* The records that say the letter came: nothing would ever delete them later. */
static int
marks_delete(struct deletion *d, struct store_snap *sn, const struct taken *t)
{
	unsigned char from[11] = "D|", to[11] = "D|";
	be64_put(from + 2, t->letter);
	be64_put(to + 2, t->letter);
	from[10] = '|', to[10] = '|' + 1;
	return store_scan(sn, str_n(from, sizeof(from)), str_n(to, sizeof(to)), 0, false, mark_one,
	    &(struct marking){ d, t->uid });
}

/* For the letters' histories. */
static void
note(struct deletion *d)
{
	struct buf lines = BUF_INIT(STORE_NOTE_MAX);
	for (size_t i = 0; i < d->n_taken; i++)
		store_note_line(&lines, d->account, d->mailbox, d->taken[i].letter,
		    d->taken[i].uid);
	store_note(d->batch, &(struct store_note){ .kind = STORE_NOTE_MAILBOX,
				 .time_ms = (uint64_t)sys_wall_ms(),
				 .rcpts = buf_str(&lines),
				 .octets = STR("expunged by `pennypost mailbox delete`\n") });
	buf_done(&lines);
}

static int
slice(struct deletion *d)
{
	const struct store_dom dom = store_dom_mailbox(d->account, d->mailbox);
	struct store_snap *sn;
	uint64_t ver;
	d->n_taken = d->n_looked = d->n_marks = 0;
	d->at_end = true;
	int rc = store_snap_open(d->role->store, &dom, &sn, &ver);
	if (rc < 0)
		return rc;
	d->next = MAX(d->next, d->range[d->at].from);
	rc = mailbox_each(sn, d->next, look, d);
	d->batch = store_batch_new(d->role->store, &dom);
	for (size_t i = 0; rc == 0 && i < d->n_taken; i++) {
		mailbox_expunge(d->batch, d->taken[i].uid);
		rc = marks_delete(d, sn, &d->taken[i]);
	}
	if (d->n_taken)
		note(d);
	store_snap_close(sn);
	if (rc < 0 || d->n_taken == 0)
		d->batch = store_batch_free(d->batch);
	return rc;
}

static void
put_row(struct deletion *d)
{
	char num[3][TEXT_NUM];
	const struct str row[] = { text_u64(num[0], d->letters), text_u64(num[1], d->octets),
		text_u64(num[2], d->next) };
	desk_row(d->ask, row, ARRAY_LEN(row));
}

static void
failed(struct deletion *d, int rc)
{
	put_row(d);
	desk_done(d->ask, CTL_FAILED, "%llu letters were deleted, then it failed: %s%s",
	    (unsigned long long)d->letters, strerror(-rc),
	    rc == -ENOSPC ? "; make room and try again" : "; `pennypost fsck` looks for damage");
	deletion_free(d);
}

static void go_on(struct deletion *d);

static void
on_deleted(void *arg, const struct store_res *res)
{
	struct deletion *d = arg;
	writer_check(res->rc);
	if (res->rc < 0)
		return failed(d, res->rc);
	writer_usage_add(d->role, d->account, 0);
	d->letters += res->slot[0];
	d->octets += res->slot[1];
	if (!desk_full(d->ask))
		put_row(d);
	go_on(d);
}

/* Whoever interrupts the command means it. */
static void
go_on(struct deletion *d)
{
	if (d->role->settling)
		return;
	if (!desk_gone(d->ask) && !d->at_end) {
		int rc = slice(d);
		writer_check(rc);
		if (rc < 0)
			return failed(d, rc);
		if (d->n_taken)
			store_commit(d->batch, STORE_APPLIED, on_deleted, d);
		else
			store_sync(d->role->store, on_deleted, d); /* others first */
		d->batch = NULL;
		return;
	}
	put_row(d);
	desk_done(d->ask, CTL_OK, "%s", "");
	deletion_free(d);
}

/* --- the question --- */

static int
find_account(struct store_role *r, const char *name, uint64_t *ret)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	struct str value;
	uint64_t ver;
	int rc = store_snap_open(r->store, &dom, &sn, &ver);
	if (rc < 0)
		return rc;
	rc = names_get(sn, 'u', str_of(name), &value);
	if (rc == 0 && !names_account_get(value, ret))
		rc = -EBADMSG;
	store_snap_close(sn);
	return rc;
}

struct naming {
	struct str wanted;
	uint32_t found; /* 0: none */
};

/* INBOX in any case, other names as they are (RFC 9051 5.1). */
static bool
is_it(void *arg, uint32_t mailbox, struct str name)
{
	struct naming *n = arg;
	if (str_eq(name, n->wanted) ||
	    (mailbox == MAILBOX_INBOX && str_ieq(n->wanted, STR("INBOX"))))
		n->found = mailbox;
	return n->found == 0;
}

static int
find_mailbox(struct store_role *r, uint64_t account, struct str name, uint32_t *ret)
{
	const struct store_dom dom = store_dom_account(account);
	struct naming n = { .wanted = name };
	struct store_snap *sn;
	uint64_t ver;
	int rc = store_snap_open(r->store, &dom, &sn, &ver);
	if (rc < 0)
		return rc;
	rc = mailbox_list(sn, is_it, &n);
	store_snap_close(sn);
	*ret = n.found;
	return rc < 0 ? rc : n.found ? 0 : -ENOENT;
}

static bool
refuse(struct desk_ask *a, const struct msg_ask *m, const char *name, int rc, const char *what)
{
	if (rc == -ENOENT)
		desk_done(a, CTL_NOT_FOUND, "there is no %s " STR_FMT "; `pennypost %s` shows them",
		    what, STR_ARG(str_first(*what == 'u' ? str_of(name) : m->arg[1], 1024)),
		    *what == 'u' ? "user list" : "mailbox list ADDRESS");
	else
		desk_done(a, CTL_FAILED,
		    "the mailbox cannot be read: %s; `pennypost fsck` looks for damage",
		    strerror(-rc));
	return false;
}

/* False after the answer. */
static bool
begin(struct deletion *d, struct desk_ask *a, const struct msg_ask *m)
{
	char name[NAME_MAX_FOLDED];
	if (!names_user(m->arg[0], name, sizeof(name))) {
		desk_done(a, CTL_INVALID, "\"" STR_FMT "\" is no address; write local-part@domain",
		    STR_ARG(str_first(m->arg[0], 256)));
		return false;
	}
	if (!num_u64(m->arg[3], UINT64_MAX, &d->before_ms) || !ranges_get(d, m->arg[2])) {
		desk_done(a, CTL_INVALID,
		    "\"" STR_FMT "\" names no letters; write UIDs such as 7 or 3-9,12",
		    STR_ARG(str_first(m->arg[2], 256)));
		return false;
	}
	int rc = find_account(d->role, name, &d->account);
	writer_check(rc);
	if (rc < 0)
		return refuse(a, m, name, rc, "user");
	rc = find_mailbox(d->role, d->account, m->arg[1], &d->mailbox);
	writer_check(rc);
	return rc < 0 ? refuse(a, m, name, rc, "mailbox") : true;
}

void
writer_op_mailbox_delete(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct store_role *r = arg;
	struct deletion *d = xalloc(sizeof(*d));
	*d = (struct deletion){ .role = r, .ask = a, .next = 1 };
	list_add_tail(&r->deletions, &d->node);
	if (begin(d, a, m))
		go_on(d);
	else
		deletion_free(d);
}

/* After store_wait() and store_run(): no batch of ours is under way. */
void
writer_deletions_done(struct store_role *r)
{
	list_each(n, &r->deletions)
	{
		struct deletion *d = list_entry(n, struct deletion, node);
		desk_done(d->ask, CTL_FAILED, "the deletion is cut short: the server stops");
		deletion_free(d);
	}
}
