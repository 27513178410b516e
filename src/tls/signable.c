#include "base/check.h"
#include "tls/tls.h"

#define SPACES 64  /* RFC 8446 4.4.3 */
#define CONTEXT 34 /* octets of its string, with the zero octet */
#define RANDOMS 64 /* the client's and the server's, 32 each */
#define NAMED_CURVE 3
#define UNCOMPRESSED 4

/* The groups that the server offers (tls/server.c) and the size of a public value. */
static const struct {
	unsigned id, len;
	bool point; /* begins with the mark of an uncompressed point */
} groups[] = {
	{ 23, 65, true },  /* secp256r1 */
	{ 24, 97, true },  /* secp384r1 */
	{ 25, 133, true }, /* secp521r1 */
	{ 29, 32, false }, /* x25519 */
};

/* RFC 8446 4.4.3: spaces, the context string, a zero octet, the transcript's hash. */
static bool
is_certificate_verify(struct str tbs, const char context[CONTEXT])
{
	size_t head = SPACES + CONTEXT;

	if (tbs.len != head + 32 && tbs.len != head + 48)
		return false;
	for (size_t i = 0; i < SPACES; i++)
		if (tbs.p[i] != ' ')
			return false;
	return memcmp(tbs.p + SPACES, context, CONTEXT) == 0;
}

/* RFC 8422 5.4: the randoms, then curve type, curve, and the point behind its length. */
static bool
is_key_exchange(struct str tbs)
{
	const unsigned char *p = (const unsigned char *)tbs.p + RANDOMS;

	if (tbs.len < RANDOMS + 4 || p[0] != NAMED_CURVE)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (groups[i].id != (unsigned)(p[1] << 8 | p[2]))
			continue;
		return p[3] == groups[i].len && tbs.len == RANDOMS + 4 + groups[i].len &&
		       (!groups[i].point || p[4] == UNCOMPRESSED);
	}
	return false;
}

bool
tls_signable(struct str tbs)
{
	return is_certificate_verify(tbs, "TLS 1.3, server CertificateVerify") ||
	       is_key_exchange(tbs);
}

bool
tls_signable_by_client(struct str tbs)
{
	return is_certificate_verify(tbs, "TLS 1.3, client CertificateVerify");
}
