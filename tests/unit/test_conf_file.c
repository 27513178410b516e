/* conf: files. All mistakes at once, each with its place and what to write instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "conf/conf_priv.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char good[] =
    "hostname = \"mail.example.org\";\n"
    "data_dir = \"/srv/mail\";\n"
    "limit: { conns_total = 7; conns_per_ip = \"off\"; bad_commands = 9; queue_bytes = \"5G\"; };\n"
    "log: { level = \"debug\"; };\n"
    "helo_check = \"fqdn\";\n"
    "auth = false; vrfy = \"yes\";\n"
    "reply: { quit: { ok = \"221 bye\"; }; };\n"
    "domains = [ \"example.org\", \"Example.ORG\", \"example.net\" ];\n"
    "alias = ( { address = \"staff@example.org\"; members = [ \"ann@example.org\", "
    "\"bob@example.net\" ]; },\n"
    "          { address = \"@example.net\"; members = \"ann@example.org\"; } );\n"
    "listen = ( { port = 25; },\n"
    "           { port = 2525; stands_for = 587; address = \"::1\"; dialect = \"postfix\"; "
    "max_size = \"1M\";\n"
    "             limit: { conns_listener = 3; }; helo_check = \"lenient\";\n"
    "             reply = ( { situation = \"greeting.reject\"; text = \"554 no\"; } ); } );\n";

static void
loads_a_good_file(void **state)
{
	struct conf *c = conf_new();
	struct buf err = BUF_INIT(1 << 20);
	bool ok = conf_load_text(c, "/etc/x.conf", str_of(good), &err);
	if (!ok)
		fail_msg("%s", buf_cstr(&err));
	assert_string_equal(c->hostname, "mail.example.org");
	assert_int_equal(c->limit_conns_total, 7);
	assert_true(c->limit_conns_per_ip == CONF_OFF);
	assert_true(c->limit_queue_bytes == UINT64_C(5) << 30);
	assert_string_equal(c->log_level, "debug");
	assert_int_equal(c->n_domains, 2);
	assert_int_equal(c->n_aliases, 2);
	assert_string_equal(c->aliases[0].members[1], "bob@example.net");
	assert_string_equal(c->aliases[1].address, "@example.net");
	assert_int_equal(c->n_listeners, 2);
	const struct conf_listener *a = &c->listeners[0], *b = &c->listeners[1];
	assert_string_equal(a->helo_check, "fqdn");
	assert_string_equal(b->helo_check, "lenient");
	assert_int_equal(a->limit_bad_commands, 9);
	assert_int_equal(b->limit_bad_commands, 9);
	assert_true(a->limit_conns_listener == CONF_OFF);
	assert_int_equal(b->limit_conns_listener, 3);
	assert_int_equal(b->max_size, 1 << 20);
	assert_true(a->vrfy);
	assert_false(conf_bare_lf_session(a));
	assert_true(conf_bare_lf_session(b));
	assert_string_equal(map_get(&a->replies, STR("quit.ok")), "221 bye");
	assert_string_equal(map_get(&b->replies, STR("quit.ok")), "221 bye");
	assert_string_equal(map_get(&b->replies, STR("greeting.reject")), "554 no");
	assert_null(map_get(&a->replies, STR("greeting.reject")));
	assert_true(conf_check(c, &err, NULL));
	conf_free(c);
	buf_done(&err);
}

static const char bad[] =
    "hostnam = \"x.example.org\";\n"                                   /* 1 */
    "limit: { conns_total = \"many\"; bad_commands = -1; };\n"         /* 2 */
    "conns_per_ip = 5;\n"                                              /* 3 */
    "auth = 7;\n"                                                      /* 4 */
    "host = 5;\n"                                                      /* 5 */
    "starttls = \"sometimes\";\n"                                      /* 6 */
    "client_ip = \"10.0.0.1\";\n"                                      /* 7: lab only */
    "domains = \"example.org\";\n"                                     /* 8 */
    "listen = ( { prot = 25; },\n"                                     /* 9 */
    "  { port = 0; },\n"                                               /* 10 */
    "  { hostname = \"a.b\"; },\n"                                     /* 11 */
    "  5,\n"                                                           /* 12 */
    "  { relay_ip = \"10.0.0.0/33\"; } );\n"                           /* 13 */
    "port = 26;\n"                                                     /* 14 */
    "max_size = 1.5;\n"                                                /* 15 */
    "alias = ( { members = [ \"a@b.c\" ]; },\n"                        /* 16 */
    "  { address = \"x@b.c\"; members = [ \"nobody\" ]; },\n"          /* 17 */
    "  { address = \"y@b.c\"; } ,\n"                                   /* 18 */
    "  { address = \"x@b.c\"; members = [ \"a@b.c\" ]; },\n"           /* 19 */
    "  { address = \"z@b.c\"; file = \"/nonexistent/members\"; } );\n" /* 20 */
    "reply: { greeting = \"hello\"; };\n"                              /* 21 */
    "dialect_dir = \"/nonexistent/dialects\";\n"                       /* 22 */
    "nothing_like_it_at_all = 1;\n"                                    /* 23 */
    "limits: { hops = 3; };\n";                                        /* 24 */

static const struct {
	unsigned line;
	const char *what; /* a part of the message */
} wanted[] = {
	{ 1, "unknown key hostnam; did you mean hostname?" },
	{ 2, "limit.conns_total cannot be \"many\"; write a number, or off" },
	{ 2, "limit.bad_commands cannot be \"-1\"" },
	{ 3, "unknown key conns_per_ip; did you mean limit.conns_per_ip?" },
	{ 4, "auth is a number here; write yes, no or auto" },
	{ 5, "host is a number here; write a host name, such as mail.example.org, in double "
	     "quotes" },
	{ 6, "starttls cannot be \"sometimes\"; write yes, no, auto or "
	     "advertise-refuse" },
	{ 7, "client_ip makes the server pretend and works only in a lab" },
	{ 8, "domains is text here; write domains = [" },
	{ 9, "unknown key prot; did you mean port?" },
	{ 10, "port cannot be \"0\"; write a number from 1 to 65535" },
	{ 11, "hostname is one for the whole server; move it out of the listener" },
	{ 12, "a listener is a group" },
	{ 13, "relay_ip cannot be \"10.0.0.0/33\"; write networks" },
	{ 14, "port belongs to one listener" },
	{ 15, "max_size is a number with a point here" },
	{ 16, "an alias needs an address" },
	{ 17, "\"nobody\" is no address" },
	{ 18, "the alias y@b.c has no member" },
	{ 19, "the alias x@b.c is here a second time" },
	{ 20, "cannot read /nonexistent/members: No such file" },
	{ 21, "reply.greeting cannot be \"hello\"" },
	{ 22, "cannot read the directory /nonexistent/dialects" },
	{ 23, "unknown key nothing_like_it_at_all; remove it" },
	{ 24, "unknown key limits.hops; did you mean limit.hops?" },
};

static void
tells_every_mistake_at_once(void **state)
{
	struct conf *c = conf_new();
	struct buf err = BUF_INIT(1 << 20);
	assert_false(conf_load_text(c, "/etc/x.conf", str_of(bad), &err));
	const char *text = buf_cstr(&err);
	size_t lines = 0;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		char begin[300];
		snprintf(begin, sizeof begin, "/etc/x.conf:%u: %s", wanted[i].line, wanted[i].what);
		if (!strstr(text, begin))
			fail_msg("missing: %s\nin:\n%s", begin, text);
	}
	if (lines != ARRAY_LEN(wanted))
		fail_msg("%zu lines for %zu mistakes:\n%s", lines, ARRAY_LEN(wanted), text);
	conf_free(c);
	buf_done(&err);
}

static const struct {
	const char *text, *what;
} broken[] = {
	{ "hostname = mail;\n", "f:1: syntax error; write name = value;" },
	{ "a = 1;\na = 2;\n", "f:2: duplicate setting name; keep one" },
	{ "limit: {\n", "syntax error" },
	{ "@include \"none-such\"\n", "cannot open include file; name a file" },
	{ "# 1\nlimit: { queue_messages = 5000000000; };\n",
	    "f:2: the number 5000000000 is too large as it stands; write it in double quotes" },
	{ "limit: { queue_messages = 99999999999999999999L; };\n",
	    "f:1: the number 99999999999999999999L" },
	{ "limit: { queue_messages = 0x1ffffffff; };\n", "f:1: the number 0x1ffffffff" },
	{ "lab = \"maybe\";\n", "f:1: lab cannot be \"maybe\"; write yes or no" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; relay_sender = \"a@b, example.org\"; } );",
	    "relay_sender cannot be \"a@b, example.org\"; write addresses and @domains" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; tls: { required_senders = \"@\"; }; } );",
	    "tls.required_senders cannot be \"@\"; write addresses and @domains" },
	{ "hostname = \"a.b\"; tls: { certificates = ( { cert = \"a\"; } ); };",
	    "a group without the file key in tls.certificates; write { cert = " },
	{ "hostname = \"a.b\"; tls: { certificates = ( { key = \"a\"; } ); };",
	    "a group without the file cert in tls.certificates; write { cert = " },
	{ "hostname = \"a.b\"; tls: { certificates = ( \"a\" ); };",
	    "something else than a group in tls.certificates; write { cert = " },
	{ "hostname = \"a.b\"; tls: { certificates = ( { cert = \"a\"; key = \"b\"; foo = 1; } ); "
	  "};",
	    "a group with more than cert and key in tls.certificates; write { cert = " },
};

static void
tells_syntax_errors(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct conf *c = conf_new();
		struct buf err = BUF_INIT(1 << 20);
		assert_false(conf_load_text(c, "f", str_of(broken[i].text), &err));
		if (!strstr(buf_cstr(&err), broken[i].what))
			fail_msg("%s -> %s", broken[i].text, buf_cstr(&err));
		conf_free(c);
		buf_done(&err);
	}
}

static const char *const quiet[] = {
	"",
	"# 5000000000\n",
	"/* 5000000000 */",
	"// 5000000000",
	"log: { file = \"a5000000000.b\\\"5000000000\"; };",
	"limit: { queue_messages = 5000000000L; };",
	"max_size = 52428800;",
	"limit: { queue_messages = 0xffff; };",
};

static void
wide_numbers_only_where_they_are(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++) {
		struct conf *c = conf_new();
		struct buf err = BUF_INIT(1 << 20);
		if (!conf_load_text(c, "f", str_of(quiet[i]), &err))
			fail_msg("%s -> %s", quiet[i], buf_cstr(&err));
		conf_free(c);
		buf_done(&err);
	}
}

static void
lab_keys_in_a_lab(void **state)
{
	static const char text[] = "client_ip = \"10.0.0.1\"; listen = ( { port = 2; counter = 7; "
				   "dialect = \"iis6\"; tls: { broken = true; }; } ); lab = true;";
	struct conf *c = conf_new();
	struct buf err = BUF_INIT(1 << 20);
	assert_true(conf_load_text(c, "f", str_of(text), &err));
	assert_string_equal(c->listeners[0].client_ip, "10.0.0.1");
	assert_int_equal(c->listeners[0].counter, 7);
	assert_true(c->listeners[0].tls_broken);
	assert_true(conf_bare_lf_session(&c->listeners[0]));
	conf_free(c);
	buf_done(&err);
}

static void
put_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(file_replace(path, str_of(text), 0600), 0);
}

static void
reads_files_beside_it(void **state)
{
	char dir[] = "/tmp/pennypost-conf-XXXXXX", path[256];
	assert_non_null(mkdtemp(dir));
	put_file(dir, "members",
	    "# staff\nann@example.org\n\n  bob@example.org # bob\ncarl@example.org");
	put_file(dir, "more.conf", "limit: { hops = 5; };\nlog: { level = \"loud\"; };\n");
	put_file(dir, "own.dialect", "dialect = own\nbase = rfc\n");
	put_file(dir, "c.conf",
	    "alias = ( { address = \"staff@example.org\"; file = \"members\"; } );\ndialect_dir = "
	    "\".\";\n");
	put_file(dir, "d.conf", "@include \"more.conf\"\n");
	struct buf err = BUF_INIT(1 << 20);
	struct conf *c = conf_new();
	snprintf(path, sizeof path, "%s/c.conf", dir);
	assert_true(conf_load(c, path, &err));
	assert_int_equal(c->aliases[0].n_members, 3);
	assert_string_equal(c->aliases[0].members[2], "carl@example.org");
	assert_int_equal(c->n_dialects, 1);
	assert_string_equal(c->dialects[0].name, "own");
	conf_free(c);
	c = conf_new();
	snprintf(path, sizeof path, "%s/d.conf", dir);
	assert_false(conf_load(c, path, &err));
	assert_int_equal(c->defaults.limit_hops, 5);
	assert_non_null(strstr(buf_cstr(&err), "more.conf:2: log.level cannot be \"loud\""));
	conf_free(c);
	buf_reset(&err);
	c = conf_new();
	assert_false(conf_load(c, "/nonexistent/x.conf", &err));
	assert_non_null(strstr(buf_cstr(&err), "cannot be read"));
	conf_free(c);
	buf_done(&err);
	static const char *const names[] = { "members", "more.conf", "own.dialect", "c.conf",
		"d.conf" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
}

/* What `config show` prints is a file that says the same. */
static void
shows_what_it_loads(void **state)
{
	for (int all = 0; all < 2; all++) {
		struct conf *c = conf_new(), *d = conf_new();
		struct buf err = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20), x = BUF_INIT(1 << 20),
			   y = BUF_INIT(1 << 20);
		assert_true(conf_load_text(c, "/etc/x.conf", str_of(good), &err));
		conf_show(c, all, &text);
		if (!conf_load_text(d, "again", buf_str(&text), &err))
			fail_msg("%s\n%s", buf_cstr(&err), buf_cstr(&text));
		conf_dump(c, &x);
		conf_dump(d, &y);
		assert_string_equal(buf_cstr(&x), buf_cstr(&y));
		conf_free(c);
		conf_free(d);
		buf_done(&err);
		buf_done(&text);
		buf_done(&x);
		buf_done(&y);
	}
}

static const struct {
	const char *text, *error, *warning;
} whole[] = {
	{ "", "hostname is not set", "" },
	{ "hostname = \"a.b\";", "there is no listener", "" },
	{ "hostname = \"a\"; listen = ( { port = 25; } );", NULL, "has no dot" },
	{ "hostname = \"a.b\"; data_dir = \"x\"; listen = ( { port = 25; } );", "no absolute path",
	    "" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; }, { port = 25; } );",
	    "two listeners at * port 25", "" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; relay_ip = \"10.0.0.0/8, 0.0.0.0/0\"; } );",
	    NULL, "covers the whole internet" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; relay_sender = \"x@y\"; } );", NULL,
	    "anybody can claim to be a sender of relay_sender" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; address = \"::1\"; starttls = \"no\"; tls: "
	  "{ "
	  "required = true; }; } );",
	    "listener [::1]:25: tls.required asks for TLS, which starttls = no", "" },
	{ "hostname = \"a.b\"; listen = ( { port = 465; starttls = \"no\"; tls: { required = true; "
	  "}; } );",
	    NULL, "" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; starttls = \"advertise-refuse\"; tls: { "
	  "required_senders = \"@a\"; }; } );",
	    "tls.required_senders asks for TLS", "" },
	{ "hostname = \"a.b\"; listen = ( { port = 465; starttls = \"yes\"; } );", NULL,
	    "starttls has no effect where TLS begins at once" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; } ); dns = \"\"; dns_trust_anchor = "
	  "\"/a.key\";",
	    NULL, "dns_trust_anchor has no effect while dns is empty" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; } ); queue: { retry_first = \"2h\"; };",
	    NULL, "queue.retry_first is above queue.retry_most" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; } ); queue: { lifetime = \"1h\"; };", NULL,
	    "queue.warn is not below queue.lifetime" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; } ); domains = [ \"A.example\" ]; routes = "
	  "( { "
	  "match = \"a.example\"; via = \"smtp:b.example:25\"; } );",
	    NULL, "route a.example: it has no effect" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; } ); routes = ( { match = \"a.example\"; "
	  "via = "
	  "\"turn:\"; } );",
	    NULL, "name accounts in atrn" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; tls: { legacy = true; }; } );", NULL,
	    "which are broken" },
	{ "hostname = \"a.b\"; listen = ( { port = 587; auth = \"no\"; auth_required = \"yes\"; } "
	  ");",
	    "auth_required asks for AUTH, which auth = no", "" },
	{ "hostname = \"a.b\"; listen = ( { port = 587; starttls = \"no\"; } );", NULL,
	    "nobody can log in" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; auth_cleartext = \"allow\"; } );", NULL,
	    "lets passwords cross the network" },
	{ "hostname = \"a.b\"; listen = ( { port = 587; mechs = \"PLAIN GSSAPI\"; } );", NULL,
	    "without gssapi.keytab" },
	{ "hostname = \"a.b\"; listen = ( { port = 587; mechs = \"PLAIN EXTERNAL\"; } );", NULL,
	    "without tls.client_ca" },
	{ "hostname = \"a.b\"; listen = ( { port = 587; mechs = \"XOAUTH2\"; } );", NULL,
	    "without oauth.keys" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; proxy_peers = \"0.0.0.0/0\"; } );",
	    "proxy_peers covers the whole internet", "" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; tls: { client_ca = \"/nonexistent/ca\"; }; "
	  "} );",
	    "tls.client_ca: /nonexistent/ca cannot be read: No such file", "" },
	{ "hostname = \"a.b\"; tls: { client_ca = \"/etc/passwd\"; }; listen = ( { port = 25; }, "
	  "{ port = 26; } );",
	    "tls.client_ca: /etc/passwd: no certificate in PEM form; name a file", "" },
	{ "hostname = \"a.b\"; relay_domains = \"c.d\"; relay_recipients = \"/nonexistent/r\"; "
	  "listen = ( { port = 25; } );",
	    "relay_recipients: /nonexistent/r cannot be read: No such file", "" },
	{ "hostname = \"a.b\"; relay_domains = \"c.d\"; relay_recipients = \"/etc/passwd\"; "
	  "listen = ( { port = 25; } );",
	    "relay_recipients: /etc/passwd:1: \"root:x:0:0:root:/root:/bin/", "" },
	{ "hostname = \"a.b\"; relay_recipients = \"/dev/null\"; "
	  "listen = ( { port = 25; } );",
	    NULL, "relay_recipients names who exists in relay_domains, and that is empty" },
	{ "hostname = \"a.b\"; listen = ( { protocol = \"lmtp\"; auth = \"yes\"; } );",
	    "LMTP has no login", "" },
	{ "hostname = \"a.b\"; listen = ( { protocol = \"lmtp\"; submission = \"yes\"; } );",
	    "mail is not handed in by LMTP", "" },
	{ "hostname = \"a.b\"; listen = ( { protocol = \"lmtp\"; address = \"unix:/a\"; starttls = "
	  "\"yes\"; } );",
	    "there is no TLS at a unix socket", "" },
	{ "hostname = \"a.b\"; listen = ( { port = 25; limit: { idle_seconds = 5; }; } );", NULL,
	    "RFC 5321" },
	{ "hostname = \"a.b\"; listen = ( { protocol = \"lmtp\"; port = 25; } );",
	    "listener 127.0.0.1:25: LMTP must not be used at port 25", "" },
	{ "hostname = \"a.b\"; listen = ( { protocol = \"lmtp\"; stands_for = 25; } );",
	    "listener 127.0.0.1:24: LMTP must not be used at port 25", "" },
	{ "hostname = \"a.b\"; listen = ( { protocol = \"lmtp\"; address = \"*\"; } );", NULL,
	    "answered to this machine only" },
	{ "hostname = \"a.b\"; listen = ( { address = \"unix:/a\"; } );",
	    "listener unix:/a: at a unix socket only lmtp", "" },
	{ "hostname = \"a.b\"; listen = ( { protocol = \"lmtp\"; address = \"unix:a\"; }, { "
	  "protocol = \"lmtp\"; address = \"unix:a\"; } );",
	    "two listeners at unix:a; remove one", "" },
	{ "hostname = \"a.b\"; listen = ( { protocol = \"lmtp\"; address = \"unix:a\"; socket: { "
	  "mode = \"0662\"; }; } );",
	    NULL, "every account of this machine may deliver" },
};

static void
listeners_for_lmtp(void **state)
{
	static const char text[] =
	    "listen = ( { protocol = \"lmtp\"; }, { protocol = \"lmtp\"; address = \"unix:run/x\"; "
	    "socket: { mode = \"600\"; user = \"mail\"; group = \"8\"; }; },"
	    "{ protocol = \"lmtp\"; address = \"::1\"; port = 2424; } );";
	struct conf *c = conf_new();
	struct buf err = BUF_INIT(1 << 20), show = BUF_INIT(1 << 20);
	assert_true(conf_load_text(c, "f", str_of(text), &err));
	const struct conf_listener *l = c->listeners;
	assert_string_equal(l[0].address, "127.0.0.1");
	assert_int_equal(l[0].port, 24);
	assert_null(conf_unix_path(&l[0]));
	assert_string_equal(conf_unix_path(&l[1]), "run/x");
	assert_string_equal(l[1].socket_mode, "600");
	assert_string_equal(l[1].socket_group, "8");
	assert_int_equal(l[2].port, 2424);
	assert_true(conf_is_lmtp(&l[2]));
	/* What is shown can be read again: a unix socket's port, which is nowhere, as well. */
	conf_show(c, true, &show);
	struct conf *again = conf_new();
	assert_true(conf_load_text(again, "f", buf_str(&show), &err));
	for (size_t i = 0; i < 3; i++)
		assert_true(conf_same_place(&l[i], &again->listeners[i]));
	conf_free(again);
	conf_free(c);
	buf_done(&err);
	buf_done(&show);
}

static void
says_when_nothing_was_read(void **state)
{
	static const struct {
		const char *text;
		bool unread;
	} rows[] = { { "hostname = ", true }, { "hostname = 5;", false }, { "x = 1;", false },
		{ "listen = ( { port = 25; );", true }, { "", false } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *c = conf_new();
		struct buf err = BUF_INIT(1 << 20);
		(void)conf_load_text(c, "f", str_of(rows[i].text), &err);
		assert_int_equal(c->unread, rows[i].unread);
		conf_free(c);
		buf_done(&err);
	}
}

static void
checks_the_whole(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
		struct conf *c = conf_new();
		struct buf err = BUF_INIT(1 << 20), warn = BUF_INIT(1 << 20);
		assert_true(conf_load_text(c, "f", str_of(whole[i].text), &err));
		bool ok = conf_check(c, &err, &warn);
		assert_int_equal(ok, whole[i].error == NULL);
		if (whole[i].error && !strstr(buf_cstr(&err), whole[i].error))
			fail_msg("%s -> %s", whole[i].text, buf_cstr(&err));
		if (!strstr(buf_cstr(&warn), whole[i].warning))
			fail_msg("%s -> %s", whole[i].text, buf_cstr(&warn));
		conf_free(c);
		buf_done(&err);
		buf_done(&warn);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_a_good_file),
		cmocka_unit_test(tells_every_mistake_at_once),
		cmocka_unit_test(tells_syntax_errors),
		cmocka_unit_test(wide_numbers_only_where_they_are),
		cmocka_unit_test(lab_keys_in_a_lab),
		cmocka_unit_test(reads_files_beside_it),
		cmocka_unit_test(shows_what_it_loads),
		cmocka_unit_test(checks_the_whole),
		cmocka_unit_test(listeners_for_lmtp),
		cmocka_unit_test(says_when_nothing_was_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
