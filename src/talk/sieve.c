/* ManageSieve in talk (RFC 5804). */
#include "client/imap.h"
#include "talk/talk.h"
#include "talk/words.h"

#include "base/num.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_MAX (1u << 20)

enum sieve_verb { SV_OTHER, SV_STARTTLS, SV_AUTHENTICATE, SV_LOGOUT, SV_CAPABILITY, SV_GETSCRIPT };
static const char *const verbs[] = { "STARTTLS", "AUTHENTICATE", "LOGOUT", "CAPABILITY",
	"GETSCRIPT", "LISTSCRIPTS", "PUTSCRIPT", "CHECKSCRIPT", "SETACTIVE", "DELETESCRIPT",
	"RENAMESCRIPT", "HAVESPACE", "NOOP", "UNAUTHENTICATE", NULL };

struct sieve_talk {
	struct talk *t;
	struct imap_reader reader;
	enum sieve_verb verb; /* of the command that waits */
	bool waits, logged_in, quitting, caps_known;
	struct buf caps; /* one a line: name and value */
	char mechs[512];
	uint64_t lit_left; /* octets of a literal that somebody types */
	bool lit_tail;
	int wrong;
};

static void *
open_state(struct talk *t)
{
	struct sieve_talk *x = xalloc(sizeof(*x));
	x->t = t;
	imap_reader_init(&x->reader, IMAP_READER_ARENA);
	x->reader.sieve = true;
	buf_init(&x->caps, 8192);
	return x;
}

static void
close_state(void *state)
{
	struct sieve_talk *x = state;
	imap_reader_done(&x->reader);
	buf_done(&x->caps);
	free(x);
}

/* --- what comes --- */

static void
cap(struct sieve_talk *x, const struct imap_node *n)
{
	struct str name = imap_node_text(n), value = imap_node_text(n->next);
	buf_putf(&x->caps, STR_FMT " " STR_FMT "\n", STR_ARG(name), STR_ARG(value));
	if (!str_ieq(name, STR("SASL")) || value.len >= sizeof(x->mechs))
		return;
	for (size_t i = 0; i < value.len; i++)
		x->mechs[i] = (char)toupper((unsigned char)value.p[i]);
	x->mechs[value.len] = '\0';
}

static void
caps_forget(struct sieve_talk *x)
{
	buf_reset(&x->caps);
	x->mechs[0] = '\0';
	x->caps_known = false;
}

/* A challenge is a string on a line of its own (RFC 5804 2.1). */
static void
challenge(struct sieve_talk *x, struct str text)
{
	struct talk *t = x->t;
	struct buf out = BUF_INIT(32u << 10), shown = BUF_INIT(4096), line = BUF_INIT(64u << 10),
		   seen = BUF_INIT(8192);
	(void)talk_auth_step(t, text, &out, &shown);
	buf_putf(&line, "\"" STR_FMT "\"", STR_ARG(buf_str(&out)));
	buf_putf(&seen, "\"" STR_FMT "\"", STR_ARG(shown.len ? buf_str(&shown) : STR_NULL));
	(void)talk_send(t, buf_str(&line), shown.len ? buf_str(&seen) : STR_NULL);
	struct buf *all[] = { &out, &shown, &line, &seen };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		buf_wipe(all[i]);
		buf_done(all[i]);
	}
}

static void
begin(struct talk *t)
{
	struct sieve_talk *x = t->state;
	if (!t->link.tls && (t->o->tls == CLIENT_TLS_MUST || t->o->starttls))
		talk_auto(t, "STARTTLS");
	else if (t->o->auth && !x->logged_in)
		talk_auto(t, "AUTHENTICATE");
}

static void
data(struct sieve_talk *x, const struct imap_response *r)
{
	bool telling = !x->t->greeted || x->verb == SV_CAPABILITY || !x->caps_known;
	if (r->broken)
		event_warn(x->t->ev, NULL,
		    "The quotes or parentheses of that response do not match.");
	if (x->t->auth && x->verb == SV_AUTHENTICATE && x->waits)
		challenge(x, imap_node_text(r->data));
	else if (telling && r->data)
		cap(x, r->data);
}

/* The state may be gone behind this. */
static void
secure(struct sieve_talk *x, bool ok)
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
final(struct sieve_talk *x, const struct imap_response *r)
{
	struct talk *t = x->t;
	bool ok = r->status == IMAP_OK;
	enum sieve_verb v = x->waits ? x->verb : SV_OTHER;
	const char *step = v == SV_AUTHENTICATE ? "auth"
	                   : v == SV_STARTTLS   ? "starttls"
	                   : v == SV_LOGOUT     ? "quit"
	                                        : NULL;
	struct buf text = BUF_INIT(70000);
	buf_putz(&text, imap_status_name[r->status]);
	if (r->code.len)
		buf_putf(&text, " (" STR_FMT ")", STR_ARG(r->code));
	if (r->text.len)
		buf_putf(&text, " " STR_FMT, STR_ARG(r->text));
	x->waits = false;
	x->caps_known = true;
	if (v == SV_AUTHENTICATE && t->auth)
		ok =
		    talk_auth_end(t, ok, str_ieq(r->code, STR("SASL")) ? r->code_args : STR_NULL) &&
		    ok;
	bool greeted = t->greeted;
	t->greeted = true;
	talk_reply(t, 0, STR_NULL, buf_str(&text), greeted ? step : "greeting");
	buf_done(&text);
	if (r->status == IMAP_BYE)
		x->quitting = true;
	if (!greeted && ok)
		begin(t);
	else if (!greeted)
		x->wrong = CLIENT_GREETING;
	else if (v == SV_AUTHENTICATE && ok)
		x->logged_in = true;
	else if (v == SV_AUTHENTICATE)
		x->wrong = x->wrong ? x->wrong : CLIENT_AUTH;
	else if (v == SV_LOGOUT)
		x->quitting = true;
	else if (v == SV_STARTTLS)
		secure(x, ok); /* the last thing: see there */
}

static void
received(struct talk *t, struct str line, bool piece, bool again)
{
	(void)piece;
	(void)again;
	while (line.len && t->state) {
		struct sieve_talk *x = t->state;
		const struct imap_response *r = imap_reader_feed(&x->reader, &line);
		if (!r)
			break;
		if (r->kind == IMAP_TAGGED)
			final(x, r);
		else
			data(x, r);
	}
}

/* --- what goes --- */

static enum sieve_verb
verb_of(struct str line)
{
	struct str word = str_word(&line);
	for (size_t i = 0; i < SV_GETSCRIPT; i++)
		if (str_ieq(word, str_of(verbs[i])))
			return (enum sieve_verb)(i + 1);
	return SV_OTHER;
}

static bool
literal_at_end(struct str line, uint64_t *ret)
{
	size_t open = str_rfind(line, '{');
	if (open == line.len || !str_ends(line, STR("+}")))
		return false;
	return num_u64(str_n(line.p + open + 1, line.len - open - 3), UINT32_MAX, ret);
}

static void
auth(struct talk *t, struct str mech, struct str user)
{
	struct sieve_talk *x = t->state;
	struct buf line = BUF_INIT(64u << 10), masked = BUF_INIT(8192), out = BUF_INIT(32u << 10),
		   shown = BUF_INIT(4096);
	if (!talk_auth_begin(t, str_of(x->mechs), mech, user))
		return;
	buf_putf(&line, "AUTHENTICATE \"%s\"", talk_auth_mech(t));
	buf_puts(&masked, buf_str(&line));
	bool initial = talk_auth_initial(t, &out, &shown) == TALK_AUTH_SEND;
	if (initial) {
		struct str what = str_eq(buf_str(&out), STR("=")) ? STR_NULL : buf_str(&out);
		buf_putf(&line, " \"" STR_FMT "\"", STR_ARG(what));
		buf_putf(&masked, " \"" STR_FMT "\"", STR_ARG(shown.len ? buf_str(&shown) : what));
	}
	if (talk_send(t, buf_str(&line), initial ? buf_str(&masked) : STR_NULL)) {
		x->verb = SV_AUTHENTICATE;
		x->waits = true;
	}
	struct buf *all[] = { &line, &masked, &out, &shown };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		buf_wipe(all[i]);
		buf_done(all[i]);
	}
}

static void
typed(struct talk *t, struct str line, bool sure, struct mode_typed *ret)
{
	struct sieve_talk *x = t->state;
	struct str rest = line;
	buf_puts(&ret->send, line);
	if (x->lit_left || x->lit_tail) {
		ret->content = true;
		if (x->verb == SV_AUTHENTICATE) {
			buf_putz(&ret->masked, "<literal hidden>");
			ret->secret = true;
		}
		return;
	}
	if (str_trim(line).len == 0) {
		ret->nothing = true;
		return;
	}
	if (verb_of(line) != SV_AUTHENTICATE)
		return;
	(void)str_word(&rest);
	struct str mech = str_word(&rest);
	if (str_trim(rest).len == 0 && t->o->strict_typing)
		return;
	if (str_trim(rest).len == 0) {
		ret->nothing = true;
		if (mech.len > 1 && mech.p[0] == '"')
			mech = str_n(mech.p + 1, mech.len - 2);
		auth(t, mech, STR_NULL);
		return;
	}
	if (talk_secret_risk(t) && !sure)
		buf_putz(&ret->question, talk_secret_risk(t));
	buf_putf(&ret->masked, "AUTHENTICATE " STR_FMT " <initial response hidden>", STR_ARG(mech));
	ret->secret = true;
}

static void
sent(struct talk *t, struct str line, const struct mode_typed *m)
{
	struct sieve_talk *x = t->state;
	struct str text = buf_str(&m->send);
	(void)line;
	if (x->lit_left) {
		uint64_t took = text.len + 2;
		x->lit_tail = x->lit_left == took;
		x->lit_left = x->lit_left > took ? x->lit_left - took : 0;
	} else {
		if (!x->lit_tail)
			x->verb = verb_of(text);
		x->lit_tail = false;
		(void)literal_at_end(text, &x->lit_left);
	}
	x->waits = true;
	if (x->verb == SV_CAPABILITY)
		caps_forget(x);
}

/* --- scripts --- */

static bool
quotable(struct str s)
{
	return s.len > 0 && str_find_any(s, "\"\\\r\n") == s.len;
}

static struct sieve_talk *
ready(struct talk *t)
{
	struct sieve_talk *x = t->state;
	if (t->connected && x && !x->waits && t->mode->waits(t) == MODE_FREE)
		return x;
	event_warn(t->ev, NULL, "Something else is under way: wait for its answer.");
	return NULL;
}

/* head, then the file as a literal. */
static void
send_script(struct talk *t, const char *head, struct str path)
{
	struct sieve_talk *x = ready(t);
	struct buf octets = BUF_INIT(SCRIPT_MAX), line = BUF_INIT(4096);
	char *name = str_dup(path), piece[4096];
	FILE *f = x ? fopen(name, "rb") : NULL;
	if (x && !f)
		event_warn(t->ev, NULL, "%s: %s", name, strerror(errno));
	for (size_t n; f && (n = fread(piece, 1, sizeof(piece), f)) > 0;)
		buf_put(&octets, piece, n);
	if (f && (ferror(f) || octets.failed)) {
		event_warn(t->ev, NULL, "%s: %s", name,
		    octets.failed ? "larger than 1 MiB" : strerror(errno));
	} else if (f) {
		buf_putf(&line, "%s {%zu+}", head, octets.len);
		buf_putz(&octets, "\r\n");
		if (talk_send(t, buf_str(&line), STR_NULL) &&
		    talk_send_octets(t, buf_str(&octets), STR_NULL, true)) {
			x->verb = SV_OTHER;
			x->waits = true;
		}
	}
	if (f)
		fclose(f);
	free(name);
	buf_done(&octets);
	buf_done(&line);
}

static void
cmd_put(struct talk *t, struct str args)
{
	struct buf head = BUF_INIT(2048);
	struct str name = str_word(&args), path = str_trim(args);
	buf_putf(&head, "PUTSCRIPT \"" STR_FMT "\"", STR_ARG(name));
	if (!quotable(name) || path.len == 0 || head.failed)
		event_warn(t->ev, NULL, "/put NAME FILE");
	else
		send_script(t, buf_cstr(&head), path);
	buf_done(&head);
}

static void
cmd_check(struct talk *t, struct str args)
{
	if (str_trim(args).len)
		send_script(t, "CHECKSCRIPT", str_trim(args));
	else
		event_warn(t->ev, NULL, "/check FILE");
}

static void
with_name(struct talk *t, const char *verb, struct str args)
{
	struct str name = str_trim(args);
	if (quotable(name))
		talk_auto(t, "%s \"" STR_FMT "\"", verb, STR_ARG(name));
	else
		event_warn(t->ev, NULL, "Which script?");
}

static void
cmd_get(struct talk *t, struct str args)
{
	with_name(t, "GETSCRIPT", args);
}

static void
cmd_activate(struct talk *t, struct str args)
{
	with_name(t, "SETACTIVE", args);
}

static void
cmd_scripts(struct talk *t, struct str args)
{
	(void)args;
	talk_auto(t, "LISTSCRIPTS");
}

static const struct talk_command commands[] = {
	{ "scripts", "", "the scripts there are", cmd_scripts, false },
	{ "get", "NAME", "a script", cmd_get, false },
	{ "put", "NAME FILE", "stores a file as a script", cmd_put, false },
	{ "check", "FILE", "asks whether a script is right, without storing it", cmd_check, false },
	{ "activate", "NAME", "makes a script the active one", cmd_activate, false },
	{ 0 },
};

/* --- the rest of the row --- */

static enum mode_wait
waits(struct talk *t)
{
	const struct sieve_talk *x = t->state;
	if (x->lit_left || x->lit_tail)
		return MODE_FREE;
	if (!t->greeted || t->auth || (x->waits && x->verb != SV_OTHER))
		return MODE_HOLD;
	return x->waits ? MODE_ANSWER : MODE_FREE;
}

static bool
is_literal(struct talk *t)
{
	const struct sieve_talk *x = t->state;
	return x && (x->lit_left || x->lit_tail);
}

/* The server tells its capabilities again by itself (RFC 5804 2.2). */
static void
secured(struct talk *t)
{
	struct sieve_talk *x = t->state;
	caps_forget(x);
	if (!t->greeted)
		return;
	x->waits = true;
	x->verb = SV_CAPABILITY;
	if (t->o->auth && !x->logged_in)
		talk_auto(t, "AUTHENTICATE");
}

static bool
ended(struct talk *t)
{
	const struct sieve_talk *x = t->state;
	return x->quitting;
}

static void
show_caps(struct talk *t)
{
	const struct sieve_talk *x = t->state;
	talk_print(t, STR_FMT, STR_ARG(buf_str(&x->caps)));
}

static void
prompt(struct talk *t, struct buf *ret)
{
	const struct sieve_talk *x = t->state;
	const char *tls = t->link.tls ? "tls" : NULL, *login = x->logged_in ? "auth" : NULL;
	if (x->lit_left) {
		buf_putf(ret, "%llu octets > ", (unsigned long long)x->lit_left);
		return;
	}
	buf_putz(ret, "sieve");
	if (tls || login)
		buf_putf(ret, "(%s%s%s)", tls ? tls : "", tls && login ? "," : "",
		    login ? login : "");
	buf_putz(ret, " > ");
}

static void
complete(struct talk *t, struct words *w)
{
	struct str rest = w->line, first = str_word(&rest);
	(void)t;
	if (first.len + (size_t)(first.p - w->line.p) == w->line.len)
		words_offer_list(w, verbs);
}

static int
status(struct talk *t)
{
	const struct sieve_talk *x = t->state;
	return x ? x->wrong : CLIENT_OK;
}

const struct mode mode_sieve = {
	.proto = PROTO_SIEVE,
	.alpn = "managesieve",
	.service = "sieve",
	.starttls = "STARTTLS",
	.quit = "LOGOUT",
	.greets = true,
	.commands = commands,
	.open = open_state,
	.close = close_state,
	.begin = begin,
	.waits = waits,
	.typed = typed,
	.sent = sent,
	.received = received,
	.literal = is_literal,
	.secured = secured,
	.ended = ended,
	.auth = auth,
	.caps = show_caps,
	.prompt = prompt,
	.complete = complete,
	.status = status,
};
