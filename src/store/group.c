/* What each kind of request adds to the group at hand. */
#include "store/emb.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "store/mail_priv.h"

#include <errno.h>

/* --- what the store holds now --- */

static int
view_get(void *arg, const struct store_dom *d, struct str key, struct str *ret)
{
	struct emb *e = arg;
	int r = overlay_get(&e->overlay, d, key, ret);
	if (r >= 0)
		return r;
	r = index_get(&e->ix, e->log_txn, d, key, ret);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* What the index had when it was last looked at. */
static int
view_next(void *arg, const struct store_dom *d, struct str from, struct str to, struct str *ret_key,
    struct str *ret_value)
{
	struct emb *e = arg;
	int r = index_next(&e->ix, e->log_txn, d, from, to, ret_key, ret_value);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* --- one request into the group --- */

struct view
emb_view(struct emb *e)
{
	return (struct view){ view_get, view_next, e };
}

struct mark
group_mark(const struct group *g)
{
	return (struct mark){ g->part.buf.len, g->part.n, g->batches };
}

void
group_undo(struct emb *e, struct group *g, struct mark m)
{
	overlay_undo(&e->overlay, &g->part, m.entries);
	g->part.buf.failed = false;
	buf_trunc(&g->part.buf, m.len);
	g->batches = m.batches;
}

/* rc, or NO_ROOM when what was added since m does not fit, or -E2BIG when it never will. */
int
group_check_room(const struct emb *e, const struct group *g, struct mark m, int rc)
{
	const struct buf *b = &g->part.buf;
	/* The end of the segment must fit behind. */
	if (!b->failed && b->len + FRAME_HEAD <= e->seg_size - e->seg_off)
		return rc;
	uint64_t most = MAX(e->seg_size, e->o.segment_bytes) - SEG_HEAD - FRAME_HEAD;
	bool never = b->failed ? m.len == 0 : b->len - m.len > most;
	return never ? -E2BIG : NO_ROOM;
}

void
group_end_batch(struct emb *e, struct group *g, size_t at, uint64_t letter)
{
	struct buf *b = &g->part.buf;
	size_t end = b->len;
	frame_end(b, at, FRAME_BATCH, letter, g->start, e->id);
	if (b->failed)
		return;
	overlay_add_batch(&e->overlay, &g->part, at + FRAME_HEAD, end);
}

uint64_t
group_add(struct emb *e, struct group *g, enum frame_type type, uint64_t letter, struct str payload)
{
	size_t at = frame_begin(&g->part.buf);
	buf_puts(&g->part.buf, payload);
	frame_end(&g->part.buf, at, type, letter, g->start, e->id);
	return g->start + at;
}

/* In front of the batch: what is left of a torn group may tell of something that is tried again,
 * but hides nothing that was done. */
static void
add_notes(struct emb *e, struct group *g, const struct store_batch *b)
{
	struct wire w = wire_of(buf_str(&b->notes));
	struct str payload;
	uint64_t letter;
	while (note_next(&w, &letter, &payload))
		group_add(e, g, FRAME_TRACE, letter, payload);
}

static int
add_batch(struct emb *e, struct group *g, struct request *r)
{
	struct view v = emb_view(e);
	struct buf *b = &g->part.buf;
	struct mark m = group_mark(g);
	if (r->batch->rc == 0 && r->batch->notes.len)
		add_notes(e, g, r->batch);
	size_t at = frame_begin(b);
	int rc = b->failed ? -ENOMEM : resolve_batch(r->batch, &v, b, &r->res);
	if (rc == 0 && batch_only_notes(r->batch))
		buf_trunc(b, at);
	else if (rc == 0)
		rc = batch_refs_stand(e, str_skip(buf_str(b), at + FRAME_HEAD));
	if (rc == 0 && !batch_only_notes(r->batch))
		group_end_batch(e, g, at, 0);
	rc = group_check_room(e, g, m, rc);
	if (rc < 0) {
		group_undo(e, g, m);
		return rc;
	}
	g->batches++;
	r->written = true;
	return 0;
}

static struct store_ref
add_body(struct emb *e, struct group *g, uint64_t letter, const struct store_body *body,
    struct str head)
{
	struct buf *b = &g->part.buf;
	struct store_ref ref = {
		.lsn = g->start + b->len, .blob = body->blob, .len = head.len + body->size
	};
	size_t at = frame_begin(b);
	if (body->blob) {
		blob_record_put(b,
		    &(struct blob_record){ body->blob, body->size, body->crc, head });
		ref.crc = crc32c_join(crc32c(0, head.p, head.len), body->crc, body->size);
		frame_end(b, at, FRAME_BLOB, letter, g->start, e->id);
	} else {
		buf_puts(b, head);
		buf_puts(b, buf_str(&body->mem));
		frame_end(b, at, FRAME_BODY, letter, g->start, e->id);
		if (!b->failed)
			ref.crc = be32_get((unsigned char *)b->p + at + 12);
	}
	return ref;
}

/* A letter's body and its history, which stay together. */
static struct store_ref
add_octets(struct emb *e, struct group *g, struct letter *l)
{
	size_t at = g->part.buf.len;
	struct store_ref ref = add_body(e, g, l->letter, l->body, letter_head(l));
	l->trace_lsn = 0;
	if (l->trace_len)
		l->trace_lsn = group_add(e, g, FRAME_TRACE, l->letter, letter_trace(l));
	l->keep = (uint32_t)(g->part.buf.len - at);
	return ref;
}

static int
add_done(struct emb *e, struct group *g, const struct intent *in)
{
	struct buf *b = &g->part.buf;
	size_t at = frame_begin(b), dom = b->len;
	done_put(b, in->letter, in->time_ms);
	frame_end(b, at, FRAME_DONE, in->letter, g->start, e->id);
	if (b->failed)
		return -ENOMEM;
	overlay_add(&e->overlay, &g->part, dom, dom + 16, DONE_KEY_LEN, false,
	    dom + 16 + DONE_KEY_LEN, DONE_VALUE_LEN);
	return 0;
}

/* The batch that was begun at `at`, or nothing. */
static int
end_if_written(struct emb *e, struct group *g, struct mark m, size_t at, uint64_t letter,
    bool written)
{
	if (written)
		group_end_batch(e, g, at, letter);
	else
		group_undo(e, g, m);
	g->batches += written;
	return 0;
}

static int
add_entries(struct emb *e, struct group *g, const struct intent *in)
{
	struct view v = emb_view(e);
	struct buf *b = &g->part.buf;
	struct mark m = group_mark(g);
	bool written = false;
	size_t at = frame_begin(b);
	int rc = b->failed ? -ENOMEM : resolve_entries(in, &v, b, &written);
	return rc < 0 ? rc : end_if_written(e, g, m, at, in->letter, written);
}

static int
add_deliveries(struct emb *e, struct group *g, struct intent *in)
{
	struct view v = emb_view(e);
	struct buf *b = &g->part.buf;
	struct store_rcpt rcpt;
	while (intent_next(in, &rcpt)) {
		bool written = false;
		struct mark m = group_mark(g);
		size_t at = frame_begin(b);
		int rc = b->failed ? -ENOMEM : resolve_delivery(in, &rcpt, &v, b, &written);
		if (rc < 0)
			return rc;
		if (written)
			group_end_batch(e, g, at, in->letter);
		else
			group_undo(e, g, m);
		g->batches += written;
	}
	int rc = in->n_entries ? add_entries(e, g, in) : 0;
	return rc < 0 ? rc : add_done(e, g, in);
}

static int
add_letter(struct emb *e, struct group *g, struct request *r)
{
	struct view v = emb_view(e);
	struct letter *l = r->letter;
	struct mark m = group_mark(g);
	struct intent in;
	int rc = resolve_accepted(&v, l->letter);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (r->kind == REQ_ACCEPT) {
		struct store_ref ref = add_octets(e, g, l);
		struct store_place place = { l->trace_lsn, l->keep };
		intent_set_ref(l->buf.p + l->head_len + l->trace_len, &ref);
		intent_set_place(l->buf.p + l->head_len + l->trace_len, &place);
		group_add(e, g, FRAME_INTENT, l->letter, letter_intent(l));
	}
	rc = intent_get(letter_intent(l), &in) ? 0 : -EBADMSG;
	in.outline = letter_outline(l);
	if (rc == 0)
		rc = add_deliveries(e, g, &in);
	rc = group_check_room(e, g, m, rc);
	if (rc < 0) {
		group_undo(e, g, m);
		return rc;
	}
	g->letters++;
	r->written = true;
	return 0;
}

/* --- mail merge --- */

/* Body, history, views and the intent, which is open from here on for many groups: others must
 * see it before the index has it. */
static void
add_open_intent(struct emb *e, struct group *g, struct letter *l)
{
	struct buf *b = &g->part.buf;
	struct store_ref ref = add_octets(e, g, l);
	struct store_place place = { l->trace_lsn, l->keep };
	struct store_ref views = add_body(e, g, l->letter, l->views, STR_NULL);
	char *intent = l->buf.p + l->head_len + l->trace_len;
	intent_set_ref(intent, &ref);
	intent_set_place(intent, &place);
	intent_set_views(intent, &views);
	size_t at = frame_begin(b), payload = b->len;
	buf_puts(b, letter_intent(l));
	size_t dom = b->len - INTENT_KEY_LEN;
	frame_end(b, at, FRAME_INTENT, l->letter, g->start, e->id);
	if (!b->failed)
		overlay_add(&e->overlay, &g->part, dom, dom + 16, DONE_KEY_LEN, false, payload,
		    l->intent_len);
}

static int
add_merge(struct emb *e, struct group *g, struct request *r)
{
	struct view v = emb_view(e);
	struct letter *l = r->letter;
	struct mark m = group_mark(g);
	int rc = resolve_accepted(&v, l->letter);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = resolve_open(&v, l->letter);
	if (rc != 0)
		return rc < 0 ? rc : -EAGAIN;
	add_open_intent(e, g, l);
	rc = group_check_room(e, g, m, g->part.buf.failed ? -ENOMEM : 0);
	if (rc < 0) {
		group_undo(e, g, m);
		/* Who asks whether it was accepted before looks at the references. */
		intent_set_views(l->buf.p + l->head_len + l->trace_len, &(struct store_ref){ 0 });
		return rc;
	}
	g->letters++;
	r->written = true;
	return 0;
}

static int
add_lot(struct emb *e, struct group *g, const struct letter *l, const struct intent *in)
{
	struct view v = emb_view(e);
	struct buf *b = &g->part.buf;
	struct wire w = wire_of(letter_views(l));
	struct store_view one;
	bool elsewhere = false;
	for (uint32_t n = l->first_view; w.left > 0; n++) {
		bool written = false;
		struct mark m = group_mark(g);
		if (!store_view_get(&w, in->ref.len - in->trace_len, &one))
			return -EBADMSG;
		if (one.entry.len) {
			elsewhere = true;
			continue;
		}
		size_t at = frame_begin(b);
		int rc = b->failed ? -ENOMEM : resolve_view(in, &one, n, &v, b, &written);
		if (rc < 0)
			return rc;
		if (written)
			group_end_batch(e, g, at, in->letter);
		else
			group_undo(e, g, m);
		g->batches += written;
	}
	struct mark m = group_mark(g);
	bool written = false;
	if (!elsewhere)
		return 0;
	size_t at = frame_begin(b);
	int rc = b->failed
	             ? -ENOMEM
	             : resolve_view_entries(in, letter_views(l), l->first_view, &v, b, &written);
	return rc < 0 ? rc : end_if_written(e, g, m, at, in->letter, written);
}

/* It is in all mailboxes, and in the queue. */
static int
add_merged(struct emb *e, struct group *g, const struct intent *in)
{
	struct view v = emb_view(e);
	struct buf *b = &g->part.buf;
	bool written = false;
	int rc = add_done(e, g, in);
	struct mark m = group_mark(g);
	if (rc < 0)
		return rc;
	/* Behind: without its mark the merge must not be open any more. */
	size_t at = frame_begin(b);
	rc = b->failed ? -ENOMEM : resolve_view_end(in, &v, b, &written);
	return rc < 0 ? rc : end_if_written(e, g, m, at, in->letter, written);
}

/* Some mailboxes of a merge; or the end, when it is in all of them. */
static int
add_views(struct emb *e, struct group *g, struct request *r)
{
	struct view v = emb_view(e);
	struct mark m = group_mark(g);
	struct intent in;
	int rc = resolve_accepted(&v, r->letter->letter);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (!intent_get(letter_intent(r->letter), &in))
		return -EBADMSG;
	rc = r->kind == REQ_MERGED ? add_merged(e, g, &in) : add_lot(e, g, r->letter, &in);
	rc = group_check_room(e, g, m, rc);
	if (rc < 0) {
		group_undo(e, g, m);
		return rc;
	}
	r->written = g->part.buf.len > m.len;
	return 0;
}

/* --- letters that are put into a mailbox as they are --- */

static int
add_append(struct emb *e, struct group *g, struct request *r)
{
	struct view v = emb_view(e);
	struct mark m = group_mark(g);
	struct buf *b = &g->part.buf;
	uint32_t letters = 0;
	for (struct letter *l = r->letter; l; l = l->next, letters++)
		l->ref = add_octets(e, g, l);
	size_t at = frame_begin(b);
	int rc = b->failed ? -ENOMEM : resolve_append(r->letter, &v, b, &r->res);
	if (rc == 0)
		group_end_batch(e, g, at, r->letter->letter);
	rc = group_check_room(e, g, m, rc);
	if (rc < 0) {
		group_undo(e, g, m);
		return rc;
	}
	g->batches++;
	g->letters += letters;
	r->written = true;
	return 0;
}

/* --- what clients change --- */

static int
add_steps(struct emb *e, struct group *g, struct mail_op *op)
{
	struct view v = emb_view(e);
	struct buf *b = &g->part.buf;
	for (unsigned step = 0;; step++) {
		struct mark m = group_mark(g);
		size_t at = frame_begin(b);
		int rc = b->failed ? -ENOMEM : resolve_mail(op, step, &v, b);
		if (rc == 0)
			group_undo(e, g, m); /* the beginning of a frame */
		if (rc != 1)
			return rc;
		rc = batch_refs_stand(e, str_skip(buf_str(b), at + FRAME_HEAD));
		if (rc < 0)
			return rc;
		group_end_batch(e, g, at, 0);
		if (b->failed)
			return -ENOMEM;
		g->batches++;
	}
}

static int
add_mail_note(struct emb *e, struct group *g, const struct mail_op *op)
{
	struct buf note = BUF_INIT(1u << 20);
	int rc = 0;
	if (mail_note_put(op, &note)) {
		if (note.failed)
			rc = -ENOMEM;
		else
			(void)group_add(e, g, FRAME_TRACE, 0, buf_str(&note));
	}
	buf_done(&note);
	return rc;
}

static int
add_mail(struct emb *e, struct group *g, struct request *r, bool full)
{
	struct mark m = group_mark(g);
	if (full && !mail_frees(r->mail))
		return -ENOSPC;
	int rc = add_steps(e, g, r->mail);
	if (rc == 0)
		rc = add_mail_note(e, g, r->mail);
	rc = group_check_room(e, g, m, rc);
	if (rc < 0) {
		group_undo(e, g, m);
		return rc;
	}
	r->written = g->part.buf.len > m.len;
	return 0;
}

/* --- all kinds --- */

int
group_take(struct emb *e, struct group *g, struct request *r, bool full)
{
	struct view v = emb_view(e);
	if (emb_poisoned(e))
		return -EIO;
	if (r->res.rc < 0)
		return r->res.rc;
	switch (r->kind) {
	case REQ_BATCH:
		return add_batch(e, g, r);
	case REQ_ACCEPT:
		/* What room there is stays for the small batches that delete. */
		return full ? -ENOSPC : add_letter(e, g, r);
	case REQ_APPEND:
		return full ? -ENOSPC : add_append(e, g, r);
	case REQ_MAIL:
		return add_mail(e, g, r, full);
	case REQ_REDO:
		return add_letter(e, g, r);
	case REQ_MERGE:
		return full ? -ENOSPC : add_merge(e, g, r);
	case REQ_VIEWS:
	case REQ_MERGED:
		return add_views(e, g, r);
	case REQ_LOOK:
		return resolve_version(&v, &r->dom, &r->res.ver);
	case REQ_MOVE:
	case REQ_SNAP:
	case REQ_CHECKPOINT:
	case REQ_RETIRE:
		return add_task(e, g, r);
	case REQ_SYNC:
	case REQ_EVENT:
		break;
	}
	check(false);
}
