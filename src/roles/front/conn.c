/*
 * conn: one stranger's connection: a stream, a session, and what they ask of each other.
 *
 * conn_drive() is the only place that steps the session. A connection is never freed inside a
 * callback of its own: conn_kill() marks it and conn_reap() frees it at the end of the turn.
 */
#include "roles/front/front_priv.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <unistd.h>

void
conn_note(struct conn *c, const char *fmt, ...)
{
	va_list ap;
	struct buf text = BUF_INIT(1024);
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	size_t len = c->history.len;
	buf_putf(&c->history, "+%lldms # ", (long long)(c->front->clock.now - c->session.opened));
	utf8_escape(&c->history, buf_str(&text));
	buf_putc(&c->history, '\n');
	if (c->history.failed)
		buf_trunc(&c->history, len);
	buf_done(&text);
}

void
conn_leave(struct conn *c)
{
	if (c->counted)
		tally_leave(&c->front->tally, &c->key, c->seat);
	c->counted = false;
}

void
conn_reseat(struct conn *c, const uint16_t seat_of[LISTENER_MAX])
{
	uint16_t seat = c->seat < LISTENER_MAX ? seat_of[c->seat] : TALLY_NOWHERE;
	if (c->counted)
		tally_move(&c->front->tally, c->seat, seat);
	c->seat = seat;
}

void
conn_kill(struct conn *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	report_refusals(c);
	if (c->letter)
		letter_drop(c);
	if (c->session.delivered || c->session.refused)
		LOG(LOG_INFO, c->id, "closed", LOGZ("peer", c->ip), LOGZ("why", why),
		    LOGN("letters", c->session.delivered), LOGN("refused", c->session.refused));
	else
		LOG(LOG_DEBUG, c->id, "closed", LOGZ("peer", c->ip), LOGZ("why", why));
	conn_leave(c);
	login_drop(c);
	names_drop(c);
	merge_weigh(c);
	secure_leave(c);
	stream_close(&c->stream);
	list_del(&c->parked);
	list_del(&c->node);
	list_add_tail(&c->front->dead, &c->node);
	c->front->n_refused += c->session.refused;
	c->front->n_conns--;
	c->front->n_turned_away -= c->turned_away;
}

void
conn_reap(struct front *f)
{
	list_each(n, &f->dead)
	{
		struct conn *c = list_entry(n, struct conn, node);
		list_del(n);
		smtp_session_done(&c->session);
		buf_done(&c->history);
		settings_unref(c->settings);
		free(c);
	}
}

/* All is said. A peer that said QUIT waits for us to close; another one may still be sending,
 * and a reset would destroy our last line on its way, so read on for a moment. */
static void
finish(struct conn *c)
{
	c->ending = true;
	if (!c->end_by)
		c->end_by = c->front->clock.now + LAST_WORDS_MS;
	if (stream_unsent(&c->stream) > 0)
		return;
	if (c->polite) {
		conn_kill(c, "quit");
	} else if (c->turned_away && c->front->n_turned_away > TURNED_AWAY_MAX) {
		conn_kill(c, "turned away");
	} else if (!c->lingering) {
		c->lingering = true;
		c->end_by = c->front->clock.now + LINGER_MS;
		stream_shutdown_write(&c->stream);
		stream_pause(&c->stream, false);
	}
}

/* Did the peer ask for the end? Then our last line is 221, or silence by dialect. */
static bool
was_polite(const struct conn *c)
{
	struct str out = str_rtrim(buf_str(&c->stream.out));
	size_t nl = str_rfind(out, '\n');
	struct str last = nl < out.len ? str_skip(out, nl + 1) : out;
	return out.len == 0 ? c->session.conf->quit_silent : str_starts(last, STR("221"));
}

static void
take_body(struct conn *c, size_t eaten)
{
	letter_body(c, c->session.chunk);
	stream_eat(&c->stream, eaten);
}

/* A command may hold a password, also where AUTH was refused: it does not stay in memory that is
 * given back. */
static void
eat(struct conn *c, struct str in, size_t n)
{
	if (n)
		explicit_bzero(c->stream.in.p + (in.p - c->stream.in.p), n);
	stream_eat(&c->stream, n);
}

/* RFC 3207 6: what came behind STARTTLS in clear may be anybody's. */
static void
upgrade(struct conn *c)
{
	if (stream_input(&c->stream).len > 0) {
		LOG(LOG_WARN, c->id, "tls-injection", LOGZ("peer", c->ip));
		conn_kill(c, "input behind STARTTLS");
		return;
	}
	if (stream_unsent(&c->stream) == 0)
		secure_begin(c);
}

/* One step of the session; false when there is nothing more to do for now. */
static bool
step(struct conn *c)
{
	struct front *f = c->front;
	if (c->session.phase != PHASE_CLOSED && letter_must_wait(c)) {
		c->held = true;
		return false;
	}
	struct str in = stream_input(&c->stream), rest = in;
	enum smtp_step s = smtp_session_step(&c->session, &rest, &f->clock, &c->stream.out);
	if (s == SMTP_BODY) {
		take_body(c, in.len - rest.len);
		return true;
	}
	eat(c, in, in.len - rest.len);
	if (s == SMTP_DROP) {
		letter_drop(c);
		return true;
	}
	if (s == SMTP_ASK) {
		struct smtp_answer a = { .situation = SMTP_NONE };
		if (!answer_question(c, &a))
			return false;
		return smtp_session_answer(&c->session, c->session.ask_no, &a, &f->clock,
		    &c->stream.out);
	}
	if (s == SMTP_UPGRADE) {
		c->stage = STAGE_UPGRADE;
		c->end_by = f->clock.now + HANDSHAKE_MS;
	}
	if (s == SMTP_END) {
		c->ending = true;
		c->polite = was_polite(c);
	}
	return false;
}

void
conn_drive(struct conn *c)
{
	if (c->driving || c->dead || c->ending || c->stage != STAGE_TALK)
		return;
	c->driving = true;
	while (!c->dead && step(c))
		;
	c->driving = false;
	if (c->dead)
		return;
	merge_weigh(c);
	if (c->login && !c->session.auth)
		login_drop(c); /* cancelled, or a rule was broken */
	report_refusals(c);
	if (c->stream.out.failed) {
		conn_kill(c, "does not read its replies");
		return;
	}
	/* A question that waits, or a full way to store: leave the octets in the kernel. */
	stream_pause(&c->stream,
	    c->held || c->session.ask != SMTP_ASK_NONE || c->stage == STAGE_UPGRADE);
	stream_send(&c->stream);
	if (c->stage == STAGE_UPGRADE)
		upgrade(c);
	else if (c->ending)
		finish(c);
}

void
conn_answer(struct conn *c, const struct smtp_answer *a)
{
	struct smtp_session *s = &c->session;
	list_del(&c->parked);
	if (c->dead)
		return;
	bool fresh = smtp_session_answer(s, s->ask_no, a, &c->front->clock, &c->stream.out);
	s->history = &c->history;
	if (fresh)
		conn_drive(c);
}

void
conn_release(struct conn *c)
{
	if (!c->held)
		return;
	c->held = false;
	conn_drive(c);
}

static void
on_stream(void *arg, enum stream_event e)
{
	struct conn *c = arg;
	if (c->dead)
		return;
	front_clock(c->front);
	switch (e) {
	case STREAM_INPUT:
		if (c->ending)
			stream_eat(&c->stream, stream_input(&c->stream).len);
		else if (fault_shuts(c))
			conn_shutdown(c, true);
		else
			conn_drive(c);
		break;
	case STREAM_SECURED:
		secure_done(c);
		break;
	case STREAM_EOF:
		/* RFC 5321 says QUIT; openssl s_client and lost lines say nothing. What had its 250
		 * stays, what had not is forgotten: but an answer that store owes is waited for. */
		if (c->ending || !c->letter || c->letter->state != LETTER_ASKED)
			conn_kill(c, c->ending ? "done" : "peer closed");
		break;
	case STREAM_ERROR:
		if (c->stage == STAGE_HANDSHAKE)
			LOG(LOG_INFO, c->id, "tls-failed", LOGZ("peer", c->ip),
			    LOGZ("why", secure_error(c)));
		conn_kill(c, "connection lost");
		break;
	case STREAM_DRAINED:
		if (c->stage == STAGE_UPGRADE)
			upgrade(c);
		else if (c->ending)
			finish(c);
		break;
	}
}

/* What the session shall believe of its peer: the truth, or what a lab listener was told. */
static void
describe_peer(const struct conn *c, const struct conf_listener *l, struct smtp_peer *p)
{
	const char *own = c->local ? "unix" : c->ip;
	const char *ip = l->client_ip && l->client_ip[0] ? l->client_ip : own;
	const char *name = l->client_name && l->client_name[0] ? l->client_name : "unknown";
	(void)str_copy(p->ip, sizeof(p->ip), str_of(ip));
	(void)str_copy(p->name, sizeof(p->name), str_of(name));
}

void
conn_greet(struct conn *c)
{
	smtp_session_greet(&c->session, c->refuse, &c->front->clock, &c->stream.out);
	if (c->refuse != SMTP_NONE) {
		LOG(LOG_INFO, c->id, "turned-away", LOGZ("peer", c->ip),
		    LOGZ("situation", smtp_situation_key[c->refuse]));
		c->ending = true;
	}
	stream_send(&c->stream);
	if (!c->dead && c->ending)
		finish(c);
}

static void
welcome(struct conn *c, const struct guest *g)
{
	bool admit = !c->implicit || secure_admit(c);
	c->turned_away = c->refuse != SMTP_NONE;
	c->front->n_turned_away += c->turned_away;
	if (!admit) {
		conn_kill(c, "TLS cannot begin");
		return;
	}
	if (c->refuse == SMTP_NONE)
		names_ask(c, g);
	if (c->implicit)
		secure_begin(c);
	else
		conn_greet(c);
}

void
conn_new(struct front *f, const struct guest *g)
{
	struct conn *c = xalloc(sizeof(*c));
	*c = (struct conn){ .front = f,
		.listener = g->listener,
		.seat = g->listener,
		.key = g->key,
		.refuse = g->refuse,
		.relay = g->relay,
		.local = g->local };
	c->id = front_next_id(f);
	c->counted = g->refuse == SMTP_NONE;
	c->implicit = conf_tls_implicit(&f->settings->conf->listeners[g->listener]);
	c->history = BUF_INIT(HISTORY_MAX);
	memcpy(c->ip, g->ip, sizeof(c->ip));
	list_init(&c->parked);
	int rc = stream_open(&c->stream, f->loop, g->fd, on_stream, c);
	if (rc < 0) {
		LOG(LOG_WARN, c->id, "accept-failed", LOGZ("peer", c->ip),
		    LOGZ("error", strerror(-rc)));
		conn_leave(c);
		close(g->fd);
		free(c);
		return;
	}
	c->settings = settings_ref(f->settings);
	struct smtp_peer peer = { .tls = c->implicit };
	describe_peer(c, &f->settings->conf->listeners[g->listener], &peer);
	smtp_session_init(&c->session, &c->settings->smtp[g->listener], &peer, &f->clock);
	smtp_session_trust(&c->session, g->xclient, g->xforward);
	c->session.history = &c->history;
	list_add_tail(&f->conns, &c->node);
	f->n_conns++;
	f->n_conns_all++;
	LOG(LOG_DEBUG, c->id, "connect", LOGZ("peer", c->ip),
	    LOGN("port", f->settings->conf->listeners[g->listener].port));
	welcome(c, g);
}

/* The answer that a question gets when store stayed away too long. */
static bool
give_up_waiting(struct conn *c)
{
	if (list_empty(&c->parked) || c->front->clock.now - c->parked_at < PARK_MS)
		return false;
	/* Behind a DATA a body may wait in the kernel, unseen by the session (R-PIPE): only the end
	 * of the connection keeps it from being read as commands. */
	struct smtp_answer a = { .situation = SMTP_SHUTDOWN };
	if (c->session.ask == SMTP_ASK_MAIL)
		a.situation = SMTP_MAIL_TEMPERR;
	else if (c->session.ask == SMTP_ASK_AUTH)
		a.situation = SMTP_AUTH_TEMPFAIL;
	conn_answer(c, &a);
	return true;
}

void
conn_sweep(struct conn *c)
{
	struct front *f = c->front;
	if (c->ending) {
		if (f->clock.now >= c->end_by)
			conn_kill(c, c->lingering ? "done" : "does not read its replies");
		return;
	}
	if (c->stage != STAGE_TALK) {
		if (f->clock.now >= c->end_by)
			conn_kill(c, "TLS took too long");
		return;
	}
	if (give_up_waiting(c))
		return;
	login_sweep(c);
	if (c->dead || f->clock.now < smtp_session_deadline(&c->session) ||
	    !smtp_session_timeout(&c->session, &f->clock, &c->stream.out))
		return;
	c->ending = true;
	if (c->letter && c->letter->state != LETTER_ASKED)
		letter_drop(c);
	stream_send(&c->stream);
	if (!c->dead)
		finish(c);
}

void
conn_shutdown(struct conn *c, bool late)
{
	if (c->shut || c->ending || c->dead)
		return;
	if (c->stage != STAGE_TALK) {
		/* Words in clear would be no words. The sweep comes back. */
		if (late)
			conn_kill(c, "server stops");
		return;
	}
	if (!late && c->letter && c->letter->state == LETTER_OPEN)
		return;
	c->shut = true;
	list_del(&c->parked);
	smtp_session_shutdown(&c->session, &c->front->clock, &c->stream.out);
	conn_drive(c);
}
