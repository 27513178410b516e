#include "sasl/sasl_priv.h"

#include <string.h>

#define HEX_LEN 32
#define STAMP_MAX 1024

static bool
is_digest(struct str s)
{
	bool good = s.len == HEX_LEN;
	for (size_t i = 0; good && i < s.len; i++)
		good = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f');
	return good;
}

/* MD5 of the stamp and, right behind it, the secret (RFC 1939 7). */
static void
digest_of(struct str stamp, struct str secret, char hex[HEX_LEN])
{
	static const char digits[] = "0123456789abcdef";
	struct buf b = BUF_INIT(STAMP_MAX + SASL_PASSWORD_MAX);
	unsigned char sum[CRYPT_DIGEST_MAX];
	check(buf_reserve(&b, STAMP_MAX + SASL_PASSWORD_MAX - 1)); /* so that it never moves */
	buf_puts(&b, stamp);
	buf_puts(&b, secret);
	check(!b.failed);
	crypt_digest(CRYPT_MD5, buf_str(&b), sum);
	for (size_t i = 0; i < HEX_LEN / 2; i++) {
		hex[2 * i] = digits[sum[i] >> 4];
		hex[2 * i + 1] = digits[sum[i] & 15];
	}
	buf_wipe(&b);
	buf_done(&b);
	explicit_bzero(sum, sizeof(sum));
}

/* message = stamp NUL name NUL digest. Nobody's secret is hashed as somebody's is. */
static enum sasl_status
apop_step(struct sasl *s, const struct str *in)
{
	struct str left = *in;
	struct sasl_account a = { 0 };
	char hex[HEX_LEN];
	struct str stamp = str_cut(&left, '\0');
	struct str name = left.p ? str_cut(&left, '\0') : STR_NULL;
	if (!left.p || stamp.len == 0 || stamp.len >= STAMP_MAX || !is_digest(left) ||
	    !sasl_name_set(s->authcid, name))
		return SASL_MALFORMED;
	s->conf.lookup(s->conf.arg, name, &a);
	digest_of(stamp, str_of(a.secret), hex);
	bool same = crypt_equal(str_n(hex, HEX_LEN), left);
	bool good = same && a.known && a.secret[0] && sasl_name_set(s->authcid, str_of(a.name));
	explicit_bzero(&a, sizeof(a));
	explicit_bzero(hex, sizeof(hex));
	return good ? SASL_DONE : SASL_FAILED;
}

const struct sasl_kind sasl_kind_apop = { .step = apop_step };
