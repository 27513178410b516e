/*
 * letter: from the first octet of a body to store's answer.
 *
 * Octets go to store as they arrive; ACCEPT asks for the sync; ACCEPTED carries the truth. When
 * store dies in between, what was only sent is lost with it (the client hears 451 and keeps its
 * copy), and what was asked is asked again of the next store, which knows.
 */
#include "roles/front/smtp_priv.h"

#include "mail/received.h"
#include "sys/clock.h"
#include "sys/random.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MS 600000 /* RFC 5321 4.5.3.2.6: no client waits longer for its answer */
#define TRACE_MAX (64u << 10)

static struct str
key_of(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

void
letter_hold(struct front *f, uint64_t more, uint64_t less)
{
	f->octets += more - MIN(less, f->octets);
	if (f->tally.own)
		tally_octets_set(&f->tally, f->octets);
}

/* One builder goes from letter to letter, and one glance. */
static void
readers_begin(struct front *f, struct letter *l)
{
	l->outline = f->outline ? f->outline : outline_new(f->charsets);
	l->glance = f->glance ? f->glance : glance_new();
	f->outline = NULL;
	f->glance = NULL;
}

static void
outline_over(struct front *f, struct letter *l)
{
	if (!f->outline)
		f->outline = outline_again(l->outline);
	else
		outline_free(l->outline);
	l->outline = NULL;
}

static void
glance_over(struct front *f, struct letter *l)
{
	if (l->glance && !f->glance)
		f->glance = glance_again(l->glance);
	else
		glance_free(l->glance);
	l->glance = NULL;
}

static struct letter *
letter_free(struct front *f, struct letter *l)
{
	map_del(&f->letters, key_of(&l->id));
	letter_hold(f, 0, l->size);
	handin_free(l->handin);
	glance_over(f, l);
	outline_over(f, l);
	merge_job_free(l->merge);
	if (l->conn)
		l->conn->smtp->letter = NULL;
	free(l);
	return NULL;
}

/* Octets that make names unique, not secret: one system call for many letters. */
static void
draw(struct front *f, unsigned char *out, size_t n)
{
	if (f->random_left < n) {
		random_bytes(f->random, sizeof(f->random));
		f->random_left = sizeof(f->random);
	}
	f->random_left -= n;
	memcpy(out, f->random + f->random_left, n);
}

void
letter_name(struct conn *c, struct letter *l)
{
	struct front *f = c->front;
	const struct conf_listener *cl = &c->settings->conf->listeners[c->listener];
	/* Small numbers are for the lab, where a dialect shows one; elsewhere the id is the number.
	 */
	l->facts = (struct qid_facts){
		.letter = l->id, .pid = f->pid, .host = c->smtp->session.conf->host
	};
	l->facts.counter = c->settings->conf->lab ? cl->counter + tally_number(&f->tally) : l->id;
	draw(f, l->facts.random, sizeof(l->facts.random));
	struct buf b = BUF_INIT(sizeof(l->qid) - 1);
	qid_format(&b, c->smtp->session.conf->wording->quirks.qid_style, &l->facts);
	(void)str_copy(l->qid, sizeof(l->qid), buf_str(&b));
	buf_done(&b);
}

bool
letter_begin(struct conn *c)
{
	struct front *f = c->front;
	if (!f->store)
		return false;
	struct letter *l = xalloc(sizeof(*l));
	*l = (struct letter){ .id = front_next_id(f), .conn = c, .state = LETTER_OPEN };
	/* The parts of a mail merge have places that count from their beginning: merge.c sees to
	 * what becomes of them. */
	l->handin = c->smtp->session.txn->merge ? NULL : handin_new(c);
	if (!c->smtp->session.txn->merge)
		readers_begin(f, l);
	c->smtp->letter = l;
	map_put(&f->letters, key_of(&l->id), l);
	return true;
}

/* With its first octets, or its end: a message of its own would be a wake-up of its own. */
void
letter_open(struct front *f, struct letter *l)
{
	if (!l->opened)
		chan_send(f->store, IPC_BODY_OPEN, l->id, STR_NULL, -1);
	l->opened = true;
}

static void
pass_on(struct conn *c, struct letter *l, struct str octets)
{
	l->size += octets.len;
	letter_hold(c->front, octets.len, 0);
	if (l->state != LETTER_OPEN || octets.len == 0)
		return;
	letter_open(c->front, l);
	chan_send(c->front->store, IPC_BODY_DATA, l->id, octets, -1);
	if (l->glance)
		glance_feed(l->glance, octets);
	if (l->outline)
		outline_feed(l->outline, octets);
}

void
letter_body(struct conn *c, struct str octets)
{
	struct letter *l = c->smtp->letter;
	check(l != NULL);
	pass_on(c, l, l->handin ? handin_feed(l->handin, octets) : octets);
}

bool
letter_must_wait(const struct conn *c)
{
	return c->smtp->letter && c->smtp->letter->state == LETTER_OPEN &&
	       chan_pending(c->front->store) > IPC_HIGH_WATER;
}

void
letter_drop(struct conn *c)
{
	struct front *f = c->front;
	struct letter *l = c->smtp->letter;
	if (!l)
		return;
	c->smtp->letter = NULL;
	l->conn = NULL;
	if (l->state == LETTER_ASKED)
		return; /* store's answer still comes, and is forgotten then */
	if (l->state == LETTER_OPEN && l->opened && f->store)
		chan_send(f->store, IPC_BODY_DROP, l->id, STR_NULL, -1);
	letter_free(f, l);
}

static void
put_rcpts(struct conn *c, struct buf *b, uint32_t *n)
{
	list_each(node, &c->smtp->session.txn->rcpts)
	{
		struct smtp_rcpt *r = list_entry(node, struct smtp_rcpt, node);
		const struct rcpt_route *route = r->host_data;
		char notify[64];
		struct str wish = onward_notify(r, route->expanded, notify);
		for (size_t i = 0; r->outcome == SMTP_NONE && i < route->n; i++, (*n)++) {
			struct msg_rcpt m = { route->account[i], r->addr.whole, wish, r->orcpt };
			msg_rcpt_put(b, &m);
		}
	}
}

static void
put_received(struct conn *c, struct letter *l, struct buf *b)
{
	const struct smtp_session *s = &c->smtp->session;
	const struct smtp_txn *t = s->txn;
	char sid[14];
	id_format(sid, c->id);
	const struct smtp_rcpt *only =
	    t->n_rcpt == 1 && !t->merge ? list_entry(t->rcpts.next, struct smtp_rcpt, node) : NULL;
	struct received r = {
		.helo = str_of(s->helo),
		.peer_ip = str_eq(str_of(s->peer.ip), STR("unix")) ? STR_NULL : str_of(s->peer.ip),
		.by = s->conf->host,
		.peer_name = strcmp(s->peer.name, "unknown") == 0 ? STR_NULL : str_of(s->peer.name),
		.with = smtp_session_with(s),
		.tls = str_of(c->tls),
		.id = str_of(l->qid),
		.session = str_n(sid, 13),
		.solicits = t->solicit,
		.rcpt = only ? only->addr.whole : STR_NULL,
		.sec = c->front->clock.wall,
		.zone = c->front->clock.zone,
	};
	received_put(b, &r);
	const struct rcpt_route *way = only ? only->host_data : NULL;
	/* Should it come back, here is where it was. */
	if (way && way->alias && way->n_onward && way->n == 0)
		delivered_to_put(b, only->addr.whole);
}

/* The fields that R-MSG-2 asks for. id: makes the letter's Message-ID. */
void
letter_put_missing(const struct conn *c, const struct scan *scan, struct str id, struct buf *b)
{
	const struct smtp_session *s = &c->smtp->session;
	bool ours = c->smtp->relay || s->authenticated;
	if (!s->conf->add_missing_headers || (scan->fields > 0 && !ours))
		return;
	struct added a = {
		.have_from = scan->count[SCAN_FROM] > 0,
		.have_date = scan->count[SCAN_DATE] > 0,
		.have_message_id = scan->count[SCAN_MESSAGE_ID] > 0,
		.have_dest =
		    scan->count[SCAN_TO] + scan->count[SCAN_CC] + scan->count[SCAN_BCC] > 0,
		.from = s->txn->from.whole,
		.host = s->conf->host,
		.id = id,
		.sec = c->front->clock.wall,
		.zone = c->front->clock.zone,
	};
	added_put(b, &a);
}

/* Fills in what every letter has and asks store to keep it. extra: fields behind Received. */
void
letter_ask(struct conn *c, struct letter *l, struct msg_accept *m, struct str extra)
{
	const struct smtp_txn *t = c->smtp->session.txn;
	struct buf trace = BUF_INIT(TRACE_MAX), body = BUF_INIT(IPC_BODY_MAX);
	struct buf outline = BUF_INIT(OUTLINE_MAX);
	uint32_t n = m->n_rcpt + m->n_onward + m->n_views;
	put_received(c, l, &trace);
	buf_puts(&trace, extra);
	if (l->outline && outline_end(l->outline, buf_str(&trace), &outline))
		m->outline = buf_str(&outline);
	outline_over(c->front, l);
	letter_note(c, "letter of %llu octets for %u recipient%s goes to the store",
	    (unsigned long long)l->size, n, n == 1 ? "" : "s");
	m->session = c->id;
	m->time_ms = (uint64_t)sys_wall_ms();
	m->size = l->size;
	m->qid = str_of(l->qid);
	m->from = t->from.whole;
	m->envid = t->envid;
	m->ret = t->ret;
	m->peer = str_first(str_of(c->ip), 64);
	m->trace = buf_str(&trace);
	m->history = buf_str(&c->smtp->history);
	msg_accept_put(&body, m);
	letter_open(c->front, l);
	if (trace.failed || body.failed) {
		/* More than one message can carry; limits keep this far away. */
		chan_send(c->front->store, IPC_BODY_DROP, l->id, STR_NULL, -1);
		l->state = LETTER_LOST;
	} else {
		chan_send(c->front->store, IPC_ACCEPT, l->id, buf_str(&body), -1);
		l->state = LETTER_ASKED;
		l->asked_at = c->front->clock.now;
		l->asked_us = sys_mono_us();
		l->rcpts = n;
	}
	buf_done(&trace);
	buf_done(&outline);
	buf_done(&body);
}

static void
send_accept(struct conn *c, struct letter *l)
{
	const struct scan *scan = l->handin ? handin_scan(l->handin) : &c->smtp->session.txn->scan;
	const struct smtp_txn *t = c->smtp->session.txn;
	struct buf rcpts = BUF_INIT(IPC_BODY_MAX), extra = BUF_INIT(TRACE_MAX);
	struct buf onward = BUF_INIT(IPC_BODY_MAX), expanded = BUF_INIT(ACCEPT_EXPANDED_MAX);
	struct msg_accept m = {
		.header_len = (uint32_t)scan->header_len,
		.insert_blank = scan->insert_blank,
		.facts = onward_facts(c, scan->eight_bit, (uint64_t)sys_wall_ms()),
	};
	char id[14];
	/* What is repaired as it is stored is another letter than the one that was looked at. */
	if (scan->insert_blank || scan->repaired)
		outline_over(c->front, l);
	id_format(id, l->id);
	put_rcpts(c, &rcpts, &m.n_rcpt);
	onward_put_all(t, &onward, &m.n_onward);
	onward_put_expanded(t, &expanded);
	if (glance_tls_optional(l->glance))
		m.facts.flags |= ONWARD_TLS_OPTIONAL;
	letter_put_missing(c, scan, str_n(id, 13), &extra);
	m.message_id = glance_message_id(l->glance);
	if (!m.message_id.len)
		m.message_id = glance_message_id_of(buf_str(&extra));
	if (!rcpts.failed && !extra.failed && !onward.failed && !expanded.failed) {
		m.rcpts = buf_str(&rcpts);
		m.onward = buf_str(&onward);
		m.expanded = buf_str(&expanded);
		letter_ask(c, l, &m, buf_str(&extra));
	} else {
		/* More than one message can carry; limits keep this far away. */
		if (l->opened)
			chan_send(c->front->store, IPC_BODY_DROP, l->id, STR_NULL, -1);
		l->state = LETTER_LOST;
	}
	buf_done(&rcpts);
	buf_done(&extra);
	buf_done(&onward);
	buf_done(&expanded);
}

/* False: it may not be sent in this author's name. */
static bool
end_handin(struct conn *c, struct letter *l, struct smtp_answer *a)
{
	if (!l->handin)
		return true;
	pass_on(c, l, handin_end(l->handin));
	a->situation = handin_verdict(l->handin, c, &a->reason);
	if (a->situation == SMTP_NONE)
		return true;
	letter_drop(c);
	return false;
}

/* An alias that leads away is where letters turn in circles: has this one been here? With PRDR and
 * LMTP each recipient has a word of its own. */
static size_t
stop_circles(struct conn *c, struct letter *l)
{
	const struct smtp_session *s = &c->smtp->session;
	size_t n = 0;
	list_each(node, &s->txn->rcpts)
	{
		struct smtp_rcpt *r = list_entry(node, struct smtp_rcpt, node);
		const struct rcpt_route *route = r->host_data;
		if (!route->n_onward || !glance_delivered_to(l->glance, r->addr.whole))
			continue;
		letter_note(c, "a Delivered-To field names " STR_FMT, STR_ARG(r->addr.whole));
		if (s->txn->prdr || s->conf->lmtp)
			r->outcome = SMTP_DATA_HOPS;
		n++;
	}
	return n;
}

/* The letter that named the class is dropped before this is said. */
static struct str
no_soliciting(struct conn *c, struct str class)
{
	struct buf b = BUF_INIT(1024);
	buf_putf(&b, "no soliciting here: " STR_FMT, STR_ARG(class));
	struct str kept = arena_str(&c->smtp->session.txn->arena, buf_str(&b));
	buf_done(&b);
	return kept;
}

static enum smtp_situation
judge_header(struct conn *c, struct letter *l, struct str *ret_reason)
{
	const struct smtp_session *s = &c->smtp->session;
	struct str class;
	glance_end(l->glance);
	if (glance_solicits(l->glance, s->conf->no_soliciting, &class)) {
		*ret_reason = no_soliciting(c, class);
		letter_note(c, "a Solicitation field names " STR_FMT, STR_ARG(class));
		return SMTP_DATA_REJECTED;
	}
	size_t n = stop_circles(c, l);
	bool each = s->txn->prdr || s->conf->lmtp;
	return n && (!each || n == s->txn->n_rcpt) ? SMTP_DATA_HOPS : SMTP_NONE;
}

/* False: its header says that it must not be taken. */
static bool
end_glance(struct conn *c, struct letter *l, struct smtp_answer *a)
{
	a->situation = judge_header(c, l, &a->reason);
	if (a->situation != SMTP_NONE)
		letter_drop(c);
	return a->situation == SMTP_NONE;
}

bool
letter_commit(struct conn *c, struct smtp_answer *a)
{
	struct letter *l = c->smtp->letter;
	check(l != NULL);
	if (c->smtp->session.txn->merge)
		return merge_commit(c, a);
	if (l->state == LETTER_OPEN && (!end_handin(c, l, a) || !end_glance(c, l, a)))
		return true;
	if (l->state == LETTER_OPEN) {
		letter_name(c, l);
		l->ask_no = c->smtp->session.ask_no;
		send_accept(c, l);
	}
	if (l->state == LETTER_ASKED)
		return false;
	a->situation = SMTP_DATA_TEMPERR;
	c->smtp->letter = letter_free(c->front, l);
	return true;
}

static const enum smtp_situation answer_for[ACCEPT_COUNT] = {
	[ACCEPT_OK] = SMTP_NONE,
	[ACCEPT_FAILED] = SMTP_DATA_TEMPERR,
	[ACCEPT_FULL] = SMTP_MAIL_LOWRES,
	[ACCEPT_UNKNOWN] = SMTP_DATA_TEMPERR,
};

/* The recipients as the client named them, as many as a line may hold. */
static void
put_names(const struct smtp_txn *t, struct buf *b)
{
	list_each(node, &t->rcpts)
	{
		struct str name = list_entry(node, struct smtp_rcpt, node)->addr.whole;
		if (b->len + name.len + 5 > b->max) {
			buf_putz(b, ",...");
			return;
		}
		if (b->len)
			buf_putc(b, ',');
		buf_puts(b, name);
	}
}

static void
log_letter(const struct conn *c, const struct letter *l, enum accept_status status)
{
	char id[14];
	id_format(id, l->id);
	const struct smtp_txn *t = c->smtp->session.txn;
	struct buf names = BUF_INIT(1024);
	if (t)
		put_names(t, &names);
	LOG(status == ACCEPT_OK ? LOG_INFO : LOG_ERROR, c->id,
	    status == ACCEPT_OK ? "accepted" : "not-stored", LOGZ("letter", id),
	    LOGZ("qid", l->qid), LOGF("from", t ? t->from.whole : STR_NULL),
	    LOGF("to", buf_str(&names)), LOGN("rcpts", l->rcpts), LOGN("size", l->size),
	    LOGZ("peer", c->ip),
	    LOGZ("account", c->smtp->session.authenticated ? c->smtp->session.user : ""),
	    LOGZ("tls", c->tls ? c->tls : ""));
	buf_done(&names);
}

/* What data.ok may show: the same facts as at the letter's naming. */
static void
tell(struct conn *c, struct letter *l, enum accept_status status)
{
	struct front *f = c->front;
	char qid[sizeof(l->qid)], counter[24], counter8[12], rand7[8];
	struct buf uuid = BUF_INIT(64);
	log_letter(c, l, status);
	memcpy(qid, l->qid, sizeof(qid));
	qid_format(&uuid, QID_EXCHANGE, &l->facts);
	snprintf(counter, sizeof(counter), "%llu", (unsigned long long)l->facts.counter);
	snprintf(counter8, sizeof(counter8), "%08x", (unsigned)l->facts.counter);
	qid_rand7(rand7, &l->facts);
	struct smtp_answer a = {
		.situation = answer_for[status],
		.qid = str_of(qid),
		.uuid = buf_str(&uuid),
		.counter = str_of(counter),
		.counter8 = str_of(counter8),
		.rand7 = str_of(rand7),
	};
	if (status == ACCEPT_OK) {
		/* The history went with the letter; its answer must not begin the next one's. */
		f->n_letters++;
		buf_reset(&c->smtp->history);
		c->smtp->reported_at = 0;
		c->smtp->session.history = NULL;
	}
	if (f->draining)
		smtp_session_shutdown(&c->smtp->session, &f->clock,
		    &c->stream.out); /* behind the answer */
	c->smtp->letter = letter_free(f, l);
	answer_give(c, &a);
	buf_done(&uuid);
	if (!c->dead && c->stream.eof)
		conn_kill(c, "peer closed");
}

void
letter_answered(struct front *f, uint64_t id, enum accept_status status)
{
	struct letter *l = map_get(&f->letters, key_of(&id));
	if (!l || l->state != LETTER_ASKED)
		return; /* stale: dropped long ago */
	histogram_add(&f->accept_time, METRIC_ACCEPT_SECONDS,
	    (uint64_t)MAX(sys_mono_us() - l->asked_us, (int64_t)0));
	if (!l->conn || l->conn->smtp->session.ask != SMTP_ASK_COMMIT ||
	    l->conn->smtp->session.ask_no != l->ask_no) {
		letter_free(f, l);
		return;
	}
	tell(l->conn, l, status);
}

void
letter_store_gone(struct front *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->letters, &pos, &key, &v)) {
		struct letter *l = v;
		if (l->state == LETTER_OPEN)
			l->state = LETTER_LOST;
	}
}

void
letter_store_back(struct front *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->letters, &pos, &key, &v)) {
		const struct letter *l = v;
		if (l->state == LETTER_ASKED)
			chan_send(f->store, IPC_ACCEPT_ASK, l->id, STR_NULL, -1);
	}
}

void
letter_sweep(struct front *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->letters, &pos, &key, &v)) {
		struct letter *l = v;
		/* The map may grow under this walk; whoever is missed has its turn in the next. */
		if (l->state == LETTER_ASKED && f->clock.now - l->asked_at > ANSWER_MS)
			letter_answered(f, l->id, ACCEPT_FAILED);
	}
}
