/* --decode-auth: an AUTH exchange in the clear, but for what is secret in it. */
#include "base/base64.h"
#include "client/show_priv.h"

#include <stdio.h>

/* What may be shown of one answer; `secret` says of what is left out. */
static void
put_part(struct buf *b, const char *name, struct str value)
{
	buf_putf(b, "%s%s '", b->len ? ", " : "", name);
	buf_puts(b, value);
	buf_putc(b, '\'');
}

/* RFC 4616: authzid NUL authcid NUL passwd. */
static void
plain(const struct show *s, struct str text, struct buf *b)
{
	struct str authzid = str_cut(&text, '\0'), user = str_cut(&text, '\0');

	if (!text.p) {
		buf_putz(b, "not PLAIN: there must be two NUL octets in it");
		return;
	}
	if (authzid.len)
		put_part(b, "authorization identity", authzid);
	put_part(b, "user", user);
	if (s->show_secrets)
		put_part(b, "password", text);
	else
		buf_putf(b, ", password of %zu octets", text.len);
}

static void
cram(struct str text, struct buf *b)
{
	put_part(b, "user", str_first(text, str_rfind(text, ' ')));
	buf_putz(b, ", digest");
}

/* OAUTHBEARER and XOAUTH2: key=value parted by ^A (RFC 7628 3.1). */
static void
oauth(struct str text, struct buf *b)
{
	while (text.p) {
		struct str part = str_cut(&text, '\x01');
		size_t a = str_find_str(part, STR("a="));
		if (str_istarts(part, STR("user=")))
			put_part(b, "user", str_skip(part, 5));
		else if (str_istarts(part, STR("n,")) && a < part.len)
			put_part(b, "user", str_skip(part, a + 2));
		else if (str_istarts(part, STR("auth=")))
			buf_putz(b, b->len ? ", token" : "token");
	}
}

/* RFC 5802 5: attributes; p= is made of the password. */
static void
scram(struct str text, struct buf *b)
{
	while (text.p) {
		struct str part = str_cut(&text, ',');
		buf_putz(b, b->len ? "," : "");
		if (str_starts(part, STR("p=")) && b->len > 1)
			buf_putz(b, "p=<proof>");
		else
			buf_puts(b, part);
	}
}

static void
answer(const struct show *s, struct str text, struct buf *b)
{
	struct str mech = str_of(s->mech);

	if (str_eq(mech, STR("PLAIN")))
		plain(s, text, b);
	else if (str_eq(mech, STR("LOGIN")) && s->turn == 0)
		put_part(b, "user", text);
	else if (str_eq(mech, STR("LOGIN")) && s->show_secrets)
		put_part(b, "password", text);
	else if (str_eq(mech, STR("LOGIN")))
		buf_putf(b, "password of %zu octets", text.len);
	else if (str_eq(mech, STR("CRAM-MD5")))
		cram(text, b);
	else if (str_eq(mech, STR("XOAUTH2")) || str_eq(mech, STR("OAUTHBEARER")))
		oauth(text, b);
	else if (str_starts(mech, STR("SCRAM-")))
		scram(text, b);
	else
		buf_putf(b, "%zu octets", text.len);
}

static void
say(const struct show *s, struct buf *out, const char *who, struct buf *text)
{
	struct buf note = BUF_INIT(16384);

	buf_putf(&note, "%s: ", who);
	show_escape(&note, buf_str(text));
	if (!note.failed)
		show_note(s, out, buf_str(&note));
	buf_wipe(&note);
	buf_done(&note);
}

static void
decode_answer(struct show *s, struct buf *out, struct str base64)
{
	struct buf raw = BUF_INIT(16384), text = BUF_INIT(16384);

	if (str_eq(base64, STR("*")))
		buf_putz(&text, "cancels");
	else if (str_eq(base64, STR("=")))
		buf_putz(&text, "an empty answer");
	else if (base64_dec(&raw, base64))
		answer(s, buf_str(&raw), &text);
	else
		buf_putz(&text, "no base64");
	s->turn++;
	say(s, out, "decoded", &text);
	buf_wipe(&raw);
	buf_done(&raw);
	buf_wipe(&text);
	buf_done(&text);
}

void
show_auth_sent(struct show *s, struct buf *out, const struct event *e)
{
	struct str line = str_trim(e->octets), word = str_word(&line);

	if (*s->mech) {
		decode_answer(s, out, word);
		return;
	}
	if (str_ieq(word, STR("AUTH"))) {
		word = str_word(&line);
	} else {
		/* IMAP has a tag in front, and the verb in full. */
		word = str_word(&line);
		if (!str_ieq(word, STR("AUTHENTICATE")))
			return;
		word = str_word(&line);
	}
	if (!str_copy(s->mech, sizeof(s->mech), word))
		return;
	for (char *p = s->mech; *p; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
	s->turn = 0;
	word = str_word(&line);
	if (word.len)
		decode_answer(s, out, word);
}

/* A challenge goes on; anything else ends the exchange. */
void
show_auth_came(struct show *s, struct buf *out, const struct event *e)
{
	struct str line = str_trim(e->octets), word = str_word(&line);
	struct buf raw = BUF_INIT(16384);

	if (!*s->mech)
		return;
	if (!str_eq(word, STR("334")) && !str_starts(word, STR("334-")) &&
	    !str_eq(word, STR("+"))) {
		s->mech[0] = '\0';
		return;
	}
	line = str_trim(line);
	if (line.len && base64_dec(&raw, line))
		say(s, out, "decoded", &raw);
	buf_done(&raw);
}
