/*
 * An account in memory that answers what an IMAP session asks, and a driver that feeds a session
 * and carries its questions: whole, or in pieces of a given size.
 */
#pragma once

#include "access/access.h"
#include "base/check.h"
#include "crypt/crypt.h"
#include "dialect/access_words.h"
#include "imap/session.h"
#include "mail/imap_url.h"
#include "mail/outline.h"
#include "mail/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_UNUSED __attribute__((unused))
#define FAKE_BOXES 64
#define FAKE_PENDING 256

struct fake_letter {
	uint32_t uid, header_len, prefix_len;
	bool damaged;
	uint64_t modseq, time_ms, saved_ms, flags, id;
	struct buf octets, outline;
};
struct fake_gone {
	uint32_t uid;
	uint64_t modseq;
};
struct fake_box {
	uint32_t number, uidvalidity, uidnext;
	char *name;
	unsigned attrs;
	uint64_t modseq, floor;
	char *keyword[ACCESS_KEYWORDS];
	unsigned n_keywords;
	struct fake_letter *letter;
	size_t n_letters;
	struct fake_gone *gone;
	size_t n_gone;
	unsigned char key; /* of its URLs: so many times that octet; 0: none */
};
struct fake {
	struct fake_box box[FAKE_BOXES];
	size_t n_boxes;
	uint32_t last_number;
	uint64_t last_id, quota, now_ms;
	struct {
		uint64_t id;
		struct buf octets;
	} pending[FAKE_PENDING];
	size_t n_pending;
	size_t window;      /* rows in one answer; 0: many */
	size_t octets;      /* octets of letters in one answer; 0: many */
	unsigned reads, changes, dropped;
	unsigned char last_key;
	enum access_status fail; /* of every ask, when not OK */
	uint32_t kept[ACCESS_LETTERS_MAX];
};

static FAKE_UNUSED struct fake_box *
fake_box(struct fake *f, struct str name)
{
	for (size_t i = 0; i < f->n_boxes; i++)
		if (str_eq(str_of(f->box[i].name), name))
			return &f->box[i];
	return NULL;
}

static FAKE_UNUSED struct fake_box *
fake_box_number(struct fake *f, uint32_t number)
{
	for (size_t i = 0; i < f->n_boxes; i++)
		if (f->box[i].number == number && number)
			return &f->box[i];
	return NULL;
}

static int
fake_by_name(const void *a, const void *b)
{
	return str_cmp(str_of(((const struct fake_box *)a)->name),
	    str_of(((const struct fake_box *)b)->name));
}

/* Boxes stand in the order of their names. */
static FAKE_UNUSED struct fake_box *
fake_create(struct fake *f, struct str name, unsigned attrs)
{
	struct fake_box *b = fake_box(f, name);
	if (!b) {
		check(f->n_boxes < FAKE_BOXES);
		b = &f->box[f->n_boxes++];
		*b = (struct fake_box){ .name = str_dup(name) };
	}
	if (!(attrs & (ACCESS_NOSELECT | ACCESS_NONEXISTENT))) {
		b->number = ++f->last_number;
		b->uidvalidity = 1000 + b->number;
		b->uidnext = 1;
	}
	b->attrs = attrs | (b->attrs & ACCESS_SUBSCRIBED);
	qsort(f->box, f->n_boxes, sizeof(f->box[0]), fake_by_name);
	size_t at = str_rfind(name, '/');
	if (at < name.len && !(attrs & ACCESS_NONEXISTENT)) {
		struct str parent = str_first(name, at);
		if (!fake_box(f, parent))
			(void)fake_create(f, parent, ACCESS_NOSELECT);
		fake_box(f, parent)->attrs |= ACCESS_CHILDREN;
	}
	return fake_box(f, name);
}

static void
fake_letter_done(struct fake_letter *l)
{
	buf_done(&l->octets);
	buf_done(&l->outline);
}

static void
fake_box_done(struct fake_box *b)
{
	for (size_t i = 0; i < b->n_letters; i++)
		fake_letter_done(&b->letter[i]);
	for (unsigned i = 0; i < b->n_keywords; i++)
		free(b->keyword[i]);
	free(b->letter);
	free(b->gone);
	free(b->name);
}

static FAKE_UNUSED void
fake_init(struct fake *f)
{
	crypt_init(); /* of tokens */
	*f = (struct fake){ .now_ms = 1780000000000u };
	(void)fake_create(f, STR("INBOX"), 0);
}

static FAKE_UNUSED void
fake_done(struct fake *f)
{
	for (size_t i = 0; i < f->n_boxes; i++)
		fake_box_done(&f->box[i]);
	for (size_t i = 0; i < f->n_pending; i++)
		buf_done(&f->pending[i].octets);
	*f = (struct fake){ 0 };
}

/* --- letters --- */

static struct fake_letter *
fake_add(struct fake *f, struct fake_box *b)
{
	b->letter = xrealloc(b->letter, (b->n_letters + 1) * sizeof(*b->letter));
	struct fake_letter *l = &b->letter[b->n_letters++];
	*l = (struct fake_letter){ .uid = b->uidnext++, .modseq = b->modseq, .id = ++f->last_id };
	l->saved_ms = l->time_ms = f->now_ms;
	buf_init(&l->octets, SIZE_MAX / 2);
	buf_init(&l->outline, SIZE_MAX / 2);
	return l;
}

/* As one that comes by SMTP. */
static FAKE_UNUSED uint32_t
fake_deliver(struct fake *f, struct str box, struct str octets, uint64_t flags)
{
	static const struct scan_limits no_limits = { UINT64_MAX, UINT64_MAX };
	struct fake_box *b = fake_box(f, box);
	struct scan scan;
	b->modseq++;
	struct fake_letter *l = fake_add(f, b);
	buf_puts(&l->octets, octets);
	l->flags = flags;
	scan_init(&scan, &no_limits);
	scan_feed(&scan, octets);
	scan_end(&scan);
	l->header_len = (uint32_t)MIN(scan.header_len + 2, (uint64_t)octets.len);
	struct outline_builder *o = outline_new(NULL);
	outline_feed(o, octets);
	(void)outline_end(o, STR_NULL, &l->outline);
	outline_free(o);
	return l->uid;
}

static FAKE_UNUSED struct fake_letter *
fake_letter(struct fake_box *b, uint32_t uid)
{
	for (size_t i = 0; i < b->n_letters; i++)
		if (b->letter[i].uid == uid)
			return &b->letter[i];
	return NULL;
}

static FAKE_UNUSED void
fake_flag(struct fake *f, struct str box, uint32_t uid, uint64_t flags)
{
	struct fake_box *b = fake_box(f, box);
	struct fake_letter *l = fake_letter(b, uid);
	l->flags = flags;
	l->modseq = ++b->modseq;
}

static void
fake_remove_at(struct fake_box *b, size_t i)
{
	b->gone = xrealloc(b->gone, (b->n_gone + 1) * sizeof(*b->gone));
	b->gone[b->n_gone++] = (struct fake_gone){ b->letter[i].uid, b->modseq };
	fake_letter_done(&b->letter[i]);
	memmove(&b->letter[i], &b->letter[i + 1], (b->n_letters - i - 1) * sizeof(*b->letter));
	b->n_letters--;
}

static FAKE_UNUSED void
fake_expunge(struct fake *f, struct str box, uint32_t uid)
{
	struct fake_box *b = fake_box(f, box);
	b->modseq++;
	for (size_t i = 0; i < b->n_letters; i++)
		if (b->letter[i].uid == uid)
			fake_remove_at(b, i--);
}

/* --- reading --- */

static void
fake_put_box(struct fake_box *b, struct buf *out)
{
	struct access_mailbox m = { .mailbox = b->number,
		.name = str_of(b->name),
		.attrs = b->attrs,
		.uidvalidity = b->uidvalidity,
		.uidnext = b->uidnext,
		.modseq = b->modseq,
		.messages = b->n_letters };
	for (size_t i = 0; i < b->n_letters; i++) {
		const struct fake_letter *l = &b->letter[i];
		m.unseen += !(l->flags & ACCESS_SEEN);
		m.deleted += (l->flags & ACCESS_DELETED) != 0;
		m.deleted_bytes += l->flags & ACCESS_DELETED ? l->octets.len : 0;
		m.bytes += l->octets.len;
		if (!m.first_unseen && !(l->flags & ACCESS_SEEN))
			m.first_unseen = (uint32_t)i + 1;
	}
	access_mailbox_put(out, &m);
}

static void
fake_put_keywords(struct fake_box *b, struct buf *out)
{
	struct access_keywords k = { .n = (uint16_t)b->n_keywords };
	for (unsigned i = 0; i < b->n_keywords; i++)
		k.name[i] = str_of(b->keyword[i]);
	access_keywords_put(out, &k);
}

struct fake_window {
	struct fake *f;
	const struct access_ask *a;
	struct access_head head;
	struct buf rows;
	size_t n;
};

static bool
fake_full(struct fake_window *w)
{
	size_t max = w->f->window ? w->f->window : 4096;
	return w->n++ >= max || w->rows.len > ACCESS_WINDOW - 8192;
}

static enum access_status
fake_mailboxes(struct fake_window *w, struct fake_box *b)
{
	for (size_t i = 0; i < w->f->n_boxes; i++) {
		struct str name = str_of(w->f->box[i].name);
		if (w->a->from.name.len && str_cmp(name, w->a->from.name) <= 0)
			continue;
		if (fake_full(w)) {
			w->head.more = true;
			break;
		}
		fake_put_box(&w->f->box[i], &w->rows);
		w->head.next.name = name;
	}
	return ACCESS_OK;
}

static enum access_status
fake_open(struct fake_window *w, struct fake_box *b)
{
	b = fake_box(w->f, w->a->name);
	if (!b || (b->attrs & ACCESS_NONEXISTENT))
		return ACCESS_NOT_FOUND;
	if (b->attrs & ACCESS_NOSELECT)
		return ACCESS_CANNOT;
	fake_put_box(b, &w->rows);
	fake_put_keywords(b, &w->rows);
	w->head.modseq = b->modseq;
	return ACCESS_OK;
}

static enum access_status
fake_uids(struct fake_window *w, struct fake_box *b)
{
	struct uidset set = { 0 };
	for (size_t i = 0; i < b->n_letters; i++)
		uidset_add(&set, b->letter[i].uid, b->letter[i].uid);
	for (size_t i = 0; i < b->n_gone; i++)
		if (b->gone[i].modseq > w->a->since)
			uidset_add(&set, b->gone[i].uid, b->gone[i].uid);
	uidset_remove(&set, MAX(w->a->uidnext, 1), UINT32_MAX);
	if (w->a->from.uid > 1)
		uidset_remove(&set, 1, w->a->from.uid - 1);
	if (w->f->window && set.n > w->f->window) {
		w->head.more = true;
		w->head.next.uid = set.r[w->f->window].first;
		uidset_remove(&set, set.r[w->f->window].first, UINT32_MAX);
	}
	uidset_put(&w->rows, &set);
	uidset_done(&set);
	return ACCESS_OK;
}

static void
fake_meta(const struct fake_letter *l, struct access_letter *ret)
{
	*ret = (struct access_letter){ .uid = l->uid,
		.modseq = l->modseq,
		.time_ms = l->time_ms,
		.saved_ms = l->saved_ms,
		.size = l->octets.len,
		.flags = l->flags,
		.letter = l->id,
		.prefix_len = l->prefix_len,
		.header_len = l->header_len,
		.damaged = l->damaged };
}

static void
fake_part(const struct access_ask *a, const struct fake_letter *l, struct access_letter *ret)
{
	struct str s = buf_str(&l->octets);
	if (a->part == ACCESS_PART_HEADER)
		s = str_first(s, l->header_len);
	else if (a->part == ACCESS_PART_TEXT)
		s = str_skip(s, l->header_len);
	else if (a->part == ACCESS_PART_INNER)
		s = str_skip(s, l->prefix_len);
	if (l->damaged)
		s = STR_NULL;
	s = str_skip(s, (size_t)MIN(a->off, (uint64_t)s.len));
	s = str_first(s, (size_t)MIN(a->len, (uint64_t)s.len));
	ret->part_len = s.len;
	ret->at = l->uid == a->from.uid ? a->from.n : 0;
	ret->octets = str_skip(s, (size_t)MIN(ret->at, (uint64_t)s.len));
}

static enum access_status
fake_letters(struct fake_window *w, struct fake_box *b)
{
	struct uidset uids = { 0 };
	size_t given = 0;
	if (!uidset_get(w->a->uids, &uids))
		return ACCESS_BAD;
	for (size_t i = 0; i < b->n_letters; i++) {
		const struct fake_letter *l = &b->letter[i];
		struct access_letter row;
		if (l->uid < w->a->from.uid || l->modseq <= w->a->since ||
		    (w->a->uids.len && !uidset_has(&uids, l->uid)))
			continue;
		if (fake_full(w)) {
			w->head.more = true;
			w->head.next.uid = l->uid;
			break;
		}
		fake_meta(l, &row);
		if (w->a->what & ACCESS_OUTLINE)
			row.outline = buf_str(&l->outline);
		if (w->a->what & ACCESS_OCTETS)
			fake_part(w->a, l, &row);
		size_t room = ACCESS_WINDOW - 4096 - MIN(w->rows.len, (size_t)ACCESS_WINDOW - 4096);
		if (w->f->octets)
			room = w->f->octets - MIN(w->f->octets, given);
		bool cut = row.octets.len > room;
		if (cut)
			row.octets.len = room;
		given += row.octets.len;
		access_letter_put(&w->rows, &row);
		if (cut) {
			w->head.more = true;
			w->head.next = (struct access_from){ .uid = l->uid,
				.n = row.at + row.octets.len };
			break;
		}
	}
	w->head.modseq = b->modseq;
	uidset_done(&uids);
	return ACCESS_OK;
}

static int
fake_by_modseq(const void *a, const void *b)
{
	const struct access_change_row *x = a, *y = b;
	uint32_t u = x->vanished ? x->first : x->letter.uid;
	uint32_t v = y->vanished ? y->first : y->letter.uid;
	if (x->modseq != y->modseq)
		return x->modseq < y->modseq ? -1 : 1;
	return (u > v) - (u < v);
}

static enum access_status
fake_changes(struct fake_window *w, struct fake_box *b)
{
	size_t n = 0;
	struct access_change_row *r = xalloc((b->n_letters + b->n_gone + 1) * sizeof(*r));
	fake_put_box(b, &w->rows);
	fake_put_keywords(b, &w->rows);
	access_floor_put(&w->rows, b->floor);
	for (size_t i = 0; i < b->n_letters; i++) {
		if (b->letter[i].modseq <= w->a->since)
			continue;
		r[n].modseq = b->letter[i].modseq;
		fake_meta(&b->letter[i], &r[n++].letter);
	}
	for (size_t i = 0; i < b->n_gone; i++)
		if (b->gone[i].modseq > w->a->since && b->gone[i].modseq > b->floor)
			r[n++] = (struct access_change_row){ .modseq = b->gone[i].modseq,
				.vanished = true,
				.first = b->gone[i].uid,
				.last = b->gone[i].uid };
	qsort(r, n, sizeof(*r), fake_by_modseq);
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = r[i].vanished ? r[i].first : r[i].letter.uid;
		if (r[i].modseq < w->a->from.n ||
		    (r[i].modseq == w->a->from.n && uid < w->a->from.uid))
			continue;
		if (fake_full(w)) {
			w->head.more = true;
			w->head.next = (struct access_from){ .uid = uid, .n = r[i].modseq };
			break;
		}
		access_change_row_put(&w->rows, &r[i]);
	}
	w->head.modseq = b->modseq;
	free(r);
	return ACCESS_OK;
}

static uint64_t
fake_used(const struct fake *f, uint64_t *ret_letters)
{
	uint64_t used = 0, n = 0;
	for (size_t i = 0; i < f->n_boxes; i++)
		for (size_t k = 0; k < f->box[i].n_letters; k++, n++)
			used += f->box[i].letter[k].octets.len;
	*ret_letters = n;
	return used;
}

static enum access_status
fake_quota(struct fake_window *w, struct fake_box *b)
{
	struct access_quota q = { .limit = w->f->quota };
	q.used = fake_used(w->f, &q.messages);
	access_quota_put(&w->rows, &q);
	return ACCESS_OK;
}

/* This account is joe's, and the server example.net. */
static bool
fake_is_joe(struct str user)
{
	return str_ieq(user, STR("joe@example.net")) || str_ieq(user, STR("joe"));
}

static enum access_status
fake_by_url(struct fake_window *w, struct imap_url *u, struct fake_box **ret)
{
	if (imap_url_parse(w->a->url, u))
		return ACCESS_BAD;
	if (!str_iends(u->host, STR("example.net")))
		return ACCESS_CANNOT;
	if (!fake_is_joe(u->user))
		return ACCESS_DENIED;
	*ret = fake_box(w->f, u->mailbox);
	return *ret && (*ret)->number ? ACCESS_OK : ACCESS_NOT_FOUND;
}

static void
fake_key(const struct fake_box *b, char key[IMAP_URL_KEY_LEN])
{
	memset(key, b->key, IMAP_URL_KEY_LEN);
}

static enum access_status
fake_token(struct fake_window *w, struct fake_box *b)
{
	struct imap_url u;
	char key[IMAP_URL_KEY_LEN], token[IMAP_URL_TOKEN_LEN];
	enum access_status status = fake_by_url(w, &u, &b);
	if (status != ACCESS_OK)
		return status;
	struct access_token t = { .mailbox = b->number };
	fake_key(b, key);
	imap_url_token(str_n(key, sizeof(key)), w->a->url, token);
	if (b->key)
		t.token = str_n(token, sizeof(token));
	access_token_put(&w->rows, &t);
	return ACCESS_OK;
}

static enum access_status
fake_url(struct fake_window *w, struct fake_box *b)
{
	struct imap_url u;
	char key[IMAP_URL_KEY_LEN];
	enum access_status status = fake_by_url(w, &u, &b);
	if (status != ACCESS_OK)
		return status == ACCESS_NOT_FOUND ? ACCESS_DENIED : status;
	fake_key(b, key);
	bool may = u.access == IMAP_URL_SUBMIT ? w->a->submit : true;
	if (!b->key || !imap_url_authentic(&u, str_n(key, sizeof(key))) || !may ||
	    (u.may.len && !fake_is_joe(u.may)))
		return ACCESS_DENIED;
	if (u.uidvalidity && u.uidvalidity != b->uidvalidity)
		return ACCESS_NOT_FOUND;
	struct buf uids = BUF_INIT(8);
	struct access_ask by_uid = *w->a;
	struct uid_range range = { u.uid, u.uid };
	uidset_put(&uids, &(struct uidset){ .r = &range, .n = 1 });
	by_uid.uids = buf_str(&uids);
	w->a = &by_uid;
	status = fake_letters(w, b);
	buf_done(&uids);
	return status;
}

static FAKE_UNUSED enum access_status
fake_read(struct fake *f, const struct access_ask *asked, struct buf *out)
{
	static enum access_status (*const kinds[])(struct fake_window *, struct fake_box *) = {
		[ACCESS_MAILBOXES] = fake_mailboxes,
		[ACCESS_OPEN] = fake_open,
		[ACCESS_UIDS] = fake_uids,
		[ACCESS_LETTERS] = fake_letters,
		[ACCESS_CHANGES] = fake_changes,
		[ACCESS_QUOTA] = fake_quota,
		[ACCESS_TOKEN] = fake_token,
		[ACCESS_URL] = fake_url,
	};
	/* As it goes over the wire. */
	struct buf wire = BUF_INIT(ACCESS_ASK_MAX);
	struct access_ask a;
	access_ask_put(&wire, asked);
	check(!wire.failed && access_ask_get(buf_str(&wire), &a));
	struct fake_window w = { .f = f, .a = &a, .rows = BUF_INIT(2 * ACCESS_WINDOW) };
	struct fake_box *b = fake_box_number(f, a.mailbox);
	bool numbered = a.kind == ACCESS_UIDS || a.kind == ACCESS_LETTERS || a.kind == ACCESS_CHANGES;
	f->reads++;
	enum access_status status = f->fail;
	if (status == ACCESS_OK)
		status = numbered && !b ? ACCESS_NOT_FOUND : kinds[a.kind](&w, b);
	access_head_put(out, &w.head);
	buf_puts(out, buf_str(&w.rows));
	buf_done(&w.rows);
	buf_done(&wire);
	return status;
}

/* --- writing --- */

struct fake_job {
	struct fake *f;
	const struct access_change *c;
	struct fake_box *b;
	struct uidset uids, done, failed;
	struct buf to;
	struct access_changed ret;
};

static bool
fake_wants(const struct fake_job *j, uint32_t uid)
{
	return j->c->uids.len == 0 || uidset_has(&j->uids, uid);
}

static uint64_t
fake_keyword(struct fake_box *b, struct str name, bool create)
{
	for (unsigned i = 0; i < b->n_keywords; i++)
		if (str_ieq(str_of(b->keyword[i]), name))
			return (uint64_t)1 << (ACCESS_KEYWORD_BIT + i);
	if (!create || b->n_keywords == ACCESS_KEYWORDS)
		return 0;
	b->keyword[b->n_keywords++] = str_dup(name);
	return (uint64_t)1 << (ACCESS_KEYWORD_BIT + b->n_keywords - 1);
}

static uint64_t
fake_bits(struct fake_box *b, uint64_t flags, struct str keywords, bool create)
{
	struct str name;
	while (access_keyword_next(&keywords, &name))
		flags |= fake_keyword(b, name, create);
	return flags;
}

static enum access_status
fake_flags(struct fake_job *j)
{
	uint64_t bits =
	    fake_bits(j->b, j->c->flags, j->c->keywords, j->c->mode != ACCESS_REMOVE);
	uint64_t modseq = j->b->modseq + 1;
	for (size_t i = 0; i < j->b->n_letters; i++) {
		struct fake_letter *l = &j->b->letter[i];
		if (!fake_wants(j, l->uid))
			continue;
		if (l->modseq > j->c->unchanged_since) {
			uidset_add(&j->failed, l->uid, l->uid);
			continue;
		}
		uint64_t now = j->c->mode == ACCESS_ADD    ? l->flags | bits
		               : j->c->mode == ACCESS_REMOVE ? l->flags & ~bits
		                                           : bits;
		if (now == l->flags)
			continue;
		l->flags = now;
		l->modseq = j->b->modseq = modseq;
		uidset_add(&j->done, l->uid, l->uid);
	}
	j->ret.modseq = j->b->modseq;
	return ACCESS_OK;
}

static enum access_status
fake_do_expunge(struct fake_job *j)
{
	uint64_t modseq = j->b->modseq + 1;
	for (size_t i = 0; i < j->b->n_letters; i++) {
		const struct fake_letter *l = &j->b->letter[i];
		if (!fake_wants(j, l->uid) ||
		    (j->c->only_deleted && !(l->flags & ACCESS_DELETED)))
			continue;
		j->b->modseq = modseq;
		uidset_add(&j->done, l->uid, l->uid);
		fake_remove_at(j->b, i--);
	}
	j->ret.modseq = j->b->modseq;
	return ACCESS_OK;
}

static void
fake_to(struct fake_job *j, const struct fake_box *to, uint32_t uid)
{
	put_u32(&j->to, uid);
	put_u32(&j->to, uid);
	j->ret.uidvalidity = to->uidvalidity;
	j->ret.mailbox = to->number;
	j->ret.modseq = to->modseq;
}

static enum access_status
fake_target(struct fake_job *j, struct fake_box **ret)
{
	*ret = fake_box(j->f, j->c->name);
	if (!*ret || ((*ret)->attrs & ACCESS_NONEXISTENT))
		return ACCESS_NOT_FOUND;
	return (*ret)->attrs & ACCESS_NOSELECT ? ACCESS_CANNOT : ACCESS_OK;
}

static enum access_status
fake_copy(struct fake_job *j)
{
	struct fake_box *to;
	enum access_status status = fake_target(j, &to);
	if (status != ACCESS_OK)
		return status;
	size_t n = j->b->n_letters;
	to->modseq++;
	for (size_t i = 0; i < n; i++) {
		if (!fake_wants(j, j->b->letter[i].uid))
			continue;
		struct fake_letter *l = fake_add(j->f, to);
		const struct fake_letter *from = &j->b->letter[i];
		buf_puts(&l->octets, buf_str(&from->octets));
		buf_puts(&l->outline, buf_str(&from->outline));
		l->header_len = from->header_len;
		l->flags = fake_bits(to, from->flags & ACCESS_SYSTEM, STR_NULL, false);
		for (unsigned k = 0; k < j->b->n_keywords; k++)
			if (from->flags >> (ACCESS_KEYWORD_BIT + k) & 1)
				l->flags |= fake_keyword(to, str_of(j->b->keyword[k]), true);
		l->time_ms = from->time_ms;
		l->id = from->id;
		uidset_add(&j->done, from->uid, from->uid);
		fake_to(j, to, l->uid);
	}
	for (size_t i = 0; j->c->kind == ACCESS_MOVE && i < j->b->n_letters; i++) {
		if (!uidset_has(&j->done, j->b->letter[i].uid))
			continue;
		j->b->modseq = MAX(j->b->modseq, to->modseq) + 1;
		fake_remove_at(j->b, i--);
	}
	return ACCESS_OK;
}

static enum access_status
fake_append(struct fake_job *j)
{
	struct fake_box *to;
	enum access_status status = fake_target(j, &to);
	struct wire w = wire_of(j->c->letters);
	if (status != ACCESS_OK)
		return status;
	to->modseq++;
	for (unsigned n = 0; n < j->c->n_letters; n++) {
		struct access_new a;
		size_t p = 0;
		check(access_new_get(&w, &a));
		while (p < j->f->n_pending && j->f->pending[p].id != a.id)
			p++;
		check(p < j->f->n_pending && j->f->pending[p].octets.len == a.size);
		struct fake_letter *l = fake_add(j->f, to);
		l->id = a.id;
		buf_puts(&l->octets, buf_str(&j->f->pending[p].octets));
		buf_puts(&l->outline, a.outline);
		l->flags = fake_bits(to, a.flags, a.keywords, true);
		l->time_ms = a.time_ms;
		l->header_len = (uint32_t)MIN(a.header_len + 2, l->octets.len);
		buf_done(&j->f->pending[p].octets);
		j->f->pending[p] = j->f->pending[--j->f->n_pending];
		fake_to(j, to, l->uid);
	}
	return ACCESS_OK;
}

/* With its parents. */
static bool
fake_crowded(const struct fake *f)
{
	return f->n_boxes + 33 > FAKE_BOXES;
}

static enum access_status
fake_do_create(struct fake_job *j)
{
	struct fake_box *b = fake_box(j->f, j->c->name);
	if (b && !(b->attrs & (ACCESS_NOSELECT | ACCESS_NONEXISTENT)))
		return ACCESS_EXISTS;
	if (fake_crowded(j->f))
		return ACCESS_LIMIT;
	unsigned children = b ? b->attrs & ACCESS_CHILDREN : 0;
	b = fake_create(j->f, j->c->name, j->c->attrs | children);
	j->ret.mailbox = b->number;
	j->ret.uidvalidity = b->uidvalidity;
	return ACCESS_OK;
}

static void
fake_drop_box(struct fake *f, struct fake_box *b)
{
	fake_box_done(b);
	memmove(b, b + 1, (size_t)(&f->box[f->n_boxes] - (b + 1)) * sizeof(*b));
	f->n_boxes--;
}

static enum access_status
fake_delete(struct fake_job *j)
{
	struct fake_box *b = fake_box(j->f, j->c->name);
	if (!b)
		return ACCESS_NOT_FOUND;
	if (str_eq(j->c->name, STR("INBOX")) || (b->attrs & ACCESS_CHILDREN))
		return ACCESS_CANNOT;
	fake_drop_box(j->f, b);
	return ACCESS_OK;
}

/* RFC 9051 6.3.6: its letters go, it stays. */
static enum access_status
fake_rename_inbox(struct fake *f, struct str name)
{
	if (fake_crowded(f))
		return ACCESS_LIMIT;
	struct fake_box *to = fake_create(f, name, 0), *b = fake_box(f, STR("INBOX"));
	for (; b->n_letters; fake_expunge(f, STR("INBOX"), b->letter[0].uid)) {
		struct fake_letter *l = fake_add(f, to);
		buf_puts(&l->octets, buf_str(&b->letter[0].octets));
		buf_puts(&l->outline, buf_str(&b->letter[0].outline));
		l->header_len = b->letter[0].header_len;
		l->flags = b->letter[0].flags & ACCESS_SYSTEM;
		l->id = b->letter[0].id;
	}
	return ACCESS_OK;
}

static enum access_status
fake_rename(struct fake_job *j)
{
	struct fake_box *b = fake_box(j->f, j->c->name);
	if (!b)
		return ACCESS_NOT_FOUND;
	if (fake_box(j->f, j->c->to))
		return ACCESS_EXISTS;
	if (str_eq(j->c->name, STR("INBOX")))
		return fake_rename_inbox(j->f, j->c->to);
	free(b->name);
	b->name = str_dup(j->c->to);
	qsort(j->f->box, j->f->n_boxes, sizeof(j->f->box[0]), fake_by_name);
	return ACCESS_OK;
}

static enum access_status
fake_subscribe(struct fake_job *j)
{
	struct fake_box *b = fake_box(j->f, j->c->name);
	bool on = j->c->kind == ACCESS_SUBSCRIBE;
	if (!b && on && fake_crowded(j->f))
		return ACCESS_LIMIT;
	if (!b && on)
		b = fake_create(j->f, j->c->name, ACCESS_NONEXISTENT);
	if (b)
		b->attrs = on ? b->attrs | ACCESS_SUBSCRIBED
		              : b->attrs & ~(unsigned)ACCESS_SUBSCRIBED;
	if (b && (b->attrs & ACCESS_NONEXISTENT) && !on)
		fake_drop_box(j->f, b);
	return ACCESS_OK;
}

static enum access_status
fake_outlines(struct fake_job *j)
{
	struct wire w = wire_of(j->c->letters);
	struct access_new a;
	for (unsigned n = 0; n < j->c->n_letters && access_new_get(&w, &a); n++) {
		struct fake_letter *l = fake_letter(j->b, (uint32_t)a.id);
		if (l && l->outline.len == 0)
			buf_puts(&l->outline, a.outline);
	}
	return ACCESS_OK;
}

static enum access_status
fake_make_key(struct fake_job *j)
{
	for (size_t i = 0; j->c->mode == ACCESS_REMOVE && i < j->f->n_boxes; i++)
		j->f->box[i].key = 0;
	if (j->c->mode == ACCESS_REMOVE)
		return ACCESS_OK;
	struct fake_box *b = j->c->name.len ? fake_box(j->f, j->c->name) : j->b;
	if (!b || !b->number)
		return ACCESS_NOT_FOUND;
	if (!b->key || j->c->mode == ACCESS_REPLACE)
		b->key = ++j->f->last_key ? j->f->last_key : ++j->f->last_key;
	return ACCESS_OK;
}

static void
fake_job_done(struct fake_job *j, struct buf *out)
{
	struct buf uids = BUF_INIT(SIZE_MAX / 2), failed = BUF_INIT(SIZE_MAX / 2);
	uidset_put(&uids, &j->done);
	uidset_put(&failed, &j->failed);
	j->ret.uids = buf_str(&uids);
	j->ret.failed = buf_str(&failed);
	j->ret.to_uids = buf_str(&j->to);
	access_changed_put(out, &j->ret);
	buf_done(&uids);
	buf_done(&failed);
	buf_done(&j->to);
	uidset_done(&j->uids);
	uidset_done(&j->done);
	uidset_done(&j->failed);
}

static FAKE_UNUSED enum access_status
fake_change(struct fake *f, const struct access_change *asked, struct buf *out)
{
	static const struct {
		enum access_status (*run)(struct fake_job *);
		bool numbered;
	} kinds[ACCESS_CHANGE_COUNT] = {
		[ACCESS_FLAGS] = { fake_flags, true },
		[ACCESS_EXPUNGE] = { fake_do_expunge, true },
		[ACCESS_COPY] = { fake_copy, true },
		[ACCESS_MOVE] = { fake_copy, true },
		[ACCESS_APPEND] = { fake_append, false },
		[ACCESS_CREATE] = { fake_do_create, false },
		[ACCESS_DELETE] = { fake_delete, false },
		[ACCESS_RENAME] = { fake_rename, false },
		[ACCESS_SUBSCRIBE] = { fake_subscribe, false },
		[ACCESS_UNSUBSCRIBE] = { fake_subscribe, false },
		[ACCESS_OUTLINES] = { fake_outlines, true },
		[ACCESS_KEY] = { fake_make_key, false },
	};
	struct buf wire = BUF_INIT(ACCESS_CHANGE_MAX);
	struct access_change c;
	access_change_put(&wire, asked);
	check(!wire.failed && access_change_get(buf_str(&wire), &c));
	struct fake_job j = { .f = f, .c = &c, .to = BUF_INIT(SIZE_MAX / 2) };
	j.b = fake_box_number(f, c.mailbox);
	check(uidset_get(c.uids, &j.uids));
	f->changes++;
	enum access_status status = f->fail;
	if (status == ACCESS_OK)
		status = kinds[c.kind].numbered && !j.b ? ACCESS_NOT_FOUND : kinds[c.kind].run(&j);
	fake_job_done(&j, out);
	buf_done(&wire);
	return status;
}
