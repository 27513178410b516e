/* FETCH: octet items one after the other, from what is at hand or by an ask of their own. */
#include "imap/fetch_priv.h"

#include "base/check.h"

static enum imap_run side_ask(struct imap_session *s);

void
fetch_damaged(struct fetch *f, uint32_t uid)
{
	if (!f->damaged++)
		f->damaged_uid = uid;
}

/* A literal was announced and its octets are gone: only the end of the connection tells so. */
enum imap_run
fetch_lost(struct imap_session *s)
{
	s->state = IMAP_CLOSED;
	return RUN_DONE;
}

static bool
at_hand(const struct fetch_range *r, struct str hand, struct str *ret)
{
	if (r->off > hand.len || r->len > hand.len - r->off)
		return false;
	*ret = str_first(str_skip(hand, (size_t)r->off), (size_t)r->len);
	return true;
}

/* The passes of the job that has begun. False: it wants octets that are not at hand, or the peer
 * has much to read first: then they are asked for. */
static bool
job_run(struct imap_session *s, struct fetch *f, struct str hand)
{
	struct str octets;
	do {
		if (s->cmd->out->len > WALK_OUT_HARD && f->job.left)
			return false;
		if (!at_hand(&f->job.range, hand, &octets)) {
			if (f->job.left)
				return false;
			octets = STR_NULL;
		}
		fetch_job_feed(s, f, octets);
	} while (fetch_job_end(s, f));
	return true;
}

bool
fetch_items(struct imap_session *s, struct fetch *f, struct str hand)
{
	for (; f->at_item < f->n_items; f->at_item++) {
		if (f->at_item > f->n_index)
			buf_putc(s->cmd->out, ' ');
		if (!fetch_job_begin(s, f, &f->items[f->at_item]))
			continue;
		if (!job_run(s, f, hand))
			return false;
	}
	return true;
}

void
fetch_hold(struct fetch *f, const struct walk_letter *l)
{
	bool has = l->outline != NULL;
	f->row = *l->row;
	f->row.outline = f->row.octets = STR_NULL;
	buf_done(&f->record);
	buf_init(&f->record, OUTLINE_WIDE_MAX);
	if (has)
		buf_puts(&f->record, l->record);
	has = has && !f->record.failed && outline_get(buf_str(&f->record), &f->outline);
	f->letter = (struct walk_letter){
		.row = &f->row,
		.seq = l->seq,
		.outline = has ? &f->outline : NULL,
		.record = buf_str(&f->record),
	};
}

/* Behind an item: the next one, or the next letter. */
static enum imap_run
next_item(struct imap_session *s)
{
	struct fetch *f = fetch_of(s);
	f->at_item++;
	if (!fetch_items(s, f, STR_NULL))
		return side_ask(s);
	fetch_close(s);
	buf_done(&f->record);
	return imap_walk_go(s);
}

/* The letter is not there any more, or its octets cannot be read. */
static enum imap_run
side_gone(struct imap_session *s, bool damaged)
{
	struct fetch *f = fetch_of(s);
	if (f->job.head_said)
		return fetch_lost(s);
	fetch_job_nil(s, f);
	if (damaged)
		fetch_damaged(f, f->row.uid);
	return next_item(s);
}

static enum imap_run side_flushed(struct imap_session *s, const struct imap_answer *a);

static enum imap_run
side_window(struct imap_session *s, const struct imap_answer *a)
{
	struct fetch *f = fetch_of(s);
	struct wire w = wire_of(a->octets);
	struct access_head head;
	struct access_letter row;
	if (a->status != ACCESS_OK || !access_head_get(&w, &head) || !w.left ||
	    !access_letter_get(&w, &row) || row.uid != f->row.uid)
		return side_gone(s, false);
	if (row.damaged || (!row.octets.len && f->job.left) ||
	    row.at != f->job.range.len - f->job.left)
		return side_gone(s, true);
	fetch_job_feed(s, f, row.octets);
	if (!f->job.left)
		return fetch_job_end(s, f) ? side_ask(s) : next_item(s);
	if (!head.more)
		return side_gone(s, true);
	s->read.from = (struct access_from){ .uid = head.next.uid, .n = head.next.n };
	if (s->cmd->out->len < IMAP_OUT_HIGH)
		return imap_read(s, side_window);
	s->cmd->resume = side_flushed;
	return RUN_FLUSH;
}

static enum imap_run
side_flushed(struct imap_session *s, const struct imap_answer *a)
{
	(void)a;
	return imap_read(s, side_window);
}

static enum imap_run
side_ask(struct imap_session *s)
{
	struct fetch *f = fetch_of(s);
	struct uid_range r = { f->row.uid, f->row.uid };
	buf_reset(&f->octets);
	uidset_put(&f->octets, &(struct uidset){ .r = &r, .n = 1 });
	s->read = (struct access_ask){
		.kind = ACCESS_LETTERS,
		.mailbox = s->view->mailbox,
		.what = ACCESS_META | ACCESS_OCTETS,
		.part = ACCESS_PART_ALL,
		.off = f->job.range.off,
		.len = f->job.range.len,
		.uids = buf_str(&f->octets),
	};
	if (s->cmd->out->len < IMAP_OUT_HIGH)
		return imap_read(s, side_window);
	s->cmd->resume = side_flushed;
	return RUN_FLUSH;
}

enum imap_run
fetch_held(struct imap_session *s)
{
	return side_ask(s);
}
