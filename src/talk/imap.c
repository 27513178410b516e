/* IMAP in talk (RFC 3501, RFC 9051): what the server says, and what it changes. */
#include "talk/imap_priv.h"

#include "explain/explain.h"

#include <stdlib.h>
#include <string.h>

/* --- its life --- */

static void
literal(void *arg, struct str item, uint64_t size, uint64_t off, struct str piece)
{
	struct imap_talk *x = arg;
	if (!x->reading || !str_istarts(item, STR("BODY[]")))
		return;
	x->reading_cut = size >= IMAP_READ_MAX;
	if (off < IMAP_READ_MAX)
		reading_feed(x->reading, piece);
}

static void *
open_state(struct talk *t)
{
	struct imap_talk *x = xalloc(sizeof(*x));
	x->t = t;
	t->o->show.hold_lines = false;
	t->o->show.imap = true;
	imap_reader_init(&x->reader, IMAP_READER_ARENA);
	x->reader.literal = literal;
	x->reader.arg = x;
	buf_init(&x->caps, 8192);
	buf_init(&x->mailbox, 4096);
	buf_init(&x->naming, 4096);
	buf_init(&x->upload, IMAP_UPLOAD_MAX + 1024);
	return x;
}

static void
close_state(void *state)
{
	struct imap_talk *x = state;
	imap_reader_done(&x->reader);
	buf_done(&x->caps);
	buf_done(&x->mailbox);
	buf_done(&x->naming);
	buf_done(&x->upload);
	for (size_t i = 0; i < IMAP_SENT_MAX; i++)
		buf_done(&x->sent[i].what);
	reading_free(x->reading);
	free(x);
}

/* --- what comes --- */

static void
explain_it(struct imap_talk *x, struct str text)
{
	struct explain_hit hit;
	struct buf line = BUF_INIT(8192);
	if (x->t->o->show.explain == SHOW_EXPLAIN_NEVER ||
	    !explain_reply_of(EXPLAIN_IMAP, text, &hit))
		return;
	explain_short(&hit, &line);
	event_note(x->t->ev, STR_FMT, STR_ARG(buf_str(&line)));
	buf_done(&line);
}

static void
answer_text(const struct imap_response *r, struct buf *out)
{
	buf_putz(out, imap_status_name[r->status]);
	if (r->code.len)
		buf_putf(out, " [" STR_FMT "%s" STR_FMT "]", STR_ARG(r->code),
		    r->code_args.len ? " " : "", STR_ARG(r->code_args));
	buf_putf(out, " " STR_FMT, STR_ARG(r->text));
}

/* By ourselves; with --strict-typing nothing else puts a tag in front. */
static void
ask_for(struct imap_talk *x, const char *verb)
{
	struct buf tag = BUF_INIT(64);
	if (x->t->o->strict_typing)
		imap_next_tag(x, &tag);
	talk_auto(x->t, STR_FMT "%s", STR_ARG(buf_str(&tag)), verb);
	buf_done(&tag);
}

static void
begin(struct talk *t)
{
	struct imap_talk *x = t->state;
	bool secure = t->link.tls != NULL;
	if (!x->caps_known)
		ask_for(x, "CAPABILITY");
	if (!secure && (t->o->tls == CLIENT_TLS_MUST || t->o->starttls))
		ask_for(x, "STARTTLS");
	else if (t->o->auth && !x->logged_in)
		talk_auto(t, "AUTHENTICATE");
}

static void
greeting(struct imap_talk *x, const struct imap_response *r)
{
	struct talk *t = x->t;
	struct buf text = BUF_INIT(8192);
	t->greeted = true;
	answer_text(r, &text);
	talk_reply(t, 0, STR_NULL, buf_str(&text), "greeting");
	buf_done(&text);
	if (r->status == IMAP_BYE || r->kind != IMAP_UNTAGGED || r->status == IMAP_NONE) {
		x->wrong = CLIENT_GREETING;
		if (r->status != IMAP_BYE)
			event_warn(t->ev, "greeting",
			    "That is no greeting of IMAP (\"* OK ...\"). "
			    "Another port, another --proto, or TLS from the start "
			    "(--tls=implicit)?");
		return;
	}
	x->logged_in = r->status == IMAP_PREAUTH;
	begin(t);
}

static void
numbers(struct imap_talk *x, const struct imap_response *r)
{
	if (str_ieq(r->name, STR("EXISTS")))
		x->exists = r->number;
	else if (str_ieq(r->name, STR("RECENT")))
		x->recent = r->number;
	else if (str_ieq(r->name, STR("EXPUNGE")) && x->exists > 0)
		x->exists--;
}

static void
untagged(struct imap_talk *x, const struct imap_response *r)
{
	if (str_ieq(r->code, STR("CAPABILITY")))
		imap_caps_text(x, r->code_args);
	if (!x->t->greeted) {
		greeting(x, r);
		return;
	}
	if (r->kind == IMAP_STRANGE) {
		event_warn(x->t->ev, NULL, "That is no response of IMAP.");
		return;
	}
	if (str_ieq(r->name, STR("CAPABILITY")))
		imap_caps_nodes(x, r->data);
	if (r->has_number)
		numbers(x, r);
	if (r->status == IMAP_BYE)
		x->bye = true;
	if (r->broken)
		event_warn(x->t->ev, NULL,
		    "The parentheses or quotes of that response do not match.");
	/* ALERT is for people, always (RFC 9051 7.1). */
	if (str_ieq(r->code, STR("ALERT")) ||
	    ((r->status == IMAP_NO || r->status == IMAP_BAD) && !x->table)) {
		struct buf text = BUF_INIT(8192);
		answer_text(r, &text);
		explain_it(x, buf_str(&text));
		buf_done(&text);
	}
	if (x->pretty || x->table)
		imap_show(x, r);
}

static void
continued(struct imap_talk *x, const struct imap_response *r)
{
	struct talk *t = x->t;
	if (t->auth) {
		imap_auth_challenge(x, r->text);
	} else if (x->upload.len) {
		struct buf octets = x->upload;
		buf_init(&x->upload, IMAP_UPLOAD_MAX + 1024);
		(void)talk_send_octets(t, buf_str(&octets), STR_NULL, true);
		buf_done(&octets);
	} else if (x->lit_wait) {
		x->lit_wait = false;
		talk_reply(t, 0, STR_NULL, STR("+"), NULL);
	} else if (x->idle == IDLE_ASKED) {
		x->idle = IDLE_ON;
		talk_reply(t, 0, STR_NULL, STR("+"), "idle");
		event_note(t->ev,
		    "Idling: what happens in the mailbox shows as it happens. %s ends it.",
		    t->editor ? "Any key" : "The next line");
	} else if (x->n_sent && x->sent[0].verb == IV_AUTHENTICATE) {
		x->auth_typed = true;
		talk_reply(t, 0, STR_NULL, STR("+"), "auth");
	} else {
		event_warn(t->ev, NULL,
		    "The server asks for more, and nothing here wants to say more.");
	}
}

/* --- the end of a command --- */

static struct imap_sent
pop(struct imap_talk *x, struct str tag)
{
	struct imap_sent s = { .verb = IV_OTHER };
	size_t i = 0;
	while (i < x->n_sent && !str_ieq(str_of(x->sent[i].tag), tag))
		i++;
	if (i == x->n_sent)
		return s;
	s = x->sent[i];
	memmove(&x->sent[i], &x->sent[i + 1], (x->n_sent - i - 1) * sizeof(s));
	x->sent[--x->n_sent] = (struct imap_sent){ 0 };
	return s;
}

static void
selected(struct imap_talk *x, const struct imap_response *r, const struct imap_sent *s)
{
	buf_reset(&x->mailbox); /* RFC 9051 6.3.2: also when it is refused */
	if (r->status != IMAP_OK)
		return;
	imap_name_decode(buf_str(&s->what), &x->mailbox);
	x->read_only = str_ieq(r->code, STR("READ-ONLY"));
}

static void
logged_in(struct imap_talk *x, const struct imap_response *r)
{
	if (r->status != IMAP_OK) {
		x->wrong = x->wrong ? x->wrong : CLIENT_AUTH;
		return;
	}
	x->logged_in = true;
	if (!x->caps_fresh)
		ask_for(x, "CAPABILITY"); /* RFC 9051 6.1.1: others than before */
}

/* The state may be gone behind this. */
static void
secure(struct imap_talk *x, bool ok)
{
	struct talk *t = x->t;
	if (ok) {
		(void)talk_tls(t);
		return;
	}
	if (t->o->tls == CLIENT_TLS_MUST || t->o->starttls) {
		event_result(t->ev, "starttls", CLIENT_TLS_REFUSED,
		    "TLS was asked for and refused. "
		    "--tls=must (implied by -starttls) stops here.");
		talk_end(t, CLIENT_TLS_REFUSED);
		return;
	}
	event_warn(t->ev, "starttls", "TLS was refused: what follows goes in clear.");
}

static void
deflate_on(struct imap_talk *x)
{
	if (link_deflate(&x->t->link))
		event_note(x->t->ev, "Both directions are compressed from here on (RFC 4978).");
	else
		talk_end(x->t, CLIENT_IO);
}

static void
read_end(struct imap_talk *x, bool ok)
{
	struct buf text = BUF_INIT(2u << 20);
	struct reading *r = x->reading;
	x->reading = NULL;
	x->t->o->show.hold_lines = false;
	if (ok) {
		reading_end(r, x->reading_cut, &text);
		talk_print(x->t, STR_FMT, STR_ARG(buf_str(&text)));
	}
	reading_free(r);
	buf_done(&text);
}

static void
done(struct imap_talk *x, const struct imap_response *r, const struct imap_sent *s)
{
	bool ok = r->status == IMAP_OK;
	switch ((int)s->verb) {
	case IV_SELECT:
	case IV_EXAMINE:
		selected(x, r, s);
		break;
	case IV_CLOSE:
	case IV_UNSELECT:
		if (ok)
			buf_reset(&x->mailbox);
		break;
	case IV_LOGIN:
	case IV_AUTHENTICATE:
		logged_in(x, r);
		break;
	case IV_IDLE:
		x->idle = IDLE_OFF;
		break;
	case IV_COMPRESS:
		if (ok)
			deflate_on(x);
		break;
	case IV_STARTTLS:
		secure(x, ok); /* the last thing: see there */
		break;
	default:
		break;
	}
}

/* Ours was shown as a table; the raw lines come back. */
static void
table_end(struct imap_talk *x, bool ok)
{
	if (x->reading)
		read_end(x, ok);
	x->t->o->show.hold_lines = false;
	x->table = false;
}

static const char *
step_of(enum imap_verb v)
{
	if (v == IV_LOGIN || v == IV_AUTHENTICATE)
		return "auth";
	return v == IV_STARTTLS ? "starttls" : v == IV_LOGOUT ? "quit" : NULL;
}

static void
tagged(struct imap_talk *x, const struct imap_response *r)
{
	struct talk *t = x->t;
	struct buf text = BUF_INIT(8192);
	struct imap_sent s = pop(x, r->tag);
	bool ok = r->status == IMAP_OK;
	if (str_ieq(r->code, STR("CAPABILITY")))
		imap_caps_text(x, r->code_args);
	if (x->lit_wait || x->upload.len) { /* the literal was refused before it went */
		t->no_local = t->no_local || (!t->terminal && x->lit_wait);
		x->lit_wait = x->lit_tail = false;
		x->lit_left = 0;
		buf_reset(&x->upload);
	}
	x->auth_typed = false;
	bool proven = !t->auth || s.verb != IV_AUTHENTICATE || talk_auth_end(t, ok, STR_NULL);
	if (!proven && ok)
		x->wrong = x->wrong ? x->wrong : CLIENT_AUTH;
	bool hidden = t->o->show.hold_lines;
	table_end(x, ok);
	answer_text(r, &text);
	if (hidden && !ok)
		event_warn(t->ev, NULL, STR_FMT, STR_ARG(buf_str(&text)));
	talk_reply(t, 0, STR_NULL, buf_str(&text), step_of(s.verb));
	buf_done(&text);
	if (proven)
		done(x, r, &s);
	buf_done(&s.what);
}

static void
received(struct talk *t, struct str line, bool piece, bool again)
{
	(void)piece;
	(void)again; /* the reader joins them */
	while (line.len && t->state) {
		struct imap_talk *x = t->state;
		const struct imap_response *r = imap_reader_feed(&x->reader, &line);
		if (!r)
			break;
		if (r->kind == IMAP_TAGGED && t->greeted)
			tagged(x, r);
		else if (r->kind == IMAP_CONTINUE && t->greeted)
			continued(x, r);
		else
			untagged(x, r);
	}
}

/* --- the rest of the row --- */

static enum mode_wait
waits(struct talk *t)
{
	const struct imap_talk *x = t->state;
	if (!t->greeted || x->lit_wait || x->upload.len || t->auth)
		return MODE_HOLD;
	if (x->lit_left || x->lit_tail || x->auth_typed || x->idle == IDLE_ON)
		return MODE_FREE;
	if (x->idle == IDLE_ASKED)
		return MODE_HOLD;
	for (size_t i = 0; i < x->n_sent; i++) {
		enum imap_verb v = x->sent[i].verb;
		if (v == IV_STARTTLS || v == IV_AUTHENTICATE || v == IV_LOGIN || v == IV_COMPRESS ||
		    v == IV_LOGOUT)
			return MODE_HOLD;
	}
	return x->n_sent ? MODE_ANSWER : MODE_FREE;
}

static bool
is_literal(struct talk *t)
{
	const struct imap_talk *x = t->state;
	return x && (x->lit_left > 0 || x->lit_tail || x->auth_typed);
}

static void
secured(struct talk *t)
{
	struct imap_talk *x = t->state;
	imap_caps_forget(x); /* RFC 3501 6.2.1; K2-26 */
	if (!t->greeted)
		return;
	ask_for(x, "CAPABILITY");
	if (t->o->auth && !x->logged_in)
		talk_auto(t, "AUTHENTICATE");
}

static bool
ended(struct talk *t)
{
	const struct imap_talk *x = t->state;
	return x->bye;
}

static void
caps(struct talk *t)
{
	struct imap_talk *x = t->state;
	if (x->caps_known)
		imap_show_caps(x);
	else
		talk_auto(t, "CAPABILITY");
}

static void
prompt(struct talk *t, struct buf *ret)
{
	const struct imap_talk *x = t->state;
	if (x->lit_left) {
		buf_putf(ret, "%llu octets > ", (unsigned long long)x->lit_left);
		return;
	}
	if (x->lit_tail) {
		buf_putz(ret, "rest of the command > ");
		return;
	}
	buf_putz(ret, "imap");
	const char *tls = t->link.tls ? "tls" : NULL, *auth = x->logged_in ? "auth" : NULL;
	if (tls || auth)
		buf_putf(ret, "(%s%s%s)", tls ? tls : "", tls && auth ? "," : "", auth ? auth : "");
	if (x->mailbox.len) {
		buf_putc(ret, ' ');
		for (size_t i = 0; i < x->mailbox.len && i < 40; i++) {
			char c = x->mailbox.p[i];
			buf_putc(ret, c > ' ' && c < 0x7f ? c : '?');
		}
		buf_putf(ret, " %llu%s", (unsigned long long)x->exists, x->read_only ? " ro" : "");
	}
	buf_putz(ret, x->idle == IDLE_ON ? " idle > " : x->auth_typed ? " + > " : " > ");
}

static int
status(struct talk *t)
{
	const struct imap_talk *x = t->state;
	return x ? x->wrong : CLIENT_OK;
}

static void
idle_end(struct talk *t)
{
	struct imap_talk *x = t->state;
	if (x->idle != IDLE_ON)
		return;
	x->idle = IDLE_OFF;
	(void)talk_send(t, STR("DONE"), STR_NULL);
}

/* Half a literal cannot be taken back; half an exchange can (RFC 9051 6.2.2). */
static void
cancel(struct talk *t)
{
	struct imap_talk *x = t->state;
	if (x->auth_typed) {
		x->auth_typed = false;
		(void)talk_send(t, STR("*"), STR_NULL);
	} else if (x->idle == IDLE_ON) {
		idle_end(t);
	} else if (x->lit_left) {
		event_note(t->ev,
		    "%llu octets of the literal are still due; /close ends the connection.",
		    (unsigned long long)x->lit_left);
	}
}

const struct mode mode_imap = {
	.proto = PROTO_IMAP,
	.alpn = "imap",
	.service = "imap",
	.starttls = "STARTTLS",
	.quit = "LOGOUT",
	.greets = true,
	.commands = imap_locals,
	.open = open_state,
	.close = close_state,
	.begin = begin,
	.waits = waits,
	.typed = imap_typed,
	.sent = imap_sent,
	.received = received,
	.literal = is_literal,
	.secured = secured,
	.ended = ended,
	.auth = imap_auth,
	.caps = caps,
	.prompt = prompt,
	.complete = imap_complete,
	.status = status,
	.cancel = cancel,
	.key = idle_end,
};
