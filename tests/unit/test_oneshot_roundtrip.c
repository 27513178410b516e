#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "oneshot/roundtrip_priv.h"

#include <string.h>

#define HEAD "Subject: a\r\nContent-Transfer-Encoding: 8bit\r\n"
#define SENT HEAD "\r\nline one\r\nFrom here\r\n\xc3\xa4 end\r\n"

static const struct {
	const char *came;
	enum roundtrip_body body;
	const char *added, *changed, *lost;
} rows[] = {
	{ SENT, ROUNDTRIP_EXACT, "", "", "" },
	{ "Received: x\r\n" SENT, ROUNDTRIP_EXACT, "Received\n", "", "" },
	{ "Subject: b\r\n\r\nline one\r\nFrom here\r\n\xc3\xa4 end\r\n", ROUNDTRIP_EXACT, "",
	    "Subject\n", "Content-Transfer-Encoding\n" },
	{ "Subject:\r\n a\r\nContent-Transfer-Encoding: 8bit\r\n\r\nline one\nFrom here\n\xc3\xa4 "
	  "end\n",
	    ROUNDTRIP_LINE_ENDS, "", "", "" },
	{ "Subject: a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nline=20one\r\nFrom "
	  "h=\r\nere\r\n"
	  "=C3=A4 end\r\n",
	    ROUNDTRIP_ENCODING, "", "Content-Transfer-Encoding\n", "" },
	{ HEAD "\r\nline one  \r\nFrom here\r\n\xc3\xa4 end\r\n\r\n", ROUNDTRIP_BLANKS, "", "",
	    "" },
	{ HEAD "\r\nline one\r\n>From here\r\n\xc3\xa4 end\r\n", ROUNDTRIP_FROM, "", "", "" },
	{ HEAD "\r\nline one\r\nFrom there\r\n\xc3\xa4 end\r\n", ROUNDTRIP_DIFFERENT, "", "", "" },
	{ HEAD, ROUNDTRIP_DIFFERENT, "", "", "" },
	{ "", ROUNDTRIP_DIFFERENT, "", "", "Subject\nContent-Transfer-Encoding\n" },
};

static void
test_compare(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct roundtrip_found f;
		roundtrip_found_init(&f);
		roundtrip_compare(STR(SENT), str_of(rows[i].came), 0, &f);
		assert_int_equal(f.body, rows[i].body);
		assert_true(str_eq(buf_str(&f.added), str_of(rows[i].added)));
		assert_true(str_eq(buf_str(&f.changed), str_of(rows[i].changed)));
		assert_true(str_eq(buf_str(&f.lost), str_of(rows[i].lost)));
		if (i == 7)
			assert_true(f.line == 2 && str_eq(f.line_sent, STR("From here")) &&
				    str_eq(f.line_came, STR("From there")));
		roundtrip_found_done(&f);
	}
}

static void
test_hops(void **state)
{
	struct roundtrip_found f;
	roundtrip_found_init(&f);
	roundtrip_compare(STR(SENT),
	    STR("Return-Path: <a@b>\r\n"
		"Received: from mx (x [1.2.3.4])\r\n\tby store.example with LMTP; Fri, 25 Sep 2009 "
		"12:27:58 +0000\r\n"
		"Received: from z by odd (no date)\r\n"
		"Received: from me by mx.example; Fri, 25 Sep 2009 14:27:50 +0200\r\n" SENT),
	    1253881668, &f);
	assert_int_equal(f.n_hops, 3);
	assert_true(str_eq(f.hops[0].by, STR("mx.example;")) ||
		    str_eq(f.hops[0].by, STR("mx.example")));
	assert_true(f.hops[0].dated && f.hops[0].took == 2);
	assert_false(f.hops[1].dated);
	assert_true(str_eq(f.hops[2].by, STR("store.example")) && f.hops[2].took == 8);
	assert_true(str_eq(f.return_path, STR("<a@b>")));
	roundtrip_found_done(&f);
}

static void
test_urls(void **state)
{
	static const struct {
		const char *text;
		bool good, imap, tls;
		uint16_t port;
		const char *user, *host, *mailbox;
	} urls[] = {
		{ "imaps://joe@h", true, true, true, 993, "joe", "h", "INBOX" },
		{ "IMAP://joe@example.com@h:1143/Lists/a%20b", true, true, false, 1143,
		    "joe@example.com", "h", "Lists/a b" },
		{ "pop3://a%40b@[::1]:110", true, false, false, 110, "a@b", "[::1]", "INBOX" },
		{ "pop3s://a@[2001:db8::1]/", true, false, true, 995, "a", "[2001:db8::1]",
		    "INBOX" },
		{ .text = "imap://h" },
		{ .text = "imap://@h" },
		{ .text = "imap://a@" },
		{ .text = "imap:a@h" },
		{ .text = "imap://a@h:0" },
		{ .text = "imap://a@h:x" },
		{ .text = "imap://a%0d@h" },
		{ .text = "imap://a%4@h" },
		{ .text = "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct roundtrip_url u;
		roundtrip_url_init(&u);
		assert_int_equal(roundtrip_url_read(str_of(urls[i].text), &u) == NULL,
		    urls[i].good);
		if (urls[i].good) {
			assert_true(u.imap == urls[i].imap && u.tls == urls[i].tls &&
				    u.port == urls[i].port);
			assert_string_equal(buf_cstr(&u.user), urls[i].user);
			assert_string_equal(buf_cstr(&u.host), urls[i].host);
			assert_string_equal(buf_cstr(&u.mailbox), urls[i].mailbox);
		}
		roundtrip_url_done(&u);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_hops),
		cmocka_unit_test(test_urls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
