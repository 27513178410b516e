/* A server's line as a pattern: what changes is left open, what stays is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "client/generalize.h"
#include "play/match.h"

static const struct {
	const char *line, *again, *other; /* NULL: nothing of the kind */
} rows[] = {
	{ "220 mail.example.com ESMTP Sendmail 8.14.7/8.14.7; Sat, 4 Apr 2015 22:17:16 -0400",
	    "220 mail.example.com ESMTP Sendmail 8.14.7/8.14.7; Sun, 22 Nov 2026 14:44:46 +0000",
	    "220 mail.example.org ESMTP Sendmail 8.14.7/8.14.7; Sat, 4 Apr 2015 22:17:16 -0400" },
	{ "250-esmail01.eservices.domain.com Hello domain.com [10.45.64.3], pleased to meet you",
	    "250-esmail01.eservices.domain.com Hello domain.com [2001:db8::1], pleased to meet you",
	    "250-esmail01.eservices.domain.com Hello domain.net [10.45.64.3], pleased to meet "
	    "you" },
	{ "250 2.0.0 Ok: queued as 85761C042C", "250 2.0.0 Ok: queued as 4bKz1Q2xJbz9rTY",
	    "250 2.0.1 Ok: queued as 85761C042C" },
	{ "250 2.0.0 t352HGPe003192 Message accepted for delivery",
	    "250 2.0.0 6AMEik3A578688 Message accepted for delivery",
	    "250 2.0.0 Message accepted" },
	{ "250 ok: Message 214 accepted", "250 ok: Message 9 accepted",
	    "250 ok: Message accepted" },
	{ "250-SIZE 104857600", NULL, "250-SIZE 104857601" },
	{ "250-8BITMIME", NULL, "250-9BITMIME" },
	{ "334 VXNlcm5hbWU6", NULL, "334 UGFzc3dvcmQ6" },
	{ "* CAPABILITY IMAP4rev1 STARTTLS", NULL, "* CAPABILITY IMAP4rev2 STARTTLS" },
	{ "+OK POP3 <1896.697170952@dbc.mtview.ca.us>", "+OK POP3 <7.8@dbc.mtview.ca.us>",
	    "+OK POP3" },
	{ "250-PIPELINING ", NULL, "250-PIPELINING" },
	{ "250 (a|b)* [c]{2} ^$ \\", NULL, "250 a" },
	{ "250 caf\xc3\xa9", NULL, "250 cafe" },
	{ "250 a\xc2\xa0 b", "250 a  b", "250 a b" },
	{ "250 \xff\x01", NULL, "250 x" },
	/* what a terminal would obey, or hide */
	{ "250 a\xc2\x9b"
	  "31m \xe2\x80\xae",
	    "250 a\xc2\x9c"
	    "31m \xe2\x80\xad",
	    "250 a31m " },
	{ "", NULL, "x" },
};

static void
leaves_open(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(65536);
		generalize(&b, str_of(rows[i].line));
		struct str ere = buf_str(&b);
		assert_int_equal(str_find_str(ere, STR("\xc2\x9b")), ere.len);
		assert_int_equal(str_find_str(ere, STR("\xe2\x80\xae")), ere.len);
		if (rows[i].line[0] && match_whole(ere, str_of(rows[i].line), NULL) != MATCH_YES)
			fail_msg("%s: " STR_FMT, rows[i].line, STR_ARG(ere));
		if (rows[i].again && match_whole(ere, str_of(rows[i].again), NULL) != MATCH_YES)
			fail_msg("%s: not " STR_FMT, rows[i].again, STR_ARG(ere));
		if (match_whole(ere, str_of(rows[i].other), NULL) == MATCH_YES)
			fail_msg("%s: matches " STR_FMT, rows[i].other, STR_ARG(ere));
		buf_done(&b);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(leaves_open) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
