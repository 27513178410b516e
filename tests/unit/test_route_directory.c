#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/wire.h"
#include "route/directory.h"
#include "route/route.h"

#include <stdio.h>
#include <stdlib.h>

static void
add_alias(struct directory_builder *b, const char *address, const char *members)
{
	struct str member[64], rest = str_of(members);
	size_t n = 0;
	while (rest.p && rest.len)
		member[n++] = str_cut(&rest, ' ');
	directory_add_alias(b, str_of(address), member, n);
}

static void
build(struct buf *out, void fill(struct directory_builder *))
{
	struct directory_builder *b = directory_builder_new();
	fill(b);
	buf_init(out, DIRECTORY_MAX);
	assert_true(directory_build(b, 42, out));
	directory_builder_free(b);
}

static void
two_users(struct directory_builder *b)
{
	directory_add_domain(b, STR("Example.COM"));
	directory_add_domain(b, STR("b\xc3\xbc"
				    "cher.example"));
	directory_add_domain(b, STR("[192.0.2.1]"));
	directory_add_user(b, STR("Alice@example.com"), 7);
	directory_add_user(b, STR("bob@example.com"), 8);
	directory_add_user(b, STR("bob@example.com"), 9); /* the later one counts */
	directory_add_user(b, STR("no address"), 10);
}

static void
opens(void **state)
{
	struct buf out;
	struct directory d;
	build(&out, two_users);
	assert_true(directory_open(&d, buf_str(&out)));
	assert_int_equal(directory_version(&d), 42);
	assert_int_equal(directory_users(&d), 2);
	assert_true(directory_is_local(&d, STR("example.com")));
	assert_true(directory_is_local(&d, STR("EXAMPLE.com")));
	assert_true(directory_is_local(&d, STR("B\xc3\xbc"
					       "cher.example")));
	assert_true(directory_is_local(&d, STR("[192.0.2.1]")));
	assert_false(directory_is_local(&d, STR("192.0.2.1")));
	assert_false(directory_is_local(&d, STR("")));
	assert_false(directory_is_local(&d, STR("example.org")));
	assert_false(directory_is_local(&d, STR("alice@example.com")));
	buf_done(&out);
}

static void
empty_one(struct directory_builder *b)
{
}

static void
empty(void **state)
{
	struct buf out;
	struct directory d;
	struct addr a;
	struct route_result r;
	build(&out, empty_one);
	assert_true(directory_open(&d, buf_str(&out)));
	assert_int_equal(directory_users(&d), 0);
	assert_int_equal(addr_mailbox(STR("postmaster"), ADDR_BARE_POSTMASTER, &a), ADDR_OK);
	route_resolve(&d, &a, &r);
	assert_int_equal(r.verdict, ROUTE_UNKNOWN);
	route_result_done(&r);
	assert_null(directory_builder_free(NULL));
	buf_done(&out);
}

static void
many_users(struct directory_builder *b)
{
	directory_add_domain(b, STR("example.com"));
	for (unsigned i = 0; i < 50000; i++) {
		char text[64];
		snprintf(text, sizeof(text), "user%u@example.com", i);
		directory_add_user(b, str_of(text), i + 1);
	}
}

static void
finds_everybody(void **state)
{
	struct buf out;
	struct directory d;
	build(&out, many_users);
	assert_true(directory_open(&d, buf_str(&out)));
	assert_int_equal(directory_users(&d), 50000);
	for (unsigned i = 0; i < 60000; i++) {
		char text[64];
		struct addr a;
		struct route_result r;
		snprintf(text, sizeof(text), "USER%u@example.com", i);
		assert_int_equal(addr_mailbox(str_of(text), 0, &a), ADDR_OK);
		route_resolve(&d, &a, &r);
		assert_int_equal(r.verdict, i < 50000 ? ROUTE_LOCAL : ROUTE_UNKNOWN);
		if (i < 50000)
			assert_int_equal(r.target[0].account, i + 1);
		route_result_done(&r);
	}
	buf_done(&out);
}

static void
does_not_fit(void **state)
{
	struct directory_builder *b = directory_builder_new();
	many_users(b);
	struct buf out = BUF_INIT(100000);
	buf_putz(&out, "before");
	assert_false(directory_build(b, 1, &out));
	assert_int_equal(out.len, 6);
	buf_done(&out);
	directory_builder_free(b);
}

static void
with_aliases(struct directory_builder *b)
{
	two_users(b);
	add_alias(b, "staff@example.com", "alice@example.com bob@example.com x@elsewhere.example");
	add_alias(b, "all@example.com", "staff@example.com all@example.com");
	add_alias(b, "@example.com", "alice@example.com");
	directory_set_options(b, '+', STR("alice@example.com"));
}

static void
resolve_all(const struct directory *d)
{
	static const char *const address[] = { "alice@example.com", "bob+x@example.com",
		"all@example.com", "nobody@example.com", "postmaster", "a@elsewhere.example" };
	(void)directory_users(d);
	for (size_t i = 0; i < ARRAY_LEN(address); i++) {
		struct addr a;
		struct route_result r;
		assert_int_equal(addr_mailbox(str_of(address[i]), ADDR_BARE_POSTMASTER, &a),
		    ADDR_OK);
		route_resolve(d, &a, &r);
		assert_true(r.n_target <= ROUTE_TARGETS_MAX);
		route_result_done(&r);
	}
}

/* Every octet damaged in several ways, every length: wrong answers perhaps, faults never. */
static void
damaged(void **state)
{
	struct buf out;
	build(&out, with_aliases);
	for (size_t n = 0; n <= out.len; n++) {
		char *p = xmemdup(out.p, n);
		struct directory d;
		assert_int_equal(directory_open(&d, str_n(p, n)), n == out.len);
		if (n >= 32) { /* as if the length had been damaged too */
			be64_put((unsigned char *)p + 24, n);
			if (directory_open(&d, str_n(p, n)))
				resolve_all(&d);
		}
		free(p);
	}
	static const unsigned char mask[] = { 0x01, 0x80, 0xff, 0x10 };
	for (size_t n = 0; n < out.len; n++) {
		for (size_t m = 0; m < ARRAY_LEN(mask); m++) {
			char *p = xmemdup(out.p, out.len);
			struct directory d;
			p[n] = (char)(p[n] ^ mask[m]);
			if (directory_open(&d, str_n(p, out.len)))
				resolve_all(&d);
			free(p);
		}
	}
	buf_done(&out);
}

static void
others(struct directory_builder *b)
{
	directory_add_domain(b, STR("example.com"));
	directory_add_elsewhere(b, STR("Joe@Example.net"));
	directory_add_elsewhere(b, STR("jane@b\xc3\xbc"
				       "cher.example"));
	directory_add_elsewhere(b, STR("example.org")); /* no address: left out */
	directory_set_options(b, '+', STR(""));
}

static void
who_exists_elsewhere(void **state)
{
	static const struct {
		const char *address;
		bool may;
	} rows[] = { { "joe@example.net", true }, { "JOE+x@EXAMPLE.NET", true },
		{ "postmaster@example.net", true }, { "jane@xn--bcher-kva.example", true },
		{ "anybody@example.org", true }, { "jo@example.net", false },
		{ "+joe@example.net", false }, { "\"joe+x\"@example.net", false },
		{ "joe@b\xc3\xbc"
		  "cher.example",
		    false },
		{ "joe@sub.example.net", true } };
	struct buf out;
	struct directory d;
	struct addr a;
	build(&out, others);
	assert_true(directory_open(&d, buf_str(&out)));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(addr_mailbox(str_of(rows[i].address), ADDR_SMTPUTF8, &a), ADDR_OK);
		assert_int_equal(directory_may_exist(&d, &a), rows[i].may);
	}
	assert_false(directory_is_local(&d, STR("example.net")));
	buf_done(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens),
		cmocka_unit_test(empty),
		cmocka_unit_test(finds_everybody),
		cmocka_unit_test(who_exists_elsewhere),
		cmocka_unit_test(does_not_fit),
		cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
