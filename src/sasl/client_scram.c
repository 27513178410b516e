/* SCRAM (RFC 5802, RFC 7677), with and without -PLUS (RFC 9266, RFC 5929). */
#include "sasl/client_priv.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/num.h"
#include "sasl/sasl_priv.h"

#include <sys/random.h>
#include <unistd.h>

enum { SCRAM_BEGUN, SCRAM_FIRST, SCRAM_FINAL, SCRAM_PROVED };

#define NONCE_OCTETS 24

static enum crypt_hash
hash_of(const struct sasl_client *c)
{
	return str_starts(str_of(c->mech->name), STR("SCRAM-SHA-256")) ? CRYPT_SHA256 : CRYPT_SHA1;
}

/* "p=tls-exporter,", "y," or "n,", and then what it binds to. */
static struct str
put_flag(struct sasl_client *c)
{
	const struct sasl_binding *b = &c->conf.binding;
	if (!c->mech->binds) {
		buf_putz(&c->header, c->conf.plus_missing ? "y," : "n,");
		return STR_NULL;
	}
	if (b->exporter.len) {
		buf_putz(&c->header, "p=tls-exporter,");
		return b->exporter;
	}
	buf_putz(&c->header, b->endpoint.len ? "p=tls-server-end-point," : "p=tls-unique,");
	return b->endpoint.len ? b->endpoint : b->unique;
}

static void
put_name(struct buf *out, struct str name)
{
	struct buf prepared = BUF_INIT(SASL_NAME_MAX * 2);
	sasl_scram_prepare(&prepared, name);
	for (size_t i = 0; i < prepared.len; i++) {
		char ch = prepared.p[i];
		if (ch == ',' || ch == '=')
			buf_putz(out, ch == ',' ? "=2C" : "=3D");
		else
			buf_putc(out, ch);
	}
	buf_done(&prepared);
}

static void
make_nonce(struct sasl_client *c)
{
	unsigned char octets[NONCE_OCTETS];
	struct buf b = BUF_INIT(sizeof(c->nonce));
	check(getentropy(octets, sizeof(octets)) == 0);
	base64_enc(&b, str_n(octets, sizeof(octets)));
	check(str_copy(c->nonce, sizeof(c->nonce), buf_str(&b)));
	buf_done(&b);
}

static enum sasl_client_status
scram_begin(struct sasl_client *c)
{
	make_nonce(c);
	struct str bound = put_flag(c);
	if (c->conf.authzid.len) {
		buf_putz(&c->header, "a=");
		put_name(&c->header, c->conf.authzid);
	}
	buf_putc(&c->header, ',');
	buf_puts(&c->out, buf_str(&c->header));
	buf_puts(&c->header, bound);
	buf_putz(&c->first, "n=");
	put_name(&c->first, c->conf.user);
	buf_putf(&c->first, ",r=%s", c->nonce);
	buf_puts(&c->out, buf_str(&c->first));
	c->state = SCRAM_FIRST;
	return sasl_client_send(c, "<user name and nonce, base64>");
}

/* The value of "X=value"; p NULL: it is another attribute. */
static struct str
attribute(struct str s, char letter)
{
	bool is = s.len >= 2 && s.p[0] == letter && s.p[1] == '=';
	return is ? str_skip(s, 2) : STR_NULL;
}

/* ClientProof, and the ServerSignature that we shall see. */
static void
prove(struct sasl_client *c, struct str salt, uint32_t rounds, struct buf *proof)
{
	enum crypt_hash h = hash_of(c);
	size_t n = crypt_hash_size(h);
	unsigned char salted[CRYPT_DIGEST_MAX], key[CRYPT_DIGEST_MAX], stored[CRYPT_DIGEST_MAX];
	unsigned char signature[CRYPT_DIGEST_MAX];
	struct buf password = BUF_INIT(SASL_MESSAGE_MAX * 2);
	sasl_scram_prepare(&password, c->conf.secret);
	crypt_pbkdf2(h, buf_str(&password), salt, rounds, salted, n);
	crypt_hmac(h, str_n(salted, n), STR("Client Key"), key);
	crypt_digest(h, str_n(key, n), stored);
	crypt_hmac(h, str_n(stored, n), buf_str(&c->first), signature);
	for (size_t i = 0; i < n; i++)
		key[i] ^= signature[i];
	base64_enc(proof, str_n(key, n));
	crypt_hmac(h, str_n(salted, n), STR("Server Key"), key);
	crypt_hmac(h, str_n(key, n), buf_str(&c->first), c->server_signature);
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(key, sizeof(key));
	explicit_bzero(stored, sizeof(stored));
	buf_wipe(&password);
	buf_done(&password);
}

static enum sasl_client_status
first_answer(struct sasl_client *c, struct str challenge)
{
	struct str left = challenge;
	struct str nonce = attribute(str_cut(&left, ','), 'r');
	struct str salt64 = attribute(str_cut(&left, ','), 's');
	struct str count = attribute(str_cut(&left, ','), 'i');
	struct buf salt = BUF_INIT(1024), final = BUF_INIT(SASL_MESSAGE_MAX * 2);
	uint64_t rounds = 0;
	bool good =
	    num_u64(count, UINT32_MAX, &rounds) && base64_dec(&salt, salt64) && salt.len > 0;
	enum sasl_client_status status = SASL_CLIENT_SEND;
	if (!good || !nonce.p) {
		status = sasl_client_fail(c, "the server's first message of %s is malformed",
		    c->mech->name);
	} else if (nonce.len <= strlen(c->nonce) || !str_starts(nonce, str_of(c->nonce))) {
		status =
		    sasl_client_fail(c, "the server did not take our nonce over: this is a replay");
	} else if (rounds < SASL_SCRAM_ROUNDS || rounds > SASL_SCRAM_ROUNDS_MAX) {
		/* So few that the password can be guessed from what we would send; so many that we
		 * would be busy for long. */
		status = sasl_client_fail(c, "the server wants %llu rounds; %u to %u are sensible",
		    (unsigned long long)rounds, SASL_SCRAM_ROUNDS, SASL_SCRAM_ROUNDS_MAX);
	} else {
		buf_putz(&final, "c=");
		base64_enc(&final, buf_str(&c->header));
		buf_putz(&final, ",r=");
		buf_puts(&final, nonce);
		/* AuthMessage */
		buf_putc(&c->first, ',');
		buf_puts(&c->first, challenge);
		buf_putc(&c->first, ',');
		buf_puts(&c->first, buf_str(&final));
		buf_puts(&c->out, buf_str(&final));
		buf_putz(&c->out, ",p=");
		prove(c, buf_str(&salt), (uint32_t)rounds, &c->out);
		c->state = SCRAM_FINAL;
		if (final.failed || c->first.failed)
			status = sasl_client_fail(c, "the server's first message is too long");
		else
			status = sasl_client_send(c, "<proof, base64>");
	}
	buf_done(&salt);
	buf_done(&final);
	return status;
}

static enum sasl_client_status
final_answer(struct sasl_client *c, struct str challenge)
{
	struct str left = challenge, first = str_cut(&left, ',');
	struct str error = attribute(first, 'e'), signature = attribute(first, 'v');
	struct buf b = BUF_INIT(256);
	size_t n = crypt_hash_size(hash_of(c));
	c->state = SCRAM_PROVED;
	if (error.p)
		return sasl_client_send(c, "<nothing more>"); /* its refusal comes next */
	bool same =
	    base64_dec(&b, signature) && crypt_equal(buf_str(&b), str_n(c->server_signature, n));
	buf_done(&b);
	if (!same)
		return sasl_client_fail(c,
		    "the server does not know the password: it is another one "
		    "than you think");
	c->proved = true;
	return sasl_client_send(c, "<nothing more>");
}

static enum sasl_client_status
scram_answer(struct sasl_client *c, struct str challenge)
{
	if (c->state == SCRAM_FIRST)
		return first_answer(c, challenge);
	if (c->state == SCRAM_FINAL)
		return final_answer(c, challenge);
	return sasl_client_fail(c, "the server asks for more than %s has", c->mech->name);
}

const struct sasl_client_kind sasl_client_scram = { true, scram_begin, scram_answer, NULL, NULL };
