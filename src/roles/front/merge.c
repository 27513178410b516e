/*
 * merge: a mail merge from its last part to ACCEPT: what each recipient gets, told to store.
 *
 * A hundred thousand letters are put together in slices, so that other connections have their
 * turns, and no faster than store takes them. The question of the session stays open meanwhile.
 * Each slice is one more look at it: a timer drives the connection on, or, when the way to store
 * was full, what releases every held connection does. Until ACCEPT the letter is one that may be
 * dropped at any moment; then it is as every other.
 */
#include "roles/front/smtp_priv.h"

#include "queue/notify.h"
#include "smtp/merge.h"
#include "sys/clock.h"

#include <stdlib.h>

#define BATCH (256u << 10) /* octets of views in one message */
#define SLICE (2u << 20)   /* octets looked at or written in one turn */
#define MISSING_MAX 2048   /* octets of fields put in front of one letter */
#define HANDIN_PIECE 4096u

/* A view is at most so large: its pieces, the words in them, what is put in front, the recipient.
 */
_Static_assert(MERGE_PIECES_MAX + 1 <= VIEW_PIECES_MAX, "one more than merge makes");
_Static_assert((MERGE_PIECES_MAX + 1) * 17 + MERGE_OWN_MAX + MISSING_MAX + 4096 <= VIEW_MAX,
    "a view has room for all that merge makes");
_Static_assert(BATCH + VIEW_MAX <= IPC_BODY_MAX, "a batch fits into a message");

struct merge_job {
	struct conn *conn;
	struct loop_timer *timer;
	const struct merge_rcpt *next;
	uint32_t n_views, n_rcpt, n_reports;
	struct buf batch, pieces, missing;
	struct buf header;          /* of a letter that one of our own users hands in */
	struct merge_letter letter; /* large */
};

static void
on_timer(void *arg)
{
	struct merge_job *job = arg;
	front_clock(job->conn->front);
	conn_drive(job->conn);
}

static struct merge_job *
job_new(struct conn *c)
{
	struct merge_job *job = xalloc(sizeof(*job));
	job->conn = c;
	job->timer = loop_timer_new(c->front->loop, on_timer, job);
	job->next = c->smtp->session.txn->merge->first;
	buf_init(&job->batch, BATCH + VIEW_MAX);
	buf_init(&job->pieces, VIEW_MAX);
	buf_init(&job->missing, MISSING_MAX);
	uint64_t header = MIN(c->smtp->session.conf->header_bytes, (uint64_t)SMTP_MERGE_MAX);
	buf_init(&job->header, (size_t)header + MERGE_OWN_MAX + 4096);
	if (c->smtp->session.conf->submission || c->smtp->session.authenticated)
		job->letter.header = &job->header;
	return job;
}

struct merge_job *
merge_job_free(struct merge_job *job)
{
	if (!job)
		return NULL;
	loop_timer_free(job->timer);
	buf_done(&job->batch);
	buf_done(&job->pieces);
	buf_done(&job->missing);
	buf_done(&job->header);
	free(job);
	return NULL;
}

void
merge_weigh(struct conn *c)
{
	const struct smtp_txn *txn = c->smtp->session.txn;
	uint64_t now = !c->dead && txn && txn->merge ? smtp_merge_memory(txn->merge) : 0;
	if (now != c->smtp->merge_octets)
		letter_hold(c->front, now, c->smtp->merge_octets);
	c->smtp->merge_octets = now;
}

/* The fields that this letter lacks go in front of it, as words of its own: each letter has a
 * Message-ID of its own. */
static void
put_missing(struct merge_job *job, struct msg_view *v)
{
	char id[14];
	struct buf text = BUF_INIT(32);
	id_format(id, job->conn->smtp->letter->id);
	buf_putf(&text, "%.13s.%u", id, job->n_rcpt);
	buf_reset(&job->missing);
	letter_put_missing(job->conn, &job->letter.scan, buf_str(&text), &job->missing);
	buf_done(&text);
	if (!job->missing.len || job->missing.failed)
		return;
	struct msg_piece piece = { .literal = true, .text = buf_str(&job->missing) };
	msg_piece_put(&job->pieces, &piece);
	v->n_pieces++;
	v->size += piece.text.len;
	v->header_len += (uint32_t)piece.text.len;
}

static void
put_pieces(struct merge_job *job, struct msg_view *v)
{
	const struct merge_letter *l = &job->letter;
	for (size_t i = 0; i < l->n; i++) {
		const struct merge_piece *p = &l->piece[i];
		struct msg_piece piece = { p->literal, p->text, p->off, p->len };
		msg_piece_put(&job->pieces, &piece);
	}
	v->n_pieces = (uint16_t)(v->n_pieces + l->n);
}

static void
put_view(struct merge_job *job, const struct msg_view *v)
{
	msg_view_put(&job->batch, v);
	job->n_views++;
}

/* What msg_accept will say: an entry of the queue is made of the view alone. */
static void
put_facts(const struct conn *c, struct msg_view *v)
{
	const struct smtp_txn *t = c->smtp->session.txn;
	v->facts = onward_facts(c, t->body != BODY_7BIT, (uint64_t)sys_wall_ms());
	v->session = c->id;
	v->time_ms = (uint64_t)sys_wall_ms();
	v->from = t->from.whole;
	v->envid = t->envid;
	v->ret = t->ret;
	v->qid = str_of(c->smtp->letter->qid);
	v->peer = str_first(str_of(c->ip), 64);
}

/* RFC 3461 5.2.3: it is in a mailbox, and its sender wants to hear of that. The views that
 * recipients are counted with come first; what is left of a merge's is enough for reports but of
 * the very largest. */
static void
put_report(struct merge_job *job, struct msg_view *v, const struct merge_rcpt_view *who)
{
	const struct conn *c = job->conn;
	put_facts(c, v);
	const struct notify_letter l = { .sender = v->from, .ours = v->facts.flags & ONWARD_OURS };
	if (v->from.len == 0 || !notify_wanted(who->notify, NOTIFY_DELIVERED, &l) ||
	    job->n_reports >= MERGE_RCPT_MAX - c->smtp->mailboxes)
		return;
	job->n_reports++;
	v->rcpt = (struct msg_rcpt){ 0 };
	v->onward = (struct msg_onward){ .rcpt = who->to,
		.domain = STR(ENTRY_REPORT_DOMAIN),
		.notify = who->notify,
		.orcpt = who->orcpt };
	put_view(job, v);
}

/* One view for each mailbox that the recipient leads to, and for each address elsewhere. */
static void
put_views(struct merge_job *job, const struct merge_rcpt *r)
{
	struct merge_rcpt_view who = smtp_merge_rcpt_view(r);
	struct rcpt_route route;
	check(who.host.len >= sizeof(route));
	memcpy(&route, who.host.p, sizeof(route));
	struct str rest = str_skip(who.host, offsetof(struct rcpt_route, account));
	struct str accounts = str_first(rest, route.n * sizeof(uint64_t));
	struct wire onward = wire_of(str_skip(rest, accounts.len));
	struct msg_view v = {
		.size = job->letter.size,
		.header_len = (uint32_t)job->letter.scan.header_len,
		.insert_blank = job->letter.scan.insert_blank,
	};
	buf_reset(&job->pieces);
	put_missing(job, &v);
	put_pieces(job, &v);
	v.pieces = buf_str(&job->pieces);
	if (route.n_onward)
		put_facts(job->conn, &v);
	for (uint32_t i = 0; i < route.n_onward && msg_onward_get(&onward, &v.onward); i++)
		put_view(job, &v);
	v.onward = (struct msg_onward){ 0 };
	v.rcpt = (struct msg_rcpt){ .rcpt = who.to, .notify = who.notify, .orcpt = who.orcpt };
	for (; accounts.len >= sizeof(uint64_t); accounts = str_skip(accounts, sizeof(uint64_t))) {
		memcpy(&v.rcpt.account, accounts.p, sizeof(v.rcpt.account));
		put_view(job, &v);
	}
	if (route.n > 0 && who.notify.len > 0)
		put_report(job, &v, &who);
	job->batch.failed |= job->pieces.failed | job->missing.failed;
}

static void
send_batch(struct conn *c, struct merge_job *job)
{
	if (!job->batch.len)
		return;
	letter_open(c->front, c->smtp->letter);
	chan_send(c->front->store, IPC_VIEWS, c->smtp->letter->id, buf_str(&job->batch), -1);
	buf_reset(&job->batch);
}

/* A letter that our own user hands in: what letter_commit() looks at in others. Bcc cannot be taken
 * out of parts that all share, so it must not be there. */
static enum smtp_situation
judge_handin(struct conn *c, struct merge_job *job)
{
	struct handin *h = job->letter.header ? handin_new(c) : NULL;
	struct str left = buf_str(&job->header), reason;
	size_t stays = 0;
	if (!h)
		return SMTP_NONE;
	while (left.len) {
		struct str piece = str_first(left, HANDIN_PIECE);
		stays += handin_feed(h, piece).len;
		left = str_skip(left, piece.len);
	}
	stays += handin_end(h).len;
	enum smtp_situation no = handin_verdict(h, c, &reason);
	handin_free(h);
	if (no == SMTP_NONE && stays != job->header.len)
		no = SMTP_DATA_REJECTED;
	return job->header.failed ? SMTP_DATA_HEADERTOOBIG : no;
}

/* SMTP_NONE: so far, so good; look at job->next. */
static enum smtp_situation
slice(struct conn *c, struct merge_job *job)
{
	struct smtp_merge *m = c->smtp->session.txn->merge;
	uint64_t work = 0;
	while (job->next && work < SLICE && chan_pending(c->front->store) <= IPC_HIGH_WATER) {
		enum smtp_situation no = smtp_merge_letter(m, job->next, &job->letter);
		if (no == SMTP_NONE)
			no = judge_handin(c, job);
		if (no != SMTP_NONE) {
			letter_note(c, "the letter of recipient %u cannot be taken",
			    job->n_rcpt + 1);
			return no;
		}
		job->n_rcpt++;
		size_t before = job->batch.len;
		put_views(job, job->next);
		if (job->batch.failed)
			return SMTP_XPRT_TOOBIG;
		work += job->letter.work + job->batch.len - before;
		job->next = job->next->next;
		if (job->batch.len >= BATCH)
			send_batch(c, job);
	}
	send_batch(c, job);
	return SMTP_NONE;
}

static bool
refuse(struct conn *c, struct smtp_answer *a, enum smtp_situation say)
{
	a->situation = say;
	letter_drop(c);
	return true;
}

bool
merge_commit(struct conn *c, struct smtp_answer *a)
{
	struct letter *l = c->smtp->letter;
	if (l->state == LETTER_ASKED)
		return false;
	if (l->state == LETTER_LOST)
		return refuse(c, a, SMTP_DATA_TEMPERR);
	if (!l->merge) {
		letter_name(c, l);
		l->ask_no = c->smtp->session.ask_no;
		l->merge = job_new(c);
	}
	enum smtp_situation no = slice(c, l->merge);
	if (no != SMTP_NONE)
		return refuse(c, a, no);
	if (l->merge->next) {
		loop_timer_set(l->merge->timer, 0, 0);
		return false;
	}
	const struct smtp_txn *t = c->smtp->session.txn;
	struct msg_accept m = { .n_views = l->merge->n_views,
		.facts = onward_facts(c, t->body != BODY_7BIT, (uint64_t)sys_wall_ms()) };
	if (!m.n_views)
		return refuse(c, a, SMTP_DATA_TEMPERR); /* lists without a member, all of them */
	l->merge = merge_job_free(l->merge);
	letter_ask(c, l, &m, STR_NULL);
	return l->state == LETTER_LOST ? refuse(c, a, SMTP_DATA_TEMPERR) : false;
}
