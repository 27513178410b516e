/* Rows of letters, with their outlines and octets. */
#include "roles/store/window.h"

#include "base/check.h"
#include "log/log.h"

#include <errno.h>

#define TRIES_MAX 8 /* snapshots, when bodies are moved under us */

struct reading {
	struct window *w;
	struct store_snap *sn;
	uint32_t uid; /* where to begin */
	uint64_t n;   /* ... and with which octet of it */
	uint32_t looked;
	size_t rows;
	bool full; /* the rest is for the next window */
	int rc;
	bool again; /* a body is not where its record said: read that anew */
	uint32_t stale_uid;
	uint64_t stale_lsn;
};

static void
stop_before(struct reading *r, uint32_t uid, uint64_t n)
{
	window_more(r->w, uid, n);
	r->full = true;
}

/* --- parts --- */

/* Where the empty line behind the header begins, counted from the prefix on. */
static uint64_t
header_at(const struct mailbox_letter *m)
{
	return (uint64_t)m->prefix.len + m->trace_len + m->header_len;
}

/* And where it ends, when lines end in CRLF. */
static uint64_t
header_end(const struct mailbox_letter *m)
{
	uint64_t at = header_at(m);
	return MIN(at + 2, m->size);
}

/* The same as it is. */
static int
header_measure(const struct reading *r, const struct mailbox_letter *m, uint64_t *ret)
{
	uint64_t at = header_at(m);
	char line[2];
	*ret = header_end(m);
	if (m->insert_blank || *ret == at)
		return 0;
	ssize_t n = mailbox_letter_read(r->w->store, m, at, line, (size_t)(*ret - at));
	if (n < 0 || (uint64_t)n != *ret - at)
		return n < 0 ? (int)n : -EBADMSG;
	if (n < 2 || line[0] != '\r' || line[1] != '\n')
		*ret = at + (line[0] == '\n');
	return 0;
}

struct part {
	uint64_t off, len; /* in the letter */
};

static struct part
part_of(const struct reading *r, const struct mailbox_letter *m, uint64_t header)
{
	const struct access_ask *a = r->w->ask;
	uint64_t from = 0, to = m->size;
	if (a->part == ACCESS_PART_HEADER)
		to = header;
	else if (a->part == ACCESS_PART_TEXT)
		from = header;
	else if (a->part == ACCESS_PART_INNER)
		from = m->prefix.len;
	from += MIN(a->off, to - from);
	return (struct part){ from, MIN(a->len, to - from) };
}

/* --- rows --- */

static struct access_letter
row_of(const struct mailbox_letter *m)
{
	return (struct access_letter){
		.uid = m->uid,
		.modseq = m->modseq,
		.time_ms = m->time_ms,
		.saved_ms = m->saved_ms,
		.size = m->size,
		.flags = m->flags,
		.letter = m->letter,
		.prefix_len = (uint32_t)m->prefix.len,
		.header_len = (uint32_t)MIN(header_end(m), UINT32_MAX),
	};
}

/* Octets of the row's part, as many as fit, behind its head. 0, 1 (there is no room for them in
 * this window) or -errno. */
static int
put_octets(struct reading *r, const struct mailbox_letter *m, const struct part *part,
    const struct access_letter *row)
{
	struct buf *out = &r->w->out;
	size_t begin = access_letter_begin(out, row);
	if (out->failed)
		return 1;
	uint64_t left = part->len - row->at;
	size_t room = out->max - out->len, n = (size_t)MIN(left, (uint64_t)room);
	if (n < left && r->rows)
		return 1;
	/* Read in pieces its checksum would not be looked at. */
	int rc = n < left && row->at == 0 ? store_ref_check(r->w->store, &m->ref) : 0;
	ssize_t got = rc < 0 || n == 0 ? rc
	                               : mailbox_letter_read(r->w->store, m, part->off + row->at,
					     out->p + out->len, n);
	if (got < 0)
		return (int)got;
	if ((size_t)got != n)
		return -EBADMSG;
	out->len += n;
	access_letter_end(out, begin, n);
	if (n < left)
		stop_before(r, m->uid, row->at + n);
	return 0;
}

static int
put_with_octets(struct reading *r, const struct mailbox_letter *m, struct access_letter *row,
    uint64_t n)
{
	unsigned kind = r->w->ask->part;
	uint64_t header = header_end(m);
	int rc = 0;
	if (kind == ACCESS_PART_HEADER || kind == ACCESS_PART_TEXT)
		rc = header_measure(r, m, &header);
	if (rc < 0)
		return rc;
	const struct part part = part_of(r, m, header);
	row->header_len = (uint32_t)MIN(header, UINT32_MAX);
	row->part_len = part.len;
	row->at = MIN(n, part.len);
	return put_octets(r, m, &part, row);
}

static bool
is_damage(const struct reading *r, const struct mailbox_letter *m, int rc)
{
	return rc == -EBADMSG || rc == -EIO ||
	       (rc == -ESTALE && r->stale_uid == m->uid && r->stale_lsn == m->ref.lsn);
}

static void
put_damaged(struct reading *r, const struct mailbox_letter *m, struct access_letter *row)
{
	LOG(LOG_ERROR, 0, "letter-damaged", LOGN("account", r->w->at.account),
	    LOGN("mailbox", r->w->at.mailbox), LOGN("uid", m->uid),
	    LOGZ("remedy", "`pennypost fsck` says more"));
	row->damaged = true;
	row->part_len = row->at = 0;
	access_letter_put(&r->w->out, row);
}

/* The row of a letter, from octet n of its part on. */
static void
put_letter(struct reading *r, const struct mailbox_letter *m, uint64_t n)
{
	struct window *w = r->w;
	struct access_letter row = row_of(m);
	size_t mark = w->out.len;
	int rc = 0;
	if ((w->ask->what & ACCESS_OUTLINE) && n == 0)
		rc = mail_get_outline(r->sn, m->uid, &row.outline);
	rc = rc == -ENOENT ? 0 : rc;
	if (rc == 0 && (w->ask->what & ACCESS_OCTETS))
		rc = put_with_octets(r, m, &row, n);
	else if (rc == 0)
		access_letter_put(&w->out, &row);
	if (rc != 0) {
		w->out.failed = false;
		buf_trunc(&w->out, mark);
	}
	if (rc < 0 && is_damage(r, m, rc)) {
		put_damaged(r, m, &row);
		rc = 0;
	}
	if (rc == -ESTALE) {
		r->again = true;
		r->stale_uid = m->uid;
		r->stale_lsn = m->ref.lsn;
	}
	if (rc == 1 || rc == -ESTALE || window_undo(w, mark))
		stop_before(r, m->uid, n);
	else if (rc < 0)
		r->rc = rc;
	else
		r->rows++;
}

static bool
take(void *arg, struct str key, struct str value)
{
	struct reading *r = arg;
	struct mailbox_letter m;
	if (!mailbox_letter_get(value, &m)) {
		LOG(LOG_ERROR, 0, "record-damaged", LOGN("account", r->w->at.account),
		    LOGN("mailbox", r->w->at.mailbox), LOGF("key", key));
		return true;
	}
	uint64_t n = m.uid == r->uid ? r->n : 0;
	if (++r->looked > WINDOW_LOOK_MAX)
		stop_before(r, m.uid, n);
	else if (m.modseq > r->w->ask->since)
		put_letter(r, &m, n);
	return !r->full && r->rc == 0;
}

static int
scan_range(struct reading *r, uint32_t first, uint32_t last)
{
	char from[6] = "R|", to[7] = "R|";
	be32_put((unsigned char *)from + 2, first);
	be32_put((unsigned char *)to + 2, last);
	to[6] = '\0'; /* the least key behind it */
	return store_scan(r->sn, str_n(from, sizeof(from)), str_n(to, sizeof(to)), 0, false, take,
	    r);
}

static int
scan(struct reading *r)
{
	struct wire uids = wire_of(r->w->ask->uids);
	int rc = 0;
	if (r->w->ask->uids.len == 0)
		return scan_range(r, MAX(r->uid, 1u), UINT32_MAX);
	while (rc == 0 && r->rc == 0 && !r->full && uids.left) {
		uint32_t first = get_u32(&uids), last = get_u32(&uids);
		if (last >= r->uid)
			rc = scan_range(r, MAX(first, r->uid), last);
	}
	return rc;
}

static int
read_once(struct reading *r)
{
	struct mailbox_head h;
	int rc = window_snap(r->w, &r->sn);
	if (rc < 0)
		return rc;
	rc = window_head(r->w, r->sn, &h);
	if (rc == 0)
		rc = scan(r);
	store_snap_close(r->sn);
	return rc < 0 ? rc : r->rc;
}

int
window_letters(struct window *w)
{
	struct reading r = { .w = w, .uid = w->ask->from.uid, .n = w->ask->from.n };
	int rc = read_once(&r);
	/* Octets that stand elsewhere now: a new snapshot says where. */
	for (int i = 0; rc == 0 && r.again && r.rows == 0 && i < TRIES_MAX; i++) {
		r.uid = w->head.next.uid;
		r.n = w->head.next.n;
		r.full = r.again = false;
		w->head = (struct access_head){ 0 };
		rc = read_once(&r);
	}
	return rc;
}
