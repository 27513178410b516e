#include "base/base64.h"
#include "base/num.h"
#include "base/utf8.h"
#include "sasl/sasl_priv.h"

#include <string.h>

#define TEXT_MAX 512

static const struct {
	enum crypt_hash hash;
	struct str name;
} schemes[] = {
	{ CRYPT_SHA1, { "SCRAM-SHA-1", 11 } },
	{ CRYPT_SHA256, { "SCRAM-SHA-256", 13 } },
};

/* RFC 3454 C.1.2 and B.1, as ranges of code points. */
static const struct {
	uint32_t first, last;
	bool blank; /* becomes a blank; else nothing */
} maps[] = {
	{ 0x00a0, 0x00a0, true },
	{ 0x00ad, 0x00ad, false },
	{ 0x034f, 0x034f, false },
	{ 0x1680, 0x1680, true },
	{ 0x1806, 0x1806, false },
	{ 0x180b, 0x180d, false },
	{ 0x2000, 0x200b, true },
	{ 0x200c, 0x200d, false },
	{ 0x202f, 0x202f, true },
	{ 0x205f, 0x205f, true },
	{ 0x2060, 0x2060, false },
	{ 0x3000, 0x3000, true },
	{ 0xfe00, 0xfe0f, false },
	{ 0xfeff, 0xfeff, false },
};

/* The code point of valid UTF-8 at p, and its octets. */
static size_t
decode(const char *p, uint32_t *ret)
{
	unsigned char c = (unsigned char)p[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	uint32_t v = n == 1 ? c : c & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		v = v << 6 | ((unsigned char)p[i] & 0x3f);
	*ret = v;
	return n;
}

void
sasl_scram_prepare(struct buf *out, struct str in)
{
	if (utf8_is_ascii(in) || !utf8_valid(in)) {
		buf_puts(out, in);
		return;
	}
	buf_reserve(out, in.len);
	for (size_t i = 0, n; i < in.len; i += n) {
		uint32_t v;
		size_t k = 0;
		n = decode(in.p + i, &v);
		while (k < ARRAY_LEN(maps) && (v < maps[k].first || v > maps[k].last))
			k++;
		if (k == ARRAY_LEN(maps))
			buf_put(out, in.p + i, n);
		else if (maps[k].blank)
			buf_putc(out, ' ');
	}
}

void
sasl_scram_make(enum crypt_hash h, struct str password, struct str salt, uint32_t rounds,
    struct sasl_scram *ret)
{
	unsigned char salted[CRYPT_DIGEST_MAX], client[CRYPT_DIGEST_MAX];
	size_t n = crypt_hash_size(h);
	struct buf prepared = BUF_INIT(password.len + 1);
	check(salt.len >= 1 && salt.len <= SASL_SALT_MAX && rounds >= 1);
	sasl_scram_prepare(&prepared, password);
	check(!prepared.failed);
	password = buf_str(&prepared);
	/* RFC 5802 3 */
	*ret = (struct sasl_scram){ .hash = h, .rounds = rounds, .salt_len = salt.len };
	memcpy(ret->salt, salt.p, salt.len);
	crypt_pbkdf2(h, password, salt, rounds, salted, n);
	crypt_hmac(h, str_n(salted, n), STR("Client Key"), client);
	crypt_digest(h, str_n(client, n), ret->stored_key);
	crypt_hmac(h, str_n(salted, n), STR("Server Key"), ret->server_key);
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	buf_wipe(&prepared);
	buf_done(&prepared);
}

void
sasl_scram_made_up(enum crypt_hash h, struct str secret, struct str name, struct sasl_scram *ret)
{
	unsigned char seed[CRYPT_DIGEST_MAX], out[CRYPT_DIGEST_MAX];
	struct str key = str_n(seed, crypt_hash_size(CRYPT_SHA256));
	crypt_hmac(CRYPT_SHA256, secret, name, seed);
	*ret = (struct sasl_scram){
		.hash = h, .rounds = SASL_SCRAM_ROUNDS, .salt_len = SASL_SCRAM_SALT
	};
	crypt_hmac(h, key, STR("salt"), out);
	memcpy(ret->salt, out, SASL_SCRAM_SALT);
	crypt_hmac(h, key, STR("stored key"), ret->stored_key);
	crypt_hmac(h, key, STR("server key"), ret->server_key);
	explicit_bzero(seed, sizeof(seed));
}

void
sasl_scram_put(struct buf *b, const struct sasl_scram *s)
{
	size_t n = crypt_hash_size(s->hash);
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (schemes[i].hash == s->hash)
			buf_puts(b, schemes[i].name);
	buf_putf(b, "$%u:", s->rounds);
	base64_enc(b, str_n(s->salt, s->salt_len));
	buf_putc(b, '$');
	base64_enc(b, str_n(s->stored_key, n));
	buf_putc(b, ':');
	base64_enc(b, str_n(s->server_key, n));
}

/* base64 of at least `least` octets and at most `most`. */
static bool
get_octets(struct str in, size_t least, size_t most, unsigned char *ret, size_t *ret_n)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	bool ok = base64_dec(&b, in) && b.len >= least && b.len <= most;
	if (ok) {
		memcpy(ret, b.p, b.len);
		*ret_n = b.len;
	}
	buf_wipe(&b);
	buf_done(&b);
	return ok;
}

bool
sasl_scram_get(struct str text, struct sasl_scram *ret)
{
	struct sasl_scram s = { .hash = CRYPT_HASH_COUNT };
	struct str left = text;
	uint64_t rounds;
	struct str scheme = str_cut(&left, '$');
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (str_eq(scheme, schemes[i].name))
			s.hash = schemes[i].hash;
	if (s.hash == CRYPT_HASH_COUNT || text.len > TEXT_MAX)
		return false;
	size_t n = crypt_hash_size(s.hash), got;
	struct str salt = str_cut(&left, '$'), server = left;
	struct str count = str_cut(&salt, ':'), stored = str_cut(&server, ':');
	if (!num_u64(count, SASL_SCRAM_ROUNDS_MAX, &rounds) || rounds < SASL_SCRAM_ROUNDS)
		return false;
	s.rounds = (uint32_t)rounds;
	if (!get_octets(salt, 1, SASL_SALT_MAX, s.salt, &s.salt_len) ||
	    !get_octets(stored, n, n, s.stored_key, &got) ||
	    !get_octets(server, n, n, s.server_key, &got))
		return false;
	*ret = s;
	return true;
}
