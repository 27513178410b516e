#include "mail/imap_url.h"

#include "base/check.h"
#include "base/num.h"
#include "crypt/crypt.h"
#include "mail/when.h"

#define ALGORITHM "01"
#define HASH_LEN 32
_Static_assert(sizeof(ALGORITHM) - 1 + 2 * HASH_LEN == IMAP_URL_TOKEN_LEN, "a token is whole");

struct reader {
	struct str rest;
	char *at;        /* where decoded octets go */
	const char *why; /* the first mistake */
};

static bool
fail(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return false;
}

/* --- characters (RFC 5092 11, RFC 3986 2) --- */

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_achar(char c)
{
	return is_alnum(c) || (c && strchr("-._~!$'()*+,&=", c));
}

static bool
is_bchar(char c)
{
	return is_achar(c) || (c && strchr(":@/", c));
}

static int
hex_of(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* A name of which every octet is one of `is`, or percent-encoded. */
static bool
decode(struct reader *r, struct str s, bool (*is)(char c), struct str *ret)
{
	char *from = r->at;
	if (s.len == 0)
		return fail(r, "an empty name");
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (c == '%') {
			int high = i + 2 < s.len ? hex_of(s.p[i + 1]) : -1;
			int low = i + 2 < s.len ? hex_of(s.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return fail(r, "a percent sign without two hexadecimal digits");
			c = (char)(high * 16 + low);
			i += 2;
			if ((unsigned char)c < ' ' || c == 0x7f)
				return fail(r, "a control character");
		} else if (!is(c)) {
			return fail(r, "a character that must be percent-encoded");
		}
		*r->at++ = c;
	}
	*ret = str_n(from, (size_t)(r->at - from));
	return true;
}

static bool
nz_number(struct reader *r, struct str s, uint32_t *ret)
{
	uint64_t v;
	if (s.len == 0 || s.p[0] == '0' || !num_u64(s, UINT32_MAX, &v))
		return fail(r, "a number that is not one");
	*ret = (uint32_t)v;
	return true;
}

/* --- imap://user;AUTH=mech@host:port/ --- */

static bool
is_host(struct str s)
{
	bool literal = s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']';
	if (literal)
		s = str_first(str_skip(s, 1), s.len - 2);
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && !(s.p[i] && strchr(literal ? ":." : "-._", s.p[i])))
			return false;
	return s.len > 0;
}

static bool
userinfo(struct reader *r, struct str s, struct imap_url *u)
{
	struct str user = str_cut(&s, ';'), mech;
	if (user.len && !decode(r, user, is_achar, &u->user))
		return false;
	if (!s.p)
		return user.len || fail(r, "an empty name");
	if (!str_istarts(s, STR("AUTH=")))
		return fail(r, "a parameter that is not AUTH");
	s = str_skip(s, 5);
	return decode(r, s, is_achar, &mech);
}

static bool
authority(struct reader *r, struct imap_url *u)
{
	uint64_t port;
	if (!str_istarts(r->rest, STR("imap://")))
		return fail(r, "it does not begin with imap://");
	r->rest = str_skip(r->rest, 7);
	struct str s = str_cut(&r->rest, '/');
	size_t at = str_find(s, '@');
	if (at < s.len && !userinfo(r, str_first(s, at), u))
		return false;
	s = at < s.len ? str_skip(s, at + 1) : s;
	size_t colon = str_rfind(s, ':');
	if (colon < s.len && s.p[s.len - 1] != ']') {
		struct str text = str_skip(s, colon + 1);
		if (text.len && !num_u64(text, UINT16_MAX, &port))
			return fail(r, "a port that is not one");
		s = str_first(s, colon);
	}
	u->host = s;
	return is_host(s) || fail(r, "a host that is not one");
}

/* --- the path --- */

/* ";NAME=value", if it comes next. Where `slash`, a slash stands in front of it: at the end of what
 * was read before. */
static bool
part(struct reader *r, struct str name, bool slash, struct str *before, struct str *ret)
{
	if (r->why || r->rest.len == 0 || !str_istarts(str_skip(r->rest, 1), name))
		return false;
	if (slash && !str_ends(*before, STR("/")))
		return fail(r, "a slash is missing");
	if (slash)
		before->len--;
	r->rest = str_skip(r->rest, 1 + name.len);
	size_t end = str_find(r->rest, ';');
	*ret = str_first(r->rest, end);
	r->rest = str_skip(r->rest, end);
	return true;
}

static bool
partial(struct reader *r, struct str s, struct imap_url *u)
{
	uint32_t len;
	struct str first = str_cut(&s, '.');
	if (!num_u64(first, INT64_MAX, &u->off))
		return fail(r, "a number that is not one");
	if (!s.p)
		return true;
	if (!nz_number(r, s, &len))
		return false;
	u->len = len;
	return true;
}

static bool
message(struct reader *r, struct imap_url *u)
{
	size_t end = str_find(r->rest, ';');
	struct str mailbox = str_first(r->rest, end), validity = STR_NULL, uid = STR_NULL;
	struct str section = STR_NULL, range = STR_NULL, *last = &mailbox;
	r->rest = str_skip(r->rest, end);
	if (part(r, STR("UIDVALIDITY="), false, last, &validity))
		last = &validity;
	if (!part(r, STR("UID="), true, last, &uid))
		return fail(r, "it names no letter");
	last = &uid;
	if (part(r, STR("SECTION="), true, last, &section))
		last = &section;
	(void)part(r, STR("PARTIAL="), true, last, &range);
	return !r->why && decode(r, mailbox, is_bchar, &u->mailbox) &&
	       (!validity.p || nz_number(r, validity, &u->uidvalidity)) &&
	       nz_number(r, uid, &u->uid) &&
	       (!section.p || decode(r, section, is_bchar, &u->section)) &&
	       (!range.p || partial(r, range, u));
}

/* --- ;EXPIRE=, ;URLAUTH= --- */

static bool
access_of(struct reader *r, struct str s, struct imap_url *u)
{
	static const struct {
		struct str name;
		enum imap_url_access access;
		bool user;
	} rows[] = {
		{ { "submit+", 7 }, IMAP_URL_SUBMIT, true },
		{ { "user+", 5 }, IMAP_URL_USER, true },
		{ { "authuser", 8 }, IMAP_URL_AUTHUSER, false },
		{ { "anonymous", 9 }, IMAP_URL_ANONYMOUS, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].user ? !str_istarts(s, rows[i].name) : !str_ieq(s, rows[i].name))
			continue;
		u->access = rows[i].access;
		return !rows[i].user || decode(r, str_skip(s, rows[i].name.len), is_achar, &u->may);
	}
	return fail(r, "an access that is not known");
}

static bool
verifier(struct reader *r, struct str s, struct imap_url *u)
{
	u->mech = str_cut(&s, ':');
	u->token = s;
	for (size_t i = 0; i < u->mech.len; i++)
		if (!is_alnum(u->mech.p[i]) && u->mech.p[i] != '-' && u->mech.p[i] != '.')
			return fail(r, "a mechanism that is not one");
	for (size_t i = 0; i < s.len; i++)
		if (hex_of(s.p[i]) < 0)
			return fail(r, "a token that is not one");
	return (u->mech.len && s.len >= 32) || fail(r, "a token that is not one");
}

static bool
authorization(struct reader *r, struct str text, struct imap_url *u)
{
	struct str expire = STR_NULL, s = STR_NULL;
	if (part(r, STR("EXPIRE="), false, NULL, &expire)) {
		u->expires = true;
		if (!when_rfc3339(expire, &u->expire))
			return fail(r, "a time that is not one");
	}
	if (part(r, STR("URLAUTH="), false, NULL, &s)) {
		struct str access = str_cut(&s, ':');
		u->rump = str_first(text, (size_t)(access.p + access.len - text.p));
		if (!access_of(r, access, u) || (s.p && !verifier(r, s, u)))
			return false;
	} else if (u->expires) {
		return fail(r, "EXPIRE without URLAUTH");
	}
	return r->rest.len == 0 || fail(r, "something follows that a URL of a letter has not");
}

const char *
imap_url_parse(struct str text, struct imap_url *ret)
{
	struct reader r = { .rest = text, .at = ret->octets };
	if (text.len > IMAP_URL_MAX)
		return "it is too long";
	memset(ret, 0, offsetof(struct imap_url, octets));
	ret->len = UINT64_MAX;
	bool ok = authority(&r, ret) && message(&r, ret) && authorization(&r, text, ret);
	check(ok == !r.why);
	return r.why;
}

/* --- tokens --- */

void
imap_url_token(struct str key, struct str rump, char ret[IMAP_URL_TOKEN_LEN])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char mac[CRYPT_DIGEST_MAX];
	crypt_hmac(CRYPT_SHA256, key, rump, mac);
	memcpy(ret, ALGORITHM, sizeof(ALGORITHM) - 1);
	char *at = ret + sizeof(ALGORITHM) - 1;
	for (size_t i = 0; i < HASH_LEN; i++) {
		*at++ = digits[mac[i] >> 4];
		*at++ = digits[mac[i] & 15];
	}
}

bool
imap_url_authentic(const struct imap_url *u, struct str key)
{
	char good[IMAP_URL_TOKEN_LEN], said[IMAP_URL_TOKEN_LEN] = "";
	imap_url_token(key, u->rump, good);
	if (!str_ieq(u->mech, STR("INTERNAL")) || u->token.len != sizeof(said))
		return false;
	for (size_t i = 0; i < sizeof(said); i++)
		said[i] = u->token.p[i] >= 'A' && u->token.p[i] <= 'F'
		              ? (char)(u->token.p[i] - 'A' + 'a')
		              : u->token.p[i];
	return crypt_equal(str_n(good, sizeof(good)), str_n(said, sizeof(said)));
}
