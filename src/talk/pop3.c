/* POP3 in talk (RFC 1939, RFC 2449, RFC 2595, RFC 5034): what the server says, and what it changes.
 */
#include "talk/pop3_priv.h"

#include "base/num.h"
#include "talk/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define CAPS_MAX 8192u

static void *
open_state(struct talk *t)
{
	struct pop_talk *x = xalloc(sizeof(*x));
	x->t = t;
	t->o->show.hold_lines = false;
	buf_init(&x->line, 1024);
	buf_init(&x->greeting, 1024);
	buf_init(&x->caps, CAPS_MAX);
	buf_init(&x->first, 32u << 10);
	buf_init(&x->first_shown, 4096);
	buf_init(&x->user, 1024);
	return x;
}

static void
close_state(void *state)
{
	struct pop_talk *x = state;
	buf_done(&x->line);
	buf_done(&x->greeting);
	buf_done(&x->caps);
	buf_wipe(&x->first);
	buf_done(&x->first);
	buf_done(&x->first_shown);
	buf_done(&x->user);
	free(x->deleted);
	reading_free(x->reading);
	free(x);
}

/* --- capabilities --- */

static void
mechs(struct pop_talk *x, struct str rest)
{
	size_t n = 0;
	for (struct str w = str_word(&rest); w.len && n + w.len + 2 < sizeof(x->mechs);
	     w = str_word(&rest)) {
		if (n)
			x->mechs[n++] = ' ';
		for (size_t i = 0; i < w.len; i++)
			x->mechs[n++] = (char)toupper((unsigned char)w.p[i]);
	}
	x->mechs[n] = '\0';
}

static void
cap_line(struct pop_talk *x, struct str line)
{
	struct str rest = line, name = str_word(&rest);
	if (name.len == 0)
		return;
	if (x->caps.len)
		buf_putc(&x->caps, '\n');
	buf_puts(&x->caps, line);
	if (str_ieq(name, STR("SASL")))
		mechs(x, rest);
}

static const struct {
	const char *name, *meaning;
} meanings[] = {
	{ "TOP", "the header and some lines of a letter" },
	{ "UIDL", "ids that stay" },
	{ "USER", "USER and PASS" },
	{ "SASL", "AUTH with one of these (RFC 5034)" },
	{ "STLS", "TLS can be begun (RFC 2595)" },
	{ "PIPELINING", "several commands at a time" },
	{ "RESP-CODES", "codes in brackets (RFC 2449 8)" },
	{ "AUTH-RESP-CODE", "[AUTH], [SYS] (RFC 3206)" },
	{ "EXPIRE", "days that letters are kept" },
	{ "LOGIN-DELAY", "seconds between two logins" },
	{ "IMPLEMENTATION", "what the server is" },
	{ "UTF8", "UTF-8 in headers (RFC 6856)" },
	{ "LANG", "texts in other languages (RFC 6856)" },
};

static void
show_caps(struct pop_talk *x)
{
	struct buf out = BUF_INIT(64u << 10);
	struct str all = buf_str(&x->caps);
	while (all.len) {
		struct str line = str_cut(&all, '\n'), rest = line, name = str_word(&rest);
		const char *meaning = "";
		for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
			meaning =
			    str_ieq(name, str_of(meanings[i].name)) ? meanings[i].meaning : meaning;
		buf_putf(&out, "%-32.*s %s\n", STR_ARG(line), meaning);
	}
	talk_print(x->t, STR_FMT, STR_ARG(x->caps.len ? buf_str(&out) : STR("none\n")));
	buf_done(&out);
}

static void
tell_caps(struct talk *t)
{
	struct pop_talk *x = t->state;
	if (x->caps_known)
		show_caps(x);
	else
		talk_auto(t, "CAPA");
}

/* --- what comes --- */

static void
begin(struct talk *t)
{
	struct pop_talk *x = t->state;
	bool secure = t->link.tls != NULL;
	talk_auto(t, "CAPA");
	if (!secure && (t->o->tls == CLIENT_TLS_MUST || t->o->starttls))
		talk_auto(t, "STLS");
	else if (t->o->auth && !x->logged_in)
		talk_auto(t, "AUTH");
}

static void
tell(struct pop_talk *x, const struct pop_answer *a, const char *step)
{
	static const char *const words[] = { "+OK", "-ERR", "+", "" };
	struct buf text = BUF_INIT(70000);
	buf_putz(&text, words[a->status]);
	if (a->code.len)
		buf_putf(&text, " [" STR_FMT "]", STR_ARG(a->code));
	buf_putf(&text, "%s" STR_FMT, text.len ? " " : "", STR_ARG(a->text));
	talk_reply(x->t, 0, STR_NULL, buf_str(&text), step);
	buf_done(&text);
}

static void
greeting(struct pop_talk *x, const struct pop_answer *a)
{
	struct talk *t = x->t;
	t->greeted = true;
	buf_puts(&x->greeting, str_first(a->text, 1000));
	tell(x, a, "greeting");
	if (a->status == POP_OK) {
		begin(t);
		return;
	}
	x->wrong = CLIENT_GREETING;
	if (a->status == POP_STRANGE)
		event_warn(t->ev, "greeting",
		    "That is no greeting of POP3 (\"+OK ...\"). Another port, "
		    "another --proto, or TLS from the start (--tls=implicit)?");
}

static void
mark_deleted(struct pop_talk *x, uint64_t number)
{
	if (x->n_deleted == POP_DELETED_MAX)
		return;
	x->deleted = xrealloc(x->deleted, (x->n_deleted + 1) * sizeof(*x->deleted));
	x->deleted[x->n_deleted++] = number;
}

static void
logged_in(struct pop_talk *x, bool ok)
{
	if (!ok) {
		x->wrong = x->wrong ? x->wrong : CLIENT_AUTH;
		return;
	}
	x->logged_in = true;
	talk_auto(x->t, "STAT");
}

/* The state may be gone behind this. */
static void
secure(struct pop_talk *x, bool ok)
{
	struct talk *t = x->t;
	if (ok) {
		(void)talk_tls(t);
	} else if (t->o->tls == CLIENT_TLS_MUST || t->o->starttls) {
		event_result(t->ev, "starttls", CLIENT_TLS_REFUSED,
		    "TLS was asked for and refused. --tls=must (implied by -starttls) stops here.");
		talk_end(t, CLIENT_TLS_REFUSED);
	} else {
		event_warn(t->ev, "starttls", "TLS was refused: what follows goes in clear.");
	}
}

static void
answered(struct pop_talk *x, const struct pop_sent *s, const struct pop_answer *a)
{
	bool ok = a->status == POP_OK;
	struct str rest;
	if (s->verb == PV_DELE && ok)
		mark_deleted(x, s->number);
	else if (s->verb == PV_RSET && ok)
		x->n_deleted = 0;
	else if (s->verb == PV_STAT && ok && pop_pair(a->text, &x->letters, &rest))
		(void)num_u64(str_first(rest, str_find(rest, ' ')), UINT64_MAX, &x->octets);
	else if (s->verb == PV_PASS || s->verb == PV_APOP || s->verb == PV_AUTH)
		logged_in(x, ok);
	else if (s->verb == PV_QUIT)
		x->quitting = true;
	else if (s->verb == PV_CAPA && !ok)
		x->caps_known = true; /* RFC 2449 5: a server without */
	else if (s->verb == PV_STLS)
		secure(x, ok); /* the last thing: see there */
}

static const char *
step_of(enum pop_verb v)
{
	if (v == PV_USER || v == PV_PASS || v == PV_APOP || v == PV_AUTH)
		return "auth";
	return v == PV_STLS ? "starttls" : v == PV_QUIT ? "quit" : NULL;
}

static struct pop_sent
pop(struct pop_talk *x)
{
	struct pop_sent s = { 0 };
	if (x->n_sent == 0)
		return s;
	s = x->sent[0];
	memmove(x->sent, x->sent + 1, --x->n_sent * sizeof(s));
	return s;
}

static void
read_end(struct pop_talk *x, bool ok)
{
	struct buf text = BUF_INIT(2u << 20);
	struct reading *r = x->reading;
	if (!r)
		return;
	x->reading = NULL;
	x->t->o->show.hold_lines = false;
	if (ok) {
		reading_end(r, x->read_octets > POP_READ_MAX, &text);
		talk_print(x->t, STR_FMT, STR_ARG(buf_str(&text)));
	}
	reading_free(r);
	buf_done(&text);
}

static void
answer(struct pop_talk *x, struct str line)
{
	struct pop_answer a;
	pop_answer_read(line, &a);
	if (!x->t->greeted) {
		greeting(x, &a);
		return;
	}
	if (a.status == POP_CHALLENGE && x->n_sent && x->sent[0].verb == PV_AUTH) {
		if (x->t->auth) {
			pop_auth_challenge(x, a.text);
		} else {
			x->auth_typed = true;
			tell(x, &a, "auth");
		}
		return;
	}
	if (x->n_sent == 0 || a.status == POP_CHALLENGE || a.status == POP_STRANGE) {
		event_warn(x->t->ev, NULL,
		    a.status == POP_STRANGE ? "That is no answer of POP3."
					    : "Nothing was asked that this could answer.");
		if (x->n_sent == 0)
			return;
	}
	if (x->sent[0].many && a.status == POP_OK) {
		x->in_lines = true;
		x->dot = (struct pop_dot){ 0 };
		if (x->sent[0].verb == PV_CAPA) {
			buf_reset(&x->caps);
			x->mechs[0] = '\0';
		}
		return;
	}
	struct pop_sent s = pop(x);
	x->auth_typed = false;
	bool ok = a.status == POP_OK;
	if (s.verb == PV_AUTH && x->t->auth && !talk_auth_end(x->t, ok, STR_NULL) && ok) {
		x->wrong = x->wrong ? x->wrong : CLIENT_AUTH;
		s.verb = PV_OTHER;
	}
	bool hidden = x->t->o->show.hold_lines;
	read_end(x, false);
	if (hidden)
		event_warn(x->t->ev, NULL, STR_FMT, STR_ARG(str_trim(line)));
	tell(x, &a, step_of(s.verb));
	answered(x, &s, &a);
}

/* --- lines behind +OK --- */

static void
piece(void *arg, struct str octets)
{
	struct pop_talk *x = arg;
	if (x->reading) {
		if (x->read_octets < POP_READ_MAX)
			reading_feed(x->reading, octets);
		x->read_octets += octets.len;
	}
	if (x->sent[0].verb != PV_CAPA)
		return;
	buf_puts(&x->line, octets);
	if (octets.len == 0 || octets.p[octets.len - 1] != '\n')
		return;
	if (!x->line.failed)
		cap_line(x, str_trim(buf_str(&x->line)));
	buf_reset(&x->line);
}

static void
received(struct talk *t, struct str line, bool is_piece, bool again)
{
	struct pop_talk *x = t->state;
	if (x->in_lines) {
		if (!pop_dot_feed(&x->dot, &line, piece, x))
			return;
		x->in_lines = false;
		struct pop_sent s = pop(x);
		x->caps_known = x->caps_known || s.verb == PV_CAPA;
		read_end(x, true);
		struct pop_answer a = { .status = POP_OK };
		tell(x, &a, NULL);
		return;
	}
	(void)is_piece;
	if (!again) /* the first piece says all that an answer can say */
		answer(x, line);
}

/* --- the rest of the row --- */

static enum mode_wait
waits(struct talk *t)
{
	const struct pop_talk *x = t->state;
	if (!t->greeted || t->auth)
		return MODE_HOLD;
	if (x->auth_typed)
		return MODE_FREE;
	for (size_t i = 0; i < x->n_sent; i++) {
		enum pop_verb v = x->sent[i].verb;
		if (v == PV_STLS || v == PV_AUTH || v == PV_USER || v == PV_PASS || v == PV_APOP ||
		    v == PV_QUIT)
			return MODE_HOLD;
	}
	return x->n_sent ? MODE_ANSWER : MODE_FREE;
}

static bool
is_literal(struct talk *t)
{
	const struct pop_talk *x = t->state;
	return x && x->auth_typed;
}

static void
secured(struct talk *t)
{
	struct pop_talk *x = t->state;
	buf_reset(&x->caps);
	x->mechs[0] = '\0';
	x->caps_known = false;
	if (!t->greeted)
		return;
	talk_auto(t, "CAPA"); /* RFC 2595 4 */
	if (t->o->auth && !x->logged_in)
		talk_auto(t, "AUTH");
}

static bool
ended(struct talk *t)
{
	const struct pop_talk *x = t->state;
	return x->quitting;
}

static void
prompt(struct talk *t, struct buf *ret)
{
	const struct pop_talk *x = t->state;
	const char *tls = t->link.tls ? "tls" : NULL, *auth = x->logged_in ? "auth" : NULL;
	buf_putz(ret, "pop3");
	if (tls || auth)
		buf_putf(ret, "(%s%s%s)", tls ? tls : "", tls && auth ? "," : "", auth ? auth : "");
	if (x->logged_in)
		buf_putf(ret, " %llu", (unsigned long long)x->letters);
	if (x->n_deleted)
		buf_putf(ret, " deleted:%zu", x->n_deleted);
	buf_putz(ret, x->auth_typed ? " + > " : " > ");
}

static void
complete(struct talk *t, struct words *w)
{
	const struct pop_talk *x = t->state;
	struct str rest = w->line, first = str_word(&rest);
	if (first.len + (size_t)(first.p - w->line.p) == w->line.len) {
		words_offer_list(w, pop_verb_names + 1);
	} else if (str_ieq(first, STR("AUTH"))) {
		struct str all = str_of(x->mechs);
		while (all.len)
			words_offer(w, str_cut(&all, ' '));
	}
}

static int
status(struct talk *t)
{
	const struct pop_talk *x = t->state;
	return x ? x->wrong : CLIENT_OK;
}

static void
cancel(struct talk *t)
{
	struct pop_talk *x = t->state;
	if (!x->auth_typed)
		return;
	x->auth_typed = false;
	(void)talk_send(t, STR("*"), STR_NULL);
}

const struct mode mode_pop3 = {
	.proto = PROTO_POP3,
	.alpn = "pop3",
	.service = "pop",
	.starttls = "STLS",
	.quit = "QUIT",
	.greets = true,
	.commands = pop_commands,
	.open = open_state,
	.close = close_state,
	.begin = begin,
	.waits = waits,
	.typed = pop_typed,
	.sent = pop_sent,
	.received = received,
	.literal = is_literal,
	.secured = secured,
	.ended = ended,
	.auth = pop_auth,
	.caps = tell_caps,
	.prompt = prompt,
	.complete = complete,
	.status = status,
	.cancel = cancel,
};
