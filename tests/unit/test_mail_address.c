#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "mail/address.h"

#include <stdlib.h>

#define L ADDR_LOOSE
#define U ADDR_SMTPUTF8
#define N ADDR_NULL
#define P ADDR_BARE_POSTMASTER

#define L16 "abcdefghijklmnop"
#define L64 L16 L16 L16 L16
#define D62 "abcdefghijklmnopabcdefghijklmnopabcdefghijklmnopabcdefghijklmn"

struct row {
	const char *in;
	unsigned flags;
	enum addr_verdict verdict;
	const char *local, *domain, *rest; /* when ADDR_OK */
};

static const struct row rows[] = {
	{ "<a@b>", 0, ADDR_OK, "a", "b", "" },
	{ "<a@b> SIZE=1", 0, ADDR_OK, "a", "b", " SIZE=1" },
	{ "  \t<a@b>\tX", 0, ADDR_OK, "a", "b", "\tX" },
	{ "<First.Last+tag@Example.COM>", 0, ADDR_OK, "First.Last+tag", "Example.COM", "" },
	{ "<!#$&'*+-/=?^_`{|}~@b>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<a#$&'*+-/=?^_{|}~@b>", 0, ADDR_OK, "a#$&'*+-/=?^_{|}~", "b", "" },
	{ "<a@xn--bcher-kva.example>", 0, ADDR_OK, "a", "xn--bcher-kva.example", "" },
	{ "<a@1.2.3.4>", 0, ADDR_OK, "a", "1.2.3.4", "" },
	{ "<-a@b>", 0, ADDR_OK, "-a", "b", "" },
	/* null and postmaster */
	{ "<>", N, ADDR_OK, "", "", "" },
	{ "<> RET=HDRS", N, ADDR_OK, "", "", " RET=HDRS" },
	{ "<>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<postmaster>", P, ADDR_OK, "postmaster", "", "" },
	{ "<PostMaster>", P, ADDR_OK, "PostMaster", "", "" },
	{ "<postmaster>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<postmasters>", P, ADDR_BAD, 0, 0, 0 },
	{ "postmaster", P | L, ADDR_OK, "postmaster", "", "" },
	/* brackets */
	{ "a@b", L, ADDR_OK, "a", "b", "" },
	{ "a@b X=1", L, ADDR_OK, "a", "b", " X=1" },
	{ "<a@b>", L, ADDR_OK, "a", "b", "" },
	{ "a@b", 0, ADDR_SYNTAX, 0, 0, 0 },
	{ "", L | N | P, ADDR_SYNTAX, 0, 0, 0 },
	{ "   ", L, ADDR_SYNTAX, 0, 0, 0 },
	{ "<a@b", 0, ADDR_SYNTAX, 0, 0, 0 },
	{ "<a@b", L, ADDR_SYNTAX, 0, 0, 0 },
	{ "a@b>", L, ADDR_SYNTAX, 0, 0, 0 },
	{ "a<b@c>", L, ADDR_SYNTAX, 0, 0, 0 },
	{ "<a@b>x", 0, ADDR_SYNTAX, 0, 0, 0 },
	{ "<<a@b>>", 0, ADDR_SYNTAX, 0, 0, 0 },
	{ "<a@b><c@d>", 0, ADDR_SYNTAX, 0, 0, 0 },
	{ "<a@b>,<c@d>", L, ADDR_SYNTAX, 0, 0, 0 },
	{ "Bob <a@b>", L, ADDR_BAD, 0, 0, 0 },
	{ "< a@b >", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b >", 0, ADDR_BAD, 0, 0, 0 },
	/* quoted */
	{ "<\"a b\"@c>", 0, ADDR_OK, "\"a b\"", "c", "" },
	{ "<\"a>b\"@c> X", 0, ADDR_OK, "\"a>b\"", "c", " X" },
	{ "<\"a\\\"@x>\"@c>", 0, ADDR_OK, "\"a\\\"@x>\"", "c", "" },
	{ "<\"a@b\"@c>", 0, ADDR_OK, "\"a@b\"", "c", "" },
	{ "<\"\"@c>", 0, ADDR_OK, "\"\"", "c", "" },
	{ "\"a b\"@c X", L, ADDR_OK, "\"a b\"", "c", " X" },
	{ "<\"a%b!c\"@d>", 0, ADDR_OK, "\"a%b!c\"", "d", "" },
	{ "<\"abc@d>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<\"abc\\\"@d>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<\"a\"b@d>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<b\"a\"@d>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<\"a\".b@d>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<\"a\">", 0, ADDR_BAD, 0, 0, 0 },
	{ "<\"a\"", 0, ADDR_SYNTAX, 0, 0, 0 },
	{ "<\"a\tb\"@c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<\"a\\", 0, ADDR_SYNTAX, 0, 0, 0 },
	{ "<\"\\>", 0, ADDR_BAD, 0, 0, 0 },
	/* literals */
	{ "<a@[1.2.3.4]>", 0, ADDR_OK, "a", "[1.2.3.4]", "" },
	{ "<a@[IPv6:::1]>", 0, ADDR_OK, "a", "[IPv6:::1]", "" },
	{ "<a@[ipv6:2001:db8::1]>", 0, ADDR_OK, "a", "[ipv6:2001:db8::1]", "" },
	{ "<a@[IPv6:::ffff:1.2.3.4]>", 0, ADDR_OK, "a", "[IPv6:::ffff:1.2.3.4]", "" },
	{ "<a@[1.2.3]>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@[1.2.3.256]>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@[1.2.3.4>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@1.2.3.4]>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@[::1]>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@[IPv6:1.2.3.4]>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@[IPv6:fe80::1%eth0]>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@[x-tag:foo]>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@[]>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@[>", 0, ADDR_BAD, 0, 0, 0 },
	/* local parts and domains */
	{ "<@>", 0, ADDR_ROUTE, 0, 0, 0 },
	{ "<a@>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<test@>", L, ADDR_BAD, 0, 0, 0 },
	{ "<a>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<.a@b>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a.@b>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a..b@c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a b@c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a(c)@b>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a,b@c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a;b@c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a\\b@c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b.>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@.b>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b..c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@-b>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b->", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b-.c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b_c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b/c>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a\x01@b>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a\x7f@b>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<a@b\r>", 0, ADDR_BAD, 0, 0, 0 },
	/* limits */
	{ "<" L64 "@b>", 0, ADDR_OK, L64, "b", "" },
	{ "<" L64 "x@b>", 0, ADDR_LONG, 0, 0, 0 },
	{ "<a@" D62 "x>", 0, ADDR_OK, "a", D62 "x", "" },
	{ "<a@" D62 "xx>", 0, ADDR_LONG, 0, 0, 0 },
	{ "<ab@" D62 "." D62 "." D62 "." D62 ">", 0, ADDR_OK, "ab", D62 "." D62 "." D62 "." D62,
	    "" },
	{ "<abc@" D62 "." D62 "." D62 "." D62 ">", 0, ADDR_LONG, 0, 0, 0 },
	{ "<a@" D62 "." D62 "." D62 "." D62 ".abcd>", 0, ADDR_LONG, 0, 0, 0 },
	/* routes and hacks */
	{ "<@a,@b:c@d>", 0, ADDR_ROUTE, 0, 0, 0 },
	{ "<@a:c@d>", 0, ADDR_ROUTE, 0, 0, 0 },
	{ "<a%b@c>", 0, ADDR_ROUTE, 0, 0, 0 },
	{ "<a!b@c>", 0, ADDR_ROUTE, 0, 0, 0 },
	{ "<b!a>", 0, ADDR_ROUTE, 0, 0, 0 },
	{ "<a@b@c>", 0, ADDR_ROUTE, 0, 0, 0 },
	{ "<\"a\"@b@c>", 0, ADDR_ROUTE, 0, 0, 0 },
	{ "<a@[1.2.3.4]@c>", 0, ADDR_ROUTE, 0, 0, 0 },
	/* bait */
	{ "<|/bin/sh@b>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<\"|/bin/sh -c id\"@b>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<\"\\|x\"@b>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "</etc/passwd@b>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<:include:/etc/passwd@b>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<\":include:x\"@b>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<a`id`@b>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<a${IFS}b@c>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<\"$(id)\"@c>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<\"$\\(id)\"@c>", 0, ADDR_BAIT, 0, 0, 0 },
	{ "<a$b@c>", 0, ADDR_OK, "a$b", "c", "" },
	{ "<a/b|c@d>", 0, ADDR_OK, "a/b|c", "d", "" },
	/* UTF-8 */
	{ "<j\xc3\xb6rg@b>", 0, ADDR_UTF8, 0, 0, 0 },
	{ "<a@b\xc3\xbc"
	  "cher.example>",
	    0, ADDR_UTF8, 0, 0, 0 },
	{ "<j\xc3\xb6rg@b\xc3\xbc"
	  "cher.example>",
	    U, ADDR_OK, "j\xc3\xb6rg",
	    "b\xc3\xbc"
	    "cher.example",
	    "" },
	{ "<\"j\xc3\xb6 rg\"@b>", U, ADDR_OK, "\"j\xc3\xb6 rg\"", "b", "" },
	{ "<\"j\\\xc3\xb6\"@b>", U, ADDR_BAD, 0, 0, 0 },
	{ "<j\xc2\x9b@b>", U, ADDR_BAD, 0, 0, 0 },
	{ "<j\xc2\xa9@b>", U, ADDR_OK, "j\xc2\xa9", "b", "" },
	{ "<j\xc3@b>", U, ADDR_BAD, 0, 0, 0 },
	{ "<j\xc0\xaf@b>", U, ADDR_BAD, 0, 0, 0 },
	{ "<j\xff@b>", 0, ADDR_BAD, 0, 0, 0 },
	{ "<\xc3\xb6>", P, ADDR_UTF8, 0, 0, 0 },
};

static bool
within(struct str part, struct str whole)
{
	return part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len);
}

static void
paths(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct str in = str_of(r->in);
		struct addr a = { .quoted = true };
		enum addr_verdict v = addr_path(&in, r->flags, &a);
		if (v != r->verdict)
			fail_msg("%s: verdict %d, not %d", r->in, v, r->verdict);
		if (v != ADDR_OK) {
			assert_true(in.p == r->in && a.quoted && a.whole.p == NULL);
			continue;
		}
		if (!str_eq(a.local, str_of(r->local)) || !str_eq(a.domain, str_of(r->domain)) ||
		    !str_eq(in, str_of(r->rest)))
			fail_msg("%s: local " STR_FMT " domain " STR_FMT " rest " STR_FMT, r->in,
			    STR_ARG(a.local), STR_ARG(a.domain), STR_ARG(in));
		assert_true(within(a.whole, str_of(r->in)));
		assert_true(within(a.local, a.whole) && within(a.domain, a.whole));
		assert_int_equal(a.null, a.whole.len == 0);
		assert_int_equal(a.quoted, a.local.len && a.local.p[0] == '"');
		assert_int_equal(a.literal, a.domain.len && a.domain.p[0] == '[');
	}
}

#define PATH "<\"a b\"@c.example>"

static enum addr_verdict
verdict_of(const char *text, size_t n)
{
	char *p = xmemdup(text, n); /* of just that size, so that a look past the end is seen */
	struct str in = { p, n };
	struct addr a;
	enum addr_verdict v = addr_path(&in, L | U, &a);
	free(p);
	return v;
}

/* The path cut short anywhere, and NUL in every place of it. */
static void
damaged_paths(void **state)
{
	char text[] = PATH " X";
	for (size_t n = 0; n < sizeof(text); n++)
		assert_int_equal(verdict_of(text, n), n < sizeof(PATH) - 1 ? ADDR_SYNTAX : ADDR_OK);
	for (size_t n = 0; n < sizeof(PATH); n++) {
		char was = text[n];
		text[n] = '\0';
		enum addr_verdict v = verdict_of(text, sizeof(text) - 1);
		assert_true(v == ADDR_BAD || v == ADDR_SYNTAX);
		text[n] = was;
	}
}

static void
mailboxes(void **state)
{
	struct addr a;
	assert_int_equal(addr_mailbox(STR("a@b"), 0, &a), ADDR_OK);
	assert_true(str_eq(a.whole, STR("a@b")));
	assert_int_equal(addr_mailbox(STR("<a@b>"), 0, &a), ADDR_BAD);
	assert_int_equal(addr_mailbox(STR(" a@b"), 0, &a), ADDR_BAD);
	assert_int_equal(addr_mailbox(STR("a@b "), 0, &a), ADDR_BAD);
	assert_int_equal(addr_mailbox(STR(""), 0, &a), ADDR_SYNTAX);
	assert_int_equal(addr_mailbox(STR(""), N, &a), ADDR_OK);
	assert_true(a.null);
	assert_int_equal(addr_mailbox(STR("@b"), 0, &a), ADDR_ROUTE);
	assert_int_equal(addr_mailbox(str_n("a\0b@c", 5), 0, &a), ADDR_BAD);
}

static void
domains(void **state)
{
	static const struct {
		const char *name;
		unsigned flags;
		enum addr_verdict verdict;
	} names[] = {
		{ "example.com", 0, ADDR_OK },
		{ "localhost", 0, ADDR_OK },
		{ "a-b.c0", 0, ADDR_OK },
		{ "", 0, ADDR_SYNTAX },
		{ ".", 0, ADDR_BAD },
		{ "a.", 0, ADDR_BAD },
		{ ".a", 0, ADDR_BAD },
		{ "a..b", 0, ADDR_BAD },
		{ "-a", 0, ADDR_BAD },
		{ "a-", 0, ADDR_BAD },
		{ "[1.2.3.4]", 0, ADDR_BAD },
		{ "a@b", 0, ADDR_BAD },
		{ "a b", 0, ADDR_BAD },
		{ D62 "xx", 0, ADDR_LONG },
		{ D62 "xx.-", 0, ADDR_BAD },
		{ D62 "." D62 "." D62 "." D62 ".abc", 0, ADDR_OK },
		{ D62 "." D62 "." D62 "." D62 ".abcd", 0, ADDR_LONG },
		{ "b\xc3\xbc"
		  "cher",
		    0, ADDR_UTF8 },
		{ "b\xc3\xbc"
		  "cher",
		    U, ADDR_OK },
		{ "b\xc3", U, ADDR_BAD },
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (addr_domain(str_of(names[i].name), names[i].flags) != names[i].verdict)
			fail_msg("%s", names[i].name);
}

static void
folding(void **state)
{
	static const struct {
		const char *in, *out;
	} folds[] = {
		{ "A.b@EXAMPLE.com", "a.b@example.com" },
		{ "\"A.b\"@Example.com", "a.b@example.com" },
		{ "\"a\\b\"@c", "ab@c" },
		{ "\"a b\"@c", "\"a b\"@c" },
		{ "\"a\\ b\"@c", "\"a b\"@c" },
		{ "\"a.\"@c", "\"a.\"@c" },
		{ "\"\"@c", "\"\"@c" },
		{ "\"a@B\"@c", "\"a@b\"@c" },
		{ "\"a\\\"\\\\b\"@c", "\"a\\\"\\\\b\"@c" },
		{ "J\xc3\x96rg@B\xc3\x9c"
		  "CHER",
		    "j\xc3\x96rg@b\xc3\x9c"
		    "cher" },
		{ "\"j\xc3\x96\"@c", "j\xc3\x96@c" },
		{ "A@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]" },
		{ "PostMaster", "postmaster" },
		{ "", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(folds); i++) {
		struct addr a;
		char out[400];
		size_t need = strlen(folds[i].out) + 1;
		assert_int_equal(addr_mailbox(str_of(folds[i].in), U | P | N, &a), ADDR_OK);
		assert_true(addr_fold(&a, out, sizeof(out)));
		assert_string_equal(out, folds[i].out);
		assert_true(addr_fold(&a, out, need));
		assert_string_equal(out, folds[i].out);
		if (need > 1) {
			assert_false(addr_fold(&a, out, need - 1));
			assert_string_equal(out, "");
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(damaged_paths),
		cmocka_unit_test(mailboxes),
		cmocka_unit_test(domains),
		cmocka_unit_test(folding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
