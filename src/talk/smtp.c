/* SMTP and LMTP by hand: what goes out for what is typed. */
#include "talk/smtp_priv.h"

#include "base/check.h"
#include "client/name.h"
#include "sasl/sasl.h"

#include <stdlib.h>

static void *
open_state(struct talk *t)
{
	struct smtp_talk *s = xalloc(sizeof *s);
	track_init(&s->track, t->mode->proto == PROTO_LMTP);
	letter_init(&s->letter);
	s->ready = BUF_INIT(2 * LETTER_MAX);
	s->name = BUF_INIT(512);
	s->wants_auth = t->o->auth;
	track_sent(&s->track, TRACK_GREETING, STR_NULL);
	return s;
}

static void
close_state(void *state)
{
	struct smtp_talk *s = state;
	track_done(&s->track);
	smtp_letter_drop(s);
	letter_done(&s->letter);
	buf_done(&s->ready);
	buf_done(&s->name);
	free(s);
}

struct str
smtp_name(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	if (s->name.len == 0)
		name_of_us(t->o->ehlo, link_fd(&t->link), *t->link.name ? t->link.name : NULL,
		    &s->name);
	return buf_str(&s->name);
}

/* "EHLO", or what is said in its place. */
static const char *
hello_verb(const struct talk *t)
{
	if (t->o->hello == HELLO_HELO)
		return "HELO";
	return t->mode->proto == PROTO_LMTP || t->o->hello == HELLO_LHLO ? "LHLO" : "EHLO";
}

void
smtp_notes(struct talk *t, struct str lines, bool warn)
{
	while (lines.p && lines.len) {
		struct str line = str_cut(&lines, '\n');
		if (line.len && warn)
			event_warn(t->ev, NULL, STR_FMT, STR_ARG(line));
		else if (line.len)
			event_note(t->ev, STR_FMT, STR_ARG(line));
	}
}

static void
auto_hello(struct talk *t)
{
	struct str name = smtp_name(t);
	if (t->o->hello != HELLO_NONE)
		talk_auto(t, "%s " STR_FMT, hello_verb(t), STR_ARG(name));
}

static void
begin(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	bool must = t->o->tls == CLIENT_TLS_MUST && t->link.tls == NULL;
	if (!must && !s->wants_auth)
		return;
	auto_hello(t);
	if (must)
		talk_auto(t, "STARTTLS");
	else
		talk_auto(t, "auth");
}

static void
secured(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	track_secured(&s->track);
	if (!t->greeted) { /* from the start: the greeting is still to come */
		track_sent(&s->track, TRACK_GREETING, STR_NULL);
	} else if (s->wants_auth) {
		auto_hello(t);
		talk_auto(t, "auth");
	} else {
		struct buf hello = BUF_INIT(1024);
		struct str name = smtp_name(t);
		buf_putf(&hello, "%s " STR_FMT, hello_verb(t), STR_ARG(name));
		talk_propose(t, buf_str(&hello));
		buf_done(&hello);
	}
}

static bool
literal(struct talk *t)
{
	const struct smtp_talk *s = smtp_of(t);
	return s->track.phase == TRACK_DATA || s->track.phase == TRACK_AUTH || s->collecting ||
	       s->bdat_left > 0;
}

static enum mode_wait
waits(struct talk *t)
{
	const struct smtp_talk *s = smtp_of(t);
	if (s->bdat_left > 0 || s->collecting)
		return MODE_FREE;
	if (track_holds(&s->track) || t->auth)
		return MODE_HOLD;
	return track_waits(&s->track) ? MODE_ANSWER : MODE_FREE;
}

/* --- typed lines --- */

/* Would this AUTH let a password cross the line for all to read? */
static bool
tells_secret(struct talk *t, const struct typed *typed)
{
	struct str rest = typed->rest;
	const struct sasl_mech *mech = sasl_mech_find(str_word(&rest));
	return talk_secret_risk(t) && mech && mech->in_clear;
}

static void
refuse_clear(struct talk *t, struct mode_typed *ret)
{
	if (talk_can_ask(t)) {
		buf_putz(&ret->question, talk_secret_risk(t));
		return;
	}
	ret->nothing = true;
	event_result(t->ev, "auth", CLIENT_AUTH,
	    t->link.tls ? "AUTH would send the password to a server that was not verified; --ca, "
			  "--verify-name or --pin verify it, --insecure does without."
			: "AUTH would send the password in clear; use STARTTLS first, or "
			  "--allow-cleartext.");
	talk_end(t, CLIENT_AUTH); /* what follows in the pipe would be the password */
}

static void
chunk_typed(struct talk *t, struct str line, struct mode_typed *ret)
{
	struct smtp_talk *s = smtp_of(t);
	buf_puts(&ret->send, line);
	buf_putz(&ret->send, "\r\n");
	ret->octets = ret->content = true;
	if (ret->send.len > s->bdat_left) {
		event_warn(t->ev, NULL,
		    "This line has %zu octets more than BDAT announced; they were left out.",
		    ret->send.len - (size_t)s->bdat_left);
		buf_trunc(&ret->send, (size_t)s->bdat_left);
	}
}

static void
answer_typed(struct talk *t, struct str line, struct mode_typed *ret)
{
	const struct smtp_talk *s = smtp_of(t);
	buf_puts(&ret->send, line);
	ret->secret = true;
	typed_mask_answer(str_of(s->track.auth_mech), s->track.auth_nth, line, &ret->masked);
}

/* BDAT without a size: the text first, then its size is known. */
static void
begin_collecting(struct talk *t)
{
	struct smtp_talk *s = smtp_of(t);
	s->collecting = true;
	event_note(t->ev,
	    "Type the text; a dot by itself ends it. It is sent as BDAT with its size.");
	smtp_data_begin(t);
}

static void
command_typed(struct talk *t, struct str line, bool sure, struct mode_typed *ret)
{
	struct smtp_talk *s = smtp_of(t);
	struct typed typed;
	struct buf warnings = BUF_INIT(16384);
	typed_read(line, &typed);
	bool hello =
	    typed.verb == TYPED_EHLO || typed.verb == TYPED_HELO || typed.verb == TYPED_LHLO;
	if (t->o->strict_typing)
		buf_puts(&ret->send, line);
	else
		ret->changed = typed_make(line, hello && !typed.rest.len ? smtp_name(t) : STR_NULL,
		    &ret->send);
	typed_mask(line, &ret->masked);
	ret->secret = ret->masked.len > 0;
	if (typed.verb == TYPED_AUTH && !sure && tells_secret(t, &typed)) {
		refuse_clear(t, ret);
	} else if (!sure) {
		track_warn(&s->track, &typed, &warnings);
		smtp_notes(t, buf_str(&warnings), true);
	}
	buf_done(&warnings);
}

static void
typed(struct talk *t, struct str line, bool sure, struct mode_typed *ret)
{
	struct smtp_talk *s = smtp_of(t);
	struct typed read;
	typed_read(line, &read);
	if (s->bdat_left > 0) {
		chunk_typed(t, line, ret);
	} else if (s->track.phase == TRACK_DATA || s->collecting) {
		smtp_data_typed(t, line, ret);
	} else if (s->track.phase == TRACK_AUTH) {
		answer_typed(t, line, ret);
	} else if (s->track.phase == TRACK_TURNED) {
		buf_puts(&ret->send, line);
	} else if (!t->o->strict_typing && read.verb == TYPED_AUTH && read.rest.len == 0) {
		ret->nothing = true;
		s->wants_auth = false;
		smtp_login(t, STR_NULL, STR_NULL);
	} else if (!t->o->strict_typing && read.verb == TYPED_BDAT && read.rest.len == 0) {
		ret->nothing = true;
		begin_collecting(t);
	} else {
		command_typed(t, line, sure, ret);
	}
}

static void
sent(struct talk *t, struct str line, const struct mode_typed *m)
{
	struct smtp_talk *s = smtp_of(t);
	if (s->bdat_left > 0) {
		s->bdat_left -= MIN(s->bdat_left, m->send.len);
		return;
	}
	if (m->content) { /* the letter as it is typed (--strict-typing) */
		if (str_eq(line, STR(".")))
			track_sent(&s->track, TRACK_DOT, STR_NULL);
		return;
	}
	bool answer = s->track.phase == TRACK_AUTH;
	struct str text = buf_str(&m->send);
	if (!track_sent(&s->track, answer ? TRACK_AUTH_ANSWER : TRACK_COMMAND, text))
		event_warn(t->ev, NULL, "Too many commands are waiting for an answer.");
	struct typed read;
	uint64_t size;
	bool last;
	typed_read(text, &read);
	if (!answer && read.verb == TYPED_BDAT && typed_bdat(&read, &size, &last))
		s->bdat_left = size;
}

/* --- the rest --- */

static bool
ended(struct talk *t)
{
	return smtp_of(t)->track.quitting;
}

static bool
holds(struct talk *t)
{
	return smtp_of(t)->letter.lines > 0;
}

static void
prompt(struct talk *t, struct buf *out)
{
	const struct smtp_talk *s = smtp_of(t);
	if (s->bdat_left > 0)
		buf_putf(out, "%llu octets left > ", (unsigned long long)s->bdat_left);
	else if (s->track.phase == TRACK_DATA || s->collecting)
		buf_putz(out, ". to end > ");
	else if (s->track.phase == TRACK_AUTH && t->auth == NULL)
		buf_putz(out, "base64, * cancels > ");
	else
		track_prompt(&s->track, out);
}

static void
caps(struct talk *t)
{
	const struct caps *c = &smtp_of(t)->track.caps;
	if (c->lines.len == 0) {
		talk_print(t, "No EHLO was answered yet, or it listed nothing.");
		return;
	}
	struct str rest = buf_str(&c->lines);
	while (rest.p && rest.len) {
		struct str line = str_trim(str_cut(&rest, '\n')), copy = line;
		struct str word = str_word(&copy);
		const char *meaning = "no extension that is known here";
		word = str_first(word, str_find(word, '='));
		for (size_t i = 0; i < CAPS_COUNT; i++)
			if (caps_keywords[i].name && str_ieq(word, str_of(caps_keywords[i].name)))
				meaning = caps_keywords[i].meaning;
		if (str_ieq(line, STR("SIZE")))
			meaning = "no declared limit (RFC 1870)";
		talk_print(t, "%-28.*s %s", (int)line.len, line.p, meaning);
	}
	if (caps_have(c, CAPS_SIZE) && c->size)
		talk_print(t, "Letters of up to %llu octets.", (unsigned long long)c->size);
}

static void
complete(struct talk *t, struct words *w)
{
	smtp_words(&smtp_of(t)->track, w);
}

static int
status(struct talk *t)
{
	return t->state ? track_status(&smtp_of(t)->track, t->o->temp_exit) : CLIENT_OK;
}

static void
cancel(struct talk *t)
{
	smtp_of(t)->has_ready = false;
}

static void
manual(struct talk *t, struct str line, struct buf *out)
{
	buf_putf(out, STR_FMT "\n", STR_ARG(line));
}

#define SMTP_ROW                                                                                   \
	.greets = true, .starttls = "STARTTLS", .quit = "QUIT", .commands = smtp_commands,         \
	.open = open_state, .close = close_state, .begin = begin, .waits = waits, .typed = typed,  \
	.sent = sent, .received = smtp_received, .literal = literal, .holds = holds,               \
	.secured = secured, .ended = ended, .auth = smtp_login, .caps = caps, .prompt = prompt,    \
	.complete = complete, .status = status, .cancel = cancel, .manual = manual

const struct mode mode_smtp = { .proto = PROTO_SMTP, .alpn = "smtp", .service = "smtp", SMTP_ROW };
const struct mode mode_lmtp = { .proto = PROTO_LMTP, .alpn = "lmtp", .service = "lmtp", SMTP_ROW };
