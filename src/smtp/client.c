#include "smtp/client_priv.h"

#include "base/check.h"

#include <stdlib.h>

const char *const smtp_step_name[SMTP_STEP_COUNT] = {
	[SMTP_STEP_GREETING] = "greeting",
	[SMTP_STEP_HELLO] = "hello",
	[SMTP_STEP_STARTTLS] = "starttls",
	[SMTP_STEP_XCLIENT] = "xclient",
	[SMTP_STEP_AUTH] = "auth",
	[SMTP_STEP_MAIL] = "mail",
	[SMTP_STEP_RCPT] = "rcpt",
	[SMTP_STEP_DATA] = "data",
	[SMTP_STEP_DOT] = "dot",
	[SMTP_STEP_RSET] = "rset",
	[SMTP_STEP_QUIT] = "quit",
	[SMTP_STEP_COMMAND] = "command",
};

const char *const smtp_trouble_text[SMTP_TROUBLE_COUNT] = {
	[SMTP_TROUBLE_NONE] = "all is well",
	[SMTP_TROUBLE_GREETING] = "the server does not want this connection",
	[SMTP_TROUBLE_HELLO] = "the server refuses our name",
	[SMTP_TROUBLE_TLS_MISSING] = "TLS is required, and the server does not offer STARTTLS",
	[SMTP_TROUBLE_TLS_REFUSED] = "TLS is required; the server offers STARTTLS and refuses it",
	[SMTP_TROUBLE_INJECTED] = "octets came in clear behind the answer to STARTTLS",
	[SMTP_TROUBLE_XCLIENT] = "the server does not take XCLIENT from us",
	[SMTP_TROUBLE_AUTH_MISSING] = "a login is wanted, and the server does not offer AUTH",
	[SMTP_TROUBLE_AUTH_NONE] = "no login is possible",
	[SMTP_TROUBLE_AUTH] = "the server refuses the login",
	[SMTP_TROUBLE_AUTH_PROOF] = "the login was broken off",
	[SMTP_TROUBLE_LACKS] = "the server lacks what the letter needs",
	[SMTP_TROUBLE_ADDRESS] = "this envelope cannot be sent",
	[SMTP_TROUBLE_MAIL] = "the server refuses the sender",
	[SMTP_TROUBLE_RCPT] = "the server refuses every recipient",
	[SMTP_TROUBLE_DATA] = "the server does not want the letter",
	[SMTP_TROUBLE_LETTER] = "the server refuses the letter",
	[SMTP_TROUBLE_COMMAND] = "the server refuses the command",
	[SMTP_TROUBLE_CLOSED] = "the server closed the connection",
	[SMTP_TROUBLE_SHUTDOWN] = "the server ends the session (421)",
	[SMTP_TROUBLE_LOST] = "lost behind the letter: it may have arrived (RFC 1047)",
	[SMTP_TROUBLE_SPENT] = "the server takes no more letters on this connection (MAILMAX)",
	[SMTP_TROUBLE_NOT_SMTP] = "what answers there is no SMTP server",
	[SMTP_TROUBLE_ENDLESS] = "the server sends without end",
};

bool
client_clean(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

struct smtp_client *
smtp_client_new(const struct smtp_client_conf *conf)
{
	if (!client_clean(conf->name) || !client_clean(conf->xclient))
		return NULL;
	struct smtp_client *c = xalloc(sizeof(*c));
	c->conf = *conf;
	c->name = str_dup(conf->name);
	c->xclient = str_dup(conf->xclient);
	c->conf.name = str_n(c->name, conf->name.len);
	c->conf.xclient = str_n(c->xclient, conf->xclient.len);
	c->secured = conf->secured;
	caps_init(&c->caps);
	answer_init(&c->answer);
	answer_init(&c->refused);
	answer_init(&c->kept);
	c->in = BUF_INIT(CLIENT_IN_MAX);
	c->out = BUF_INIT(CLIENT_OUT_MAX);
	c->masked = BUF_INIT(CLIENT_OUT_MAX);
	c->body = BUF_INIT(SIZE_MAX / 2);
	c->note = BUF_INIT(CLIENT_WHY_MAX);
	c->why = BUF_INIT(CLIENT_WHY_MAX);
	c->remote_octets = BUF_INIT(SASL_MESSAGE_MAX);
	return c;
}

struct smtp_client *
smtp_client_free(struct smtp_client *c)
{
	if (!c)
		return NULL;
	sasl_client_free(c->sasl);
	free(c->name);
	free(c->xclient);
	caps_done(&c->caps);
	answer_done(&c->answer);
	answer_done(&c->refused);
	answer_done(&c->kept);
	buf_done(&c->in);
	buf_wipe(&c->out);
	buf_done(&c->out);
	buf_done(&c->masked);
	buf_done(&c->body);
	buf_done(&c->note);
	buf_done(&c->why);
	buf_wipe(&c->remote_octets);
	buf_done(&c->remote_octets);
	free(c);
	return NULL;
}

void
client_answer_copy(struct answer *dst, const struct answer *src)
{
	struct buf text = dst->text;
	buf_reset(&text);
	*dst = *src;
	dst->text = text;
	buf_puts(&dst->text, buf_str(&src->text));
}

void
client_trouble(struct smtp_client *c, enum smtp_trouble t, enum smtp_client_step step,
    const struct answer *a)
{
	if (c->trouble != SMTP_TROUBLE_NONE)
		return;
	c->trouble = t;
	c->trouble_step = step;
	if (a)
		client_answer_copy(&c->kept, a);
	else
		answer_reset(&c->kept);
	if (c->why.len == 0)
		buf_putz(&c->why, smtp_trouble_text[t]);
	buf_cstr(&c->why);
}

void
client_note(struct smtp_client *c, bool warn, const char *fmt, ...)
{
	va_list ap;
	if (c->note_due) /* two at once: on one line */
		buf_putz(&c->note, "; ");
	else
		buf_reset(&c->note);
	va_start(ap, fmt);
	buf_vputf(&c->note, fmt, ap);
	va_end(ap);
	c->note_warn = warn || (c->note_due && c->note_warn);
	c->note_due = true;
}

void
client_send(struct smtp_client *c, enum smtp_client_step step)
{
	buf_putz(&c->out, "\r\n");
	c->waiting = true;
	c->step = step;
}

/* --- orders --- */

static void
order(struct smtp_client *c, enum client_order o, enum smtp_client_step until)
{
	check(c->order == ORDER_NONE);
	c->order = o;
	c->until = until;
	c->trouble = SMTP_TROUBLE_NONE;
	c->trouble_step = until;
	buf_reset(&c->why);
}

void
smtp_client_go(struct smtp_client *c, enum smtp_client_step until)
{
	order(c, ORDER_GO, until);
}

void
smtp_client_letter(struct smtp_client *c, const struct smtp_client_envelope *e,
    enum smtp_client_step until)
{
	order(c, ORDER_LETTER, until);
	client_letter_drop(c);
	c->envelope = *e;
	client_letter_start(c);
}

void
smtp_client_command(struct smtp_client *c, struct str line, struct str masked)
{
	order(c, ORDER_COMMAND, SMTP_STEP_COMMAND);
	if (str_find_any(line, "\r\n") < line.len || str_find(line, '\0') < line.len) {
		buf_putz(&c->why, "a command is one line, without CR, LF and NUL");
		client_trouble(c, SMTP_TROUBLE_COMMAND, SMTP_STEP_COMMAND, NULL);
		return;
	}
	if (c->over)
		return;
	buf_puts(&c->out, line);
	if (masked.p)
		buf_puts(&c->masked, masked);
	client_send(c, SMTP_STEP_COMMAND);
}

void
smtp_client_rset(struct smtp_client *c)
{
	order(c, ORDER_RSET, SMTP_STEP_RSET);
	client_letter_drop(c);
	if (c->over)
		return;
	buf_putz(&c->out, "RSET");
	client_send(c, SMTP_STEP_RSET);
}

void
smtp_client_quit(struct smtp_client *c)
{
	/* In the middle of something whatever is sent now would be read as something else. */
	bool inside = c->order != ORDER_NONE && (c->order != ORDER_QUIT);
	c->order = ORDER_NONE;
	order(c, ORDER_QUIT, SMTP_STEP_QUIT);
	client_letter_drop(c);
	c->over = c->over || inside;
	if (c->over)
		return;
	buf_putz(&c->out, "QUIT");
	client_send(c, SMTP_STEP_QUIT);
}

/* --- what is to be done --- */

static bool
tell(struct smtp_client *c, struct smtp_client_event *ret)
{
	const struct smtp_client_envelope *e = &c->envelope;
	for (; c->tell_at < c->tell_end; c->tell_at++) {
		struct smtp_client_rcpt *r = &e->rcpts[c->tell_at];
		if (r->told || r->fate == SMTP_FATE_OPEN || r->fate == SMTP_FATE_ACCEPTED)
			continue;
		r->told = true;
		*ret = (struct smtp_client_event){ .step = r->step, .rcpt = c->tell_at++ };
		ret->answer = r->code ? c->tell_answer : NULL;
		return true;
	}
	return false;
}

static bool
send_out(struct smtp_client *c, struct smtp_client_event *ret)
{
	if (c->out_gone) {
		buf_wipe(&c->out);
		buf_reset(&c->out);
		buf_reset(&c->masked);
		c->out_gone = false;
	}
	if (c->body_gone) {
		buf_reset(&c->body);
		c->body_gone = false;
	}
	if (c->out.failed || c->body.failed) {
		buf_putz(&c->why, "this envelope is too large to be sent");
		client_trouble(c, SMTP_TROUBLE_ADDRESS, SMTP_STEP_MAIL, NULL);
		c->over = true;
		return false;
	}
	bool body = c->body.len > 0 && (c->body_first || c->out.len == 0);
	if (!body && c->out.len == 0)
		return false;
	ret->content = body;
	ret->octets = buf_str(body ? &c->body : &c->out);
	ret->masked = body || c->masked.len == 0 ? STR_NULL : buf_str(&c->masked);
	*(body ? &c->body_gone : &c->out_gone) = true;
	return true;
}

static enum smtp_client_todo
ends(struct smtp_client *c, enum smtp_client_todo todo, struct smtp_client_event *ret)
{
	bool quit = c->order == ORDER_QUIT;
	c->order = ORDER_NONE;
	ret->step = c->trouble ? c->trouble_step : c->until;
	if (c->phase == PHASE_DONE)
		c->phase = PHASE_NONE;
	if (c->in.cap > 8192 && c->in_at + c->eat == c->in.len) {
		buf_done(&c->in);
		c->in_at = c->eat = 0;
	}
	if (quit)
		return SMTP_CLIENT_READY;
	return todo;
}

/* The peer has closed, but there is nothing left of this order to be done. */
static bool
is_finished(const struct smtp_client *c)
{
	if (c->order == ORDER_NONE || c->waiting || c->flight > 0)
		return false;
	enum smtp_client_step due = client_due(c);
	if (c->order == ORDER_GO && c->until < SMTP_STEP_MAIL)
		return c->trouble != SMTP_TROUBLE_NONE || due > c->until;
	/* Of another order the recipients may be gone. */
	for (size_t i = 0; c->order == ORDER_LETTER && i < c->envelope.n_rcpts; i++)
		if (c->envelope.rcpts[i].fate <= SMTP_FATE_ACCEPTED)
			return false;
	return true;
}

/* The connection is over, one way or the other. */
static enum smtp_client_todo
is_over(struct smtp_client *c, struct smtp_client_event *ret)
{
	if (c->gone && c->order == ORDER_QUIT && c->waiting) {
		c->waiting = false;
		c->over = true;
		ret->text = STR("the server closed without an answer to QUIT; that is no failure");
		return SMTP_CLIENT_NOTE;
	}
	if (c->order == ORDER_QUIT)
		return ends(c, SMTP_CLIENT_READY, ret);
	client_letter_lost(c);
	c->over = true;
	if (tell(c, ret))
		return SMTP_CLIENT_RESULT;
	client_trouble(c, SMTP_TROUBLE_CLOSED, c->step, NULL);
	c->waiting = false;
	return ends(c, SMTP_CLIENT_CLOSED, ret);
}

/* Nothing is to be sent or read first. READY: something has changed, look again. */
static enum smtp_client_todo
move_on(struct smtp_client *c, struct smtp_client_event *ret)
{
	bool goes = c->order == ORDER_GO || c->order == ORDER_LETTER;
	if (goes && c->trouble != SMTP_TROUBLE_NONE && c->trouble_step < SMTP_STEP_MAIL) {
		client_letter_lost(c);
		if (tell(c, ret))
			return SMTP_CLIENT_RESULT;
		return ends(c, SMTP_CLIENT_FAILED, ret);
	}
	enum smtp_client_step due = goes ? client_due(c) : SMTP_STEP_COUNT;
	if (due != SMTP_STEP_COUNT && (c->order == ORDER_LETTER || due <= c->until)) {
		ret->step = due;
		return client_begin(c, due) ? SMTP_CLIENT_AUTH : SMTP_CLIENT_READY;
	}
	if (goes && c->until >= SMTP_STEP_MAIL && c->phase != PHASE_NONE) {
		switch (client_letter_go(c)) {
		case LETTER_CHANGED:
			return SMTP_CLIENT_READY;
		case LETTER_WAITS:
			return SMTP_CLIENT_READ;
		case LETTER_BODY:
			ret->step = SMTP_STEP_DATA;
			ret->begin = !c->body_begun;
			return SMTP_CLIENT_DATA;
		case LETTER_STOPS:
			break;
		}
	}
	return ends(c, c->trouble ? SMTP_CLIENT_FAILED : SMTP_CLIENT_READY, ret);
}

static enum smtp_client_step
step_now(struct smtp_client *c)
{
	enum smtp_client_step step;
	size_t rcpt;
	return client_expects(c, &step, &rcpt) ? step
	       : c->phase == PHASE_BODY        ? SMTP_STEP_DATA
	                                       : c->step;
}

enum smtp_client_todo
smtp_client_next(struct smtp_client *c, struct smtp_client_event *ret)
{
	for (;;) {
		*ret = (struct smtp_client_event){ .rcpt = SIZE_MAX, .step = step_now(c) };
		if (tell(c, ret))
			return SMTP_CLIENT_RESULT;
		if (c->note_due) {
			c->note_due = false;
			ret->text = buf_str(&c->note);
			ret->warn = c->note_warn;
			return SMTP_CLIENT_NOTE;
		}
		if (c->over)
			return is_over(c, ret);
		if (!c->gone && send_out(c, ret))
			return SMTP_CLIENT_SEND;
		if ((c->greeted || c->order != ORDER_NONE) && client_read(c, ret))
			return SMTP_CLIENT_REPLY;
		if (c->note_due || c->over)
			continue;
		if (c->gone && is_finished(c))
			return ends(c, c->trouble ? SMTP_CLIENT_FAILED : SMTP_CLIENT_READY, ret);
		if (c->gone)
			return is_over(c, ret);
		if (c->want_tls)
			return SMTP_CLIENT_TLS;
		if (c->remote_due) {
			ret->step = SMTP_STEP_AUTH;
			ret->challenge = true;
			ret->octets = buf_str(&c->remote_octets);
			return SMTP_CLIENT_AUTH;
		}
		if (c->waiting)
			return SMTP_CLIENT_READ;
		if (c->order == ORDER_NONE)
			return SMTP_CLIENT_READY;
		enum smtp_client_todo todo = move_on(c, ret);
		if (todo != SMTP_CLIENT_READY || c->order == ORDER_NONE)
			return todo;
	}
}

/* --- what is known --- */

const struct caps *
smtp_client_caps(const struct smtp_client *c)
{
	return &c->caps;
}

bool
smtp_client_esmtp(const struct smtp_client *c)
{
	return c->esmtp;
}

bool
smtp_client_is_secured(const struct smtp_client *c)
{
	return c->secured;
}

bool
smtp_client_is_over(const struct smtp_client *c)
{
	return c->over;
}

bool
smtp_client_is_spent(const struct smtp_client *c)
{
	return c->conf.mailmax && c->caps.mailmax && c->mails >= c->caps.mailmax;
}

enum smtp_trouble
smtp_client_trouble(const struct smtp_client *c)
{
	return c->trouble;
}

bool
smtp_client_letter_begun(const struct smtp_client *c)
{
	return c->letter_begun;
}

bool
smtp_client_letter_met(const struct smtp_client *c)
{
	return c->letter_met;
}

size_t
smtp_client_accepted(const struct smtp_client *c)
{
	return c->accepted;
}

enum smtp_client_step
smtp_client_step(const struct smtp_client *c)
{
	return c->trouble_step;
}

const char *
smtp_client_why(const struct smtp_client *c)
{
	return c->trouble == SMTP_TROUBLE_NONE ? "" : c->why.p ? c->why.p : "";
}

const struct answer *
smtp_client_answer(const struct smtp_client *c)
{
	return c->trouble == SMTP_TROUBLE_NONE ? &c->answer : &c->kept;
}

unsigned
smtp_client_patience(const struct smtp_client *c)
{
	if (c->phase == PHASE_DOT && !c->waiting)
		return 600;
	if (c->phase == PHASE_BODY)
		return 180;
	if (c->phase == PHASE_ENVELOPE && c->data_sent && c->flight == 1)
		return 120;
	return 300;
}

size_t
smtp_client_memory(const struct smtp_client *c)
{
	return sizeof(*c) + c->in.cap + c->out.cap + c->masked.cap + c->body.cap + c->note.cap +
	       c->why.cap + c->caps.lines.cap + c->answer.text.cap + c->refused.text.cap +
	       c->kept.text.cap;
}
