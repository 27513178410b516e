/* A session with a server: its orders, its events, the letter's octets. */
#include "roles/relay/relay_priv.h"

#include "log/log.h"
#include "sys/clock.h"

#include <stdio.h>
#include <string.h>

#define QUIT_MS 2000

/* --- history --- */

static void
note_sent(struct conn *c, const struct smtp_client_event *ev)
{
	struct str rest = ev->masked.p ? ev->masked : ev->octets;
	if (!c->job)
		return;
	if (ev->content) {
		relay_job_notef(c->job, "%zu octets of the letter", ev->octets.len);
		return;
	}
	while (rest.len)
		relay_job_note(c->job, "c: ", str_rtrim(str_cut(&rest, '\n')));
}

static void
note_reply(struct conn *c, const struct answer *a)
{
	struct str rest = buf_str(&a->text);
	if (!c->job)
		return;
	do {
		struct str line = str_rtrim(str_cut(&rest, '\n'));
		char head[16];
		struct buf b = BUF_INIT(ANSWER_TEXT_MAX + 16);
		snprintf(head, sizeof(head), "%d%c", a->code, rest.len ? '-' : ' ');
		buf_putz(&b, head);
		buf_puts(&b, line);
		relay_job_note(c->job, "s: ", buf_str(&b));
		buf_done(&b);
	} while (rest.len);
}

/* --- patience --- */

static void
arm(struct conn *c)
{
	uint64_t fixed = c->relay->conf->relay_reply_seconds;
	uint64_t s = fixed ? fixed : smtp_client_patience(c->client);
	relay_conn_arm(c, (int64_t)s * 1000);
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
	struct buf text = BUF_INIT(2 * JOB_TEXT_MAX);
	char status[16];
	bool hello = t == SMTP_TROUBLE_GREETING || t == SMTP_TROUBLE_HELLO;
	bool for_good = hello && a->code / 100 == 5;
	if (t == SMTP_TROUBLE_TLS_MISSING || t == SMTP_TROUBLE_TLS_REFUSED)
		relay_tell_no_starttls(c);
	buf_putz(&text, smtp_client_why(c->client));
	if (a->code && t != SMTP_TROUBLE_CLOSED) {
		struct str said = buf_str(&a->text);
		buf_putf(&text, ": %d " STR_FMT, a->code,
		    STR_ARG(str_first(said, str_find(said, '\n'))));
	}
	relay_job_notef(c->job, STR_FMT, STR_ARG(buf_str(&text)));
	str_copy(status, sizeof(status), str_of(for_good ? row->refused : row->later));
	if (status[0] == '\0')
		str_copy(status, sizeof(status), STR("4.0.0"));
	if (a->enhanced[0] && a->enhanced[0] == (for_good ? '5' : '4'))
		str_copy(status, sizeof(status), str_of(a->enhanced));
	enum job_trouble whose = row->trouble ? row->trouble : JOB_TROUBLE_CLOSED;
	if (t == SMTP_TROUBLE_SHUTDOWN && smtp_client_step(c->client) <= SMTP_STEP_HELLO)
		whose = JOB_TROUBLE_GREETING;
	relay_conn_next_host(c, for_good ? JOB_REFUSED : JOB_LATER, whose,
	    hello || t == SMTP_TROUBLE_AUTH || t == SMTP_TROUBLE_SHUTDOWN ? (unsigned)a->code : 0,
	    status, buf_str(&text));
	buf_done(&text);
}

/* A server may close a connection that has rested at any time; the letter that met this is not to
 * blame, and goes over a new connection to the same host. */
static bool
was_stale(struct conn *c)
{
	enum smtp_trouble t = smtp_client_trouble(c->client);
	bool closed = t == SMTP_TROUBLE_CLOSED || t == SMTP_TROUBLE_SHUTDOWN;
	return c->letters > 0 && closed && smtp_client_step(c->client) <= SMTP_STEP_MAIL &&
	       !c->job->stale;
}

static void
letter_over(struct conn *c)
{
	struct job *j = c->job;
	j->ending = false;
	bool over = smtp_client_is_over(c->client);
	enum smtp_trouble t = smtp_client_trouble(c->client);
	if (j->cancelled || j->orphan) {
		relay_conn_end_job(c);
		relay_conn_close(c);
	} else if (relay_job_is_open(j) && was_stale(c)) {
		j->stale = true;
		relay_job_notef(j, "the server has closed the connection meanwhile; once more");
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

static void
order_over(struct conn *c, enum smtp_client_todo todo)
{
	enum drive_order o = c->order;
	c->order = DRIVE_NONE;
	flush(c);
	if (o == DRIVE_HELLO && c->job && todo == SMTP_CLIENT_READY && !c->tls[0] && !c->clear &&
	    c->need == PLAN_MAY)
		relay_tell_no_starttls(c);
	if (o == DRIVE_QUIT || !c->job)
		relay_conn_close(c);
	else if (o == DRIVE_TURN)
		fetch_answered(c, todo == SMTP_CLIENT_READY);
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

static uint64_t
octets_all(const struct job *j)
{
	return j->spool.converted ? j->spool.whole.len : j->msg.size;
}

static void
spool_failed(struct conn *c)
{
	struct job *j = c->job;
	relay_job_notef(j, "the letter cannot be read from the store now");
	relay_job_fate_rest(j, JOB_LATER, 0, "4.3.0",
	    STR("the letter cannot be read from the store now"));
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

/* False: it has to wait (or the connection is gone). The end mark goes in a send of its own when
 * there is much in front of it: so that it never lies in a buffer of ours for long. */
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
	if (last && piece.len > END_INLINE_MAX && !c->envelope.chunking)
		last = false;
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
			note_sent(c, &ev);
			buf_puts(&c->stream.out, ev.octets);
			continue;
		case SMTP_CLIENT_READ:
			flush(c);
			if (!c->waits)
				arm(c);
			c->waits = true;
			return;
		case SMTP_CLIENT_REPLY:
			c->waits = false;
			note_reply(c, ev.answer);
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
			if (give_octets(c, ev.begin))
				continue;
			if (!c->dead && c->client)
				arm(c);
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
	struct smtp_client_conf conf = {
		.name = str_of(c->relay->host),
		.lmtp = d->target.kind == TARGET_LMTP,
		.secured = d->target.kind == TARGET_TURN && c->need != PLAN_CLEAR,
		.tls = c->need == PLAN_CLEAR || c->clear ? SMTP_TLS_NEVER
		       : must                            ? SMTP_TLS_MUST
		                                         : SMTP_TLS_MAY,
		.auth = d->route && d->route->login[0],
		.pipeline = true,
	};
	c->client = smtp_client_new(&conf);
	if (!c->client) {
		relay_conn_next_host(c, JOB_LATER, JOB_TROUBLE_CONNECT, 0, "4.3.5",
		    STR("the name of this server holds control characters"));
		return;
	}
	c->state = CONN_TALKS;
	c->order = DRIVE_HELLO;
	c->waits = false;
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
	if (v == CONVERT_FAILED || !envelope_make(c)) {
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
	if (c->order == DRIVE_NONE && j) {
		j->spool.failed = true;
		spool_failed(c);
		return;
	}
	drive_lost(c, "no answer in time");
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
