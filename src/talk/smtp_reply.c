/* SMTP and LMTP by hand: what comes back, and what follows from it. */
#include "talk/smtp_priv.h"

#include "base/check.h"

/* --- AUTH by ourselves --- */

static void
auth_say(struct talk *t, struct str text, struct str masked)
{
	struct smtp_talk *s = smtp_of(t);
	if (talk_send(t, text, masked))
		track_sent(&s->track, TRACK_AUTH_ANSWER, text);
}

void
smtp_login(struct talk *t, struct str mech, struct str user)
{
	struct smtp_talk *s = smtp_of(t);
	struct buf out = BUF_INIT(64u << 10), masked = BUF_INIT(4096), line = BUF_INIT(64u << 10);
	if (s->track.extended && !caps_have(&s->track.caps, CAPS_AUTH) && !t->o->force_auth)
		event_note(t->ev, "AUTH was not offered; it is tried all the same.");
	if (!talk_auth_begin(t, str_of(s->track.caps.mechs), mech, user))
		goto out;
	s->initial_due = false;
	buf_putf(&line, "AUTH %s", talk_auth_mech(t));
	bool initial = false;
	if (!t->o->no_initial_response)
		initial = talk_auth_initial(t, &out, &masked) == TALK_AUTH_SEND;
	else
		s->initial_due = true;
	if (initial) {
		struct buf shown = BUF_INIT(8192);
		buf_puts(&shown, buf_str(&line));
		buf_putc(&shown, ' ');
		buf_puts(&shown, buf_str(&masked));
		buf_putc(&line, ' ');
		buf_puts(&line, buf_str(&out));
		if (talk_send(t, buf_str(&line), buf_str(&shown)))
			track_sent(&s->track, TRACK_COMMAND, buf_str(&line));
		buf_done(&shown);
	} else if (talk_send(t, buf_str(&line), STR_NULL)) {
		track_sent(&s->track, TRACK_COMMAND, buf_str(&line));
	}
out:
	buf_wipe(&out);
	buf_wipe(&line);
	buf_done(&out);
	buf_done(&masked);
	buf_done(&line);
}

static void
auth_challenge(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	struct buf out = BUF_INIT(64u << 10), masked = BUF_INIT(4096);
	struct str challenge = str_trim(buf_str(&s->track.answer.text));
	if (s->initial_due) {
		s->initial_due = false;
		if (talk_auth_initial(t, &out, &masked) == TALK_AUTH_READY)
			talk_auth_step(t, challenge, &out, &masked);
	} else {
		talk_auth_step(t, challenge, &out, &masked);
	}
	auth_say(t, buf_str(&out), masked.len ? buf_str(&masked) : STR_NULL);
	buf_wipe(&out);
	buf_done(&out);
	buf_done(&masked);
}

static void
auth_reply(struct talk *t, int code)
{
	if (code == 334)
		auth_challenge(t);
	else
		talk_auth_end(t, code >= 200 && code < 300, STR_NULL);
}

/* --- replies --- */

static void
greeted(struct talk *t, int code)
{
	t->greeted = true;
	if (code >= 400) {
		event_result(t->ev, "greeting", CLIENT_GREETING,
		    "The server does not want to talk now.");
		if (t->editor == NULL)
			talk_end(t, CLIENT_GREETING);
		return;
	}
	if (t->mode->begin)
		t->mode->begin(t);
}

static void
starttls_answered(struct talk *t, int code)
{
	if (code >= 200 && code < 300) {
		talk_tls(t);
		return;
	}
	if (t->o->tls == CLIENT_TLS_MUST && !t->link.tls) {
		event_result(t->ev, "starttls", CLIENT_TLS_REFUSED,
		    "--tls=must (implied by -starttls) stops here.");
		talk_end(t, CLIENT_TLS_REFUSED);
	}
}

static void
hello_answered(struct talk *t, enum typed_verb verb, int code)
{
	struct smtp_talk *s = smtp_of(t);
	if (code >= 200 && code < 300) {
		if (s->wants_auth && !t->link.tls && t->o->tls != CLIENT_TLS_NEVER &&
		    caps_have(&s->track.caps, CAPS_STARTTLS)) {
			talk_auto_clear(t);
			talk_auto(t, "STARTTLS");
		}
		return;
	}
	if (code < 500 || verb != TYPED_EHLO)
		return;
	struct str name = smtp_name(t);
	if (t->o->tls == CLIENT_TLS_MUST && !t->link.tls) {
		event_result(t->ev, "starttls", CLIENT_TLS_REFUSED,
		    "Without EHLO there is no STARTTLS, and --tls=must wants it.");
		talk_end(t, CLIENT_TLS_REFUSED);
	} else if (t->autos.first) {
		talk_queue_clear(&t->autos);
		talk_auto(t, "HELO " STR_FMT, STR_ARG(name));
	} else {
		struct buf line = BUF_INIT(1024);
		buf_putf(&line, "HELO " STR_FMT, STR_ARG(name));
		talk_propose(t, buf_str(&line));
		buf_done(&line);
	}
}

static void
propose_greeting(struct talk *t)
{
	struct buf line = BUF_INIT(1024);
	struct str name = smtp_name(t);
	buf_putf(&line, "220 " STR_FMT " ESMTP", STR_ARG(name));
	talk_propose(t, buf_str(&line));
	buf_done(&line);
}

static void
command_answered(struct talk *t, const struct track_sent *done, int code)
{
	switch (done->verb) {
	case TYPED_STARTTLS:
		starttls_answered(t, code);
		break;
	case TYPED_EHLO:
	case TYPED_HELO:
	case TYPED_LHLO:
		hello_answered(t, done->verb, code);
		break;
	case TYPED_DATA:
		if (code == 354) {
			smtp_data_begin(t);
			break;
		}
		/* What comes next from a pipe is the letter; nothing in it is meant for us. */
		t->no_local = t->no_local || (!t->terminal && !smtp_of(t)->has_ready);
		smtp_of(t)->has_ready = false;
		break;
	case TYPED_AUTH:
		if (t->auth)
			auth_reply(t, code);
		break;
	case TYPED_ATRN:
		if (smtp_of(t)->track.phase == TRACK_TURNED)
			propose_greeting(t);
		break;
	case TYPED_OTHER:
	case TYPED_MAIL:
	case TYPED_RCPT:
	case TYPED_BDAT:
	case TYPED_RSET:
	case TYPED_QUIT:
	case TYPED_NOOP:
	case TYPED_HELP:
	case TYPED_VRFY:
	case TYPED_EXPN:
	case TYPED_VERBS:
		break;
	}
}

static void
reply(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	struct track *tr = &s->track;
	struct buf notes = BUF_INIT(16384);
	struct track_sent done = tr->done;
	int code = tr->answer.code;
	talk_reply(t, code, str_of(tr->answer.enhanced), buf_str(&tr->answer.text),
	    track_step(&done));
	if (t->auth == NULL || code != 334)
		track_teach(tr, &notes);
	smtp_notes(t, buf_str(&notes), false);
	buf_done(&notes);
	if (code >= 400 && t->autos.first && done.kind == TRACK_COMMAND &&
	    done.verb != TYPED_EHLO && done.verb != TYPED_STARTTLS) {
		event_note(t->ev, "What would have come next by itself is left out.");
		talk_auto_clear(t);
	}
	if (done.kind == TRACK_GREETING)
		greeted(t, code);
	else if (done.kind == TRACK_AUTH_ANSWER && t->auth)
		auth_reply(t, code);
	else if (done.kind == TRACK_DOT && done.last)
		smtp_letter_drop(s);
	else if (done.kind == TRACK_COMMAND)
		command_answered(t, &done, code);
}

static void
strange(struct talk *t, struct str line)
{
	struct smtp_talk *s = smtp_of(t);
	if (s->strange_told)
		return;
	s->strange_told = true;
	const char *what = str_starts(line, STR("+OK"))      ? "This speaks POP3: --proto pop3"
	                   : str_starts(line, STR("* "))     ? "This speaks IMAP: --proto imap"
	                   : str_istarts(line, STR("HTTP/")) ? "This is a web server"
	                   : str_starts(line, STR("SSH-"))   ? "This is an SSH server"
	                                                     : "This is no reply of SMTP";
	event_warn(t->ev, NULL,
	    "%s (RFC 5321 4.2: three digits first). --proto raw talks to anything.", what);
}

void
smtp_received(struct talk *t, struct str line, bool piece, bool again)
{
	struct smtp_talk *s = smtp_of(t);
	if (again)
		return;
	switch (track_line(&s->track, line)) {
	case TRACK_REPLY:
		reply(t);
		break;
	case TRACK_STRANGE:
		strange(t, line);
		break;
	case TRACK_ENDLESS:
		event_warn(t->ev, NULL,
		    "This reply has more than %u lines and does not end; ^C twice or /close "
		    "leaves.",
		    ANSWER_LINES_MAX);
		break;
	case TRACK_MORE:
	case TRACK_NOISE:
	case TRACK_ASKED:
		break;
	}
}
