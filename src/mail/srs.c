#include "mail/srs.h"

#include "base/check.h"
#include "base/num.h"
#include "crypt/crypt.h"

#include <string.h>

#define HASH_LEN 6 /* digits of 5 bits */
#define DAY_LEN 2
#define DAYS 1024 /* what so many digits can tell apart */

static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int
digit_of(char c)
{
	const char *at = memchr(digits, lower(c), 32);
	return at ? (int)(at - digits) : -1;
}

/* --- keys --- */

static bool
read_key(struct str line, unsigned char ret[SRS_KEY_LEN])
{
	if (line.len != 2 * SRS_KEY_LEN)
		return false;
	for (size_t i = 0; i < SRS_KEY_LEN; i++) {
		uint64_t v;
		if (!num_hex(str_first(str_skip(line, 2 * i), 2), &v))
			return false;
		ret[i] = (unsigned char)v;
	}
	return true;
}

const char *
srs_keys_read(struct srs_keys *ret, struct str text)
{
	struct srs_keys k = { 0 };
	const char *wrong = NULL;
	while (text.len && !wrong) {
		struct str line = str_trim(str_cut(&text, '\n'));
		if (line.len == 0 || line.p[0] == '#')
			continue;
		if (k.n == SRS_KEYS_MAX)
			wrong = "more than 16 keys; take the oldest away, at the end";
		else if (!read_key(line, k.key[k.n++]))
			wrong = "a line that is no key of 64 hexadecimal digits";
	}
	if (!wrong && k.n == 0)
		wrong = "no key";
	if (!wrong)
		*ret = k;
	explicit_bzero(&k, sizeof(k));
	return wrong;
}

/* --- digests and days --- */

/* The parts stand apart by an octet that no address holds. */
static void
hash(const unsigned char key[SRS_KEY_LEN], struct str domain, struct str rest, char ret[HASH_LEN])
{
	unsigned char mac[CRYPT_DIGEST_MAX];
	struct buf in = BUF_INIT(4096);
	buf_puts(&in, domain);
	buf_putc(&in, '\0');
	buf_puts(&in, rest);
	for (size_t i = 0; i < in.len; i++)
		in.p[i] = lower(in.p[i]);
	crypt_hmac(CRYPT_SHA256, str_n(key, SRS_KEY_LEN), buf_str(&in), mac);
	for (size_t i = 0; i < HASH_LEN; i++)
		ret[i] = digits[mac[i] & 31];
	buf_done(&in);
}

static bool
is_hash(const struct srs_keys *keys, struct str given, struct str domain, struct str rest)
{
	char want[HASH_LEN], have[HASH_LEN];
	bool good = false;
	if (given.len != HASH_LEN)
		return false;
	for (size_t i = 0; i < HASH_LEN; i++)
		have[i] = lower(given.p[i]);
	for (size_t i = 0; i < keys->n; i++) {
		hash(keys->key[i], domain, rest, want);
		good |= crypt_equal(str_n(have, HASH_LEN), str_n(want, HASH_LEN));
	}
	return good;
}

static bool
is_fresh(struct str given, int64_t day)
{
	int high = given.len == DAY_LEN ? digit_of(given.p[0]) : -1;
	int low = high >= 0 ? digit_of(given.p[1]) : -1;
	if (low < 0)
		return false;
	int64_t age = (day - (high * 32 + low)) % DAYS;
	age += age < 0 ? DAYS : 0;
	/* A day ahead: made where the clock goes a little before ours. */
	return age <= SRS_DAYS || age == DAYS - 1;
}

/* --- addresses --- */

static bool
begins(struct str local, const char *word)
{
	return local.len > 5 && str_istarts(local, str_of(word)) &&
	       strchr("=+-", local.p[4]) != NULL;
}

bool
srs_is(struct str local)
{
	return begins(local, "SRS0") || begins(local, "SRS1");
}

/* What was put together, when it may stand: the local part within its limit. */
static enum srs_verdict
finish(struct buf *out, size_t start, struct str local, struct str domain)
{
	struct addr check;
	if (local.len > ADDR_LOCAL_MAX)
		return SRS_NONE;
	buf_puts(out, local);
	buf_putc(out, '@');
	buf_puts(out, domain);
	if (!out->failed &&
	    addr_mailbox(str_skip(buf_str(out), start), ADDR_SMTPUTF8, &check) == ADDR_OK)
		return SRS_OK;
	buf_trunc(out, start);
	return SRS_NONE;
}

/* "=HASH=DAY=domain=local", behind SRS0. The digest is of what stands behind it. */
static void
put_srs0(const struct srs_keys *keys, const struct addr *a, int64_t day, struct buf *local)
{
	char text[HASH_LEN];
	struct buf rest = BUF_INIT(4096);
	int64_t d = day % DAYS;
	d += d < 0 ? DAYS : 0;
	buf_putf(&rest, "%c%c=" STR_FMT "=" STR_FMT, digits[d >> 5], digits[d & 31],
	    STR_ARG(a->domain), STR_ARG(a->local));
	hash(keys->key[0], STR_NULL, buf_str(&rest), text);
	buf_putf(local, "SRS0=%.*s=" STR_FMT, HASH_LEN, text, STR_ARG(buf_str(&rest)));
	buf_done(&rest);
}

/* rest: what stands behind SRS0 in the first forwarder's address, its separator with it. */
static void
put_srs1(const struct srs_keys *keys, struct str first, struct str rest, struct buf *local)
{
	char text[HASH_LEN];
	hash(keys->key[0], first, rest, text);
	buf_putf(local, "SRS1=%.*s=" STR_FMT "=" STR_FMT, HASH_LEN, text, STR_ARG(first),
	    STR_ARG(rest));
}

enum srs_verdict
srs_make(const struct srs_keys *keys, const struct addr *a, struct str domain, int64_t day,
    struct buf *out)
{
	struct buf local = BUF_INIT(4096);
	check(keys->n > 0);
	if (a->null || a->quoted || a->literal || a->domain.len == 0)
		return SRS_NONE;
	struct str rest = str_skip(a->local, 5);
	(void)str_cut(&rest, '='); /* somebody else's digest */
	struct str first = str_cut(&rest, '=');
	if (begins(a->local, "SRS1") && first.len && rest.len) {
		put_srs1(keys, first, rest, &local);
	} else if (begins(a->local, "SRS0")) {
		put_srs1(keys, a->domain, str_skip(a->local, 4), &local);
	} else {
		put_srs0(keys, a, day, &local);
	}
	enum srs_verdict v =
	    local.failed ? SRS_NONE : finish(out, out->len, buf_str(&local), domain);
	buf_done(&local);
	return v;
}

static enum srs_verdict
read_srs0(const struct srs_keys *keys, struct str rest, int64_t day, struct buf *out)
{
	struct str given = str_cut(&rest, '=');
	if (!rest.p || !is_hash(keys, given, STR_NULL, rest))
		return SRS_FORGED;
	struct str made = str_cut(&rest, '='), domain = str_cut(&rest, '=');
	if (!rest.p)
		return SRS_FORGED;
	return is_fresh(made, day) ? finish(out, out->len, rest, domain) : SRS_OLD;
}

static enum srs_verdict
read_srs1(const struct srs_keys *keys, struct str rest, struct buf *out)
{
	struct buf local = BUF_INIT(4096);
	struct str given = str_cut(&rest, '='), first = str_cut(&rest, '=');
	if (!rest.p || !is_hash(keys, given, first, rest))
		return SRS_FORGED;
	buf_putz(&local, "SRS0");
	buf_puts(&local, rest);
	enum srs_verdict v = local.failed || !srs_is(buf_str(&local))
	                         ? SRS_NONE
	                         : finish(out, out->len, buf_str(&local), first);
	buf_done(&local);
	return v;
}

enum srs_verdict
srs_read(const struct srs_keys *keys, const struct addr *a, int64_t day, struct buf *out)
{
	if (a->quoted || !srs_is(a->local))
		return SRS_NONE;
	struct str rest = str_skip(a->local, 5);
	return begins(a->local, "SRS0") ? read_srs0(keys, rest, day, out)
	                                : read_srs1(keys, rest, out);
}
