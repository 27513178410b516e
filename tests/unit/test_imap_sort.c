/* SORT (RFC 5256, RFC 5267, RFC 5957). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_mail_kit.h"

static const char *const letters[] = {
	("Subject: banana\r\nFrom: Zoe <b@x>\r\nTo: d@x\r\nDate: Mon, 2 Feb 2026 10:00:00 "
	 "+0000\r\n\r\n"
	 "long long long\r\n"),
	("Subject: Re: apple\r\nFrom: A <c@x>\r\nTo: c@x\r\nCc: b@x\r\n"
	 "Date: Sun, 1 Feb 2026 10:00:00 +0000\r\n\r\n1\r\n"),
	"Subject: [list] Cherry\r\nFrom: a@x\r\nDate: Sun, 1 Feb 2026 10:00:00 -0500\r\n\r\n22\r\n",
	"From: A@y\r\nCc: a@x\r\n\r\n333\r\n",
};

static void
begin(struct kit *k)
{
	kit_init(k);
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		(void)kit_letter(k, letters[i]);
	/* The last has no date but that of its coming: 2026-05-28. */
	kit_of(k, 1)->time_ms -= 3000;
	kit_of(k, 3)->time_ms -= 5000;
	kit_select(k);
}

static void
test_keys(void **state)
{
	(void)state;
	static const struct {
		const char *command, *want;
	} rows[] = {
		{ "SORT (SUBJECT) UTF-8 ALL", "* SORT 4 2 1 3\r\nt OK" },
		{ "SORT (REVERSE SUBJECT) UTF-8 ALL", "* SORT 3 1 2 4\r\nt OK" },
		{ "SORT (FROM) UTF-8 ALL", "* SORT 3 4 1 2\r\nt OK" },
		{ "SORT (TO) UTF-8 ALL", "* SORT 3 4 2 1\r\nt OK" },
		{ "SORT (CC TO) UTF-8 ALL", "* SORT 3 1 4 2\r\nt OK" },
		{ "SORT (DATE) US-ASCII ALL", "* SORT 2 3 1 4\r\nt OK" },
		{ "SORT (REVERSE DATE) US-ASCII ALL", "* SORT 4 1 3 2\r\nt OK" },
		{ "SORT (ARRIVAL) US-ASCII ALL", "* SORT 3 1 2 4\r\nt OK" },
		{ "SORT (SIZE) US-ASCII ALL", "* SORT 4 3 2 1\r\nt OK" },
		{ "UID SORT (REVERSE ARRIVAL SUBJECT) UTF-8 NOT SUBJECT apple",
		    "* SORT 4 1 3\r\nt OK" },
		{ "SORT (SUBJECT) UTF-8 SUBJECT none", "* SORT\r\nt OK" },
		{ "SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 ALL",
		    "* ESEARCH (TAG \"t\") MIN 4 MAX 3 COUNT 4\r\nt OK" },
		{ "UID SORT RETURN () (ARRIVAL) UTF-8 ALL",
		    "* ESEARCH (TAG \"t\") UID ALL 3,1:2,4\r\nt OK" },
		{ "SORT (DISPLAYFROM) UTF-8 ALL", "* SORT 2 3 4 1\r\nt OK" },
		{ "SORT (REVERSE DISPLAYFROM) UTF-8 ALL", "* SORT 1 4 3 2\r\nt OK" },
		{ "SORT (DISPLAYTO) UTF-8 ALL", "* SORT 3 4 2 1\r\nt OK" },
		{ "UID SORT (DISPLAYTO REVERSE displayfrom) UTF-8 ALL", "* SORT 4 3 2 1\r\nt OK" },
		{ "SORT (DISPLAYCC) UTF-8 ALL", "t BAD" },
		{ "SORT () UTF-8 ALL", "t BAD" },
		{ "SORT (NONE) UTF-8 ALL", "t BAD" },
		{ "SORT (REVERSE) UTF-8 ALL", "t BAD" },
		{ "SORT (SUBJECT) UTF-8", "t BAD" },
		{ "SORT (SUBJECT) X-NONE ALL", "t NO [BADCHARSET" },
	};
	struct kit k;
	begin(&k);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		kit_says(&k, rows[i].command, rows[i].want);
	for (uint32_t uid = 1; uid <= 4; uid++)
		kit_no_outline(&k, uid);
	kit_says(&k, "SORT (SUBJECT) UTF-8 ALL", "* SORT 4 2 1 3\r\nt OK");
	assert_true(kit_of(&k, 1)->outline.len > 0);
	kit_done(&k);
}

/* The order is that of a simple comparison, with equal ones by number. */
static void
test_many(void **state)
{
	(void)state;
	enum { N = 3000 };
	struct kit k;
	char text[100];
	kit_init(&k);
	for (unsigned i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "Subject: s%02u\r\n\r\n", i * 7 % 50);
		(void)kit_letter(&k, text);
	}
	kit_select(&k);
	k.f.window = 97;
	const char *said = kit_say(&k, "SORT (SUBJECT) UTF-8 ALL");
	assert_int_equal(strncmp(said, "* SORT ", 7), 0);
	said += 7;
	unsigned last = 0, n = 0;
	for (char *end; *said >= '0' && *said <= '9'; said = end + (*end == ' '), n++) {
		unsigned seq = (unsigned)strtoul(said, &end, 10);
		unsigned key = (seq - 1) * 7 % 50 * N + seq;
		assert_true(key > last);
		last = key;
	}
	assert_int_equal(n, N);
	kit_done(&k);
}

/* RFC 5957 3: a group's name, the decoded name, the address; of nobody nothing. */
static void
test_display(void **state)
{
	(void)state;
	static const char *const from[] = {
		"From: =?utf-8?q?=C3=89mile?= <z@x>\r\n",   /* e, U+0301, mile */
		"From: Delta: c@x, b@x;\r\n",               /* delta */
		"From: =?utf-8?b?Y2hhcmxpZQ==?= <a@x>\r\n", /* charlie */
		"From: \"bravo\" <y@x>, alpha@x\r\n",       /* bravo */
		"From: \"  \" <alpha@x>\r\n",               /* alpha@x */
		"From: x@x\r\n",                            /* x@x */
		"Subject: of nobody\r\n",                   /* nothing */
		"From: echo <e@x>\r\n",                     /* echo */
	};
	struct kit k;
	kit_init(&k);
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		struct buf b = BUF_INIT(1024);
		buf_putf(&b, "%s\r\ntext\r\n", from[i]);
		(void)kit_letter(&k, buf_cstr(&b));
		buf_done(&b);
	}
	kit_select(&k);
	kit_says(&k, "SORT (DISPLAYFROM) UTF-8 ALL", "* SORT 7 5 4 3 2 8 1 6\r\nt OK");
	kit_says(&k, "SORT (REVERSE DISPLAYFROM) UTF-8 ALL", "* SORT 6 1 8 2 3 4 5 7\r\nt OK");
	kit_says(&k, "SORT (DISPLAYTO) UTF-8 ALL", "* SORT 1 2 3 4 5 6 7 8\r\nt OK");
	for (uint32_t uid = 1; uid <= ARRAY_LEN(from); uid++)
		kit_no_outline(&k, uid);
	kit_says(&k, "SORT (DISPLAYFROM) UTF-8 ALL", "* SORT 7 5 4 3 2 8 1 6\r\nt OK");
	kit_done(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_display),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
