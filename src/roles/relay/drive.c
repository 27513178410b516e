/* A session with a server: its orders, its events, the letter's octets. */
#include "roles/relay/relay_priv.h"

#include "log/log.h"
#include "sys/clock.h"

#include <stdio.h>
#include <string.h>

#define QUIT_MS 2000

/* --- patience --- */

static uint64_t
octets_all(const struct job *j)
{
	return j->spool.converted ? j->spool.whole.len : j->msg.size;
}

/* Once for each wait: what a server says or takes meanwhile that was not waited for changes
 * nothing. */
static void
await(struct conn *c, enum smtp_client_step step, bool octets)
{
	const struct job *j = c->job;
	const struct patience_facts f = { .reply_seconds = c->relay->conf->relay_reply_seconds,
		.n_rcpts = j ? j->n_rcpts : 0,
		.size = j ? octets_all(j) : 0,
		.lmtp = c->dest->target.kind == TARGET_LMTP };
	if (c->waits)
		return;
	c->waits = true;
	relay_conn_arm(c, patience_wait(&c->patience, &f, step, octets,
			      smtp_client_patience(c->client), loop_now(c->relay->role.loop)));
}

static void
flush(struct conn *c)
{
	if (c->stream.out.len > 0)
		stream_send(&c->stream);
}

/* --- the end of a session --- */

static const struct trouble_row {
	enum job_trouble trouble;
	const char *later, *refused; /* status where the server gave none */
} troubles[SMTP_TROUBLE_COUNT] = {
	[SMTP_TROUBLE_GREETING] = { JOB_TROUBLE_GREETING, "4.3.2", "5.3.2" },
	[SMTP_TROUBLE_HELLO] = { JOB_TROUBLE_GREETING, "4.7.0", "5.7.0" },
	[SMTP_TROUBLE_TLS_MISSING] = { JOB_TROUBLE_TLS, "4.7.4", "4.7.4" },
	[SMTP_TROUBLE_TLS_REFUSED] = { JOB_TROUBLE_TLS, "4.7.4", "4.7.4" },
	[SMTP_TROUBLE_INJECTED] = { JOB_TROUBLE_TLS, "4.7.5", "4.7.5" },
	[SMTP_TROUBLE_AUTH_MISSING] = { JOB_TROUBLE_LOGIN, "4.7.0", "4.7.0" },
	[SMTP_TROUBLE_AUTH_NONE] = { JOB_TROUBLE_LOGIN, "4.7.0", "4.7.0" },
	[SMTP_TROUBLE_AUTH] = { JOB_TROUBLE_LOGIN, "4.7.8", "4.7.8" },
	[SMTP_TROUBLE_AUTH_PROOF] = { JOB_TROUBLE_LOGIN, "4.7.0", "4.7.0" },
	[SMTP_TROUBLE_CLOSED] = { JOB_TROUBLE_CLOSED, "4.4.2", "4.4.2" },
	[SMTP_TROUBLE_SHUTDOWN] = { JOB_TROUBLE_CLOSED, "4.3.2", "4.3.2" },
	[SMTP_TROUBLE_SPENT] = { JOB_TROUBLE_CLOSED, "4.5.3", "4.5.3" },
	[SMTP_TROUBLE_NOT_SMTP] = { JOB_TROUBLE_GREETING, "4.5.0", "4.5.0" },
	[SMTP_TROUBLE_ENDLESS] = { JOB_TROUBLE_CLOSED, "4.5.0", "4.5.0" },
};

/* The session ended in a trouble that is no verdict on the letter. Of the greeting and EHLO a
 * refusal for good counts when every host refuses (RFC 7504); all other troubles pass. */
static void
session_failed(struct conn *c)
{
	enum smtp_trouble t = smtp_client_trouble(c->client);
	const struct trouble_row *row = &troubles[t];
	const struct answer *a = smtp_client_answer(c->client);
	struct buf text = BUF_INIT(ANSWER_TEXT_MAX + JOB_TEXT_MAX);
	char status[16];
	bool hello = t == SMTP_TROUBLE_GREETING || t == SMTP_TROUBLE_HELLO;
	bool for_good = hello && a->code / 100 == 5;
	bool theirs = hello || t == SMTP_TROUBLE_AUTH || t == SMTP_TROUBLE_SHUTDOWN;
	if (t == SMTP_TROUBLE_TLS_MISSING || t == SMTP_TROUBLE_TLS_REFUSED)
		relay_tell_no_starttls(c);
	relay_conn_put_trouble(c, &text);
	relay_job_note(c->job, "# ", buf_str(&text));
	/* Where the code is told, the server's words are told alone. */
	if (theirs && a->text.len)
		buf_reset(&text);
	else if (!theirs && a->code && t != SMTP_TROUBLE_CLOSED)
		buf_putf(&text, ": %d", a->code);
	if (t != SMTP_TROUBLE_CLOSED)
		envelope_put_reply(&text, a);
	str_copy(status, sizeof(status), str_of(for_good ? row->refused : row->later));
	if (status[0] == '\0')
		str_copy(status, sizeof(status), STR("4.0.0"));
	if (a->enhanced[0] && a->enhanced[0] == (for_good ? '5' : '4'))
		str_copy(status, sizeof(status), str_of(a->enhanced));
	enum job_trouble whose = row->trouble ? row->trouble : JOB_TROUBLE_CLOSED;
	if (t == SMTP_TROUBLE_SHUTDOWN && smtp_client_step(c->client) <= SMTP_STEP_HELLO)
		whose = JOB_TROUBLE_GREETING;
	relay_conn_next_host(c, for_good ? JOB_REFUSED : JOB_LATER, whose,
	    theirs ? (unsigned)a->code : 0, status, buf_str(&text));
	buf_done(&text);
}

/* A server may close a connection that has rested at any time; the letter that met this is not to
 * blame, and goes over a new connection to the same host. Whoever turned one has no other. */
static bool
was_stale(struct conn *c)
{
	enum smtp_trouble t = smtp_client_trouble(c->client);
	bool closed = t == SMTP_TROUBLE_CLOSED || t == SMTP_TROUBLE_SHUTDOWN;
	bool early = c->job->fetch || smtp_client_step(c->client) <= SMTP_STEP_MAIL ||
	             !smtp_client_letter_begun(c->client);
	return c->letters > 0 && closed && early && !c->job->stale &&
	       c->dest->target.kind != TARGET_TURN;
}

static void
once_more(struct conn *c)
{
	c->job->stale = true;
	relay_job_notef(c->job, "the server has closed the connection meanwhile; once more");
	relay_conn_again(c, true);
}

/* 421 to a recipient behind others that were good: it may have been one too many, and the next
 * attempt would end at the same one, with nothing sent. Fewer at a time, over a new connection. */
static bool
was_too_many(const struct conn *c)
{
	return smtp_client_trouble(c->client) == SMTP_TROUBLE_SHUTDOWN &&
	       smtp_client_step(c->client) == SMTP_STEP_RCPT &&
	       smtp_client_accepted(c->client) > 0 && c->sessions < HOSTS_TRIED_MAX &&
	       c->dest->target.kind != TARGET_TURN;
}

static void
letter_over(struct conn *c)
{
	struct job *j = c->job;
	j->ending = false;
	c->verdict.met |= smtp_client_letter_met(c->client);
	bool over = smtp_client_is_over(c->client);
	enum smtp_trouble t = smtp_client_trouble(c->client);
	if (j->cancelled || j->orphan) {
		relay_conn_end_job(c);
		relay_conn_close(c);
	} else if (relay_job_is_open(j) && was_stale(c)) {
		once_more(c);
	} else if (relay_job_is_open(j) && was_too_many(c)) {
		j->rcpts_most = smtp_client_accepted(c->client);
		relay_job_notef(j, "once more, with %zu recipients at a time", j->rcpts_most);
		relay_conn_again(c, true);
	} else if (relay_job_is_open(j) && !over && smtp_client_is_spent(c->client)) {
		relay_job_notef(j, "the server takes no more on this connection (MAILMAX); on");
		drive_leave(c);
		c->sessions = 0;
		relay_conn_again(c, true);
	} else if (relay_job_is_open(j) &&
		   (over || t == SMTP_TROUBLE_LACKS || t == SMTP_TROUBLE_ADDRESS)) {
		if (t == SMTP_TROUBLE_LACKS || t == SMTP_TROUBLE_ADDRESS) {
			relay_job_notef(j, "%s", smtp_client_why(c->client));
			relay_job_fate_rest(j, JOB_REFUSED, 0, "5.6.0",
			    str_of(smtp_client_why(c->client)));
			j->trouble = JOB_TROUBLE_LETTER;
			c->letters++;
			relay_conn_end_job(c);
			relay_conn_rest(c);
		} else {
			session_failed(c);
		}
	} else if (relay_job_is_open(j)) {
		drive_letter(c); /* the next round */
	} else {
		c->letters++;
		relay_conn_end_job(c);
		if (over)
			relay_conn_close(c);
		else
			relay_conn_rest(c);
	}
}

/* An address of ours that is on none of our interfaces, as behind NAT. */
static bool
is_this_server(const struct conn *c)
{
	return c->dest->target.kind == TARGET_MX &&
	       self_has_name(&c->relay->self, str_of(smtp_client_caps(c->client)->greets));
}

static void
order_over(struct conn *c, enum smtp_client_todo todo)
{
	enum drive_order o = c->order;
	c->order = DRIVE_NONE;
	flush(c);
	if (o == DRIVE_HELLO)
		relay_login_drop(c);
	if (o == DRIVE_HELLO && c->job && todo == SMTP_CLIENT_READY && !c->tls[0])
		relay_tell_clear(c);
	if (o == DRIVE_QUIT || !c->job)
		relay_conn_close(c);
	else if (o == DRIVE_TURN && todo != SMTP_CLIENT_READY && was_stale(c))
		once_more(c);
	else if (o == DRIVE_TURN)
		fetch_answered(c, todo == SMTP_CLIENT_READY);
	else if (o == DRIVE_HELLO && todo == SMTP_CLIENT_READY && is_this_server(c))
		relay_conn_loops(c);
	else if (o == DRIVE_HELLO && todo == SMTP_CLIENT_READY)
		drive_letter(c);
	else if (o == DRIVE_HELLO)
		session_failed(c);
	else
		letter_over(c);
}

/* --- the letter --- */

/* The next octets of what is to be sent. */
static bool
octets_at(struct job *j, uint64_t off, struct str *ret)
{
	if (!j->spool.converted)
		return spool_at(j, off, ret);
	*ret = str_first(str_skip(buf_str(&j->spool.whole), (size_t)off), SPOOL_CHUNK);
	return true;
}

static void
spool_failed(struct conn *c)
{
	struct job *j = c->job;
	const char *why = j->spool.damaged ? "the letter's octets are damaged in the store"
	                                   : "the letter cannot be read from the store now";
	relay_job_notef(j, "%s", why);
	relay_job_fate_rest(j, JOB_LATER, 0, "4.3.0", str_of(why));
	if (j->spool.damaged)
		j->trouble = JOB_TROUBLE_DAMAGED;
	relay_conn_end_job(c);
	relay_conn_close(c); /* in the middle of a letter there is no other way out */
}

/* The end mark: only while the letter is ours, by the clock of this moment. */
static bool
may_end(struct conn *c)
{
	struct job *j = c->job;
	if (relay_job_is_ours(j)) {
		j->ending = true;
		return true;
	}
	LOG(LOG_WARN, 0, "lease-over", LOGF("qid", j->msg.qid), LOGZ("where", c->where));
	relay_job_notef(j, "not ended: this process was held up for longer than it may be");
	j->cancelled = true;
	relay_conn_end_job(c);
	relay_conn_close(c);
	return false;
}

/* Octets that may go in one send with the end mark, so that it never lies in a buffer of ours:
 * there it would go out later, whosever the letter is then. A chunk in front of it was answered, so
 * that the kernel's buffer is empty. */
static size_t
inline_most(const struct conn *c)
{
	return c->given == 0 ? END_INLINE_MAX : c->envelope.chunking ? END_CHUNK_MAX : 0;
}

/* False: it has to wait (or the connection is gone). */
static bool
give_octets(struct conn *c, bool begin)
{
	struct job *j = c->job;
	struct str piece = STR_NULL;
	uint64_t all = octets_all(j);
	if (begin)
		c->given = 0;
	if (stream_unsent(&c->stream) > 0) {
		flush(c);
		if (stream_unsent(&c->stream) > 0)
			return false;
	}
	if (c->given < all && !octets_at(j, c->given, &piece)) {
		if (j->spool.failed)
			spool_failed(c);
		return false;
	}
	bool last = c->given + piece.len >= all;
	if (last && piece.len > inline_most(c)) {
		last = false;
		piece.len -= c->envelope.chunking ? END_CHUNK_MAX : 0;
	}
	if (last && c->given > 0 && !stream_has_room(&c->stream))
		return false;
	if (last && !may_end(c))
		return false;
	c->given += piece.len;
	smtp_client_data(c->client, piece, last);
	return true;
}

/* --- events --- */

static void
result(struct conn *c, const struct smtp_client_event *ev)
{
	if (c->job && ev->rcpt < c->job->n_rcpts)
		envelope_fate(c, ev->rcpt, ev->answer);
}

static void
note(struct conn *c, const struct smtp_client_event *ev)
{
	if (c->job)
		relay_job_note(c->job, ev->warn ? "# ! " : "# ", ev->text);
}

void
drive(struct conn *c)
{
	struct smtp_client_event ev;
	while (!c->dead && c->open && c->client && c->order != DRIVE_NONE &&
	       !relay_login_waits(c) && (c->state == CONN_TALKS || c->state == CONN_QUITS)) {
		enum smtp_client_todo todo = smtp_client_next(c->client, &ev);
		switch (todo) {
		case SMTP_CLIENT_SEND:
			relay_job_note_sent(c->job, &ev);
			buf_puts(&c->stream.out, ev.octets);
			continue;
		case SMTP_CLIENT_READ:
			flush(c);
			await(c, ev.step, false);
			return;
		case SMTP_CLIENT_REPLY:
			c->waits = false;
			relay_job_note_reply(c->job, ev.answer);
			continue;
		case SMTP_CLIENT_NOTE:
			note(c, &ev);
			continue;
		case SMTP_CLIENT_RESULT:
			result(c, &ev);
			continue;
		case SMTP_CLIENT_TLS:
			flush(c);
			if (stream_unsent(&c->stream) == 0)
				relay_secure_begin(c);
			return;
		case SMTP_CLIENT_AUTH:
			relay_login_begin(c, &ev);
			continue;
		case SMTP_CLIENT_DATA:
			if (give_octets(c, ev.begin)) {
				c->waits = false;
				continue;
			}
			if (!c->dead && c->client)
				await(c, ev.step, true);
			return;
		case SMTP_CLIENT_READY:
		case SMTP_CLIENT_FAILED:
		case SMTP_CLIENT_CLOSED:
			order_over(c, todo);
			continue;
		}
	}
}

/* --- beginnings --- */

void
drive_begin(struct conn *c)
{
	const struct dest *d = c->dest;
	bool must = c->need >= PLAN_ANY;
	if (relay_conn_outdated(c))
		return;
	struct smtp_client_conf conf = {
		.name = str_of(c->relay->host),
		.lmtp = d->target.kind == TARGET_LMTP,
		.secured = d->target.kind == TARGET_TURN && c->need != PLAN_CLEAR,
		.tls = c->need == PLAN_CLEAR || c->clear ? SMTP_TLS_NEVER
		       : must                            ? SMTP_TLS_MUST
		                                         : SMTP_TLS_MAY,
		.auth = d->route && d->route->login[0],
		.pipeline = true,
		.mailmax = d->target.kind != TARGET_TURN, /* it has no other connection */
	};
	c->client = smtp_client_new(&conf);
	if (!c->client) {
		relay_conn_next_host(c, JOB_LATER, JOB_TROUBLE_CONNECT, 0, "4.3.5",
		    STR("the name of this server holds control characters"));
		return;
	}
	c->shown = conf.secured ? c->need : PLAN_CLEAR; /* else relay_secure_done() says it */
	c->state = CONN_TALKS;
	c->order = DRIVE_HELLO;
	c->waits = false;
	c->patience.begun = false;
	relay_job_stage(c->job, JOB_TALKING, c->where);
	smtp_client_go(c->client, SMTP_STEP_AUTH);
	drive(c);
}

/* All octets are looked at once before anything is said of the letter. */
static bool
is_scanned(struct conn *c)
{
	struct job *j = c->job;
	struct str piece;
	while (!j->scanned) {
		if (j->scan_at >= j->msg.size) {
			letter_scan_end(&j->scan);
			j->scanned = true;
			break;
		}
		if (!spool_at(j, j->scan_at, &piece))
			break;
		letter_scan_feed(&j->scan, piece);
		j->scan_at += piece.len;
	}
	return j->scanned;
}

void
drive_letter(struct conn *c)
{
	struct job *j = c->job;
	c->state = CONN_TALKS;
	c->waits = false;
	c->patience.begun = false;
	if (j->fetch) {
		fetch_order(c);
		return;
	}
	if (!is_scanned(c)) {
		if (j->spool.failed)
			spool_failed(c);
		else
			relay_conn_arm(c, SPOOL_PATIENCE_MS);
		return; /* drive_more() comes back */
	}
	enum convert v = convert_letter(c);
	if (v == CONVERT_WAITS) {
		relay_conn_arm(c, SPOOL_PATIENCE_MS);
		return;
	}
	if (v == CONVERT_FAILED && j->spool.failed) {
		spool_failed(c);
		return;
	}
	const char *why;
	enum envelope e = v == CONVERT_FAILED ? ENVELOPE_REFUSED : envelope_make(c, &why);
	if (e == ENVELOPE_ELSEWHERE) {
		relay_conn_elsewhere(c, "5.7.30", why);
		return;
	}
	if (e == ENVELOPE_REFUSED) {
		if (relay_job_is_open(j)) {
			drive_letter(c);
			return;
		}
		c->letters++;
		relay_conn_end_job(c);
		relay_conn_rest(c);
		return;
	}
	c->order = DRIVE_LETTER;
	smtp_client_letter(c->client, &c->envelope, SMTP_STEP_DOT);
	drive(c);
}

void
drive_more(struct conn *c)
{
	if (c->state != CONN_TALKS || !c->client)
		return;
	if (c->order == DRIVE_NONE && c->job)
		drive_letter(c);
	else
		drive(c);
}

/* --- ends --- */

void
drive_late(struct conn *c)
{
	struct job *j = c->job;
	if (relay_login_waits(c)) {
		relay_login_late(c);
		return;
	}
	if (j && !list_empty(&j->cramped)) {
		convert_late(c);
		return;
	}
	/* Octets that are asked for and do not come are our own lack, not the server's. */
	bool octets = c->order == DRIVE_NONE || (c->order == DRIVE_LETTER && j->spool.ask_id);
	if (j && octets) {
		j->spool.failed = true;
		spool_failed(c);
		return;
	}
	bool in_all = loop_now(c->relay->role.loop) >= c->patience.until;
	drive_lost(c,
	    in_all ? "it answers, but so slowly that it would take too long" : "no answer in time");
}

void
drive_lost(struct conn *c, const char *why)
{
	if (c->dead || !c->client) {
		return;
	}
	if (!c->job || c->state == CONN_IDLE || c->state == CONN_QUITS) {
		check(!c->job);
		relay_conn_close(c);
		return;
	}
	if (why)
		relay_job_notef(c->job, "%s", why);
	relay_login_drop(c);
	smtp_client_closed(c->client);
	if (c->order == DRIVE_NONE)
		return; /* the letter is not here yet; the session will say it */
	drive(c);
}

void
drive_leave(struct conn *c)
{
	struct smtp_client_event ev;
	smtp_client_quit(c->client);
	while (smtp_client_next(c->client, &ev) == SMTP_CLIENT_SEND) {
		relay_job_note_sent(c->job, &ev);
		buf_puts(&c->stream.out, ev.octets);
	}
	flush(c);
}

void
drive_quit(struct conn *c)
{
	check(!c->job);
	if (!c->client || !c->open || smtp_client_is_over(c->client)) {
		relay_conn_close(c);
		return;
	}
	c->state = CONN_QUITS;
	c->order = DRIVE_QUIT;
	smtp_client_quit(c->client);
	drive(c);
	if (!c->dead)
		relay_conn_arm(c, QUIT_MS);
}
