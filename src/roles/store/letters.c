#include "roles/store/letters.h"

#include "mail/header.h"

#include <errno.h>
#include <stdlib.h>

struct job_batch {
	struct letter row[LETTER_BATCH];
	size_t n;      /* rows */
	size_t next;   /* the row to give next */
	size_t octets; /* copied with them */
	bool full;
	bool open; /* row next - 1 is at hand */
	bool last; /* there is nothing behind these */
};

struct job_batch *
reader_letters_new(void)
{
	return xalloc(sizeof(struct job_batch));
}

static void
empty(struct job_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->row[i].prefix);
	b->n = b->next = b->octets = 0;
	b->open = b->full = false;
}

void
reader_letters_free(struct job_batch *b)
{
	if (b)
		empty(b);
	free(b);
}

static bool
keep(void *arg, const struct mailbox_letter *l)
{
	struct job_batch *b = arg;
	struct letter *to = &b->row[b->n++];
	to->meta = *l;
	to->prefix = xalloc(l->prefix.len + l->pieces.len + 1);
	to->meta.prefix = str_n(to->prefix, l->prefix.len);
	to->meta.pieces = str_n(to->prefix + l->prefix.len, l->pieces.len);
	if (l->prefix.len)
		memcpy(to->prefix, l->prefix.p, l->prefix.len);
	if (l->pieces.len)
		memcpy(to->prefix + l->prefix.len, l->pieces.p, l->pieces.len);
	b->octets += l->prefix.len + l->pieces.len;
	b->full = b->n == LETTER_BATCH || b->octets >= LETTER_OCTETS;
	return !b->full;
}

static int
load(struct store *s, struct job *j)
{
	const struct store_dom dom = store_dom_mailbox(j->account, j->mailbox);
	struct store_snap *sn;
	uint64_t ver;
	struct job_batch *b = j->batch;
	empty(b);
	int rc = store_snap_open(s, &dom, &sn, &ver);
	if (rc < 0)
		return rc;
	rc = mailbox_each(sn, j->next_uid, keep, b);
	store_snap_close(sn);
	if (rc < 0)
		return rc;
	b->last = !b->full;
	if (b->n > 0) {
		uint32_t uid = b->row[b->n - 1].meta.uid;
		b->last = b->last || uid == UINT32_MAX;
		j->next_uid = uid + 1;
	}
	return 0;
}

int
reader_letters_next(struct store *s, struct job *j, struct letter **ret)
{
	struct job_batch *b = j->batch;
	if (b->next == b->n && !b->last) {
		int rc = load(s, j);
		if (rc < 0)
			return rc;
	}
	b->open = b->next < b->n;
	if (!b->open)
		return -ENOENT;
	*ret = &b->row[b->next++];
	return 0;
}

struct letter *
reader_letters_at(struct job_batch *b)
{
	return b->open ? &b->row[b->next - 1] : NULL;
}

void
reader_letters_over(struct job_batch *b)
{
	b->open = false;
}

int
reader_letter_again(struct store *s, struct job *j, struct letter *l)
{
	const struct store_dom dom = store_dom_mailbox(j->account, j->mailbox);
	struct mailbox_letter now;
	struct store_snap *sn;
	uint64_t ver;
	int rc = store_snap_open(s, &dom, &sn, &ver);
	if (rc < 0)
		return rc;
	rc = mailbox_find(sn, l->meta.uid, &now);
	if (rc == 0 && now.letter != l->meta.letter)
		rc = -ENOENT;
	if (rc == 0 && now.ref.lsn == l->meta.ref.lsn)
		rc = -EBADMSG;
	if (rc == 0) {
		l->meta.ref = now.ref;
		l->meta.trace_lsn = now.trace_lsn;
		l->meta.keep = now.keep;
	}
	store_snap_close(sn);
	return rc;
}

static void
take_field(struct buf *out, const struct header_field *f, struct str name)
{
	if (out->len == 0 && !out->failed && str_ieq(f->name, name))
		header_unfold(out, f->value);
}

int
reader_letter_facts(struct store *s, const struct mailbox_letter *l, struct letter_facts *ret)
{
	size_t n = MIN(l->header_len, LETTER_HEADER_MAX), have = 0;
	char *text = xalloc(n + 1);
	int rc = 0;
	while (have < n) {
		ssize_t got = mailbox_letter_read(s, l, l->prefix.len + l->trace_len + have,
		    text + have, n - have);
		if (got <= 0) {
			rc = got < 0 ? (int)got : -EBADMSG;
			break;
		}
		have += (size_t)got;
	}
	struct str block = str_n(text, have);
	struct header_field f;
	while (header_next(&block, &f)) {
		take_field(&ret->from, &f, STR("From"));
		take_field(&ret->subject, &f, STR("Subject"));
	}
	free(text);
	return rc;
}

struct str
reader_return_path(const struct mailbox_letter *l)
{
	struct str rest = l->prefix;
	struct str line = str_cut(&rest, '\r');
	if (!str_istarts(line, STR("Return-Path:")))
		return STR_NULL;
	line = str_skip(line, str_find(line, '<') + 1);
	return str_first(line, str_rfind(line, '>'));
}
