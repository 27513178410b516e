#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "route/directory.h"
#include "route/route.h"

#include <stdio.h>
#include <stdlib.h>

struct alias {
	const char *address, *members; /* parted by blanks */
};

static const struct alias aliases[] = {
	{ "staff@example.com", "alice@example.com bob@example.com carol@example.com" },
	{ "Team@Example.COM",
	    "STAFF@example.com Alice@example.com \"bob\"@example.com bob+x@example.com" },
	{ "mixed@example.com",
	    "alice@example.com x@elsewhere.example X@Elsewhere.example y@elsewhere.example" },
	{ "away@example.com", "me@elsewhere.example" },
	{ "nobody@example.com", "ghost@example.com" },
	{ "none@example.com", "" },
	{ "self@example.com", "self@example.com" },
	{ "ring1@example.com", "ring2@example.com" },
	{ "ring2@example.com", "ring3@example.com" },
	{ "ring3@example.com", "ring1@example.com" },
	{ "ringout@example.com", "ring1@example.com ringout@example.com alice@example.com" },
	{ "diamond@example.com", "left@example.com right@example.com" },
	{ "left@example.com", "ghost@example.com bottom@example.com" },
	{ "right@example.com", "bottom@example.com" },
	{ "bottom@example.com", "ghost@example.com" },
	{ "plus+exact@example.com", "bob@example.com" },
	{ "bad@example.com", "not-an-address alice@example.com @example.com" },
	{ "chief@example.com", "postmaster" },
	{ "@catch.example", "bob@example.com" },
	{ "special@catch.example", "alice@example.com" },
	{ "@typo.example", "gone@typo.example" },
	{ "abuse@other.example", "postmaster@other.example postmaster@example.com" },
};

static void
fill(struct directory_builder *b, const char *postmaster)
{
	static const char *const domains[] = { "example.com", "catch.example", "typo.example",
		"other.example", "[192.0.2.1]" };
	for (size_t i = 0; i < ARRAY_LEN(domains); i++)
		directory_add_domain(b, str_of(domains[i]));
	directory_add_user(b, STR("Alice@example.com"), 1);
	directory_add_user(b, STR("bob@example.com"), 2);
	directory_add_limited(b, STR("carol@example.com"), 3);
	directory_add_user(b, STR("\"odd one\"@example.com"), 4);
	directory_add_user(b, STR("j\xc3\xb6rg@example.com"), 5);
	directory_add_user(b, STR("lit@[192.0.2.1]"), 6);
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
		struct str member[8], rest = str_of(aliases[i].members);
		size_t n = 0;
		while (rest.p && rest.len)
			member[n++] = str_cut(&rest, ' ');
		directory_add_alias(b, str_of(aliases[i].address), member, n);
	}
	directory_set_options(b, '+', str_of(postmaster));
}

struct row {
	const char *rcpt;
	enum route_verdict verdict;
	const char *targets; /* "1 2 x@elsewhere" in order */
	const char *fullname;
	bool is_alias;
};

static const struct row rows[] = {
	{ "alice@example.com", ROUTE_LOCAL, "1", "Alice@example.com", false },
	{ "ALICE@EXAMPLE.COM", ROUTE_LOCAL, "1", "Alice@example.com", false },
	{ "\"alice\"@example.com", ROUTE_LOCAL, "1", "Alice@example.com", false },
	{ "alice+list@example.com", ROUTE_LOCAL, "1", "Alice@example.com", false },
	{ "alice+a+b@example.com", ROUTE_LOCAL, "1", "Alice@example.com", false },
	{ "alice+@example.com", ROUTE_LOCAL, "1", "Alice@example.com", false },
	{ "+alice@example.com", ROUTE_UNKNOWN, "", 0, false },
	{ "alice-list@example.com", ROUTE_UNKNOWN, "", 0, false },
	{ "\"odd one\"@example.com", ROUTE_LOCAL, "4", "\"odd one\"@example.com", false },
	{ "\"odd\\ ONE\"@example.com", ROUTE_LOCAL, "4", "\"odd one\"@example.com", false },
	{ "\"alice+x\"@example.com", ROUTE_UNKNOWN, "", 0, false },
	{ "j\xc3\xb6rg@example.com", ROUTE_LOCAL, "5", "j\xc3\xb6rg@example.com", false },
	{ "j\xc3\x96rg@example.com", ROUTE_UNKNOWN, "", 0, false },
	{ "lit@[192.0.2.1]", ROUTE_LOCAL, "6", "lit@[192.0.2.1]", false },
	{ "lit@[192.0.2.2]", ROUTE_REMOTE, "lit@[192.0.2.2]", "lit@[192.0.2.2]", false },
	{ "nemo@example.com", ROUTE_UNKNOWN, "", 0, false },
	{ "alice@other.example", ROUTE_UNKNOWN, "", 0, false },
	{ "x@elsewhere.example", ROUTE_REMOTE, "x@elsewhere.example", "x@elsewhere.example",
	    false },
	/* aliases */
	{ "staff@example.com", ROUTE_LOCAL, "1 2 3", "staff@example.com", true },
	{ "staff+x@example.com", ROUTE_LOCAL, "1 2 3", "staff@example.com", true },
	{ "team@example.com", ROUTE_LOCAL, "1 2 3", "Team@Example.COM", true },
	{ "mixed@example.com", ROUTE_LOCAL, "1 x@elsewhere.example y@elsewhere.example",
	    "mixed@example.com", true },
	{ "away@example.com", ROUTE_REMOTE, "me@elsewhere.example", "away@example.com", true },
	{ "nobody@example.com", ROUTE_UNKNOWN, "", "nobody@example.com", true },
	{ "none@example.com", ROUTE_UNKNOWN, "", "none@example.com", true },
	{ "plus+exact@example.com", ROUTE_LOCAL, "2", "plus+exact@example.com", true },
	{ "bad@example.com", ROUTE_LOCAL, "1", "bad@example.com", true },
	/* loops; a diamond is none */
	{ "self@example.com", ROUTE_LOOP, "", "self@example.com", true },
	{ "ring2@example.com", ROUTE_LOOP, "", "ring2@example.com", true },
	{ "ringout@example.com", ROUTE_LOCAL, "1", "ringout@example.com", true },
	{ "diamond@example.com", ROUTE_UNKNOWN, "", "diamond@example.com", true },
	/* catch-all */
	{ "any@catch.example", ROUTE_LOCAL, "2", "@catch.example", true },
	{ "any+x@catch.example", ROUTE_LOCAL, "2", "@catch.example", true },
	{ "special@catch.example", ROUTE_LOCAL, "1", "special@catch.example", true },
	{ "special+x@catch.example", ROUTE_LOCAL, "1", "special@catch.example", true },
	{ "any@typo.example", ROUTE_LOOP, "", "@typo.example", true },
	/* R-POST */
	{ "postmaster", ROUTE_LOCAL, "3", "postmaster", true },
	{ "PostMaster", ROUTE_LOCAL, "3", "PostMaster", true },
	{ "postmaster@example.com", ROUTE_LOCAL, "3", "postmaster@example.com", true },
	{ "POSTMASTER@OTHER.example", ROUTE_LOCAL, "3", "POSTMASTER@OTHER.example", true },
	{ "postmaster+x@example.com", ROUTE_LOCAL, "3", "postmaster+x@example.com", true },
	{ "postmaster@catch.example", ROUTE_LOCAL, "2", "@catch.example", true },
	{ "postmaster@elsewhere.example", ROUTE_REMOTE, "postmaster@elsewhere.example",
	    "postmaster@elsewhere.example", false },
	{ "chief@example.com", ROUTE_LOCAL, "3", "chief@example.com", true },
	{ "abuse@other.example", ROUTE_LOCAL, "3", "abuse@other.example", true },
};

static struct addr
addr_of(const char *text)
{
	struct addr a;
	if (addr_mailbox(str_of(text), ADDR_SMTPUTF8 | ADDR_BARE_POSTMASTER, &a) != ADDR_OK)
		fail_msg("%s is no address", text);
	return a;
}

static struct directory
directory_of(struct directory_builder *b, struct buf *out)
{
	struct directory d = { STR_NULL };
	buf_init(out, DIRECTORY_MAX);
	assert_true(directory_build(b, 1, out));
	assert_true(directory_open(&d, buf_str(out)));
	directory_builder_free(b);
	return d;
}

static void
targets_text(const struct route_result *r, struct buf *b)
{
	buf_reset(b);
	for (size_t i = 0; i < r->n_target; i++) {
		buf_putz(b, i ? " " : "");
		if (r->target[i].remote)
			buf_puts(b, r->target[i].address);
		else
			buf_putf(b, "%llu", (unsigned long long)r->target[i].account);
		assert_int_equal(r->target[i].limited, r->target[i].account == 3);
	}
}

static void
resolves(void **state)
{
	struct directory_builder *b = directory_builder_new();
	struct buf out, text = BUF_INIT(4096);
	fill(b, "carol@example.com");
	struct directory d = directory_of(b, &out);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a = addr_of(rows[i].rcpt);
		struct route_result r;
		route_resolve(&d, &a, &r);
		targets_text(&r, &text);
		const char *fullname = rows[i].fullname ? rows[i].fullname : rows[i].rcpt;
		if (r.verdict != rows[i].verdict ||
		    !str_eq(buf_str(&text), str_of(rows[i].targets)) ||
		    !str_eq(r.fullname, str_of(fullname)) || r.is_alias != rows[i].is_alias)
			fail_msg("%s: verdict %d targets \"" STR_FMT "\" fullname " STR_FMT
				 " alias %d",
			    rows[i].rcpt, r.verdict, STR_ARG(buf_str(&text)), STR_ARG(r.fullname),
			    r.is_alias);
		route_result_done(&r);
		route_result_done(&r);
	}
	buf_done(&text);
	buf_done(&out);
}

static void
null_goes_nowhere(void **state)
{
	struct directory_builder *b = directory_builder_new();
	struct buf out;
	fill(b, "");
	struct directory d = directory_of(b, &out);
	struct addr a;
	struct route_result r;
	assert_int_equal(addr_mailbox(STR(""), ADDR_NULL, &a), ADDR_OK);
	route_resolve(&d, &a, &r);
	assert_int_equal(r.verdict, ROUTE_UNKNOWN);
	route_result_done(&r);
	/* without a configured postmaster the first user it is */
	a = addr_of("postmaster");
	route_resolve(&d, &a, &r);
	assert_int_equal(r.verdict, ROUTE_LOCAL);
	assert_int_equal(r.target[0].account, 1);
	route_result_done(&r);
	buf_done(&out);
}

static const struct {
	const char *postmaster;
	enum route_verdict verdict;
} postmasters[] = {
	{ "staff@example.com", ROUTE_LOCAL },
	{ "postmaster", ROUTE_LOOP },
	{ "postmaster@example.com", ROUTE_LOOP },
	{ "self@example.com", ROUTE_LOOP },
	{ "ghost@example.com", ROUTE_UNKNOWN },
	{ "x@elsewhere.example", ROUTE_REMOTE },
	{ "nonsense", ROUTE_UNKNOWN },
	{ "chief@example.com", ROUTE_LOOP },
};

static void
postmaster_elsewhere(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(postmasters); i++) {
		struct directory_builder *b = directory_builder_new();
		struct buf out;
		fill(b, postmasters[i].postmaster);
		struct directory d = directory_of(b, &out);
		struct addr a = addr_of("postmaster");
		struct route_result r;
		route_resolve(&d, &a, &r);
		if (r.verdict != postmasters[i].verdict)
			fail_msg("%s: %d", postmasters[i].postmaster, r.verdict);
		route_result_done(&r);
		buf_done(&out);
	}
}

static void
add_numbered(struct directory_builder *b, const char *name, unsigned i, const struct str *members,
    size_t n)
{
	char text[64];
	snprintf(text, sizeof(text), "%s%u@example.com", name, i);
	directory_add_alias(b, str_of(text), members, n);
}

/* A chain of depth aliases that ends in alice. */
static enum route_verdict
chain(unsigned depth)
{
	struct directory_builder *b = directory_builder_new();
	struct buf out;
	fill(b, "");
	for (unsigned i = 1; i <= depth; i++) {
		char text[64];
		snprintf(text, sizeof(text), "chain%u@example.com", i + 1);
		struct str next = i == depth ? STR("alice@example.com") : str_of(text);
		add_numbered(b, "chain", i, &next, 1);
	}
	struct directory d = directory_of(b, &out);
	struct addr a = addr_of("chain1@example.com");
	struct route_result r;
	route_resolve(&d, &a, &r);
	enum route_verdict v = r.verdict;
	assert_int_equal(r.n_target, v == ROUTE_LOCAL ? 1 : 0);
	route_result_done(&r);
	buf_done(&out);
	return v;
}

static void
depth_has_a_cap(void **state)
{
	assert_int_equal(chain(1), ROUTE_LOCAL);
	assert_int_equal(chain(ALIAS_DEPTH_MAX), ROUTE_LOCAL);
	assert_int_equal(chain(ALIAS_DEPTH_MAX + 1), ROUTE_TOO_MANY);
	assert_int_equal(chain(1000), ROUTE_TOO_MANY);
}

static struct str *
members_new(size_t n)
{
	struct str *m = xalloc(n * sizeof(*m));
	for (size_t i = 0; i < n; i++) {
		char text[64];
		snprintf(text, sizeof(text), "r%zu@elsewhere.example", i);
		m[i] = str_of(xstrdup(text));
	}
	return m;
}

static enum route_verdict
verdict_of(const struct directory *d, const char *rcpt, size_t *ret_n)
{
	struct addr a = addr_of(rcpt);
	struct route_result r;
	route_resolve(d, &a, &r);
	*ret_n = r.n_target;
	enum route_verdict v = r.verdict;
	route_result_done(&r);
	return v;
}

static void
members_have_a_cap(void **state)
{
	size_t most = ALIAS_MEMBERS_MAX, n;
	struct str *m = members_new(most + 1);
	struct directory_builder *b = directory_builder_new();
	struct buf out;
	fill(b, "");
	add_numbered(b, "most", 0, m, most);
	add_numbered(b, "more", 0, m, most + 1);
	add_numbered(b, "half", 0, m, most / 2 + 1);
	add_numbered(b, "half", 1, m + most / 2, most / 2 + 1);
	add_numbered(b, "both", 0,
	    (struct str[]){ STR("half0@example.com"), STR("half1@example.com") }, 2);
	for (unsigned i = 0; i < 10;
	     i++) /* the same ones again and again: few targets, much work */
		add_numbered(b, "same", i, m, most);
	add_numbered(b, "work", 0,
	    (struct str[]){ STR("same0@example.com"), STR("same1@example.com"),
		STR("same2@example.com"), STR("same3@example.com"), STR("same4@example.com") },
	    5);
	struct directory d = directory_of(b, &out);
	assert_int_equal(verdict_of(&d, "most0@example.com", &n), ROUTE_REMOTE);
	assert_int_equal(n, most);
	assert_int_equal(verdict_of(&d, "more0@example.com", &n), ROUTE_TOO_MANY);
	assert_int_equal(verdict_of(&d, "half0@example.com", &n), ROUTE_REMOTE);
	assert_int_equal(verdict_of(&d, "both0@example.com", &n), ROUTE_TOO_MANY);
	assert_int_equal(n, 0);
	assert_int_equal(verdict_of(&d, "work0@example.com", &n), ROUTE_TOO_MANY);
	buf_done(&out);
	for (size_t i = 0; i <= most; i++)
		free((void *)(uintptr_t)m[i].p);
	free(m);
}

/* Every alias has the two of the next layer: 2^n ways, each alias looked at once. */
static void
lattice_is_quick(void **state)
{
	struct directory_builder *b = directory_builder_new();
	struct buf out;
	size_t n;
	fill(b, "");
	for (unsigned i = 0; i < ALIAS_DEPTH_MAX; i++) {
		char one[64], two[64];
		snprintf(one, sizeof(one), "left%u@example.com", i + 1);
		snprintf(two, sizeof(two), "right%u@example.com", i + 1);
		struct str next[] = { str_of(one), str_of(two) },
			   last[] = { STR("alice@example.com"), STR("bob@example.com") };
		add_numbered(b, "left", i, i + 1 == ALIAS_DEPTH_MAX ? last : next, 2);
		add_numbered(b, "right", i, i + 1 == ALIAS_DEPTH_MAX ? last : next, 2);
	}
	struct directory d = directory_of(b, &out);
	assert_int_equal(verdict_of(&d, "left0@example.com", &n), ROUTE_LOCAL);
	assert_int_equal(n, 2);
	buf_done(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves),
		cmocka_unit_test(null_goes_nowhere),
		cmocka_unit_test(postmaster_elsewhere),
		cmocka_unit_test(depth_has_a_cap),
		cmocka_unit_test(members_have_a_cap),
		cmocka_unit_test(lattice_is_quick),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
