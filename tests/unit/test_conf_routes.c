#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"

#include <string.h>

/* What --set says, and what is wrong with it. */
static const struct {
	const char *set, *wrong; /* wrong NULL: nothing */
} sets[] = {
	{ "route.example.net=smtp:[127.0.0.1]:2525", NULL },
	{ "route.example.net.tls=never", NULL },
	{ "route.*=mx", NULL },
	{ "route.*.tls=verify", NULL },
	{ "route.*.example.org=lmtp:/run/lmtp", NULL },
	{ "route.*.example.org.source=192.0.2.1, 2001:db8::1", NULL },
	{ "route.*.example.org.max_connections=7", NULL },
	{ "route.*.example.org.fetch_every=1h", NULL },
	{ "route.[192.0.2.1]=hold:", NULL },
	{ "route.example.com=error:5.1.2 no such place", NULL },
	{ "route.example.com=somewhere", "mx:DOMAIN" },
	{ "route.example.com=smtp:host", "smtp:HOST:PORT" },
	{ "route.a b=mx", "nothing that a route can be for" },
	{ "route.**=mx", "nothing that a route can be for" },
	{ "route.example.com.tls=perhaps", "auto, never, may, must or verify" },
	{ "route.example.com.source=here", "IP addresses" },
	{ "route.example.com.mechs=XOAUTH2, plain LOGIN", NULL },
	{ "routes=x", "route.DOMAIN=VIA" },
	{ "route.example.com.tsl=must", "did you mean route.example.com.tls?" },
	{ "route.example.com.mechs=PLAIN FOO", "SCRAM-SHA-256" },
	{ "relay.source=1.2.3", "IP addresses" },
	{ "relay.tls=yes", "auto, never" },
	{ "relay.port=0", "1 to 65535" },
};

static void
test_set(void **state)
{
	struct conf *c = conf_new();
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		struct buf err = BUF_INIT(4096);
		bool ok = conf_set(c, str_of(sets[i].set), &err);
		if (ok != !sets[i].wrong ||
		    (!ok && str_find_str(buf_str(&err), str_of(sets[i].wrong)) == err.len))
			fail_msg("%s: " STR_FMT, sets[i].set, STR_ARG(buf_str(&err)));
		buf_done(&err);
	}
	conf_free(c);
}

static const struct {
	const char *domain, *match; /* NULL: none */
} finds[] = {
	{ "example.net", "example.net" },
	{ "mail.example.net", "*" },
	{ "a.b.example.org", "*.example.org" },
	{ "example.org", "*" },
	{ "[192.0.2.1]", "[192.0.2.1]" },
	{ "MAIL.Example.ORG", "*.example.org" },
	{ "badexample.org", "*" },
	{ "x.badexample.org", "*" },
	{ ".example.org", "*" },
	{ "example.org.", "*" },
	{ "", "*" },
};

static void
check_finds(const struct conf *c)
{
	for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		const struct conf_route *r = conf_route_for(c, str_of(finds[i].domain));
		assert_non_null(r);
		assert_string_equal(r->match, finds[i].match);
	}
	const struct conf_route *r = conf_route_find(c, STR("*.example.org"));
	assert_non_null(r);
	assert_int_equal(r->max_connections, 7);
	assert_string_equal(r->via, "lmtp:/run/lmtp");
	assert_string_equal(conf_route_find(c, STR("EXAMPLE.net"))->tls, "never");
}

/* The dump for the roles and the file for people say the same. */
static void
test_dump_and_show(void **state)
{
	struct buf err = BUF_INIT(4096), text = BUF_INIT(1u << 20);
	struct conf *c = conf_new();
	for (size_t i = 0; i < 9; i++)
		assert_true(conf_set(c, str_of(sets[i].set), &err));
	check_finds(c);
	conf_dump(c, &text);
	struct conf *back = conf_undump(buf_str(&text), &err);
	assert_non_null(back);
	check_finds(back);
	struct buf a = BUF_INIT(1u << 20), b = BUF_INIT(1u << 20);
	conf_show(c, false, &a);
	conf_show(back, false, &b);
	assert_true(str_eq(buf_str(&a), buf_str(&b)));
	assert_true(str_find_str(buf_str(&a),
			STR("routes = (\n\t{ match = \"example.net\"; via = "
			    "\"smtp:[127.0.0.1]:2525\"; tls = \"never\"; }")) < a.len);
	buf_done(&a);
	buf_done(&b);
	buf_done(&text);
	buf_done(&err);
	conf_free(c);
	conf_free(back);
}

/* Names of hosts are in lower case, wherever they come from; nothing else is touched. */
static void
test_hosts(void **state)
{
	static const char *const rows[][2] = {
		{ "smtp:Mail.Example.NET:25", "smtp:mail.example.net:25" },
		{ "mx:UP.test", "mx:up.test" },
		{ "lmtp:HOST:24", "lmtp:host:24" },
		{ "smtp:[IPv6:2001:DB8::1]:25", "smtp:[IPv6:2001:db8::1]:25" },
		{ "lmtp:/Run/LMTP", "lmtp:/Run/LMTP" },
		{ "error:5.1.2 Moved To MAIL", "error:5.1.2 Moved To MAIL" },
		{ "mx", "mx" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *c = conf_new();
		struct buf err = BUF_INIT(4096), set = BUF_INIT(4096);
		buf_putf(&set, "route.example.net=%s", rows[i][0]);
		assert_true(conf_set(c, buf_str(&set), &err));
		assert_string_equal(conf_route_find(c, STR("example.net"))->via, rows[i][1]);
		buf_done(&set);
		buf_done(&err);
		conf_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_dump_and_show),
		cmocka_unit_test(test_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
