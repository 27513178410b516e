/* What the state of a conversation has to say: the prompt, warnings before a command goes, and what
 * a reply teaches. */
#include "talk/track.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/utf8.h"

void
track_prompt(const struct track *t, struct buf *out)
{
	const struct {
		bool on;
		const char *name;
	} flags[] = {
		{ t->hello && t->extended, t->lmtp ? "lhlo" : "ehlo" },
		{ t->hello && !t->extended, "helo" },
		{ t->tls, "tls" },
		{ t->authenticated, "auth" },
	};
	bool any = false;
	if (t->phase == TRACK_TURNED) {
		buf_putz(out, t->letter ? "smtp turned, a letter comes > " : "smtp turned > ");
		return;
	}
	buf_putz(out, t->lmtp ? "lmtp" : "smtp");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (flags[i].on) {
			buf_putf(out, "%s%s", any ? "," : "(", flags[i].name);
			any = true;
		}
	}
	if (any)
		buf_putc(out, ')');
	if (t->mail)
		buf_putz(out, " mail:1");
	if (t->rcpts)
		buf_putf(out, " rcpt:%u", t->rcpts);
	buf_putz(out, " > ");
}

static void
warn_mail(const struct track *t, const struct typed *typed, struct buf *out)
{
	if (!t->hello)
		buf_putf(out,
		    "%s was skipped; many servers answer 503 (RFC 5321 4.1.4). Some do without.\n",
		    t->lmtp ? "LHLO" : "EHLO");
	if (t->mail)
		buf_putz(out,
		    "MAIL was accepted already; a second one gets 503. RSET starts again, "
		    "/redo with an edited envelope.\n");
	if (typed->address.p && !utf8_is_ascii(typed->address) && t->extended &&
	    !caps_have(&t->caps, CAPS_SMTPUTF8))
		buf_putz(out,
		    "The address is not ASCII, and SMTPUTF8 was not offered (RFC 6531).\n");
}

static void
warn_param(const struct track *t, const struct typed *typed, struct buf *out)
{
	static const struct {
		const char *param;
		enum caps_bit bit;
		const char *name;
	} needs[] = {
		{ "SIZE", CAPS_SIZE, "SIZE" },
		{ "BODY", CAPS_8BITMIME, "8BITMIME" },
		{ "SMTPUTF8", CAPS_SMTPUTF8, "SMTPUTF8" },
		{ "RET", CAPS_DSN, "DSN" },
		{ "ENVID", CAPS_DSN, "DSN" },
		{ "NOTIFY", CAPS_DSN, "DSN" },
		{ "ORCPT", CAPS_DSN, "DSN" },
		{ "BY", CAPS_DELIVERBY, "DELIVERBY" },
		{ "REQUIRETLS", CAPS_REQUIRETLS, "REQUIRETLS" },
	};
	struct str rest = typed->params, word;
	while ((word = str_word(&rest)).len) {
		struct str key = str_first(word, str_find(word, '='));
		for (size_t i = 0; i < ARRAY_LEN(needs); i++)
			if (str_ieq(key, str_of(needs[i].param)) &&
			    !caps_have(&t->caps, needs[i].bit))
				buf_putf(out, "%s was not offered, so %s may be refused (555).\n",
				    needs[i].name, needs[i].param);
	}
}

static void
warn_capability(const struct track *t, enum caps_bit bit, const char *name, struct buf *out)
{
	if (t->extended && !caps_have(&t->caps, bit))
		buf_putf(out, "The server did not list %s. Some know it all the same.\n", name);
}

void
track_warn(const struct track *t, const struct typed *typed, struct buf *out)
{
	switch (typed->verb) {
	case TYPED_MAIL:
		warn_mail(t, typed, out);
		if (t->extended)
			warn_param(t, typed, out);
		break;
	case TYPED_RCPT:
		if (!t->mail)
			buf_putz(out, "RCPT comes behind MAIL; without it the answer is 503.\n");
		if (t->extended)
			warn_param(t, typed, out);
		break;
	case TYPED_DATA:
		if (t->mail && t->rcpts == 0)
			buf_putz(out, "No recipient was accepted; DATA gets 503 or 554.\n");
		if (!t->mail)
			buf_putz(out, "DATA comes behind MAIL and RCPT; without them it is 503.\n");
		break;
	case TYPED_BDAT:
		warn_capability(t, CAPS_CHUNKING, "CHUNKING", out);
		break;
	case TYPED_AUTH:
		if (t->authenticated)
			buf_putz(out,
			    "AUTH succeeded already; a second one gets 503 (RFC 4954 4).\n");
		if (t->mail)
			buf_putz(out,
			    "AUTH is not permitted during a mail transaction (RFC 4954 4).\n");
		warn_capability(t, CAPS_AUTH, "AUTH", out);
		break;
	case TYPED_STARTTLS:
		if (t->tls)
			buf_putz(out, "TLS is on already.\n");
		else
			warn_capability(t, CAPS_STARTTLS, "STARTTLS", out);
		break;
	case TYPED_EHLO:
	case TYPED_HELO:
		if (t->lmtp)
			buf_putz(out, "LMTP says LHLO instead (RFC 2033 4.1).\n");
		if (t->mail)
			buf_putz(out,
			    "This ends the transaction, as RSET does (RFC 5321 4.1.4).\n");
		break;
	case TYPED_LHLO:
		if (!t->lmtp)
			buf_putz(out, "LHLO is LMTP's; SMTP says EHLO.\n");
		break;
	case TYPED_OTHER:
	case TYPED_RSET:
	case TYPED_QUIT:
	case TYPED_NOOP:
	case TYPED_HELP:
	case TYPED_VRFY:
	case TYPED_EXPN:
	case TYPED_ATRN:
	case TYPED_VERBS:
		break;
	}
}

/* What a 334 asks: its text is base64, and may decode to rubbish (003 l.44). */
static void
teach_challenge(const struct track *t, struct buf *out)
{
	struct buf plain = BUF_INIT(4096), shown = BUF_INIT(16384);
	struct str text = buf_str(&t->answer.text);
	bool login = str_ieq(str_of(t->auth_mech), STR("LOGIN"));
	text = str_trim(str_first(text, str_find(text, '\n')));
	if (text.len && base64_dec(&plain, text) && utf8_valid(buf_str(&plain)))
		utf8_escape(&shown, buf_str(&plain));
	if (shown.len)
		buf_putf(out, "The server asks: " STR_FMT ".", STR_ARG(buf_str(&shown)));
	else
		buf_putz(out, "The server waits for an answer.");
	if (login)
		buf_putf(out, " Of LOGIN's two answers this is the %s",
		    t->auth_nth == 0 ? "first: the user name" : "second: the password");
	else
		buf_putz(out, " Answer");
	buf_putz(out, ", in base64; * cancels.\n");
	buf_done(&plain);
	buf_done(&shown);
}

static void
teach_hello(const struct track *t, struct buf *out)
{
	struct str first = str_of(t->greeted_as), now = str_of(t->caps.greets);
	struct buf shown = BUF_INIT(2048);
	/* Some only say "Hello" where their name belongs (002 l.19). */
	if (now.len && str_find(first, '.') < first.len && !str_ieq(first, now) &&
	    !str_ieq(now, STR("Hello"))) {
		utf8_escape(&shown, now);
		buf_putf(out,
		    "It calls itself " STR_FMT
		    " here, not as in its greeting; that is allowed (RFC 5321 4.1.1.1).\n",
		    STR_ARG(buf_str(&shown)));
	}
	buf_done(&shown);
}

void
track_teach(const struct track *t, struct buf *out)
{
	const struct track_sent *s = &t->done;
	bool good = answer_good(&t->answer);
	if (t->answer.mixed)
		buf_putz(out, "The lines of this reply have different codes; the last one counts "
			      "(RFC 5321 4.2.1).\n");
	if (t->phase == TRACK_AUTH && t->answer.code == 334)
		teach_challenge(t, out);
	if (s->kind != TRACK_COMMAND)
		return;
	if (s->verb == TYPED_RCPT && good && t->rcpts == 2)
		buf_putz(out,
		    "2 recipients now: RCPT adds, it does not replace. /redo starts again "
		    "with an edited envelope.\n");
	if (s->verb == TYPED_EHLO && good)
		teach_hello(t, out);
	if (s->verb == TYPED_EHLO && t->answer.code >= 500)
		buf_putz(out, "EHLO is refused; HELO is the older form that every server knows.\n");
	if (s->verb == TYPED_STARTTLS && !good && t->answer.code)
		buf_putz(out, caps_have(&t->caps, CAPS_STARTTLS)
				  ? "TLS was advertised and refused.\n"
				  : "TLS was not advertised, and is refused.\n");
	if (t->phase == TRACK_TURNED)
		buf_putz(out, "The roles turn (RFC 2645): you are the server now, and the other "
			      "side waits for "
			      "your 220.\nThen 250 answers EHLO, MAIL and RCPT, 354 DATA, 250 the "
			      "dot behind the "
			      "letter, 221 QUIT.\n");
}
