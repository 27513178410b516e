#include "talk/track.h"

#include "base/check.h"
#include "client/exit.h"

#include <stdlib.h>

void
track_init(struct track *t, bool lmtp)
{
	*t = (struct track){
		.lmtp = lmtp, .from_line = BUF_INIT(64u << 10), .rcpt_lines = BUF_INIT(4u << 20)
	};
	caps_init(&t->caps);
	answer_init(&t->answer);
}

static void
forget_envelope(struct track *t)
{
	t->mail = false;
	t->rcpts = 0;
}

static void
drop_done(struct track *t)
{
	free((char *)(uintptr_t)t->done.what.p);
	t->done = (struct track_sent){ .kind = TRACK_COMMAND };
}

static void
forget_queue(struct track *t)
{
	for (; t->n; t->n--, t->first = (t->first + 1) % TRACK_SENT_MAX)
		free((char *)(uintptr_t)t->queue[t->first].what.p);
	t->dots = 0;
}

void
track_done(struct track *t)
{
	drop_done(t);
	forget_queue(t);
	caps_done(&t->caps);
	answer_done(&t->answer);
	buf_done(&t->from_line);
	buf_done(&t->rcpt_lines);
}

void
track_secured(struct track *t)
{
	forget_queue(t);
	forget_envelope(t);
	t->tls = true;
	t->hello = t->extended = t->authenticated = false;
	t->phase = TRACK_COMMANDS;
	caps_done(&t->caps);
	caps_init(&t->caps);
}

bool
track_waits(const struct track *t)
{
	return t->phase == TRACK_TURNED ? t->due == 0 : t->n > 0;
}

bool
track_holds(const struct track *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct track_sent *s = &t->queue[(t->first + i) % TRACK_SENT_MAX];
		if (s->kind == TRACK_AUTH_ANSWER || s->kind == TRACK_GREETING)
			return true;
		if (s->kind == TRACK_COMMAND &&
		    (s->verb == TYPED_DATA || s->verb == TYPED_STARTTLS || s->verb == TYPED_AUTH ||
			s->verb == TYPED_EHLO || s->verb == TYPED_QUIT || s->verb == TYPED_ATRN))
			return true;
	}
	return false;
}

/* The envelope is kept as the lines that made it, so that /redo can send them again. */
static void
keep_envelope(struct track *t, enum typed_verb verb, struct str line)
{
	if (verb == TYPED_MAIL) {
		buf_reset(&t->from_line);
		buf_reset(&t->rcpt_lines);
		t->rcpt_lines_n = 0;
		buf_puts(&t->from_line, line);
	} else if (verb == TYPED_RCPT && t->rcpt_lines_n < TRACK_RCPTS_KEPT) {
		buf_puts(&t->rcpt_lines, line);
		buf_putc(&t->rcpt_lines, '\n');
		t->rcpt_lines_n++;
	}
}

static void
begin_auth(struct track *t, const struct typed *typed)
{
	struct str rest = typed->rest, mech = str_word(&rest);
	if (!str_copy(t->auth_mech, sizeof t->auth_mech, mech))
		t->auth_mech[0] = '\0';
	t->auth_nth = str_trim(rest).len > 0;
}

/* The roles are turned: of a reply with several lines the last one counts. */
static void
turned_sent(struct track *t, struct str line)
{
	if (line.len > 3 && line.p[3] == '-')
		return;
	t->letter = str_starts(line, STR("354"));
	t->due -= t->due > 0;
}

static void
turned_line(struct track *t, struct str line)
{
	if (!t->letter || str_eq(str_rtrim(line), STR(".")))
		t->due++;
	t->letter = t->letter && !str_eq(str_rtrim(line), STR("."));
}

bool
track_sent(struct track *t, enum track_kind kind, struct str line)
{
	if (t->phase == TRACK_TURNED) {
		turned_sent(t, line);
		return true;
	}
	if (t->n == TRACK_SENT_MAX)
		return false;
	struct track_sent *s = &t->queue[(t->first + t->n++) % TRACK_SENT_MAX];
	*s = (struct track_sent){ .kind = kind };
	if (kind == TRACK_DOT || kind == TRACK_AUTH_ANSWER)
		t->phase = TRACK_COMMANDS;
	if (kind == TRACK_DOT) {
		t->dots = t->lmtp ? t->rcpts : 0;
		s->last = true;
	}
	t->auth_nth += kind == TRACK_AUTH_ANSWER;
	if (kind != TRACK_COMMAND)
		return true;
	struct typed typed;
	uint64_t size;
	typed_read(line, &typed);
	s->verb = typed.verb;
	keep_envelope(t, typed.verb, line);
	if (typed.verb == TYPED_BDAT && typed_bdat(&typed, &size, &s->last)) {
		s->kind = TRACK_DOT;
		t->dots = t->lmtp && s->last ? t->rcpts : 0;
	}
	if (typed.verb == TYPED_MAIL || typed.verb == TYPED_RCPT) {
		struct str what = typed.address.p ? typed.address : typed.rest;
		s->what = (struct str){ str_dup(what), what.len };
	} else if (typed.verb == TYPED_AUTH) {
		begin_auth(t, &typed);
	}
	t->quitting |= typed.verb == TYPED_QUIT;
	return true;
}

/* --- replies --- */

static const struct {
	enum typed_verb verb;
	const char *step;
	int wrong;
} steps[] = {
	{ TYPED_EHLO, "hello", CLIENT_HELLO },
	{ TYPED_HELO, "hello", CLIENT_HELLO },
	{ TYPED_LHLO, "hello", CLIENT_HELLO },
	{ TYPED_MAIL, "mail", CLIENT_MAIL },
	{ TYPED_RCPT, "rcpt", CLIENT_RCPT_ALL },
	{ TYPED_DATA, "data", CLIENT_MESSAGE },
	{ TYPED_BDAT, "dot", CLIENT_MESSAGE },
	{ TYPED_AUTH, "auth", CLIENT_AUTH },
	{ TYPED_STARTTLS, "starttls", CLIENT_OK },
	{ TYPED_QUIT, "quit", CLIENT_OK },
};

const char *
track_step(const struct track_sent *s)
{
	if (s->kind == TRACK_GREETING)
		return "greeting";
	if (s->kind == TRACK_DOT)
		return "dot";
	if (s->kind == TRACK_AUTH_ANSWER)
		return "auth";
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (steps[i].verb == s->verb)
			return steps[i].step;
	return NULL;
}

static int
wrong_of(const struct track_sent *s)
{
	if (s->kind == TRACK_GREETING)
		return CLIENT_GREETING;
	if (s->kind == TRACK_DOT)
		return CLIENT_MESSAGE;
	if (s->kind == TRACK_AUTH_ANSWER)
		return CLIENT_AUTH;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (steps[i].verb == s->verb)
			return steps[i].wrong;
	return CLIENT_OK;
}

static void
count_wrong(struct track *t, const struct track_sent *s, int code)
{
	bool hello = s->kind == TRACK_COMMAND &&
	             (s->verb == TYPED_EHLO || s->verb == TYPED_HELO || s->verb == TYPED_LHLO);
	if (hello)
		t->hello_wrong = code < 400 ? CLIENT_OK : CLIENT_HELLO;
	t->temporary |= code >= 400 && code < 500;
	if (code >= 400 && !hello && t->first_wrong == CLIENT_OK)
		t->first_wrong = t->hello_wrong ? t->hello_wrong : wrong_of(s);
}

/* What was said yes to. */
static void
command_good(struct track *t, const struct track_sent *s, int code)
{
	switch (s->verb) {
	case TYPED_EHLO:
	case TYPED_LHLO:
	case TYPED_HELO:
		t->hello = true;
		t->extended = s->verb != TYPED_HELO;
		forget_envelope(t); /* RFC 5321 4.1.4 */
		if (t->extended)
			caps_read(&t->caps, &t->answer);
		break;
	case TYPED_MAIL:
		t->mail = true;
		t->rcpts = 0;
		break;
	case TYPED_RCPT:
		t->rcpts++;
		t->rcpts_good++;
		break;
	case TYPED_DATA:
		if (code == 354)
			t->phase = TRACK_DATA;
		break;
	case TYPED_AUTH:
		if (code == 334)
			t->phase = TRACK_AUTH;
		else
			t->authenticated = true;
		break;
	case TYPED_RSET:
		forget_envelope(t);
		break;
	case TYPED_ATRN:
		t->phase = TRACK_TURNED;
		t->due = 1; /* the greeting */
		t->quitting = true;
		break;
	case TYPED_OTHER:
	case TYPED_BDAT:
	case TYPED_STARTTLS:
	case TYPED_QUIT:
	case TYPED_NOOP:
	case TYPED_HELP:
	case TYPED_VRFY:
	case TYPED_EXPN:
	case TYPED_VERBS:
		break;
	}
}

/* True: the queue's first is answered. */
static bool
settle(struct track *t, const struct track_sent *s, int code)
{
	bool good = answer_good(&t->answer);
	count_wrong(t, s, code);
	if (s->kind == TRACK_DOT) {
		if (t->dots > 1) {
			t->dots--;
			return false;
		}
		t->dots = 0;
		if (s->last)
			forget_envelope(t);
	} else if (s->kind == TRACK_AUTH_ANSWER) {
		if (code == 334)
			t->phase = TRACK_AUTH;
		else
			t->authenticated |= good;
	} else if (s->kind == TRACK_GREETING) {
		struct str text = buf_str(&t->answer.text);
		t->greeted = true;
		text = str_first(text, str_find(text, '\n'));
		str_copy(t->greeted_as, sizeof t->greeted_as, str_word(&text));
	} else if (good) {
		command_good(t, s, code);
	}
	return true;
}

static void
take_reply(struct track *t)
{
	int code = t->answer.code;
	drop_done(t);
	t->quitting |= code == 221 || code == 421;
	if (t->n == 0) { /* nobody asked: 421 before the connection goes */
		count_wrong(t, &t->done, code);
		return;
	}
	struct track_sent *s = &t->queue[t->first];
	if (!settle(t, s, code)) {
		t->done = (struct track_sent){ .kind = s->kind, .verb = s->verb };
		return;
	}
	t->done = *s;
	s->what = STR_NULL;
	t->first = (t->first + 1) % TRACK_SENT_MAX;
	t->n--;
}

enum track_got
track_line(struct track *t, struct str line)
{
	if (t->phase == TRACK_TURNED) {
		turned_line(t, line);
		return TRACK_ASKED;
	}
	/* A reply that went on for too long is passed over line by line until its last one. */
	if (t->fresh || t->endless)
		answer_reset(&t->answer);
	t->fresh = false;
	switch (answer_line(&t->answer, line)) {
	case ANSWER_MORE:
		return t->endless ? TRACK_NOISE : TRACK_MORE;
	case ANSWER_STRANGE:
		t->fresh = t->answer.code == 0;
		return t->endless ? TRACK_NOISE : TRACK_STRANGE;
	case ANSWER_ENDLESS:
		t->endless = true;
		return TRACK_ENDLESS;
	case ANSWER_DONE:
		break;
	}
	t->fresh = true;
	t->endless = false;
	take_reply(t);
	return TRACK_REPLY;
}

int
track_status(const struct track *t, bool temp_exit)
{
	int wrong = t->first_wrong ? t->first_wrong : t->hello_wrong;
	if (temp_exit && t->temporary)
		return CLIENT_TEMPORARY;
	if (wrong == CLIENT_RCPT_ALL && t->rcpts_good)
		return CLIENT_RCPT_SOME;
	return wrong;
}
