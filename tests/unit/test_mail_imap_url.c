/* URLs of letters: what they name, what is none, and the tokens of those that authorize. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "crypt/crypt.h"
#include "mail/imap_url.h"

#include <stdlib.h>

#define BOX "imap://joe@example.com/INBOX"
#define MSG BOX "/;UID=20"
#define HEX32 "91354a473744909de610943775f92038"

static const struct good {
	const char *text, *user, *host, *mailbox, *section;
	uint32_t uidvalidity, uid;
	uint64_t off, len;
	enum imap_url_access access;
	const char *may, *mech, *token, *rump;
	int64_t expire; /* 0: never */
} goods[] = {
	{ MSG, "joe", "example.com", "INBOX", "", 0, 20, 0, UINT64_MAX },
	{ "IMAP://joe@Example.COM:143/INBOX/;uid=20", "joe", "Example.COM", "INBOX", "", 0, 20, 0,
	    UINT64_MAX },
	{ "imap://example.com/a/b/;UID=1", "", "example.com", "a/b", "", 0, 1, 0, UINT64_MAX },
	{ "imap://;AUTH=*@example.com/a/;UID=1", "", "example.com", "a", "", 0, 1, 0, UINT64_MAX },
	{ "imap://joe;AUTH=PLAIN@[::1]:1143/a/;UID=1", "joe", "[::1]", "a", "", 0, 1, 0,
	    UINT64_MAX },
	{ "imap://joe@[::1]/a/;UID=1", "joe", "[::1]", "a", "", 0, 1, 0, UINT64_MAX },
	{ "imap://joe@h:/a/;UID=1", "joe", "h", "a", "", 0, 1, 0, UINT64_MAX },
	{ "imap://alice%40example.com@h/%E2%82%AC%20x;UIDVALIDITY=4294967295/;UID=4294967295",
	    "alice@example.com", "h", "\xe2\x82\xac x", "", UINT32_MAX, UINT32_MAX, 0, UINT64_MAX },
	{ "imap://j@h/a:b@c=d&e/;UID=1", "j", "h", "a:b@c=d&e", "", 0, 1, 0, UINT64_MAX },
	{ "imap://j@h/a%2Fb%3b%25/;UID=1", "j", "h", "a/b;%", "", 0, 1, 0, UINT64_MAX },
	{ MSG "/;SECTION=1.2.MIME", "joe", "example.com", "INBOX", "1.2.MIME", 0, 20, 0,
	    UINT64_MAX },
	{ MSG "/;section=HEADER.FIELDS%20(To)/;partial=0.1024", "joe", "example.com", "INBOX",
	    "HEADER.FIELDS (To)", 0, 20, 0, 1024 },
	{ MSG "/;PARTIAL=7", "joe", "example.com", "INBOX", "", 0, 20, 7, UINT64_MAX },
	{ MSG ";URLAUTH=anonymous", "joe", "example.com", "INBOX", "", 0, 20, 0, UINT64_MAX,
	    IMAP_URL_ANONYMOUS, "", "", "", MSG ";URLAUTH=anonymous" },
	{ MSG ";urlauth=AuthUser", "joe", "example.com", "INBOX", "", 0, 20, 0, UINT64_MAX,
	    IMAP_URL_AUTHUSER, "", "", "", MSG ";urlauth=AuthUser" },
	{ MSG "/;SECTION=1;EXPIRE=2026-12-01T00:00:00Z;URLAUTH=user+ann%40b.org:internal:" HEX32,
	    "joe", "example.com", "INBOX", "1", 0, 20, 0, UINT64_MAX, IMAP_URL_USER, "ann@b.org",
	    "internal", HEX32,
	    MSG "/;SECTION=1;EXPIRE=2026-12-01T00:00:00Z;URLAUTH=user+ann%40b.org", 1796083200 },
	{ MSG ";expire=2026-12-01T01:30:00.25+01:30;urlauth=submit+fred:X-A.b:" HEX32 "0", "joe",
	    "example.com", "INBOX", "", 0, 20, 0, UINT64_MAX, IMAP_URL_SUBMIT, "fred", "X-A.b",
	    HEX32 "0", MSG ";expire=2026-12-01T01:30:00.25+01:30;urlauth=submit+fred", 1796083200 },
};

static const struct {
	const char *text, *why;
} bads[] = {
	{ "", "it does not begin with imap://" },
	{ "http://h/a/;UID=1", "it does not begin with imap://" },
	{ "imaps://h/a/;UID=1", "it does not begin with imap://" },
	{ "/INBOX/;UID=20", "it does not begin with imap://" },
	{ "imap://", "a host that is not one" },
	{ "imap://h", "it names no letter" },
	{ "imap://h/", "it names no letter" },
	{ BOX, "it names no letter" },
	{ BOX ";UIDVALIDITY=1", "it names no letter" },
	{ BOX "?SUBJECT%20x", "it names no letter" },
	{ BOX ";UID=20", "a slash is missing" },
	{ BOX ";UIDVALIDITY=1;UID=20", "a slash is missing" },
	{ "imap://h//;UID=1", "an empty name" },
	{ "imap://h/;UID=1", "a slash is missing" },
	{ "imap:///a/;UID=1", "a host that is not one" },
	{ "imap://j@/a/;UID=1", "a host that is not one" },
	{ "imap://j@h h/a/;UID=1", "a host that is not one" },
	{ "imap://j@h:x/a/;UID=1", "a port that is not one" },
	{ "imap://j@h:65536/a/;UID=1", "a port that is not one" },
	{ "imap://@h/a/;UID=1", "an empty name" },
	{ "imap://j;X=1@h/a/;UID=1", "a parameter that is not AUTH" },
	{ "imap://j;AUTH=@h/a/;UID=1", "an empty name" },
	{ "imap://a@b@h/a/;UID=1", "a host that is not one" },
	{ "imap://j@h/a b/;UID=1", "a character that must be percent-encoded" },
	{ "imap://j@h/\xe2\x82\xac/;UID=1", "a character that must be percent-encoded" },
	{ "imap://j@h/a\"/;UID=1", "a character that must be percent-encoded" },
	{ "imap://j@h/a%2/;UID=1", "a percent sign" },
	{ "imap://j@h/a%zz/;UID=1", "a percent sign" },
	{ "imap://j@h/a%/;UID=1", "a percent sign" },
	{ "imap://j@h/a%00/;UID=1", "a control character" },
	{ "imap://j%0d%0a@h/a/;UID=1", "a control character" },
	{ MSG "/;SECTION=%7f", "a control character" },
	{ BOX "/;UID=0", "a number that is not one" },
	{ BOX "/;UID=020", "a number that is not one" },
	{ BOX "/;UID=4294967296", "a number that is not one" },
	{ BOX "/;UID=1:2", "a number that is not one" },
	{ BOX "/;UID=*", "a number that is not one" },
	{ BOX ";UIDVALIDITY=0/;UID=1", "a number that is not one" },
	{ BOX ";UIDVALIDITY=x/;UID=1", "a number that is not one" },
	{ MSG "/", "a number that is not one" },
	{ MSG ";SECTION=1", "a slash is missing" },
	{ MSG "/;SECTION=", "an empty name" },
	{ MSG "/;PARTIAL=", "a number that is not one" },
	{ MSG "/;PARTIAL=1.0", "a number that is not one" },
	{ MSG "/;PARTIAL=1.", "a number that is not one" },
	{ MSG "/;PARTIAL=1.2.3", "a number that is not one" },
	{ MSG "/;PARTIAL=9223372036854775808", "a number that is not one" },
	{ MSG "/;PARTIAL=1/;SECTION=1", "a number that is not one" },
	{ MSG ";X=1", "something follows" },
	{ MSG ";", "something follows" },
	{ MSG ";EXPIRE=2026-12-01T00:00:00Z", "EXPIRE without URLAUTH" },
	{ MSG ";EXPIRE=tomorrow;URLAUTH=anonymous", "a time that is not one" },
	{ MSG ";EXPIRE=2026-02-30T00:00:00Z;URLAUTH=anonymous", "a time that is not one" },
	{ MSG ";URLAUTH=anonymous;EXPIRE=2026-12-01T00:00:00Z", "something follows" },
	{ MSG ";URLAUTH=", "an access that is not known" },
	{ MSG ";URLAUTH=somebody", "an access that is not known" },
	{ MSG ";URLAUTH=authuser+x", "an access that is not known" },
	{ MSG ";URLAUTH=submit+", "an empty name" },
	{ MSG ";URLAUTH=user+a@b", "a character that must be percent-encoded" },
	{ MSG ";URLAUTH=anonymous:", "a token that is not one" },
	{ MSG ";URLAUTH=anonymous:internal", "a token that is not one" },
	{ MSG ";URLAUTH=anonymous:internal:", "a token that is not one" },
	{ MSG ";URLAUTH=anonymous::" HEX32, "a token that is not one" },
	{ MSG ";URLAUTH=anonymous:inter nal:" HEX32, "a mechanism that is not one" },
	{ MSG ";URLAUTH=anonymous:internal:" HEX32 "x", "a token that is not one" },
	{ MSG ";URLAUTH=anonymous:internal:9135", "a token that is not one" },
	{ MSG ";URLAUTH=anonymous:internal:" HEX32 ";X=1", "something follows" },
};

/* At the end of a block of its own, so that a sanitizer notices an octet read too far. */
static const char *
parse(struct str text, struct imap_url *ret, char **block)
{
	*block = text.len ? xmemdup(text.p, text.len) : NULL;
	return imap_url_parse(str_n(*block, text.len), ret);
}

static void
is(const char *what, struct str got, const char *want)
{
	if (!str_eq(got, str_of(want ? want : "")))
		fail_msg("%s: " STR_FMT ", not %s", what, STR_ARG(got), want);
}

static void
good(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		const struct good *g = &goods[i];
		struct imap_url u;
		char *block;
		const char *why = parse(str_of(g->text), &u, &block);
		if (why)
			fail_msg("%s: %s", g->text, why);
		is(g->text, u.user, g->user);
		is(g->text, u.host, g->host);
		is(g->text, u.mailbox, g->mailbox);
		is(g->text, u.section, g->section);
		is(g->text, u.may, g->may);
		is(g->text, u.mech, g->mech);
		is(g->text, u.token, g->token);
		is(g->text, u.rump, g->rump);
		assert_int_equal(u.uidvalidity, g->uidvalidity);
		assert_int_equal(u.uid, g->uid);
		assert_true(u.off == g->off && u.len == g->len);
		assert_int_equal(u.access, g->access);
		assert_int_equal(u.expires, g->expire != 0);
		assert_int_equal(u.expire, g->expire);
		free(block);
	}
}

static void
bad(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		struct imap_url u;
		char *block;
		const char *why = parse(str_of(bads[i].text), &u, &block);
		if (!why || !str_starts(str_of(why), str_of(bads[i].why)))
			fail_msg("%s: %s, not %s", bads[i].text, why ? why : "good", bads[i].why);
		free(block);
	}
}

/* What is cut off is refused, or it is a URL that is complete. */
static void
cut(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
		struct str text = str_of(goods[i].text);
		for (size_t n = 0; n < text.len; n++) {
			struct imap_url u;
			char *block;
			if (!parse(str_first(text, n), &u, &block))
				assert_true(u.uid && u.host.len && u.mailbox.len);
			free(block);
		}
	}
	struct buf b = BUF_INIT(2 * IMAP_URL_MAX);
	struct imap_url u;
	while (b.len <= IMAP_URL_MAX)
		buf_putz(&b, b.len ? "a" : "imap://h/");
	assert_string_equal(imap_url_parse(buf_str(&b), &u), "it is too long");
	buf_done(&b);
}

static void
tokens(void **state)
{
	static const struct str key = { "0123456789abcdef0123456789abcdef", 32 };
	static const struct str other = { "0123456789abcdef0123456789abcdeF", 32 };
	static const struct {
		const char *before, *behind;
		int change; /* this octet of the token becomes another one, or -1 */
		bool upper, good;
	} rows[] = {
		{ MSG ";URLAUTH=anonymous", "internal", -1, false, true },
		{ MSG ";URLAUTH=anonymous", "INTERNAL", -1, true, true },
		{ MSG ";URLAUTH=anonymous", "internat", -1, false, false },
		{ MSG ";URLAUTH=Anonymous", "internal", -1, false, false },
		{ MSG ";URLAUTH=authuser", "internal", -1, false, false },
		{ BOX "/;UID=21;URLAUTH=anonymous", "internal", -1, false, false },
		{ "imap://Joe@example.com/INBOX/;UID=20;URLAUTH=anonymous", "internal", -1, false,
		    false },
		{ MSG ";URLAUTH=anonymous", "internal", 0, false, false },
		{ MSG ";URLAUTH=anonymous", "internal", 2, false, false },
		{ MSG ";URLAUTH=anonymous", "internal", IMAP_URL_TOKEN_LEN - 1, false, false },
	};
	char token[IMAP_URL_TOKEN_LEN];
	imap_url_token(key, STR(MSG ";URLAUTH=anonymous"), token);
	assert_memory_equal(token, "01", 2);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char said[IMAP_URL_TOKEN_LEN + 1] = "";
		struct buf b = BUF_INIT(IMAP_URL_MAX);
		struct imap_url u;
		memcpy(said, token, sizeof(token));
		for (size_t n = 0; rows[i].upper && n < sizeof(token); n++)
			said[n] = said[n] >= 'a' ? (char)(said[n] - 'a' + 'A') : said[n];
		if (rows[i].change >= 0)
			said[rows[i].change] = said[rows[i].change] == '0' ? '1' : '0';
		buf_putf(&b, "%s:%s:%s", rows[i].before, rows[i].behind, said);
		assert_null(imap_url_parse(buf_str(&b), &u));
		assert_int_equal(imap_url_authentic(&u, key), rows[i].good);
		assert_false(imap_url_authentic(&u, other));
		/* One that is shorter or longer. */
		assert_null(imap_url_parse(str_first(buf_str(&b), b.len - 1), &u));
		assert_false(imap_url_authentic(&u, key));
		buf_putc(&b, '0');
		assert_null(imap_url_parse(buf_str(&b), &u));
		assert_false(imap_url_authentic(&u, key));
		buf_done(&b);
	}
	struct imap_url u;
	assert_null(imap_url_parse(STR(MSG ";URLAUTH=anonymous"), &u));
	assert_false(imap_url_authentic(&u, key));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(cut),
		cmocka_unit_test(tokens),
	};
	crypt_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
