/* Certificates whose keys are elsewhere, by name. */
#include "base/check.h"
#include "base/map.h"
#include "tls/tls_priv.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { CERT_EC, CERT_RSA, CERT_KINDS }; /* in the order of preference */

struct cert {
	X509 *x;
	STACK_OF(X509) * chain; /* without x */
	EVP_PKEY *key;          /* of our provider */
	unsigned char key_name[TLS_KEY_NAME];
};

/* What is used for one name: at most one of each kind. */
struct cert_set {
	const struct cert *of[CERT_KINDS];
};

struct tls_certs {
	unsigned refs;
	struct cert **all;
	size_t n;
	struct map names; /* lower case -> struct cert_set */
	struct cert_set first;
};

struct tls_certs *
tls_certs_new(void)
{
	struct tls_certs *c = xalloc(sizeof(*c));

	c->refs = 1;
	return c;
}

struct tls_certs *
tls_certs_ref(struct tls_certs *c)
{
	c->refs++;
	return c;
}

static void
cert_free(struct cert *cert)
{
	X509_free(cert->x);
	sk_X509_pop_free(cert->chain, X509_free);
	EVP_PKEY_free(cert->key);
	free(cert);
}

struct tls_certs *
tls_certs_unref(struct tls_certs *c)
{
	struct str name;
	size_t pos = 0;
	void *set;

	if (!c || --c->refs > 0)
		return NULL;
	while (map_next(&c->names, &pos, &name, &set))
		free(set);
	map_done(&c->names);
	for (size_t i = 0; i < c->n; i++)
		cert_free(c->all[i]);
	free(c->all);
	free(c);
	return NULL;
}

size_t
tls_certs_count(const struct tls_certs *c)
{
	return c->n;
}

static int
kind_of(const struct cert *cert)
{
	return EVP_PKEY_is_a(cert->key, "RSA") ? CERT_RSA : CERT_EC;
}

struct adding {
	struct tls_certs *c;
	const struct cert *cert;
	int kind;
	bool is_first;
};

/* The certificate that came first keeps its place. */
static bool
add_name(void *arg, const char *name)
{
	struct adding *a = arg;
	struct str key = str_of(name);
	struct cert_set *set = map_get(&a->c->names, key);

	if (!set) {
		set = xalloc(sizeof(*set));
		map_put(&a->c->names, key, set);
	}
	if (!set->of[a->kind])
		set->of[a->kind] = a->cert;
	/* A sister of the default one serves its strangers too. */
	if (set->of[!a->kind] == a->c->all[0] && !a->c->first.of[a->kind])
		a->c->first.of[a->kind] = a->cert;
	return true;
}

/* What a handshake will do with it, tried once: too weak a signature shows now. */
static bool
try_cert(const struct cert *cert, struct buf *err)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(tls_lib, TLS_PROPS, TLS_server_method());

	check(ctx);
	bool ok = SSL_CTX_use_cert_and_key(ctx, cert->x, cert->key, cert->chain, 1) == 1;
	if (!ok)
		buf_putf(err, "the certificate cannot be used: %s", tls_reason());
	SSL_CTX_free(ctx);
	return ok;
}

static struct cert *
cert_new(STACK_OF(X509) * chain, struct buf *err)
{
	struct cert *cert = xalloc(sizeof(*cert));
	char type[32];

	cert->x = sk_X509_shift(chain);
	cert->chain = chain;
	EVP_PKEY *pub = X509_get0_pubkey(cert->x);
	bool ok = false;
	if (!pub)
		buf_putz(err, "a certificate whose key cannot be read");
	else if (tls_public_check(pub, type, err)) {
		cert->key = tls_provider_key(cert->x);
		if (!cert->key)
			buf_putf(err, "the certificate's key cannot be used: %s", tls_reason());
		ok = cert->key && tls_public_name(pub, cert->key_name) && try_cert(cert, err);
	}
	if (ok)
		return cert;
	cert_free(cert);
	return NULL;
}

bool
tls_certs_add(struct tls_certs *c, struct str pem, struct buf *err)
{
	if (c->n == TLS_CERTS_MAX || pem.len > TLS_CHAIN_MAX) {
		buf_putf(err, "%u certificates of %u octets are the most", TLS_CERTS_MAX,
		    TLS_CHAIN_MAX);
		return false;
	}
	STACK_OF(X509) *chain = tls_pem_certs(pem, err);
	struct cert *cert = chain ? cert_new(chain, err) : NULL;
	if (!cert)
		return false;
	c->all = xrealloc(c->all, (c->n + 1) * sizeof(struct cert *));
	c->all[c->n++] = cert;
	struct adding a = { .c = c, .cert = cert, .kind = kind_of(cert) };
	if (c->n == 1)
		c->first.of[a.kind] = cert;
	tls_cert_names(cert->x, add_name, &a);
	return true;
}

static const struct cert_set *
find(const struct tls_certs *c, const char *name)
{
	char lower[256] = "*";
	size_t i;

	for (i = 0; name && name[i] && i < sizeof(lower) - 2; i++)
		lower[i + 1] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
	struct str all = str_n(lower + 1, name && !name[i] ? i : 0);
	if (str_ends(all, STR(".")))
		all.len--;
	const struct cert_set *set = all.len ? map_get(&c->names, all) : NULL;
	size_t dot = str_find(all, '.');
	if (set || dot == 0 || dot == all.len)
		return set ? set : &c->first;
	/* RFC 6125 6.4.3: one label, the leftmost. */
	lower[dot] = '*';
	set = map_get(&c->names, str_n(lower + dot, all.len - dot + 1));
	return set ? set : &c->first;
}

bool
tls_certs_know(const struct tls_certs *c, const char *name)
{
	return find(c, name) != &c->first;
}

bool
tls_certs_is_for(const struct tls_certs *c, const char *name, const unsigned char key[TLS_KEY_NAME])
{
	const struct cert_set *set = find(c, name);
	bool is = false;

	for (int i = 0; i < CERT_KINDS && set != &c->first; i++)
		is |= set->of[i] && memcmp(set->of[i]->key_name, key, TLS_KEY_NAME) == 0;
	return is;
}

bool
tls_certs_use(const struct tls_certs *c, const char *name, SSL *ssl)
{
	const struct cert_set *set = find(c, name);
	bool any = false;

	SSL_certs_clear(ssl);
	for (int i = 0; i < CERT_KINDS; i++) {
		const struct cert *cert = set->of[i];
		if (cert && SSL_use_cert_and_key(ssl, cert->x, cert->key, cert->chain, 1) == 1)
			any = true;
	}
	ERR_clear_error();
	return any;
}
