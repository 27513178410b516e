/* The connection of talk, and what modes may do with it. */
#include "talk/talk_priv.h"

#include "base/check.h"
#include "client/certs.h"
#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>

#define LINES_AT_ONCE 200 /* of the server, before the terminal is looked at again */

static const struct mode *const modes[] = {
	&mode_smtp,
	&mode_lmtp,
	&mode_raw,
	&mode_imap,
	&mode_pop3,
	&mode_sieve,
};

const struct mode *
mode_of(enum client_proto proto)
{
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (modes[i]->proto == proto)
			return modes[i];
	return &mode_raw;
}

/* --- to the server --- */

static bool
sent_well(struct talk *t, enum link_status st)
{
	if (st == LINK_OK)
		return true;
	if (st == LINK_STOPPED)
		talk_end(t, CLIENT_INTERRUPTED);
	talk_closed(t, st);
	return false;
}

bool
talk_send(struct talk *t, struct str text, struct str masked)
{
	if (!t->connected)
		return false;
	if (t->mode->manual)
		t->mode->manual(t, masked.p ? masked : text, &t->manual);
	else
		buf_putf(&t->manual, STR_FMT "\n", STR_ARG(masked.p ? masked : text));
	return sent_well(t, link_line_send(&t->link, text, masked));
}

bool
talk_send_octets(struct talk *t, struct str octets, struct str masked, bool content)
{
	if (!t->connected)
		return false;
	if (content && octets.len <= (64u << 10))
		buf_puts(&t->manual, octets);
	return sent_well(t, link_send(&t->link, octets, masked, content));
}

void
talk_reply(struct talk *t, int code, struct str enhanced, struct str text, const char *step)
{
	struct event e = {
		.kind = EVENT_REPLY, .code = code, .enhanced = enhanced, .text = text, .step = step
	};
	if (t->asked_us)
		e.took_us = sys_mono_us() - t->asked_us;
	t->asked_us = t->connected && t->mode->waits(t) != MODE_FREE ? sys_mono_us() : 0;
	t->told_slow = false;
	buf_reset(&t->last_reply);
	if (code)
		buf_putf(&t->last_reply, "%d ", code);
	buf_puts(&t->last_reply, text);
	event_emit(t->ev, &e);
}

void
talk_end(struct talk *t, int status)
{
	t->leaving = true;
	if (t->editor)
		editor_leave(t->editor);
	if (status != CLIENT_OK && !t->failed) {
		t->status = status;
		t->failed = true;
	}
}

static void
show_certs(struct talk *t)
{
	struct buf text = BUF_INIT(1u << 20);
	if (t->o->show_certs) {
		certs_text(&t->link, true, &text);
		talk_print(t, STR_FMT, STR_ARG(str_trim(buf_str(&text))));
	}
	if (t->o->link.tls.ocsp) { /* -status */
		buf_reset(&text);
		certs_ocsp(&t->link, &text);
		event_note(t->ev, STR_FMT, STR_ARG(buf_str(&text)));
	}
	buf_done(&text);
}

bool
talk_tls(struct talk *t)
{
	if (t->editor)
		editor_suspend(t->editor);
	int status = link_tls(&t->link, t->mode->alpn);
	if (t->editor)
		editor_resume(t->editor);
	if (status != CLIENT_OK) {
		event_result(t->ev, "tls", status, STR_FMT, STR_ARG(buf_str(&t->link.why)));
		talk_disconnect(t);
		talk_end(t, status);
		return false;
	}
	buf_putf(&t->manual, "# TLS from here on\n");
	show_certs(t);
	t->more = true;
	if (t->mode->secured)
		t->mode->secured(t);
	return true;
}

/* A question whose time has passed. */
static void
answer_no(struct talk *t)
{
	talk_answer_fn *fn = t->question.fn;
	t->question.fn = NULL;
	if (fn)
		fn(t, STR("no"), t->question.arg);
}

void
talk_disconnect(struct talk *t)
{
	answer_no(t);
	if (t->state) {
		if (t->refused == CLIENT_OK)
			t->refused = t->mode->status(t);
		t->mode->close(t->state);
	}
	t->state = NULL;
	talk_auth_drop(t);
	link_close(&t->link);
	t->connected = t->greeted = t->more = false;
	t->asked_us = 0;
}

/* --- from the server --- */

void
talk_closed(struct talk *t, enum link_status why)
{
	if (!t->connected)
		return;
	bool expected = why == LINK_END && t->mode->ended && t->mode->ended(t);
	bool holds = t->editor && t->mode->holds && t->mode->holds(t) && !t->leaving;
	int wrong = t->terminal && expected ? CLIENT_OK : t->mode->status(t);
	t->connected = false;
	talk_auto_clear(t);
	if (why == LINK_FAILED)
		event_warn(t->ev, NULL, STR_FMT, STR_ARG(buf_str(&t->link.why)));
	if (!expected && t->typed.first)
		event_warn(t->ev, NULL, "%zu lines that were typed ahead were not sent.",
		    t->typed.n);
	int status = wrong ? wrong : expected ? CLIENT_OK : CLIENT_CLOSED;
	if (holds) {
		event_note(t->ev, "The letter is kept: /letter FILE writes it, /quit leaves.");
		t->status = status;
		t->failed = status != CLIENT_OK;
		return;
	}
	talk_end(t, status);
}

/* One line, or piece. False: nothing more is there. */
static bool
read_line(struct talk *t)
{
	struct str line;
	enum link_status st = link_line_now(&t->link, &line);
	if (st == LINK_AGAIN)
		return false;
	if (st != LINK_OK && st != LINK_PIECE) {
		talk_closed(t, st);
		return false;
	}
	bool again = t->in_piece;
	t->in_piece = st == LINK_PIECE;
	t->mode->received(t, line, st == LINK_PIECE, again);
	if (t->connected)
		talk_run_queues(t);
	return t->connected && !t->leaving;
}

void
talk_pump(struct talk *t)
{
	talk_hide(t);
	enum link_status st = link_take_in(&t->link);
	(void)st; /* its end comes by link_line_now(), behind what was said before it */
	size_t n = 0;
	while (n < LINES_AT_ONCE && read_line(t))
		n++;
	t->more = n == LINES_AT_ONCE;
	talk_show(t);
}

/* --- connecting --- */

int
talk_connect(struct talk *t)
{
	talk_interrupted = 0;
	int status = link_open(&t->link, &t->o->link, t->ev);
	if (status != CLIENT_OK) {
		event_result(t->ev, "connect", status, STR_FMT, STR_ARG(buf_str(&t->link.why)));
		return status;
	}
	if (link_must_tls(&t->link) && t->o->tls == CLIENT_TLS_MAY)
		t->o->tls = CLIENT_TLS_MUST;
	t->connected = true;
	t->in_piece = false;
	t->state = t->mode->open(t);
	if (t->o->tls == CLIENT_TLS_IMPLICIT) {
		status = link_tls(&t->link, t->mode->alpn);
		if (status != CLIENT_OK) {
			event_result(t->ev, "tls", status, STR_FMT, STR_ARG(buf_str(&t->link.why)));
			return status;
		}
		show_certs(t);
		t->more = true; /* libssl may hold the greeting already: no poll() tells */
		if (t->mode->secured)
			t->mode->secured(t);
	}
	t->asked_us = t->mode->greets ? sys_mono_us() : 0;
	if (!t->mode->greets && t->mode->begin) {
		t->greeted = true;
		t->mode->begin(t);
	}
	return CLIENT_OK;
}

/* --- lines of our own --- */

void
talk_auto(struct talk *t, const char *fmt, ...)
{
	struct buf line = BUF_INIT(TALK_LINE_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&line, fmt, ap);
	va_end(ap);
	if (!line.failed)
		talk_queue_put(&t->autos, buf_str(&line), false);
	buf_done(&line);
}

void
talk_auto_clear(struct talk *t)
{
	talk_queue_clear(&t->autos);
}

void
talk_propose(struct talk *t, struct str text)
{
	if (!t->editor || t->typed.first || t->autos.first || text.len == 0)
		return;
	buf_reset(&t->proposed);
	buf_puts(&t->proposed, text);
	event_note(t->ev, "Enter alone sends: " STR_FMT, STR_ARG(text));
}

void
talk_edit(struct talk *t, struct str text)
{
	if (t->editor)
		talk_queue_put(&t->edits, text, false);
	else
		talk_queue_put(&t->autos, text, false);
}

/* --- asking --- */

bool
talk_can_ask(const struct talk *t)
{
	return t->editor != NULL;
}

bool
talk_is_yes(struct str answer)
{
	answer = str_trim(answer);
	return str_ieq(answer, STR("y")) || str_ieq(answer, STR("yes"));
}

void
talk_ask(struct talk *t, talk_answer_fn *fn, void *arg, const char *fmt, ...)
{
	va_list ap;
	answer_no(t); /* ^] leads past it */
	talk_hide(t);
	t->question.fn = fn;
	t->question.arg = arg;
	buf_reset(&t->question.text);
	va_start(ap, fmt);
	buf_vputf(&t->question.text, fmt, ap);
	va_end(ap);
	talk_show(t);
}

bool
talk_read(struct talk *t, const char *prompt, struct buf *ret)
{
	char line[4096];
	if (!talk_can_ask(t))
		return false;
	editor_suspend(t->editor);
	fputs(prompt, stdout);
	fflush(stdout);
	clearerr(stdin);
	char *got = fgets(line, sizeof line, stdin);
	editor_resume(t->editor);
	if (got == NULL || talk_interrupted) {
		talk_interrupted = 0;
		return false;
	}
	buf_puts(ret, str_trim(str_of(line)));
	return true;
}

void
talk_print(struct talk *t, const char *fmt, ...)
{
	struct buf text = BUF_INIT(1u << 20), shown = BUF_INIT(4u << 20);
	FILE *out = t->o->json ? stderr : t->o->show.out ? t->o->show.out : stdout;
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&text, fmt, ap);
	va_end(ap);
	struct str rest = buf_str(&text);
	while (rest.p && rest.len) {
		show_escape(&shown, str_cut(&rest, '\n'));
		buf_putc(&shown, '\n');
	}
	if (text.len == 0)
		buf_putc(&shown, '\n');
	talk_hide(t);
	fwrite(shown.p ? shown.p : "", 1, shown.len, out);
	fflush(out);
	talk_show(t);
	buf_done(&text);
	buf_done(&shown);
}
