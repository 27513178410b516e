/* MAIL and RCPT with what the server offers of their parameters. */
#include "smtp/client_priv.h"

#include "base/check.h"

/* Can the parameter be sent, and shall it be? */
static bool
offered(const struct smtp_client *c, enum caps_bit bit, enum smtp_lacks lack)
{
	return c->esmtp && (caps_have(&c->caps, bit) || (c->envelope.anyway & lack));
}

/* RFC 3461 4 */
static void
put_xtext(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.p[i];
		if (ch > ' ' && ch < 0x7f && ch != '+' && ch != '=')
			buf_putc(b, (char)ch);
		else
			buf_put(b, (char[]){ '+', hex[ch >> 4], hex[ch & 15] }, 3);
	}
}

static void
put_coded(struct smtp_client *c, struct str s)
{
	if (c->envelope.xtext)
		buf_puts(&c->out, s);
	else
		put_xtext(&c->out, s);
}

static void
put_param(struct buf *b, const char *name, struct str value)
{
	if (value.len == 0)
		return;
	buf_putf(b, " %s=", name);
	buf_puts(b, value);
}

static void
put_dsn(struct smtp_client *c)
{
	const struct smtp_client_envelope *e = &c->envelope;
	put_param(&c->out, "RET", e->ret);
	if (e->envid.len) {
		buf_putz(&c->out, " ENVID=");
		put_coded(c, e->envid);
	}
}

static void
put_body(struct smtp_client *c)
{
	const struct smtp_client_envelope *e = &c->envelope;
	if (e->body == SMTP_BODY_BINARY && offered(c, CAPS_BINARYMIME, SMTP_LACKS_BINARYMIME))
		buf_putz(&c->out, " BODY=BINARYMIME");
	else if (e->body == SMTP_BODY_8BIT && offered(c, CAPS_8BITMIME, SMTP_LACKS_8BITMIME))
		buf_putz(&c->out, " BODY=8BITMIME");
	else if (e->body == SMTP_BODY_7BIT && offered(c, CAPS_8BITMIME, SMTP_LACKS_8BITMIME))
		buf_putz(&c->out, " BODY=7BIT");
}

void
client_put_mail(struct smtp_client *c)
{
	const struct smtp_client_envelope *e = &c->envelope;
	struct buf *out = &c->out;
	buf_putz(out, "MAIL FROM:<");
	buf_puts(out, e->from);
	buf_putc(out, '>');
	if (e->size && offered(c, CAPS_SIZE, SMTP_LACKS_SIZE))
		buf_putf(out, " SIZE=%llu", (unsigned long long)e->size);
	put_body(c);
	if (e->utf8 && offered(c, CAPS_SMTPUTF8, SMTP_LACKS_SMTPUTF8))
		buf_putz(out, " SMTPUTF8");
	if (offered(c, CAPS_DSN, SMTP_LACKS_DSN))
		put_dsn(c);
	if (offered(c, CAPS_DELIVERBY, SMTP_LACKS_DELIVERBY))
		put_param(out, "BY", e->by);
	if (offered(c, CAPS_FUTURERELEASE, SMTP_LACKS_FUTURERELEASE)) {
		put_param(out, "HOLDFOR", e->hold_for);
		put_param(out, "HOLDUNTIL", e->hold_until);
	}
	if (offered(c, CAPS_MT_PRIORITY, SMTP_LACKS_MT_PRIORITY))
		put_param(out, "MT-PRIORITY", e->priority);
	if (e->requiretls && offered(c, CAPS_REQUIRETLS, SMTP_LACKS_REQUIRETLS))
		buf_putz(out, " REQUIRETLS");
	if (e->auth.len && offered(c, CAPS_AUTH, SMTP_LACKS_AUTH)) {
		buf_putz(out, " AUTH=");
		if (str_eq(e->auth, STR("<>")))
			buf_puts(out, e->auth);
		else
			put_coded(c, e->auth);
	}
	if (e->verp && offered(c, CAPS_XVERP, SMTP_LACKS_XVERP))
		buf_putz(out, " XVERP");
	if (e->params.len)
		buf_putc(out, ' ');
	buf_puts(out, e->params);
	buf_putz(out, "\r\n");
}

void
client_put_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r)
{
	struct buf *out = &c->out;
	buf_putz(out, "RCPT TO:<");
	buf_puts(out, r->addr);
	buf_putc(out, '>');
	if (offered(c, CAPS_DSN, SMTP_LACKS_DSN)) {
		put_param(out, "NOTIFY", r->notify);
		struct str addr = r->orcpt, type = str_cut(&addr, ';');
		if (r->orcpt.len) {
			buf_putz(out, " ORCPT=");
			buf_puts(out, type);
			buf_putc(out, ';');
			put_coded(c, addr);
		}
	}
	if (r->params.len)
		buf_putc(out, ' ');
	buf_puts(out, r->params);
	buf_putz(out, "\r\n");
}

unsigned
smtp_client_lacks(const struct smtp_client *c, const struct smtp_client_envelope *e)
{
	bool dsn = e->ret.len || e->envid.len;
	for (size_t i = 0; !dsn && i < e->n_rcpts; i++)
		dsn = e->rcpts[i].notify.len || e->rcpts[i].orcpt.len;
	bool binary = e->body == SMTP_BODY_BINARY;
	const struct {
		bool wanted;
		enum caps_bit bit;
		enum smtp_lacks lack;
	} needs[] = {
		{ e->body == SMTP_BODY_8BIT, CAPS_8BITMIME, SMTP_LACKS_8BITMIME },
		{ binary, CAPS_BINARYMIME, SMTP_LACKS_BINARYMIME },
		{ binary, CAPS_CHUNKING, SMTP_LACKS_BINARYMIME },
		{ e->utf8, CAPS_SMTPUTF8, SMTP_LACKS_SMTPUTF8 },
		{ e->requiretls, CAPS_REQUIRETLS, SMTP_LACKS_REQUIRETLS },
		{ e->chunking, CAPS_CHUNKING, SMTP_LACKS_CHUNKING },
		{ dsn, CAPS_DSN, SMTP_LACKS_DSN },
		{ e->by.len > 0, CAPS_DELIVERBY, SMTP_LACKS_DELIVERBY },
		{ e->hold_for.len || e->hold_until.len, CAPS_FUTURERELEASE,
		    SMTP_LACKS_FUTURERELEASE },
		{ e->priority.len > 0, CAPS_MT_PRIORITY, SMTP_LACKS_MT_PRIORITY },
		{ e->verp, CAPS_XVERP, SMTP_LACKS_XVERP },
		{ e->auth.len > 0, CAPS_AUTH, SMTP_LACKS_AUTH },
	};
	unsigned lacks = 0;
	for (size_t i = 0; i < ARRAY_LEN(needs); i++)
		if (needs[i].wanted && !(c->esmtp && caps_have(&c->caps, needs[i].bit)))
			lacks |= needs[i].lack;
	if (e->requiretls && !c->secured)
		lacks |= SMTP_LACKS_REQUIRETLS;
	if (c->esmtp && c->caps.size && e->size > c->caps.size)
		lacks |= SMTP_LACKS_SIZE;
	return lacks;
}

/* An address in brackets: nothing in it may end them, or begin another command. */
static bool
path_clean(struct str s)
{
	bool quoted = false;
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.p[i];
		if (quoted && ch == '\\')
			i++;
		else if (ch == '"')
			quoted = !quoted;
		else if (!quoted && (ch == '<' || ch == '>' || ch == ' '))
			return false;
	}
	return !quoted && client_clean(s);
}

static bool
word_clean(struct str s)
{
	return client_clean(s) && str_find(s, ' ') == s.len;
}

bool
client_envelope_check(const struct smtp_client_envelope *e, struct buf *why)
{
	const struct str coded = e->xtext ? e->envid : STR_NULL,
			 auth = e->xtext ? e->auth : STR_NULL;
	const struct str words[] = { e->ret, e->by, e->hold_for, e->hold_until, e->priority, coded,
		auth };
	if (!path_clean(e->from)) {
		buf_putz(why,
		    "the sender's address has control characters, blanks or brackets in it");
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!word_clean(words[i])) {
			buf_putz(why, "a parameter of MAIL has blanks or control characters in it");
			return false;
		}
	if (!client_clean(e->params)) {
		buf_putz(why, "a parameter of MAIL has control characters in it");
		return false;
	}
	for (size_t i = 0; i < e->n_rcpts; i++) {
		const struct smtp_client_rcpt *r = &e->rcpts[i];
		struct str type = str_first(r->orcpt, str_find(r->orcpt, ';'));
		if (r->addr.len == 0 || !path_clean(r->addr)) {
			buf_putf(why,
			    "the address of recipient %zu is empty, or has control characters, "
			    "blanks or brackets in it",
			    i + 1);
			return false;
		}
		if (!word_clean(r->notify) || !client_clean(r->params) || !word_clean(type) ||
		    (e->xtext && !word_clean(r->orcpt))) {
			buf_putf(why,
			    "a parameter of recipient %zu has blanks or control characters "
			    "in it",
			    i + 1);
			return false;
		}
	}
	if (e->n_rcpts == 0)
		buf_putz(why, "there is no recipient");
	return e->n_rcpts > 0;
}
