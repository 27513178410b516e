#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "mail/header.h"
#include "mail/received.h"

#define DATE "Fri, 27 Apr 2012 23:29:54 +0000"
#define SEC 1335569394
#define S(lit)                                                                                     \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}

static const struct {
	struct received in;
	const char *out;
} rows[] = {
	{ { .helo = S("client.example"),
	      .peer_name = S("host.example"),
	      .peer_ip = S("192.0.2.1"),
	      .by = S("mx.example.com"),
	      .with = S("ESMTP"),
	      .id = S("4BhX"),
	      .session = S("s-17"),
	      .rcpt = S("bob@example.com"),
	      .sec = SEC },
	    "Received: from client.example (host.example [192.0.2.1])\r\n"
	    "\tby mx.example.com with ESMTP id 4BhX (session s-17)\r\n"
	    "\tfor <bob@example.com>; " DATE "\r\n" },
	/* K1-32: no HELO was said; more than one recipient */
	{ { .peer_ip = S("2001:db8::1"),
	      .by = S("mx.example.com"),
	      .with = S("SMTP"),
	      .id = S("1"),
	      .sec = SEC },
	    "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n"
	    "\tby mx.example.com with SMTP id 1;\r\n"
	    "\t" DATE "\r\n" },
	/* it came by a unix socket */
	{ { .helo = S("relay.example"), .by = S("a"), .with = S("LMTP"), .id = S("1"), .sec = SEC },
	    "Received: from relay.example (unix socket)\r\n"
	    "\tby a with LMTP id 1;\r\n"
	    "\t" DATE "\r\n" },
	{ { .by = S("a"), .with = S("LMTP"), .id = S("1"), .sec = SEC },
	    "Received: from localhost (unix socket)\r\n"
	    "\tby a with LMTP id 1;\r\n"
	    "\t" DATE "\r\n" },
	{ { .helo = S("[192.0.2.1]"),
	      .peer_ip = S("192.0.2.1"),
	      .by = S("a"),
	      .with = S("ESMTPS"),
	      .id = S("1"),
	      .tls = S("TLS1.3 TLS_AES_256_GCM_SHA384"),
	      .sec = SEC,
	      .zone = 120 },
	    "Received: from [192.0.2.1] ([192.0.2.1]) (TLS1.3 TLS_AES_256_GCM_SHA384)\r\n"
	    "\tby a with ESMTPS id 1;\r\n"
	    "\tSat, 28 Apr 2012 01:29:54 +0200\r\n" },
	/* RFC 3865 2.6 */
	{ { .peer_ip = S("192.0.2.1"),
	      .by = S("a"),
	      .with = S("ESMTP"),
	      .solicits = S("net.example:ADV,org.example:ADV:ADLT,com.example:a-class-of-)them"),
	      .id = S("1"),
	      .sec = 1335569394,
	      .zone = 120 },
	    "Received: from [192.0.2.1] ([192.0.2.1])\r\n"
	    "\tby a with ESMTP (SOLICIT=net.example:ADV, org.example:ADV:ADLT,\r\n"
	    "\tcom.example:a-class-of-\\)them) id 1;\r\n"
	    "\tSat, 28 Apr 2012 01:29:54 +0200\r\n" },
	/* nobody can add a line, a field, a clause or leave a comment */
	{ { .helo = S("a\r\nX: y (;)\"\\\x80\0"),
	      .peer_name = S("a) by evil (\\\r\n"),
	      .peer_ip = S("192.0.2.1"),
	      .by = S("b"),
	      .with = S("SMTP"),
	      .id = S("1 2"),
	      .session = S(")\n"),
	      .rcpt = S("\"a\nb\"@c"),
	      .sec = SEC },
	    "Received: from a??X:?y???????? (a\\) by evil \\(\\\\?? [192.0.2.1])\r\n"
	    "\tby b with SMTP id 1?2 (session \\)?)\r\n"
	    "\tfor <\"a?b\"@c>; " DATE "\r\n" },
};

static const char *
text_of(struct buf *b)
{
	assert_false(b->failed);
	return buf_cstr(b);
}

static void
received(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(65536);
		received_put(&b, &rows[i].in);
		assert_string_equal(text_of(&b), rows[i].out);
		buf_done(&b);
	}
}

/* However long the parts are: one field, no line over 78 columns unless one word is. */
static void
received_is_folded(void **state)
{
	static char many[400];
	memset(many, 'x', sizeof(many));
	for (size_t n = 0; n < sizeof(many); n++) {
		struct str part = { many, n };
		struct buf b = BUF_INIT(65536);
		received_put(&b, &(struct received){ .helo = part,
				     .peer_name = part,
				     .peer_ip = STR("192.0.2.1"),
				     .by = part,
				     .with = STR("ESMTP"),
				     .id = part,
				     .session = part,
				     .rcpt = part,
				     .tls = part,
				     .sec = SEC });
		assert_false(b.failed);
		struct str rest = buf_str(&b), all = rest;
		while (rest.len) {
			struct str line = str_cut(&rest, '\n');
			assert_true(str_ends(line, STR("\r")));
			line.len--;
			size_t columns = line.len + (line.p[0] == '\t' ? 7 : 0);
			assert_true(columns < 998);
			if (n < 50)
				assert_true(columns < 78);
			assert_true(line.p == all.p || line.p[0] == '\t');
		}
		struct header_field f;
		assert_true(header_next(&all, &f) && all.len == 0);
		buf_done(&b);
	}
}

static void
a_full_buffer_fails(void **state)
{
	struct buf b = BUF_INIT(40);
	received_put(&b, &rows[0].in);
	assert_true(b.failed);
	buf_done(&b);
}

static void
delivery_fields(void **state)
{
	struct buf b = BUF_INIT(4096);
	return_path_put(&b, STR("a@b"));
	return_path_put(&b, STR(""));
	delivered_to_put(&b, STR("\"a\r\nX: \"@b"));
	assert_string_equal(text_of(&b),
	    "Return-Path: <a@b>\r\nReturn-Path: <>\r\nDelivered-To: \"a??X: \"@b\r\n");
	buf_done(&b);
}

static const struct {
	struct added in;
	const char *out;
} additions[] = {
	{ { .from = S("a@b"), .host = S("h"), .id = S("i"), .sec = SEC },
	    "Date: " DATE
	    "\r\nFrom: a@b\r\nTo: undisclosed-recipients:;\r\nMessage-ID: <i@h>\r\n" },
	{ { .from = S(""),
	      .host = S("h"),
	      .id = S("i"),
	      .have_date = true,
	      .have_dest = true,
	      .have_message_id = true },
	    "From: MAILER-DAEMON@h\r\n" },
	{ { .from = S("a@b\r\nX: y"),
	      .host = S("h"),
	      .id = S("i"),
	      .have_date = true,
	      .have_dest = true },
	    "From: a@b??X: y\r\nMessage-ID: <i@h>\r\n" },
	{ { .have_from = true, .have_date = true, .have_dest = true, .have_message_id = true },
	    "" },
};

static void
added_fields(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(additions); i++) {
		struct buf b = BUF_INIT(4096);
		added_put(&b, &additions[i].in);
		assert_string_equal(text_of(&b), additions[i].out);
		buf_done(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(received),
		cmocka_unit_test(received_is_folded),
		cmocka_unit_test(a_full_buffer_fails),
		cmocka_unit_test(delivery_fields),
		cmocka_unit_test(added_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
