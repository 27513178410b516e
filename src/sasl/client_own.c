/* The mechanisms of one or two plain messages. */
#include "sasl/client_priv.h"

#define NAME_AND_PASSWORD "<user name and password hidden>"

static enum sasl_client_status
too_much(struct sasl_client *c, struct str challenge)
{
	return sasl_client_fail(c, "the server asks for more than %s has", c->mech->name);
}

/* RFC 4616 */
static enum sasl_client_status
plain_begin(struct sasl_client *c)
{
	buf_puts(&c->out, c->conf.authzid);
	buf_putc(&c->out, '\0');
	buf_puts(&c->out, c->conf.user);
	buf_putc(&c->out, '\0');
	buf_puts(&c->out, c->conf.secret);
	return sasl_client_send(c, NAME_AND_PASSWORD);
}

/* draft-murchison-sasl-login: by order, for the prompts may say anything. */
static enum sasl_client_status
login_answer(struct sasl_client *c, struct str challenge)
{
	switch (c->state++) {
	case 0:
		buf_puts(&c->out, c->conf.user);
		return sasl_client_send(c, "<user name, base64>");
	case 1:
		buf_puts(&c->out, c->conf.secret);
		return sasl_client_send(c, "<password hidden>");
	default:
		return too_much(c, challenge);
	}
}

/* RFC 4422 A */
static enum sasl_client_status
external_begin(struct sasl_client *c)
{
	buf_puts(&c->out, c->conf.authzid);
	return sasl_client_send(c, c->conf.authzid.len ? "<identity, base64>" : "=");
}

static void
put_saslname(struct buf *out, struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] == ',')
			buf_putz(out, "=2C");
		else if (name.p[i] == '=')
			buf_putz(out, "=3D");
		else
			buf_putc(out, name.p[i]);
	}
}

/* RFC 7628 3.1 */
static enum sasl_client_status
oauthbearer_begin(struct sasl_client *c)
{
	struct str name = c->conf.authzid.len ? c->conf.authzid : c->conf.user;
	buf_putz(&c->out, name.len ? "n,a=" : "n,");
	put_saslname(&c->out, name);
	buf_putz(&c->out, ",\1");
	if (c->conf.host[0])
		buf_putf(&c->out, "host=%s\1", c->conf.host);
	if (c->conf.port)
		buf_putf(&c->out, "port=%u\1", c->conf.port);
	buf_putz(&c->out, "auth=Bearer ");
	buf_puts(&c->out, c->conf.secret);
	buf_putz(&c->out, "\1\1");
	return sasl_client_send(c, "<token hidden>");
}

static enum sasl_client_status
xoauth2_begin(struct sasl_client *c)
{
	buf_putz(&c->out, "user=");
	buf_puts(&c->out, c->conf.user);
	buf_putz(&c->out, "\1auth=Bearer ");
	buf_puts(&c->out, c->conf.secret);
	buf_putz(&c->out, "\1\1");
	return sasl_client_send(c, "<user name and token hidden>");
}

/* The server says in JSON what is wrong with the token, and refuses it once we have answered
 * (RFC 7628 3.2.3). */
static enum sasl_client_status
oauth_answer(struct sasl_client *c, struct str challenge)
{
	if (c->state++ > 0)
		return too_much(c, challenge);
	if (c->kind == &sasl_client_oauthbearer)
		buf_putc(&c->out, '\1');
	return sasl_client_send(c, "<nothing more>");
}

/* RFC 2195 */
static enum sasl_client_status
cram_answer(struct sasl_client *c, struct str challenge)
{
	unsigned char digest[CRYPT_DIGEST_MAX];
	if (c->state++ > 0)
		return too_much(c, challenge);
	if (challenge.len == 0)
		return sasl_client_fail(c, "the server's challenge of CRAM-MD5 is empty");
	crypt_hmac(CRYPT_MD5, c->conf.secret, challenge, digest);
	buf_puts(&c->out, c->conf.user);
	buf_putc(&c->out, ' ');
	for (size_t i = 0; i < crypt_hash_size(CRYPT_MD5); i++)
		buf_putf(&c->out, "%02x", digest[i]);
	return sasl_client_send(c, "<user name and digest, base64>");
}

const struct sasl_client_kind sasl_client_plain = { true, plain_begin, too_much, NULL, NULL };
const struct sasl_client_kind sasl_client_login = { false, NULL, login_answer, NULL, NULL };
const struct sasl_client_kind sasl_client_external = { true, external_begin, too_much, NULL, NULL };
const struct sasl_client_kind sasl_client_oauthbearer = { true, oauthbearer_begin, oauth_answer,
	NULL, NULL };
const struct sasl_client_kind sasl_client_xoauth2 = { true, xoauth2_begin, oauth_answer, NULL,
	NULL };
const struct sasl_client_kind sasl_client_cram = { false, NULL, cram_answer, NULL, NULL };
