/* A letter's transactions: MAIL, RCPT and DATA with their answers, in flights where that may be. */
#include "smtp/client_priv.h"

#include "base/check.h"

static void
fate(struct smtp_client_rcpt *r, enum smtp_fate f, enum smtp_client_step step,
    const struct answer *a)
{
	r->fate = f;
	r->step = step;
	r->code = a ? a->code : 0;
	r->enhanced[0] = '\0';
	if (a)
		memcpy(r->enhanced, a->enhanced, sizeof(r->enhanced));
}

/* RESULT events for [from, to). */
static void
tell_range(struct smtp_client *c, size_t from, size_t to, const struct answer *a)
{
	c->tell_at = from;
	c->tell_end = to;
	c->tell_answer = a;
}

void
client_letter_drop(struct smtp_client *c)
{
	c->phase = PHASE_NONE;
	c->tell_at = c->tell_end = 0;
	c->flight = 0;
	c->envelope = (struct smtp_client_envelope){ 0 };
	buf_reset(&c->out);
	buf_reset(&c->body);
	c->out_gone = c->body_gone = false;
}

/* Nothing of the transaction before is true of the next one. */
static void
begin(struct smtp_client *c)
{
	c->mail_sent = c->mail_answered = c->mail_good = c->all_sent = false;
	c->data_sent = c->data_go = c->body_begun = false;
	c->rcpt_sent = c->rcpt_answered = c->flight = c->members = c->accepted = c->dot_at = 0;
}

void
client_letter_start(struct smtp_client *c)
{
	begin(c);
	c->phase = PHASE_START;
	c->checked = c->letter_begun = c->letter_met = false;
	c->accepted_ever = 0;
	answer_reset(&c->refused);
	for (size_t i = 0; i < c->envelope.n_rcpts; i++) {
		struct smtp_client_rcpt *r = &c->envelope.rcpts[i];
		fate(r, SMTP_FATE_OPEN, SMTP_STEP_RCPT, NULL);
		r->later = r->told = false;
	}
}

/* Every recipient that was accepted in this transaction, or (all) everybody without a fate. */
static void
all_get(struct smtp_client *c, bool all, enum smtp_fate f, enum smtp_client_step step,
    const struct answer *a)
{
	for (size_t i = 0; i < c->envelope.n_rcpts; i++) {
		struct smtp_client_rcpt *r = &c->envelope.rcpts[i];
		if (r->fate == SMTP_FATE_ACCEPTED || (all && r->fate == SMTP_FATE_OPEN))
			fate(r, f, step, a);
	}
	tell_range(c, 0, c->envelope.n_rcpts, a);
}

/* Has all that was to go been handed out, the end of the letter with it? */
static bool
is_out(const struct smtp_client *c)
{
	return (c->out.len == 0 || c->out_gone) && (c->body.len == 0 || c->body_gone);
}

void
client_letter_lost(struct smtp_client *c)
{
	if (c->phase == PHASE_NONE || c->phase == PHASE_DONE)
		return;
	if (c->phase == PHASE_DOT && c->flight > 0 && is_out(c)) {
		client_trouble(c, SMTP_TROUBLE_LOST, SMTP_STEP_DOT, NULL);
		for (size_t i = 0; i < c->envelope.n_rcpts; i++)
			if (c->envelope.rcpts[i].fate == SMTP_FATE_ACCEPTED)
				fate(&c->envelope.rcpts[i], SMTP_FATE_UNKNOWN, SMTP_STEP_DOT, NULL);
	}
	enum smtp_client_step step = c->trouble               ? c->trouble_step
	                             : c->phase == PHASE_BODY ? SMTP_STEP_DATA
	                             : c->data_sent           ? SMTP_STEP_DATA
	                             : c->mail_answered       ? SMTP_STEP_RCPT
	                                                      : SMTP_STEP_MAIL;
	if (c->gone)
		client_trouble(c, SMTP_TROUBLE_CLOSED, step, NULL);
	all_get(c, true, SMTP_FATE_UNSENT, step, NULL);
	c->flight = 0;
	c->phase = PHASE_DONE;
}

/* --- answers --- */

/* The recipient whose turn it is at the cursor: of this transaction, and without an answer. */
static size_t
next_member(const struct smtp_client *c, size_t from)
{
	const struct smtp_client_envelope *e = &c->envelope;
	while (from < e->n_rcpts && (e->rcpts[from].fate != SMTP_FATE_OPEN || e->rcpts[from].later))
		from++;
	return from;
}

static size_t
next_accepted(const struct smtp_client *c, size_t from)
{
	const struct smtp_client_envelope *e = &c->envelope;
	while (from < e->n_rcpts && e->rcpts[from].fate != SMTP_FATE_ACCEPTED)
		from++;
	return from;
}

bool
client_letter_expects(struct smtp_client *c, enum smtp_client_step *ret_step, size_t *ret_rcpt)
{
	*ret_rcpt = SIZE_MAX;
	if (c->flight == 0)
		return false;
	if (c->phase == PHASE_DOT || c->phase == PHASE_EMPTY) {
		*ret_step = SMTP_STEP_DOT;
		if (c->conf.lmtp)
			*ret_rcpt = next_accepted(c, c->dot_at);
	} else if (c->phase == PHASE_BODY) {
		*ret_step = SMTP_STEP_DATA; /* a chunk */
	} else if (!c->mail_answered) {
		*ret_step = SMTP_STEP_MAIL;
	} else if (c->rcpt_answered < c->rcpt_sent) {
		*ret_step = SMTP_STEP_RCPT;
		*ret_rcpt = next_member(c, c->rcpt_answered);
	} else {
		*ret_step = SMTP_STEP_DATA;
	}
	return true;
}

static void
mail_answered(struct smtp_client *c)
{
	c->mail_answered = c->letter_begun = true;
	c->mail_good = c->answer.code / 100 == 2;
	c->letter_met = c->letter_met || c->mail_good;
	c->rset_due = c->rset_due || c->mail_good;
	if (!c->mail_good)
		client_trouble(c, SMTP_TROUBLE_MAIL, SMTP_STEP_MAIL, &c->answer);
	if (!c->mail_good)
		client_answer_copy(&c->refused, &c->answer);
}

/* RFC 5321 4.5.3.1.10: 452, and 552 of old servers, when some were taken: the others go with
 * another transaction. An enhanced code that says something else is believed. */
static bool
too_many(const struct smtp_client *c)
{
	const struct answer *a = &c->answer;
	return (a->code == 452 || a->code == 552) && c->accepted > 0 &&
	       (a->enhanced[0] == '\0' || str_ends(str_of(a->enhanced), STR(".5.3")));
}

static void
rcpt_answered(struct smtp_client *c, size_t i)
{
	struct smtp_client_rcpt *r = &c->envelope.rcpts[i];
	c->rcpt_answered = i + 1;
	if (!c->mail_good)
		return; /* whatever it says: there is no sender */
	if (c->answer.code / 100 == 2) {
		fate(r, SMTP_FATE_ACCEPTED, SMTP_STEP_RCPT, &c->answer);
		c->accepted++;
		c->accepted_ever++;
	} else if (too_many(c)) {
		r->later = true;
	} else {
		fate(r, SMTP_FATE_REFUSED, SMTP_STEP_RCPT, &c->answer);
		client_answer_copy(&c->refused, &c->answer);
		tell_range(c, i, i + 1, &c->answer);
	}
}

/* A refusal of the letter itself, for everybody who was accepted. */
static void
letter_refused(struct smtp_client *c, enum smtp_client_step step)
{
	client_trouble(c, step == SMTP_STEP_DOT ? SMTP_TROUBLE_LETTER : SMTP_TROUBLE_DATA, step,
	    &c->answer);
	all_get(c, false, SMTP_FATE_REFUSED, step, &c->answer);
}

static void
dot_answered(struct smtp_client *c, size_t rcpt)
{
	bool good = c->answer.code / 100 == 2;
	c->rset_due = false;
	if (c->phase == PHASE_EMPTY)
		return;
	if (rcpt < c->envelope.n_rcpts) {
		c->dot_at = rcpt + 1;
		fate(&c->envelope.rcpts[rcpt], good ? SMTP_FATE_SENT : SMTP_FATE_REFUSED,
		    SMTP_STEP_DOT, &c->answer);
		tell_range(c, rcpt, rcpt + 1, &c->answer);
		if (!good)
			client_trouble(c, SMTP_TROUBLE_LETTER, SMTP_STEP_DOT, &c->answer);
	} else if (good) {
		all_get(c, false, SMTP_FATE_SENT, SMTP_STEP_DOT, &c->answer);
	} else {
		letter_refused(c, SMTP_STEP_DOT);
	}
}

void
client_letter_answered(struct smtp_client *c, enum smtp_client_step step, size_t rcpt)
{
	if (c->flight ==
	    0) { /* in the middle of the letter: it is refused, and all is out of step */
		letter_refused(c, SMTP_STEP_DOT);
		c->over = true;
		return;
	}
	c->flight--;
	if (step == SMTP_STEP_MAIL) {
		mail_answered(c);
	} else if (step == SMTP_STEP_RCPT) {
		rcpt_answered(c, rcpt);
	} else if (step == SMTP_STEP_DOT) {
		dot_answered(c, rcpt);
	} else if (c->phase == PHASE_BODY) {
		if (c->answer.code / 100 != 2) {
			letter_refused(c, SMTP_STEP_DATA);
			c->phase = PHASE_START;
		}
	} else {
		c->data_go = c->answer.code / 100 == 3;
		if (!c->data_go && c->accepted > 0)
			letter_refused(c, SMTP_STEP_DATA);
	}
}

/* --- commands --- */

static bool
may_pipeline(const struct smtp_client *c)
{
	return c->conf.pipeline_force || (c->conf.pipeline && caps_have(&c->caps, CAPS_PIPELINING));
}

static uint64_t
most_rcpts(const struct smtp_client *c)
{
	uint64_t most = c->conf.max_rcpt ? c->conf.max_rcpt : c->caps.rcptmax;
	return most ? most : UINT64_MAX;
}

/* Before the first command of a letter. */
static void
check_envelope(struct smtp_client *c)
{
	const struct smtp_client_envelope *e = &c->envelope;
	unsigned lacks = smtp_client_lacks(c, e) & ~e->anyway;
	c->checked = true;
	if (!client_envelope_check(e, &c->why)) {
		client_trouble(c, SMTP_TROUBLE_ADDRESS, SMTP_STEP_MAIL, NULL);
	} else if (lacks & SMTP_LACKS_FATAL) {
		const char *what =
		    (lacks & SMTP_LACKS_SIZE)         ? "it takes only smaller letters (SIZE)"
		    : (lacks & SMTP_LACKS_8BITMIME)   ? "it does not offer 8BITMIME"
		    : (lacks & SMTP_LACKS_SMTPUTF8)   ? "it does not offer SMTPUTF8"
		    : (lacks & SMTP_LACKS_BINARYMIME) ? "it does not offer BINARYMIME and CHUNKING"
						      : "it does not offer REQUIRETLS inside TLS";
		buf_putf(&c->why, "the server lacks what the letter needs: %s", what);
		client_trouble(c, SMTP_TROUBLE_LACKS, SMTP_STEP_MAIL, NULL);
	} else if (lacks) {
		client_note(c, true,
		    "what was asked for and the server does not offer is left out");
	}
	if (c->trouble) {
		all_get(c, true, SMTP_FATE_UNSENT, SMTP_STEP_MAIL, NULL);
		c->phase = PHASE_DONE;
	}
}

/* The next transaction, RSET in front of it, or the end. */
static enum client_letter
start(struct smtp_client *c)
{
	struct smtp_client_envelope *e = &c->envelope;
	if (!c->checked) {
		check_envelope(c);
		return LETTER_CHANGED;
	}
	size_t open = 0;
	for (size_t i = 0; i < e->n_rcpts; i++) {
		e->rcpts[i].later = false;
		open += e->rcpts[i].fate == SMTP_FATE_OPEN;
	}
	if (open == 0) {
		c->phase = PHASE_DONE;
		return LETTER_CHANGED;
	}
	if (smtp_client_is_spent(c)) {
		client_trouble(c, SMTP_TROUBLE_SPENT, SMTP_STEP_MAIL, NULL);
		all_get(c, true, SMTP_FATE_UNSENT, SMTP_STEP_MAIL, NULL);
		c->phase = PHASE_DONE;
		return LETTER_CHANGED;
	}
	if (c->rset_due) {
		buf_putz(&c->out, "RSET");
		client_send(c, SMTP_STEP_RSET);
		c->rset_due = false;
		return LETTER_CHANGED;
	}
	c->phase = PHASE_ENVELOPE;
	begin(c);
	c->chunks = e->body == SMTP_BODY_BINARY ||
	            (e->chunking &&
			(caps_have(&c->caps, CAPS_CHUNKING) || (e->anyway & SMTP_LACKS_CHUNKING)));
	return LETTER_CHANGED;
}

/* One more command into out; false: none can go now. */
static bool
put_one(struct smtp_client *c)
{
	bool pipeline = may_pipeline(c);
	if ((!pipeline && c->flight > 0) || c->flight >= SMTP_CLIENT_FLIGHT_MAX)
		return false;
	if (!c->mail_sent) {
		client_put_mail(c);
		c->mails++;
		c->mail_sent = true;
		return true;
	}
	if ((c->mail_answered && !c->mail_good) || c->until == SMTP_STEP_MAIL)
		return false;
	size_t next = next_member(c, c->rcpt_sent);
	if (next < c->envelope.n_rcpts && c->members < most_rcpts(c)) {
		client_put_rcpt(c, &c->envelope.rcpts[next]);
		c->rcpt_sent = next + 1;
		c->members++;
		return true;
	}
	c->all_sent = true;
	bool hope = c->accepted > 0 || c->flight > 0;
	if (c->until == SMTP_STEP_RCPT || c->chunks || c->data_sent || !hope)
		return false;
	buf_putz(&c->out, "DATA\r\n");
	c->data_sent = true;
	return true;
}

/* 354, and nobody to get the letter: it is empty (RFC 2920 3.1). */
static void
send_empty(struct smtp_client *c)
{
	buf_putz(&c->out, ".\r\n");
	c->phase = PHASE_EMPTY;
	c->flight = c->conf.lmtp ? 0 : 1;
}

/* All that was sent is answered. */
static enum client_letter
envelope_answered(struct smtp_client *c)
{
	if (c->until == SMTP_STEP_MAIL && c->mail_good)
		return LETTER_STOPS;
	if (!c->mail_good) {
		all_get(c, true, SMTP_FATE_REFUSED, SMTP_STEP_MAIL, &c->refused);
		c->phase = PHASE_START;
	}
	bool nobody = c->accepted == 0 && c->accepted_ever == 0 && c->until > SMTP_STEP_MAIL &&
	              next_member(c, 0) == c->envelope.n_rcpts;
	if (c->mail_good && nobody)
		client_trouble(c, SMTP_TROUBLE_RCPT, SMTP_STEP_RCPT, &c->refused);
	if (c->data_go && c->accepted == 0) {
		send_empty(c);
		return LETTER_CHANGED;
	}
	if (!c->mail_good)
		return LETTER_CHANGED;
	if (c->until == SMTP_STEP_RCPT && c->all_sent && c->accepted > 0)
		return LETTER_STOPS;
	if (c->accepted == 0) {
		c->phase = PHASE_START;
	} else if (c->chunks || c->data_go) {
		c->phase = PHASE_BODY;
		c->bol = true;
		c->after_cr = false;
	} else {
		c->phase = PHASE_START; /* DATA was refused */
	}
	return LETTER_CHANGED;
}

enum client_letter
client_letter_go(struct smtp_client *c)
{
	size_t was = c->out.len;
	switch (c->phase) {
	case PHASE_START:
		return start(c);
	case PHASE_ENVELOPE:
		if (c->flight <= SMTP_CLIENT_FLIGHT_MAX / 2)
			while (put_one(c))
				c->flight++;
		if (c->out.len > was)
			return LETTER_CHANGED;
		return c->flight > 0 ? LETTER_WAITS : envelope_answered(c);
	case PHASE_BODY:
		return c->flight > 0 ? LETTER_WAITS : LETTER_BODY;
	case PHASE_DOT:
	case PHASE_EMPTY:
		if (c->flight > 0)
			return LETTER_WAITS;
		c->phase = PHASE_START;
		return LETTER_CHANGED;
	case PHASE_NONE:
	case PHASE_DONE:
		break;
	}
	return LETTER_STOPS;
}

/* --- the letter itself --- */

#define PLAIN_MOST 1024 /* are looked at, so that many CR without a LF cost no more */

/* Octets in front of the next CR or LF, or as many as are looked at. */
static size_t
plain_until(struct str in)
{
	in = str_first(in, PLAIN_MOST);
	in = str_first(in, str_find(in, '\n'));
	return str_find(in, '\r');
}

/* The octets as they are sent: lines that end in CRLF, and for DATA a dot more in front of a dot
 * (RFC 5321 4.5.2). A bare CR or LF would be a line end to some servers and none to others. */
static void
put_octets(struct smtp_client *c, struct str in)
{
	struct buf *out = &c->body;
	bool stuff = !c->chunks, as_is = c->envelope.as_is || c->envelope.body == SMTP_BODY_BINARY;
	buf_reserve(out, in.len + in.len / 32 + 16);
	while (in.len > 0) {
		char ch = in.p[0];
		if (c->after_cr && ch != '\n' && !as_is) {
			buf_putc(out, '\n');
			c->bol = true;
			c->after_cr = false;
		}
		if (c->bol && ch == '.' && stuff)
			buf_putc(out, '.');
		if (ch == '\n') {
			if (!c->after_cr && !as_is)
				buf_putc(out, '\r');
			buf_putc(out, '\n');
			c->bol = c->after_cr || !as_is;
			c->after_cr = false;
			in = str_skip(in, 1);
			continue;
		}
		size_t n = MAX(1, plain_until(in));
		buf_put(out, in.p, n);
		c->after_cr = in.p[n - 1] == '\r';
		c->bol = false;
		in = str_skip(in, n);
	}
}

void
smtp_client_data(struct smtp_client *c, struct str piece, bool last)
{
	check(c->phase == PHASE_BODY && c->flight == 0);
	c->body_begun = true;
	bool as_is = c->envelope.as_is || c->envelope.body == SMTP_BODY_BINARY;
	put_octets(c, piece);
	if (last && c->after_cr && !as_is) {
		buf_putc(&c->body, '\n');
		c->bol = true;
	}
	if (!c->chunks) {
		c->body_first = true;
		if (last && !c->bol)
			buf_putz(&c->body, "\r\n");
		if (last)
			buf_putz(&c->out, ".\r\n");
	} else if (c->body.len > 0 || last) {
		c->body_first = false;
		buf_putf(&c->out, "BDAT %zu%s\r\n", c->body.len, last ? " LAST" : "");
		c->flight = 1;
	}
	if (!last)
		return;
	c->phase = PHASE_DOT;
	c->flight = c->conf.lmtp ? c->accepted : 1;
}
