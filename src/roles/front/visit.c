/* visit: a session's way into its account: ENTER, then one question at a time. */
#include "roles/front/visit_priv.h"

#include <stdlib.h>

void
visit_init(struct conn *c, struct visit *m)
{
	c->visit = m;
	m->conn = c;
	list_init(&m->watching);
}

struct msg_pass
visit_pass(const struct visit *m)
{
	return (struct msg_pass){ m->account, str_n(m->mac, sizeof(m->mac)) };
}

static struct entry *
entry_free(struct entry *e)
{
	if (!e)
		return NULL;
	buf_done(&e->address);
	buf_wipe(&e->ticket);
	buf_done(&e->ticket);
	buf_done(&e->challenge);
	free(e);
	return NULL;
}

void
visit_closing(struct conn *c)
{
	struct visit *m = c->visit;
	m->open = question_drop(m->open);
	m->ahead = question_drop(m->ahead);
	(void)watch_set(c, false, 0, 0);
}

void
visit_done(struct visit *m)
{
	m->entry = entry_free(m->entry);
	buf_done(&m->address);
	explicit_bzero(m->mac, sizeof(m->mac));
}

/* --- the way in --- */

static void
send_enter(struct conn *c)
{
	struct visit *m = c->visit;
	const struct entry *e = m->entry;
	struct buf body = BUF_INIT(2048);
	if (!c->front->reader) {
		conn_park(c);
		return;
	}
	struct msg_enter t = { buf_str(&e->address), e->time_ms, buf_str(&e->ticket) };
	msg_enter_put(&body, &t);
	check(!body.failed);
	list_del(&c->parked);
	m->open->asked = true;
	chan_send(c->front->reader, IPC_ENTER, m->open->id, buf_str(&body), -1);
	buf_wipe(&body);
	buf_done(&body);
}

static void
tell_entered(struct conn *c, enum sasl_verdict v)
{
	struct visit *m = c->visit;
	struct entry *e = m->entry;
	m->entry = NULL;
	m->open = question_free(m->open);
	list_del(&c->parked);
	struct str address = buf_str(&e->address);
	if (v == SASL_V_OK) {
		LOG(LOG_INFO, c->id, "login", LOGZ("protocol", c->protocol->name),
		    LOGZ("peer", c->ip), LOGF("account", address), LOGZ("mech", e->mech),
		    LOGZ("tls", c->tls ? c->tls : ""));
		m->address = e->address;
		e->address = BUF_INIT(0);
	}
	c->protocol->entered(c, v, buf_str(&e->challenge), address);
	entry_free(e);
}

/* False: protocol.entered() is called later; true: it was called at once. */
static bool
enter(struct conn *c, const struct login *l, const struct msg_sasl *s)
{
	struct visit *m = c->visit;
	struct entry *e = xalloc(sizeof(*e));
	check(!m->open && !m->entry);
	/* A client may break its exchange off behind the last word, and begin another. */
	m->entered = false;
	explicit_bzero(m->mac, sizeof(m->mac));
	e->time_ms = s->ticket_ms;
	buf_init(&e->address, s->account.len);
	buf_init(&e->ticket, s->ticket.len);
	buf_init(&e->challenge, s->text.len);
	buf_puts(&e->address, s->account);
	buf_puts(&e->ticket, s->ticket);
	buf_puts(&e->challenge, s->text);
	memcpy(e->mech, l->mech, sizeof(e->mech));
	m->entry = e;
	m->open = question_new(c, QUESTION_ENTER);
	if (s->ticket.len == 0) {
		LOG(LOG_WARN, c->id, "no-ticket", LOGF("account", s->account));
		tell_entered(c, SASL_V_TEMPFAIL);
		return true;
	}
	send_enter(c);
	return false;
}

static enum sasl_verdict
verdict_of(uint8_t status)
{
	return status == ACCESS_OK                                     ? SASL_V_OK
	       : status == ACCESS_NOT_FOUND || status == ACCESS_DENIED ? SASL_V_FAIL
	                                                               : SASL_V_TEMPFAIL;
}

bool
visit_entered(struct front *f, const struct ipc_frame *frame)
{
	struct msg_entered e;
	struct question *q = question_find(f, frame->id, QUESTION_ENTER);
	if (!msg_entered_get(frame->body, &e) || e.status >= ACCESS_STATUS_COUNT || !q)
		return false;
	struct conn *c = q->conn;
	if (!c) {
		question_free(q);
		return true;
	}
	if (e.status == ACCESS_OK) {
		if (e.mac.len != sizeof(c->visit->mac))
			return false;
		c->visit->account = e.account;
		memcpy(c->visit->mac, e.mac.p, sizeof(c->visit->mac));
		c->visit->entered = true;
	}
	tell_entered(c, verdict_of(e.status));
	conn_drive(c);
	return true;
}

/* --- reading --- */

static bool
is_first(const struct access_from *from)
{
	return from->uid == 0 && from->n == 0 && from->name.len == 0;
}

/* Only the first window has to wait for what is new. */
static void
put_ask(struct buf *out, const struct access_ask *ask)
{
	struct access_ask a = *ask;
	a.fresh = a.fresh && is_first(&a.from);
	access_ask_put(out, &a);
}

/* The window behind this one, while the session looks at this one. */
static void
look_ahead(struct conn *c, const struct question *q, struct str octets)
{
	struct front *f = c->front;
	struct visit *m = c->visit;
	struct wire w = wire_of(octets);
	struct access_ask ask;
	struct access_head head;
	if (!access_head_get(&w, &head) || !head.more || !f->reader || !list_empty(&f->reads) ||
	    slots_free(f) <= SLOTS_SPARE || !access_ask_get(buf_str(&q->body), &ask) ||
	    ask.kind != ACCESS_LETTERS)
		return;
	ask.from = head.next;
	m->ahead = question_new(c, QUESTION_READ);
	put_ask(&m->ahead->body, &ask);
	if (m->ahead->body.failed) {
		m->ahead = question_free(m->ahead);
		return;
	}
	slots_ask(m->ahead);
	chan_flush(f->reader); /* now: it works while we do */
}

static void
tell_answer(struct question *q)
{
	struct conn *c = q->conn;
	struct visit *m = c->visit;
	struct str octets = slots_text(c->front, q);
	m->open = NULL;
	if (q->status == ACCESS_OK)
		look_ahead(c, q, octets);
	c->protocol->told(c, (enum access_status)q->status, octets);
	question_free(q);
}

void
visit_tell_read(struct question *q)
{
	struct conn *c = q->conn;
	tell_answer(q);
	conn_drive(c);
}

/* What was read ahead, if that is what is asked now. */
static struct question *
from_ahead(struct visit *m, struct str ask)
{
	struct question *q = m->ahead;
	m->ahead = NULL;
	if (q && str_eq(buf_str(&q->body), ask))
		return q;
	question_drop(q);
	return NULL;
}

bool
visit_read(struct conn *c, const struct access_ask *ask)
{
	struct visit *m = c->visit;
	struct buf body = BUF_INIT(ACCESS_ASK_MAX);
	check(!m->open);
	bool may = m->entered || ask->kind == ACCESS_URL;
	if (may)
		put_ask(&body, ask);
	if (!may || body.failed) {
		buf_done(&body);
		c->protocol->told(c, may ? ACCESS_LIMIT : ACCESS_DENIED, STR_NULL);
		return true;
	}
	m->open = from_ahead(m, buf_str(&body));
	if (m->open) {
		buf_done(&body);
		if (!m->open->done)
			return false;
		tell_answer(m->open);
		return true;
	}
	m->open = question_new(c, QUESTION_READ);
	m->open->body = body;
	slots_ask(m->open);
	return false;
}

void
visit_settle(struct conn *c, bool asks)
{
	if (!asks)
		c->visit->ahead = question_drop(c->visit->ahead);
}

/* --- changing --- */

static void
send_change(struct conn *c)
{
	struct visit *m = c->visit;
	struct front *f = c->front;
	struct msg_access_change t = { visit_pass(m), c->id, buf_str(&m->address),
		buf_str(&m->open->body), str_of(c->ip) };
	struct buf body = BUF_INIT(ACCESS_CHANGE_MAX + 1024);
	if (!f->store) {
		conn_park(c);
		return;
	}
	msg_access_change_put(&body, &t);
	check(!body.failed);
	list_del(&c->parked);
	m->open->asked = true;
	chan_send(f->store, IPC_CHANGE, m->open->id, buf_str(&body), -1);
	buf_done(&body);
	buf_done(&m->open->body); /* never asked again */
}

bool
visit_change(struct conn *c, const struct access_change *change)
{
	struct visit *m = c->visit;
	check(!m->open);
	m->ahead = question_drop(m->ahead);
	m->open = question_new(c, QUESTION_CHANGE);
	access_change_put(&m->open->body, change);
	if (!m->entered || m->open->body.failed) {
		m->open = question_free(m->open);
		c->protocol->told(c, m->entered ? ACCESS_LIMIT : ACCESS_DENIED, STR_NULL);
		return true;
	}
	send_change(c);
	return false;
}

static void
tell_change(struct question *q, enum access_status status, struct str octets)
{
	struct conn *c = q->conn;
	c->visit->open = NULL;
	question_free(q);
	list_del(&c->parked);
	c->protocol->told(c, status, octets);
	conn_drive(c);
}

bool
visit_changed(struct front *f, const struct ipc_frame *frame)
{
	struct msg_access_done d;
	struct question *q = question_find(f, frame->id, QUESTION_CHANGE);
	if (!msg_access_done_get(frame->body, &d) || d.status >= ACCESS_STATUS_COUNT || !q)
		return false;
	if (q->conn)
		tell_change(q, (enum access_status)d.status, d.octets);
	else
		question_free(q);
	return true;
}

void
visit_store_gone(struct front *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	list_each(n, &f->conns)
	{
		struct conn *c = list_entry(n, struct conn, node);
		struct question *q = c->visit ? c->visit->open : NULL;
		if (!q || q->kind != QUESTION_CHANGE || !q->asked)
			continue;
		LOG(LOG_WARN, c->id, "change-unknown", LOGZ("peer", c->ip),
		    LOGZ("why",
			"the store ended before it answered; the change may have happened"));
		tell_change(q, ACCESS_FAILED, STR_NULL);
	}
	while (map_next(&f->questions, &pos, &key, &v)) {
		struct question *q = v;
		if (q->kind == QUESTION_CHANGE && q->asked && !q->conn)
			question_free(q);
	}
}

/* --- waiting for somebody who is away --- */

void
visit_again(struct conn *c)
{
	struct question *q = c->visit->open;
	if (q->asked)
		return;
	if (q->kind == QUESTION_ENTER)
		send_enter(c);
	else if (q->kind == QUESTION_CHANGE)
		send_change(c);
}

void
visit_give_up(struct conn *c)
{
	struct question *q = c->visit->open;
	if (q->kind == QUESTION_ENTER) {
		tell_entered(c, SASL_V_TEMPFAIL);
		conn_drive(c);
		return;
	}
	list_del(&c->parked);
	tell_change(q, ACCESS_FAILED, STR_NULL);
}

/* --- both hosts --- */

struct str
visit_refusal(const struct conn *c)
{
	const char *disabled = c->settings->conf->listeners[c->listener].service_disabled;
	if (c->refuse == SMTP_CONN_DISABLED && disabled)
		return str_of(disabled);
	if (c->refuse == SMTP_CONN_LIMIT_HOST)
		return STR("Too many connections from your address");
	if (c->refuse == SMTP_CONN_LIMIT_TLS)
		return STR("Too many TLS sessions; try again later");
	return STR("Too many connections; try again later");
}

void
visit_authed(struct conn *c, const struct login *l, const struct msg_sasl *m)
{
	struct str challenge = m->verdict == SASL_V_CHALLENGE ? m->text : STR_NULL;
	list_del(&c->parked);
	if (m->verdict != SASL_V_OK)
		c->protocol->entered(c, (enum sasl_verdict)m->verdict, challenge, STR_NULL);
	else if (!enter(c, l, m))
		return;
	conn_drive(c);
}

bool
visit_flush(struct conn *c)
{
	stream_send(&c->stream);
	c->visit->flushing = stream_unsent(&c->stream) > OUT_LOW;
	return !c->visit->flushing && !c->stream.failed;
}

struct str
visit_last_line(const struct conn *c)
{
	struct str out = str_rtrim(buf_str(&c->stream.out));
	size_t nl = str_rfind(out, '\n');
	return nl < out.len ? str_skip(out, nl + 1) : out;
}

static bool
is_stalled(const struct conn *c)
{
	struct stall *s = &c->visit->stall;
	int64_t now = c->front->clock.now;
	if (stream_unsent(&c->stream) == 0) {
		s->since = 0;
		return false;
	}
	if (s->since == 0 || s->sent != c->stream.sent) {
		s->since = now;
		s->sent = c->stream.sent;
	}
	return now - s->since > STALLED_MS;
}

void
visit_sweep(struct conn *c)
{
	if (is_stalled(c))
		conn_kill(c, "does not read its replies");
	else if (c->visit->flushing)
		visit_settle(c, false); /* others may use the slot meanwhile */
}

void
visit_log_closed(const struct conn *c, const char *why, const char *user, uint64_t commands)
{
	LOG(user ? LOG_INFO : LOG_DEBUG, c->id, "closed", LOGZ("protocol", c->protocol->name),
	    LOGZ("peer", c->ip), LOGZ("why", why), LOGZ("account", user ? user : ""),
	    LOGN("commands", commands), LOGN("received", c->stream.received),
	    LOGN("sent", c->stream.sent));
}
