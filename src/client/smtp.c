#include "client/smtp_priv.h"

#include "base/check.h"
#include "client/certs.h"
#include "client/name.h"
#include "sys/clock.h"

#define PIECE (32u << 10) /* of the letter */

int
smtp_run_fail(struct smtp_run *r, int status, const char *fmt, ...)
{
	va_list ap;
	buf_reset(&r->why);
	va_start(ap, fmt);
	buf_vputf(&r->why, fmt, ap);
	va_end(ap);
	buf_cstr(&r->why);
	r->status = status;
	return status;
}

static int
link_failed(struct smtp_run *r, int status)
{
	return smtp_run_fail(r, status, STR_FMT, STR_ARG(buf_str(&r->link.why)));
}

/* What a trouble is as an exit status. */
static int
exit_of(enum smtp_trouble t, enum smtp_client_step step)
{
	static const int by_trouble[SMTP_TROUBLE_COUNT] = {
		[SMTP_TROUBLE_GREETING] = CLIENT_GREETING,
		[SMTP_TROUBLE_HELLO] = CLIENT_HELLO,
		[SMTP_TROUBLE_TLS_MISSING] = CLIENT_TLS_REFUSED,
		[SMTP_TROUBLE_TLS_REFUSED] = CLIENT_TLS_REFUSED,
		[SMTP_TROUBLE_INJECTED] = CLIENT_TLS,
		[SMTP_TROUBLE_XCLIENT] = CLIENT_HELLO,
		[SMTP_TROUBLE_AUTH_MISSING] = CLIENT_AUTH,
		[SMTP_TROUBLE_AUTH_NONE] = CLIENT_AUTH,
		[SMTP_TROUBLE_AUTH] = CLIENT_AUTH,
		[SMTP_TROUBLE_AUTH_PROOF] = CLIENT_AUTH,
		[SMTP_TROUBLE_LACKS] = CLIENT_MESSAGE,
		[SMTP_TROUBLE_ADDRESS] = CLIENT_USAGE,
		[SMTP_TROUBLE_MAIL] = CLIENT_MAIL,
		[SMTP_TROUBLE_RCPT] = CLIENT_RCPT_ALL,
		[SMTP_TROUBLE_DATA] = CLIENT_MESSAGE,
		[SMTP_TROUBLE_LETTER] = CLIENT_MESSAGE,
		[SMTP_TROUBLE_COMMAND] = CLIENT_MESSAGE,
		[SMTP_TROUBLE_CLOSED] = CLIENT_CLOSED,
		[SMTP_TROUBLE_SHUTDOWN] = CLIENT_CLOSED,
		[SMTP_TROUBLE_LOST] = CLIENT_CLOSED,
		[SMTP_TROUBLE_SPENT] = CLIENT_MAIL,
		[SMTP_TROUBLE_NOT_SMTP] = CLIENT_GREETING,
		[SMTP_TROUBLE_ENDLESS] = CLIENT_CLOSED,
	};
	static const int by_step[SMTP_STEP_COUNT] = {
		[SMTP_STEP_GREETING] = CLIENT_GREETING,
		[SMTP_STEP_HELLO] = CLIENT_HELLO,
		[SMTP_STEP_AUTH] = CLIENT_AUTH,
		[SMTP_STEP_MAIL] = CLIENT_MAIL,
		[SMTP_STEP_RCPT] = CLIENT_RCPT_ALL,
		[SMTP_STEP_DATA] = CLIENT_MESSAGE,
		[SMTP_STEP_DOT] = CLIENT_MESSAGE,
	};
	if (t == SMTP_TROUBLE_SHUTDOWN && by_step[step])
		return by_step[step];
	return by_trouble[t];
}

/* --- what the session wants done --- */

static void
tell_reply(struct smtp_run *r, const struct smtp_client_event *ev)
{
	const struct answer *a = ev->answer;
	r->took_us = r->link.sent_us ? sys_mono_us() - r->link.sent_us : 0;
	r->temporary = r->temporary || answer_temporary(a);
	struct event e = { .kind = EVENT_REPLY,
		.code = a->code,
		.enhanced = str_of(a->enhanced),
		.text = buf_str(&a->text),
		.took_us = r->took_us,
		.step = smtp_step_name[ev->step] };
	event_emit(&r->o->events, &e);
}

/* CLIENT_OK: it goes on. */
static int
link_said(struct smtp_run *r, enum link_status s)
{
	switch (s) {
	case LINK_OK:
	case LINK_PIECE:
	case LINK_AGAIN:
		return CLIENT_OK;
	case LINK_TIMEOUT:
		return link_failed(r, CLIENT_TIMEOUT);
	case LINK_STOPPED:
		return link_failed(r, CLIENT_INTERRUPTED);
	case LINK_END:
	case LINK_FAILED:
		break;
	}
	smtp_client_closed(r->c);
	return CLIENT_OK;
}

static int
read_line(struct smtp_run *r)
{
	struct str line;
	enum link_status s = link_line(&r->link, STR_NULL, &line);
	if (s == LINK_OK || s == LINK_PIECE)
		smtp_client_feed(r->c, line);
	return link_said(r, s);
}

/* What came before the line broke may say why. */
static int
send_failed(struct smtp_run *r, enum link_status s)
{
	struct str line;
	if (s != LINK_END && s != LINK_FAILED)
		return link_said(r, s);
	for (enum link_status got; (got = link_line(&r->link, STR_NULL, &line)) <= LINK_PIECE;)
		smtp_client_feed(r->c, line);
	smtp_client_closed(r->c);
	return CLIENT_OK;
}

/* Lines for a server that is to see other line ends (--eol). */
static enum link_status
send_other_eol(struct smtp_run *r, const struct smtp_client_event *ev)
{
	const char *end = r->o->link.eol == LINK_LF ? "\n" : "\r";
	struct buf b = BUF_INIT(ev->octets.len + 1);
	struct str left = ev->octets;
	while (left.len > 0) {
		size_t n = str_find_str(left, STR("\r\n"));
		buf_puts(&b, str_first(left, n));
		if (n < left.len)
			buf_putz(&b, end);
		left = str_skip(left, n + 2);
	}
	enum link_status s = link_send(&r->link, buf_str(&b), ev->masked, ev->content);
	buf_wipe(&b);
	buf_done(&b);
	return s;
}

static int
send_octets(struct smtp_run *r, const struct smtp_client_event *ev)
{
	enum link_status s = r->o->link.eol == LINK_CRLF
	                         ? link_send(&r->link, ev->octets, ev->masked, ev->content)
	                         : send_other_eol(r, ev);
	return s == LINK_OK ? CLIENT_OK : send_failed(r, s);
}

/* --show-certs */
static void
show_certs(struct smtp_run *r)
{
	struct buf b = BUF_INIT(1u << 20);
	FILE *to = r->o->json ? stderr : r->o->show.out;
	if (!r->o->show_certs)
		return;
	certs_text(&r->link, true, &b);
	fwrite(b.p ? b.p : "", 1, b.len, to);
	fflush(to);
	buf_done(&b);
}

static int
secure(struct smtp_run *r)
{
	int status = link_tls(&r->link, NULL);
	if (status != CLIENT_OK) {
		r->step = SMTP_STEP_STARTTLS;
		return link_failed(r, status);
	}
	show_certs(r);
	smtp_client_secured(r->c);
	return CLIENT_OK;
}

static void
give_letter(struct smtp_run *r, bool begin)
{
	size_t most = r->o->chunking ? r->o->chunk ? r->o->chunk : SIZE_MAX : PIECE;
	if (begin)
		r->letter_at = 0;
	struct str piece = str_first(str_skip(r->letter, r->letter_at), most);
	r->letter_at += piece.len;
	smtp_client_data(r->c, piece, r->letter_at == r->letter.len);
}

/* The order has ended with trouble. */
static int
trouble(struct smtp_run *r)
{
	const struct answer *a = smtp_client_answer(r->c);
	enum smtp_trouble t = smtp_client_trouble(r->c);
	r->step = smtp_client_step(r->c);
	int status = exit_of(t, r->step);
	if (t == SMTP_TROUBLE_AUTH_NONE && r->why.len)
		return r->status;
	if (a->code) {
		struct str text = buf_str(&a->text);
		return smtp_run_fail(r, status, "%s: %d " STR_FMT, smtp_client_why(r->c), a->code,
		    STR_ARG(str_first(text, MIN(str_find(text, '\n'), 500))));
	}
	if (t == SMTP_TROUBLE_CLOSED)
		return smtp_run_fail(r, status, "the server closed the connection at step %s",
		    smtp_step_name[r->step]);
	return smtp_run_fail(r, status, "%s", smtp_client_why(r->c));
}

static int
drive(struct smtp_run *r)
{
	struct smtp_client_event ev;
	int status = CLIENT_OK;
	buf_reset(&r->why);
	r->status = CLIENT_OK;
	while (status == CLIENT_OK) {
		switch (smtp_client_next(r->c, &ev)) {
		case SMTP_CLIENT_SEND:
			status = send_octets(r, &ev);
			break;
		case SMTP_CLIENT_READ:
			r->step = ev.step;
			status = read_line(r);
			break;
		case SMTP_CLIENT_REPLY:
			tell_reply(r, &ev);
			break;
		case SMTP_CLIENT_NOTE:
			if (ev.warn)
				event_warn(&r->o->events, smtp_step_name[ev.step], STR_FMT,
				    STR_ARG(ev.text));
			else
				event_note(&r->o->events, STR_FMT, STR_ARG(ev.text));
			break;
		case SMTP_CLIENT_RESULT:
			if (r->result)
				r->result(r->arg, ev.rcpt, ev.answer);
			break;
		case SMTP_CLIENT_TLS:
			status = secure(r);
			break;
		case SMTP_CLIENT_AUTH:
			smtp_run_login(r);
			break;
		case SMTP_CLIENT_DATA:
			if (r->stop_at_data) {
				r->stopped = true;
				return CLIENT_OK;
			}
			give_letter(r, ev.begin);
			break;
		case SMTP_CLIENT_READY:
			return CLIENT_OK;
		case SMTP_CLIENT_FAILED:
		case SMTP_CLIENT_CLOSED:
			return trouble(r);
		}
	}
	r->stuck = true;
	return status;
}

/* --- orders --- */

static enum smtp_client_hello
hello_of(const struct client_options *o)
{
	switch (o->hello) {
	case HELLO_EHLO:
		return SMTP_HELLO_EHLO;
	case HELLO_HELO:
		return SMTP_HELLO_HELO;
	case HELLO_LHLO:
		return SMTP_HELLO_LHLO;
	case HELLO_NONE:
		return SMTP_HELLO_NONE;
	case HELLO_AUTO:
		break;
	}
	return SMTP_HELLO_AUTO;
}

static int
session_begin(struct smtp_run *r)
{
	struct client_options *o = r->o;
	name_of_us(o->ehlo, r->link.fd, r->link.name[0] ? r->link.name : o->link.host, &r->name);
	const struct smtp_client_conf conf = {
		.hello = hello_of(o),
		.name = buf_str(&r->name),
		.tls = o->tls == CLIENT_TLS_MUST  ? SMTP_TLS_MUST
		       : o->tls == CLIENT_TLS_MAY ? SMTP_TLS_MAY
		                                  : SMTP_TLS_NEVER,
		.secured = r->link.tls != NULL,
		.xclient = o->xclient ? str_of(o->xclient) : STR_NULL,
		.lmtp = o->proto == PROTO_LMTP,
		.auth = o->auth && !r->no_auth,
		.auth_force = o->force_auth,
		.no_initial = o->no_initial_response,
		.pipeline = o->pipeline,
		.pipeline_force = o->pipeline_force,
		.max_rcpt = o->max_rcpt,
	};
	r->c = smtp_client_new(&conf);
	if (!r->c)
		return smtp_run_fail(r, CLIENT_USAGE,
		    "there are no control characters in --ehlo and --xclient");
	return CLIENT_OK;
}

int
smtp_run_open(struct smtp_run *r, struct client_options *o)
{
	r->o = o;
	r->why = BUF_INIT(SMTP_RUN_WHY_MAX);
	r->name = BUF_INIT(1024);
	r->secret = r->have_secret ? r->secret : BUF_INIT(SASL_MESSAGE_MAX);
	r->c = NULL;
	r->mech[0] = r->refused[0] = '\0';
	r->stuck = false;
	r->step = SMTP_STEP_GREETING;
	int status = link_open(&r->link, &o->link, &o->events);
	if (link_must_tls(&r->link) && o->tls == CLIENT_TLS_MAY)
		o->tls = CLIENT_TLS_MUST;
	if (status == CLIENT_OK && o->tls == CLIENT_TLS_IMPLICIT)
		status = link_tls(&r->link, NULL);
	if (status != CLIENT_OK)
		return link_failed(r, status);
	if (r->link.tls)
		show_certs(r);
	return session_begin(r);
}

int
smtp_run_go(struct smtp_run *r, enum smtp_client_step until)
{
	if (r->stuck)
		return r->status;
	smtp_client_go(r->c, until);
	int status = drive(r);
	while (status == CLIENT_AUTH && smtp_run_another_login(r)) {
		smtp_client_go(r->c, until);
		status = drive(r);
	}
	return status;
}

int
smtp_run_letter(struct smtp_run *r, const struct smtp_client_envelope *e, struct str letter,
    enum smtp_client_step until)
{
	size_t sent = 0;
	r->letter = letter;
	r->letter_at = 0;
	if (r->stuck)
		return r->status;
	smtp_client_letter(r->c, e, until);
	int status = drive(r);
	if (until < SMTP_STEP_RCPT)
		return status;
	bool early = until < SMTP_STEP_DOT || r->stopped;
	for (size_t i = 0; i < e->n_rcpts; i++)
		sent += e->rcpts[i].fate == (early ? SMTP_FATE_ACCEPTED : SMTP_FATE_SENT);
	if (sent == 0 || sent == e->n_rcpts || (status != CLIENT_OK && status != CLIENT_MESSAGE))
		return status;
	return smtp_run_fail(r, CLIENT_RCPT_SOME, "the server %s %zu of %zu recipients",
	    early ? "takes" : "took the letter for", sent, e->n_rcpts);
}

int
smtp_run_command(struct smtp_run *r, struct str line)
{
	if (r->stuck)
		return r->status;
	smtp_client_command(r->c, line, STR_NULL);
	return drive(r);
}

int
smtp_run_rset(struct smtp_run *r)
{
	if (r->stuck)
		return r->status;
	smtp_client_rset(r->c);
	return drive(r);
}

int
smtp_run_quit(struct smtp_run *r)
{
	if (!r->c || smtp_client_is_over(r->c))
		return CLIENT_OK;
	struct buf why = r->why; /* what went wrong before is still what went wrong */
	int was = r->status;
	enum smtp_client_step step = r->step;
	r->why = BUF_INIT(SMTP_RUN_WHY_MAX);
	smtp_client_quit(r->c);
	int status = drive(r);
	if (was != CLIENT_OK) {
		buf_done(&r->why);
		r->why = why;
		r->status = was;
		r->step = step;
	} else {
		buf_done(&why);
	}
	return status;
}

void
smtp_run_close(struct smtp_run *r)
{
	link_close(&r->link);
	r->c = smtp_client_free(r->c);
	buf_done(&r->name);
	buf_wipe(&r->secret);
	buf_done(&r->secret);
	buf_done(&r->why);
	r->have_secret = false;
}
