/* conf: listeners at which mail is read: ports, what auto comes to, keys of other protocols. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "conf/conf_priv.h"

#include <stdlib.h>

#define HEAD "hostname = \"mail.example.org\";"

static struct conf *
load(const char *text, struct buf *err)
{
	struct conf *c = conf_new();
	if (!conf_load_text(c, "f", str_of(text), err))
		fail_msg("%s: %s", text, buf_cstr(err));
	return c;
}

/* One listener in its group, and what follows from it. */
static const struct {
	const char *text;
	enum conf_protocol protocol;
	uint64_t port, idle;
	bool implicit, starttls, auth, required, submission, bare_lf;
} rows[] = {
	{ "port = 25;", CONF_IS_SMTP, 25, 300, false, true, false, false, false, false },
	{ "port = 465;", CONF_IS_SMTP, 465, 300, true, false, true, true, true, true },
	{ "protocol = \"lmtp\";", CONF_IS_LMTP, 24, 300, false, false, false, false, false, false },
	{ "protocol = \"imap\";", CONF_IS_IMAP, 143, 1800, false, true, true, false, false, true },
	{ "protocol = \"imap\"; port = 993;", CONF_IS_IMAP, 993, 1800, true, false, true, false,
	    false, true },
	{ "protocol = \"imap\"; tls: { implicit = \"yes\"; };", CONF_IS_IMAP, 993, 1800, true,
	    false, true, false, false, true },
	{ "protocol = \"imap\"; port = 1143; limit: { idle_seconds = \"2h\"; };", CONF_IS_IMAP,
	    1143, 7200, false, true, true, false, false, true },
	{ "protocol = \"imap\"; port = 587; bare_lf = \"reject\";", CONF_IS_IMAP, 587, 1800, false,
	    true, true, false, false, false },
	{ "protocol = \"pop3\";", CONF_IS_POP3, 110, 600, false, true, true, false, false, true },
	{ "protocol = \"pop3\"; tls: { implicit = \"yes\"; };", CONF_IS_POP3, 995, 600, true, false,
	    true, false, false, true },
	{ "protocol = \"pop3\"; starttls = \"no\"; limit: { idle_seconds = 60; };", CONF_IS_POP3,
	    110, 600, false, false, true, false, false, true },
};

static void
what_follows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf text = BUF_INIT(4096), err = BUF_INIT(1 << 16);
		buf_putf(&text, HEAD "listen = ( { %s } );", rows[i].text);
		struct conf *c = load(buf_cstr(&text), &err);
		const struct conf_listener *l = &c->listeners[0];
		assert_int_equal(conf_protocol(l), rows[i].protocol);
		assert_int_equal(conf_is_lmtp(l), rows[i].protocol == CONF_IS_LMTP);
		assert_int_equal(conf_reads_mail(l), rows[i].protocol >= CONF_IS_IMAP);
		assert_int_equal(l->port, rows[i].port);
		assert_int_equal(conf_idle_seconds(l), rows[i].idle);
		assert_int_equal(conf_tls_implicit(l), rows[i].implicit);
		assert_int_equal(conf_starttls(l), rows[i].starttls);
		assert_int_equal(conf_auth(l), rows[i].auth);
		assert_int_equal(conf_auth_required(l), rows[i].required);
		assert_int_equal(conf_submission(l), rows[i].submission);
		assert_int_equal(conf_bare_lf_session(l), rows[i].bare_lf);
		assert_int_equal(conf_needs_certificate(c), rows[i].auth);
		conf_free(c);
		buf_done(&text);
		buf_done(&err);
	}
}

/* A short wait is for tests. */
static void
idle_in_a_lab(void **state)
{
	struct buf err = BUF_INIT(1 << 16);
	struct conf *c = conf_new();
	c->lab = true;
	struct conf_listener *l = conf_listener_add(c, "*", 10143, "imap");
	assert_int_equal(conf_idle_seconds(l), 1800);
	assert_true(conf_set(c, STR("limit.idle_seconds=2"), &err));
	assert_int_equal(conf_idle_seconds(l), 2);
	conf_free(c);
	buf_done(&err);
}

static const struct {
	const char *listener, *error, *warning; /* error NULL: good; warning NULL: none */
} checks[] = {
	{ "protocol = \"imap\";", NULL, NULL },
	{ "protocol = \"pop3\"; pop3_apop = true;", NULL, "pop3_apop is weak" },
	{ "protocol = \"imap\"; imap_separator = \".\"; imap_capability_pre = \"IMAP4rev1 "
	  "STARTTLS\"; max_size = \"1M\";",
	    NULL, NULL },
	{ "protocol = \"imap\"; vrfy = true;",
	    "listener *:143: vrfy is for smtp, and imap is spoken here; remove it", NULL },
	{ "protocol = \"imap\"; limit: { hops = 3; };", "limit.hops is for smtp", NULL },
	{ "protocol = \"imap\"; auth = \"no\";", "auth is for smtp", NULL },
	{ "protocol = \"imap\"; submission = \"yes\";", "submission is for smtp", NULL },
	{ "protocol = \"imap\"; socket: { mode = \"0600\"; };",
	    "socket.mode is for lmtp and metrics", NULL },
	{ "protocol = \"imap\"; pop3_expire = 3;", "pop3_expire is for pop3, and imap is", NULL },
	{ "protocol = \"pop3\"; imap_separator = \".\";", "imap_separator is for imap, and pop3",
	    NULL },
	{ "protocol = \"pop3\"; max_size = 5;", "max_size is for smtp and imap, and pop3 is",
	    NULL },
	{ "port = 25; imap_capability_tls = \"IMAP4rev1\";",
	    "imap_capability_tls is for imap, and "
	    "smtp is spoken here",
	    NULL },
	{ "protocol = \"lmtp\"; pop3_login_delay = 5;", "pop3_login_delay is for pop3, and lmtp",
	    NULL },
	{ "protocol = \"imap\"; address = \"unix:/run/imap\";", "at a unix socket only lmtp",
	    NULL },
	{ "port = 143;", NULL, "smtp is spoken at a port of imap; write protocol = \"imap\"" },
	{ "protocol = \"imap\"; port = 995;", NULL, "imap is spoken at a port of pop3" },
	{ "protocol = \"pop3\"; port = 587;", NULL, "pop3 is spoken at a port of smtp" },
	{ "protocol = \"imap\"; limit: { idle_seconds = 600; };", NULL,
	    "limit.idle_seconds is below the 1800" },
	{ "protocol = \"pop3\"; limit: { idle_seconds = 500; };", NULL,
	    "limit.idle_seconds is below the 600" },
	{ "protocol = \"imap\"; starttls = \"no\";", NULL, "nobody can log in" },
	{ "protocol = \"imap\"; tls: { required = true; }; starttls = \"no\";",
	    "tls.required asks for TLS", NULL },
	{ "protocol = \"imap\"; auth_cleartext = \"allow\";", NULL,
	    "lets passwords cross the network" },
	{ "protocol = \"imap\"; reply: { greeting = \"220 hi\"; };",
	    "reply.greeting is for smtp, and imap is spoken here", NULL },
	{ "protocol = \"imap\"; reply = ( { situation = \"imap.bye\"; text = \"bye bye\"; } );",
	    NULL, NULL },
	{ "protocol = \"imap\"; reply = ( { situation = \"pop3.quit\"; text = \"bye bye\"; } );",
	    "reply.pop3.quit is for pop3", NULL },
	{ "port = 25; reply = ( { situation = \"imap.ok.LOGIN\"; text = \"hi\"; } );",
	    "reply.imap.ok.LOGIN is for imap", NULL },
};

static void
keys_of_others(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		struct buf text = BUF_INIT(4096), err = BUF_INIT(1 << 16), warn = BUF_INIT(1 << 16);
		buf_putf(&text, HEAD "listen = ( { %s } );", checks[i].listener);
		struct conf *c = load(buf_cstr(&text), &err);
		bool ok = conf_check(c, &err, &warn);
		if (ok != !checks[i].error ||
		    (checks[i].error && !strstr(buf_cstr(&err), checks[i].error)))
			fail_msg("%s -> %s", checks[i].listener, err.len ? buf_cstr(&err) : "good");
		if (checks[i].warning ? !strstr(buf_cstr(&warn), checks[i].warning)
				      : ok && warn.len > 0)
			fail_msg("%s -> %s", checks[i].listener,
			    warn.len ? buf_cstr(&warn) : "no warning");
		conf_free(c);
		buf_done(&text);
		buf_done(&err);
		buf_done(&warn);
	}
}

/* At the top a key is for those who know it. */
static void
keys_of_all(void **state)
{
	static const char text[] =
	    HEAD "vrfy = true; auth = \"no\"; submission = \"no\"; max_size = \"1M\"; helo_check = "
		 "\"fqdn\"; imap_separator = \".\"; pop3_expire = 30; pop3_login_delay = \"1m\"; "
		 "quota = \"2G\"; reply: { greeting = \"220 hi\"; };"
		 "listen = ( { port = 25; }, { protocol = \"lmtp\"; }, { protocol = \"imap\"; },"
		 "{ protocol = \"pop3\"; } );";
	struct buf err = BUF_INIT(1 << 16), warn = BUF_INIT(1 << 16), dump = BUF_INIT(1 << 20);
	struct conf *c = load(text, &err);
	if (!conf_check(c, &err, &warn) || warn.len)
		fail_msg("%s%s", err.len ? buf_cstr(&err) : "", warn.len ? buf_cstr(&warn) : "");
	assert_true(conf_auth(&c->listeners[2]));
	assert_false(conf_auth(&c->listeners[0]));
	conf_dump(c, &dump);
	struct conf *again = conf_undump(buf_str(&dump), &err);
	assert_non_null(again);
	assert_int_equal(again->quota, UINT64_C(2) << 30);
	assert_string_equal(again->listeners[2].imap_separator, ".");
	assert_int_equal(again->listeners[3].pop3_expire, 30);
	assert_int_equal(again->listeners[3].pop3_login_delay, 60);
	conf_free(again);
	conf_free(c);
	buf_done(&err);
	buf_done(&warn);
	buf_done(&dump);
}

static const struct {
	const char *assignment;
	bool good;
} sets[] = {
	{ "imap_capability_pre=IMAP4rev1 STARTTLS LOGINDISABLED", true },
	{ "imap_capability_tls=IMAP4rev2 AUTH=PLAIN", true },
	{ "143:imap_capability_tls=", true },
	{ "10143:imap_separator=.", true },
	{ "imap_capability_pre=STARTTLS", false },
	{ "imap_capability_pre=IMAP4rev1 (x)", false },
	{ "imap_capability_pre=IMAP4rev1\r\n* OK", false },
	{ "imap_separator=-", false },
	{ "pop3_expire=never", false },
	{ "reply.imap.greeting=welcome", true },
	{ "reply.pop3.ok.STLS=go on", true },
	{ "reply.imap.greeting=a\rb", false },
	{ "reply.greeting=welcome", false },
};

static void
assignments(void **state)
{
	struct conf *c = conf_new();
	conf_listener_add(c, "127.0.0.1", 10143, "imap")->stands_for = 143;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		struct buf err = BUF_INIT(1 << 16);
		if (conf_set(c, str_of(sets[i].assignment), &err) != sets[i].good)
			fail_msg("%s: %s", sets[i].assignment, err.len ? buf_cstr(&err) : "taken");
		buf_done(&err);
	}
	assert_string_equal(c->listeners[0].imap_separator, ".");
	assert_string_equal(c->listeners[0].imap_capability_tls, "");
	conf_free(c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_follows),
		cmocka_unit_test(idle_in_a_lab),
		cmocka_unit_test(keys_of_others),
		cmocka_unit_test(keys_of_all),
		cmocka_unit_test(assignments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
