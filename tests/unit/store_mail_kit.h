/* What the tests of operations on mail share: calls that wait, and a mailbox as text. */
#pragma once

#include "base/wire.h"
#include "store/fsck.h"
#include "store/mail.h"
#include "store_kit.h"

#include <errno.h>

struct mail_got {
	struct mail_result res;
	char uids[512], to[512], failed[512];
};

static inline void
mail_say_ranges(char out[512], const struct mail_range *p, size_t n)
{
	size_t at = 0;
	out[0] = '\0';
	for (size_t i = 0; i < n && at < 480; i++)
		at += (size_t)(p[i].first == p[i].last
		                   ? snprintf(out + at, 512 - at, "%s%u", i ? "," : "", p[i].first)
		                   : snprintf(out + at, 512 - at, "%s%u:%u", i ? "," : "",
					 p[i].first, p[i].last));
}

static inline void
mail_take(void *arg, const struct mail_result *res)
{
	struct mail_got *g = arg;
	g->res = *res;
	mail_say_ranges(g->uids, res->uids, res->n_uids);
	mail_say_ranges(g->to, res->to, res->n_to);
	mail_say_ranges(g->failed, res->failed, res->n_failed);
}

/* "1:3,5,7:*" */
static inline size_t
mail_ranges(const char *text, struct mail_range *out, size_t max)
{
	size_t n = 0;
	while (*text && n < max) {
		char *end;
		out[n].first = (uint32_t)strtoul(text, &end, 10);
		out[n].last = out[n].first;
		if (*end == ':' && end[1] == '*')
			out[n].last = UINT32_MAX, end += 2;
		else if (*end == ':')
			out[n].last = (uint32_t)strtoul(end + 1, &end, 10);
		n++;
		text = *end == ',' ? end + 1 : end;
	}
	return n;
}

#define MAIL_ACCOUNT 1u
#define MAIL_NOW (KIT_TIME + 5000)

/* words: flags' initials ("S" "A" "F" "D" "T") and keywords, separated by blanks. */
static inline uint64_t
mail_flags_of(const char *words, struct str *names, size_t *ret_n)
{
	static const char letters[] = "SAFDT";
	struct str w = str_of(words);
	uint64_t flags = 0;
	*ret_n = 0;
	while (w.len) {
		struct str one = str_word(&w);
		const char *at = one.len == 1 ? strchr(letters, one.p[0]) : NULL;
		if (at && *at)
			flags |= 1u << (at - letters);
		else if (one.len)
			names[(*ret_n)++] = one;
		if (!one.len)
			break;
	}
	return flags;
}

static inline struct mail_got
mail_flag(struct store *s, uint32_t mailbox, const char *uids, enum mail_flags_op op,
    const char *words)
{
	struct mail_got g = { .res = { .rc = 1 } };
	struct mail_range r[64];
	struct str names[60];
	struct mail_flags f = {
		.account = MAIL_ACCOUNT, .mailbox = mailbox, .uids = r, .op = op, .keywords = names
	};
	f.n_uids = mail_ranges(uids, r, 64);
	f.flags = mail_flags_of(words, names, &f.n_keywords);
	mail_store_flags(s, &f, mail_take, &g);
	store_wait(s);
	return g;
}

static inline struct mail_got
mail_expunged(struct store *s, uint32_t mailbox, const char *uids, bool deleted_only)
{
	struct mail_got g = { .res = { .rc = 1 } };
	struct mail_range r[64];
	struct mail_expunge x = { .account = MAIL_ACCOUNT,
		.mailbox = mailbox,
		.uids = r,
		.deleted_only = deleted_only };
	x.n_uids = mail_ranges(uids, r, 64);
	mail_expunge(s, &x, mail_take, &g);
	store_wait(s);
	return g;
}

static inline struct mail_got
mail_copied(struct store *s, uint32_t from, uint32_t to, const char *uids, bool move)
{
	struct mail_got g = { .res = { .rc = 1 } };
	struct mail_range r[64];
	struct mail_copy c = { .account = MAIL_ACCOUNT,
		.from = from,
		.to = to,
		.uids = r,
		.move = move,
		.now_ms = MAIL_NOW };
	c.n_uids = mail_ranges(uids, r, 64);
	mail_copy(s, &c, mail_take, &g);
	store_wait(s);
	return g;
}

/* n letters of `size` octets, each with the flags and an outline "outline <id>". */
static inline struct mail_got
mail_appended(struct store *s, uint32_t mailbox, uint64_t id, size_t n, size_t size,
    const char *words)
{
	struct mail_got g = { .res = { .rc = 1 } };
	struct mail_append a[16];
	char outlines[16][32], *p = xalloc(size + 1);
	struct str names[60];
	size_t n_names;
	check(n <= 16);
	uint64_t flags = mail_flags_of(words, names, &n_names);
	for (size_t i = 0; i < n; i++) {
		kit_fill(p, size, id + i);
		snprintf(outlines[i], sizeof(outlines[i]), "outline %llu",
		    (unsigned long long)(id + i));
		a[i] = (struct mail_append){ .letter = id + i,
			.body = store_body_new(s, id + i),
			.time_ms = KIT_TIME,
			.flags = flags,
			.keywords = names,
			.n_keywords = n_names,
			.header_len = MIN(size, (size_t)10),
			.outline = str_of(outlines[i]) };
		check(store_body_write(a[i].body, str_n(p, size)) == 0);
	}
	mail_append(s, MAIL_ACCOUNT, mailbox, a, n, MAIL_NOW, STORE_DURABLE, mail_take, &g);
	store_wait(s);
	free(p);
	return g;
}

static inline struct mail_got
mail_created(struct store *s, const char *name, uint32_t special)
{
	struct mail_got g = { .res = { .rc = 1 } };
	mail_create(s, MAIL_ACCOUNT, str_of(name), special, mail_take, &g);
	store_wait(s);
	return g;
}

/* --- a mailbox as text --- */

struct mail_text {
	struct store *s;
	struct store_snap *sn;
	struct buf *out;
	uint32_t unseen, deleted;
	uint64_t n, bytes, changes;
	const char *wrong;
};

static inline bool
mail_text_keyword(void *arg, unsigned bit, struct str name)
{
	buf_putf(arg, "K%u=" STR_FMT " ", bit, STR_ARG(name));
	return true;
}

static inline bool
mail_text_letter(void *arg, const struct mailbox_letter *l)
{
	struct mail_text *t = arg;
	struct str outline = STR("-");
	mail_get_outline(t->sn, l->uid, &outline);
	buf_putf(t->out, "%u m%llu f%llx i%llu t%llu s%llu %llu o=" STR_FMT "\n", l->uid,
	    (unsigned long long)l->modseq, (unsigned long long)l->flags,
	    (unsigned long long)l->letter, (unsigned long long)l->time_ms,
	    (unsigned long long)l->saved_ms, (unsigned long long)l->size, STR_ARG(outline));
	t->unseen += !(l->flags & MAILBOX_SEEN);
	t->deleted += (l->flags & MAILBOX_DELETED) != 0;
	t->n++;
	t->bytes += l->size;
	if (store_ref_check(t->s, &l->ref) < 0)
		t->wrong = "a body cannot be read";
	return true;
}

static inline bool
mail_text_change(void *arg, const struct mail_meta *m)
{
	struct mail_text *t = arg;
	t->changes++;
	return m->uid != 0;
}

static inline bool
mail_text_vanished(void *arg, uint32_t first, uint32_t last)
{
	buf_putf(arg, "v%u:%u ", first, last);
	return true;
}

/* Everything of it; NULL, or what is wrong with it. */
static inline const char *
mail_box_text(struct store *s, uint32_t mailbox, struct buf *out)
{
	struct store_dom d = store_dom_mailbox(MAIL_ACCOUNT, mailbox);
	struct mail_text t = { .s = s, .out = out };
	struct mailbox_head h;
	check(store_snap_open(s, &d, &t.sn, NULL) == 0);
	int r = mailbox_head_read(t.sn, &h);
	if (r == -ENOENT) {
		store_snap_close(t.sn);
		buf_putz(out, "none\n");
		return NULL;
	}
	check(r == 0);
	buf_putf(out, "next %u modseq %llu n %llu bytes %llu unseen %u deleted %u floor %llu ",
	    h.uidnext, (unsigned long long)h.modseq, (unsigned long long)h.messages,
	    (unsigned long long)h.bytes, h.unseen, h.deleted, (unsigned long long)h.floor);
	check(mail_each_keyword(t.sn, mail_text_keyword, out) == 0);
	check(mail_each_vanished(t.sn, h.floor, mail_text_vanished, out) == 0);
	buf_putc(out, '\n');
	check(mailbox_each(t.sn, 1, mail_text_letter, &t) == 0);
	check(mail_each_change(t.sn, 0, mail_text_change, &t) == 0);
	store_snap_close(t.sn);
	if (t.n != h.messages || t.bytes != h.bytes || t.unseen != h.unseen ||
	    t.deleted != h.deleted)
		return "the header counts wrongly";
	return t.changes != t.n ? "changes are not as many as letters" : t.wrong;
}

/* Of a store that nobody in this process has open. */
static inline uint32_t
mail_problems(const char *dir)
{
	struct fsck_report r = { .text = BUF_INIT(1u << 20) };
	check(fsck_run(dir, &r, NULL, NULL) == 0);
	uint64_t n = r.problems;
	if (n)
		fprintf(stderr, "# " STR_FMT "\n", STR_ARG(buf_str(&r.text)));
	fsck_report_done(&r);
	return (uint32_t)n;
}

/* The same of one that is open, which it closes meanwhile; 0 for mem. */
static inline uint32_t
mail_problems_of(void **state)
{
	struct kit_lab *l = *state;
	if (!l->dir)
		return 0;
	store_close(l->s);
	uint32_t n = mail_problems(l->dir);
	l->s = kit_open(l->dir);
	return n;
}

/* An account of number 1. */
static inline void
mail_account(struct store *s)
{
	struct store_res r = { .rc = 1 };
	account_create(s, STR("alice@example.com"), kit_take, &r);
	store_wait(s);
	check(r.rc == 0 && r.slot[0] == MAIL_ACCOUNT);
}
